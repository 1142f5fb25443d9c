/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which victim comes first, and when one is tried again.
 *
 * Those that have waited for ORDER_AGED_MS come first, the oldest of them
 * before the others, so that no stream of new victims can starve one. Then
 * those that may succeed at once, then those that did not: in both, what frees
 * most comes first.
 *
 * None is looked for among all of them: those that have to wait lie in a heap by
 * their time; those that are due in two, by age and by weight. Either the oldest has
 * waited for long, or none has, and then the weight alone decides.
 *
 * Context: any; the owner protects the queues and what is in them.
 */
#ifndef MEMRESCUE_REAPER_ORDER_H
#define MEMRESCUE_REAPER_ORDER_H

#include "heap.h"
#include "pure.h"

/* One that waited this long comes before all that did not. */
#define ORDER_AGED_NS	100000000u

/**
 * memrescue_order_weight() - how urgent a victim is that has not waited for long
 * @pages: pages its end is expected to free
 * @tried: the last try did not succeed
 *
 * Context: any.
 * Return: the weight; larger comes first.
 */
static inline u64 memrescue_order_weight(u64 pages, bool tried)
{
	const u64 fresh = 1ull << 63;

	pages = pages < fresh - 1 ? pages : fresh - 1;
	return tried ? pages : fresh + pages;
}

/**
 * struct turn - part of what waits for a worker
 * @time: in turns.later, by when it is due; or in turns.oldest, by when it was marked
 * @weight: in turns.heaviest, the other way round
 * @turns: where it is; NULL: nowhere
 * @due: it is in turns.oldest and turns.heaviest
 */
struct turn {
	struct heap_node time;
	struct heap_node weight;
	struct turns *turns;
	bool due;
};

/**
 * struct turns - one queue of them
 * @later: those that are not due
 * @oldest: those that are, by age
 * @heaviest: the same ones, by weight
 */
struct turns {
	struct heap later;
	struct heap oldest;
	struct heap heaviest;
};

/**
 * memrescue_turn_remove() - it does not wait any more
 * @turn: in a queue, or in none
 *
 * Context: see above.
 */
static inline void memrescue_turn_remove(struct turn *turn)
{
	struct turns *turns = turn->turns;

	if (!turns)
		return;
	memrescue_heap_remove(turn->due ? &turns->oldest : &turns->later,
			      &turn->time);
	memrescue_heap_remove(&turns->heaviest, &turn->weight);
	turn->turns = NULL;
	turn->due = false;
}

/**
 * memrescue_turn_later() - it waits for a time
 * @turns: the queue
 * @turn: in none
 * @when: in any unit, the same for all
 *
 * Context: see above.
 */
static inline void memrescue_turn_later(struct turns *turns, struct turn *turn,
					u64 when)
{
	turn->turns = turns;
	memrescue_heap_put(&turns->later, &turn->time, when);
}

/**
 * memrescue_turn_due() - it waits for a worker
 * @turns: the queue
 * @turn: in none
 * @marked_ns: since when it is a victim
 * @weight: of memrescue_order_weight()
 *
 * Context: see above.
 */
static inline void memrescue_turn_due(struct turns *turns, struct turn *turn,
				      u64 marked_ns, u64 weight)
{
	turn->turns = turns;
	turn->due = true;
	memrescue_heap_put(&turns->oldest, &turn->time, marked_ns);
	memrescue_heap_put(&turns->heaviest, &turn->weight, ~weight);
}

static inline struct turn *memrescue_turn_of_time(struct heap_node *node)
{
	const unsigned long offset = __builtin_offsetof(struct turn, time);

	return node ? (struct turn *)((char *)node - offset) : NULL;
}

static inline struct turn *memrescue_turn_of_weight(struct heap_node *node)
{
	const unsigned long offset = __builtin_offsetof(struct turn, weight);

	return node ? (struct turn *)((char *)node - offset) : NULL;
}

/**
 * memrescue_turn_waiting() - which one is due next of those that are not?
 * @turns: the queue
 *
 * Context: see above.
 * Return: it, with its time in time.key; or NULL if there is none.
 */
static inline struct turn *memrescue_turn_waiting(const struct turns *turns)
{
	return memrescue_turn_of_time(memrescue_heap_first(&turns->later));
}

/**
 * memrescue_turn_first() - whose turn is it?
 * @turns: the queue
 * @now_ns: by the clock of memrescue_turn_due()
 *
 * Context: see above.
 * Return: the most urgent one of those that are due, or NULL if there is none.
 */
static inline struct turn *memrescue_turn_first(const struct turns *turns,
						u64 now_ns)
{
	struct heap_node *oldest = memrescue_heap_first(&turns->oldest);

	if (oldest && now_ns >= oldest->key + ORDER_AGED_NS)
		return memrescue_turn_of_time(oldest);
	return memrescue_turn_of_weight(memrescue_heap_first(&turns->heaviest));
}

/**
 * memrescue_retry_delay_ms() - how long to leave a victim alone
 * @attempts: tries that did not succeed, 1 after the first
 * @max_ms: longest delay, milliseconds
 *
 * Context: any.
 * Return: 1, 2, 4 ... @max_ms milliseconds.
 */
static inline u32 memrescue_retry_delay_ms(u32 attempts, u32 max_ms)
{
	u32 delay;

	if (!attempts)
		return 0;
	if (attempts > 16)
		return max_ms;
	delay = 1u << (attempts - 1);
	return delay < max_ms ? delay : max_ms;
}

#endif
