/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory cgroups, also on kernels that are built without them.
 *
 * Context: any, within rcu_read_lock().
 */
#ifndef MEMRESCUE_COMPAT_MEMCG_H
#define MEMRESCUE_COMPAT_MEMCG_H

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/page_counter.h>
#include <linux/sched.h>

#ifdef CONFIG_MEMCG
/* Is a task in this cgroup, or below it? Also one that has ended. */
static inline bool compat_memcg_has(struct mem_cgroup *memcg,
				    struct task_struct *task)
{
	struct mem_cgroup *own = mem_cgroup_from_task(task);

	return own && mem_cgroup_is_descendant(own, memcg);
}

/*
 * Can 2^order pages be charged to it? What those above it may have is not asked.
 * With the first version of cgroups, where swap may count as well: false.
 */
static inline bool compat_memcg_has_room(struct mem_cgroup *memcg,
					 unsigned int order)
{
	return cgroup_subsys_on_dfl(memory_cgrp_subsys) &&
	       page_counter_read(&memcg->memory) + (1ul << order) <=
	       READ_ONCE(memcg->memory.max);
}

/*
 * What is charged to a task's cgroup, or below it, pages. Also to that of one that
 * has ended. False: it has none but the root, for which nothing is counted.
 */
static inline bool compat_memcg_charge(struct task_struct *task,
				       unsigned long *pages)
{
	struct mem_cgroup *own = mem_cgroup_from_task(task);

	*pages = own ? page_counter_read(&own->memory) : 0;
	return own && own->css.parent;
}

/* Tells it from all others, also from those that are no more. */
static inline u64 compat_memcg_serial(struct mem_cgroup *memcg)
{
	return memcg->css.serial_nr;
}
#else
static inline bool compat_memcg_has(struct mem_cgroup *memcg,
				    struct task_struct *task)
{
	return false;
}

static inline bool compat_memcg_has_room(struct mem_cgroup *memcg,
					 unsigned int order)
{
	return false;
}

static inline bool compat_memcg_charge(struct task_struct *task,
				       unsigned long *pages)
{
	*pages = 0;
	return false;
}

static inline u64 compat_memcg_serial(struct mem_cgroup *memcg)
{
	return 0;
}
#endif

#endif
