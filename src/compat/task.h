/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels about tasks: futex exit, core dumps.
 *
 * Context: any, under rcu_read_lock() or with a reference to the task.
 */
#ifndef MEMRESCUE_COMPAT_TASK_H
#define MEMRESCUE_COMPAT_TASK_H

#include <linux/futex.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/types.h>
#include "memrescue_config.h"

#ifdef HAVE_TASK_FUTEX
#define compat_futex_state(task)	((task)->futex.state)
#define compat_futex_list(task)		((task)->futex.robust_list)
#define compat_futex_list32(task)	((task)->futex.compat_robust_list)
#else
#define compat_futex_state(task)	((task)->futex_state)
#define compat_futex_list(task)		((task)->robust_list)
#define compat_futex_list32(task)	((task)->compat_robust_list)
#endif

/* Has the thread walked its robust list (or died trying)? */
static inline bool compat_futex_exit_over(struct task_struct *task)
{
	/* The kernel stores it under pi_lock when the list has been walked. */
	return READ_ONCE(compat_futex_state(task)) == FUTEX_STATE_DEAD;
}

/* Has it begun to, or is it over? In execve(2) it begins anew. */
static inline bool compat_futex_exit_begun(struct task_struct *task)
{
	return READ_ONCE(compat_futex_state(task)) != FUTEX_STATE_OK;
}

/* Bits of a pointer to an entry of a robust list that are flags; a name since 7.2. */
#ifdef FUTEX_ROBUST_MOD_MASK
#define COMPAT_ROBUST_MODS	FUTEX_ROBUST_MOD_MASK
#else
#define COMPAT_ROBUST_MODS	1UL
#endif

static inline struct robust_list_head __user *
compat_robust_list(struct task_struct *task)
{
	return READ_ONCE(compat_futex_list(task));
}

/* The robust list of a 32-bit program: NULL if it has none. */
static inline void __user *compat_robust_list32(struct task_struct *task)
{
#ifdef CONFIG_COMPAT
	return READ_ONCE(compat_futex_list32(task));
#else
	return NULL;
#endif
}

/* Is the process writing a core dump, or waiting for one of its mm? */
static inline bool compat_dumps_core(struct signal_struct *sig,
				     struct mm_struct *mm)
{
#ifdef HAVE_SIGNAL_GROUP_COREDUMP
	return (sig->flags & SIGNAL_GROUP_COREDUMP) || READ_ONCE(mm->core_state);
#else
	return READ_ONCE(sig->core_state);
#endif
}

/* The same, where the mm is not known: what the process itself says of it. */
static inline bool compat_signal_dumps(struct signal_struct *sig)
{
#ifdef HAVE_SIGNAL_GROUP_COREDUMP
	return READ_ONCE(sig->flags) & SIGNAL_GROUP_COREDUMP;
#else
	return READ_ONCE(sig->core_state);
#endif
}

/* Has the thread used an io_uring? Its context goes when the thread is freed. */
static inline bool compat_task_has_uring(struct task_struct *task)
{
#ifdef CONFIG_IO_URING
	return READ_ONCE(task->io_uring);
#else
	return false;
#endif
}

#endif
