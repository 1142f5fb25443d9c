/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of a victim that are not taken: its threads still need them to give up
 * their locks. A few, in an array that every record has.
 *
 * Context: any; no side effects. One worker adds, before others look.
 */
#ifndef MEMRESCUE_REAPER_KEEP_H
#define MEMRESCUE_REAPER_KEEP_H

#include "pure.h"

#define KEEP_PAGES	64u

/**
 * struct keep - the pages
 * @nr: how many
 * @pages: their addresses, ascending
 */
struct keep {
	unsigned int nr;
	unsigned long pages[KEEP_PAGES];
};

/**
 * memrescue_keep_page() - add a page
 * @keep: the pages
 * @page: its address
 *
 * Context: any.
 * Return: false if there is no room for it.
 */
static inline bool memrescue_keep_page(struct keep *keep, unsigned long page)
{
	unsigned int at = keep->nr, i;

	while (at && keep->pages[at - 1] > page)
		at--;
	if (at && keep->pages[at - 1] == page)
		return true;
	if (keep->nr == KEEP_PAGES)
		return false;
	for (i = keep->nr++; i > at; i--)
		keep->pages[i] = keep->pages[i - 1];
	keep->pages[at] = page;
	return true;
}

/**
 * memrescue_keep_cut() - leave kept pages out of a range
 * @keep: the pages
 * @start: first address of the range, bytes
 * @end: its end (exclusive), bytes, > @start; lowered if the highest pages are kept
 * @page_size: bytes
 *
 * The highest part without such a page is what is left; what lies below it is
 * for the next call.
 *
 * Context: any.
 * Return: the start of that part; equal to @end if all of the range is kept.
 */
static inline unsigned long memrescue_keep_cut(const struct keep *keep,
					       unsigned long start,
					       unsigned long *end,
					       unsigned long page_size)
{
	unsigned int i;

	for (i = keep->nr; i-- > 0;) {
		unsigned long page = keep->pages[i];

		if (page >= *end)
			continue;
		if (page < start)
			break;
		if (page + page_size < *end)
			return page + page_size;
		*end = page;
	}
	return start;
}

#endif
