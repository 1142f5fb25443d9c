// SPDX-License-Identifier: GPL-2.0
/*
 * A bounded end: a victim that cannot be reaped is reported once, with what it
 * waits for and its stack, and then the OOM killer may choose the next one.
 * One that was reaped but does not exit is reported as well.
 *
 * With the argument "panic" (see tests/panic.t) stuck_panic is 1: two victims
 * that are no reason for a panic, then one that is.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define REPORT_MS	2000

static struct cgroup *cg;

/* Before 5.16 amd64 kernels with the ORC unwinder do not know where a task waits. */
static bool kernel_knows_wchan(pid_t pid, pid_t tid)
{
	char path[64], wchan[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", pid, tid);
	return file_read(path, wchan, sizeof(wchan)) > 0 && strcmp(wchan, "0");
}

static bool log_stuck(pid_t pid, const char *comm, const char *memory, const char *reason)
{
	const char *line = log_find("memrescue: stuck pid=%d ", pid);
	char what[32], wchan[64];
	long waited_ms;
	int adj, tid;
	unsigned int uid;
	long rss_kb;
	char got_comm[32], got_reason[16];

	diag("%s", line ? line : "no line");
	if (!line || sscanf(line, "memrescue: stuck pid=%*d comm=%31s uid=%u oom_score_adj=%d rss_kb=%ld waited_ms=%ld memory=%31s reason=%15s tid=%d wchan=%63s",
			    got_comm, &uid, &adj, &rss_kb, &waited_ms, what, got_reason, &tid, wchan) != 9)
		return false;
	return !strcmp(got_comm, comm) && !strcmp(what, memory) && !strcmp(got_reason, reason) &&
	       waited_ms >= REPORT_MS && tid >= pid && (strcmp(wchan, "0x0") || !kernel_knows_wchan(pid, tid));
}

static void check_report(struct victim *v, const char *memory, const char *reason, long stuck_before, const char *name)
{
	int report;

	ok(WAIT_UNTIL(log_find("memrescue: stuck pid=%d ", v->pid), PATIENCE_MS), "%s: it is reported", name);
	/* The stack is printed right after the line. */
	WAIT_UNTIL(log_index("task:%s", v->how.name) > 0, PATIENCE_MS);
	ok(log_stuck(v->pid, v->how.name, memory, reason), "%s: the report says who, how long, why and where", name);
	report = log_index("memrescue: stuck pid=%d ", v->pid);
	ok(report >= 0 && log_index("task:%s", v->how.name) > report, "%s: its stack follows", name);
	is_eq(mr_stat("stuck"), stuck_before + 1, "%s: it is counted", name);
}

/* Nothing can touch it; its neighbour wants memory. */
static void unreapable_oom(void)
{
	const char *name = "unreapable OOM victim";
	long stuck = mr_stat("stuck");
	struct victim *v, *next;

	cg_limit_mib(cg, VICTIM_MIB + 8);
	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_stuck", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	next = victim_new(&(struct victim_how){ .name = "v_next", .cg = cg, .mib = 1, .run = victim_eat });
	victim_go(next);
	ok(WAIT_UNTIL(log_find("Killed process %d (v_stuck)", v->pid), PATIENCE_MS), "%s: it is killed", name);
	check_report(v, "kept", "oom", stuck, name);
	ok(memory_there(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: its memory is still there", name);
	ok(WAIT_UNTIL(log_find("Killed process %d (v_next)", next->pid), PATIENCE_MS), "%s: then the next one is killed", name);
	ok(log_index("Killed process %d ", v->pid) < log_index("memrescue: stuck pid=%d ", v->pid) &&
	   log_index("memrescue: stuck pid=%d ", v->pid) < log_index("Killed process %d ", next->pid),
	   "%s: in this order", name);
	is_eq(log_count("oom_reaper: unable to reap pid:%d", v->pid), 0, "%s: the stock reaper did not even try", name);
	is_eq(log_count("memrescue: stuck pid=%d ", v->pid), 1, "%s: it is reported once", name);
	victim_free(next);
	check_gone(v, name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	cg_set(cg, "memory.max", "max");
}

/* It passes over what cannot be reaped when it would on the stock kernel, after 3 s. */
static void killer_does_not_wait_for_report(void)
{
	const char *name = "OOM victim that is reported late";
	struct victim *v, *next;

	knob_set("stuck_report_ms", "%d", 5 * REPORT_MS);
	cg_limit_mib(cg, VICTIM_MIB + 8);
	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_stuck", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	next = victim_new(&(struct victim_how){ .name = "v_next", .cg = cg, .mib = 1, .run = victim_eat });
	victim_go(next);
	ok(WAIT_UNTIL(log_find("memrescue: stuck pid=%d ", v->pid), PATIENCE_MS), "%s: it is reported", name);
	ok(log_index("Killed process %d (v_next)", next->pid) >= 0 &&
	   log_index("Killed process %d (v_next)", next->pid) < log_index("memrescue: stuck pid=%d ", v->pid),
	   "%s: the next one was killed before that", name);
	knob_set("stuck_report_ms", "%d", REPORT_MS);
	victim_free(next);
	check_gone(v, name);
	victim_free(v);
}

static void unreapable_killed(void)
{
	const char *name = "unreapable killed process";
	long stuck = mr_stat("stuck");
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_locked", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	victim_kill(v);
	check_report(v, "kept", "killed", stuck, name);
	/* A report is not the end of it: when the locks are free it goes. */
	check_gone(v, name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
}

static void reaped_but_there(void)
{
	const char *name = "reaped but not gone";
	long stuck = mr_stat("stuck");
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_there", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	victim_kill(v);
	ok(memory_back(v), "%s: its memory is back", name);
	check_report(v, "returned", "killed", stuck, name);
	ok(log_index("memrescue: reaped pid=%d ", v->pid) < log_index("memrescue: stuck pid=%d ", v->pid),
	   "%s: reaped first, then reported", name);
	check_gone(v, name);
	victim_free(v);
}

/* ---- stuck_panic=1 ---- */

static void no_panic(const char *name, struct victim *v)
{
	ok(WAIT_UNTIL(log_find("memrescue: stuck pid=%d ", v->pid), PATIENCE_MS), "%s: it is reported", name);
	/* The panic would come after the stack. */
	ok(WAIT_UNTIL(log_index("task:%s", v->how.name) > 0, PATIENCE_MS) && later_victim_taken(),
	   "%s: and the machine goes on", name);
	check_gone(v, name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static void no_panic_killed(void)
{
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_locked", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	victim_kill(v);
	no_panic("unreapable, not the OOM killer's", v);
}

static void no_panic_returned(void)
{
	struct victim *v;

	log_mark();
	cg_limit_mib(cg, VICTIM_MIB + 8);
	v = victim_new(&(struct victim_how){
		.name = "v_there", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = victim_eat });
	victim_go(v);
	ok(memory_back(v), "OOM victim that was reaped: its memory is back");
	no_panic("OOM victim that was reaped", v);
}

/* The last thing that this machine does. */
static int panic_mode(void)
{
	struct victim *v, *next;

	is_eq(knob_set("stuck_panic", "1"), 0, "stuck_panic can be set");
	no_panic_killed();
	no_panic_returned();
	cg_limit_mib(cg, VICTIM_MIB + 8);
	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_panic", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	next = victim_new(&(struct victim_how){ .name = "v_next", .cg = cg, .mib = 1, .run = victim_eat });
	diag("the last victim is %d", v->pid);
	victim_go(next);
	/* It does not wait that long. */
	sleep_ms(PATIENCE_MS);
	ok(false, "the machine panics");
	return done();
}

int main(int argc, char **argv)
{
	ok(mr_loaded(), "memrescue is there");
	cg = cg_new("stuckreport");
	is_eq(knob_set("stuck_report_ms", "%d", REPORT_MS), 0, "stuck_report_ms can be set");
	if (argc > 1 && !strcmp(argv[1], "panic"))
		return panic_mode();
	unreapable_oom();
	killer_does_not_wait_for_report();
	unreapable_killed();
	reaped_but_there();
	return done();
}
