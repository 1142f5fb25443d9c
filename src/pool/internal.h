/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the pool share.
 *
 * Context: see each function. Getting and putting take no lock at all.
 * Lock order: pool.lock (mutex) is the only one. No memory is allocated with it
 * held, and CPU hotplug callbacks and the shrinker do not take it: who holds it
 * never waits for reclaim. Nor do readers of the files in sysfs: any user may read
 * them, and the workers would wait for a reader that does not get the CPU.
 */
#ifndef MEMRESCUE_POOL_INTERNAL_H
#define MEMRESCUE_POOL_INTERNAL_H

#include <linux/cache.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/memrescue.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/page-flags.h>
#include <linux/percpu.h>
#include <linux/seqlock.h>
#include <linux/workqueue.h>
#include "pool/pool.h"
#include "pool/rack.h"

/* Two pages that belong together; see pairs.c. */
#define POOL_PAIR_ORDER		1u
#define POOL_PAIR_PAGES		2u
#define POOL_PAIRS_PLAIN	0u
#define POOL_PAIRS_COMPOUND	1u
#define POOL_PAIRS_KINDS	2u

/* Half of the room in the racks is for guaranteed shares. */
#define POOL_MAX_RESERVED(max_pages)	((max_pages) / 2)

/**
 * struct pool_cpu - what a CPU has at hand
 *
 * What each get and put looks at is in one cache line, with the first slots.
 *
 * @nid: its node; constant
 * @low: with fewer pages at hand it calls the worker. Written with pool.lock held
 * @shelf: pages of that node
 */
struct pool_cpu {
	int nid;
	unsigned int low;
	struct pool_shelf shelf;
} ____cacheline_aligned;

/**
 * struct pool_node - a NUMA node that has memory
 * @nid: its number; constant
 * @common: pages for everybody, beyond those at hand of the CPUs
 * @reserve: pages that somebody has a credit for
 * @pairs: blocks of two pages, of either kind
 * @given_up: pages of its part of the extra that the shrinker took, and that are
 *	not wanted back before the next miss; decays with the extra
 * @rack_target, @shelf_target: how many pages there shall be in @common, and on
 *	the shelf of each of its CPUs. Written with pool.lock held
 * @requested: a run of the worker has been asked for, and did not begin yet; or
 *	it waits for its next try
 * @no_memory: its last run has found none; others need not wait for it
 * @hard: the run may reclaim, until that is in vain. Only used by the worker
 * @kick: asks for it, from any context
 * @refill: the worker
 */
struct pool_node {
	int nid;
	struct pool_rack common;
	struct pool_rack reserve;
	struct pool_shelf pairs[POOL_PAIRS_KINDS];
	atomic_t given_up;
	unsigned int rack_target;
	unsigned int shelf_target;
	int requested;
	bool no_memory;
	bool hard;
	struct irq_work kick;
	struct delayed_work refill;
};

/*
 * Counted on each CPU, so that clients do not meet; a word each, so that an NMI
 * cannot come in between.
 */
struct pool_client_counts {
	unsigned long gets;
	unsigned long misses;
	unsigned long puts;
	unsigned long handed_over;
};

/**
 * struct memrescue_pool_client - whoever has a share of the pool
 * @name: shown to the administrator; constant
 * @owner: module that created it, or NULL; constant
 * @quota: guaranteed share, pages. Written with pool.lock held
 * @flags: MEMRESCUE_POOL_*; constant
 * @link: in pool.clients. Written with pool.lock held, read under RCU as well
 * @counts: what it did
 * @credit: pages in the reserve that are there for it: a permit for each
 * @lent: pages of its share that are out, and will be put back
 * @borrowed: pages of the rescue share that it has; they are in the lent of
 *	that one
 */
struct memrescue_pool_client {
	char name[MEMRESCUE_POOL_NAME];
	struct module *owner;
	unsigned int quota;
	unsigned int flags;
	struct list_head link;
	struct pool_client_counts __percpu *counts;
	atomic_t credit;
	atomic_t lent;
	atomic_t borrowed;
};

/**
 * struct pool - the one pool
 * @lock: protects @clients, the clients' quotas, @pairs, the knobs, @extra, what is
 *	derived from them (read with READ_ONCE() elsewhere)
 * @clients: all of them, @rescue first
 * @past: what clients did that are gone
 * @leaves: a client leaves @clients, and what it did goes into @past
 * @rescue: whose share critical clients and rescued tasks may use
 * @cpus: for each possible CPU
 * @nodes: by number; NULL where there is no memory; constant
 * @pairs: how many pairs of each kind there shall be in each node
 * @promised: pages of all quotas and of pairs; derived from them
 * @max_pages: what the racks have room for; constant
 * @extra: pages that are wanted beyond the base, after misses
 * @coming: pages that workers are about to put in
 * @missed: misses since the size was looked at
 * @busy: a shelf was found empty since the size was looked at: not quiet
 * @node_part: each node's part of the guaranteed shares: it fills so much before
 *	any adds what is left of them
 * @node_pages: how many there may be in the common rack of a node
 * @cpu_target, @node_target: how many there shall be on the shelf of a CPU and in
 *	the rack of a node, where the shrinker did not take any
 * @peak: the most pages that were seen; never becomes less
 * @dropped: pages that were put back and found no room; their first words are
 *	the links
 * @running: work may be queued
 * @wq: where the workers run
 * @tend: looks at the size while it is not the base
 */
struct pool {
	struct mutex lock;	/* see above */
	struct list_head clients;
	struct pool_client_counts past;
	seqcount_t leaves;
	struct memrescue_pool_client *rescue;
	struct pool_cpu __percpu *cpus;
	struct pool_node *nodes[MAX_NUMNODES];
	unsigned int pairs;
	unsigned int promised;
	unsigned int max_pages;
	unsigned int extra;
	atomic_t coming;
	atomic_t missed;
	int busy;
	unsigned int node_part;
	unsigned int node_pages;
	unsigned int cpu_target;
	unsigned int node_target;
	unsigned long peak;
	struct llist_head dropped;
	bool running;
	struct workqueue_struct *wq;
	struct delayed_work tend;
};

extern struct pool memrescue_pool;

/* The first node with memory after @nid, or NULL. */
static inline struct pool_node *memrescue_pool_next_node(int *nid)
{
	while (++*nid < (int)nr_node_ids)
		if (memrescue_pool.nodes[*nid])
			return memrescue_pool.nodes[*nid];
	return NULL;
}

/* The nodes that have memory. */
#define for_each_pool_node(node, nid) \
	for ((nid) = -1; ((node) = memrescue_pool_next_node(&(nid))); )

/* stock.c: pages in and out, from any context */
struct page *memrescue_pool_take(const nodemask_t *nodes);
struct page *memrescue_pool_take_credit(struct memrescue_pool_client *client,
					const nodemask_t *nodes);
struct page *
memrescue_pool_take_credit_above(struct memrescue_pool_client *client, int keep,
				 const nodemask_t *nodes);
int memrescue_pool_near(void);
bool memrescue_pool_stock_common(struct page *page);
bool memrescue_pool_stock_reserve(struct page *page);
void memrescue_pool_drop(struct page *page);
void memrescue_pool_leak_broken(unsigned int pages);
void memrescue_pool_free(struct page *page);
unsigned long memrescue_pool_node_common(struct pool_node *node);
unsigned long memrescue_pool_common(void);
unsigned long memrescue_pool_reserved(void);
bool memrescue_pool_dec(atomic_t *count);

#define GFP_POOL_SOFT	(__GFP_KSWAPD_RECLAIM | __GFP_NOMEMALLOC | __GFP_NOWARN)
/* What the base and the shares lack is worth reclaim, but only one try. */
#define GFP_POOL_HARD	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOMEMALLOC | \
			 __GFP_NOWARN)

/* pairs.c: for lifelines */
struct page *memrescue_pool_take_pair(gfp_t gfp, const nodemask_t *nodes);
void memrescue_pool_return_pair(gfp_t gfp, struct page *page);
void memrescue_pool_trim_pairs(void);
bool memrescue_pool_fill_pairs(struct pool_node *node);
unsigned long memrescue_pool_pairs(void);

/* share.c: the reserve and the credits */
bool memrescue_pool_fill_reserve(struct pool_node *node);

/* refill.c: who fills it */
void memrescue_pool_kick(int nid);
void memrescue_pool_kick_missed(int nid);
void memrescue_pool_kick_all(void);
void memrescue_pool_kick_irq(struct irq_work *work);
void memrescue_pool_refill(struct work_struct *work);
struct page *memrescue_pool_alloc(struct pool_node *node, gfp_t gfp,
				  unsigned int order);
struct page *memrescue_pool_alloc_hard(struct pool_node *node, gfp_t gfp,
				       unsigned int order);
bool memrescue_pool_claim(void);
void memrescue_pool_unclaim(void);
void memrescue_pool_free_dropped(void);

/* size.c: how large it is */
unsigned int memrescue_pool_cap(void);
unsigned int memrescue_pool_most_reserved(void);
unsigned int memrescue_pool_pairs_target(void);
unsigned int memrescue_pool_node_target(struct pool_node *node);
unsigned int memrescue_pool_target(void);
void memrescue_pool_resize(void);
unsigned long memrescue_pool_surplus(int nid);
unsigned long memrescue_pool_shrink(int nid, unsigned long pages);
bool memrescue_pool_grow(void);
unsigned long memrescue_pool_peak(void);
void memrescue_pool_filled(void);
void memrescue_pool_tend(struct work_struct *work);

/**
 * memrescue_pool_forget_broken() - do not touch a broken page any more
 * @page: owned by the caller
 * @pages: how many belong together
 *
 * memory_failure() marks a page of the pool and can do no more about it. It is
 * leaked, as the allocator leaks one that is freed.
 *
 * Context: any.
 * Return: true if one of them is broken: it is not the caller's any more.
 */
static __always_inline bool
memrescue_pool_forget_broken(struct page *page, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < pages; i++) {
		if (likely(!PageHWPoison(page + i)))
			continue;
		memrescue_pool_leak_broken(pages);
		return true;
	}
	return false;
}

/* The line that says how many others there would be. */
#define POOL_MORE_BYTES	32u

/* client.c: shares, and what clients do */
ssize_t memrescue_pool_more(unsigned int left, char *buf, size_t size);
struct page *memrescue_pool_borrow(struct memrescue_pool_client *owner,
				   const nodemask_t *nodes);
void memrescue_pool_take_back(struct memrescue_pool_client *client,
			      struct page *page);
int memrescue_pool_client_init(void);
void memrescue_pool_client_exit(void);

/* counts.c */
void memrescue_pool_add_counts(struct pool_client_counts *sum,
			       const struct pool_client_counts *counts);
void memrescue_pool_add_client(struct pool_client_counts *sum,
			       const struct memrescue_pool_client *client);
unsigned long memrescue_pool_outstanding(const struct pool_client_counts *sum);
void memrescue_pool_client_sum(struct pool_client_counts *sum);

#endif
