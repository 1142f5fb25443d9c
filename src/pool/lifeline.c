// SPDX-License-Identifier: GPL-2.0
/*
 * Lifelines: cgroups (v2) whose tasks are given pages of a share of their own when
 * they would have to reclaim.
 *
 * The list of cgroups is replaced as a whole. It holds a reference to each, until
 * nobody can look at the list any more.
 *
 * Context: process context, may sleep, where not said otherwise. Lock order:
 * lifeline_lock, then pool.lock.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "pool/internal.h"
#include "pool/rescue.h"

/*
 * Beside the share there are some pairs of pages, in each node and of either kind:
 * one for so many pages, but not more than are needed at once.
 */
#define PAIRS_PART	128u
#define MOST_PAIRS	8u

/* The longest path, with its NUL, bytes: 16 of them are shown in one page. */
#define PATH_BYTES	240u

struct lifeline {
	struct cgroup *cgroup;
	char path[PATH_BYTES];
};

struct lifelines {
	struct rcu_head rcu;
	unsigned int nr;
	struct lifeline list[];
};

/* Protects who is in the list, and the knob lifeline_pages. */
static DEFINE_MUTEX(lifeline_lock);

/* NULL: none. Written with lifeline_lock held. */
static struct lifelines __rcu *lifelines;

static struct memrescue_pool_client *lifeline_client;

/* ---- in the handler: like an NMI ---- */

/**
 * memrescue_lifeline_holds() - is current in one of the cgroups?
 *
 * Context: any.
 * Return: true if it is, or in one below.
 */
bool memrescue_lifeline_holds(void)
{
	struct lifelines *all;
	bool found = false;
	unsigned int i;

	if (!rcu_access_pointer(lifelines))
		return false;
	rcu_read_lock();
	all = rcu_dereference(lifelines);
	for (i = 0; all && i < all->nr && !found; i++)
		found = task_under_cgroup_hierarchy(current,
						    all->list[i].cgroup);
	rcu_read_unlock();
	return found;
}

/**
 * memrescue_lifeline_client() - whose share it is
 *
 * Context: any.
 * Return: the built-in client.
 */
struct memrescue_pool_client *memrescue_lifeline_client(void)
{
	return lifeline_client;
}

/* ---- the share ---- */

/* Context: lifeline_lock held. */
static int set_quota(unsigned int pages)
{
	unsigned int was = memrescue_pool.pairs;
	struct memrescue_pool_client *client;
	u64 sum = pages;
	int err = 0;

	lockdep_assert_held(&lifeline_lock);
	mutex_lock(&memrescue_pool.lock);
	list_for_each_entry(client, &memrescue_pool.clients, link)
		if (client != lifeline_client)
			sum += client->quota;
	WRITE_ONCE(memrescue_pool.pairs, min(DIV_ROUND_UP(pages, PAIRS_PART),
					     MOST_PAIRS));
	sum += memrescue_pool_pairs_target();
	if (pages > lifeline_client->quota &&
	    sum > memrescue_pool_most_reserved()) {
		WRITE_ONCE(memrescue_pool.pairs, was);
		err = -ENOSPC;
	} else {
		lifeline_client->quota = pages;
	}
	memrescue_pool_resize();
	mutex_unlock(&memrescue_pool.lock);
	if (!err)
		memrescue_pool_kick_all();
	return err;
}

static struct lifelines *current_list(void)
{
	return rcu_dereference_protected(lifelines,
					 lockdep_is_held(&lifeline_lock));
}

/**
 * memrescue_lifeline_set_pages() - change the guaranteed share
 * @pages: up to LIFELINE_MAX_PAGES
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENOSPC if the pool's cap leaves no room for it; nothing has
 * changed then.
 */
int memrescue_lifeline_set_pages(unsigned int pages)
{
	int err = 0;

	mutex_lock(&lifeline_lock);
	if (current_list())
		err = set_quota(pages);
	if (!err)
		WRITE_ONCE(memrescue_rescue_knobs.lifeline_pages, pages);
	mutex_unlock(&lifeline_lock);
	return err;
}

/* ---- the list ---- */

static struct lifelines *alloc_list(unsigned int nr)
{
	struct lifelines *new;

	new = kzalloc(struct_size(new, list, nr), GFP_KERNEL);
	if (new)
		new->nr = nr;
	return new;
}

/* A copy of the list that lacks the entry @without, or has one more. */
static struct lifelines *copy_list(const struct lifelines *old,
				   unsigned int without, unsigned int more)
{
	unsigned int i, n = 0, nr = old ? old->nr : 0;
	struct lifelines *new;

	new = alloc_list(nr - (without < nr) + more);
	for (i = 0; new && i < nr; i++)
		if (i != without)
			new->list[n++] = old->list[i];
	return new;
}

/* Context: lifeline_lock held. On return nobody looks at the old list. */
static void replace_list(struct lifelines *new)
{
	struct lifelines *old = current_list();

	rcu_assign_pointer(lifelines, new);
	synchronize_rcu();
	kfree(old);
}

static unsigned int find_path(const struct lifelines *all, const char *path)
{
	unsigned int i;

	for (i = 0; all && i < all->nr; i++)
		if (!strcmp(all->list[i].path, path))
			return i;
	return UINT_MAX;
}

static unsigned int find_cgroup(const struct lifelines *all,
				const struct cgroup *cgroup)
{
	unsigned int i;

	for (i = 0; all && i < all->nr; i++)
		if (all->list[i].cgroup == cgroup)
			return i;
	return UINT_MAX;
}

static bool is_removed(const struct lifeline *lifeline)
{
	return !(READ_ONCE(lifeline->cgroup->self.flags) & CSS_ONLINE);
}

/*
 * Where no cgroup but the root is in the default hierarchy, the machine has those
 * of the first version only, or none at all.
 */
static struct cgroup *find(const char *path)
{
	struct cgroup *cgroup = cgroup_get_from_path(path);

	if (IS_ERR(cgroup) && !READ_ONCE(cgrp_dfl_root.cgrp.nr_descendants))
		return ERR_PTR(-EOPNOTSUPP);
	return cgroup;
}

/* Context: lifeline_lock held. The new list has the reference to @cgroup. */
static int add(struct cgroup *cgroup, const char *path)
{
	struct lifelines *old = current_list(), *new;
	unsigned int same = find_path(old, path);
	struct cgroup *gone = NULL;
	int err;

	if (find_cgroup(old, cgroup) != UINT_MAX)
		return -EEXIST;
	/* Of that name there was one that has been removed. */
	if (same != UINT_MAX)
		gone = old->list[same].cgroup;
	else if (old && old->nr >= LIFELINES)
		return -ENOSPC;
	new = copy_list(old, same, 1);
	if (!new)
		return -ENOMEM;
	new->list[new->nr - 1].cgroup = cgroup;
	strscpy(new->list[new->nr - 1].path, path, PATH_BYTES);
	err = old ? 0 : set_quota(memrescue_rescue_knobs.lifeline_pages);
	if (err) {
		kfree(new);
		return err;
	}
	replace_list(new);
	if (gone)
		cgroup_put(gone);
	return 0;
}

/**
 * memrescue_lifeline_add() - a cgroup becomes a lifeline
 * @path: its path in the default hierarchy
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL for what is no path, or the path of the root; -ENAMETOOLONG;
 * -ENOENT or -ENOTDIR if there is no such cgroup; -EOPNOTSUPP if cgroups v2 are
 * not in use; -EEXIST if it is one already; -ENOSPC if there are LIFELINES, or the
 * pool's cap leaves no room for their share; -ENOMEM.
 */
int memrescue_lifeline_add(const char *path)
{
	struct cgroup *cgroup;
	int err;

	if (path[0] != '/')
		return -EINVAL;
	if (strlen(path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	cgroup = find(path);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	mutex_lock(&lifeline_lock);
	/* What is for everybody is for nobody. */
	err = cgroup == &cgrp_dfl_root.cgrp ? -EINVAL : add(cgroup, path);
	mutex_unlock(&lifeline_lock);
	if (err)
		cgroup_put(cgroup);
	return err;
}

/**
 * memrescue_lifeline_remove() - a cgroup is no lifeline any more
 * @path: as it was added, whether or not there still is one
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOENT if it is none; -ENOMEM.
 */
int memrescue_lifeline_remove(const char *path)
{
	struct lifelines *old, *new = NULL;
	struct cgroup *cgroup = NULL;
	unsigned int i;
	int err = 0;

	mutex_lock(&lifeline_lock);
	old = current_list();
	i = find_path(old, path);
	if (i == UINT_MAX) {
		err = -ENOENT;
		goto out_unlock;
	}
	if (old->nr > 1) {
		new = copy_list(old, i, 0);
		err = new ? 0 : -ENOMEM;
	}
	if (err)
		goto out_unlock;
	cgroup = old->list[i].cgroup;
	replace_list(new);
	if (!new)
		set_quota(0);
out_unlock:
	mutex_unlock(&lifeline_lock);
	if (cgroup)
		cgroup_put(cgroup);
	return err;
}

/**
 * memrescue_lifeline_count() - how many there are
 *
 * Context: process context, may sleep.
 * Return: their number.
 */
unsigned int memrescue_lifeline_count(void)
{
	unsigned int nr;

	mutex_lock(&lifeline_lock);
	nr = current_list() ? current_list()->nr : 0;
	mutex_unlock(&lifeline_lock);
	return nr;
}

/**
 * memrescue_lifeline_table() - the list as text, one line each
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: process context, may sleep.
 * Return: bytes written.
 */
ssize_t memrescue_lifeline_table(char *buf, size_t size)
{
	const struct lifelines *all;
	ssize_t len = 0;
	unsigned int i;

	mutex_lock(&lifeline_lock);
	all = current_list();
	for (i = 0; all && i < all->nr; i++)
		len += scnprintf(buf + len, size - len, "%s%s\n",
				 all->list[i].path,
				 is_removed(&all->list[i]) ? " (removed)" : "");
	mutex_unlock(&lifeline_lock);
	return len;
}

/* ---- start and stop ---- */

/**
 * memrescue_lifeline_init() - create the client whose share it is
 *
 * Context: module load, after the pool; may sleep.
 * Return: 0 or a negative errno.
 */
int memrescue_lifeline_init(void)
{
	struct memrescue_pool_client *client;

	client = __memrescue_pool_client_create(NULL, "lifeline", 0, 0);
	if (IS_ERR(client))
		return PTR_ERR(client);
	lifeline_client = client;
	return 0;
}

/**
 * memrescue_lifeline_exit() - undo memrescue_lifeline_init()
 *
 * Context: module unload; no hook calls any more; may sleep.
 */
void memrescue_lifeline_exit(void)
{
	struct lifelines *all;
	unsigned int i;

	mutex_lock(&lifeline_lock);
	all = current_list();
	RCU_INIT_POINTER(lifelines, NULL);
	for (i = 0; all && i < all->nr; i++)
		cgroup_put(all->list[i].cgroup);
	kfree(all);
	mutex_unlock(&lifeline_lock);
	memrescue_pool_client_destroy(lifeline_client);
	lifeline_client = NULL;
}
