/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who is rescued without asking: knobs, counters, lifelines.
 *
 * Context: process context, where not said otherwise. Lock order: lifeline.c's
 * mutex, then pool.lock.
 */
#ifndef MEMRESCUE_POOL_RESCUE_H
#define MEMRESCUE_POOL_RESCUE_H

#include <linux/atomic.h>
#include <linux/nodemask.h>
#include <linux/types.h>
#include "hook/hook.h"

struct page;
struct memrescue_pool_client;

/* Who is rescued. */
#define RESCUE_DYING	0u
#define RESCUE_LIFELINE	1u
#define RESCUE_PAIR	2u	/* two pages, for a lifeline */
#define RESCUE_ATOMIC	3u
#define RESCUE_CLASSES	4u

/* Bounds of the knobs. */
#define LIFELINE_MAX_PAGES	65536u
#define RESCUE_MAX_RATE		1048576u
#define LIFELINES		16u

/**
 * struct memrescue_rescue_knobs - what the administrator may change
 *
 * Read with READ_ONCE() at any time.
 * @dying: tasks that die are rescued
 * @dying_rate_pages: they are given so many in a second at most
 * @atomic: atomic allocations that fail are rescued
 * @lifeline_pages: guaranteed share of the lifelines together, pages. Changed by
 *	memrescue_lifeline_set_pages() only
 * @lifeline_rate_pages: lifelines are given so many in a second at most
 */
struct memrescue_rescue_knobs {
	unsigned int dying;
	unsigned int dying_rate_pages;
	unsigned int atomic;
	unsigned int lifeline_pages;
	unsigned int lifeline_rate_pages;
};

/**
 * struct memrescue_rescue_counts - counters of a class since load
 * @served: allocations that were given a page
 * @missed: those for which there was none
 * @limited: those that were too many in that second
 * @failed: those that may fail, and did, without reclaim
 */
struct memrescue_rescue_counts {
	atomic_long_t served;
	atomic_long_t missed;
	atomic_long_t limited;
	atomic_long_t failed;
};

extern struct memrescue_rescue_knobs memrescue_rescue_knobs;
extern const struct memrescue_rescue_sink memrescue_rescue_sink;

int memrescue_rescue_init(void);
void memrescue_rescue_exit(void);
ssize_t memrescue_rescue_table(char *buf, size_t size);

/* lifeline.c */
int memrescue_lifeline_init(void);
void memrescue_lifeline_exit(void);
int memrescue_lifeline_add(const char *path);
int memrescue_lifeline_remove(const char *path);
int memrescue_lifeline_set_pages(unsigned int pages);
unsigned int memrescue_lifeline_count(void);
ssize_t memrescue_lifeline_table(char *buf, size_t size);
struct memrescue_pool_client *memrescue_lifeline_client(void);
bool memrescue_lifeline_holds(void);

#endif
