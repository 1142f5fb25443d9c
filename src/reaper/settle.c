// SPDX-License-Identifier: GPL-2.0
/*
 * Those that are dying and that the OOM killer has not marked: do they get on by
 * themselves? And, when the reaper is turned on: who is dying already?
 *
 * Context: see each function; no lock held.
 */
#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "compat/mm.h"
#include "reaper/settle_rule.h"
#include "reaper/victim.h"
#include "reaper/walk.h"

/* exit_mmap() has come to its end, or near it. */
static bool is_freed(struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users) &&
	       (compat_mm_flag(mm, MMF_OOM_SKIP) || !mm_pgtables_bytes(mm));
}

static void look_at_threads(const struct victim *v, struct task_struct *task,
			    struct settle_look *look)
{
	struct task_struct *thread;

	rcu_read_lock();
	for_each_thread(task, thread) {
		if (READ_ONCE(thread->mm) != v->mm)
			continue;
		look->uses = true;
		look->blocked = task_state_to_char(thread) != 'R';
		if (look->blocked)
			break;
	}
	rcu_read_unlock();
}

/**
 * memrescue_settle() - does a process that is dying get on by itself?
 * @v: record in state VICTIM_SETTLING, held by this worker
 * @task: its task, with a reference: that of the record may change
 *
 * Context: worker.
 * Return: SETTLE_*.
 */
unsigned int memrescue_settle(struct victim *v, struct task_struct *task)
{
	struct settle_look look = {
		.waited_ms = memrescue_waited_ms(v),
		.users = atomic_read(&v->mm->mm_users),
		.users_before = v->users,
		.pages = get_mm_counter(v->mm, MM_ANONPAGES) +
			 get_mm_counter(v->mm, MM_SWAPENTS),
		.pages_before = v->left_pages,
		.shared = READ_ONCE(v->merged),
		.freed = is_freed(v->mm),
	};

	look_at_threads(v, task, &look);
	v->users = look.users;
	v->left_pages = look.pages;
	return memrescue_settle_rule(&look);
}

/* Context: within rcu_read_lock(). */
static bool is_dying(struct task_struct *process)
{
	struct task_struct *thread;

	if ((process->flags & PF_KTHREAD) ||
	    (!(READ_ONCE(process->signal->flags) & SIGNAL_GROUP_EXIT) &&
	     !(thread_group_empty(process) && (process->flags & PF_EXITING))))
		return false;
	for_each_thread(process, thread)
		if (READ_ONCE(thread->mm))
			return true;
	return false;
}

static bool claim_dying(struct walk *walk, struct task_struct *process)
{
	if (is_dying(process))
		memrescue_record_claim(process, HOOK_REASON_KILLED);
	return true;
}

/**
 * memrescue_reaper_find_dying() - take those that were killed before
 *
 * Context: process context, may sleep; with the hooks attached, so that none is
 * missed. Who is seen twice is taken once.
 */
void memrescue_reaper_find_dying(void)
{
	struct walk walk = { .look = claim_dying };

	memrescue_walk(&walk);
}
