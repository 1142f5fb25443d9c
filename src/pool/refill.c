// SPDX-License-Identifier: GPL-2.0
/*
 * Who fills the pool: one worker for each node.
 *
 * A worker is called from any context, and at most once before it runs. It
 * allocates without a right to the reserves. It reclaims, without trying twice,
 * for the first half of each guarantee, and that only after misses, or when there
 * was no memory in the run before; when that is in vain it does not reclaim again
 * in this run. Else it would take the CPU from those who have just been given pages.
 *
 * Context: workers of pool.wq, where not said otherwise. Lock order: see
 * internal.h.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include "compat/alloc.h"
#include "compat/fault.h"
#include "pool/internal.h"

/* When there was no memory, the next try is after so long. */
#define RETRY_MS	20u

/* What pool_node.requested may be. */
#define IDLE		0
#define REQUESTED	1
#define WAITS		2	/* for the next try, which misses may bring forward */

/* Pages that are put in before others may run. */
#define BATCH		32u

/*
 * Asks for a run, unless one has been asked for. Between the two steps a caller
 * must not lose the CPU: everybody else sees a request, and would wait for who is
 * to make it. (irq_work_queue() has such a step in itself.)
 */
static void request(struct pool_node *node, bool even_if_waiting)
{
	int was;

	preempt_disable_notrace();
	was = even_if_waiting ? xchg(&node->requested, REQUESTED) :
				cmpxchg(&node->requested, IDLE, REQUESTED);
	if (was == IDLE || (even_if_waiting && was == WAITS))
		irq_work_queue(&node->kick);
	preempt_enable_notrace();
}

/**
 * memrescue_pool_kick() - ask for a run of a node's worker
 * @nid: the node
 *
 * Context: any.
 */
void memrescue_pool_kick(int nid)
{
	struct pool_node *node = memrescue_pool.nodes[nid];

	if (!node || READ_ONCE(node->requested) ||
	    !READ_ONCE(memrescue_pool.running))
		return;
	request(node, false);
}

/**
 * memrescue_pool_kick_missed() - ask for a run, for want of a page
 * @nid: the node
 *
 * Unlike memrescue_pool_kick() it does not leave a worker alone that waits, if
 * that has not reclaimed yet.
 *
 * Context: any.
 */
void memrescue_pool_kick_missed(int nid)
{
	struct pool_node *node = memrescue_pool.nodes[nid];

	if (!node || READ_ONCE(node->requested) == REQUESTED ||
	    !READ_ONCE(memrescue_pool.running))
		return;
	request(node, true);
}

/**
 * memrescue_pool_kick_all() - ask for a run of every worker
 *
 * Context: any.
 */
void memrescue_pool_kick_all(void)
{
	struct pool_node *node;
	int nid;

	for_each_pool_node(node, nid)
		memrescue_pool_kick(nid);
}

/**
 * memrescue_pool_kick_waiting() - workers that wait for memory look again
 *
 * For who has given some back: others take it as well.
 *
 * Context: process context; does not sleep.
 */
void memrescue_pool_kick_waiting(void)
{
	struct pool_node *node;
	int nid;

	for_each_pool_node(node, nid)
		if (READ_ONCE(node->requested) &&
		    READ_ONCE(memrescue_pool.running))
			mod_delayed_work(memrescue_pool.wq, &node->refill, 0);
}

/**
 * memrescue_pool_kick_irq() - pass the request on to the workqueue
 * @work: of a node
 *
 * Context: hardware interrupt, on PREEMPT_RT as well.
 */
void memrescue_pool_kick_irq(struct irq_work *work)
{
	struct pool_node *node = container_of(work, struct pool_node, kick);

	if (READ_ONCE(memrescue_pool.running))
		mod_delayed_work(memrescue_pool.wq, &node->refill, 0);
}

/**
 * memrescue_pool_claim() - may one more page be put in?
 *
 * Each worker asks before it allocates one, so that all of them together keep
 * the cap.
 *
 * Context: process context.
 * Return: true; then memrescue_pool_unclaim() has to follow, when the page is
 * in.
 */
bool memrescue_pool_claim(void)
{
	int coming = atomic_inc_return(&memrescue_pool.coming);

	if (memrescue_pool_common() + memrescue_pool_reserved() + coming <=
	    memrescue_pool_cap())
		return true;
	memrescue_pool_unclaim();
	return false;
}

/**
 * memrescue_pool_unclaim() - the page is in, or there is none
 *
 * Context: process context.
 */
void memrescue_pool_unclaim(void)
{
	atomic_dec(&memrescue_pool.coming);
}

/**
 * memrescue_pool_alloc() - one more page, or more in one piece, if there is one
 * @node: where
 * @gfp: beside the pool's own mask
 * @order: of the pages
 *
 * Context: workers of pool.wq.
 * Return: the page, of that node, or NULL.
 */
struct page *memrescue_pool_alloc(struct pool_node *node, gfp_t gfp,
				  unsigned int order)
{
	struct page *page;

	if (memrescue_fault("pool-pages"))
		return NULL;
	page = compat_alloc_pages_node(node->nid, GFP_POOL_SOFT |
				       __GFP_THISNODE | gfp, order);
	if (page)
		atomic_long_add(1 << order, &memrescue_pool_stats.refilled);
	return page;
}

/**
 * memrescue_pool_alloc_hard() - reclaim for it, if the run may still do so
 * @node: whose run it is; the pages may be another one's
 * @gfp: beside the pool's own mask
 * @order: of the pages
 *
 * There are many who want memory then. One try that was in vain is enough: the
 * next run is soon.
 *
 * Context: workers of pool.wq, may sleep.
 * Return: the page, or NULL.
 */
struct page *memrescue_pool_alloc_hard(struct pool_node *node, gfp_t gfp,
				       unsigned int order)
{
	struct page *page = NULL;

	if (!node->hard)
		return NULL;
	atomic_long_inc(&memrescue_pool_stats.refill_reclaims);
	if (!memrescue_fault("pool-pages"))
		page = compat_alloc_pages_node(node->nid, GFP_POOL_HARD | gfp,
					       order);
	if (page)
		atomic_long_add(1 << order, &memrescue_pool_stats.refilled);
	else
		node->hard = false;
	return page;
}

/* For the base a page of the rack will do, before there is none. */
static struct page *page_for_shelf(struct pool_node *node, bool is_base)
{
	struct page *page = memrescue_pool_alloc(node, 0, 0);

	if (!page && is_base)
		page = pool_rack_take(&node->common);
	return page;
}

static bool fill_shelf(struct pool_node *node, struct pool_cpu *cpu)
{
	unsigned int count, target, base;
	struct page *page;
	bool good;

	for (;;) {
		count = pool_shelf_count(&cpu->shelf);
		base = READ_ONCE(memrescue_pool_knobs.base_pages);
		target = READ_ONCE(node->shelf_target);
		if (count >= target || !memrescue_pool_claim())
			return true;
		page = page_for_shelf(node, count < base);
		good = page && pool_shelf_put(&cpu->shelf, page, target);
		memrescue_pool_unclaim();
		if (!page)
			return false;
		if (!good) {
			memrescue_pool_free(page);
			return true;
		}
		if (count % BATCH == 0)
			cond_resched();
	}
}

static bool fill_shelves(struct pool_node *node)
{
	struct pool_cpu *cpu;
	bool good = true;
	int i;

	for_each_online_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		if (cpu->nid == node->nid)
			good &= fill_shelf(node, cpu);
	}
	return good;
}

static bool fill_rack(struct pool_node *node)
{
	unsigned int n = 0;
	struct page *page;
	bool good;

	while (pool_rack_stock(&node->common) < READ_ONCE(node->rack_target) &&
	       memrescue_pool_claim()) {
		page = memrescue_pool_alloc(node, 0, 0);
		good = page && pool_rack_put(&node->common, page,
					     READ_ONCE(memrescue_pool.node_pages));
		memrescue_pool_unclaim();
		if (!page)
			return false;
		if (!good) {
			memrescue_pool_free(page);
			return true;
		}
		if (++n % BATCH == 0)
			cond_resched();
	}
	return true;
}

/**
 * memrescue_pool_free_dropped() - free what was put back and found no room
 *
 * Context: process context.
 */
void memrescue_pool_free_dropped(void)
{
	struct llist_node *node = llist_del_all(&memrescue_pool.dropped);
	struct llist_node *next;

	for (; node; node = next) {
		next = node->next;
		memrescue_pool_free(virt_to_page(node));
		atomic_long_inc(&memrescue_pool_stats.dropped);
	}
}

/**
 * memrescue_pool_refill() - a node's worker
 * @work: its refill
 *
 * Context: pool.wq.
 */
void memrescue_pool_refill(struct work_struct *work)
{
	struct pool_node *node = container_of(to_delayed_work(work),
					      struct pool_node, refill);
	bool good, hard;

	/* From here on a request means another run. */
	xchg(&node->requested, IDLE);
	memrescue_pool_free_dropped();
	node->hard |= memrescue_pool_grow();
	hard = node->hard;
	good = memrescue_pool_fill_reserve(node);
	good &= memrescue_pool_fill_pairs(node);
	good &= fill_shelves(node);
	good &= fill_rack(node);
	atomic_long_inc(&memrescue_pool_stats.refills);
	memrescue_pool_filled();
	node->hard = !good;
	WRITE_ONCE(node->no_memory, !good);
	if (good || !READ_ONCE(memrescue_pool.running))
		return;
	atomic_long_inc(&memrescue_pool_stats.refill_failures);
	/* Until then nobody needs to ask, but for who misses a page. */
	WRITE_ONCE(node->requested, hard ? REQUESTED : WAITS);
	queue_delayed_work(memrescue_pool.wq, &node->refill,
			   msecs_to_jiffies(RETRY_MS));
}
