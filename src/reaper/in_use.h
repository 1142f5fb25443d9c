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
 * Context: worker. The locks are tried; nothing else is taken outside of them.
 */
#ifndef MEMRESCUE_REAPER_IN_USE_H
#define MEMRESCUE_REAPER_IN_USE_H

#include <linux/compiler.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

typedef void (*memrescue_in_use_fn)(struct mm_struct *mm, void *arg);

/* Context: within rcu_read_lock(). */
static __always_inline bool
memrescue_in_use_by(struct task_struct *process, struct mm_struct *mm,
		    memrescue_in_use_fn fn, void *arg)
{
	struct task_struct *thread;
	bool uses;

	for_each_thread(process, thread) {
		if (READ_ONCE(thread->mm) != mm || (thread->flags & PF_KTHREAD) ||
		    !spin_trylock(&thread->alloc_lock))
			continue;
		uses = thread->mm == mm;
		if (uses)
			fn(mm, arg);
		spin_unlock(&thread->alloc_lock);
		if (uses)
			return true;
	}
	return false;
}

/**
 * memrescue_while_in_use() - do something while a process uses an mm
 * @likely: who is asked first
 * @mm: address space, with a reference to the struct (mm_count)
 * @fn: what to do; called once or not at all, with a spinlock held
 * @arg: passed on
 *
 * Context: process context. Takes the alloc_lock of a thread that uses @mm.
 * Return: false if @fn was not called: nobody uses @mm, or the locks of all who
 * do are held.
 */
static __always_inline bool
memrescue_while_in_use(struct task_struct *likely, struct mm_struct *mm,
		       memrescue_in_use_fn fn, void *arg)
{
	struct task_struct *process;
	bool done;

	rcu_read_lock();
	done = memrescue_in_use_by(likely, mm, fn, arg);
	if (!done && atomic_read(&mm->mm_users)) {
		for_each_process(process) {
			done = memrescue_in_use_by(process, mm, fn, arg);
			if (done)
				break;
		}
	}
	rcu_read_unlock();
	return done;
}

#endif
