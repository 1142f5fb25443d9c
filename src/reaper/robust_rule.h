/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When may a victim's memory be taken without breaking robust futexes?
 *
 * A thread that dies walks its robust list in user memory, marks the futexes
 * it holds as ownerless and wakes their waiters. If that memory is gone before
 * the walk, the waiters sleep for ever; this is why the stock reaper waits two
 * seconds. So the pages that the walk needs are kept (keep.h, robust_list.h);
 * here is whose lists that concerns. docs/reaper.md derives the rule from the
 * kernel's source.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_ROBUST_RULE_H
#define MEMRESCUE_REAPER_ROBUST_RULE_H

#include "pure.h"

/* The stock kernel's OOM_REAPER_DELAY: no victim of the OOM killer waits longer. */
#define ROBUST_WAIT_MS	2000u

/* What is asked about the robust lists of a process. */
enum robust_ask {
	ROBUST_IGNORE,	/* nothing */
	ROBUST_LOOK,	/* may one of its threads need one? */
	ROBUST_COLLECT,	/* is a thread at its walk? If not: which lists are there? */
	ROBUST_BEGUN,	/* is a thread at its walk? */
};

/* What was seen of one thread. */
struct robust_view {
	bool passed;		/* it has no mm, or its futex exit is over */
	bool registered;	/* it has a robust list */
	bool begun;		/* it is at its walk */
};

/**
 * memrescue_robust_needs() - does this thread answer yes?
 * @view: what was seen of the thread
 * @ask: not ROBUST_IGNORE
 *
 * What a thread at its walk has dealt with may be changed already by the next
 * owner, the links of its list included.
 *
 * Context: any.
 * Return: true if the memory must be left for now.
 */
static inline bool memrescue_robust_needs(const struct robust_view *view,
					  enum robust_ask ask)
{
	if (view->passed || !view->registered)
		return false;
	return ask == ROBUST_LOOK || view->begun;
}

/**
 * memrescue_others_to_find() - how many users may be another process's threads?
 * @before: users of an address space, before a process's threads are counted
 * @after: the same, afterwards
 * @threads: how many of them are that process's threads
 * @strangers: when so many were left, nobody else was found; 0 at first
 *
 * Of one that leaves meanwhile @before tells, of one that joins @after: so none
 * of the two hides somebody else.
 *
 * Context: any.
 * Return: 0 if nobody else has to be looked for.
 */
static inline int memrescue_others_to_find(int before, int after, int threads,
					   int strangers)
{
	int others = (before > after ? before : after) - threads;

	return others > strangers ? others : 0;
}

/*
 * Lists are not read while the threads are walked. Each round of a walk keeps
 * those with the highest keys below a bound that falls from round to round: in
 * the end all have come up, however many threads there are. Threads are walked
 * in the order of their creation, and mapped memory goes downwards, so mostly
 * each list is looked at in one round only.
 */
#define ROBUST_ASIDE	256u

struct robust_aside {
	unsigned long below;	/* the bound: from there on, all was dealt with */
	unsigned int nr;
	bool more;		/* there are some that had no room */
	unsigned long keys[ROBUST_ASIDE];	/* descending */
};

/**
 * memrescue_robust_first() - before the first walk
 * @aside: of any content
 *
 * Context: any.
 */
static inline void memrescue_robust_first(struct robust_aside *aside)
{
	aside->below = 0;
	aside->nr = 0;
	aside->more = false;
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
 * memrescue_robust_put_aside() - a list that is to be read
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
 * Return: true if a victim of the OOM killer is taken whatever its threads hold.
 */
static inline bool memrescue_robust_expired(u64 waited_ms)
{
	return waited_ms >= ROBUST_WAIT_MS;
}

#endif
