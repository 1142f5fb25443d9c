// SPDX-License-Identifier: GPL-2.0
/*
 * What an OOM victim still has, and when it may be hidden: see little_rule.h.
 *
 * Context: see each function. Lock order: see victim.h.
 */
#include <linux/mm.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include "compat/memcg.h"
#include "compat/mm.h"
#include "reaper/little.h"
#include "reaper/little_rule.h"
#include "reaper/victim.h"

static u64 had_bytes(const struct victim *v)
{
	return (u64)(v->rss_pages + v->swap_pages) << PAGE_SHIFT;
}

/**
 * memrescue_little_pages() - what of a victim may be left for its exit
 * @v: the record, adopted
 *
 * Context: any.
 * Return: pages.
 */
unsigned long memrescue_little_pages(const struct victim *v)
{
	return memrescue_little(had_bytes(v)) >> PAGE_SHIFT;
}

/**
 * memrescue_has_spared() - is there still much that is to be taken later?
 * @v: after a pass
 *
 * Private copies of files, and mlocked pages of files.
 *
 * Context: the worker that ends the pass; no lock held: sums take time on many CPUs.
 * Return: true if they may be more than can be left for its exit.
 */
bool memrescue_has_spared(const struct victim *v)
{
	unsigned long little = memrescue_little_pages(v);

	if (v->spared_copies > little &&
	    compat_mm_counter(v->mm, MM_ANONPAGES) +
	    compat_mm_counter(v->mm, MM_SWAPENTS) > little)
		return true;
	return v->spared_locked > little &&
	       compat_mm_counter(v->mm, MM_FILEPAGES) +
	       compat_mm_counter(v->mm, MM_SHMEMPAGES) > little;
}

/**
 * memrescue_has_little() - is it known that next to nothing is left of a victim?
 * @v: in state VICTIM_RETURNED, and not freed meanwhile
 *
 * Context: process context, no lock held. The sums last: they take time on many CPUs.
 * Return: true if so.
 */
bool memrescue_has_little(const struct victim *v)
{
	const u64 little = memrescue_little(had_bytes(v));
	struct mm_struct *mm = v->mm;
	struct little_left left = { 0 };
	unsigned long pages;

	rcu_read_lock();
	left.is_charged = compat_memcg_charge(v->task, &pages);
	rcu_read_unlock();
	left.charged = (u64)pages << PAGE_SHIFT;
	left.tables = mm_pgtables_bytes(mm);
	left.pinned = (u64)(atomic64_read(&mm->pinned_vm) +
			    READ_ONCE(mm->locked_vm)) << PAGE_SHIFT;
	left.stacks = (u64)READ_ONCE(v->task->signal->nr_threads) * THREAD_SIZE;
	if (!memrescue_is_little(&left, little))
		return false;
	left.mapped = (u64)(compat_mm_rss(mm) +
			    compat_mm_counter(mm, MM_SWAPENTS)) << PAGE_SHIFT;
	return memrescue_is_little(&left, little);
}

/* Neither reaped nor being reaped: the stock reaper would give it up. */
static bool is_stuck(const struct victim *v)
{
	return v->state == VICTIM_WAITING ||
	       (v->state == VICTIM_REAPING && READ_ONCE(v->blocked_ns));
}

/**
 * memrescue_may_hide() - may the OOM killer choose another one in its stead?
 * @v: an OOM victim that was adopted; victim.little is up to date
 *
 * Context: reaper.lock held.
 * Return: true if so.
 */
bool memrescue_may_hide(const struct victim *v)
{
	u64 age_ms = div_u64(memrescue_us_between(v->oom_ns,
						  ktime_get_mono_fast_ns()),
			     USEC_PER_MSEC);

	lockdep_assert_held(&memrescue_reaper.lock);
	if (v->state == VICTIM_RETURNED)
		return memrescue_hide_due(age_ms,
					  rwsem_is_locked(&v->mm->mmap_lock),
					  false) || v->little;
	/* Later if the administrator wants so. */
	return is_stuck(v) && memrescue_hide_due(age_ms, false, true) &&
	       age_ms >= READ_ONCE(memrescue_reaper_knobs.stuck_report_ms);
}
