// SPDX-License-Identifier: GPL-2.0
/* group: mark_victim exactly-one */
/* The tracepoint has only the global pid. */
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <trace/events/oom.h>
static void callback(void *data, int pid)
{
}

void probe(void);
void probe(void)
{
	check_trace_callback_type_mark_victim(callback);
}
