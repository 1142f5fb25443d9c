/* SPDX-License-Identifier: GPL-2.0 */
/*
 * So many pages in a second at most, counted in tenths of one.
 *
 * Context: any, NMI included. Lock order: none.
 */
#ifndef MEMRESCUE_POOL_RATE_H
#define MEMRESCUE_POOL_RATE_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>

#define RATE_PARTS	10u

/**
 * struct pool_rate - what was given in this part of a second
 * @used: the upper half: which part; the lower one: pages in it
 */
struct pool_rate {
	atomic64_t used;
};

static inline u32 pool_rate_part(void)
{
	return jiffies / (HZ / RATE_PARTS);
}

/**
 * pool_rate_take() - some more pages, if they are not too many
 * @rate: of whom
 * @most: so many in a second, rounded up to the next multiple of RATE_PARTS
 * @pages: so many
 *
 * Context: any.
 * Return: false if that were too many in this part of a second.
 */
static inline bool pool_rate_take(struct pool_rate *rate, unsigned int most,
				  unsigned int pages)
{
	s64 old = atomic64_read(&rate->used);
	u32 used, now = pool_rate_part();

	do {
		used = (u32)(old >> 32) == now ? (u32)old : 0;
		if (used + pages > DIV_ROUND_UP(most, RATE_PARTS))
			return false;
	} while (!atomic64_try_cmpxchg(&rate->used, &old,
				       ((u64)now << 32) | (used + pages)));
	return true;
}

/**
 * pool_rate_return() - they were not given after all
 * @rate: of whom
 * @pages: as they were taken
 *
 * Context: any.
 */
static inline void pool_rate_return(struct pool_rate *rate, unsigned int pages)
{
	s64 old = atomic64_read(&rate->used);

	do {
		if ((u32)(old >> 32) != pool_rate_part() || (u32)old < pages)
			return;
	} while (!atomic64_try_cmpxchg(&rate->used, &old, old - pages));
}

#endif
