// SPDX-License-Identifier: GPL-2.0
/* group: reclaim_begin exactly-one */
/* 7.x: the tracepoint has the mask first, and the memcg. */
#include <linux/mm.h>
#include <linux/tracepoint.h>
#include <trace/events/vmscan.h>
static void callback(void *data, gfp_t gfp, int order, struct mem_cgroup *memcg)
{
}

void probe(void);
void probe(void)
{
	check_trace_callback_type_mm_vmscan_direct_reclaim_begin(callback);
}
