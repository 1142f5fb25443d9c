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
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include "compat/memcg.h"
#include "compat/mm.h"
#include "reaper/victim.h"

/*
 * For how long a kill is put off at most for the same reason: something may be in
 * the way of a victim's exit. A reason that nobody asked about for a while is
 * another one when it comes up again.
 */
#define SPARE_MS	1000u
#define PAUSE_MS	100u

/* Reasons at a time. If there are more, there is no putting off. */
#define REASONS		64u

/* An address space that is going, or a cgroup that has room; only compared. */
struct reason {
	const void *what;
	unsigned long since;	/* jiffies */
	unsigned long last;	/* jiffies */
};

/* Protected by oom_lock. */
static struct reason reasons[REASONS];

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

/* Context: within rcu_read_lock(). */
static const void *find_coming(const struct oom_control *oc)
{
	struct task_struct *process;
	struct mm_struct *mm;

	for_each_process(process) {
		mm = READ_ONCE(process->signal->oom_mm);
		if (mm && (is_waited_for(oc, mm) || is_being_freed(mm)) &&
		    (!oc->memcg || compat_memcg_has(oc->memcg, process)))
			return mm;
	}
	return NULL;
}

/* Why nobody need be killed; NULL: somebody has to. */
static const void *find_reason(const struct oom_control *oc)
{
	struct reaper *r = &memrescue_reaper;
	const void *what;

	if (oc->memcg && compat_memcg_has_room(oc->memcg, oc->order))
		return oc->memcg;
	if (bitmap_empty(r->used, r->nr_records))
		return NULL;
	rcu_read_lock();
	what = find_coming(oc);
	rcu_read_unlock();
	return what;
}

/* Its entry, or a new one; NULL if there is no room. Context: oom_lock held. */
static struct reason *entry_of(const void *what)
{
	struct reason *reason, *unused = NULL;

	for (reason = reasons; reason < reasons + REASONS; reason++) {
		if (!reason->what ||
		    time_after(jiffies,
			       reason->last + msecs_to_jiffies(PAUSE_MS)))
			unused = reason;
		else if (reason->what == what)
			return reason;
	}
	if (unused) {
		unused->what = what;
		unused->since = jiffies;
	}
	return unused;
}

/* Context: oom_lock held. */
static bool may_put_off(const void *what)
{
	struct reason *reason = entry_of(what);

	if (!reason)
		return false;
	reason->last = jiffies;
	return time_before(jiffies,
			   reason->since + msecs_to_jiffies(SPARE_MS));
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
	const void *what;

	/* The administrator wants one killed (sysrq-f). */
	if (oc->order < 0 || !READ_ONCE(memrescue_reaper.running))
		return false;
	what = find_reason(oc);
	if (!what || !may_put_off(what))
		return false;
	atomic_long_inc(&memrescue_reaper_stats.kills_put_off);
	return true;
}
