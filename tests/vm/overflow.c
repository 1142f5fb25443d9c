// SPDX-License-Identifier: GPL-2.0
/*
 * More victims at once than there are records: each is either taken, or
 * counted and left to the kernel. Some records are kept for victims of the OOM
 * killer. When the storm is over all of them are free again.
 */
#include "load.h"

#define RECORDS		16
#define VICTIMS		24
#define VICTIM_MIB	40

static struct victim *victims[VICTIMS];

static void start_victims(struct cgroup *cg, int holds)
{
	for (int i = 0; i < VICTIMS; i++)
		victims[i] = victim_start(&(struct victim_how){
			.name = "v_over", .cg = cg, .mib = 1, .stuck = STUCK_VMAS_WRITE, .stuck_main = true, .holds = holds });
	for (int i = 0; i < VICTIMS; i++)
		victim_wait_ready(victims[i]);
}

static void oom_victim(void)
{
	struct cgroup *cg = cg_new("overflow-oom");
	int holds = mrt_open();
	struct victim *v;

	cg_limit_mib(cg, VICTIM_MIB + 8);
	v = victim_new(&(struct victim_how){
		.name = "v_oom", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .holds = holds, .run = victim_eat });
	victim_go(v);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && mrt_held(holds, v->pid) > 0,
	   "the OOM killer's victim is taken although no record is left for others");
	mrt_close(holds);
	victim_free(v);
	cg_remove(cg);
}

int main(void)
{
	struct cgroup *cg = cg_new("overflow");
	int holds = mrt_open();
	struct mr_stats s;
	char params[32];

	snprintf(params, sizeof(params), "records=%d", RECORDS);
	mr_load_fresh(MEMRESCUE_KO, params);
	knob_set("kill_min_kb", "0");
	log_mark();
	start_victims(cg, holds);
	for (int i = 0; i < VICTIMS; i++)
		victim_kill(victims[i]);
	WAIT_UNTIL(mr_stat("victims") + mr_stat("overflow") >= VICTIMS, PATIENCE_MS);
	s = mr_stats();
	diag("%ld taken, %ld counted as overflow", s.victims, s.overflow);
	ok(s.victims > 0 && s.victims <= RECORDS && s.victims + s.overflow == VICTIMS,
	   "every victim is either taken, or counted");
	is_eq(s.in_flight, s.victims, "all that were taken are in flight");
	oom_victim();
	/* For the SIGKILL that the OOM killer sends first there was none. */
	is_le(mr_stat("overflow"), s.overflow + 1, "it is counted as overflow at most once");
	mrt_close(holds);
	for (int i = 0; i < VICTIMS; i++)
		victim_free(victims[i]);
	ok(mr_wait_idle(), "all records are free again");
	s = mr_stats();
	ok(later_victim_taken(), "a victim that comes later is taken");
	is_eq(mr_stat("overflow"), s.overflow, "there was room for it");
	ok(cg_remove(cg), "nothing is left of the victims");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
