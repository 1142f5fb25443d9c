/* SPDX-License-Identifier: GPL-2.0 */
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
#ifndef MEMRESCUE_REAPER_IN_USE_H
#define MEMRESCUE_REAPER_IN_USE_H

#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include "reaper/victim.h"

/* Inlined with what it calls: no function is called through a pointer. */
typedef void (*memrescue_in_use_fn)(struct mm_struct *mm, void *arg);

/* Context: within rcu_read_lock(). */
static __always_inline bool
memrescue_while_in_use_by(struct task_struct *process, struct mm_struct *mm,
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
static __always_inline bool
memrescue_while_in_use(const struct victim *v, memrescue_in_use_fn fn,
		       void *arg)
{
	bool done;

	rcu_read_lock();
	done = memrescue_while_in_use_by(v->task, v->mm, fn, arg) ||
	       (v->user && memrescue_while_in_use_by(v->user, v->mm, fn, arg));
	rcu_read_unlock();
	return done;
}

void memrescue_find_user(struct victim *v);

#endif
