/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A walk over all processes that takes breaths: see walk.c.
 */
#ifndef MEMRESCUE_REAPER_WALK_H
#define MEMRESCUE_REAPER_WALK_H

#include <linux/sched.h>
#include <linux/types.h>

/**
 * struct walk - one walk
 * @look: called for each process, within rcu_read_lock(); does not sleep. Returns
 *	false to end the walk
 * @anew: called when it begins, and when it begins anew; may be NULL
 * @seen: tasks seen since the last breath; @look adds the threads that it goes over
 */
struct walk {
	bool (*look)(struct walk *walk, struct task_struct *process);
	void (*anew)(struct walk *walk);
	unsigned int seen;
};

void memrescue_walk(struct walk *walk);

#endif
