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
#include <linux/sched/task.h>
#include "compat/mm.h"
#include "reaper/settle_rule.h"
#include "reaper/victim.h"

/* Processes that are looked at without a chance for others to run. */
#define WALK_BATCH	1024u

/* How often a walk begins anew because its place was lost. */
#define WALK_ROUNDS	16u

/* exit_mmap() has come to its end, or near it. */
static bool is_freed(struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users) &&
	       (compat_mm_flag(mm, MMF_OOM_SKIP) || !mm_pgtables_bytes(mm));
}

static void look_at_threads(const struct victim *v, struct settle_look *look)
{
	struct task_struct *thread;

	rcu_read_lock();
	for_each_thread(v->task, thread) {
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
 *
 * Context: worker.
 * Return: SETTLE_*.
 */
unsigned int memrescue_settle(struct victim *v)
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

	look_at_threads(v, &look);
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

/* Others run meanwhile. Returns false if the place in the list was lost. */
static bool take_breath(struct task_struct *process)
{
	bool there;

	get_task_struct(process);
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
	there = pid_alive(process);
	put_task_struct(process);
	return there;
}

/* Context: within rcu_read_lock(). Returns false if it must begin anew. */
static bool walk(bool breathe)
{
	struct task_struct *process;
	unsigned int n = 0;

	for_each_process(process) {
		if (is_dying(process))
			memrescue_record_claim(process, HOOK_REASON_KILLED);
		if (breathe && ++n % WALK_BATCH == 0 && !take_breath(process))
			return false;
	}
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
	unsigned int round = 0;

	rcu_read_lock();
	while (!walk(round < WALK_ROUNDS))
		round++;
	rcu_read_unlock();
}
