// SPDX-License-Identifier: GPL-2.0
/*
 * Bursts of gets in a timer's interrupt; a thread gives the pages back. There is no
 * burst before those of the last one were: when the host does not let the virtual
 * machine's other CPU run, it is not the pool that is late.
 */
#include <linux/delay.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include "internal.h"

static struct {
	struct memrescue_pool_client *client;
	struct mpt_flood how;
	struct hrtimer timer;
	struct llist_head pages;
	bool returned;
	u64 left;
	u64 misses;
} flood;

static ktime_t flood_period(void)
{
	return ns_to_ktime((u64)flood.how.period_us * NSEC_PER_USEC);
}

static void flood_one(void)
{
	struct page *page = memrescue_pool_get(flood.client);

	if (!page)
		flood.misses++;
	else
		llist_add(&((struct mark *)page_address(page))->link,
			  &flood.pages);
}

static enum hrtimer_restart on_flood(struct hrtimer *timer)
{
	u32 i;

	if (!READ_ONCE(flood.returned))
		goto out_again;
	WRITE_ONCE(flood.returned, false);
	for (i = 0; i < flood.how.burst && flood.left; i++, flood.left--)
		flood_one();
	if (!flood.left)
		return HRTIMER_NORESTART;
out_again:
	hrtimer_forward_now(timer, flood_period());
	return HRTIMER_RESTART;
}

static void flood_nothing(void *unused)
{
}

/* What the interrupts got goes back, or to the allocator. */
static void flood_return(void)
{
	struct llist_node *node = llist_del_all(&flood.pages), *next;
	struct page *page;

	for (; node; node = next) {
		next = node->next;
		page = virt_to_page(container_of(node, struct mark, link));
		if (flood.how.keep) {
			memrescue_pool_hand_over(flood.client, page);
			__free_page(page);
		} else {
			memrescue_pool_put(flood.client, page);
		}
	}
	/* The pool's worker may be on another CPU: one that runs. */
	smp_call_function(flood_nothing, NULL, true);
	WRITE_ONCE(flood.returned, true);
}

int run_flood(struct memrescue_pool_client *client, struct mpt_flood *how)
{
	flood.client = client;
	flood.how = *how;
	flood.left = how->total;
	flood.misses = 0;
	flood.returned = true;
	init_llist_head(&flood.pages);
	setup_timer(&flood.timer, on_flood);
	hrtimer_start(&flood.timer, flood_period(),
		      HRTIMER_MODE_REL_PINNED_HARD);
	while (READ_ONCE(flood.left) && !signal_pending(current)) {
		flood_return();
		usleep_range(500, 1000);
	}
	hrtimer_cancel(&flood.timer);
	flood_return();
	how->misses = flood.misses;
	return 0;
}
