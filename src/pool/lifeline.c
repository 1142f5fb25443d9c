// SPDX-License-Identifier: GPL-2.0
/*
 * Lifelines: cgroups (v2) whose tasks are given pages of a share of their own when
 * they would have to reclaim.
 *
 * Here are the share, and the list as the administrator changes it. The
 * list is replaced as a whole; the references to cgroups go from the old one to
 * the new one. How they are found again is in follow.c.
 *
 * Context: process context, may sleep, where not said otherwise. Lock order: see
 * lifeline.h.
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
#include "pool/lifeline.h"
#include "pool/rescue.h"

/*
 * Beside the share there are some pairs of pages, in each node and of either kind:
 * one for so many pages, but not more than are needed at once.
 */
#define PAIRS_PART	128u
#define MOST_PAIRS	8u

/* Protects who is in the list, their cgroups, and the knob lifeline_pages. */
DEFINE_MUTEX(memrescue_lifeline_lock);

struct lifelines __rcu *memrescue_lifelines;

static struct memrescue_pool_client *lifeline_client;

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

	lockdep_assert_held(&memrescue_lifeline_lock);
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
		WRITE_ONCE(lifeline_client->quota, pages);
	}
	memrescue_pool_resize();
	mutex_unlock(&memrescue_pool.lock);
	if (!err)
		memrescue_pool_kick_all();
	return err;
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

	mutex_lock(&memrescue_lifeline_lock);
	if (memrescue_lifelines_locked())
		err = set_quota(pages);
	if (!err)
		WRITE_ONCE(memrescue_rescue_knobs.lifeline_pages, pages);
	mutex_unlock(&memrescue_lifeline_lock);
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
	struct lifelines *old = memrescue_lifelines_locked();

	rcu_assign_pointer(memrescue_lifelines, new);
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

/*
 * The path as the kernel writes it: each slash once, none at the end. Returns 0,
 * -EINVAL for one that is not absolute, -ENAMETOOLONG.
 */
static int tidy_path(const char *path, char *tidy)
{
	unsigned int n = 0;

	if (path[0] != '/')
		return -EINVAL;
	for (; *path; path++) {
		if (path[0] == '/' && (path[1] == '/' || !path[1]))
			continue;
		if (n == LIFELINE_PATH_BYTES - 1)
			return -ENAMETOOLONG;
		tidy[n++] = *path;
	}
	tidy[n] = '\0';
	return 0;
}

/* Context: lifeline_lock held. If it succeeds the list has the reference. */
static int add(struct cgroup *cgroup, const char *path)
{
	struct lifelines *old = memrescue_lifelines_locked(), *new;
	struct lifeline *last;
	int err;

	if (old && old->nr >= LIFELINES)
		return -ENOSPC;
	new = copy_list(old, UINT_MAX, 1);
	if (!new)
		return -ENOMEM;
	last = &new->list[new->nr - 1];
	RCU_INIT_POINTER(last->cgroup, cgroup);
	strscpy(last->path, path, LIFELINE_PATH_BYTES);
	err = old ? 0 : set_quota(memrescue_rescue_knobs.lifeline_pages);
	if (err) {
		kfree(new);
		return err;
	}
	replace_list(new);
	return 0;
}

/*
 * A service may name its cgroup whenever it starts. Has it been made anew since
 * it was last named, that is no error. Context: lifeline_lock held.
 */
static int name_again(struct lifeline *lifeline)
{
	if (!lifeline->anew)
		return -EEXIST;
	lifeline->anew = false;
	return 0;
}

/* Of the reference to @cgroup the list takes what it needs. */
static int add_or_name_again(struct cgroup *cgroup, const char *path)
{
	struct lifelines *all;
	unsigned int same;
	bool kept = false;
	int err;

	mutex_lock(&memrescue_lifeline_lock);
	all = memrescue_lifelines_locked();
	same = find_path(all, path);
	if (same != UINT_MAX) {
		err = name_again(&all->list[same]);
	} else {
		err = add(cgroup, path);
		kept = !err;
	}
	mutex_unlock(&memrescue_lifeline_lock);
	if (!kept)
		cgroup_put(cgroup);
	return err;
}

/**
 * memrescue_lifeline_add() - a cgroup becomes a lifeline
 * @path: its path in the default hierarchy
 *
 * It has to be there now. When it is removed its path stays in the list.
 *
 * Context: process context, may sleep; memrescue_follow_start() has to follow.
 * Return: 0; -EINVAL for what is no path, or the path of the root; -ENAMETOOLONG;
 * -ENOENT or -ENOTDIR if there is no such cgroup; -EOPNOTSUPP if cgroups v2 are
 * not in use; -EEXIST if it is one already, unless it was made anew since it was
 * last added; -ENOSPC if there are LIFELINES, or the pool's cap leaves no room for
 * their share; -ENOMEM.
 */
int memrescue_lifeline_add(const char *path)
{
	char tidy[LIFELINE_PATH_BYTES];
	struct cgroup *cgroup;
	int err;

	err = tidy_path(path, tidy);
	if (err)
		return err;
	cgroup = memrescue_follow_find(tidy);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	/* What is for everybody is for nobody. */
	if (cgroup == &cgrp_dfl_root.cgrp) {
		cgroup_put(cgroup);
		return -EINVAL;
	}
	return add_or_name_again(cgroup, tidy);
}

/**
 * memrescue_lifeline_remove() - a cgroup is no lifeline any more
 * @path: as it was added, whether or not there is one at the moment
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOENT if it is none; -ENOMEM.
 */
int memrescue_lifeline_remove(const char *path)
{
	struct lifelines *old, *new = NULL;
	char tidy[LIFELINE_PATH_BYTES];
	struct cgroup *cgroup = NULL;
	unsigned int i;
	int err = 0;

	if (tidy_path(path, tidy))
		return -ENOENT;
	mutex_lock(&memrescue_lifeline_lock);
	old = memrescue_lifelines_locked();
	i = find_path(old, tidy);
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
	cgroup = memrescue_lifeline_cgroup(&old->list[i]);
	replace_list(new);
	if (!new)
		set_quota(0);
out_unlock:
	mutex_unlock(&memrescue_lifeline_lock);
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

	mutex_lock(&memrescue_lifeline_lock);
	nr = memrescue_lifelines_locked() ? memrescue_lifelines_locked()->nr : 0;
	mutex_unlock(&memrescue_lifeline_lock);
	return nr;
}

/* Context: RCU read-side critical section. */
static bool is_gone(const struct lifeline *lifeline)
{
	const struct cgroup *cgroup = rcu_dereference(lifeline->cgroup);

	return !cgroup || !memrescue_follow_is_alive(cgroup);
}

/**
 * memrescue_lifeline_table() - the list as text, one line each
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: any; takes no lock.
 * Return: bytes written.
 */
ssize_t memrescue_lifeline_table(char *buf, size_t size)
{
	const struct lifelines *all;
	ssize_t len = 0;
	unsigned int i;

	rcu_read_lock();
	all = rcu_dereference(memrescue_lifelines);
	for (i = 0; all && i < all->nr; i++)
		len += scnprintf(buf + len, size - len, "%s%s\n",
				 all->list[i].path,
				 is_gone(&all->list[i]) ? " (gone)" : "");
	rcu_read_unlock();
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
	int err;

	err = memrescue_follow_init();
	if (err)
		return err;
	client = __memrescue_pool_client_create(NULL, "lifeline", 0, 0);
	if (IS_ERR(client)) {
		memrescue_follow_exit();
		return PTR_ERR(client);
	}
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
	struct cgroup *cgroup;
	struct lifelines *all;
	unsigned int i;

	mutex_lock(&memrescue_lifeline_lock);
	all = memrescue_lifelines_locked();
	RCU_INIT_POINTER(memrescue_lifelines, NULL);
	for (i = 0; all && i < all->nr; i++) {
		cgroup = memrescue_lifeline_cgroup(&all->list[i]);
		if (cgroup)
			cgroup_put(cgroup);
	}
	kfree(all);
	mutex_unlock(&memrescue_lifeline_lock);
	memrescue_pool_client_destroy(lifeline_client);
	lifeline_client = NULL;
	memrescue_follow_exit();
}
