/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks of pages that a client has, in the debug build only: a page that is put back
 * twice, or by who did not get it, is found by its mark.
 *
 * The mark is in page_private(), which clients leave alone there. A page that is put
 * twice would have two owners, a foreign one may be anything.
 *
 * Context: any. Lock order: none.
 */
#ifndef MEMRESCUE_POOL_MARK_H
#define MEMRESCUE_POOL_MARK_H

#include <linux/mm.h>

struct memrescue_pool_client;

#ifdef MEMRESCUE_DEBUG
static inline unsigned long mark_of(const struct memrescue_pool_client *client,
				    const struct page *page)
{
	return ~((unsigned long)client ^ page_to_pfn(page));
}

/* It got the page. */
static inline void mark_out(const struct memrescue_pool_client *client,
			    struct page *page)
{
	set_page_private(page, mark_of(client, page));
}

/* It has it no more. Returns false if it did not have it: it is not to be touched. */
static inline bool mark_in(const struct memrescue_pool_client *client,
			   struct page *page)
{
	unsigned long mark = mark_of(client, page);

	return cmpxchg(&page->private, mark, 0) == mark;
}
#else
static inline void mark_out(const struct memrescue_pool_client *client,
			    struct page *page)
{
}

static inline bool mark_in(const struct memrescue_pool_client *client,
			   struct page *page)
{
	return true;
}
#endif

#endif
