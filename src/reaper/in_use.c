// SPDX-License-Identifier: GPL-2.0
/*
 * Who else uses an address space: the search for a process that a record remembers,
 * for in_use.h.
 *
 * Context: worker.
 */
#include <linux/compiler.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include "reaper/in_use.h"
#include "reaper/victim.h"
#include "reaper/walk.h"

/* Context: within rcu_read_lock(). */
static bool uses(struct task_struct *process, const struct mm_struct *mm)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (READ_ONCE(thread->mm) == mm && !(thread->flags & PF_KTHREAD))
			return true;
	return false;
}

/* A search for a process that uses an mm. */
struct search {
	struct walk walk;
	const struct mm_struct *mm;
	struct task_struct *found;	/* with a reference */
};

static bool try_user(struct walk *walk, struct task_struct *process)
{
	struct search *search = container_of(walk, struct search, walk);

	walk->seen += get_nr_threads(process);
	if (!uses(process, search->mm))
		return true;
	get_task_struct(process);
	search->found = process;
	return false;
}

/* Is there one to be looked for? Else the locks were held, which passes. */
static bool wants_user(struct victim *v)
{
	bool used;

	if (READ_ONCE(v->userless) || !atomic_read(&v->mm->mm_users))
		return false;
	spin_lock(&v->cursor_lock);
	rcu_read_lock();
	used = uses(v->task, v->mm) || (v->user && uses(v->user, v->mm));
	rcu_read_unlock();
	spin_unlock(&v->cursor_lock);
	return !used;
}

/**
 * memrescue_find_user() - look for another process that uses a victim's mm
 * @v: held by this worker; memrescue_while_in_use() has failed
 *
 * Context: worker, no lock held; may sleep.
 */
void memrescue_find_user(struct victim *v)
{
	struct search search = { .walk = { .look = try_user }, .mm = v->mm };
	struct task_struct *before;

	if (!wants_user(v))
		return;
	memrescue_walk(&search.walk);
	spin_lock(&v->cursor_lock);
	before = v->user;
	v->user = search.found;
	if (!search.found)
		WRITE_ONCE(v->userless, true);
	spin_unlock(&v->cursor_lock);
	if (before)
		put_task_struct(before);
}
