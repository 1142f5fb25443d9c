// SPDX-License-Identifier: GPL-2.0
/*
 * Guaranteed shares: the worker sees to it that the reserve has a page, and the
 * client a credit, for each page of its quota that it has not got.
 *
 * Each node adds its part first, so that there is something near everybody; then
 * any of them what is left, for instance because another one has no memory.
 *
 * A page is allocated without pool.lock, so whether it is still needed is looked
 * at again with it.
 *
 * Context: workers of pool.wq. Lock order: see internal.h.
 */
#include <linux/mm.h>
#include "pool/internal.h"

/* If the node has no memory, another one's is as good. */
static struct page *alloc_share(struct pool_node *node, bool urgent)
{
	struct page *page = memrescue_pool_alloc(node, 0, 0);

	if (!page && urgent)
		page = memrescue_pool_alloc_hard(node, 0, 0);
	return page;
}

/*
 * A smaller quota, or a page that was put back and replaced as well. While one
 * is being lent it counts twice for a moment, so only the credit tells.
 */
static void drain_credit(struct memrescue_pool_client *client)
{
	struct page *page;

	while (atomic_read(&client->credit) > (int)client->quota) {
		page = memrescue_pool_take_credit(client, NULL);
		if (!page)
			break;
		memrescue_pool_free(page);
		atomic_long_inc(&memrescue_pool_stats.shrunk);
	}
}

static void drain_credits(void)
{
	struct memrescue_pool_client *client;

	mutex_lock(&memrescue_pool.lock);
	list_for_each_entry(client, &memrescue_pool.clients, link)
		drain_credit(client);
	mutex_unlock(&memrescue_pool.lock);
}

/*
 * Whose share is there by half can wait for others to reclaim: the worker would
 * take the CPU from those whom the share is for.
 */
static bool is_urgent(const struct memrescue_pool_client *client)
{
	return atomic_read(&client->credit) < (int)DIV_ROUND_UP(client->quota, 2);
}

/* Whose share is short of a page? The urgent one first. Context: pool.lock held. */
static struct memrescue_pool_client *find_short(void)
{
	struct memrescue_pool_client *client, *found = NULL;

	lockdep_assert_held(&memrescue_pool.lock);
	list_for_each_entry(client, &memrescue_pool.clients, link) {
		if (atomic_read(&client->credit) + atomic_read(&client->lent) >=
		    (int)client->quota)
			continue;
		if (is_urgent(client))
			return client;
		found = found ?: client;
	}
	return found;
}

/* Sets @urgent if it is worth reclaim. */
static bool is_any_short(bool *urgent)
{
	struct memrescue_pool_client *client;

	mutex_lock(&memrescue_pool.lock);
	client = find_short();
	*urgent = client && is_urgent(client);
	mutex_unlock(&memrescue_pool.lock);
	return client;
}

/* Returns false if nobody needs the page any more, or there is no room. */
static bool give_credit(struct page *page)
{
	struct memrescue_pool_client *client;
	bool given;

	mutex_lock(&memrescue_pool.lock);
	client = find_short();
	given = client && memrescue_pool_stock_reserve(page);
	if (given)
		atomic_inc(&client->credit);
	mutex_unlock(&memrescue_pool.lock);
	return given;
}

static bool has_room(struct pool_node *node)
{
	return pool_rack_stock(&node->reserve) <
	       node->reserve.nr * SHELF_SLOTS;
}

/* This node has its part of the shares; or as much as it has room for. */
static bool has_part(struct pool_node *node)
{
	return !has_room(node) || pool_rack_stock(&node->reserve) >=
				  READ_ONCE(memrescue_pool.node_part);
}

/* Leaves the rest to another node that can add it. Returns false if there is none. */
static bool pass_on(struct pool_node *node)
{
	struct pool_node *other;
	bool passed = false;
	int nid;

	for_each_pool_node(other, nid) {
		if (other == node || READ_ONCE(other->no_memory) ||
		    has_part(other))
			continue;
		memrescue_pool_kick(nid);
		passed = true;
	}
	return passed;
}

/* This node cannot: another one that can goes on. */
static void pass_all(struct pool_node *node)
{
	struct pool_node *other;
	int nid;

	for_each_pool_node(other, nid)
		if (other != node && has_room(other))
			memrescue_pool_kick(nid);
}

/* Returns false if there was no memory, or no room on the node that it is from. */
static bool add_page(struct pool_node *node, bool urgent)
{
	struct page *page = alloc_share(node, urgent);

	if (page && give_credit(page))
		return true;
	if (page)
		memrescue_pool_free(page);
	/* Another worker may have added what was missing. */
	return !is_any_short(&urgent);
}

/**
 * memrescue_pool_fill_reserve() - add what the shares are short of
 * @node: whose reserve is filled
 *
 * Context: workers of pool.wq; takes pool.lock.
 * Return: false if there was no memory.
 */
bool memrescue_pool_fill_reserve(struct pool_node *node)
{
	bool good = true, urgent;

	drain_credits();
	while (good && is_any_short(&urgent)) {
		if (has_part(node) && pass_on(node))
			break;
		if (!has_room(node)) {
			pass_all(node);
			break;
		}
		if (!memrescue_pool_claim())
			break;
		good = add_page(node, urgent);
		memrescue_pool_unclaim();
	}
	if (!good) {
		WRITE_ONCE(node->no_memory, true);
		pass_all(node);
	}
	return good;
}
