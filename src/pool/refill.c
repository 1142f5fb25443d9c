// SPDX-License-Identifier: GPL-2.0
/*
 * How large the pool is, and who makes it so: one worker for each node.
 *
 * The pool wants its base (pages for each online CPU), what clients were
 * guaranteed, the rescue share, and, after misses, something extra that
 * doubles with each run that finds new ones. Each quiet second, in which no
 * shelf was found empty, leaves a quarter of that.
 * What is above the base and the guarantees goes back to whoever reclaims.
 *
 * A worker is called from any context, and at most once before it runs. It
 * allocates without a right to the reserves. It reclaims, without trying twice,
 * for the base and for the first half of each guarantee, and that only after
 * misses, or when there was no memory in the run before: else it would take the
 * CPU from those who have just been given pages.
 *
 * Context: workers of pool.wq, where not said otherwise. Lock order: see
 * internal.h.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "pool/internal.h"
#include "pool/size.h"
#include "pool/trace.h"

/* When there was no memory, the next try is after so long. */
#define RETRY_MS	20u

/* The size is looked at so often while it is not the base. */
#define TEND_MS		1000u

/* What pool_node.requested may be. */
#define IDLE		0
#define REQUESTED	1
#define WAITS		2	/* for the next try, which misses may bring forward */

/* Pages that are put in before others may run. */
#define BATCH		32u

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
	if (cmpxchg(&node->requested, IDLE, REQUESTED) == IDLE)
		irq_work_queue(&node->kick);
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
	if (xchg(&node->requested, REQUESTED) != REQUESTED)
		irq_work_queue(&node->kick);
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

static bool free_one(struct page *page)
{
	if (!page)
		return false;
	memrescue_pool_free(page);
	return true;
}

/* What this CPU has beyond what it shall have. */
static unsigned int shelf_surplus(struct pool_cpu *cpu, int nr,
				  unsigned int target)
{
	unsigned int count = pool_shelf_count(&cpu->shelf);

	if (!cpu_online(nr))
		target = 0;
	return count > target ? count - target : 0;
}

/*
 * Frees up to @pages from racks and shelves that have more than the targets, of
 * one node or, with NUMA_NO_NODE, of all.
 */
static unsigned long trim(int nid, unsigned int cpu_target,
			  unsigned int node_target, unsigned long pages)
{
	struct pool_node *node;
	struct pool_cpu *cpu;
	unsigned long n = 0;
	int i;

	for_each_pool_node(node, i)
		while (n < pages && (nid == NUMA_NO_NODE || nid == i) &&
		       pool_rack_stock(&node->common) > node_target &&
		       free_one(pool_rack_take(&node->common)))
			n++;
	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		if (nid != NUMA_NO_NODE && nid != cpu->nid)
			continue;
		while (n < pages && shelf_surplus(cpu, i, cpu_target) &&
		       free_one(pool_shelf_take(&cpu->shelf)))
			n++;
	}
	atomic_long_add(n, &memrescue_pool_stats.shrunk);
	return n;
}

static unsigned int nr_pool_nodes(void)
{
	struct pool_node *node;
	unsigned int nr = 0;
	int nid;

	for_each_pool_node(node, nid)
		nr++;
	return max(nr, 1u);
}

/**
 * memrescue_pool_cap() - the most pages that it may have
 *
 * Context: any.
 * Return: pages.
 */
unsigned int memrescue_pool_cap(void)
{
	const struct memrescue_pool_knobs *knobs = &memrescue_pool_knobs;
	u64 percent = div_u64((u64)totalram_pages() *
			      READ_ONCE(knobs->cap_percent), 100);

	return min_t(u64, READ_ONCE(knobs->cap_pages), percent);
}

/* Context: pool.lock held. */
static void measure(struct pool_size *size)
{
	struct memrescue_pool_client *client;

	lockdep_assert_held(&memrescue_pool.lock);
	memset(size, 0, sizeof(*size));
	size->cap = memrescue_pool_cap();
	/* Pages can be put on the shelf of each that may come online. */
	size->cpus = num_present_cpus();
	size->nodes = nr_pool_nodes();
	size->base = memrescue_pool_knobs.base_pages;
	size->extra = memrescue_pool.extra;
	size->reserved = memrescue_pool_pairs_target();
	list_for_each_entry(client, &memrescue_pool.clients, link)
		size->reserved += client->quota;
}

/**
 * memrescue_pool_pairs_target() - pages that there shall be in pairs
 *
 * Context: any.
 * Return: their number.
 */
unsigned int memrescue_pool_pairs_target(void)
{
	return READ_ONCE(memrescue_pool.pairs) * POOL_PAIRS_KINDS *
	       POOL_PAIR_PAGES * nr_pool_nodes();
}

/**
 * memrescue_pool_most_reserved() - what all guaranteed shares may be together
 *
 * Context: any.
 * Return: pages, beside the base and within the cap and the room for them.
 */
unsigned int memrescue_pool_most_reserved(void)
{
	unsigned int cap = memrescue_pool_cap();
	unsigned int base = READ_ONCE(memrescue_pool_knobs.base_pages) *
			    num_present_cpus();

	if (cap <= base)
		return 0;
	return min(cap - base, POOL_MAX_RESERVED(memrescue_pool.max_pages));
}

/* What was promised to clients comes first. Context: pool.lock held. */
static void set_rescue_quota(void)
{
	struct memrescue_pool_client *client, *rescue = memrescue_pool.rescue;
	unsigned int promised = memrescue_pool_pairs_target();
	unsigned int most = memrescue_pool_most_reserved();

	list_for_each_entry(client, &memrescue_pool.clients, link)
		if (client != rescue)
			promised += client->quota;
	most = most > promised ? most - promised : 0;
	rescue->quota = min(memrescue_pool_knobs.rescue_pages *
			    num_present_cpus(), most);
}

/**
 * memrescue_pool_resize() - take note of changed knobs, quotas or CPUs
 *
 * Context: process context, pool.lock held.
 */
void memrescue_pool_resize(void)
{
	struct pool *pool = &memrescue_pool;
	struct pool_size size;

	set_rescue_quota();
	measure(&size);
	pool->extra = min(pool->extra, pool_size_most_extra(&size));
	size.extra = pool->extra;
	WRITE_ONCE(pool->node_pages, pool_size_node_slots(&size));
	WRITE_ONCE(pool->node_target, pool_size_node_target(&size));
	/* What is above the new limits goes before others may become higher. */
	memrescue_pool_trim_pairs();
	trim(NUMA_NO_NODE, pool_size_cpu_slots(&size), pool->node_pages, ULONG_MAX);
	WRITE_ONCE(pool->cpu_target, pool_size_cpu_target(&size));
	WRITE_ONCE(pool->target, size.reserved +
		   pool->cpu_target * num_online_cpus() +
		   pool->node_target * size.nodes);
}

/* ---- in ---- */

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
 * memrescue_pool_alloc() - one more page
 * @nid: the node
 * @hard: reclaim for it; what is extra is not worth that
 *
 * Context: process context, may sleep.
 * Return: the page, of that node, or NULL.
 */
struct page *memrescue_pool_alloc(int nid, bool hard)
{
	struct page *page = alloc_pages_node(nid, GFP_POOL_SOFT | __GFP_THISNODE, 0);

	if (!page && hard)
		page = alloc_pages_node(nid, GFP_POOL_HARD | __GFP_THISNODE, 0);
	if (page)
		atomic_long_inc(&memrescue_pool_stats.refilled);
	return page;
}

static bool fill_shelf(struct pool_cpu *cpu, bool hard)
{
	unsigned int base = READ_ONCE(memrescue_pool_knobs.base_pages);
	unsigned int count, target = READ_ONCE(memrescue_pool.cpu_target);
	struct page *page;
	bool good;

	for (;;) {
		count = pool_shelf_count(&cpu->shelf);
		if (count >= target || !memrescue_pool_claim())
			return true;
		page = memrescue_pool_alloc(cpu->nid, hard && count < base);
		good = page && pool_shelf_put(&cpu->shelf, page, target);
		memrescue_pool_unclaim();
		if (!page)
			return false;
		if (good)
			continue;
		memrescue_pool_free(page);
		return true;
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
			good &= fill_shelf(cpu, node->hard);
	}
	return good;
}

static bool fill_rack(struct pool_node *node)
{
	unsigned int n = 0;
	struct page *page;
	bool good;

	while (pool_rack_stock(&node->common) <
	       READ_ONCE(memrescue_pool.node_target) &&
	       memrescue_pool_claim()) {
		page = memrescue_pool_alloc(node->nid, false);
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

/* ---- out ---- */

/**
 * memrescue_pool_surplus() - pages above the base
 * @nid: of that node; NUMA_NO_NODE: of all
 *
 * Context: any.
 * Return: their number.
 */
unsigned long memrescue_pool_surplus(int nid)
{
	unsigned int base = READ_ONCE(memrescue_pool_knobs.base_pages);
	struct pool_node *node;
	struct pool_cpu *cpu;
	unsigned long sum = 0;
	int i;

	for_each_pool_node(node, i)
		if (nid == NUMA_NO_NODE || nid == i)
			sum += pool_rack_stock(&node->common);
	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		if (nid == NUMA_NO_NODE || nid == cpu->nid)
			sum += shelf_surplus(cpu, i, base);
	}
	return sum;
}

/**
 * memrescue_pool_shrink() - free pages above the base
 * @nid: of that node
 * @pages: so many
 *
 * The pool does not want them back until there is a miss.
 *
 * Context: any in which memory is reclaimed; takes no lock of the pool.
 * Return: how many it were.
 */
unsigned long memrescue_pool_shrink(int nid, unsigned long pages)
{
	unsigned long n = trim(nid, READ_ONCE(memrescue_pool_knobs.base_pages),
			       0, pages);

	atomic_add(n, &memrescue_pool.give_up);
	if (n)
		trace_pool_shrink(n, memrescue_pool_common());
	return n;
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

/* ---- size ---- */

static void set_extra(unsigned int extra)
{
	lockdep_assert_held(&memrescue_pool.lock);
	memrescue_pool.extra = extra;
	memrescue_pool_resize();
}

/* What the shrinker took is not wanted any more. Context: pool.lock held. */
static void forget_given_up(void)
{
	unsigned int n = atomic_xchg(&memrescue_pool.give_up, 0);

	if (n)
		set_extra(memrescue_pool.extra > n ? memrescue_pool.extra - n : 0);
}

static void note_peak(void)
{
	unsigned long pages = memrescue_pool_common() +
			      memrescue_pool_reserved();

	if (pages > memrescue_pool.peak)
		memrescue_pool.peak = pages;
}

/*
 * Misses make it larger, once for each run that finds some. Returns true if there
 * were any.
 */
static bool grow(void)
{
	struct pool_size size;
	unsigned int missed, extra;

	mutex_lock(&memrescue_pool.lock);
	forget_given_up();
	missed = atomic_xchg(&memrescue_pool.missed, 0);
	/* CPUs may have come or gone. */
	memrescue_pool_resize();
	measure(&size);
	extra = pool_size_grown(&size);
	if (missed && extra > size.extra) {
		set_extra(extra);
		atomic_long_inc(&memrescue_pool_stats.grown);
		trace_pool_grow(missed, memrescue_pool.target);
		/* Each node gets its part of it. */
		memrescue_pool_kick_all();
	}
	if (missed)
		mod_delayed_work(memrescue_pool.wq, &memrescue_pool.tend,
				 msecs_to_jiffies(TEND_MS));
	note_peak();
	mutex_unlock(&memrescue_pool.lock);
	return missed;
}

/* Look at the size in a while, if it is not the base. */
static void tend_later(void)
{
	if (READ_ONCE(memrescue_pool.running) &&
	    (READ_ONCE(memrescue_pool.extra) || memrescue_pool_surplus(NUMA_NO_NODE)))
		queue_delayed_work(memrescue_pool.wq, &memrescue_pool.tend,
				   msecs_to_jiffies(TEND_MS));
}

/**
 * memrescue_pool_tend() - the pool gets smaller when it was quiet
 * @work: pool.tend
 *
 * Context: pool.wq.
 */
void memrescue_pool_tend(struct work_struct *work)
{
	struct pool_size size;

	mutex_lock(&memrescue_pool.lock);
	forget_given_up();
	if (!xchg(&memrescue_pool.busy, 0)) {
		measure(&size);
		set_extra(pool_size_decayed(&size));
	}
	note_peak();
	mutex_unlock(&memrescue_pool.lock);
	trim(NUMA_NO_NODE, READ_ONCE(memrescue_pool.cpu_target),
	     READ_ONCE(memrescue_pool.node_target), ULONG_MAX);
	tend_later();
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
	node->hard |= grow();
	hard = node->hard;
	good = memrescue_pool_fill_reserve(node);
	good &= memrescue_pool_fill_pairs(node);
	good &= fill_shelves(node);
	good &= fill_rack(node);
	tend_later();
	atomic_long_inc(&memrescue_pool_stats.refills);
	mutex_lock(&memrescue_pool.lock);
	note_peak();
	mutex_unlock(&memrescue_pool.lock);
	node->hard = !good;
	if (good || !READ_ONCE(memrescue_pool.running))
		return;
	atomic_long_inc(&memrescue_pool_stats.refill_failures);
	/* Until then nobody needs to ask, but for who misses a page. */
	WRITE_ONCE(node->requested, hard ? REQUESTED : WAITS);
	queue_delayed_work(memrescue_pool.wq, &node->refill,
			   msecs_to_jiffies(RETRY_MS));
}
