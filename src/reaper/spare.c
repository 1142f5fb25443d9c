// SPDX-License-Identifier: GPL-2.0
/*
 * Need somebody be killed? Not if a victim's memory is on its way. The kernel
 * waits for its victims, but there are gaps:
 *  - exit_mmap() hides a victim from the OOM killer (MMF_OOM_SKIP) before it frees
 *    the last pages: docs/reaper.md, "When the next one may be chosen";
 *  - the OOM killer of a cgroup does not look at processes that have left their
 *    cgroup, on some kernels not even at those whose threads all exit;
 *  - when it has chosen it does not look for memory once more.
 *
 * Context: see memrescue_spare().
 */
#include <linux/atomic.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include "compat/memcg.h"
#include "compat/mm.h"
#include "reaper/spare_rule.h"
#include "reaper/victim.h"

/* Protected by oom_lock. */
static struct spare_reason reasons[SPARE_REASONS];

/*
 * Is exit_mmap() at work? It has page tables until it has unmapped everything, and
 * mmap_lock for writing from then on until all is freed (6.0 on).
 */
static bool is_being_freed(struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users) &&
	       (mm_pgtables_bytes(mm) || rwsem_is_locked(&mm->mmap_lock));
}

/*
 * Would the kernel wait for that victim, had it seen it? Of a cgroup's victims all
 * count; else only those that it may use, which is not asked here.
 */
static bool is_waited_for(const struct oom_control *oc, struct mm_struct *mm)
{
	return oc->memcg && !compat_mm_flag(mm, MMF_OOM_SKIP);
}

static bool may_put_off(const void *what, u64 id)
{
	u64 now_ms = div_u64(ktime_get_mono_fast_ns(), NSEC_PER_MSEC);

	return memrescue_spare_allowed(reasons, what, id, now_ms);
}

/* The process of a victim whose memory is on its way, or NULL. */
static struct task_struct *find_coming(const struct oom_control *oc)
{
	struct task_struct *process;
	struct mm_struct *mm;

	for_each_process(process) {
		mm = READ_ONCE(process->signal->oom_mm);
		if (mm && (is_waited_for(oc, mm) || is_being_freed(mm)) &&
		    (!oc->memcg || compat_memcg_has(oc->memcg, process)))
			return process;
	}
	return NULL;
}

static bool wait_for_coming(const struct oom_control *oc)
{
	struct task_struct *process;
	bool wait;

	rcu_read_lock();
	process = find_coming(oc);
	wait = process && may_put_off(process->signal->oom_mm,
				      process->start_time);
	rcu_read_unlock();
	return wait;
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
	if (oc->order < 0 || !READ_ONCE(memrescue_reaper.running))
		return false;
	if (!wait_for_coming(oc)) {
		/* What is seen to be over has left room: in this order. */
		smp_rmb();
		if (!try_again(oc))
			return false;
	}
	atomic_long_inc(&memrescue_reaper_stats.kills_put_off);
	return true;
}
