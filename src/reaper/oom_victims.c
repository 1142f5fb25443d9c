// SPDX-License-Identifier: GPL-2.0
/*
 * The OOM victims that are under way: see oom_victims.h.
 *
 * Lock order: oom_lock, then nothing.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include "compat/memcg.h"
#include "compat/mm.h"
#include "compat/task.h"
#include "reaper/little_rule.h"
#include "reaper/oom_victims.h"
#include "reaper/spare_rule.h"

#define OOM_VICTIMS	256u

/* Threads of one victim that are looked at. */
#define LOOK_THREADS	64u

/**
 * struct oom_victim - one of them
 *
 * Written before @live, constant as long as that is set:
 * @task: a task of it, with a reference
 * @mm: its address space, with a reference to the struct (mm_count)
 * @marked_ms: when it was added
 * @little: when so much of it is left there is nothing to wait for, bytes
 *
 * @live: the entry counts. Set by who added it, cleared with oom_lock held
 *
 * Protected by oom_lock:
 * @exit: what was seen of its exit
 */
struct oom_victim {
	struct task_struct *task;
	struct mm_struct *mm;
	u64 marked_ms;
	u64 little;
	bool live;
	struct spare_exit exit;
};

static struct oom_victim victims[OOM_VICTIMS];
/* One bit for each entry that is in use, also while it is being filled. */
static DECLARE_BITMAP(used, OOM_VICTIMS);
/* Entries in use. */
static atomic_t count = ATOMIC_INIT(0);

static u64 now_ms(void)
{
	return div_u64(ktime_get_mono_fast_ns(), NSEC_PER_MSEC);
}

static u64 age_of(const struct oom_victim *o, u64 now)
{
	return now > o->marked_ms ? now - o->marked_ms : 0;
}

/**
 * memrescue_oom_victims_any() - are there any at all?
 *
 * Context: any.
 * Return: true if so.
 */
bool memrescue_oom_victims_any(void)
{
	return atomic_read(&count);
}

static struct oom_victim *claim_entry(void)
{
	unsigned long i;

	for (;;) {
		i = find_first_zero_bit(used, OOM_VICTIMS);
		if (i >= OOM_VICTIMS)
			return NULL;
		if (!test_and_set_bit_lock(i, used))
			return &victims[i];
	}
}

/**
 * memrescue_oom_victims_add() - an OOM victim was marked
 * @task: a task of it; valid during the call
 * @mm: its address space; valid during the call
 *
 * Context: any but NMI; preemption off. Takes no lock, allocates nothing.
 */
void memrescue_oom_victims_add(struct task_struct *task, struct mm_struct *mm)
{
	struct oom_victim *o = claim_entry();
	u64 pages;

	if (!o)
		return;
	get_task_struct(task);
	mmgrab(mm);
	o->task = task;
	o->mm = mm;
	o->marked_ms = now_ms();
	pages = get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS);
	o->little = memrescue_little(pages << PAGE_SHIFT);
	o->exit = (struct spare_exit){ 0 };
	atomic_inc(&count);
	/* Pairs with smp_load_acquire() in next_live(). */
	smp_store_release(&o->live, true);
}

/* Context: oom_lock held, or no hook is left. */
static void remove(struct oom_victim *o)
{
	struct task_struct *task = o->task;
	struct mm_struct *mm = o->mm;

	WRITE_ONCE(o->live, false);
	atomic_dec(&count);
	/* Pairs with test_and_set_bit_lock() in claim_entry(). */
	clear_bit_unlock(o - victims, used);
	mmdrop(mm);
	put_task_struct(task);
}

/* The first entry from @i on that counts, or NULL. */
static struct oom_victim *next_live(unsigned long *i)
{
	for (;; (*i)++) {
		*i = find_next_bit(used, OOM_VICTIMS, *i);
		if (*i >= OOM_VICTIMS)
			return NULL;
		/* Pairs with memrescue_oom_victims_add(). */
		if (smp_load_acquire(&victims[*i].live))
			return &victims[(*i)++];
	}
}

/* Something that changes whenever one of them does. */
static void mix(struct spare_look *look, u64 value)
{
	look->sum = look->sum * 31 + value;
}

/*
 * Time on the CPU counts for a thread that exits: one that is stuck may look again
 * and again whether it can go on.
 *
 * Context: within rcu_read_lock().
 */
static void look_at_threads(const struct oom_victim *o, struct spare_look *look)
{
	struct signal_struct *sig = o->task->signal;
	struct task_struct *thread;
	unsigned int n = 0;

	look->ended = true;
	for_each_thread(o->task, thread) {
		if (READ_ONCE(thread->exit_state))
			continue;
		look->ended = false;
		look->runs |= task_state_to_char(thread) == 'R';
		look->lags |= compat_task_has_uring(thread);
		if (READ_ONCE(thread->flags) & PF_EXITING) {
			look->exits = true;
			mix(look, READ_ONCE(thread->se.sum_exec_runtime));
		}
		if (++n == LOOK_THREADS)
			break;
	}
	mix(look, READ_ONCE(sig->nr_threads));
	mix(look, atomic_read(&sig->live));
}

/*
 * Is exit_mmap() at work? It has page tables until it has unmapped everything, and
 * mmap_lock for writing from then on until all is freed (6.0 on).
 */
static bool is_being_freed(struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users) &&
	       (mm_pgtables_bytes(mm) || rwsem_is_locked(&mm->mmap_lock));
}

static void look_at_mm(const struct oom_victim *o, struct spare_look *look)
{
	struct mm_struct *mm = o->mm;

	look->hidden = compat_mm_flag(mm, MMF_OOM_SKIP);
	look->mm_there = is_being_freed(mm);
	mix(look, atomic_read(&mm->mm_users));
	mix(look, mm_pgtables_bytes(mm));
	mix(look, get_mm_rss(mm));
	mix(look, get_mm_counter(mm, MM_SWAPENTS));
}

/* Context: within rcu_read_lock(). */
static void look_at(const struct oom_victim *o, struct spare_look *look)
{
	unsigned long pages;

	*look = (struct spare_look){ .charge = U64_MAX };
	look_at_threads(o, look);
	look_at_mm(o, look);
	if (!compat_memcg_charge(o->task, &pages))
		return;
	look->charge = (u64)pages << PAGE_SHIFT;
	look->little = look->charge <= o->little;
}

/**
 * memrescue_oom_victims_coming() - does the memory of one of them come back?
 * @oc: what somebody is about to be killed for
 *
 * Context: oom_lock held, preemption off.
 * Return: true if so, and it can be waited for.
 */
bool memrescue_oom_victims_coming(const struct oom_control *oc)
{
	struct spare_look look;
	struct oom_victim *o;
	unsigned long i = 0;
	bool coming = false;
	u64 now = now_ms();

	if (!memrescue_oom_victims_any())
		return false;
	rcu_read_lock();
	while (!coming && (o = next_live(&i))) {
		if (oc->memcg && !compat_memcg_has(oc->memcg, o->task))
			continue;
		look_at(o, &look);
		coming = memrescue_spare_comes(&o->exit, &look, oc->memcg,
					       age_of(o, now), now);
	}
	rcu_read_unlock();
	return coming;
}

/* Nothing will come any more, or it took so long that nobody waits for it. */
static bool is_over(struct oom_victim *o, u64 now)
{
	struct spare_look look;

	if (age_of(o, now) >= SPARE_FALLS_MS)
		return true;
	rcu_read_lock();
	look_at(o, &look);
	rcu_read_unlock();
	memrescue_spare_note(&o->exit, &look, now);
	return o->exit.ended_ms && now >= o->exit.ended_ms + SPARE_KEPT_MS;
}

/**
 * memrescue_oom_victims_sweep() - forget those that are over
 *
 * Context: process context, with oom_lock held if the kernel's is known: without,
 * nobody asks.
 */
void memrescue_oom_victims_sweep(void)
{
	struct oom_victim *o;
	unsigned long i = 0;
	u64 now = now_ms();

	while ((o = next_live(&i)))
		if (is_over(o, now))
			remove(o);
}

/**
 * memrescue_oom_victims_clear() - forget all of them
 *
 * Context: process context, with all hooks detached.
 */
void memrescue_oom_victims_clear(void)
{
	struct oom_victim *o;
	unsigned long i = 0;

	while ((o = next_live(&i)))
		remove(o);
}
