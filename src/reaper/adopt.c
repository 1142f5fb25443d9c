// SPDX-License-Identifier: GPL-2.0
/*
 * What was claimed is adopted: who is it, is it large, and is it known already?
 *
 * Context: see each function. Lock order: see victim.h.
 */
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
#include "compat/mm.h"
#include "reaper/settle_rule.h"
#include "reaper/trace.h"
#include "reaper/victim.h"

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

static struct hlist_head *bucket_of(struct reaper *r,
				    const struct mm_struct *mm)
{
	return &r->adopted[hash_ptr(mm, ilog2(REAPER_BUCKETS))];
}

/* Another record of the same mm, adopted before. Context: reaper.lock held. */
static struct victim *find_same(struct reaper *r, struct victim *v)
{
	struct victim *other;

	hlist_for_each_entry(other, bucket_of(r, v->mm), same)
		if (other->mm == v->mm && !other->give_back)
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
	into->next = get_jiffies_64();
	if (into->state != VICTIM_RETURNED)
		memrescue_hide_watch(into);
	if (into->state == VICTIM_SETTLING)
		memrescue_record_take(into);
	memrescue_work_kick(true);
	if (into->state != VICTIM_RETURNED)
		return;
	/* Returned as far as that goes for one that somebody else has killed. */
	if (!atomic_read(&into->mm->mm_users) || !into->spared) {
		memrescue_hide_later(into);
	} else if (into->claimed) {
		into->give_back = true;
		memrescue_janitor_look(into, 0);
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
		memrescue_queue_place(same);
	} else {
		memrescue_record_event(v, VICTIM_EV_ADOPT);
		hlist_add_head(&v->same, bucket_of(r, v->mm));
		if (v->oom) {
			memrescue_hide_watch(v);
			memrescue_record_take(v);
		}
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
	memrescue_janitor_look(v, 1);
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
		v->next = get_jiffies_64() + 1;
		v->workers = 0;
		memrescue_queue_place(v);
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
		v->next = get_jiffies_64() + msecs_to_jiffies(SETTLE_LOOK_MS);
	memrescue_queue_place(v);
	/* This worker may be one for the others. */
	if (v->oom)
		memrescue_work_kick(true);
	else
		memrescue_arm(&r->killed_retry,
			      msecs_to_jiffies(SETTLE_LOOK_MS));
	spin_unlock(&r->lock);
}
