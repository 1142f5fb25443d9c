/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of the tests' client module of the page pool, shared by the module
 * and the test programs. An open file of MPT_DEV may have one client.
 */
#ifndef MEMRESCUE_POOL_TEST_H
#define MEMRESCUE_POOL_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MPT_DEV		"/dev/memrescue_pool_test"

/* Where pages are got and put. */
#define MPT_THREAD	0	/* preemptible */
#define MPT_RAW_LOCK	1	/* raw spinlock held, interrupts off */
#define MPT_TIMER	2	/* hrtimer: hardware interrupt */
#define MPT_IRQ_WORK	3
#define MPT_NMI		4
#define MPT_CONTEXTS	5

/**
 * struct mpt_client - MPT_CREATE
 * @name: of the client
 * @quota: its guaranteed share, pages
 * @flags: MEMRESCUE_POOL_*
 */
struct mpt_client {
	char name[32];
	__u32 quota;
	__u32 flags;
};

/**
 * struct mpt_mix - MPT_MIX: pages are got and put in all contexts at once
 * @operations: stop after so many gets that returned a page
 * @gets: in each context, pages got
 * @misses: in each context, NULL
 * @twice: pages got that somebody else still had: must be 0
 * @wrong: pages whose contents somebody else changed: must be 0
 */
struct mpt_mix {
	__u64 operations;
	__u64 gets[MPT_CONTEXTS];
	__u64 misses[MPT_CONTEXTS];
	__u64 twice;
	__u64 wrong;
};

/**
 * struct mpt_flood - MPT_FLOOD: bursts of gets in a timer's interrupt
 * @total: gets, with a page or without
 * @burst: gets in each interrupt
 * @period_us: time between two of them, microseconds
 * @keep: 1: the pages are handed over and freed; 0: they are put back
 * @misses: how many got none
 */
struct mpt_flood {
	__u64 total;
	__u32 burst;
	__u32 period_us;
	__u32 keep;
	__u32 reserved;
	__u64 misses;
};

/**
 * struct mpt_drain - MPT_DRAIN: all pages are taken while no worker can run (on
 *	a machine with one CPU), and put back
 * @common: got by a client without a share
 * @own: then got by the file's client, from its own share
 * @rescue: then got by a critical client without a share
 */
struct mpt_drain {
	__u64 common;
	__u64 own;
	__u64 rescue;
};

#define MPT_CREATE	_IOW('p', 1, struct mpt_client)
#define MPT_DESTROY	_IO('p', 2)
#define MPT_RUN_MIX	_IOWR('p', 3, struct mpt_mix)
#define MPT_RUN_FLOOD	_IOWR('p', 4, struct mpt_flood)
/* Gets so many pages and keeps them; returns how many it got. */
#define MPT_TAKE	_IO('p', 5)
/* Puts the kept ones back, or hands them over; returns how many. */
#define MPT_PUT_ALL	_IO('p', 6)
#define MPT_HAND_OVER	_IO('p', 7)
/* The client forgets the pages it keeps, and is left behind by its module. */
#define MPT_LEAK	_IO('p', 8)
#define MPT_DRAIN	_IOR('p', 9, struct mpt_drain)
/*
 * Puts the kept pages back while somebody else refers to them, who looks at them
 * and frees them afterwards; returns how many had been written to, or were not
 * that one's alone then.
 */
#define MPT_PUT_SHARED	_IO('p', 20)
/* The client goes on without the pages that it keeps; they are freed. */
#define MPT_FORGET	_IO('p', 22)
/* How many of the kept pages are of the memory node. */
#define MPT_COUNT_NODE	_IO('p', 21)

/*
 * Three pages break after they were got (0), or after they were put back (1). Returns
 * how many of them the client gets again, or EOPNOTSUPP; the three are kept, whole
 * again, when there is none of those.
 */
#define MPT_BREAK	_IO('p', 23)

/* A page is put back twice (0), or one that is not from the pool (1); ENOMEM: there was none. */
#define MPT_PUT_WRONG	_IO('p', 24)

#endif /* MEMRESCUE_POOL_TEST_H */
