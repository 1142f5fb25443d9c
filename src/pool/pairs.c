// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs: blocks of two pages that belong together (order 1), for lifelines only.
 * Where the kernel is built with page table isolation, fork and exec take one
 * for the top of the page table, and would reclaim for it.
 *
 * Some callers want a compound page (__GFP_COMP), others must not have one, so
 * there are pairs of both kinds, a few in each node, as long as there are
 * lifelines.
 *
 * Context: see each function. Lock order: see internal.h.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include "pool/internal.h"

static unsigned int kind_of(gfp_t gfp)
{
	return gfp & __GFP_COMP ? POOL_PAIRS_COMPOUND : POOL_PAIRS_PLAIN;
}

static unsigned int target(void)
{
	return READ_ONCE(memrescue_pool.pairs);
}

/**
 * memrescue_pool_take_pair() - take two pages that belong together
 * @gfp: of who wants them
 * @nodes: where they may be from; NULL: anywhere
 *
 * Context: any.
 * Return: the first one, with one reference, or NULL.
 */
struct page *memrescue_pool_take_pair(gfp_t gfp, const nodemask_t *nodes)
{
	struct pool_node *node = memrescue_pool.nodes[memrescue_pool_near()];
	unsigned int kind = kind_of(gfp);
	struct page *page = NULL;
	int nid;

	if (node && (!nodes || node_isset(node->nid, *nodes)))
		page = pool_shelf_take(&node->pairs[kind]);
	for_each_pool_node(node, nid) {
		if (page)
			break;
		if (!nodes || node_isset(nid, *nodes))
			page = pool_shelf_take(&node->pairs[kind]);
	}
	return page;
}

/**
 * memrescue_pool_return_pair() - what was taken is not handed out after all
 * @gfp: as when it was taken
 * @page: the first one
 *
 * Context: any.
 */
void memrescue_pool_return_pair(gfp_t gfp, struct page *page)
{
	struct pool_node *node = memrescue_pool.nodes[page_to_nid(page)];

	/* There are far more slots than pairs. */
	WARN_ON_ONCE(!pool_shelf_put(&node->pairs[kind_of(gfp)], page,
				     SHELF_SLOTS));
}

static void free_pair(struct page *page)
{
	atomic_long_add(POOL_PAIR_PAGES, &memrescue_pool_stats.freed);
	__free_pages(page, POOL_PAIR_ORDER);
}

static struct page *alloc_pair(struct pool_node *node, unsigned int kind,
			       bool urgent)
{
	gfp_t gfp = kind == POOL_PAIRS_COMPOUND ? __GFP_COMP : 0;
	struct page *page = memrescue_pool_alloc(node, gfp, POOL_PAIR_ORDER);

	if (!page && urgent)
		page = memrescue_pool_alloc_hard(node, gfp | __GFP_THISNODE,
						 POOL_PAIR_ORDER);
	return page;
}

/* Returns false if there was no memory. */
static bool fill_kind(struct pool_node *node, unsigned int kind)
{
	struct pool_shelf *shelf = &node->pairs[kind];
	struct page *page;
	unsigned int count;

	while ((count = pool_shelf_count(shelf)) < target()) {
		/* As for single pages: half of them can wait. */
		page = alloc_pair(node, kind, count < target() / 2);
		if (!page)
			return false;
		if (!pool_shelf_put(shelf, page, SHELF_SLOTS)) {
			free_pair(page);
			break;
		}
	}
	return true;
}

/**
 * memrescue_pool_trim_pairs() - free those that are not wanted any more
 *
 * Context: process context.
 */
void memrescue_pool_trim_pairs(void)
{
	struct pool_node *node;
	unsigned int kind;
	struct page *page;
	int nid;

	for_each_pool_node(node, nid)
		for (kind = 0; kind < POOL_PAIRS_KINDS; kind++)
			while (pool_shelf_count(&node->pairs[kind]) > target() &&
			       (page = pool_shelf_take(&node->pairs[kind])))
				free_pair(page);
}

/**
 * memrescue_pool_fill_pairs() - add what a node is short of
 * @node: the node
 *
 * Context: workers of pool.wq.
 * Return: false if there was no memory.
 */
bool memrescue_pool_fill_pairs(struct pool_node *node)
{
	bool good;

	good = fill_kind(node, POOL_PAIRS_PLAIN);
	return fill_kind(node, POOL_PAIRS_COMPOUND) && good;
}

/**
 * memrescue_pool_pairs() - how many pages are there in pairs
 *
 * Context: any.
 * Return: their number, exact when nobody takes any.
 */
unsigned long memrescue_pool_pairs(void)
{
	struct pool_node *node;
	unsigned long sum = 0;
	unsigned int kind;
	int nid;

	for_each_pool_node(node, nid)
		for (kind = 0; kind < POOL_PAIRS_KINDS; kind++)
			sum += pool_shelf_count(&node->pairs[kind]);
	return sum * POOL_PAIR_PAGES;
}
