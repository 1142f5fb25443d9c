/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the tests' client module share.
 *
 * Each page that is out bears a mark, which is exchanged as a whole, and the
 * number of the one who has it.
 */
#ifndef MEMRESCUE_POOL_TEST_INTERNAL_H
#define MEMRESCUE_POOL_TEST_INTERNAL_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/llist.h>
#include <linux/memrescue.h>
#include <linux/mm.h>
#include <linux/version.h>
#include "memrescue_pool_test.h"

#define OUT_MARK	0x6d70745f6f757400ULL
#define IN_MARK		0x6d70745f696e0000ULL

/* The head of a page that is out. */
struct mark {
	u64 mark;
	u64 owner;
	struct llist_node link;
};

extern atomic64_t mpt_twice, mpt_wrong;

static inline struct page *get_marked(struct memrescue_pool_client *client,
				      u64 owner)
{
	struct page *page = memrescue_pool_get(client);
	struct mark *mark;
	u64 out;

	if (!page)
		return NULL;
	mark = page_address(page);
	out = OUT_MARK ^ page_to_pfn(page);
	if (xchg(&mark->mark, out) == out)
		atomic64_inc(&mpt_twice);
	WRITE_ONCE(mark->owner, owner);
	return page;
}

/* It is not out any more: checks that nobody else has used it. */
static inline void unmark(struct page *page, u64 owner)
{
	struct mark *mark = page_address(page);

	if (READ_ONCE(mark->owner) != owner ||
	    xchg(&mark->mark, IN_MARK) != (OUT_MARK ^ page_to_pfn(page)))
		atomic64_inc(&mpt_wrong);
}

static inline void setup_timer(struct hrtimer *timer,
			       enum hrtimer_restart (*fn)(struct hrtimer *timer))
{
#if KERNEL_VERSION(6, 13, 0) <= LINUX_VERSION_CODE
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer->function = fn;
#endif
}

int run_mix(struct memrescue_pool_client *client, struct mpt_mix *mix);
int run_flood(struct memrescue_pool_client *client, struct mpt_flood *how);
long bench_ioctl(struct memrescue_pool_client *client, unsigned int cmd,
		 unsigned long arg);

#endif
