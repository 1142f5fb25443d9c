// SPDX-License-Identifier: GPL-2.0
/*
 * Need somebody be killed? Not if a victim's memory is on its way. The kernel
 * waits for its victims, but there are gaps:
 *  - exit_mmap() hides a victim from the OOM killer (MMF_OOM_SKIP) before it frees
 *    the last pages: docs/reaper.md, "When the next one may be chosen";
 *  - the OOM killer of a cgroup does not look at processes that have left their
 *    cgroup, on some kernels not even at those whose threads all exit;
 *  - what a victim has beside its address space comes back later still: files in
 *    memory, page tables, buffers of io_uring, the stacks of its threads;
 *  - when it has chosen it does not look for memory once more.
 *
 * Context: see memrescue_spare().
 */
#include <linux/atomic.h>
#include <linux/math64.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include "compat/memcg.h"
#include "compat/task.h"
#include "reaper/oom_victims.h"
#include "reaper/spare_rule.h"
#include "reaper/victim.h"

/* Protected by oom_lock. */
static struct spare_reason reasons[SPARE_REASONS];

static bool may_put_off(const void *what, u64 id)
{
	u64 now_ms = div_u64(ktime_get_mono_fast_ns(), NSEC_PER_MSEC);

	return memrescue_spare_allowed(reasons, what, id, now_ms);
}

/*
 * Is the one chosen dying already? The kernel then kills nobody, but gives it what
 * it needs to exit. Without locks: the worst is that all is as on the stock kernel.
 */
static bool is_dying(struct task_struct *chosen)
{
	struct signal_struct *sig = chosen->signal;

	if (READ_ONCE(sig->flags) & SIGNAL_GROUP_EXIT)
		return !compat_signal_dumps(sig);
	return thread_group_empty(chosen) &&
	       (READ_ONCE(chosen->flags) & PF_EXITING);
}

/* What has come back meanwhile. */
static bool try_again(const struct oom_control *oc)
{
	return oc->memcg && compat_memcg_has_room(oc->memcg, oc->order) &&
	       may_put_off(oc->memcg, compat_memcg_serial(oc->memcg));
}

/**
 * memrescue_spare() - shall the OOM killer not kill whom it has chosen?
 * @oc: what it was called for
 *
 * It is then as if it had found a victim to wait for: who needs memory tries again.
 *
 * Context: oom_lock held by current, preemption off. Does not sleep.
 * Return: true if memory is there, or comes at once.
 */
bool memrescue_spare(const struct oom_control *oc)
{
	/* The administrator wants one killed (sysrq-f). */
	if (oc->order < 0 || !READ_ONCE(memrescue_reaper.running) ||
	    is_dying(oc->chosen))
		return false;
	if (!memrescue_oom_victims_coming(oc)) {
		/* What is seen to be over has left room: in this order. */
		smp_rmb();
		if (!try_again(oc))
			return false;
	}
	return true;
}

/**
 * memrescue_spared() - the OOM killer did not kill whom it had chosen
 *
 * Context: oom_lock held by current.
 */
void memrescue_spared(void)
{
	atomic_long_inc(&memrescue_reaper_stats.kills_put_off);
}
