// SPDX-License-Identifier: GPL-2.0
/*
 * May a victim's address space be touched?
 *
 * The conditions are those of process_mrelease(2): every process that uses
 * the address space is dying, and none writes a core dump. Added to them: what
 * its threads need to give up their robust futexes must be known (robust.c), and a
 * process with oom_score_adj -1000 is never touched.
 *
 * All of it is stable once it holds: a process that was killed is not revived,
 * starts no other one and dumps nothing.
 *
 * Context: worker, no lock held.
 */
#include <linux/math64.h>
#include <linux/oom.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include "compat/mm.h"
#include "compat/task.h"
#include "reaper/in_use.h"
#include "reaper/victim.h"
#include "reaper/walk.h"

/* Context: the process's sighand lock held; @thread is any of its threads. */
static unsigned int check_killed(struct task_struct *thread,
				 struct mm_struct *mm)
{
	struct signal_struct *sig = thread->signal;

	if (compat_dumps_core(sig, mm))
		return STEP_DUMPS;
	if (sig->flags & SIGNAL_GROUP_EXIT)
		return STEP_MORE;
	if (thread_group_empty(thread) && (thread->flags & PF_EXITING))
		return STEP_MORE;
	return STEP_SHARED;
}

/*
 * A thread of the process that has not been released yet, or NULL: then its
 * parent has taken note of its end.
 */
static struct task_struct *find_thread(struct task_struct *process)
{
	struct task_struct *thread;

	if (rcu_access_pointer(process->sighand))
		return process;
	for_each_thread(process, thread)
		if (rcu_access_pointer(thread->sighand))
			return thread;
	return NULL;
}

/*
 * The lock makes sure that a SIGKILL that is seen has reached every thread. It
 * is only tried: whoever holds it may be printing.
 * Context: within rcu_read_lock(). Returns STEP_MORE when it is dying for sure,
 * STEP_SHARED when it lives for sure, STEP_DUMPS, else STEP_WAIT.
 */
static unsigned int check_dying(struct task_struct *process,
				struct mm_struct *mm)
{
	struct task_struct *thread = find_thread(process);
	struct sighand_struct *sighand;
	unsigned int step = STEP_WAIT;
	unsigned long flags;

	if (!thread)
		return STEP_MORE;
	sighand = rcu_dereference(thread->sighand);
	if (!sighand || !spin_trylock_irqsave(&sighand->siglock, flags))
		return STEP_WAIT;
	if (rcu_access_pointer(thread->sighand) == sighand)
		step = check_killed(thread, mm);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return step;
}

/**
 * struct users - threads of a process that use an mm
 * @any: there is one
 * @old: those that were there at a certain time
 * @threads: how many threads it has
 */
struct users {
	bool any;
	int old;
	unsigned int threads;
};

/* @before_ns: that time. */
static struct users count_users(struct task_struct *process,
				struct mm_struct *mm, u64 before_ns)
{
	struct users users = { 0 };
	struct task_struct *thread;

	for_each_thread(process, thread) {
		users.threads++;
		if (READ_ONCE(thread->mm) != mm)
			continue;
		users.any = true;
		users.old += READ_ONCE(thread->start_time) < before_ns;
	}
	return users;
}

/*
 * A debugger that has asked for it (PTRACE_O_TRACEEXIT) looks at a thread that
 * ends before its memory goes, also when it was killed.
 */
static bool is_watched(struct task_struct *process, struct mm_struct *mm)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if ((READ_ONCE(thread->ptrace) &
		     PT_EVENT_FLAG(PTRACE_EVENT_EXIT)) &&
		    READ_ONCE(thread->mm) == mm)
			return true;
	return false;
}

/* Context: within rcu_read_lock(). Returns STEP_MORE, _WAIT, _SHARED, _DUMPS, _LEAVE. */
static unsigned int check_process(const struct victim *v,
				  struct task_struct *process,
				  enum robust_ask ask,
				  struct robust_aside *aside)
{
	unsigned int step;

	/* A kernel thread that borrows the mm is told by MMF_UNSTABLE. */
	if (process->flags & PF_KTHREAD)
		return STEP_MORE;
	if (is_global_init(process) ||
	    READ_ONCE(process->signal->oom_score_adj) == OOM_SCORE_ADJ_MIN)
		return STEP_LEAVE;
	step = check_dying(process, v->mm);
	/* Before the OOM killer all are equal, as to the stock reaper. */
	if (step == STEP_MORE && !READ_ONCE(v->oom) && is_watched(process, v->mm))
		return STEP_WAIT;
	if (step == STEP_MORE && ask != ROBUST_IGNORE &&
	    memrescue_robust_held(process, v->mm, ask, aside))
		return STEP_WAIT;
	return step;
}

/**
 * struct sharers - a search for other processes that use a victim's mm
 * @walk: over all processes
 * @v: the victim
 * @ask: see check_process()
 * @aside: likewise
 * @before_ns: when the users were counted
 * @others: so many of them were not the victim's threads
 * @left: so many of those may still be met
 * @found: one was met
 * @step: what check_process() says of those
 */
struct sharers {
	struct walk walk;
	struct victim *v;
	enum robust_ask ask;
	struct robust_aside *aside;
	u64 before_ns;
	int others;
	int left;
	bool found;
	unsigned int step;
};

static void begin_sharers(struct walk *walk)
{
	struct sharers *s = container_of(walk, struct sharers, walk);

	s->left = s->others;
}

/* Returns false when there is nothing more to find out. */
static bool check_sharer(struct walk *walk, struct task_struct *process)
{
	struct sharers *s = container_of(walk, struct sharers, walk);
	struct users users;

	if (same_thread_group(process, s->v->task))
		return true;
	users = count_users(process, s->v->mm, s->before_ns);
	walk->seen += users.threads;
	if (!users.any)
		return true;
	s->found = true;
	s->step = check_process(s->v, process, s->ask, s->aside);
	s->left -= users.old;
	return s->step == STEP_MORE && s->left > 0;
}

/*
 * Like check_process(), for every other process that uses the mm. Nobody is missed
 * although the walk takes breaths:
 *  - who uses it was started by one who did, and goes on using it until it ends or calls
 *    execve(2): nobody comes to it later;
 *  - one that is seen to be dying starts no other process, and what it has
 *    started lies behind it in the list; one that lives ends the search;
 *  - the search ends early when as many were met as there were; only those count
 *    that were there then, so that new threads (which the kernel makes for
 *    io_uring even for one that is dying) do not stand for somebody not met yet.
 * Where nobody is, nobody will be: those that use it are dying. Then this is not asked
 * again.
 */
static unsigned int check_sharers(struct sharers *s)
{
	memrescue_walk(&s->walk);
	if (!s->found)
		s->v->strangers = s->others;
	return s->step;
}

/* With ROBUST_COLLECT, and only then, @aside takes lists up. */
static unsigned int check_all(struct victim *v, enum robust_ask ask,
			      struct robust_aside *aside)
{
	struct sharers s = {
		.walk = { .look = check_sharer, .anew = begin_sharers },
		.v = v, .ask = ask, .aside = aside,
		.before_ns = ktime_get_ns(), .step = STEP_MORE,
	};
	struct users users;
	int before;

	/* Who was started before is counted. Pairs with the lock of the list of tasks. */
	smp_mb();
	rcu_read_lock();
	/*
	 * All users, before and after those that are its threads are counted: so
	 * one that leaves in between hides nobody else, nor does a thread that the
	 * kernel makes for io_uring, which it may do for a killed one as well.
	 */
	before = atomic_read(&v->mm->mm_users);
	/* Pairs with the full barrier of the decrement in mmput(). */
	smp_rmb();
	users = count_users(v->task, v->mm, s.before_ns);
	/* Pairs with that of making a thread known: its mm, then the list. */
	smp_rmb();
	s.others = memrescue_others_to_find(before,
					    atomic_read(&v->mm->mm_users),
					    users.old, v->strangers);
	if (users.any)
		s.step = check_process(v, v->task, ask, aside);
	rcu_read_unlock();
	/* Others may use it only if there are more users than its threads. */
	if (s.step == STEP_MORE && s.others)
		s.step = check_sharers(&s);
	/*
	 * The killed process has left its mm to one that lives on: it was a
	 * vfork child, or one of several processes that share memory.
	 */
	if (s.step == STEP_SHARED)
		return users.any || v->oom ? STEP_WAIT : STEP_LEAVE;
	return s.step;
}

/**
 * memrescue_had_grace() - has it been left alone for as long as by stock?
 * @v: a victim none of whose threads runs user code any more
 *
 * The time begins when the last of those who use its memory was seen to be killed.
 * It ends for victims of the OOM killer only: others are never taken by stock.
 *
 * Context: any.
 * Return: true if so.
 */
bool memrescue_had_grace(const struct victim *v)
{
	u64 us = memrescue_us_between(v->stopped_ns, ktime_get_mono_fast_ns());

	return READ_ONCE(v->oom) &&
	       memrescue_robust_expired(div_u64(us, USEC_PER_MSEC));
}

/*
 * Keep what the threads need to give up their locks. When every thread has left
 * the mm, none needs its list any more.
 */
static unsigned int keep_lists(struct victim *v, struct robust_aside *aside)
{
	unsigned int step;

	v->keep.nr = 0;
	memrescue_robust_first(aside);
	do {
		memrescue_robust_round(aside);
		step = check_all(v, ROBUST_COLLECT, aside);
		if (step == STEP_MORE && !memrescue_robust_read(v, aside))
			step = STEP_WAIT;
		cond_resched();
	} while (step == STEP_MORE && aside->more);
	/*
	 * Whoever is at his walk by now may have been before his list was read
	 * to the end. Pairs with the barriers between storing that and letting
	 * the next owner have a lock.
	 */
	smp_rmb();
	return step == STEP_MORE ? check_all(v, ROBUST_BEGUN, NULL) : step;
}

static void make_exit_wait(struct mm_struct *mm, void *unused)
{
	compat_make_exit_wait(mm);
}

/* From now on exit_mmap() waits for holders of mmap_lock. */
static unsigned int keep_tables(struct victim *v)
{
	if (compat_exit_waits(v->mm) ||
	    memrescue_while_in_use(v, make_exit_wait, NULL))
		return STEP_MORE;
	/* To be tried again when another user is known. */
	memrescue_find_user(v);
	if (memrescue_while_in_use(v, make_exit_wait, NULL))
		return STEP_MORE;
	return atomic_read(&v->mm->mm_users) ? STEP_WAIT : STEP_GONE;
}

/*
 * What must not be touched. An OOM victim is given to the kernel's own reaper,
 * which is less particular, at once or when a dump has had the time that it
 * would give it: otherwise its memory would stay, and another would be killed.
 */
static unsigned int refuse(const struct victim *v, unsigned int step)
{
	if (step == STEP_DUMPS &&
	    (!v->oom || memrescue_waited_ms(v) < ROBUST_WAIT_MS))
		return STEP_WAIT;
	if (v->oom && (step == STEP_DUMPS || step == STEP_LEAVE))
		return STEP_KERNEL;
	return step;
}

/**
 * memrescue_eligible() - may the victim's address space be touched?
 * @v: record in state VICTIM_WAITING, held by this worker
 * @aside: this worker's, of any content
 *
 * Context: worker.
 * Return: STEP_MORE yes, STEP_WAIT not yet, STEP_LEAVE never, STEP_KERNEL leave
 * it to the kernel's own reaper, STEP_GONE the kernel is freeing it by itself and
 * could not be made to wait.
 */
unsigned int memrescue_eligible(struct victim *v, struct robust_aside *aside)
{
	unsigned int step;
	bool grace = true;

	/* Cheap and without an effect on anybody; then thoroughly. */
	step = check_all(v, ROBUST_IGNORE, NULL);
	if (step == STEP_MORE && !v->stopped_ns) {
		memrescue_robust_stop(v->mm);
		v->stopped_ns = ktime_get_mono_fast_ns();
	}
	if (step == STEP_MORE)
		step = keep_tables(v);
	if (step == STEP_MORE && !memrescue_had_grace(v)) {
		grace = false;
		step = check_all(v, ROBUST_LOOK, NULL);
		if (step == STEP_WAIT)
			step = keep_lists(v, aside);
	}
	if (step != STEP_MORE)
		return refuse(v, step);
	if (grace)
		atomic_long_inc(&memrescue_reaper_stats.delayed);
	return STEP_MORE;
}
