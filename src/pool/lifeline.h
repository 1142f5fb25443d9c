/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The list of lifelines, and the cgroup that each of them has at the moment.
 *
 * lifeline.c changes the list for the administrator, as a whole. follow.c changes
 * the cgroups in it, in place, as they are removed and made anew. Both do so with
 * the list's lock held; handlers and readers look at it under RCU.
 *
 * Lifetime: the list has a reference to each cgroup that is in it. What was taken
 * out of it (a list, a reference) is let go after a grace period.
 *
 * Lock order: lifeline_lock; then pool.lock, or the kernel's for cgroups and kernfs.
 */
#ifndef MEMRESCUE_POOL_LIFELINE_H
#define MEMRESCUE_POOL_LIFELINE_H

#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

struct cgroup;

/* The longest path, with its NUL, bytes: 16 of them are shown in one page. */
#define LIFELINE_PATH_BYTES	240u

/**
 * struct lifeline - a path that the administrator named
 * @cgroup: what is there now; NULL: nothing. Written with lifeline_lock held
 * @anew: it has been gone since the administrator named it. Protected by
 *	lifeline_lock
 * @path: in the default hierarchy, from its root; constant
 */
struct lifeline {
	struct cgroup __rcu *cgroup;
	bool anew;
	char path[LIFELINE_PATH_BYTES];
};

struct lifelines {
	unsigned int nr;
	struct lifeline list[];
};

/* Protects who is in the list, their cgroups, and the knob lifeline_pages. */
extern struct mutex memrescue_lifeline_lock;

/* NULL: none. Written with the lock held. */
extern struct lifelines __rcu *memrescue_lifelines;

static inline struct lifelines *memrescue_lifelines_locked(void)
{
	return rcu_dereference_protected(memrescue_lifelines,
					 lockdep_is_held(&memrescue_lifeline_lock));
}

static inline struct cgroup *memrescue_lifeline_cgroup(struct lifeline *lifeline)
{
	return rcu_dereference_protected(lifeline->cgroup,
					 lockdep_is_held(&memrescue_lifeline_lock));
}

/* follow.c */
int memrescue_follow_init(void);
void memrescue_follow_exit(void);
struct cgroup *memrescue_follow_find(const char *path);
bool memrescue_follow_is_alive(const struct cgroup *cgroup);
bool memrescue_follow_holds(void);
bool memrescue_follow_cgroup(const char *path);

#endif
