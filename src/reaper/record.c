// SPDX-License-Identifier: GPL-2.0
/*
 * The records: claimed by hooks without a lock, freed.
 *
 * Context: see each function. Lock order: see victim.h.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/oom_victims.h"
#include "reaper/settle_rule.h"
#include "reaper/share_rule.h"
#include "reaper/victim.h"

/* Places in the table of those who have a record: a power of two. */
#define REAPER_KNOWN	1024u

/* When so many new ones wait, nobody waits any longer: part of the records. */
#define NEW_PART	8u

static struct victim *claim_slot(struct reaper *r, bool oom)
{
	unsigned long nr = memrescue_share_of(r->nr_records, oom);
	unsigned long i;

	for (;;) {
		i = find_first_zero_bit(r->used, nr);
		if (i >= nr)
			return NULL;
		if (!test_and_set_bit_lock(i, r->used))
			break;
	}
	atomic_inc(&r->nr_used);
	return &r->records[i];
}

/*
 * By their place: whose process has a record. A signal_struct lives as long as its
 * tasks, so while it is here it is the same one. What has no place is taken up twice,
 * and merged.
 */
static struct signal_struct *known[REAPER_KNOWN];

static struct signal_struct **place_of(const struct task_struct *task)
{
	return &known[hash_ptr(task->signal, ilog2(REAPER_KNOWN))];
}

static bool is_known(const struct task_struct *task)
{
	return READ_ONCE(*place_of(task)) == task->signal;
}

static void forget(const struct task_struct *task)
{
	cmpxchg(place_of(task), task->signal, NULL);
}

static void release_slot(struct reaper *r, struct victim *v)
{
	atomic_dec(&r->nr_used);
	/* Pairs with test_and_set_bit_lock() in claim_slot(). */
	clear_bit_unlock(v - r->records, r->used);
}

/* A free record for it, or NULL. */
static struct victim *claim_record(struct reaper *r, struct task_struct *task,
				   bool oom)
{
	struct victim *v = claim_slot(r, oom);

	if (!v || oom || memrescue_share_take(v, task))
		return v;
	release_slot(r, v);
	return NULL;
}

/*
 * Tell the kernel's reaper that this mm is queued already. It can be told the
 * contrary later only if its queueing function is known.
 */
static bool claim_mm(struct mm_struct *mm)
{
	return memrescue_ksym_has(KSYM_QUEUE_REAPER) &&
	       !compat_mm_flag_test_and_set(mm, MMF_OOM_REAP_QUEUED);
}

/*
 * Most of those that are killed exit by themselves: nobody looks before they have had
 * the time to. But small ones must not use up the records meanwhile.
 */
static void look_later(struct reaper *r)
{
	if (atomic_inc_return(&r->new) > r->nr_records / NEW_PART)
		memrescue_work_kick(true);
	else
		queue_delayed_work(r->killed_wq, &r->look,
				   msecs_to_jiffies(SETTLE_LOOK_MS));
}

/**
 * memrescue_record_claim() - a hook reports a victim
 * @task: the victim; valid during the call
 * @reason: HOOK_REASON_*; for HOOK_REASON_OOM signal->oom_mm is set
 *
 * Context: any but NMI; preemption off. Takes no lock, allocates nothing.
 * Return: false if all records are in use; the victim is then left to the
 * kernel.
 */
bool memrescue_record_claim(struct task_struct *task, unsigned int reason)
{
	bool oom = reason == HOOK_REASON_OOM;
	struct reaper *r = &memrescue_reaper;
	struct victim *v;

	if (!READ_ONCE(r->running))
		return true;
	/* Seen by the other hook already, or queued for the kernel's reaper. */
	if (oom && memrescue_ksym_has(KSYM_QUEUE_REAPER) &&
	    compat_mm_flag(task->signal->oom_mm, MMF_OOM_REAP_QUEUED))
		return true;
	/*
	 * Not queued, because it is just being handed over, to whoever queues
	 * it first. Pairs with the barrier in memrescue_give_back().
	 */
	smp_rmb();
	if (oom && READ_ONCE(r->giving) == task->signal->oom_mm)
		return true;
	if (!oom && is_known(task))
		return true;
	v = claim_record(r, task, oom);
	if (!v) {
		atomic_long_inc(&memrescue_reaper_stats.overflow);
		return false;
	}
	get_task_struct(task);
	v->task = task;
	v->marked_ns = ktime_get_mono_fast_ns();
	v->oom = oom;
	if (oom) {
		v->mm = task->signal->oom_mm;
		v->oom_ns = v->marked_ns;
		mmgrab(v->mm);
		memrescue_oom_victims_add(task, v->mm);
		if (claim_mm(v->mm)) {
			get_task_struct(task);
			v->claimed = task;
		}
	}
	v->state = VICTIM_QUEUED;
	if (!oom)
		WRITE_ONCE(*place_of(task), task->signal);
	llist_add(&v->incoming, &r->incoming);
	if (oom)
		memrescue_work_kick(true);
	else
		look_later(r);
	return true;
}

/**
 * memrescue_record_event() - move a record to its next state
 * @v: the record
 * @event: VICTIM_EV_*
 *
 * Context: reaper.lock held.
 */
void memrescue_record_event(struct victim *v, unsigned int event)
{
	unsigned int next = memrescue_victim_next(v->state, event);

	lockdep_assert_held(&memrescue_reaper.lock);
	if (!WARN_ON_ONCE(next == VICTIM_INVALID))
		v->state = next;
}

/**
 * memrescue_record_reset() - make a record empty
 * @v: no list and no worker has it
 *
 * Context: any.
 */
void memrescue_record_reset(struct victim *v)
{
	memset(v, 0, sizeof(*v));
	spin_lock_init(&v->cursor_lock);
	INIT_LIST_HEAD(&v->fresh);
	INIT_LIST_HEAD(&v->hidable);
	INIT_LIST_HEAD(&v->prints);
}

/**
 * memrescue_record_unlink() - take a record out of all lists
 * @v: used by no worker
 *
 * Context: reaper.lock held.
 */
void memrescue_record_unlink(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;

	lockdep_assert_held(&r->lock);
	v->active = false;
	list_del_init(&v->fresh);
	memrescue_turn_remove(&v->turn);
	hlist_del_init(&v->same);
	list_del_init(&v->hidable);
	memrescue_heap_remove(&r->looks, &v->look);
	list_del_init(&v->prints);
}

/**
 * memrescue_record_free() - drop a record and its references
 * @v: its last worker, or the janitor, has it
 *
 * Context: process context, no lock held.
 */
void memrescue_record_free(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;
	struct task_struct *claimed = v->claimed;
	struct task_struct *task = v->task;
	struct task_struct *user = v->user;
	struct mm_struct *mm = v->mm;
	atomic_t *share = v->share;

	spin_lock(&r->lock);
	memrescue_record_unlink(v);
	spin_unlock(&r->lock);
	forget(task);
	memrescue_record_reset(v);
	release_slot(r, v);
	memrescue_share_put(share);
	if (mm)
		mmdrop(mm);
	if (claimed)
		put_task_struct(claimed);
	if (user)
		put_task_struct(user);
	put_task_struct(task);
}
