// SPDX-License-Identifier: GPL-2.0
/* group: mark_victim exactly-one */
/* 6.8 on, and stable updates of older kernels: the tracepoint has the task. */
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <trace/events/oom.h>
static void callback(void *data, struct task_struct *task, uid_t uid)
{
}

void probe(void);
void probe(void)
{
	check_trace_callback_type_mark_victim(callback);
}
