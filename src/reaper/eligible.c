// SPDX-License-Identifier: GPL-2.0
/*
 * May a victim's address space be touched?
 *
 * The conditions are those of process_mrelease(2): every process that uses
 * the address space is dying, and none writes a core dump. Added to them: no
 * thread may still need its robust futex list (robust.c), and a process with
 * oom_score_adj -1000 is never touched.
 *
 * All of it is stable once it holds: a process that was killed is not revived,
 * clones nothing and dumps nothing.
 *
 * Context: worker, no lock held.
 */
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include "compat/mm.h"
#include "compat/task.h"
#include "reaper/robust_rule.h"
#include "reaper/victim.h"

/* Context: the process's sighand lock held. */
static unsigned int check_killed(struct task_struct *process,
				 struct mm_struct *mm)
{
	struct signal_struct *sig = process->signal;

	if (compat_dumps_core(sig, mm))
		return STEP_WAIT;
	if (sig->flags & SIGNAL_GROUP_EXIT)
		return STEP_MORE;
	if (thread_group_empty(process) && (process->flags & PF_EXITING))
		return STEP_MORE;
	return STEP_SHARED;
}

/*
 * The lock makes sure that a SIGKILL that is seen has reached every thread. It
 * is only tried: whoever holds it may be printing.
 * Context: within rcu_read_lock(). Returns STEP_MORE when it is dying for sure,
 * STEP_SHARED when it lives for sure, else STEP_WAIT.
 */
static unsigned int check_dying(struct task_struct *process,
				struct mm_struct *mm)
{
	struct sighand_struct *sighand = rcu_dereference(process->sighand);
	unsigned int step = STEP_WAIT;
	unsigned long flags;

	/* None: its parent has taken note of its end. */
	if (!sighand)
		return STEP_MORE;
	if (!spin_trylock_irqsave(&sighand->siglock, flags))
		return STEP_WAIT;
	if (rcu_access_pointer(process->sighand) == sighand)
		step = check_killed(process, mm);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return step;
}

/* Threads of a process that use this mm. */
static int count_users(struct task_struct *process, struct mm_struct *mm)
{
	struct task_struct *thread;
	int users = 0;

	for_each_thread(process, thread)
		if (READ_ONCE(thread->mm) == mm)
			users++;
	return users;
}

/* Context: within rcu_read_lock(). Returns STEP_MORE, _WAIT, _SHARED, _LEAVE. */
static unsigned int check_process(struct task_struct *process,
				  struct mm_struct *mm, bool robust)
{
	unsigned int step;

	/* A kernel thread that borrows the mm is told by MMF_UNSTABLE. */
	if (process->flags & PF_KTHREAD)
		return STEP_MORE;
	if (is_global_init(process) ||
	    READ_ONCE(process->signal->oom_score_adj) == OOM_SCORE_ADJ_MIN)
		return STEP_LEAVE;
	step = check_dying(process, mm);
	if (step == STEP_MORE && robust && memrescue_robust_held(process, mm))
		return STEP_WAIT;
	return step;
}

/* Like check_process(), for every other process that uses the mm. */
static unsigned int check_sharers(struct victim *v, bool robust)
{
	struct task_struct *process;
	unsigned int step;

	for_each_process(process) {
		if (same_thread_group(process, v->task) ||
		    !count_users(process, v->mm))
			continue;
		step = check_process(process, v->mm, robust);
		if (step != STEP_MORE)
			return step;
	}
	return STEP_MORE;
}

/* With @robust, the caller holds one reference to the users of the mm. */
static unsigned int check_all(struct victim *v, bool robust)
{
	unsigned int step = STEP_MORE;
	int users, all;

	rcu_read_lock();
	/*
	 * First all users, then those that are its threads: one that leaves in
	 * between counts among all, and hides nobody else.
	 */
	all = atomic_read(&v->mm->mm_users);
	/* Pairs with the full barrier of the decrement in mmput(). */
	smp_rmb();
	users = count_users(v->task, v->mm);
	if (users)
		step = check_process(v->task, v->mm, robust);
	/* Others may use it only if there are more users than its threads. */
	if (step == STEP_MORE && all > users + robust)
		step = check_sharers(v, robust);
	rcu_read_unlock();
	/*
	 * The killed process has left its mm to one that lives on: it was a
	 * vfork child, or one of several processes that share memory.
	 */
	if (step == STEP_SHARED)
		step = users || v->oom ? STEP_WAIT : STEP_LEAVE;
	return step;
}

/*
 * With the mm in use by this worker, lists can be read from user memory. When
 * every thread has left the mm, none needs its list any more.
 */
static unsigned int check_robust(struct victim *v)
{
	unsigned int step;

	if (!mmget_not_zero(v->mm))
		return STEP_MORE;
	kthread_use_mm(v->mm);
	step = check_all(v, true);
	kthread_unuse_mm(v->mm);
	mmput_async(v->mm);
	return step;
}

/* From when the last of those who use the mm was killed. */
static bool has_had_grace(const struct victim *v)
{
	u64 us = memrescue_us_between(v->stopped_ns, ktime_get_mono_fast_ns());

	return memrescue_robust_expired(div_u64(us, USEC_PER_MSEC));
}

/**
 * memrescue_eligible() - may the victim's address space be touched?
 * @v: record in state VICTIM_WAITING, held by this worker
 *
 * Context: worker.
 * Return: STEP_MORE yes, STEP_WAIT not yet, STEP_LEAVE never, STEP_GONE the
 * kernel is freeing it by itself and could not be made to wait.
 */
unsigned int memrescue_eligible(struct victim *v)
{
	unsigned int step;

	/* Cheap and without an effect on anybody; then thoroughly. */
	step = check_all(v, false);
	if (step == STEP_MORE && !v->stopped_ns) {
		memrescue_robust_stop(v->mm);
		v->stopped_ns = ktime_get_mono_fast_ns();
	}
	if (step == STEP_MORE && !has_had_grace(v))
		step = check_robust(v);
	if (step == STEP_MORE && !compat_exit_shall_wait(v->mm))
		step = STEP_GONE;
	return step;
}
