// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks of the OOM killer: a victim is marked, a victim is queued, a victim is
 * about to be killed.
 *
 * The first two see the same victims: every one that the kernel marks (memcg, global,
 * cpuset OOM, sysrq-f) passes mark_victim; those that its reaper shall take
 * pass queue_oom_reaper afterwards. Either of them is enough.
 *
 * Context: oom_lock held or the victim is current; preemption off.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/delay.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <trace/events/oom.h>
#include "memrescue_config.h"
#include "compat/fault.h"
#include "compat/ksym.h"
#include "compat/regs.h"
#include "hook/hook.h"

#define SLOW_MS		500u

#ifdef HAVE_MARK_VICTIM_TASK
static void on_mark_victim(void *data, struct task_struct *task, uid_t uid)
{
	memrescue_hook_pass(data, task, HOOK_REASON_OOM);
}
#else
static void on_mark_victim(void *data, int nr)
{
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_pid_ns(nr, &init_pid_ns), PIDTYPE_PID);
	if (task)
		memrescue_hook_pass(data, task, HOOK_REASON_OOM);
	rcu_read_unlock();
}
#endif

static int on_queue_reaper(struct kprobe *probe, struct pt_regs *regs)
{
	struct memrescue_hook *hook =
		container_of(probe, struct memrescue_hook, probe);
	unsigned long task = regs_get_kernel_argument(regs, 0);

	memrescue_hook_pass(hook, (struct task_struct *)task, HOOK_REASON_OOM);
	return 0;
}

/*
 * The caller was sent to spare_chosen(), and has not been seen there. Protected by
 * oom_lock.
 */
static bool diverted;

/*
 * In place of oom_kill_process(): the one chosen is not killed. Its caller goes on as
 * if there had been a victim to wait for. As the function does, it drops the
 * reference to the one chosen. Where a live patch or a BPF program has the last word
 * on where callers go, the OOM killer kills: see was_lost().
 *
 * Context: oom_lock held from before the call until after the return.
 */
static void spare_chosen(struct oom_control *oc, const char *message)
{
	WRITE_ONCE(diverted, false);
	memrescue_hook_spared(&memrescue_hook_oom_kill);
	/* For a test, which unloads the module meanwhile. */
	if (memrescue_fault("spare-slow"))
		msleep(SLOW_MS);
	put_task_struct(oc->chosen);
}

/*
 * A kprobe that changes where its caller goes would have to tell ftrace so, by a
 * post_handler. But kprobes that share a place with one that came first and had none
 * (every tracer's) are then taken out of the wrong ftrace_ops, with a warning
 * (kernel/kprobes.c, add_new_kprobe(), all kernels). An ftrace_ops of its own cannot be
 * unregistered while a task charges in a loop: that waits for tasks RCU. So a change
 * that was lost is noticed by the next call, and ends it.
 *
 * Context: oom_lock held.
 */
static bool was_lost(struct memrescue_hook *hook)
{
	if (READ_ONCE(diverted) && !READ_ONCE(hook->why)) {
		WRITE_ONCE(hook->why,
			   "a live patch or a BPF program decides where its callers go");
		/* The OOM killer prints here as well. */
		pr_warn("hook %s (%s) is refuted: %s; lost without it: %s\n",
			hook->name, hook->target, hook->why, hook->loss);
	}
	return READ_ONCE(hook->why);
}

static int on_oom_kill(struct kprobe *probe, struct pt_regs *regs)
{
	struct memrescue_hook *hook =
		container_of(probe, struct memrescue_hook, probe);
	struct oom_control *oc =
		(struct oom_control *)regs_get_kernel_argument(regs, 0);

	/* It may come before check_oom_kill(). */
	if (!COMPAT_REGS_CAN_RETURN || !kprobe_ftrace(probe) ||
	    !memrescue_ksym_has(KSYM_OOM_LOCK))
		return 0;
	/* All of its callers have it there: it is what it is taken for. */
	if (!object_is_on_stack(oc) || was_lost(hook) ||
	    !memrescue_hook_spare(oc))
		return 0;
	WRITE_ONCE(diverted, true);
	/* For a test: as if a live patch came after this. */
	if (memrescue_fault("spare-lost"))
		return 0;
	compat_regs_divert(regs, (unsigned long)spare_chosen);
	return 1;
}

static const char *check_oom_kill(struct memrescue_hook *hook)
{
	/* What was lost before it was attached again says nothing. */
	WRITE_ONCE(diverted, false);
	if (!COMPAT_REGS_CAN_RETURN)
		return "not for this processor";
	if (!kprobe_ftrace(&hook->probe))
		return "the kprobe is not by ftrace";
	if (!memrescue_ksym_has(KSYM_OOM_LOCK))
		return "oom_lock was not found";
	return NULL;
}

static void __maybe_unused check_prototypes(void)
{
	check_trace_callback_type_mark_victim(on_mark_victim);
}

struct memrescue_hook memrescue_hook_mark_victim = {
	.name = "oom_marked",
	.target = "mark_victim",
	.kind = HOOK_TRACEPOINT,
	.part = HOOK_PART_REAPER,
	.callback = on_mark_victim,
	.loss = "OOM victims are seen a little later, when queue_oom_reaper is called",
};

struct memrescue_hook memrescue_hook_queue_reaper = {
	.name = "oom_queued",
	.target = "queue_oom_reaper",
	.kind = HOOK_KPROBE,
	.part = HOOK_PART_REAPER,
	.pre = on_queue_reaper,
	.loss = "nothing while mark_victim is active: it is the second way to the same event",
};

struct memrescue_hook memrescue_hook_oom_kill = {
	.name = "oom_kill",
	.target = "oom_kill_process",
	.kind = HOOK_KPROBE,
	.part = HOOK_PART_SPARE,
	.pre = on_oom_kill,
	.check = check_oom_kill,
	.gone = memrescue_oom_wait,
	.loss = "another one may be killed just when a victim's memory comes back",
};
