// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of victim is taken: by memcg OOM, global OOM, sysrq-f, kill -9
 * and cgroup.kill. Those that must be left alone are: small ones, those with
 * oom_score_adj -1000.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define LIMIT_MIB	56

static struct cgroup *cg;

static struct victim *stuck_victim(const char *name, int adj, unsigned int uid, void (*run)(struct victim *, void *))
{
	struct victim_how how = {
		.name = name, .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D,
		.oom_score_adj = adj, .uid = uid, .run = run,
	};

	log_mark();
	return victim_new(&how);
}

static void oom_memcg(void)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	cg_limit_mib(cg, LIMIT_MIB);
	v = stuck_victim("v_memcg", 7, 1234, victim_eat);
	victim_go(v);
	check_reaped(v, &before, "oom", "memcg OOM");
	cg_set(cg, "memory.max", "max");
	victim_free(v);
}

static void oom_global(void)
{
	struct mr_stats before = mr_stats();
	long kills = file_key("/proc/vmstat", "oom_kill");
	struct victim *v;
	struct victim_how how = {
		.name = "v_global", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = PAGES_HUGE,
		.oom_score_adj = 1000, .run = victim_eat,
	};

	log_expect(ALLOCATION_FAILURE_OF_VICTIM);
	log_mark();
	v = victim_new(&how);
	victim_go(v);
	WAIT_UNTIL(file_key("/proc/vmstat", "oom_kill") > kills, PATIENCE_MS);
	check_reaped(v, &before, "oom", "global OOM");
	is_eq(file_key("/proc/vmstat", "oom_kill"), kills + 1, "global OOM: one process was killed");
	victim_free(v);
}

static void sysrq_f(void)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	if (!file_exists("/proc/sysrq-trigger")) {
		skip("the kernel has no CONFIG_MAGIC_SYSRQ", "sysrq-f: its memory is back while it is stuck");
		return;
	}
	v = stuck_victim("v_sysrq", 1000, 0, NULL);
	file_write("/proc/sysrq-trigger", "f");
	check_reaped(v, &before, "oom", "sysrq-f");
	victim_free(v);
}

static void sigkill(void)
{
	struct mr_stats before = mr_stats();
	struct victim *v = stuck_victim("v_kill9", -5, 4321, NULL);

	victim_kill(v);
	check_reaped(v, &before, "killed", "kill -9");
	victim_free(v);
}

static void cgroup_kill(void)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	if (!kernel_at_least(5, 14)) {
		skip("cgroup.kill came with 5.14", "cgroup.kill: its memory is back while it is stuck");
		return;
	}
	v = stuck_victim("v_cgkill", 0, 0, NULL);
	is_eq(cg_set(cg, "cgroup.kill", "1"), 0, "cgroup.kill: there is such a file");
	check_reaped(v, &before, "killed", "cgroup.kill");
	victim_free(v);
}

/*
 * Killed before another one and still untouched when that one's memory is
 * back: it was not merely slow. @skipped: how it is counted.
 */
static void left_alone(const char *name, const struct victim_how *how, long skipped)
{
	long before = mr_stat("skipped");
	struct victim *v;

	log_mark();
	v = victim_new(how);
	victim_kill(v);
	ok(later_victim_taken() && mrt_held(mrt(), v->pid) > 0, "%s: a victim that comes after it is taken", name);
	ok(memory_there(v) && !log_find("memrescue: reaped pid=%d ", v->pid), "%s: it is not touched", name);
	WAIT_UNTIL(mr_stat("skipped") >= before + skipped, PATIENCE_MS);
	check_gone(v, name);
	is_eq(mr_stat("skipped") - before, skipped, "%s: %s", name,
	      skipped ? "it is counted as left alone" : "it is no victim, and not counted");
	victim_free(v);
}

/* A process chooses its name, but not what the log says of it. */
static void odd_name(void)
{
	struct reaped r = { 0 };
	struct victim *v;

	v = stuck_victim("v a=1\nuid=0", 0, 1234, NULL);
	victim_kill(v);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r) && r.uid == 1234 &&
	   !strcmp(r.comm, "v_a_1_uid_0"), "a name with spaces, equals signs and newlines: still one word of one line");
	diag("comm=%s", r.comm);
	mrt_release(mrt());
	victim_free(v);
}

#define EXIT_TRIES	20
#define LOCKED_MS	2000

/* One whose memory cannot be touched until it exits: by then memrescue looks seldom enough to come too late for a small one. */
static bool exits_by_itself(struct reaped *r)
{
	struct victim_how how = {
		.name = "v_exits", .cg = cg, .mib = 1, .stuck = STUCK_VMAS_WRITE, .uid = 1234, .oom_score_adj = 7,
	};
	struct victim *v;
	bool good;

	log_mark();
	v = victim_new(&how);
	victim_kill(v);
	sleep_ms(LOCKED_MS);
	mrt_release(mrt());
	good = WAIT_UNTIL(log_find("memrescue: exited pid=%d ", v->pid) || log_find("memrescue: reaped pid=%d ", v->pid),
			  PATIENCE_MS) && log_victim("exited", v->pid, r);
	victim_free(v);
	return good;
}

static void exited(void)
{
	long before = mr_stat("reaped");
	struct reaped r = { 0 };
	int tries = 1;

	knob_set("kill_min_kb", "0");
	while (!exits_by_itself(&r) && tries++ < EXIT_TRIES)
		before = mr_stat("reaped");
	ok(tries <= EXIT_TRIES, "one that exits by itself is logged as such, with the same fields");
	ok(!strcmp(r.comm, "v_exits") && r.uid == 1234 && r.oom_score_adj == 7 && r.rss_kb > 0 &&
	   r.freed_kb <= r.rss_kb && r.in_us >= LOCKED_MS * 1000L && !strcmp(r.reason, "killed"),
	   "its line: who it was, what it had, and when that was back");
	is_eq(mr_stat("reaped"), before, "it is not counted as reaped");
	diag("%d tries", tries);
	knob_set("kill_min_kb", "32768");
}

int main(void)
{
	cg = cg_new("kinds");
	ok(mr_loaded(), "memrescue is there");
	oom_memcg();
	sigkill();
	cgroup_kill();
	sysrq_f();
	oom_global();
	odd_name();
	exited();
	left_alone("below kill_min_kb", &(struct victim_how){
		.name = "v_small", .cg = cg, .mib = 16, .stuck = STUCK_D }, 0);
	left_alone("oom_score_adj -1000", &(struct victim_how){
		.name = "v_holy", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .oom_score_adj = -1000 }, 1);
	return done();
}
