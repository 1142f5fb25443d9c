// SPDX-License-Identifier: GPL-2.0
/*
 * What tasks that are rescued are not given a page for, and how many those that die are given. What may fail does so
 * at once, and only when there is nothing: see docs/pool.md.
 */
#include "load.h"

#include "rescue.h"

/* ---- what may fail ---- */

static long dma_stalls(void)
{
	return file_key("/proc/vmstat", "allocstall_dma");
}

/* As a task of that class; the zone has nothing left. It fails, and does not reclaim. */
static void fails(const char *class, struct cgroup *cg, struct mrt_alloc how, const char *name)
{
	long before = rescued(class, FAILED), served = rescued_all(SERVED), stalls = dma_stalls();

	alloc_in_child(cg, &how);
	is_eq(how.done, 1, "%s: the task is done", name);
	is_eq(how.got, 0, "%s: it gets nothing", name);
	is_ge(rescued(class, FAILED) - before, how.nr, "%s: all of them fail at once", name);
	is_eq(dma_stalls() - stalls, 0, "%s: without reclaim", name);
	/* A few while it exits. */
	is_le(rescued_all(SERVED) - served, 100, "%s: and without a page", name);
	diag("%s: the worst %u us, all of %u %llu us", name, how.worst_us, how.nr, (unsigned long long)how.all_us);
}

static void may_fail(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_DMA, .nr = 200 };
	struct cgroup *cg = cg_new("fails");
	struct mrt_alloc *all = shared_memory(sizeof(*all));
	long failed, stalls;
	pid_t pid;

	if (!reclaim_small_zone()) {
		skip("the kernel has no small zone", "may fail: at once");
		return;
	}
	lifeline_set('+', cg);
	/* Of the smallest zone: nothing fails while there is a page. */
	*all = (struct mrt_alloc){ .kind = MRT_GFP_DMA, .nr = 1500, .hold_ms = 600000 };
	pid = start_child(NULL, all, false);
	ok(WAIT_UNTIL(all->held, PATIENCE_MS) && all->got < all->nr, "may fail: a task has all of it, page by page");
	fails("lifeline", cg, how, "lifeline, may fail");
	how.flags = MRT_ALLOC_WHEN_KILLED;
	fails("dying", NULL, how, "dying, may fail");
	fails("lifeline", cg, (struct mrt_alloc){ .kind = MRT_GFP_PAIR_DMA, .nr = 200 }, "lifeline, two pages that may fail");
	failed = rescued("lifeline", FAILED) + rescued("dying", FAILED);
	stalls = dma_stalls();
	how.flags = 0;
	alloc_in_child(NULL, &how);
	ok(how.done && dma_stalls() > stalls, "others, may fail: they reclaim");
	is_le(rescued("lifeline", FAILED) + rescued("dying", FAILED) - failed, 20, "others, may fail: they are not made to fail");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	WAIT_UNTIL(reclaim_small_zone(), PATIENCE_MS);
	failed = rescued("lifeline", FAILED);
	how = (struct mrt_alloc){ .kind = MRT_GFP_READAHEAD, .nr = 200 };
	alloc_in_child(cg, &how);
	check_pages(&how, 200, "lifeline, read-ahead");
	is_eq(rescued("lifeline", FAILED) - failed, 0, "lifeline, read-ahead: does not fail while there is memory");
	lifeline_set('-', cg);
	cg_remove(cg);
	munmap(all, sizeof(*all));
}

/* ---- a rate ---- */

/* However many die, and however much they allocate. */
static void dying_rate(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 2000, .flags = MRT_ALLOC_WHEN_KILLED };
	long served = rescued("dying", SERVED), limited = rescued("dying", LIMITED), missed = rescued("dying", MISSED);
	long long begin = now_us();

	is_eq(pool_set("dying_rate_pages", "100"), 0, "rate of those that die: it can be set");
	alloc_in_child(NULL, &how);
	served = rescued("dying", SERVED) - served;
	missed = rescued("dying", MISSED) - missed;
	/* Ten in each tenth of a second that has begun. */
	is_le(served, 10 * ((now_us() - begin) / 100000 + 2), "rate of those that die: no more than it are served");
	is_ge(served, 1, "rate of those that die: but some");
	is_ge(rescued("dying", LIMITED) - limited, 2000 - served - missed, "rate of those that die: the others are counted");
	check_pages(&how, 2000, "rate of those that die");
	is_eq(pool_set("dying_rate_pages", "8192"), 0, "rate of those that die: it can be set back");
}

int main(void)
{
	mrt();
	log_mark();
	ok(mr_loaded() && state_is("active"), "memrescue is there, and can rescue");
	press(85);
	may_fail();
	press(85);
	dying_rate();
	release();
	ok(WAIT_UNTIL(pool_adds_up(), PATIENCE_MS), "no page is lost");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
