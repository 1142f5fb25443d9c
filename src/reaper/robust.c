// SPDX-License-Identifier: GPL-2.0
/*
 * Robust futexes: what a victim's threads still need of their memory.
 *
 * The rule is in robust_rule.h, its derivation in docs/reaper.md. This file
 * looks at the threads without ever waiting for one of them.
 *
 * Context: worker, within rcu_read_lock().
 */
#include <linux/cpumask.h>
#include <linux/mm_types.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include "compat/task.h"
#include "reaper/robust_rule.h"
#include "reaper/victim.h"

static void interrupt(void *unused)
{
}

/**
 * memrescue_robust_stop() - see to it that killed threads run no user code
 * @mm: address space, all of whose users were seen to be killed
 *
 * Every CPU that runs one of its threads is interrupted. A thread in user mode
 * is thereby in the kernel and takes the signal on its way back; one that is
 * switched in later sees it before it gets there. So when this returns, what
 * the threads wrote to their lists is final.
 *
 * Context: worker, interrupts on, no lock held. Waits for the other CPUs as a
 * TLB flush does.
 */
void memrescue_robust_stop(struct mm_struct *mm)
{
	const struct cpumask *cpus = cpu_online_mask;

	/* Elsewhere the mask does not tell where an mm runs. */
	if (IS_ENABLED(CONFIG_X86))
		cpus = mm_cpumask(mm);
	preempt_disable();
	smp_call_function_many(cpus, interrupt, NULL, true);
	preempt_enable();
}

/* Context: the mm of the list is in use by this worker. */
static void read_list(struct robust_view *view,
		      struct robust_list_head __user *uhead)
{
	struct robust_list_head head;

	view->registered = true;
	view->readable = !copy_from_user_nofault(&head, uhead, sizeof(head));
	view->empty = view->readable && !head.list_op_pending &&
		      (void __user *)head.list.next == &uhead->list;
}

static void read_list32(struct robust_view *view, void __user *list)
{
	view->registered = true;
	view->readable = compat_robust_read32(list, &view->empty);
}

static bool thread_needs(struct task_struct *thread, struct mm_struct *mm,
			 bool read)
{
	struct robust_list_head __user *head = compat_robust_list(thread);
	void __user *list32 = compat_robust_list32(thread);
	/* memrescue_robust_stop() was called. */
	struct robust_view view = { .in_kernel = true };

	view.passed = READ_ONCE(thread->mm) != mm ||
		      compat_futex_exit_over(thread);
	if (!read)
		return !view.passed && (head || list32);
	if (!view.passed && head)
		read_list(&view, head);
	if (!view.passed && !memrescue_robust_needs(&view) && list32)
		read_list32(&view, list32);
	return memrescue_robust_needs(&view);
}

/**
 * memrescue_robust_held() - does a process still need its robust lists?
 * @process: any thread of it
 * @mm: its address space
 * @read: look into the lists; @mm is in use by this worker (kthread_use_mm()).
 *	Else a list that may be needed counts as one that is
 *
 * Context: worker, within rcu_read_lock(), after memrescue_robust_stop(). Does
 * not sleep.
 * Return: true if the memory must be left for now.
 */
bool memrescue_robust_held(struct task_struct *process, struct mm_struct *mm,
			   bool read)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (thread_needs(thread, mm, read))
			return true;
	return false;
}
