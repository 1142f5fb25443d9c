// SPDX-License-Identifier: GPL-2.0
/*
 * The workers: each takes the most urgent victim, does one step, looks again.
 *
 * A step takes some milliseconds at most and waits for nothing, so no victim
 * holds up another. What cannot be done now is tried again after a growing
 * delay. The work items are preallocated and their queue has a rescuer, so
 * that they run when no memory is left to make a thread.
 *
 * Context: workers of reaper.wq. Lock order: see victim.h.
 */
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include "compat/mm.h"
#include "reaper/little.h"
#include "reaper/order.h"
#include "reaper/settle_rule.h"
#include "reaper/trace.h"
#include "reaper/victim.h"

/*
 * The longest delay between two tries: a sixteenth of the time that the victim
 * has waited already, within these bounds.
 */
#define RETRY_MIN_MS	16u
#define RETRY_MAX_MS	256u

static void count_done(struct victim *v)
{
	struct memrescue_reaper_stats *stats = &memrescue_reaper_stats;
	u64 us = memrescue_us_between(v->marked_ns, v->done_ns);
	unsigned int bucket = us ? fls64(us) : 0;

	bucket = min(bucket, REAPER_HIST_BUCKETS - 1);
	atomic_long_inc(&stats->hist[bucket]);
	if (v->zapped) {
		atomic_long_inc(&stats->reaped);
		atomic_long_add(v->freed_pages, &stats->reaped_pages);
		trace_reap_end(v->pid, us, v->freed_pages);
	}
}

/**
 * memrescue_tell_freed() - some memory was given back, and others may want it
 *
 * Context: process context, mmap_lock held for reading; does not sleep.
 */
void memrescue_tell_freed(void)
{
	memrescue_reaper.freed();
}

/* The victim's memory is back. Context: reaper.lock held, no worker uses it. */
static void finish(struct victim *v, unsigned int event)
{
	unsigned long has = get_mm_counter(v->mm, MM_ANONPAGES) +
			    get_mm_counter(v->mm, MM_SWAPENTS);

	memrescue_record_event(v, event);
	v->done_ns = ktime_get_mono_fast_ns();
	/* Approximately: an exact sum takes time under the lock. */
	v->freed_pages = v->pages > has ? v->pages - has : 0;
	v->log = true;
	v->attempts = 0;
	if (v->oom)
		memrescue_hide_later(v);
	count_done(v);
	memrescue_janitor_look(v, 0);
}

/* Context: reaper.lock held. */
static void try_later(struct victim *v)
{
	unsigned int max_ms = clamp_t(u64, memrescue_waited_ms(v) / 16,
				      RETRY_MIN_MS, RETRY_MAX_MS);
	unsigned int delay_ms = memrescue_retry_delay_ms(++v->attempts, max_ms);

	v->next = get_jiffies_64() + max(1ul, msecs_to_jiffies(delay_ms));
}

/* Begin another one later. Context: reaper.lock held. */
static void repeat_pass(struct victim *v)
{
	memrescue_record_event(v, VICTIM_EV_PASS_PARTIAL);
	if (!v->missed)
		v->late = true;
	v->cursor = ULONG_MAX;
	v->missed = false;
	v->spared_copies = 0;
	v->spared_locked = 0;
	try_later(v);
}

/* The last worker of a pass leaves. Context: reaper.lock held; v->spared is up to date. */
static void end_pass(struct victim *v)
{
	if (v->missed || (v->oom && v->spared)) {
		repeat_pass(v);
		return;
	}
	if (v->late && memrescue_had_grace(v))
		atomic_long_inc(&memrescue_reaper_stats.delayed);
	finish(v, VICTIM_EV_PASS_DONE);
}

/* Context: reaper.lock held. */
static void leave(struct victim *v)
{
	if (v->again) {
		v->again = false;
		try_later(v);
		return;
	}
	v->left = true;
	memrescue_janitor_look(v, 0);
}

/* Context: reaper.lock held. */
static void give_back(struct victim *v)
{
	v->give_back = true;
	memrescue_janitor_look(v, 0);
}

/* Context: reaper.lock held. */
static void wait_done(struct victim *v, unsigned int step)
{
	switch (step) {
	case STEP_MORE:
		memrescue_record_event(v, VICTIM_EV_ALLOWED);
		v->attempts = 0;
		v->begin_ns = ktime_get_mono_fast_ns();
		trace_reap_begin(v->pid, memrescue_us_between(v->marked_ns,
							      v->begin_ns));
		break;
	case STEP_LEAVE:
		leave(v);
		break;
	case STEP_KERNEL:
		give_back(v);
		break;
	case STEP_GONE:
		finish(v, VICTIM_EV_GONE);
		break;
	default:
		try_later(v);
	}
}

/* Context: reaper.lock held. */
static void zap_done(struct victim *v, unsigned int step)
{
	switch (step) {
	case STEP_MORE:
		break;
	case STEP_GONE:
		v->gone = true;
		break;
	case STEP_KERNEL:
		give_back(v);
		break;
	default:
		try_later(v);
	}
	if (v->workers || v->give_back)
		return;
	if (v->gone)
		finish(v, VICTIM_EV_GONE);
	else if (!v->cursor)
		end_pass(v);
}

/* Whom to look at: another process of the same mm may take its place meanwhile. */
static unsigned int settle_verdict(struct reaper *r, struct victim *v)
{
	struct task_struct *task;
	unsigned int verdict;

	spin_lock(&r->lock);
	task = v->task;
	get_task_struct(task);
	spin_unlock(&r->lock);
	verdict = memrescue_settle(v, task);
	put_task_struct(task);
	return verdict;
}

static unsigned long settle_delay(const struct victim *v)
{
	return msecs_to_jiffies(memrescue_settle_next_ms(memrescue_waited_ms(v)));
}

/* Has it got on by itself? Then it leaves no trace. */
static void settle_step(struct reaper *r, struct victim *v)
{
	unsigned int verdict = settle_verdict(r, v);
	bool gone;

	spin_lock(&r->lock);
	/* The OOM killer may have come to it meanwhile. */
	gone = v->state == VICTIM_SETTLING && verdict == SETTLE_GONE;
	if (gone)
		memrescue_record_event(v, VICTIM_EV_GONE);
	else if (v->state == VICTIM_SETTLING && verdict == SETTLE_TAKE)
		memrescue_record_take(v);
	else if (v->state == VICTIM_SETTLING)
		v->next = get_jiffies_64() + settle_delay(v);
	if (gone) {
		memrescue_record_unlink(v);
	} else {
		v->workers--;
		memrescue_queue_place(v);
	}
	spin_unlock(&r->lock);
	if (gone)
		memrescue_record_free(v);
}

/* Context: reaper.lock held, which is dropped meanwhile. */
static void look_at_rest(struct reaper *r, struct victim *v)
	__must_hold(&r->lock)
{
	bool spared;

	spin_unlock(&r->lock);
	spared = memrescue_has_spared(v);
	spin_lock(&r->lock);
	v->spared = spared;
}

static void end_step(struct reaper *r, struct victim *v, unsigned int state,
		     unsigned int step)
{
	spin_lock(&r->lock);
	/* The last worker of a pass: there is no range left with which another begins. */
	if (state == VICTIM_REAPING && v->workers == 1 && !READ_ONCE(v->cursor))
		look_at_rest(r, v);
	v->workers--;
	if (state == VICTIM_WAITING)
		wait_done(v, step);
	else
		zap_done(v, step);
	memrescue_queue_place(v);
	spin_unlock(&r->lock);
}

static void do_step(struct reaper *r, struct reaper_worker *w, struct victim *v)
{
	unsigned int state = READ_ONCE(v->state);
	unsigned int step;

	if (state == VICTIM_QUEUED) {
		memrescue_record_adopt(v);
		return;
	}
	if (state == VICTIM_SETTLING) {
		settle_step(r, v);
		return;
	}
	step = state == VICTIM_WAITING ? memrescue_eligible(v, &w->aside) :
					 memrescue_zap_step(v);
	end_step(r, v, state, step);
}

/* A worker that only looks for a victim is none that was used. */
static void note_at_work(struct reaper *r, const struct reaper_worker *w)
{
	lockdep_assert_held(&r->lock);
	r->at_work |= BIT(w->index);
	r->workers_used = max_t(unsigned int, r->workers_used,
				hweight_long(r->at_work));
}

static bool is_for_oom(const struct reaper_worker *w)
{
	return w->index < REAPER_MAX_WORKERS;
}

/* max_workers may have been lowered: what is due is for the others. */
static bool may_work(const struct reaper_worker *w)
{
	return w->index % REAPER_MAX_WORKERS <
	       READ_ONCE(memrescue_reaper_knobs.max_workers);
}

static struct victim *next_victim(struct reaper *r, struct reaper_worker *w,
				  bool *more)
{
	struct victim *v;

	memrescue_queue_incoming();
	spin_lock(&r->lock);
	r->busy |= BIT(w->index);
	r->at_work &= ~BIT(w->index);
	v = READ_ONCE(r->running) && may_work(w) ?
	    memrescue_queue_pick(is_for_oom(w), more) : NULL;
	if (v) {
		note_at_work(r, w);
	} else {
		r->busy &= ~BIT(w->index);
		memrescue_queue_arm();
	}
	spin_unlock(&r->lock);
	/*
	 * A hook that saw this worker busy relied on another one, which may be
	 * in a long step. Pairs with the barrier of llist_add() in
	 * memrescue_record_claim(), between the record and the look at @busy.
	 */
	smp_mb();
	if (!v && !llist_empty(&r->incoming))
		memrescue_work_kick(true);
	if (!v && !may_work(w))
		memrescue_work_kick(is_for_oom(w));
	return v;
}

/**
 * memrescue_worker() - work function of every worker
 * @work: in struct reaper_worker
 *
 * Context: reaper.wq.
 */
void memrescue_worker(struct work_struct *work)
{
	struct reaper_worker *w = container_of(work, struct reaper_worker, work);
	struct reaper *r = &memrescue_reaper;
	struct victim *v;
	bool more;

	for (;;) {
		memrescue_hide_all();
		v = next_victim(r, w, &more);
		if (!v)
			break;
		if (more)
			memrescue_work_kick(is_for_oom(w));
		do_step(r, w, v);
		cond_resched();
	}
}
