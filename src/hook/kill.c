// SPDX-License-Identifier: GPL-2.0
/*
 * Hook of fatal SIGKILLs, from whoever sends them: kill(2), cgroup.kill,
 * earlyoom, systemd-oomd, the kubelet, the OOM killer.
 *
 * Context: the target's sighand lock held, interrupts off. The callback runs
 * for every signal on the machine: one compare, then out.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <trace/events/signal.h>
#include "memrescue_config.h"
#include "hook/hook.h"

static void on_signal(void *data, int sig, struct kernel_siginfo *info,
		      struct task_struct *task, int group, int result)
{
	if (likely(sig != SIGKILL))
		return;
	/* Not one more of those that it has been sent already. */
	if (result == TRACE_SIGNAL_IGNORED ||
	    result == TRACE_SIGNAL_ALREADY_PENDING || (task->flags & PF_KTHREAD))
		return;
	/* It is set by now if the signal kills: sighand lock is held. */
	if (!(task->signal->flags & SIGNAL_GROUP_EXIT))
		return;
	memrescue_hook_pass(data, task, HOOK_REASON_KILLED);
}

static void __maybe_unused check_prototypes(void)
{
	check_trace_callback_type_signal_generate(on_signal);
}

struct memrescue_hook memrescue_hook_signal = {
	.name = "sigkill",
	.target = "signal_generate",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_REAPER,
	.callback = on_signal,
	.loss = "processes killed from user space are not reaped",
};
