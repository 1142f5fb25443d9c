// SPDX-License-Identifier: GPL-2.0
/*
 * The demo: a program of 256 MiB in a control group of 300 MiB has a thread that
 * is stuck in the kernel for four seconds, and takes more memory than there is.
 * The kernel kills it. How long until its memory is back, without memrescue
 * (its reaper and its rescue turned off) and with it?
 */
#include "bench.h"

static double accident(bool memrescue)
{
	struct cgroup *cg = cg_new("demo");
	struct victim *v;
	double ms;

	bench_mode(memrescue);
	cg_limit_mib(cg, 300);
	v = victim_new(&(struct victim_how){
		.name = "hog", .cg = cg, .mib = 256, .stuck = STUCK_D, .run = victim_eat });
	marks_clear();
	victim_go(v);
	ms = bench_victim(v, -1);
	if (ms < STUCK_MS)
		sleep_ms(STUCK_MS - (long)ms);
	mrt_release(v->how.holds);
	victim_free(v);
	cg_remove(cg);
	return ms;
}

int main(void)
{
	bench_init();
	for (int memrescue = 0; memrescue <= 1; memrescue++)
		printf("# SAMPLE case=demo mode=%s ms=%.3f\n",
		       bench_mode_name(memrescue), accident(memrescue));
	ok(true, "the accident happened twice");
	return done();
}
