// SPDX-License-Identifier: GPL-2.0
/*
 * Hook of direct reclaim: what an allocation reclaims for is compared with what
 * the hook of the slow path took from the registers.
 *
 * Context: the task that reclaims; preemption off, or not, as the kernel likes.
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <trace/events/vmscan.h>
#include "memrescue_config.h"
#include "hook/slowpath.h"

#ifdef HAVE_RECLAIM_BEGIN_GFP
static void on_reclaim(void *data, gfp_t gfp, int order,
		       struct mem_cgroup *memcg)
#else
static void on_reclaim(void *data, int order, gfp_t gfp)
#endif
{
	preempt_disable();
	memrescue_slowpath_reclaims(order, gfp);
	preempt_enable();
}

static void __maybe_unused check_prototypes(void)
{
	check_trace_callback_type_mm_vmscan_direct_reclaim_begin(on_reclaim);
}

struct memrescue_hook memrescue_hook_reclaim = {
	.name = "reclaim_check",
	.target = "mm_vmscan_direct_reclaim_begin",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_RESCUE,
	.callback = on_reclaim,
	.loss = "the arguments of the slow path are not compared with those of reclaim",
};
