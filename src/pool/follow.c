// SPDX-License-Identifier: GPL-2.0
/*
 * Lifelines whose cgroups are removed and made anew, as they are whenever their
 * service starts: the path stays, and is looked up again.
 *
 * Hooks see that a cgroup was made or removed, and compare its path with those in
 * the list. If it is one of them, a worker goes through the list: where the cgroup
 * is gone it takes what is there now, or nothing, and lets go of the old one. It
 * does so for every path, whatever the event was about: so neither their order nor
 * their number matters. What happens while it looks queues it once more. Without
 * the hooks it looks each second.
 *
 * Nothing is allocated for it. The workqueue is its own: to look up a cgroup may
 * take as long as a task has cgroup_mutex, which the pool's workers must not wait
 * for.
 *
 * Context: process context, may sleep, where not said otherwise. Lock order: see
 * lifeline.h.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include "pool/lifeline.h"
#include "pool/rescue.h"

/* Without the hooks. */
#define POLL_MS		1000u

static struct workqueue_struct *wq;

/* Does the worker queue itself? */
static bool polling;

/* ---- in the handlers ---- */

/**
 * memrescue_follow_holds() - is current in one of the lifelines?
 *
 * Context: any.
 * Return: true if it is, or in a cgroup below one.
 */
bool memrescue_follow_holds(void)
{
	struct lifelines *all;
	struct cgroup *cgroup;
	bool found = false;
	unsigned int i;

	if (!rcu_access_pointer(memrescue_lifelines))
		return false;
	rcu_read_lock();
	all = rcu_dereference(memrescue_lifelines);
	for (i = 0; all && i < all->nr && !found; i++) {
		cgroup = rcu_dereference(all->list[i].cgroup);
		found = cgroup && task_under_cgroup_hierarchy(current, cgroup);
	}
	rcu_read_unlock();
	return found;
}

static void look_again(struct work_struct *work);
static DECLARE_DELAYED_WORK(again, look_again);

/**
 * memrescue_follow_cgroup() - a cgroup was made or removed
 * @path: its path in the default hierarchy
 *
 * Context: any but NMI; a hook, see struct memrescue_rescue_sink.
 * Return: true if that is a lifeline's.
 */
bool memrescue_follow_cgroup(const char *path)
{
	struct lifelines *all;
	bool found = false;
	unsigned int i;

	rcu_read_lock();
	all = rcu_dereference(memrescue_lifelines);
	for (i = 0; all && i < all->nr && !found; i++)
		found = !strcmp(all->list[i].path, path);
	rcu_read_unlock();
	if (found)
		mod_delayed_work(wq, &again, 0);
	return found;
}

/* ---- the worker ---- */

/**
 * memrescue_follow_is_alive() - has it not been removed?
 * @cgroup: to which there is a reference, or which was found under RCU
 *
 * Context: any.
 * Return: false if it has, or is being removed.
 */
bool memrescue_follow_is_alive(const struct cgroup *cgroup)
{
	return READ_ONCE(cgroup->self.flags) & CSS_ONLINE;
}

/* What is there now, with a reference; NULL: nothing. */
static struct cgroup *find_alive(const char *path)
{
	struct cgroup *cgroup = cgroup_get_from_path(path);

	if (IS_ERR(cgroup))
		return NULL;
	if (memrescue_follow_is_alive(cgroup))
		return cgroup;
	cgroup_put(cgroup);
	return NULL;
}

/* Returns what is not needed any more, or NULL. Context: lifeline_lock held. */
static struct cgroup *follow(struct lifeline *lifeline)
{
	struct cgroup *old = memrescue_lifeline_cgroup(lifeline), *new;

	if (old && memrescue_follow_is_alive(old))
		return NULL;
	new = find_alive(lifeline->path);
	lifeline->anew = true;
	rcu_assign_pointer(lifeline->cgroup, new);
	return old;
}

static void follow_all(void)
{
	struct cgroup *old[LIFELINES];
	struct lifelines *all;
	unsigned int i, n = 0;

	mutex_lock(&memrescue_lifeline_lock);
	all = memrescue_lifelines_locked();
	for (i = 0; all && i < all->nr; i++) {
		old[n] = follow(&all->list[i]);
		n += !!old[n];
	}
	mutex_unlock(&memrescue_lifeline_lock);
	if (n)
		synchronize_rcu();
	while (n)
		cgroup_put(old[--n]);
}

static void look_again(struct work_struct *work)
{
	follow_all();
	if (READ_ONCE(polling))
		queue_delayed_work(wq, &again, msecs_to_jiffies(POLL_MS));
}

/* ---- for the administrator ---- */

struct question {
	struct work_struct work;
	const char *path;
	struct cgroup *answer;
};

/*
 * Where no cgroup but the root is in the default hierarchy, the machine has those
 * of the first version only, or none at all.
 */
static void answer(struct work_struct *work)
{
	struct question *question = container_of(work, struct question, work);

	follow_all();
	question->answer = cgroup_get_from_path(question->path);
	if (IS_ERR(question->answer) &&
	    !READ_ONCE(cgrp_dfl_root.cgrp.nr_descendants))
		question->answer = ERR_PTR(-EOPNOTSUPP);
}

/**
 * memrescue_follow_find() - look up a cgroup, and those of the list as well
 * @path: in the default hierarchy
 *
 * A worker does it, so that the path begins at the root: that of a task begins at
 * the root of its cgroup namespace, from 6.1 on.
 *
 * Return: the cgroup, with a reference; -ENOENT, -ENOTDIR; -EOPNOTSUPP if cgroups
 * v2 are not in use.
 */
struct cgroup *memrescue_follow_find(const char *path)
{
	struct question question = { .path = path };

	INIT_WORK_ONSTACK(&question.work, answer);
	queue_work(wq, &question.work);
	flush_work(&question.work);
	destroy_work_on_stack(&question.work);
	return question.answer;
}

/* ---- start and stop ---- */

/**
 * memrescue_follow_start() - there are lifelines
 * @poll: not all of their hooks are attached
 *
 * They are looked up once in any case: something may have happened before the
 * hooks were attached.
 */
void memrescue_follow_start(bool poll)
{
	WRITE_ONCE(polling, poll);
	mod_delayed_work(wq, &again, 0);
}

/**
 * memrescue_follow_stop() - there are none, or the module goes
 *
 * Context: may sleep; their hooks are detached. On return the worker does not run,
 * nor will.
 */
void memrescue_follow_stop(void)
{
	WRITE_ONCE(polling, false);
	cancel_delayed_work_sync(&again);
}

/**
 * memrescue_follow_init() - make the workqueue
 *
 * Context: module load; may sleep.
 * Return: 0 or -ENOMEM.
 */
int memrescue_follow_init(void)
{
	wq = alloc_ordered_workqueue("memrescue_lifeline", WQ_MEM_RECLAIM);
	return wq ? 0 : -ENOMEM;
}

/**
 * memrescue_follow_exit() - undo memrescue_follow_init()
 *
 * Context: module unload, after memrescue_follow_stop(); may sleep.
 */
void memrescue_follow_exit(void)
{
	destroy_workqueue(wq);
}
