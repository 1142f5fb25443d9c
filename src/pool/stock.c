// SPDX-License-Identifier: GPL-2.0
/*
 * Pages in and out of the pool, from any context.
 *
 * Every page lies on a shelf of its own node: on that of a CPU, in the node's
 * common rack, or in its reserve, where each page belongs to somebody's credit.
 * Nothing here takes a lock, turns off interrupts, or depends on staying on one
 * CPU: a task that is moved in the middle takes from, or puts on, the shelf of
 * its former CPU. docs/pool.md has the argument.
 *
 * Context: any, NMI included, where not said otherwise.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include "pool/internal.h"

/**
 * memrescue_pool_dec() - take one off a count that must not become negative
 * @count: the count
 *
 * Context: any.
 * Return: false if it was 0.
 */
bool memrescue_pool_dec(atomic_t *count)
{
	return atomic_dec_if_positive(count) >= 0;
}

static __always_inline bool allowed(const nodemask_t *nodes, int nid)
{
	return !nodes || node_isset(nid, *nodes);
}

/**
 * memrescue_pool_near() - the node whose pages are near
 *
 * Context: any.
 * Return: its number, of a node that the pool has.
 */
int memrescue_pool_near(void)
{
	return raw_cpu_ptr(memrescue_pool.cpus)->nid;
}

/* From the shelves of a node's CPUs. */
static struct page *take_from_cpus(int nid)
{
	struct pool_cpu *cpu;
	struct page *page;
	int i;

	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		if (cpu->nid != nid || !pool_shelf_count(&cpu->shelf))
			continue;
		page = pool_shelf_take(&cpu->shelf);
		if (page)
			return page;
	}
	return NULL;
}

static struct page *take_from_node(int nid)
{
	struct pool_node *node = memrescue_pool.nodes[nid];
	struct page *page = NULL;

	if (node)
		page = pool_rack_take(&node->common);
	return page ?: take_from_cpus(nid);
}

static noinline struct page *take_from_others(int local, const nodemask_t *nodes)
{
	struct pool_node *node;
	struct page *page = NULL;
	int nid;

	if (allowed(nodes, local)) {
		/* Found empty, and not just passed over. */
		if (!READ_ONCE(memrescue_pool.busy))
			WRITE_ONCE(memrescue_pool.busy, 1);
		page = take_from_node(local);
	}
	for_each_pool_node(node, nid) {
		if (page)
			break;
		if (nid == local || !allowed(nodes, nid))
			continue;
		page = take_from_node(nid);
		/* Nobody who is near may notice. */
		if (page)
			memrescue_pool_kick(nid);
	}
	return page;
}

/**
 * memrescue_pool_take() - take a page of the common part
 * @nodes: where it may be from; NULL: anywhere
 *
 * The CPU's own shelf comes first, then its node, then the other CPUs of the
 * node, then other nodes.
 *
 * Context: any.
 * Return: the page, with one reference, or NULL.
 */
struct page *memrescue_pool_take(const nodemask_t *nodes)
{
	struct pool_cpu *cpu = raw_cpu_ptr(memrescue_pool.cpus);
	struct page *page = NULL;
	int nid = cpu->nid;

	if (allowed(nodes, nid))
		page = pool_shelf_take(&cpu->shelf);
	if (unlikely(!page))
		page = take_from_others(nid, nodes);
	if (unlikely(pool_shelf_count(&cpu->shelf) < READ_ONCE(cpu->low)))
		memrescue_pool_kick(nid);
	return page;
}

/*
 * The permit was taken, so there is a page; but others may move pages about
 * while we look for it.
 */
static struct page *take_reserve(const nodemask_t *nodes)
{
	int nid, pass, local = memrescue_pool_near();
	struct pool_node *node = memrescue_pool.nodes[local];
	struct page *page = NULL;

	for (pass = 0; pass < (int)SHELF_PASSES && !page; pass++) {
		if (node && allowed(nodes, local))
			page = pool_rack_take(&node->reserve);
		for_each_pool_node(node, nid) {
			if (page)
				break;
			if (allowed(nodes, nid))
				page = pool_rack_take(&node->reserve);
		}
		node = memrescue_pool.nodes[local];
	}
	return page;
}

/**
 * memrescue_pool_take_credit() - take a page that somebody has a credit for
 * @client: whose credit it is
 * @nodes: where it may be from; NULL: anywhere
 *
 * Context: any.
 * Return: the page, with one reference, or NULL.
 */
struct page *memrescue_pool_take_credit(struct memrescue_pool_client *client,
					const nodemask_t *nodes)
{
	return memrescue_pool_take_credit_above(client, 0, nodes);
}

/**
 * memrescue_pool_take_credit_above() - take a page, if enough are left
 * @client: whose credit it is
 * @keep: so many it keeps
 * @nodes: where it may be from; NULL: anywhere
 *
 * Context: any.
 * Return: the page, with one reference, or NULL.
 */
struct page *
memrescue_pool_take_credit_above(struct memrescue_pool_client *client, int keep,
				 const nodemask_t *nodes)
{
	int credit = atomic_read(&client->credit);
	struct page *page;

	do {
		if (credit <= keep)
			return NULL;
	} while (!atomic_try_cmpxchg(&client->credit, &credit, credit - 1));
	page = take_reserve(nodes);
	if (!page)
		atomic_inc(&client->credit);
	return page;
}

/**
 * memrescue_pool_stock_reserve() - put a page into the reserve
 * @page: the page, owned by the caller
 *
 * The caller raises somebody's credit afterwards.
 *
 * Context: any.
 * Return: false if there is no room; the caller still owns it.
 */
bool memrescue_pool_stock_reserve(struct page *page)
{
	struct pool_node *node = memrescue_pool.nodes[page_to_nid(page)];

	return node && pool_rack_put(&node->reserve, page,
				     node->reserve.nr * SHELF_SLOTS);
}

/**
 * memrescue_pool_stock_common() - put a page into the common part
 * @page: the page, owned by the caller
 *
 * Context: any.
 * Return: false if there is no room; the caller still owns it.
 */
bool memrescue_pool_stock_common(struct page *page)
{
	struct pool_cpu *cpu = raw_cpu_ptr(memrescue_pool.cpus);
	int nid = page_to_nid(page);
	struct pool_node *node = memrescue_pool.nodes[nid];
	unsigned int target;

	if (!node)
		return false;
	target = READ_ONCE(node->shelf_target);
	if (likely(cpu->nid == nid) && pool_shelf_count(&cpu->shelf) < target &&
	    pool_shelf_put(&cpu->shelf, page, target))
		return true;
	if (!pool_rack_put(&node->common, page,
			   READ_ONCE(memrescue_pool.node_pages)))
		return false;
	/* Somebody must see to it that it does not stay there for ever. */
	if (pool_rack_stock(&node->common) > READ_ONCE(node->rack_target) &&
	    !delayed_work_pending(&memrescue_pool.tend))
		memrescue_pool_kick(nid);
	return true;
}

/**
 * memrescue_pool_drop() - have a page freed that finds no room
 * @page: the page, owned by the caller
 *
 * Its first word becomes a link; a worker frees it. It may be of a node that came
 * after load, which has none.
 *
 * Context: any.
 */
void memrescue_pool_drop(struct page *page)
{
	int nid = page_to_nid(page);

	llist_add(page_address(page), &memrescue_pool.dropped);
	memrescue_pool_kick(memrescue_pool.nodes[nid] ? nid :
			    memrescue_pool_near());
}

/**
 * memrescue_pool_leak_broken() - count what is left where it is
 * @pages: how many; see memrescue_pool_forget_broken()
 *
 * Context: any.
 */
void memrescue_pool_leak_broken(unsigned int pages)
{
	atomic_long_add(pages, &memrescue_pool_stats.poisoned);
}

/**
 * memrescue_pool_free() - give a page back to the kernel
 * @page: the page, owned by the caller
 *
 * Context: any in which memory can be freed.
 */
void memrescue_pool_free(struct page *page)
{
	atomic_long_inc(&memrescue_pool_stats.freed);
	__free_page(page);
}

/**
 * memrescue_pool_common() - pages of the common part
 *
 * Context: any.
 * Return: their number, exact when nobody takes or puts any.
 */
unsigned long memrescue_pool_common(void)
{
	struct pool_node *node;
	unsigned long sum = 0;
	int i;

	for_each_possible_cpu(i)
		sum += pool_shelf_count(&per_cpu_ptr(memrescue_pool.cpus,
						     i)->shelf);
	for_each_pool_node(node, i)
		sum += pool_rack_stock(&node->common);
	return sum;
}

/**
 * memrescue_pool_node_common() - pages of the common part on one node
 * @node: which one
 *
 * Context: any.
 * Return: their number, exact when nobody takes or puts any.
 */
unsigned long memrescue_pool_node_common(struct pool_node *node)
{
	unsigned long sum = pool_rack_stock(&node->common);
	struct pool_cpu *cpu;
	int i;

	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		if (cpu->nid == node->nid)
			sum += pool_shelf_count(&cpu->shelf);
	}
	return sum;
}

/**
 * memrescue_pool_reserved() - pages of the reserve, and those in pairs
 *
 * Context: any.
 * Return: their number, exact when nobody takes or puts any.
 */
unsigned long memrescue_pool_reserved(void)
{
	struct pool_node *node;
	unsigned long sum = memrescue_pool_pairs();
	int nid;

	for_each_pool_node(node, nid)
		sum += pool_rack_stock(&node->reserve);
	return sum;
}
