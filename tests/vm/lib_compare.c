// SPDX-License-Identifier: GPL-2.0
/* VM tests: a scenario without memrescue's hooks, then with them. See lib.h. */
#include "lib.h"

/* How long what the stock kernel does by itself is waited for: it need not do it. */
#define STOCK_MS	300L

static bool stock;

bool compare_is_stock(void)
{
	return stock;
}

long compare_patience_ms(void)
{
	return stock ? STOCK_MS * machine_slowness() : PATIENCE_MS;
}

static long run(bool without, long (*scenario)(void *arg), void *arg)
{
	long value;

	stock = without;
	knob_set("enabled", "%d", !without);
	log_mark();
	value = scenario(arg);
	stock = false;
	return value;
}

void compare_runs(const char *name, long right, long (*scenario)(void *arg), void *arg)
{
	long without = run(true, scenario, arg);
	long with;

	if (without == COMPARE_SKIP) {
		skip("this machine cannot do that", "%s", name);
		return;
	}
	with = run(false, scenario, arg);
	if (right != COMPARE_ONLY)
		is_eq(with, right, "%s: what is right", name);
	is_ge(with, without, "%s: not worse than without memrescue", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	diag("%s: %ld without, %ld with", name, without, with);
}
