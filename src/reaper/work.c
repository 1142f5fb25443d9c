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
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/little.h"
#include "reaper/oom_victims.h"
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

/* How often it is asked whether victims may be hidden, or are over. */
#define HIDE_MS		16u

/**
 * memrescue_us_between() - time between two readings of the fast clock
 * @from_ns: the earlier one
 * @to_ns: the later one
 *
 * Context: any.
 * Return: microseconds; 0 where the clock seems to go backwards.
 */
u64 memrescue_us_between(u64 from_ns, u64 to_ns)
{
	return to_ns > from_ns ? div_u64(to_ns - from_ns, NSEC_PER_USEC) : 0;
}

/**
 * memrescue_waited_ms() - how long ago a victim was marked
 * @v: the record
 *
 * Context: any.
 * Return: milliseconds.
 */
u64 memrescue_waited_ms(const struct victim *v)
{
	return div_u64(memrescue_us_between(v->marked_ns,
					    ktime_get_mono_fast_ns()),
		       USEC_PER_MSEC);
}

/**
 * memrescue_work_kick() - have a worker look for something to do
 * @oom: one for victims of the OOM killer, else one for the others
 *
 * Context: any but NMI.
 */
void memrescue_work_kick(bool oom)
{
	struct reaper *r = &memrescue_reaper;
	unsigned long max = READ_ONCE(memrescue_reaper_knobs.max_workers);
	unsigned int first = oom ? 0 : REAPER_MAX_WORKERS;
	unsigned long busy = READ_ONCE(r->busy) >> first;
	unsigned long i = find_first_zero_bit(&busy, max);

	if (!READ_ONCE(r->running))
		return;
	/* All busy: the first one looks again when its step is done. */
	queue_work(oom ? r->wq : r->killed_wq,
		   &r->workers[first + (i < max ? i : 0)].work);
}

/**
 * memrescue_retry() - work function of the next try
 * @work: reaper.retry
 *
 * Context: reaper.wq.
 */
void memrescue_retry(struct work_struct *work)
{
	memrescue_work_kick(true);
}

/**
 * memrescue_killed_retry() - work function of the next look or try
 * @work: reaper.look, reaper.killed_retry
 *
 * Context: reaper.killed_wq.
 */
void memrescue_killed_retry(struct work_struct *work)
{
	memrescue_work_kick(false);
}

static struct workqueue_struct *queue_of(const struct delayed_work *work)
{
	struct reaper *r = &memrescue_reaper;

	if (work == &r->janitor)
		return r->late_wq;
	return work == &r->retry ? r->wq : r->killed_wq;
}

/**
 * memrescue_arm() - have a delayed work item of the reaper run
 * @work: reaper.janitor, reaper.retry, reaper.killed_retry
 * @delay: at the latest after so many jiffies
 *
 * Context: reaper.lock held.
 */
void memrescue_arm(struct delayed_work *work, unsigned long delay)
{
	struct reaper *r = &memrescue_reaper;

	lockdep_assert_held(&r->lock);
	if (!READ_ONCE(r->running))
		return;
	/* Never put off what is due earlier, or is queued already. */
	if (delay && delayed_work_pending(work) &&
	    (!timer_pending(&work->timer) ||
	     time_before(work->timer.expires, jiffies + delay)))
		return;
	mod_delayed_work(queue_of(work), work, delay);
}

static unsigned int most_workers(const struct victim *v)
{
	unsigned long kb = v->pages << (PAGE_SHIFT - 10);

	if (kb < READ_ONCE(memrescue_reaper_knobs.parallel_min_kb))
		return 1;
	return READ_ONCE(memrescue_reaper_knobs.max_workers);
}

/* Is it for the workers? Context: reaper.lock held. */
static bool is_open(const struct victim *v)
{
	return v->state != VICTIM_FREE && v->state != VICTIM_RETURNED &&
	       !v->gone && !v->left && !v->give_back;
}

/* Can a worker do something for it now? Context: reaper.lock held. */
static bool is_due(const struct victim *v)
{
	if (!is_open(v) || time_before(jiffies, v->next))
		return false;
	if (v->state == VICTIM_REAPING)
		return v->workers < most_workers(v) &&
		       (READ_ONCE(v->cursor) || !v->workers);
	return !v->workers;
}

/* New records first: until one is adopted nobody knows what it is. */
static u64 weight_of(const struct victim *v, u64 now_ns)
{
	u64 waited_us = memrescue_us_between(v->marked_ns, now_ns);

	if (v->state == VICTIM_QUEUED)
		return U64_MAX;
	return memrescue_order_weight(v->pages,
				      div_u64(waited_us, USEC_PER_MSEC),
				      v->attempts);
}

/* Context: reaper.lock held. Sets @more if another worker would find work. */
static struct victim *pick(struct reaper *r, bool oom, bool *more)
{
	u64 weight, best_weight = 0, now_ns = ktime_get_mono_fast_ns();
	struct victim *v, *best = NULL;
	unsigned int due = 0;

	list_for_each_entry(v, &r->active, link) {
		/* Whose a new one is nobody knows before it is adopted. */
		if ((v->state != VICTIM_QUEUED && v->oom != oom) || !is_due(v))
			continue;
		due++;
		weight = weight_of(v, now_ns);
		if (weight > best_weight) {
			best = v;
			best_weight = weight;
		}
	}
	*more = due > 1;
	if (best) {
		best->workers++;
		*more |= is_due(best);
	}
	return best;
}

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
 * memrescue_hide() - if this victim was not enough, choose another
 * @v: an OOM victim, nothing of which is left to zap
 *
 * Like the kernel's reaper. But once nobody uses the mm, exit_mmap() is at it
 * and may still hold pages that it has unmapped and not freed. It sets the flag
 * itself, later; earlier, somebody would be killed although they are coming.
 *
 * Context: reaper.lock held, best with the OOM killer kept away.
 */
void memrescue_hide(struct victim *v)
{
	lockdep_assert_held(&memrescue_reaper.lock);
	v->hide = false;
	if (atomic_read(&v->mm->mm_users))
		compat_mm_flag_set(v->mm, MMF_OOM_SKIP);
}

/**
 * memrescue_hide_later() - have a worker hide an OOM victim when it may be
 * @v: an OOM victim, nothing of which is left to zap
 *
 * Whoever has found that there is no memory, and is about to choose a victim,
 * must not find this one hidden although it has just given its memory back.
 *
 * Context: reaper.lock held.
 */
void memrescue_hide_later(struct victim *v)
{
	lockdep_assert_held(&memrescue_reaper.lock);
	v->hide = true;
	memrescue_reaper.to_hide = true;
	memrescue_reaper.hide_next = jiffies;
}

/* Context: reaper.lock held, and the OOM killer kept away. */
static void hide_due(struct reaper *r)
{
	struct victim *v;

	lockdep_assert_held(&r->lock);
	r->to_hide = false;
	list_for_each_entry(v, &r->active, link) {
		/* A record that was not adopted is nobody's but its worker's. */
		if (v->state == VICTIM_QUEUED || !v->oom ||
		    (v->state == VICTIM_RETURNED && !v->hide))
			continue;
		if (compat_mm_flag(v->mm, MMF_OOM_SKIP) ||
		    !atomic_read(&v->mm->mm_users) || memrescue_may_hide(v))
			memrescue_hide(v);
		r->to_hide |= v->hide;
	}
}

/* With the OOM killer kept away; else arm_retry() has it tried again. */
static void hide_all(struct reaper *r)
{
	if (!memrescue_oom_victims_any() && !READ_ONCE(r->to_hide))
		return;
	if (time_before(jiffies, READ_ONCE(r->hide_next)) ||
	    !memrescue_oom_trylock())
		return;
	spin_lock(&r->lock);
	r->hide_next = jiffies + max(1ul, msecs_to_jiffies(HIDE_MS));
	hide_due(r);
	spin_unlock(&r->lock);
	memrescue_oom_victims_sweep();
	memrescue_oom_unlock();
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
	memrescue_arm(&memrescue_reaper.janitor, 0);
}

/* Context: reaper.lock held. */
static void try_later(struct victim *v)
{
	unsigned int max_ms = clamp_t(u64, memrescue_waited_ms(v) / 16,
				      RETRY_MIN_MS, RETRY_MAX_MS);
	unsigned int delay_ms = memrescue_retry_delay_ms(++v->attempts, max_ms);

	v->next = jiffies + max(1ul, msecs_to_jiffies(delay_ms));
}

/**
 * memrescue_has_spared() - is there still much that is to be taken later?
 * @v: an OOM victim, after a pass
 *
 * Private copies of files, and mlocked pages of files.
 *
 * Context: reaper.lock held.
 * Return: true if they may be more than can be left for its exit.
 */
bool memrescue_has_spared(const struct victim *v)
{
	unsigned long little = memrescue_little_pages(v);

	if (v->spared_copies > little &&
	    compat_mm_counter(v->mm, MM_ANONPAGES) +
	    compat_mm_counter(v->mm, MM_SWAPENTS) > little)
		return true;
	return v->spared_locked > little &&
	       compat_mm_counter(v->mm, MM_FILEPAGES) +
	       compat_mm_counter(v->mm, MM_SHMEMPAGES) > little;
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

/* The last worker of a pass leaves. Context: reaper.lock held. */
static void end_pass(struct victim *v)
{
	if (v->missed || (v->oom && memrescue_has_spared(v))) {
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
	memrescue_arm(&memrescue_reaper.janitor, 0);
}

/* Context: reaper.lock held. */
static void give_back(struct victim *v)
{
	v->give_back = true;
	memrescue_arm(&memrescue_reaper.janitor, 0);
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

/* Has it got on by itself? Nobody hears of it then. */
static void settle_step(struct reaper *r, struct victim *v)
{
	unsigned int verdict = memrescue_settle(v);
	bool gone;

	spin_lock(&r->lock);
	/* The OOM killer may have come to it meanwhile. */
	gone = v->state == VICTIM_SETTLING && verdict == SETTLE_GONE;
	if (gone)
		memrescue_record_event(v, VICTIM_EV_GONE);
	else if (v->state == VICTIM_SETTLING && verdict == SETTLE_TAKE)
		memrescue_record_take(v);
	else if (v->state == VICTIM_SETTLING)
		v->next = jiffies + msecs_to_jiffies(SETTLE_LOOK_MS);
	if (!gone)
		v->workers--;
	spin_unlock(&r->lock);
	if (gone)
		memrescue_record_free(v);
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
	spin_lock(&r->lock);
	v->workers--;
	if (state == VICTIM_WAITING)
		wait_done(v, step);
	else
		zap_done(v, step);
	spin_unlock(&r->lock);
}

/* See to it that the next try is not forgotten. Context: reaper.lock held. */
static void arm_retry(struct reaper *r)
{
	unsigned long now = jiffies, delay[2], left;
	struct victim *v;

	delay[false] = MAX_SCHEDULE_TIMEOUT;
	delay[true] = MAX_SCHEDULE_TIMEOUT;
	if (r->to_hide || memrescue_oom_victims_any())
		delay[true] = time_after(r->hide_next, now) ? r->hide_next - now : 1;
	list_for_each_entry(v, &r->active, link) {
		if (v->workers || !is_open(v))
			continue;
		left = time_after(v->next, now) ? v->next - now : 1;
		delay[v->oom] = min(delay[v->oom], left);
	}
	if (delay[true] != MAX_SCHEDULE_TIMEOUT)
		memrescue_arm(&r->retry, delay[true]);
	if (delay[false] != MAX_SCHEDULE_TIMEOUT)
		memrescue_arm(&r->killed_retry, delay[false]);
}

/* A worker that only looks for a victim is none that was used. */
static void note_at_work(struct reaper *r, const struct reaper_worker *w)
{
	lockdep_assert_held(&r->lock);
	r->at_work |= BIT(w->index);
	r->workers_used = max_t(unsigned int, r->workers_used,
				hweight_long(r->at_work));
}

static struct victim *next_victim(struct reaper *r, struct reaper_worker *w,
				  bool *more)
{
	struct victim *v;

	memrescue_record_take_incoming();
	spin_lock(&r->lock);
	r->busy |= BIT(w->index);
	r->at_work &= ~BIT(w->index);
	v = READ_ONCE(r->running) ?
	    pick(r, w->index < REAPER_MAX_WORKERS, more) : NULL;
	if (v) {
		note_at_work(r, w);
	} else {
		r->busy &= ~BIT(w->index);
		arm_retry(r);
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
		hide_all(r);
		v = next_victim(r, w, &more);
		if (!v)
			break;
		if (more)
			memrescue_work_kick(w->index < REAPER_MAX_WORKERS);
		do_step(r, w, v);
		cond_resched();
	}
}
