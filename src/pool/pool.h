/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emergency page pool, as the rooms above see it: start and stop, knobs,
 * statistics. For clients in other modules see <linux/memrescue.h>.
 *
 * Context: process context, where not said otherwise.
 * Lock order: none is exposed.
 */
#ifndef MEMRESCUE_POOL_POOL_H
#define MEMRESCUE_POOL_POOL_H

#include <linux/atomic.h>
#include <linux/types.h>

/* Bounds of the base and of the rescue share, pages for each CPU. */
#define POOL_MAX_BASE		32u
#define POOL_MAX_RESCUE		16u

/* Room that there may be at most, pages: bound of the module parameter. */
#define POOL_MAX_PAGES		1048576u

/* Without a parameter, of 4 KiB: what the racks themselves need is some 200 KiB then. */
#define POOL_DEFAULT_PAGES	16384u

/**
 * struct memrescue_pool_knobs - what the administrator may change
 *
 * Changed by memrescue_pool_set(), read with READ_ONCE() at any time.
 * @base_pages: pages that are kept for each CPU when all is quiet
 * @rescue_pages: rescue share, pages for each CPU, beside the base
 * @cap_pages: the pool never has more, pages
 * @cap_percent: nor more than this part of the machine's memory, percent
 */
struct memrescue_pool_knobs {
	unsigned int base_pages;
	unsigned int rescue_pages;
	unsigned int cap_pages;
	unsigned int cap_percent;
};

/**
 * struct memrescue_pool_stats - counters since load; all only grow
 * @refills: runs of the workers that put pages into the pool
 * @refilled: pages that they put there
 * @refill_failures: runs that ended because there was no memory
 * @refill_reclaims: allocations for which they reclaimed
 * @grown: times that the pool became larger, after misses
 * @shrunk: pages given back by decay and by the shrinker
 * @freed: pages given back to the kernel, for whatever reason
 * @dropped: pages that clients put back and for which there was no room
 * @foreign: pages put back that are still in use elsewhere
 * @lost: pages that clients had when they were destroyed
 * @poisoned: broken pages (PG_hwpoison) that the pool has forgotten
 */
struct memrescue_pool_stats {
	atomic_long_t refills;
	atomic_long_t refilled;
	atomic_long_t refill_failures;
	atomic_long_t refill_reclaims;
	atomic_long_t grown;
	atomic_long_t shrunk;
	atomic_long_t freed;
	atomic_long_t dropped;
	atomic_long_t foreign;
	atomic_long_t lost;
	atomic_long_t poisoned;
};

/* What is in the pool now; see memrescue_pool_now(). */
struct memrescue_pool_now {
	unsigned long common;	/* pages for everybody */
	unsigned long reserved;	/* pages of guaranteed and rescue shares */
	unsigned long target;	/* how many it wants to have of both */
	unsigned long peak;	/* the most that were ever seen */
	unsigned long cap;	/* what both knobs allow */
	unsigned long gets;	/* of all clients, also of those that are gone */
	unsigned long misses;
	unsigned long puts;
	unsigned long handed_over;
};

extern struct memrescue_pool_knobs memrescue_pool_knobs;
extern struct memrescue_pool_stats memrescue_pool_stats;

int memrescue_pool_init(unsigned int max_pages);
void memrescue_pool_exit(void);
int memrescue_pool_set(unsigned int *knob, unsigned int value);
void memrescue_pool_kick_waiting(void);
void memrescue_pool_now(struct memrescue_pool_now *now);
ssize_t memrescue_pool_table(char *buf, size_t size);
ssize_t memrescue_pool_node_table(char *buf, size_t size);

#endif
