/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When may a victim's memory be taken without breaking robust futexes?
 *
 * A thread that dies walks its robust list in user memory, marks the futexes
 * it holds as ownerless and wakes their waiters. If that memory is gone before
 * the walk, the waiters sleep for ever; this is why the stock reaper waits two
 * seconds. docs/reaper.md derives the rule from the kernel's source.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_ROBUST_RULE_H
#define MEMRESCUE_REAPER_ROBUST_RULE_H

#include "pure.h"

/* The stock kernel's OOM_REAPER_DELAY: nothing waits longer than this. */
#define ROBUST_WAIT_MS	2000u

/* What was seen of one thread. */
struct robust_view {
	bool passed;		/* it has no mm, or its futex exit is over */
	bool registered;	/* it has a robust list head */
	bool in_kernel;		/* it is killed and runs no user code again */
	bool readable;		/* its list head could be read */
	bool empty;		/* ... and holds nothing, nor an operation */
	bool aside;		/* ... or it was put aside, and is seen later */
};

/**
 * memrescue_robust_needs() - may this thread still need its robust list?
 * @view: what was seen of the thread, in this order: in_kernel before the rest
 *
 * Context: any.
 * Return: true if the memory must be left for now.
 */
static inline bool memrescue_robust_needs(const struct robust_view *view)
{
	if (view->passed)
		return false;
	/* Until it is stopped in the kernel it may register or fill a list. */
	if (!view->in_kernel)
		return true;
	if (!view->registered)
		return false;
	return !view->aside && (!view->readable || !view->empty);
}

/*
 * Lists that cannot be read while the threads are walked. Each round of a walk
 * keeps those with the highest keys below a bound that falls from round to
 * round: in the end all have come up, however many threads there are. Threads
 * are walked in the order of their creation, and mapped memory goes downwards,
 * so mostly each list is looked at in one round only.
 */
#define ROBUST_ASIDE	256u

struct robust_aside {
	unsigned long below;	/* the bound: from there on, all was dealt with */
	unsigned int nr;
	bool more;		/* there are some that had no room */
	bool direct;		/* what can be read in passing is not put aside */
	unsigned long keys[ROBUST_ASIDE];	/* descending */
};

/**
 * memrescue_robust_first() - before the first walk
 * @aside: of any content
 * @direct: see there
 *
 * Context: any.
 */
static inline void memrescue_robust_first(struct robust_aside *aside,
					  bool direct)
{
	aside->below = 0;
	aside->nr = 0;
	aside->more = false;
	aside->direct = direct;
}

/**
 * memrescue_robust_round() - begin a walk
 * @aside: as the walk before left it, or memrescue_robust_first()
 *
 * Context: any.
 */
static inline void memrescue_robust_round(struct robust_aside *aside)
{
	if (aside->nr)
		aside->below = aside->keys[aside->nr - 1];
	aside->nr = 0;
	aside->more = false;
}

/**
 * memrescue_robust_pass_over() - shall a list not be looked at in this round?
 * @aside: of this round
 * @key: which one, not 0
 *
 * Context: any.
 * Return: true if it was dealt with in a round before, or has to wait for one
 * to come.
 */
static inline bool memrescue_robust_pass_over(struct robust_aside *aside,
					      unsigned long key)
{
	if (aside->below && key >= aside->below)
		return true;
	if (aside->nr < ROBUST_ASIDE || key >= aside->keys[aside->nr - 1])
		return false;
	aside->more = true;
	return true;
}

/**
 * memrescue_robust_put_aside() - a list that could not be read
 * @aside: of this round
 * @key: which one, not to be passed over; of equal ones one is kept
 *
 * Context: any.
 */
static inline void memrescue_robust_put_aside(struct robust_aside *aside,
					      unsigned long key)
{
	unsigned int at = aside->nr, i;

	while (at && aside->keys[at - 1] < key)
		at--;
	if (at && aside->keys[at - 1] == key)
		return;
	if (aside->nr == ROBUST_ASIDE)
		aside->more = true;
	else
		aside->nr++;
	for (i = aside->nr; i-- > at + 1;)
		aside->keys[i] = aside->keys[i - 1];
	if (at < ROBUST_ASIDE)
		aside->keys[at] = key;
}

/**
 * memrescue_robust_expired() - has the victim been given as long as by stock?
 * @waited_ms: milliseconds since all who use its memory were seen to be killed
 *
 * Context: any.
 * Return: true if its memory is taken whatever its threads hold.
 */
static inline bool memrescue_robust_expired(u64 waited_ms)
{
	return waited_ms >= ROBUST_WAIT_MS;
}

#endif
