// SPDX-License-Identifier: GPL-2.0
/* group: signal_generate exactly-one */
/* All kernels so far. */
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <trace/events/signal.h>
static void callback(void *data, int sig, struct kernel_siginfo *info,
		     struct task_struct *task, int group, int result)
{
}

void probe(void);
void probe(void)
{
	check_trace_callback_type_signal_generate(callback);
}
