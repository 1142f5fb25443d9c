/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A rack: many shelves, for the pages of a node.
 *
 * Context: any, NMI included. Lock order: none.
 */
#ifndef MEMRESCUE_POOL_RACK_H
#define MEMRESCUE_POOL_RACK_H

#include "pool/shelf.h"

/**
 * struct pool_rack - shelves, and what spares a search in all of them
 * @stock: pages, for who asks whether it is empty
 * @nr: shelves
 * @near: a hint: the shelf where a page was taken or put last. Every value is
 *	allowed
 * @shelves: @nr of them
 */
struct pool_rack {
	pure_atomic stock;
	unsigned int nr;
	unsigned int near;
	struct pool_shelf *shelves;
};

/**
 * pool_rack_stock() - pages that it has
 * @rack: the rack
 *
 * Context: any.
 * Return: their number, exact when nobody is at the rack.
 */
static inline unsigned int pool_rack_stock(struct pool_rack *rack)
{
	int stock = pure_atomic_read(&rack->stock);

	return stock > 0 ? stock : 0;
}

/**
 * pool_rack_take() - take a page
 * @rack: the rack
 *
 * Context: any.
 * Return: the page, or NULL if there is none, or others moved pages about.
 */
static inline void *pool_rack_take(struct pool_rack *rack)
{
	unsigned int i, at = pure_read_hint(&rack->near);
	void *page;

	if (!pool_rack_stock(rack))
		return NULL;
	for (i = 0; i < rack->nr; i++, at--) {
		if (at >= rack->nr)
			at = rack->nr - 1;
		page = pool_shelf_take(&rack->shelves[at]);
		if (page) {
			pure_write_hint(&rack->near, at);
			pure_atomic_dec(&rack->stock);
			return page;
		}
	}
	return NULL;
}

/* How many slots of a shelf belong to the first @pages of a rack. */
static inline unsigned int pool_rack_slots(unsigned int shelf,
					   unsigned int pages)
{
	unsigned int before = shelf * SHELF_SLOTS;

	if (pages <= before)
		return 0;
	return pages - before < SHELF_SLOTS ? pages - before : SHELF_SLOTS;
}

/**
 * pool_rack_put() - put a page
 * @rack: the rack
 * @page: the page, owned by the caller; not NULL
 * @pages: how many there may be in the rack
 *
 * Context: any.
 * Return: false if it is full; the caller still owns @page.
 */
static inline bool pool_rack_put(struct pool_rack *rack, void *page,
				 unsigned int pages)
{
	unsigned int i, slots, at = pure_read_hint(&rack->near);

	for (i = 0; i < rack->nr; i++, at++) {
		if (at >= rack->nr)
			at = 0;
		slots = pool_rack_slots(at, pages);
		/* Full ones are passed over without a look at their slots. */
		if (pool_shelf_count(&rack->shelves[at]) >= slots)
			continue;
		if (pool_shelf_put(&rack->shelves[at], page, slots)) {
			pure_write_hint(&rack->near, at);
			pure_atomic_inc(&rack->stock);
			return true;
		}
	}
	return false;
}

#endif
