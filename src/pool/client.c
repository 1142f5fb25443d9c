// SPDX-License-Identifier: GPL-2.0
/*
 * Clients of the pool, in memrescue and in other modules.
 *
 * A client takes from the common part while there is something, then from its
 * guaranteed share, and, if it is critical, from the rescue share. What it took
 * of a share is lent: the pages that it puts back go there first. What it hands
 * over for good the worker replaces.
 *
 * Context: see each function. Lock order: see internal.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page_ref.h>
#include <linux/preempt.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "pool/internal.h"
#include "pool/mark.h"
#include "pool/trace.h"

/* ---- getting and putting: any context ---- */

/**
 * memrescue_pool_borrow() - lend a page of a share
 * @owner: whose share it is
 * @nodes: where it may be from; NULL: anywhere
 *
 * Context: any.
 * Return: the page, with one reference, or NULL.
 */
struct page *memrescue_pool_borrow(struct memrescue_pool_client *owner,
				   const nodemask_t *nodes)
{
	struct page *page;

	if (atomic_read(&owner->credit) <= 0)
		return NULL;
	/* First, so that the worker does not find a page missing in between. */
	atomic_inc(&owner->lent);
	page = memrescue_pool_take_credit(owner, nodes);
	/* Somebody may have put a page back on this one's account by now. */
	if (!page)
		memrescue_pool_dec(&owner->lent);
	memrescue_pool_kick(memrescue_pool_near());
	return page;
}

static struct page *borrow_any(struct memrescue_pool_client *client)
{
	struct page *page = memrescue_pool_borrow(client, NULL);

	if (page || !(client->flags & MEMRESCUE_POOL_CRITICAL))
		return page;
	page = memrescue_pool_borrow(memrescue_pool.rescue, NULL);
	if (page)
		atomic_inc(&client->borrowed);
	return page;
}

/* Whose share misses a page that this client had? NULL: nobody's. */
static struct memrescue_pool_client *
lender(struct memrescue_pool_client *client)
{
	struct memrescue_pool_client *rescue = memrescue_pool.rescue;

	if (memrescue_pool_dec(&client->lent))
		return client;
	if (memrescue_pool_dec(&client->borrowed) &&
	    memrescue_pool_dec(&rescue->lent))
		return rescue;
	return NULL;
}

/* A page is gone. If it was lent, the share is short of one: the worker sees it. */
static void write_off(struct memrescue_pool_client *client, int nid)
{
	if (lender(client))
		memrescue_pool_kick(nid);
}

static struct page *borrow_good(struct memrescue_pool_client *client)
{
	struct page *page;

	for (;;) {
		page = borrow_any(client);
		if (!page || !memrescue_pool_forget_broken(page, 1))
			return page;
		write_off(client, page_to_nid(page));
	}
}

static void no_page(struct memrescue_pool_client *client)
{
	this_cpu_inc(client->counts->misses);
	atomic_inc(&memrescue_pool.missed);
	/* Who clears the request that is there already reads the misses after that. */
	smp_mb__after_atomic();
	trace_pool_miss(client->name);
	memrescue_pool_kick_missed(memrescue_pool_near());
}

/**
 * memrescue_pool_get() - get a page
 * @client: who wants it
 *
 * Context: any: NMI, hardware interrupt, with a raw spinlock held, on
 * PREEMPT_RT as well. Takes no lock.
 * Return: a page of order 0 with one reference and any contents, of the local
 * node if it has one, always addressable by the kernel (page_address()); NULL
 * if there is none.
 */
struct page *memrescue_pool_get(struct memrescue_pool_client *client)
{
	struct page *page;

	do {
		page = memrescue_pool_take(NULL);
	} while (unlikely(page && memrescue_pool_forget_broken(page, 1)));
	if (unlikely(!page)) {
		page = borrow_good(client);
		if (!page) {
			no_page(client);
			return NULL;
		}
		/* The common part is empty: it ought to be larger. */
		atomic_inc(&memrescue_pool.missed);
	}
	this_cpu_inc(client->counts->gets);
	mark_out(client, page);
	return page;
}
EXPORT_SYMBOL_GPL(memrescue_pool_get);

/* Found in the debug build only. Returns true if the client has the page, until now. */
static bool leaves(struct memrescue_pool_client *client, struct page *page)
{
	if (likely(mark_in(client, page)))
		return true;
	atomic_long_inc(&memrescue_pool_stats.foreign);
	pr_err_ratelimited("pool client %s gives a page that it does not have\n",
			   client->name);
	return false;
}

/*
 * Somebody else refers to the page, or did a moment ago. Returns true if it is
 * ours alone now.
 */
static bool drop_reference(struct memrescue_pool_client *client,
			   struct page *page)
{
	int nid = page_to_nid(page);

	if (put_page_testzero(page)) {
		init_page_count(page);
		return true;
	}
	/* From here on it is not ours to look at. */
	atomic_long_inc(&memrescue_pool_stats.foreign);
	atomic_long_inc(&memrescue_pool_stats.freed);
	write_off(client, nid);
	return false;
}

/* What was lent goes back to the share that it is from. */
static bool put_lent(struct memrescue_pool_client *client, struct page *page)
{
	struct memrescue_pool_client *owner = lender(client);

	if (!owner)
		return false;
	if (memrescue_pool_stock_reserve(page)) {
		atomic_inc(&owner->credit);
		return true;
	}
	/* The share is short of one: the worker sees it. */
	memrescue_pool_kick(page_to_nid(page));
	return false;
}

static __always_inline void take_back(struct memrescue_pool_client *client,
				      struct page *page)
{
	this_cpu_inc(client->counts->puts);
	if (unlikely(page_ref_count(page) != 1) &&
	    !drop_reference(client, page))
		return;
	if (unlikely(memrescue_pool_forget_broken(page, 1))) {
		write_off(client, page_to_nid(page));
		return;
	}
	if (unlikely(atomic_read(&client->lent) ||
		     atomic_read(&client->borrowed)) &&
	    put_lent(client, page))
		return;
	if (!memrescue_pool_stock_common(page))
		memrescue_pool_drop(page);
}

/**
 * memrescue_pool_take_back() - memrescue_pool_put(), whether it is the client's or not
 * @client: on whose account
 * @page: the page
 *
 * Context: any.
 */
void memrescue_pool_take_back(struct memrescue_pool_client *client,
			      struct page *page)
{
	take_back(client, page);
}

/**
 * memrescue_pool_put() - put a page back
 * @client: who got it
 * @page: what memrescue_pool_get() returned, and nobody else refers to
 *
 * A page that somebody else still refers to is not taken back: the client's
 * reference is dropped. A broken one (PG_hwpoison) is forgotten.
 *
 * Context: as memrescue_pool_get().
 */
void memrescue_pool_put(struct memrescue_pool_client *client,
			struct page *page)
{
	if (leaves(client, page))
		take_back(client, page);
}
EXPORT_SYMBOL_GPL(memrescue_pool_put);

/**
 * memrescue_pool_hand_over() - keep a page for good
 * @client: who got it
 * @page: what memrescue_pool_get() returned
 *
 * From now on it is a page like any other, with the reference that it came
 * with: free it by __free_page(), or give it to whoever will.
 *
 * Context: as memrescue_pool_get().
 */
void memrescue_pool_hand_over(struct memrescue_pool_client *client,
			      struct page *page)
{
	if (!leaves(client, page))
		return;
	this_cpu_inc(client->counts->handed_over);
	write_off(client, page_to_nid(page));
}
EXPORT_SYMBOL_GPL(memrescue_pool_hand_over);

/* ---- coming and going: process context ---- */

static bool good_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum(*c) && *c != '_' && *c != '-' && *c != '.')
			return false;
	return c != name && c - name < MEMRESCUE_POOL_NAME;
}

/* Context: pool.lock held. */
static int check_room(const char *name, unsigned int quota)
{
	struct memrescue_pool_client *client;
	u64 pages = (u64)quota + memrescue_pool_pairs_target();

	lockdep_assert_held(&memrescue_pool.lock);
	list_for_each_entry(client, &memrescue_pool.clients, link) {
		if (!strcmp(client->name, name))
			return -EEXIST;
		pages += client->quota;
	}
	if (pages > memrescue_pool_most_reserved())
		return -ENOSPC;
	return 0;
}

static struct memrescue_pool_client *
alloc_client(struct module *owner, const char *name, unsigned int quota,
	     unsigned int flags)
{
	struct memrescue_pool_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return NULL;
	client->counts = alloc_percpu(struct pool_client_counts);
	if (!client->counts) {
		kfree(client);
		return NULL;
	}
	strscpy(client->name, name, sizeof(client->name));
	client->owner = owner;
	WRITE_ONCE(client->quota, quota);
	client->flags = flags;
	return client;
}

static void free_client(struct memrescue_pool_client *client)
{
	free_percpu(client->counts);
	kfree(client);
}

/* See memrescue_pool_client_create(). */
struct memrescue_pool_client *
__memrescue_pool_client_create(struct module *owner, const char *name,
			       unsigned int quota, unsigned int flags)
{
	struct memrescue_pool_client *client;
	int err;

	if (!name || !good_name(name) || (flags & ~MEMRESCUE_POOL_FLAGS))
		return ERR_PTR(-EINVAL);
	client = alloc_client(owner, name, quota, flags);
	if (!client)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&memrescue_pool.lock);
	err = check_room(name, quota);
	if (!err) {
		list_add_tail_rcu(&client->link, &memrescue_pool.clients);
		memrescue_pool_resize();
	}
	mutex_unlock(&memrescue_pool.lock);
	if (err) {
		free_client(client);
		return ERR_PTR(err);
	}
	memrescue_pool_kick_all();
	return client;
}
EXPORT_SYMBOL_GPL(__memrescue_pool_client_create);

/* A page for which there is no credit would lie in the reserve for ever. */
#define RELEASE_TRIES	1000u

/* What nobody has a claim to any more becomes common, or is freed. */
static void release_credit(struct memrescue_pool_client *client)
{
	unsigned int tries = 0;
	struct page *page;

	while (atomic_read(&client->credit) > 0) {
		page = memrescue_pool_take_credit(client, NULL);
		if (!page && ++tries < RELEASE_TRIES) {
			/* Others move pages about. */
			cond_resched();
			continue;
		}
		if (!page)
			break;
		if (!memrescue_pool_stock_common(page))
			memrescue_pool_free(page);
	}
}

/*
 * A reader finds what it did in one of both places. It tries again meanwhile, so
 * the writer must not lose the CPU.
 */
static void leave(struct memrescue_pool_client *client,
		  const struct pool_client_counts *sum)
{
	preempt_disable();
	write_seqcount_begin(&memrescue_pool.leaves);
	list_del_rcu(&client->link);
	memrescue_pool_add_counts(&memrescue_pool.past, sum);
	write_seqcount_end(&memrescue_pool.leaves);
	preempt_enable();
}

/*
 * Readers may still look at it: it is freed by free_left_client(), without the
 * lock. Context: pool.lock held.
 */
static void destroy(struct memrescue_pool_client *client)
{
	struct pool_client_counts sum = { 0 };
	unsigned long left;

	lockdep_assert_held(&memrescue_pool.lock);
	memrescue_pool_add_client(&sum, client);
	leave(client, &sum);
	left = memrescue_pool_outstanding(&sum);
	if (left) {
		pr_warn("pool client %s is gone and has not put back %lu pages\n",
			client->name, left);
		atomic_long_add(left, &memrescue_pool_stats.lost);
	}
	WRITE_ONCE(client->quota, 0);
	release_credit(client);
	/* What it had of the rescue share will not come back. */
	while (memrescue_pool_dec(&client->borrowed))
		memrescue_pool_dec(&memrescue_pool.rescue->lent);
	memrescue_pool_resize();
}

/* Context: may sleep; pool.lock not held: the workers need not wait for readers. */
static void free_left_client(struct memrescue_pool_client *client)
{
	synchronize_rcu();
	free_client(client);
}

/**
 * memrescue_pool_client_destroy() - stop being a client
 * @client: the client; NULL and ERR_PTR() are ignored. It must not be used any
 *	more, from any context
 *
 * Pages that it still has are reported, and stay its own: they are not in the
 * pool, and nothing refers to them.
 *
 * Context: process context, may sleep.
 */
void memrescue_pool_client_destroy(struct memrescue_pool_client *client)
{
	if (IS_ERR_OR_NULL(client))
		return;
	mutex_lock(&memrescue_pool.lock);
	destroy(client);
	mutex_unlock(&memrescue_pool.lock);
	memrescue_pool_kick_all();
	free_left_client(client);
}
EXPORT_SYMBOL_GPL(memrescue_pool_client_destroy);

/* Destroys a client of that module; NULL: it has none. */
static struct memrescue_pool_client *destroy_one_of(const struct module *owner)
{
	struct memrescue_pool_client *client, *found = NULL;

	mutex_lock(&memrescue_pool.lock);
	list_for_each_entry(client, &memrescue_pool.clients, link) {
		if (client->owner != owner)
			continue;
		found = client;
		pr_warn("pool client %s was left behind by its module\n",
			client->name);
		destroy(client);
		break;
	}
	mutex_unlock(&memrescue_pool.lock);
	return found;
}

/* A module that is gone without having destroyed its clients. */
static int module_goes(struct notifier_block *block, unsigned long event,
		       void *data)
{
	struct memrescue_pool_client *client;

	if (event != MODULE_STATE_GOING || data == THIS_MODULE)
		return NOTIFY_DONE;
	while ((client = destroy_one_of(data)))
		free_left_client(client);
	memrescue_pool_kick_all();
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = {
	.notifier_call = module_goes,
};

/**
 * memrescue_pool_client_init() - watch modules, create the first client
 *
 * Context: module load; may sleep.
 * Return: 0 or a negative errno.
 */
int memrescue_pool_client_init(void)
{
	struct memrescue_pool_client *rescue;
	int err;

	rescue = alloc_client(NULL, "rescue", 0, MEMRESCUE_POOL_CRITICAL);
	if (!rescue)
		return -ENOMEM;
	err = register_module_notifier(&module_notifier);
	if (err) {
		free_client(rescue);
		return err;
	}
	list_add_rcu(&rescue->link, &memrescue_pool.clients);
	memrescue_pool.rescue = rescue;
	return 0;
}

/**
 * memrescue_pool_client_exit() - undo memrescue_pool_client_init()
 *
 * Context: module unload; no other client is there; may sleep.
 */
void memrescue_pool_client_exit(void)
{
	unregister_module_notifier(&module_notifier);
	mutex_lock(&memrescue_pool.lock);
	destroy(memrescue_pool.rescue);
	mutex_unlock(&memrescue_pool.lock);
	free_left_client(memrescue_pool.rescue);
	memrescue_pool.rescue = NULL;
}
