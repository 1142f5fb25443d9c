// SPDX-License-Identifier: GPL-2.0
/*
 * Swapped memory is given back as well: a victim most of which is on a
 * compressed RAM disk frees its swap entries while it is stuck.
 */
#include <linux/futex.h>

#include "lib.h"

#define SWAP_MIB	96
#define VICTIM_MIB	64
#define LIMIT_MIB	24
#define TRIES		1000

static void swapped(const char *name, bool oom)
{
	struct cgroup *cg = cg_new("swap");
	struct victim *v, *eater = NULL;
	long free_kib = meminfo_kib("SwapFree"), used;
	struct reaped r = { 0 };

	log_mark();
	cg_set(cg, "memory.max", "%dM", LIMIT_MIB);
	v = victim_new(&(struct victim_how){
		.name = "v_swapped", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = PAGES_SMALL });
	used = free_kib - meminfo_kib("SwapFree");
	/* Before 6.14 each CPU may have had slots in advance. */
	is_ge(used, (VICTIM_MIB - LIMIT_MIB - 1) * KIB_PER_MIB, "%s: the victim is on swap", name);
	if (oom) {
		/* No more of it: the next page that is needed kills. */
		cg_set(cg, "memory.swap.max", "0");
		eater = victim_new(&(struct victim_how){ .name = "v_eater", .cg = cg, .mib = 0, .run = victim_eat });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
	} else {
		victim_kill(v);
	}
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r),
	   "%s: it is reaped", name);
	/* Each CPU may keep a handful of freed slots back for the next user. */
	ok(WAIT_UNTIL(free_kib - meminfo_kib("SwapFree") <= used / 10, PATIENCE_MS) && mrt_held(v->how.holds, v->pid) > 0,
	   "%s: its swap is free again while it is stuck", name);
	diag("%ld KiB used, now %ld; rss_kb=%ld swap_kb=%ld freed_kb=%ld", used, free_kib - meminfo_kib("SwapFree"),
	     r.rss_kb, r.swap_kb, r.freed_kb);
	ok(r.swap_kb >= used / 2 && r.swap_kb + r.rss_kb >= VICTIM_MIB * KIB_PER_MIB * 9 / 10,
	   "%s: the log line knows its swap", name);
	if (eater)
		victim_free(eater);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
}

int main(void)
{
	ok(mr_loaded(), "memrescue is there");
	if (!zram_swap(SWAP_MIB, NULL))
		skip_all("the kernel has no zram");
	swapped("kill -9", false);
	swapped("memcg OOM", true);
	return done();
}
