// SPDX-License-Identifier: GPL-2.0
/*
 * More victims at once than there are records: each is either taken, or
 * counted and left to the kernel. Some records are kept for victims of the OOM
 * killer; when those are in use as well, the kernel's own reaper takes the next
 * one. When the storm is over all of them are free again. While many are in use,
 * victims that exit by themselves are not logged, but counted.
 */
#include "load.h"

#define RECORDS		16
#define FOR_OTHERS	(RECORDS / 4 * 3)	/* that victims of kill -9 may have */
#define FOR_OOM		(RECORDS - FOR_OTHERS)
#define VICTIMS		24
#define VICTIM_MIB	40
#define LOCKED_MIB	8
#define HOOKS_MAX	16

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
	WAIT_UNTIL(mr_stat("in_flight") <= FOR_OTHERS && mr_stat("exiting") == 0, PATIENCE_MS);
	cg_remove(cg);
}

/* ---- not a single record left ---- */

/* Events that one hook could not pass on; -1: it is not active. */
static long missed_by(const char *hook)
{
	struct mr_row rows[HOOKS_MAX];
	int n = mr_hooks(rows, HOOKS_MAX);

	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, hook) && !strcmp(rows[i].state, "active"))
			return rows[i].missed;
	return -1;
}

struct missed {
	long overflow, sigkill, marked, queued;
};

static struct missed missed_now(void)
{
	return (struct missed){
		.overflow = mr_stat("overflow"), .sigkill = missed_by("sigkill"),
		.marked = missed_by("oom_marked"), .queued = missed_by("oom_queued"),
	};
}

/*
 * Each of the two hooks of the OOM killer saw one victim for which there was
 * no record. The third one saw all SIGKILLs in vain, those of the OOM killer
 * for the victims that got one of its own records as well.
 */
static void check_missed(const struct missed *was)
{
	struct missed is = missed_now();
	long sigkill = is.sigkill - was->sigkill, marked = is.marked - was->marked, queued = is.queued - was->queued;

	is_eq(marked, 1, "no record left: one victim was marked and not taken");
	is_eq(queued, 1, "no record left: and queued");
	is_eq(sigkill, FOR_OOM + 1, "no record left: and every victim killed");
	is_eq(is.overflow - was->overflow, sigkill + marked + queued, "no record left: overflow counts each of these events");
}

/*
 * In one cgroup: victims that nobody can reap, and one that takes memory until
 * it is killed, last of all. The others are killed one after the other, each
 * when the one before was reported as stuck.
 */
static struct victim *fill_with_oom(struct cgroup *cg, int lock_fd, int sleep_fd, struct victim **locked)
{
	struct victim *last;

	for (int i = 0; i < FOR_OOM; i++)
		locked[i] = victim_new(&(struct victim_how){
			.name = "v_fill", .cg = cg, .mib = LOCKED_MIB, .stuck = STUCK_VMAS_WRITE, .holds = lock_fd });
	last = victim_new(&(struct victim_how){
		.name = "v_last", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .holds = sleep_fd,
		.oom_score_adj = -900, .run = victim_eat });
	cg_limit_mib(cg, FOR_OOM * LOCKED_MIB + VICTIM_MIB + 8);
	victim_go(last);
	return last;
}

static void check_left_to_kernel(struct victim *v, struct victim **locked)
{
	ok(WAIT_UNTIL(log_find("Killed process %d (v_last)", v->pid), PATIENCE_MS), "no record left: the last one is killed");
	for (int i = 0; i < FOR_OOM; i++)
		ok(log_find("Killed process %d ", locked[i]->pid) && mrt_held(locked[i]->how.holds, locked[i]->pid) > 0,
		   "no record left: OOM victim %d is there", i);
	is_eq(mr_stat("in_flight"), RECORDS, "no record left: all of them are in use");
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process %d ", v->pid), PATIENCE_MS) &&
	   mrt_held(v->how.holds, v->pid) > 0, "no record left: the kernel's own reaper takes it");
	ok(memory_back(v), "no record left: its memory is back while it is stuck");
	is_eq(log_count("memrescue: reaped pid=%d ", v->pid), 0, "no record left: memrescue had nothing to do with it");
	is_eq(mr_stat("in_flight"), RECORDS, "no record left: the records are still in use");
}

static void no_record_left(void)
{
	struct cgroup *cg = cg_new("overflow-last");
	int lock_fd = mrt_open(), sleep_fd = mrt_open();
	struct victim *locked[FOR_OOM], *last;
	struct missed was = missed_now();

	knob_set("stuck_report_ms", "100");
	last = fill_with_oom(cg, lock_fd, sleep_fd, locked);
	check_left_to_kernel(last, locked);
	check_missed(&was);
	mrt_close(sleep_fd);
	mrt_close(lock_fd);
	victim_free(last);
	for (int i = 0; i < FOR_OOM; i++)
		victim_free(locked[i]);
	ok(cg_remove(cg), "no record left: nothing is left of the victims");
	knob_set("stuck_report_ms", "5000");
}

/* ---- one user ---- */

#define USER		1000
#define USER_MOST	(FOR_OTHERS / 2)

static struct victim *kill_as(unsigned int uid, struct cgroup *cg, int holds)
{
	struct victim *v = victim_new(&(struct victim_how){
		.name = "v_user", .cg = cg, .mib = 1, .stuck = STUCK_VMAS_WRITE, .stuck_main = true, .holds = holds, .uid = uid });

	victim_kill(v);
	return v;
}

/* What an unprivileged user kills leaves half of the records to the others. */
static void one_user(void)
{
	struct cgroup *cg = cg_new("overflow-user");
	struct victim *v[FOR_OTHERS], *later;
	long victims = mr_stat("victims"), overflow = mr_stat("overflow");
	int holds = mrt_open();

	for (int i = 0; i < FOR_OTHERS; i++)
		v[i] = kill_as(USER, cg, holds);
	ok(WAIT_UNTIL(mr_stat("victims") - victims >= USER_MOST, PATIENCE_MS) &&
	   mr_stat("overflow") - overflow >= FOR_OTHERS - USER_MOST, "one user: some of its victims are counted as overflow");
	is_eq(mr_stat("victims") - victims, USER_MOST, "one user: it has half of the records for victims of kill -9");
	later = kill_as(0, cg, holds);
	ok(WAIT_UNTIL(mr_stat("victims") - victims > USER_MOST, PATIENCE_MS), "one user: root's victim is taken");
	mrt_close(holds);
	for (int i = 0; i < FOR_OTHERS; i++)
		victim_free(v[i]);
	victim_free(later);
	ok(mr_wait_idle(), "one user: all records are free again");
	victims = mr_stat("victims");
	holds = mrt_open();
	later = kill_as(USER, cg, holds);
	ok(WAIT_UNTIL(mr_stat("victims") > victims, PATIENCE_MS), "one user: and its own ones are taken");
	mrt_close(holds);
	victim_free(later);
	ok(mr_wait_idle() && cg_remove(cg), "one user: nothing is left of them");
}

/* ---- more than half of the records in use ---- */

#define MANY		(RECORDS / 2 + 1)
#define BRIEF		50

/* Victims that are gone as soon as they can be reaped. */
struct brief {
	long taken, unlogged, reaped, exited;	/* the last two: lines of the log */
};

/* @others: records that are in use all the time; @wanted: what happens to a part of the victims only, if need be of some more */
static struct brief brief_victims(struct cgroup *cg, int others, const char *wanted)
{
	long victims = mr_stat("victims"), unlogged = mr_stat("unlogged"), was = mr_stat(wanted);
	int holds = mrt_open();
	struct brief b;

	log_mark();
	for (int i = 0; i < BRIEF || (i < 20 * BRIEF && mr_stat(wanted) == was); i++) {
		struct victim *v = victim_new(&(struct victim_how){
			.name = "v_brief", .cg = cg, .mib = 1, .stuck = STUCK_VMAS_WRITE, .stuck_main = true, .holds = holds });

		victim_kill(v);
		/* One that gets on by itself is no victim. */
		WAIT_UNTIL(mr_stat("in_flight") > others, PATIENCE_MS);
		mrt_release(holds);
		victim_wait_exit(v);
		victim_free(v);
		WAIT_UNTIL(mr_stat("in_flight") + mr_stat("exiting") <= others, PATIENCE_MS);
	}
	mrt_close(holds);
	b.taken = mr_stat("victims") - victims;
	b.unlogged = mr_stat("unlogged") - unlogged;
	WAIT_UNTIL(log_count(" comm=v_brief ") >= b.taken - b.unlogged, PATIENCE_MS);
	b.reaped = log_count("memrescue: reaped pid=");
	b.exited = log_count("memrescue: exited pid=");
	diag("%ld taken, %ld unlogged; lines: %ld reaped, %ld exited", b.taken, b.unlogged, b.reaped, b.exited);
	return b;
}

static void crowded(void)
{
	struct cgroup *cg = cg_new("overflow-crowded");
	struct victim *locked[MANY];
	int holds = mrt_open();
	struct brief b;
	long victims;

	mr_wait_idle();
	b = brief_victims(cg, 0, "victims");
	is_ge(b.taken, 1, "few records in use: there are victims");
	is_eq(b.reaped + b.exited, b.taken, "few records in use: each has its line");
	is_eq(b.unlogged, 0, "few records in use: none is without");
	for (int i = 0; i < MANY; i++)
		locked[i] = victim_new(&(struct victim_how){
			.name = "v_crowd", .cg = cg, .mib = 1, .stuck = STUCK_VMAS_WRITE, .stuck_main = true, .holds = holds });
	victims = mr_stat("victims");
	for (int i = 0; i < MANY; i++)
		victim_kill(locked[i]);
	/* In flight before they are counted. */
	ok(WAIT_UNTIL(mr_stat("in_flight") == MANY && mr_stat("victims") - victims == MANY, PATIENCE_MS), "many records in use: by victims that cannot be reaped");
	b = brief_victims(cg, MANY, "unlogged");
	is_ge(b.unlogged, 1, "many records in use: not every victim has a line");
	is_eq(b.reaped + b.exited + b.unlogged, b.taken, "many records in use: those without are counted");
	mrt_close(holds);
	for (int i = 0; i < MANY; i++)
		victim_free(locked[i]);
	ok(mr_wait_idle() && cg_remove(cg), "many records in use: nothing is left of them");
	is_eq(log_bad(), 0, "many records in use: the kernel has nothing to complain about");
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
	is_eq(s.victims, FOR_OTHERS, "three quarters of the records are for victims of kill -9");
	is_eq(s.victims + s.overflow, VICTIMS, "every victim is either taken, or counted");
	is_eq(s.in_flight, s.victims, "all that were taken are in flight");
	oom_victim();
	/* There was none for the SIGKILL that the OOM killer sends first, nor for its threads' exits before its mark. */
	is_le(mr_stat("overflow"), s.overflow + 3, "each event of it is counted as overflow at most once");
	no_record_left();
	mrt_close(holds);
	for (int i = 0; i < VICTIMS; i++)
		victim_free(victims[i]);
	ok(mr_wait_idle(), "all records are free again");
	s = mr_stats();
	ok(later_victim_taken(), "a victim that comes later is taken");
	is_eq(mr_stat("overflow"), s.overflow, "there was room for it");
	ok(cg_remove(cg), "nothing is left of the victims");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	one_user();
	crowded();
	return done();
}
