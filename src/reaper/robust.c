// SPDX-License-Identifier: GPL-2.0
/*
 * Robust futexes: what a victim's threads still need of their memory.
 *
 * The rule is in robust_rule.h, its derivation in docs/reaper.md. This file
 * looks at the threads without ever waiting for one of them.
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
#include <linux/uaccess.h>
#include "compat/mm.h"
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

/*
 * Lists are told apart by the address of their head; the highest bit, which no
 * address of user space has on amd64, tells a 32-bit program's.
 */
#define KEY_32	(IS_ENABLED(CONFIG_COMPAT) ? 1UL << (BITS_PER_LONG - 1) : 0UL)

union robust_head {
	struct robust_list_head wide;
	struct compat_robust_head32 narrow;
};

static unsigned long key_address(unsigned long key)
{
	return key & ~KEY_32;
}

static size_t head_size(unsigned long key)
{
	return key & KEY_32 ? sizeof(struct compat_robust_head32) :
			      sizeof(struct robust_list_head);
}

static void look_at_head(struct robust_view *view, unsigned long key,
			 const union robust_head *head)
{
	unsigned long at = key_address(key);

	view->readable = true;
	if (key & KEY_32)
		view->empty = !head->narrow.list_op_pending &&
			      head->narrow.next == (u32)at;
	else
		view->empty = !head->wide.list_op_pending &&
			      (unsigned long)head->wide.list.next == at;
}

static void read_list(struct robust_view *view, unsigned long key,
		      struct robust_aside *aside)
{
	void __user *at = (void __user *)key_address(key);
	union robust_head head;

	view->registered = true;
	view->aside = memrescue_robust_pass_over(aside, key);
	if (view->aside)
		return;
	if (aside->direct &&
	    !copy_from_user_nofault(&head, at, head_size(key))) {
		look_at_head(view, key, &head);
	} else {
		memrescue_robust_put_aside(aside, key);
		view->aside = true;
	}
}

static bool thread_needs(struct task_struct *thread, struct mm_struct *mm,
			 struct robust_aside *aside)
{
	unsigned long wide = (unsigned long)compat_robust_list(thread);
	unsigned long narrow = (unsigned long)compat_robust_list32(thread);
	unsigned long keys[] = { wide, narrow ? narrow | KEY_32 : 0 };
	bool passed = READ_ONCE(thread->mm) != mm ||
		      compat_futex_exit_over(thread);
	unsigned int i;

	if (!aside)
		return !passed && (wide || narrow);
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		/* memrescue_robust_stop() was called. */
		struct robust_view view = {
			.passed = passed, .in_kernel = true,
		};

		if (!passed && keys[i])
			read_list(&view, keys[i], aside);
		if (memrescue_robust_needs(&view))
			return true;
	}
	return false;
}

/**
 * memrescue_robust_held() - does a process still need its robust lists?
 * @process: any thread of it
 * @mm: its address space
 * @aside: takes up lists that cannot be read in passing, for
 *	memrescue_robust_held_aside(): all, unless @aside->direct, for which @mm
 *	is borrowed by this worker (kthread_use_mm()). NULL: no list is read, and
 *	one that may be needed counts as one that is
 *
 * Context: worker, within rcu_read_lock(), after memrescue_robust_stop(). Does
 * not sleep.
 * Return: true if the memory must be left for now.
 */
bool memrescue_robust_held(struct task_struct *process, struct mm_struct *mm,
			   struct robust_aside *aside)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (thread_needs(thread, mm, aside))
			return true;
	return false;
}

/* Context: mmap_lock held for reading, exit_mmap() kept away. */
static bool is_held(struct mm_struct *mm, unsigned long key)
{
	struct robust_view view = { .in_kernel = true, .registered = true };
	union robust_head head;

	if (memrescue_mm_peek(mm, key_address(key), &head, head_size(key)))
		look_at_head(&view, key, &head);
	return memrescue_robust_needs(&view);
}

/**
 * memrescue_robust_held_aside() - is one of the lists put aside still needed?
 * @mm: their address space; exit_mmap() waits for holders of mmap_lock
 * @aside: lists of threads whose futex exit was not over
 *
 * They are in pages that are there and cannot be accessed, such as those that
 * automatic NUMA balancing has marked, or not in memory at all.
 *
 * Context: worker, no lock held. Takes mmap_lock for reading if it is free.
 * Return: true if the memory must be left for now.
 */
bool memrescue_robust_held_aside(struct mm_struct *mm,
				 const struct robust_aside *aside)
{
	bool held = false;
	unsigned int i;

	if (!aside->nr)
		return false;
	if (!mmap_read_trylock(mm))
		return true;
	if (!compat_tables_stay(mm))
		held = true;
	for (i = 0; i < aside->nr && !held; i++)
		held = is_held(mm, aside->keys[i]);
	mmap_read_unlock(mm);
	return held;
}
