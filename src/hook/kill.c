// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks of processes that begin to die, whoever or whatever is the reason.
 *
 * signal_generate sees signals that kill without a core dump (kill(2),
 * cgroup.kill, earlyoom, systemd-oomd, the kubelet, the OOM killer), and every
 * SIGKILL to a process that is dying already. do_exit() sees the others:
 * exit_group(), a fatal signal whose core dump is over, the end of the last thread.
 *
 * Context: of the first: the target's sighand lock held, interrupts off. It runs
 * for every signal on the machine: one flag, then out. Of the second: current
 * exits, in process context, no lock held; preemption off.
 */
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <trace/events/signal.h>
#include "memrescue_config.h"
#include "hook/hook.h"

/* To a process that is dying: is it why? A SIGKILL always is one more time. */
static bool is_why(int sig, int result)
{
	if (sig == SIGKILL)
		return true;
	return !sig_kernel_ignore(sig) && !sig_kernel_stop(sig) &&
	       (result == TRACE_SIGNAL_DELIVERED ||
		result == TRACE_SIGNAL_LOSE_INFO);
}

static void on_signal(void *data, int sig, struct kernel_siginfo *info,
		      struct task_struct *task, int group, int result)
{
	/* It is set by now if the signal kills: sighand lock is held. */
	if (likely(!(task->signal->flags & SIGNAL_GROUP_EXIT)))
		return;
	if ((task->flags & PF_KTHREAD) || !is_why(sig, result))
		return;
	memrescue_hook_pass(data, task, HOOK_REASON_KILLED);
}

static void __maybe_unused check_prototypes(void)
{
	check_trace_callback_type_signal_generate(on_signal);
}

static int on_exit(struct kprobe *probe, struct pt_regs *regs)
{
	struct memrescue_hook *hook =
		container_of(probe, struct memrescue_hook, probe);
	struct task_struct *task = current;

	if (!task->mm || (task->flags & PF_KTHREAD))
		return 0;
	/* The OOM killer's hooks have passed it on. */
	if (READ_ONCE(task->signal->oom_mm))
		return 0;
	/* One of several threads, and the others live on. */
	if (!(READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT) &&
	    atomic_read(&task->signal->live) > 1)
		return 0;
	memrescue_hook_exits(hook, task);
	return 0;
}

struct memrescue_hook memrescue_hook_signal = {
	.name = "sigkill",
	.target = "signal_generate",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_REAPER,
	.callback = on_signal,
	.loss = "killed processes are not reaped while none of their threads gets to its exit",
};

struct memrescue_hook memrescue_hook_exit_begins = {
	.name = "exit",
	.target = "do_exit",
	.kind = HOOK_KPROBE,
	.part = HOOK_PART_REAPER,
	.pre = on_exit,
	.loss = "processes that end by themselves are not reaped until somebody kills them",
};
