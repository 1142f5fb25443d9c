// SPDX-License-Identifier: GPL-2.0
/* VM tests: checks of a victim that many scenarios share. See lib.h. */
#include "lib.h"

/* Of a process whose first thread has ended nothing else can be read. */
static long victim_kib(const struct victim *v)
{
	if (!v->how.cg)
		bail("victim %s has no cgroup in which its memory could be seen", v->how.name);
	return cg_kib(v->how.cg);
}

/*
 * Not all of it: its page tables (more, if it took more memory than it had at
 * first), stacks and file pages stay until it ends.
 */
static bool is_back(struct victim *v)
{
	long over = victim_kib(v) - (v->kib - v->how.mib * KIB_PER_MIB * 9 / 10);

	if (over <= 0)
		return true;
	return over < 16 * KIB_PER_MIB && over <= cg_key(v->how.cg, "memory.stat", "pagetables") / 1024;
}

bool memory_back(struct victim *v)
{
	return WAIT_UNTIL(is_back(v), PATIENCE_MS);
}

bool memory_there(struct victim *v)
{
	return victim_kib(v) >= v->how.mib * KIB_PER_MIB;
}

bool later_victim_taken(void)
{
	struct cgroup *cg = cg_new("later");
	int holds = mrt_open();
	struct victim *v;
	bool taken;

	v = victim_new(&(struct victim_how){
		.name = "v_later", .cg = cg, .mib = 40, .stuck = STUCK_D, .holds = holds });
	victim_kill(v);
	taken = memory_back(v) && mrt_held(holds, v->pid) > 0;
	mrt_close(holds);
	victim_free(v);
	cg_remove(cg);
	return taken;
}

static void check_line(struct victim *v, const char *reason, const char *name)
{
	/* Before 6.2 each thread keeps what it has counted to itself until it comes to 64 pages. */
	long unseen = kernel_at_least(6, 2) ? 0 : 2 * 64 * (long)PAGE / 1024;
	long had = v->how.mib * KIB_PER_MIB - unseen;
	struct reaped r;

	if (!ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r),
		"%s: one log line, with exactly the documented fields", name))
		return;
	ok(!strcmp(r.comm, v->how.name) && r.uid == v->how.uid && r.oom_score_adj == v->how.oom_score_adj &&
	   !strcmp(r.reason, reason), "%s: the line names the victim, and reason=%s", name, reason);
	ok(r.rss_kb + r.swap_kb >= had && r.freed_kb >= had * 9 / 10 && r.freed_kb <= r.rss_kb + r.swap_kb,
	   "%s: the line's sizes are what the victim had", name);
	diag("%s", log_find("memrescue: reaped pid=%d ", v->pid));
	is_eq(log_count("memrescue: reaped pid=%d ", v->pid), 1, "%s: it is logged once", name);
}

static void check_stats(struct victim *v, const struct mr_stats *before, const char *reason, const char *name)
{
	bool oom = !strcmp(reason, "oom");
	struct mr_stats s = mr_stats();

	ok(s.victims == before->victims + 1 && s.victims_oom == before->victims_oom + oom &&
	   s.victims_killed == before->victims_killed + !oom && s.reaped == before->reaped + 1 &&
	   s.overflow == before->overflow, "%s: counted once, as one that was %s", name, reason);
	is_ge(s.reaped_pages - before->reaped_pages, v->how.mib * 256 * 9 / 10, "%s: its pages are counted", name);
	is_eq(s.delayed - before->delayed, 0, "%s: at once, not after the time for robust futexes", name);
}

void check_gone(struct victim *v, const char *name)
{
	struct cgroup *cg = v->how.cg;

	mrt_release(v->how.holds);
	ok(victim_wait_exit(v) && WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGKILL,
	   "%s: the victim ends by SIGKILL", name);
	ok(WAIT_UNTIL(cg_empty(cg), PATIENCE_MS) && cg_wait_below(cg, 1024, PATIENCE_MS),
	   "%s: nothing of it is left in its cgroup", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
}

void check_reaped(struct victim *v, const struct mr_stats *before, const char *reason, const char *name)
{
	if (ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0,
	       "%s: its memory is back while it is stuck", name)) {
		check_line(v, reason, name);
		check_stats(v, before, reason, name);
	} else {
		diag("%ld KiB in its cgroup, it had %ld; held: %ld", cg_kib(v->how.cg), v->kib,
		     mrt_held(v->how.holds, v->pid));
	}
	is_eq(log_count("oom_reaper: reaped process %d ", v->pid), 0, "%s: the stock reaper left it alone", name);
	check_gone(v, name);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
}
