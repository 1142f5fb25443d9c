// SPDX-License-Identifier: GPL-2.0
/*
 * The queues of the workers: which victim is next, when is one tried again, and who
 * looks. How they are ordered: order.h.
 *
 * A record that was claimed is taken by the next worker, without being compared with
 * others. From then on it is in a queue exactly when another worker may take
 * it: whoever changes one of the fields that this depends on (state, oom, next, attempts,
 * workers, gone, left, give_back) calls memrescue_queue_place() before it drops
 * the lock.
 *
 * Context: see each function. Lock order: see victim.h.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/timekeeping.h>
#include "reaper/order.h"
#include "reaper/victim.h"

/* So many whose time has come become due at a time. */
#define QUEUE_BATCH	64u

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

/**
 * memrescue_queue_incoming() - make new records known to the workers
 *
 * Context: process context.
 */
void memrescue_queue_incoming(void)
{
	struct reaper *r = &memrescue_reaper;
	struct victim *v, *next;
	struct llist_node *first;
	unsigned int killed = 0;
	LIST_HEAD(fresh);

	if (llist_empty(&r->incoming))
		return;
	first = llist_reverse_order(llist_del_all(&r->incoming));
	llist_for_each_entry_safe(v, next, first, incoming) {
		killed += !v->oom;
		list_add_tail(&v->fresh, &fresh);
		/* Pairs with memrescue_reaper_now(): what the hook has written. */
		smp_store_release(&v->active, true);
	}
	spin_lock(&r->lock);
	list_splice_tail(&fresh, &r->fresh);
	spin_unlock(&r->lock);
	atomic_sub(killed, &r->new);
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

/* Can another worker do something for it? Context: reaper.lock held. */
static bool has_room(const struct victim *v)
{
	if (!is_open(v))
		return false;
	if (!v->workers)
		return true;
	return v->state == VICTIM_REAPING && v->workers < most_workers(v) &&
	       READ_ONCE(v->cursor);
}

/* Its time has come. */
static void place_due(struct reaper *r, struct victim *v)
{
	if (v->state == VICTIM_QUEUED) {
		list_add_tail(&v->fresh, &r->fresh);
		return;
	}
	memrescue_turn_due(&r->turns[v->oom], &v->turn, v->marked_ns,
			   memrescue_order_weight(v->pages, v->attempts));
}

/**
 * memrescue_queue_place() - put a record where it belongs
 * @v: the record, in any queue or in none
 *
 * Context: reaper.lock held.
 */
void memrescue_queue_place(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;

	lockdep_assert_held(&r->lock);
	list_del_init(&v->fresh);
	memrescue_turn_remove(&v->turn);
	if (!has_room(v))
		return;
	if (time_after64(v->next, get_jiffies_64()))
		memrescue_turn_later(&r->turns[v->oom], &v->turn, v->next);
	else
		place_due(r, v);
}

static struct victim *victim_of(struct turn *turn)
{
	return turn ? container_of(turn, struct victim, turn) : NULL;
}

/* Some at a time: the rest becomes due when the next worker looks. */
static void move_due(struct turns *turns)
{
	u64 now = get_jiffies_64();
	struct turn *turn;
	unsigned int i;

	for (i = 0; i < QUEUE_BATCH; i++) {
		turn = memrescue_turn_waiting(turns);
		if (!turn || time_after64(turn->time.key, now))
			break;
		memrescue_queue_place(victim_of(turn));
	}
}

/*
 * The last range may have been taken since it was put here: each of its workers puts
 * it in place again. So each that is passed over was added once.
 */
static struct victim *first_due(struct turns *turns)
{
	u64 now_ns = ktime_get_mono_fast_ns();
	struct victim *v;

	while ((v = victim_of(memrescue_turn_first(turns, now_ns)))) {
		if (has_room(v))
			break;
		memrescue_turn_remove(&v->turn);
	}
	return v;
}

/* In how many jiffies is there something to do in this queue? 0: now. */
static unsigned long delay_of(const struct turns *turns)
{
	u64 now = get_jiffies_64();
	struct turn *turn;

	if (turns->oldest.nr)
		return 0;
	turn = memrescue_turn_waiting(turns);
	if (!turn)
		return MAX_SCHEDULE_TIMEOUT;
	return time_after64(turn->time.key, now) ? turn->time.key - now : 0;
}

/**
 * memrescue_queue_pick() - take the most urgent victim
 * @oom: of those of the OOM killer, else of the others; new ones first, which
 *	may be both
 * @more: set to whether another worker would find work
 *
 * Context: reaper.lock held.
 * Return: a record with one more worker, or NULL.
 */
struct victim *memrescue_queue_pick(bool oom, bool *more)
{
	struct reaper *r = &memrescue_reaper;
	struct turns *turns = &r->turns[oom];
	struct victim *v;

	lockdep_assert_held(&r->lock);
	move_due(turns);
	v = list_first_entry_or_null(&r->fresh, struct victim, fresh);
	if (!v)
		v = first_due(turns);
	if (v) {
		v->workers++;
		memrescue_queue_place(v);
	}
	*more = !list_empty(&r->fresh) || !delay_of(turns);
	return v;
}

/**
 * memrescue_queue_arm() - see to it that the next try is not forgotten
 *
 * Context: reaper.lock held.
 */
void memrescue_queue_arm(void)
{
	struct reaper *r = &memrescue_reaper;
	unsigned long oom = delay_of(&r->turns[true]);
	unsigned long killed = delay_of(&r->turns[false]);
	unsigned long hide;

	if (memrescue_hide_next(&hide))
		oom = min(oom, hide);
	if (oom != MAX_SCHEDULE_TIMEOUT)
		memrescue_arm(&r->retry, max(1ul, oom));
	if (killed != MAX_SCHEDULE_TIMEOUT)
		memrescue_arm(&r->killed_retry, max(1ul, killed));
}
