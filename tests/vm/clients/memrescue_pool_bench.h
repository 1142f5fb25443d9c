/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests' client module of the page pool does for the benchmarks: more
 * requests for an open file of MPT_DEV that has a client. The caller sees to it
 * that there is one of them at a time.
 */
#ifndef MEMRESCUE_POOL_BENCH_H
#define MEMRESCUE_POOL_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What is done again and again: a page is got and put. */
#define MPT_NOTHING	0	/* the loop alone */
#define MPT_POOL	1	/* memrescue_pool_get(), memrescue_pool_put() */
#define MPT_ALLOC	2	/* alloc_page(GFP_NOWAIT), __free_page() */
#define MPT_MEMPOOL	3	/* mempool_alloc(GFP_NOWAIT), mempool_free(), of pages */
#define MPT_NOLOCK	4	/* alloc_pages_nolock(), free_pages_nolock() */
#define MPT_CLEAR	5	/* clear_page() alone: a part of the former */
#define MPT_ATOMIC	6	/* four atomic operations on words of its own */
#define MPT_LOOPS	7

/**
 * struct mpt_bench - MPT_COUNT, MPT_SCALE
 * @what: one of the above; EOPNOTSUPP if the kernel has no such thing
 * @cpus: MPT_SCALE: on these, a bit for each
 * @ms: MPT_SCALE: for so long
 * @reserved: 0
 * @pairs: MPT_COUNT: pairs in one batch; MPT_SCALE: pairs in a second, of all
 *	CPUs together
 * @ticks: MPT_COUNT: of the time stamp counter, for one batch (median)
 */
struct mpt_bench {
	__u32 what;
	__u32 cpus;
	__u32 ms;
	__u32 reserved;
	__u64 pairs;
	__u64 ticks;
};

/**
 * struct mpt_death - MPT_DEATH: of the last task that called MPT_DIE
 * @pid: it waits to be killed
 * @allocated: how many pages it got
 * @ns: how long that took, nanoseconds
 */
struct mpt_death {
	__u64 pid;
	__u64 allocated;
	__u64 ns;
};

#define MPT_COUNT	_IOWR('p', 64, struct mpt_bench)
#define MPT_SCALE	_IOWR('p', 65, struct mpt_bench)
/* Waits to be killed, allocates so many pages one by one, and frees them. */
#define MPT_DIE		_IO('p', 66)
#define MPT_DEATH	_IOR('p', 67, struct mpt_death)

#endif /* MEMRESCUE_POOL_BENCH_H */
