// SPDX-License-Identifier: GPL-2.0
/* group: reclaim_begin exactly-one */
/* The tracepoint has the order first. */
#include <linux/mm.h>
#include <linux/tracepoint.h>
#include <trace/events/vmscan.h>
static void callback(void *data, int order, gfp_t gfp)
{
}

void probe(void);
void probe(void)
{
	check_trace_callback_type_mm_vmscan_direct_reclaim_begin(callback);
}
