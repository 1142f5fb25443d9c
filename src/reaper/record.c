// SPDX-License-Identifier: GPL-2.0
/*
 * The records: claimed by hooks without a lock, adopted by workers, freed.
 *
 * Context: see each function. Lock order: see victim.h.
 */
#include <linux/bitops.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/percpu_counter.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/oom_victims.h"
#include "reaper/settle_rule.h"
#include "reaper/trace.h"
#include "reaper/victim.h"

/* Places in the table of those who have a record: a power of two. */
#define REAPER_KNOWN	1024u

/* When so many new ones wait, nobody waits any longer: part of the records. */
#define NEW_PART	8u

/* A quarter of the records is kept for victims of the OOM killer. */
static struct victim *claim_slot(struct reaper *r, bool oom)
{
	unsigned long nr = oom ? r->nr_records : r->nr_records / 4 * 3;
	unsigned long i;

	for (;;) {
		i = find_first_zero_bit(r->used, nr);
		if (i >= nr)
			return NULL;
		if (!test_and_set_bit_lock(i, r->used))
			return &r->records[i];
	}
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
	/* Pairs with test_and_set_bit_lock() in claim_slot(). */
	clear_bit_unlock(v - r->records, r->used);
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

/* How far the count that is read at once may be off, pages. */
static unsigned long count_error(void)
{
	return 2ul * percpu_counter_batch * num_online_cpus();
}

/* What a zap gives back, at once and approximately. */
static unsigned long pages_about(struct mm_struct *mm)
{
	return get_mm_counter(mm, MM_ANONPAGES) +
	       get_mm_counter(mm, MM_SWAPENTS);
}

static bool is_below(unsigned long pages)
{
	unsigned long kb = pages << (PAGE_SHIFT - 10);

	return kb < READ_ONCE(memrescue_reaper_knobs.kill_min_kb);
}

/**
 * memrescue_record_is_large() - may it be worth while to take this one?
 * @mm: in use by current
 *
 * Context: any; cheap.
 * Return: false if it is below kill_min_kb for sure.
 */
bool memrescue_record_is_large(struct mm_struct *mm)
{
	return !is_below(READ_ONCE(mm->total_vm)) &&
	       !is_below(pages_about(mm) + count_error());
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
	v = claim_slot(r, oom);
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
 * memrescue_record_take_incoming() - make new records known to the workers
 *
 * Context: process context.
 */
void memrescue_record_take_incoming(void)
{
	struct reaper *r = &memrescue_reaper;
	struct llist_node *first;
	struct victim *v, *next;

	if (llist_empty(&r->incoming))
		return;
	first = llist_reverse_order(llist_del_all(&r->incoming));
	spin_lock(&r->lock);
	llist_for_each_entry_safe(v, next, first, incoming) {
		if (!v->oom)
			atomic_dec(&r->new);
		v->next = jiffies;
		list_add_tail(&v->link, &r->active);
	}
	spin_unlock(&r->lock);
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
 * memrescue_record_free() - drop a record and its references
 * @v: in reaper.active, used by nobody else
 *
 * Context: process context, no lock held.
 */
void memrescue_record_free(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;
	struct task_struct *claimed = v->claimed;
	struct task_struct *task = v->task;
	struct mm_struct *mm = v->mm;

	spin_lock(&r->lock);
	list_del(&v->link);
	spin_unlock(&r->lock);
	forget(task);
	memset(v, 0, sizeof(*v));
	spin_lock_init(&v->cursor_lock);
	release_slot(r, v);
	if (mm)
		mmdrop(mm);
	if (claimed)
		put_task_struct(claimed);
	put_task_struct(task);
}

/*
 * The mm of a killed process: that of the first of its threads that has one.
 * The lock is only tried: the OOM killer prints while it holds it.
 * Returns false if it must be tried again.
 */
static bool grab_mm(struct victim *v)
{
	struct task_struct *thread;
	bool sure = true;

	rcu_read_lock();
	for_each_thread(v->task, thread) {
		if (!READ_ONCE(thread->mm))
			continue;
		sure = spin_trylock(&thread->alloc_lock);
		if (!sure)
			break;
		v->mm = thread->mm;
		if (v->mm)
			mmgrab(v->mm);
		spin_unlock(&thread->alloc_lock);
		if (v->mm)
			break;
	}
	rcu_read_unlock();
	return sure;
}

/* A name that cannot forge a field or a line of the log. */
static void copy_comm(struct victim *v)
{
	char *c;

	/* No lock: a torn name is harmless, the last byte is always 0. */
	strscpy(v->comm, v->task->comm, sizeof(v->comm));
	for (c = v->comm; *c; c++)
		if (!isprint(*c) || *c == ' ' || *c == '=')
			*c = '_';
}

static void describe(struct victim *v)
{
	/*
	 * The OOM killer sends SIGKILL and marks while it holds the lock that
	 * grab_mm() takes: by now it is known whether it was the killer.
	 */
	if (!v->oom && READ_ONCE(v->task->signal->oom_mm) == v->mm) {
		v->oom = true;
		v->oom_ns = ktime_get_mono_fast_ns();
	}
	v->pid = task_tgid_nr(v->task);
	v->adj = v->task->signal->oom_score_adj;
	v->uid = from_kuid(&init_user_ns, task_uid(v->task));
	v->cursor = ULONG_MAX;
	copy_comm(v);
}

static bool too_small(const struct victim *v)
{
	return !v->oom && is_below(v->pages);
}

/* Exact counts ask every CPU: not for what is small for sure. */
static bool measure(struct victim *v)
{
	if (!v->oom && is_below(pages_about(v->mm) + count_error()))
		return false;
	v->swap_pages = compat_mm_counter(v->mm, MM_SWAPENTS);
	v->pages = compat_mm_counter(v->mm, MM_ANONPAGES) + v->swap_pages;
	v->rss_pages = compat_mm_rss(v->mm);
	/* What the first look is compared with. */
	v->left_pages = v->pages;
	v->users = atomic_read(&v->mm->mm_users);
	return !too_small(v);
}

/* Another record of the same mm, adopted before. Context: reaper.lock held. */
static struct victim *find_same(struct reaper *r, struct victim *v)
{
	struct victim *other;

	list_for_each_entry(other, &r->active, link)
		if (other != v && other->mm == v->mm && !other->give_back &&
		    other->state != VICTIM_QUEUED &&
		    other->state != VICTIM_FREE)
			return other;
	return NULL;
}

/* Context: reaper.lock held. */
static void merge(struct victim *into, struct victim *v)
{
	if (!into->claimed)
		swap(into->claimed, v->claimed);
	/* What it was left for may have changed. */
	into->left = false;
	into->again = true;
	if (into->state == VICTIM_SETTLING) {
		/* The last one that was killed tells whether they get on. */
		swap(into->task, v->task);
		into->marked_ns = max(into->marked_ns, v->marked_ns);
		into->merged = true;
	}
	if (!v->oom)
		return;
	/* Twice, if its SIGKILL is seen as well; the mark's record is claimed. */
	if (!into->oom) {
		into->reported = false;
		into->oom_ns = v->oom_ns;
	}
	into->oom = true;
	into->next = jiffies;
	if (into->state == VICTIM_SETTLING)
		memrescue_record_take(into);
	memrescue_work_kick(true);
	if (into->state != VICTIM_RETURNED)
		return;
	/* Returned as far as that goes for one that somebody else has killed. */
	if (!atomic_read(&into->mm->mm_users) || !memrescue_has_spared(into)) {
		memrescue_hide_later(into);
	} else if (into->claimed) {
		into->give_back = true;
		memrescue_arm(&memrescue_reaper.janitor, 0);
	}
	/* Else the kernel's reaper has it, which hides it in the end. */
}

/* Returns true if the record goes on as a victim of its own. */
static bool settle(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;
	struct victim *same;

	spin_lock(&r->lock);
	same = find_same(r, v);
	if (same) {
		merge(same, v);
	} else {
		memrescue_record_event(v, VICTIM_EV_ADOPT);
		if (v->oom)
			memrescue_record_take(v);
	}
	spin_unlock(&r->lock);
	return !same;
}

static void announce(struct victim *v)
{
	struct memrescue_reaper_stats *stats = &memrescue_reaper_stats;

	atomic_long_inc(v->oom ? &stats->victims_oom : &stats->victims_killed);
	trace_victim_queued(v->pid, v->comm, v->oom, v->rss_pages,
			    v->swap_pages);
}

/**
 * memrescue_record_take() - it does not get on by itself, or need not: a victim
 * @v: in state VICTIM_SETTLING
 *
 * Context: reaper.lock held.
 */
void memrescue_record_take(struct victim *v)
{
	memrescue_record_event(v, VICTIM_EV_TAKE);
	v->attempts = 0;
	announce(v);
	memrescue_arm(&memrescue_reaper.janitor, 1);
}

/**
 * memrescue_record_adopt() - find out who the victim of a new record is
 * @v: record in state VICTIM_QUEUED, held by this worker
 *
 * On return the record is VICTIM_SETTLING or VICTIM_WAITING, or has been freed because the
 * victim is gone, small, or known already, or stays VICTIM_QUEUED for another
 * try. Either way it is held by this worker no more.
 *
 * Context: worker.
 */
void memrescue_record_adopt(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;
	bool keep;

	if (!v->mm && !grab_mm(v)) {
		spin_lock(&r->lock);
		v->next = jiffies + 1;
		v->workers = 0;
		spin_unlock(&r->lock);
		return;
	}
	keep = v->mm;
	if (keep) {
		describe(v);
		keep = measure(v) && settle(v);
	}
	if (!keep) {
		memrescue_record_free(v);
		return;
	}
	spin_lock(&r->lock);
	v->workers = 0;
	/* If the OOM killer has come to it meanwhile, it is due. */
	if (v->state == VICTIM_SETTLING)
		v->next = jiffies + msecs_to_jiffies(SETTLE_LOOK_MS);
	if (!v->oom)
		memrescue_arm(&r->killed_retry,
			      msecs_to_jiffies(SETTLE_LOOK_MS));
	spin_unlock(&r->lock);
}
