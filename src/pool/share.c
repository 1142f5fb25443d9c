// SPDX-License-Identifier: GPL-2.0
/*
 * Guaranteed shares: the worker sees to it that the reserve has a page, and the
 * client a credit, for each page of its quota that it has not got.
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
	struct page *page = memrescue_pool_alloc(node);

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

/* This node has its part: another one's worker goes on. */
static void pass_on(void)
{
	struct pool_node *other;
	int nid;

	for_each_pool_node(other, nid) {
		if (!has_room(other))
			continue;
		memrescue_pool_kick(nid);
		break;
	}
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
	struct page *page;
	bool given, urgent;

	drain_credits();
	while (is_any_short(&urgent)) {
		if (!has_room(node)) {
			pass_on();
			break;
		}
		if (!memrescue_pool_claim())
			break;
		page = alloc_share(node, urgent);
		given = page && give_credit(page);
		memrescue_pool_unclaim();
		if (!page)
			return false;
		if (!given) {
			memrescue_pool_free(page);
			break;
		}
	}
	return true;
}
