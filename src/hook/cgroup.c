// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks of cgroups (v2) that are made and removed: a lifeline's service may make
 * its cgroup anew whenever it starts.
 *
 * They are attached only while there are lifelines: while they are, the kernel
 * puts together the path of each cgroup that is made or removed.
 *
 * Context: cgroup_mutex and the lock of the kernel's buffer for the path held,
 * preemption off, interrupts off but on PREEMPT_RT.
 */
#include <linux/cgroup.h>
#include <trace/events/cgroup.h>
#include "hook/hook.h"

static void on_cgroup(void *data, struct cgroup *cgroup, const char *path)
{
	struct memrescue_hook *hook = data;

	/* In a hierarchy of the first version there may be the same path. */
	if (cgroup->root == &cgrp_dfl_root &&
	    memrescue_hook_rescue_sink->cgroup(path))
		atomic_long_inc(&hook->hits);
}

static void __maybe_unused check_prototypes(void)
{
	check_trace_callback_type_cgroup_mkdir(on_cgroup);
	check_trace_callback_type_cgroup_rmdir(on_cgroup);
}

struct memrescue_hook memrescue_hook_cgroup_made = {
	.name = "cgroup_made",
	.target = "cgroup_mkdir",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_LIFELINE,
	.callback = on_cgroup,
	.loss = "a lifeline whose cgroup is made anew is looked for each second, not found at once",
};

struct memrescue_hook memrescue_hook_cgroup_removed = {
	.name = "cgroup_removed",
	.target = "cgroup_rmdir",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_LIFELINE,
	.callback = on_cgroup,
	.loss = "a lifeline whose cgroup is removed is looked for each second, not let go at once",
};
