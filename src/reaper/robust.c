// SPDX-License-Identifier: GPL-2.0
/*
 * Robust futexes: what a victim's threads still need of their memory.
 *
 * The rule is in robust_rule.h, its derivation in docs/reaper.md. This file
 * looks at the threads without ever waiting for one of them; robust_read.c reads
 * their lists.
 *
 * Context: worker.
 */
#include <linux/bits.h>
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/mm_types.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include "compat/task.h"
#include "reaper/robust_rule.h"
#include "reaper/victim.h"

#define KEY_32	(IS_ENABLED(CONFIG_COMPAT) ? 1UL << (BITS_PER_LONG - 1) : 0UL)

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

/**
 * memrescue_robust_head() - where the list is that a key stands for
 * @key: in struct robust_aside
 * @narrow: set: it is a 32-bit program's
 *
 * Lists are told apart by the address of their head; the highest bit, which no
 * address of user space has on amd64, tells a 32-bit program's.
 *
 * Context: any.
 * Return: the address of its head.
 */
unsigned long memrescue_robust_head(unsigned long key, bool *narrow)
{
	*narrow = key & KEY_32;
	return key & ~KEY_32;
}

static void put_aside(struct robust_aside *aside, unsigned long key)
{
	if (key && !memrescue_robust_pass_over(aside, key))
		memrescue_robust_put_aside(aside, key);
}

static bool thread_needs(struct task_struct *thread, struct mm_struct *mm,
			 enum robust_ask ask, struct robust_aside *aside)
{
	unsigned long wide = (unsigned long)compat_robust_list(thread);
	unsigned long narrow = (unsigned long)compat_robust_list32(thread);
	struct robust_view view = {
		.passed = READ_ONCE(thread->mm) != mm ||
			  compat_futex_exit_over(thread),
		.registered = wide || narrow,
		.begun = compat_futex_exit_begun(thread),
	};

	if (memrescue_robust_needs(&view, ask))
		return true;
	if (ask == ROBUST_COLLECT && !view.passed) {
		put_aside(aside, wide);
		put_aside(aside, narrow ? narrow | KEY_32 : 0);
	}
	return false;
}

/**
 * memrescue_robust_held() - do threads of a process still need their robust lists?
 * @process: any thread of it
 * @mm: its address space
 * @ask: what is asked, not ROBUST_IGNORE
 * @aside: with ROBUST_COLLECT it takes up the lists, for memrescue_robust_read()
 *
 * Context: worker, within rcu_read_lock(), after memrescue_robust_stop(). Does
 * not sleep.
 * Return: true if the memory must be left for now.
 */
bool memrescue_robust_held(struct task_struct *process, struct mm_struct *mm,
			   enum robust_ask ask, struct robust_aside *aside)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (thread_needs(thread, mm, ask, aside))
			return true;
	return false;
}
