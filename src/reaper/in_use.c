// SPDX-License-Identifier: GPL-2.0
/*
 * Doing something while an address space is in use for sure, without a
 * reference to its users: whoever drops the last one has to take it down, and
 * a worker would do so after the process's parent has been told of its end.
 *
 * A thread gives up its mm in exit_mm() (kernel/exit.c) and exec_mmap()
 * (fs/exec.c), with its alloc_lock held, and drops its reference after that. So
 * whoever holds that lock and sees the mm there keeps it in use.
 *
 * The victim's own threads are asked, and those of one other process, which a record
 * remembers. Another one is looked for only when none of these uses the mm any
 * more, and when there is none that is remembered as well: all are dying, so nobody
 * comes (eligible.c, check_sharers()).
 *
 * Context: worker. The locks are tried; nothing else is taken outside of them.
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

/* Context: within rcu_read_lock(). */
static bool while_in_use_by(struct task_struct *process, struct mm_struct *mm,
			    memrescue_in_use_fn fn, void *arg)
{
	struct task_struct *thread;
	bool in_use;

	for_each_thread(process, thread) {
		if (READ_ONCE(thread->mm) != mm || (thread->flags & PF_KTHREAD) ||
		    !spin_trylock(&thread->alloc_lock))
			continue;
		in_use = thread->mm == mm;
		if (in_use)
			fn(mm, arg);
		spin_unlock(&thread->alloc_lock);
		if (in_use)
			return true;
	}
	return false;
}

/**
 * memrescue_while_in_use() - do something while a process uses a victim's mm
 * @v: the record
 * @fn: what to do; called once or not at all, with a spinlock held
 * @arg: passed on
 *
 * Context: the one worker of a waiting record, or victim.cursor_lock held. Takes the
 * alloc_lock of a thread that uses the mm.
 * Return: false if @fn was not called: none of the processes that are known uses the
 * mm, or the locks of all who do are held.
 */
bool memrescue_while_in_use(const struct victim *v, memrescue_in_use_fn fn,
			    void *arg)
{
	bool done;

	rcu_read_lock();
	done = while_in_use_by(v->task, v->mm, fn, arg) ||
	       (v->user && while_in_use_by(v->user, v->mm, fn, arg));
	rcu_read_unlock();
	return done;
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
