/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A shelf: a few slots, each empty or with one page, and a count of what may be
 * taken. Any number of contexts may take and put at the same time, NMIs
 * included, without a lock and without waiting for each other.
 *
 * A slot is one word that is only ever exchanged as a whole: whoever swaps a
 * page for NULL owns the page, whoever swaps NULL for a page has put it. There
 * are no links between pages, so nothing can be read from a page that somebody
 * else owns, and a page that left and came back (ABA) is simply a page that is
 * there. No step depends on the CPU it runs on.
 *
 * The count is a semaphore: it is raised after a page was put and lowered
 * before one is taken, so that there are never fewer pages in the slots than
 * permits were taken for. docs/pool.md has the argument; tests/unit/pool_threads.c runs
 * this file in user space under ThreadSanitizer, tests/model/shelf.pml is
 * checked exhaustively.
 *
 * Context: any, NMI included; preemption may be on. Lock order: none.
 */
#ifndef MEMRESCUE_POOL_SHELF_H
#define MEMRESCUE_POOL_SHELF_H

#include "pool/pure.h"

/* With them a shelf is as large as eight cache lines. */
#define SHELF_SLOTS	63u

/* Others may move pages while we look: so often we look again. */
#define SHELF_PASSES	4u

/**
 * struct pool_shelf - see above
 * @count: pages that nobody has a permit for
 * @top: a hint: the slots below are full, this one and those above are empty.
 *	Every value is allowed
 * @slots: a page or NULL
 */
struct pool_shelf {
	pure_atomic count;
	unsigned int top;
	void *slots[SHELF_SLOTS];
};

/* May a page be taken? The permit is used or given back. */
static inline bool pool_shelf_permit(struct pool_shelf *shelf)
{
	int count = pure_atomic_read(&shelf->count);

	do {
		if (count <= 0)
			return false;
	} while (!pure_atomic_try_cmpxchg(&shelf->count, &count, count - 1));
	return true;
}

/**
 * pool_shelf_take() - take a page
 * @shelf: the shelf
 *
 * Context: any.
 * Return: the page; NULL if there is none, or if others moved pages about each
 * time that we looked.
 */
static inline void *pool_shelf_take(struct pool_shelf *shelf)
{
	unsigned int pass, i, at = pure_read_hint(&shelf->top);
	void *page;

	if (!pool_shelf_permit(shelf))
		return NULL;
	for (pass = 0; pass < SHELF_PASSES; pass++) {
		for (i = 0; i < SHELF_SLOTS; i++) {
			at = at - 1 < SHELF_SLOTS ? at - 1 : SHELF_SLOTS - 1;
			if (!pure_read_slot(&shelf->slots[at]))
				continue;
			page = pure_xchg_slot(&shelf->slots[at], NULL);
			if (page) {
				pure_write_hint(&shelf->top, at);
				return page;
			}
		}
	}
	pure_atomic_inc(&shelf->count);
	return NULL;
}

/**
 * pool_shelf_put() - put a page
 * @shelf: the shelf
 * @page: the page, owned by the caller; not NULL
 * @slots: how many of its slots may be used, at most SHELF_SLOTS
 *
 * Context: any.
 * Return: false if none of these slots is empty; the caller still owns @page.
 */
static inline bool pool_shelf_put(struct pool_shelf *shelf, void *page,
				  unsigned int slots)
{
	unsigned int i, at = pure_read_hint(&shelf->top);

	for (i = 0; i < slots; i++, at++) {
		if (at >= slots)
			at = 0;
		if (pure_read_slot(&shelf->slots[at]))
			continue;
		if (pure_cmpxchg_slot(&shelf->slots[at], page)) {
			pure_write_hint(&shelf->top, at + 1);
			pure_atomic_inc(&shelf->count);
			return true;
		}
	}
	return false;
}

/**
 * pool_shelf_count() - pages that can be taken now
 * @shelf: the shelf
 *
 * Context: any.
 * Return: their number, exact when nobody is at the shelf.
 */
static inline unsigned int pool_shelf_count(struct pool_shelf *shelf)
{
	int count = pure_atomic_read(&shelf->count);

	return count > 0 ? count : 0;
}

#endif
