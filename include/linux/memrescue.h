/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memrescue's interface for other kernel modules: pages from any context.
 *
 * A client asks for single pages from a hardware interrupt, with a raw spinlock
 * held, from an NMI; there is no lock in it that anybody could hold. When there
 * is no page the answer is NULL, at once, and a worker that allocates more has
 * been called. samples/pool-client has an example.
 *
 * A page has what its last user left in it, which may be another client. That is so
 * with init_on_alloc=1 as well: a driver that used to get zeroes from the page
 * allocator has to clear it, before it shows it to others.
 *
 * All functions are exported GPL-only.
 */
#ifndef _LINUX_MEMRESCUE_H
#define _LINUX_MEMRESCUE_H

#include <linux/bits.h>
#include <linux/types.h>

struct memrescue_pool_client;
struct module;
struct page;

/* Flags of memrescue_pool_client_create(). */
/* May use the rescue share, which others cannot touch, when nothing else is left. */
#define MEMRESCUE_POOL_CRITICAL	BIT(0)
#define MEMRESCUE_POOL_FLAGS	MEMRESCUE_POOL_CRITICAL

/* The longest name of a client, with its final NUL, bytes. */
#define MEMRESCUE_POOL_NAME	32

/**
 * struct memrescue_pool_client_stats - what a client has done since it is there
 * @gets: pages that it got
 * @misses: calls of memrescue_pool_get() that returned NULL
 * @puts: pages that it put back
 * @handed_over: pages that it keeps for good
 * @outstanding: pages that it has: @gets less @puts less @handed_over
 * @quota: its guaranteed share, pages
 * @credit: how many pages of that share are there to be taken now
 */
struct memrescue_pool_client_stats {
	u64 gets;
	u64 misses;
	u64 puts;
	u64 handed_over;
	u64 outstanding;
	u32 quota;
	u32 credit;
};

struct memrescue_pool_client *
__memrescue_pool_client_create(struct module *owner, const char *name,
			       unsigned int quota, unsigned int flags);

/**
 * memrescue_pool_client_create() - become a client of the emergency page pool
 * @name: shown in /sys/class/misc/memrescue/pool/clients; letters, digits, '_',
 *	'-' and '.', at most MEMRESCUE_POOL_NAME - 1 of them, no other client's
 * @quota: guaranteed share, pages: so many can be had whatever others take, and
 *	again when they were put back or replaced by the worker. 0: only from the
 *	common part
 * @flags: 0 or MEMRESCUE_POOL_CRITICAL
 *
 * The share is filled by the worker soon after, not before the function returns.
 *
 * Context: process context, may sleep.
 * Return: the client, or ERR_PTR(): -EINVAL for a bad name or flag, -EEXIST for
 * a name that is taken, -ENOSPC when the pool's cap leaves no room for @quota,
 * -ENOMEM.
 */
#define memrescue_pool_client_create(name, quota, flags) \
	__memrescue_pool_client_create(THIS_MODULE, name, quota, flags)

void memrescue_pool_client_destroy(struct memrescue_pool_client *client);
struct page *memrescue_pool_get(struct memrescue_pool_client *client);
void memrescue_pool_put(struct memrescue_pool_client *client,
			struct page *page);
void memrescue_pool_hand_over(struct memrescue_pool_client *client,
			      struct page *page);
void memrescue_pool_client_stats(struct memrescue_pool_client *client,
				 struct memrescue_pool_client_stats *stats);

#endif
