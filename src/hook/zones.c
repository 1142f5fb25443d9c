// SPDX-License-Identifier: GPL-2.0
/*
 * What the allocator would find: whether an allocation that has come to the slow
 * path can only be satisfied by reclaim.
 *
 * The slow path is entered below the low mark, and first tries again down to the
 * min mark. Only the numbers are looked at, as the allocator itself does first.
 * What cannot be told is taken for a page that is there.
 *
 * Context: any, NMI included; reads without a lock.
 */
#include <linux/mmzone.h>
#include <linux/oom.h>
#include <linux/sched/prio.h>
#include "hook/slowpath.h"

/* Who may go below the min mark: by half at most, however it is called. */
static bool has_reserve(gfp_t gfp)
{
	return (gfp & __GFP_HIGH) || current->prio < MAX_RT_PRIO ||
	       (tsk_is_oom_victim(current) && !(gfp & __GFP_NOMEMALLOC));
}

static bool has_page(struct zone *zone, gfp_t gfp)
{
	long mark = min_wmark_pages(zone);

	if (has_reserve(gfp))
		mark -= mark / 2;
	return compat_zone_free(zone, gfp) >
	       mark + zone->lowmem_reserve[gfp_zone(gfp)];
}

/**
 * memrescue_slowpath_is_vain() - is there nothing without reclaim?
 * @call: the call; its context was tested
 * @nodes: where the pages may be from; NULL: anywhere
 *
 * Context: any.
 * Return: true if no zone that it may use has as much as a single page for it.
 */
bool memrescue_slowpath_is_vain(const struct slowpath_call *call,
				const nodemask_t *nodes)
{
	int highest = gfp_zone(call->gfp);
	struct zoneref *ref = call->context->zonelist->_zonerefs;

	for (; zonelist_zone(ref); ref++)
		if (zonelist_zone_idx(ref) <= highest &&
		    (!nodes || node_isset(zonelist_node_idx(ref), *nodes)) &&
		    has_page(zonelist_zone(ref), call->gfp))
			return false;
	return true;
}
