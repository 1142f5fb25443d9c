// SPDX-License-Identifier: GPL-2.0
/*
 * How large the pool is.
 *
 * It wants its base (pages for each online CPU), what clients were guaranteed,
 * the rescue share, and, after misses, something extra that doubles with each
 * run of a worker that finds new ones. Each quiet second, in which no shelf was
 * found empty, leaves a quarter of that.
 * What is above the base and the guarantees goes back to whoever reclaims.
 *
 * Context: process context, where not said otherwise. Lock order: see
 * internal.h.
 */
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "pool/internal.h"
#include "pool/size.h"
#include "pool/trace.h"

/* The size is looked at so often while it is not the base. */
#define TEND_MS		1000u

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

static unsigned int online_cpus(struct pool_node *node)
{
	unsigned int nr = 0;
	int i;

	for_each_online_cpu(i)
		nr += per_cpu_ptr(memrescue_pool.cpus, i)->nid == node->nid;
	return nr;
}

static unsigned int given_up(struct pool_node *node)
{
	return max(atomic_read(&node->given_up), 0);
}

/*
 * A node's part of the targets, less what the shrinker took of it: of the rack
 * first, and then of the shelves of its CPUs, down to the base.
 */
static void set_rack_target(struct pool_node *node)
{
	unsigned int target = READ_ONCE(memrescue_pool.node_target);

	WRITE_ONCE(node->rack_target, target - min(target, given_up(node)));
}

static void set_shelf_target(struct pool_node *node)
{
	unsigned int at_rack = READ_ONCE(memrescue_pool.node_target);
	unsigned int target = READ_ONCE(memrescue_pool.cpu_target);
	unsigned int base = READ_ONCE(memrescue_pool_knobs.base_pages);
	unsigned int gone = given_up(node);
	unsigned int less = gone > at_rack ? gone - at_rack : 0;

	less = DIV_ROUND_UP(less, max(online_cpus(node), 1u));
	WRITE_ONCE(node->shelf_target, target - min(target - min(target, base),
						    less));
}

static void set_low_marks(void)
{
	struct pool_node *node;
	struct pool_cpu *cpu;
	unsigned int low;
	int i;

	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		node = memrescue_pool.nodes[cpu->nid];
		low = pool_size_low(READ_ONCE(node->shelf_target));
		/* Its line belongs to the CPU. */
		if (cpu->low != low)
			WRITE_ONCE(cpu->low, low);
	}
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
	WRITE_ONCE(rescue->quota, min(memrescue_pool_knobs.rescue_pages *
				      num_present_cpus(), most));
}

/* What the shrinker took is wanted again. Returns how much it was. */
static unsigned int want_back(void)
{
	struct pool_node *node;
	unsigned int sum = 0;
	int nid;

	for_each_pool_node(node, nid)
		sum += max(atomic_xchg(&node->given_up, 0), 0);
	return sum;
}

/**
 * memrescue_pool_node_target() - how many common pages a node shall have
 * @node: which one
 *
 * Context: any.
 * Return: pages, in its rack and on the shelves of its CPUs.
 */
unsigned int memrescue_pool_node_target(struct pool_node *node)
{
	return READ_ONCE(node->rack_target) +
	       READ_ONCE(node->shelf_target) * online_cpus(node);
}

/**
 * memrescue_pool_target() - how many pages there shall be of all
 *
 * Context: any; takes no lock.
 * Return: pages, guaranteed shares included.
 */
unsigned int memrescue_pool_target(void)
{
	unsigned int sum = READ_ONCE(memrescue_pool.promised);
	struct pool_node *node;
	int nid;

	for_each_pool_node(node, nid)
		sum += memrescue_pool_node_target(node);
	return sum;
}

/**
 * memrescue_pool_resize() - take note of changed knobs, quotas or CPUs
 *
 * Context: process context, pool.lock held.
 */
void memrescue_pool_resize(void)
{
	struct pool *pool = &memrescue_pool;
	struct pool_node *node;
	struct pool_size size;
	int nid;

	set_rescue_quota();
	measure(&size);
	WRITE_ONCE(pool->promised, size.reserved);
	pool->extra = min(pool->extra, pool_size_most_extra(&size));
	size.extra = pool->extra;
	if (!pool->extra)
		want_back();
	WRITE_ONCE(pool->node_part,
		   pool_size_node_part(size.reserved - memrescue_pool_pairs_target(),
				       size.nodes));
	WRITE_ONCE(pool->node_pages, pool_size_node_slots(&size));
	WRITE_ONCE(pool->node_target, pool_size_node_target(&size));
	for_each_pool_node(node, nid)
		set_rack_target(node);
	/* What is above the new limits goes before others may become higher. */
	memrescue_pool_trim_pairs();
	trim(NUMA_NO_NODE, pool_size_cpu_slots(&size), pool->node_pages, ULONG_MAX);
	WRITE_ONCE(pool->cpu_target, pool_size_cpu_target(&size));
	for_each_pool_node(node, nid)
		set_shelf_target(node);
	set_low_marks();
}

/* ---- what reclaim may have ---- */

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

/*
 * At most all that the node has of what is extra. The targets follow with the
 * next resize.
 */
static void give_up(struct pool_node *node, unsigned int pages)
{
	unsigned int at_cpu = READ_ONCE(memrescue_pool.cpu_target);
	unsigned int base = READ_ONCE(memrescue_pool_knobs.base_pages);
	unsigned int part = READ_ONCE(memrescue_pool.node_target) +
			    (at_cpu - min(at_cpu, base)) * online_cpus(node);
	unsigned int gone = given_up(node);

	atomic_add(min(pages, part - min(part, gone)), &node->given_up);
}

/**
 * memrescue_pool_shrink() - free pages above the base
 * @nid: of that node
 * @pages: so many
 *
 * What was wanted is not wanted back until there is a miss, or what is extra has
 * decayed: on that node. Others may have memory.
 *
 * Context: any in which memory is reclaimed; takes no lock of the pool.
 * Return: how many it were.
 */
unsigned long memrescue_pool_shrink(int nid, unsigned long pages)
{
	struct pool_node *node = memrescue_pool.nodes[nid];
	unsigned long n, left, wanted;

	if (!node)
		return 0;
	n = trim(nid, READ_ONCE(memrescue_pool_knobs.base_pages), 0, pages);
	left = memrescue_pool_node_common(node);
	wanted = memrescue_pool_node_target(node);
	/* What was above the target, having been put back, is no loss. */
	if (n && left < wanted)
		give_up(node, min(n, wanted - left));
	if (n)
		trace_pool_shrink(n, memrescue_pool_common());
	return n;
}

/* ---- growth and decay ---- */

static void set_extra(unsigned int extra)
{
	lockdep_assert_held(&memrescue_pool.lock);
	memrescue_pool.extra = extra;
	memrescue_pool_resize();
}

/**
 * memrescue_pool_peak() - look how many pages there are
 *
 * Context: any; takes no lock. A page that a CPU moves meanwhile may be counted twice.
 * Return: the most that were ever seen.
 */
unsigned long memrescue_pool_peak(void)
{
	unsigned long pages = memrescue_pool_common() +
			      memrescue_pool_reserved();
	unsigned long old, was = READ_ONCE(memrescue_pool.peak);

	while (pages > was) {
		old = cmpxchg(&memrescue_pool.peak, was, pages);
		if (old == was)
			return pages;
		was = old;
	}
	return was;
}

/**
 * memrescue_pool_grow() - misses make it larger
 *
 * Once for each run of a worker that finds some.
 *
 * Context: pool.wq.
 * Return: true if there were any.
 */
bool memrescue_pool_grow(void)
{
	struct pool_size size;
	unsigned int missed, extra, back = 0;

	mutex_lock(&memrescue_pool.lock);
	missed = atomic_xchg(&memrescue_pool.missed, 0);
	if (missed)
		back = want_back();
	/* CPUs may have come or gone. */
	memrescue_pool_resize();
	measure(&size);
	extra = pool_size_grown(&size);
	/* When most of it had been taken away, it need not have been too little. */
	if (size.extra && (u64)back * 4 > (u64)size.extra * 3)
		extra = size.extra;
	if (missed && extra > size.extra) {
		set_extra(extra);
		atomic_long_inc(&memrescue_pool_stats.grown);
		trace_pool_grow(missed, memrescue_pool_target());
	}
	/* Each node gets its part of it. */
	if (back || (missed && extra > size.extra))
		memrescue_pool_kick_all();
	if (missed)
		mod_delayed_work(memrescue_pool.wq, &memrescue_pool.tend,
				 msecs_to_jiffies(TEND_MS));
	memrescue_pool_peak();
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
 * memrescue_pool_filled() - a worker has put in what it could
 *
 * Context: pool.wq.
 */
void memrescue_pool_filled(void)
{
	tend_later();
	memrescue_pool_peak();
}

/**
 * memrescue_pool_tend() - the pool gets smaller when it was quiet
 * @work: pool.tend
 *
 * Context: pool.wq.
 */
void memrescue_pool_tend(struct work_struct *work)
{
	struct pool_node *node;
	struct pool_size size;
	unsigned int gone;
	int nid;

	mutex_lock(&memrescue_pool.lock);
	measure(&size);
	if (!xchg(&memrescue_pool.busy, 0)) {
		for_each_pool_node(node, nid) {
			gone = given_up(node);
			atomic_sub(gone - gone / 4, &node->given_up);
		}
		size.extra = pool_size_decayed(&size);
	}
	set_extra(size.extra);
	memrescue_pool_peak();
	mutex_unlock(&memrescue_pool.lock);
	for_each_pool_node(node, nid)
		trim(nid, READ_ONCE(node->shelf_target),
		     READ_ONCE(node->rack_target), ULONG_MAX);
	tend_later();
}
