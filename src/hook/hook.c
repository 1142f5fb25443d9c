// SPDX-License-Identifier: GPL-2.0
/* The table of hooks: see hook.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "compat/ksym.h"
#include "hook/hook.h"

#define DETACH_RETRY_MS	10u

/* Functions that a kretprobe sees at the same time. */
#define HOOK_RETURNS(cpus)	(16 + 4 * (cpus))

static struct memrescue_hook *const hooks[] = {
	&memrescue_hook_mark_victim,
	&memrescue_hook_queue_reaper,
	&memrescue_hook_oom_kill,
	&memrescue_hook_signal,
	&memrescue_hook_exit_begins,
	&memrescue_hook_slowpath,
	&memrescue_hook_reclaim,
	&memrescue_hook_slowpath_return,
	&memrescue_hook_cgroup_made,
	&memrescue_hook_cgroup_removed,
};

/* Serializes attaching and detaching. */
static DEFINE_MUTEX(attach_lock);

/* Both written before the first hook is attached. */
static const struct memrescue_sink *hook_sink;
const struct memrescue_rescue_sink *memrescue_hook_rescue_sink;

static struct kprobe *probe_of(struct memrescue_hook *hook)
{
	return hook->kind == HOOK_KRETPROBE ? &hook->ret.kp : &hook->probe;
}

static void match_tracepoint(struct tracepoint *tracepoint, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct memrescue_hook *hook = hooks[i];

		if (hook->kind == HOOK_TRACEPOINT &&
		    !strcmp(hook->target, tracepoint->name))
			hook->tracepoint = tracepoint;
	}
}

static int attach_tracepoint(struct memrescue_hook *hook)
{
	if (!hook->tracepoint)
		return -ENOENT;
	return tracepoint_probe_register(hook->tracepoint, hook->callback,
					 hook);
}

static int register_one(struct memrescue_hook *hook, const char *symbol)
{
	/* One that was registered before carries its old state. */
	memset(&hook->probe, 0, sizeof(hook->probe));
	memset(&hook->ret, 0, sizeof(hook->ret));
	if (hook->kind == HOOK_KRETPROBE) {
		hook->ret.kp.symbol_name = symbol;
		hook->ret.handler = hook->handler;
		hook->ret.entry_handler = hook->entry;
		hook->ret.data_size = hook->data_size;
		hook->ret.maxactive = HOOK_RETURNS(num_possible_cpus());
		return register_kretprobe(&hook->ret);
	}
	hook->probe.symbol_name = symbol;
	hook->probe.pre_handler = hook->pre;
	hook->probe.post_handler = hook->post;
	return register_kprobe(&hook->probe);
}

static int attach_kprobe(struct memrescue_hook *hook)
{
	int err = -ENOENT;

	if (hook->clone)
		err = register_one(hook, hook->clone);
	if (err)
		err = register_one(hook, hook->target);
	return err;
}

/*
 * The kernel had no memory to take a kprobe out of its code. But it has counted it as
 * taken out where it is one by ftrace (kernel/kprobes.c, __disarm_kprobe_ftrace()), and
 * when its count is wrong it does not turn on those that come later. To turn it on
 * again, which it is, corrects the count.
 */
static void count_again(struct kprobe *probe)
{
	if (!kprobe_ftrace(probe))
		return;
	probe->flags |= KPROBE_FLAG_DISABLED;
	while (enable_kprobe(probe) == -ENOMEM)
		msleep(DETACH_RETRY_MS);
}

/*
 * An instance for a call whose return need not be seen is put back by the
 * handler. While unregister_kretprobe() is at work it is freed instead, with
 * call_rcu(), which is not for the handler of a breakpoint. So none runs by then.
 *
 * Nor must unregister_kretprobe() fail: it gives up what the handlers use all the
 * same. It does not once the probe is out of the kernel's code.
 */
static void quiesce_kretprobe(struct kretprobe *ret)
{
	while (disable_kretprobe(ret) == -ENOMEM) {
		msleep(DETACH_RETRY_MS);
		count_again(&ret->kp);
	}
	synchronize_rcu();
}

/*
 * Without memory the kernel may not be able to take a kprobe out of its code. It
 * says so by clearing the address, and the kprobe goes on hitting: it must not
 * be freed.
 */
static void detach_kprobe(struct memrescue_hook *hook)
{
	struct kprobe *probe = probe_of(hook);
	kprobe_opcode_t *addr = probe->addr;

	if (hook->kind == HOOK_KRETPROBE)
		quiesce_kretprobe(&hook->ret);
	for (;;) {
		if (hook->kind == HOOK_KRETPROBE)
			unregister_kretprobe(&hook->ret);
		else
			unregister_kprobe(probe);
		if (probe->addr)
			break;
		msleep(DETACH_RETRY_MS);
		probe->addr = addr;
		count_again(probe);
	}
	atomic_long_add(probe->nmissed + hook->ret.nmissed, &hook->missed);
}

static void detach_one(struct memrescue_hook *hook)
{
	if (!hook->attached)
		return;
	if (hook->kind == HOOK_TRACEPOINT)
		tracepoint_probe_unregister(hook->tracepoint, hook->callback,
					    hook);
	else
		detach_kprobe(hook);
	hook->attached = false;
	if (hook->gone)
		hook->gone();
}

static int register_kind(struct memrescue_hook *hook)
{
	int err = memrescue_fault(hook->target);

	if (err)
		return err;
	if (hook->kind == HOOK_TRACEPOINT)
		return attach_tracepoint(hook);
	return attach_kprobe(hook);
}

/* Why it is not called although it is attached, in words; NULL: it is. */
static const char *why_disarmed(struct memrescue_hook *hook)
{
	if (!hook->attached || hook->kind == HOOK_TRACEPOINT)
		return NULL;
	return memrescue_kprobes_off(kprobe_ftrace(probe_of(hook)));
}

static void attach_one(struct memrescue_hook *hook)
{
	const char *why = NULL, *disarmed;

	/* Once it has been checked, it may be refuted at any time. */
	WRITE_ONCE(hook->why, NULL);
	hook->err = register_kind(hook);
	hook->attached = !hook->err;
	disarmed = why_disarmed(hook);
	if (hook->attached && hook->check)
		why = hook->check(hook);
	if (why) {
		WRITE_ONCE(hook->why, why);
		detach_one(hook);
		hook->err = -EPROTO;
	}
	if (hook->err)
		pr_warn("hook %s (%s) is off (%d%s%s); lost without it: %s\n",
			hook->name, hook->target, hook->err, why ? ": " : "",
			why ?: "", hook->loss);
	else if (disarmed)
		pr_warn("hook %s (%s) is disarmed: %s; lost meanwhile: %s\n",
			hook->name, hook->target, disarmed, hook->loss);
}

/**
 * memrescue_hook_init() - find the tracepoints
 * @sink: who is called back, for as long as the module lives
 * @rescue: likewise, for allocations
 *
 * Context: module load; may sleep.
 */
void memrescue_hook_init(const struct memrescue_sink *sink,
			 const struct memrescue_rescue_sink *rescue)
{
	hook_sink = sink;
	memrescue_hook_rescue_sink = rescue;
	for_each_kernel_tracepoint(match_tracepoint, NULL);
}

/**
 * memrescue_hook_attach() - attach what can be attached of a part
 * @part: HOOK_PART_*
 *
 * There is a message for each that cannot.
 *
 * Context: process context, may sleep.
 * Return: how many hooks of the part are attached.
 */
unsigned int memrescue_hook_attach(unsigned int part)
{
	unsigned int i, attached = 0;

	mutex_lock(&attach_lock);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (hooks[i]->part != part)
			continue;
		/* Refuted, and about to be detached: it is checked anew. */
		if (hooks[i]->attached && READ_ONCE(hooks[i]->why))
			detach_one(hooks[i]);
		if (!hooks[i]->attached)
			attach_one(hooks[i]);
		attached += hooks[i]->attached;
	}
	mutex_unlock(&attach_lock);
	return attached;
}

/**
 * memrescue_hook_detach() - detach every hook of a part
 * @part: HOOK_PART_*
 *
 * Context: process context, may sleep. On return no callback of the part runs,
 * nor will.
 */
void memrescue_hook_detach(unsigned int part)
{
	unsigned int i;

	mutex_lock(&attach_lock);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (hooks[i]->part != part)
			continue;
		detach_one(hooks[i]);
		/* That it was off for a reason does not matter any more. */
		hooks[i]->err = 0;
		WRITE_ONCE(hooks[i]->why, NULL);
	}
	mutex_unlock(&attach_lock);
	tracepoint_synchronize_unregister();
}

/**
 * memrescue_hook_refuted() - detach a hook that was attached by mistake
 * @hook: the kernel turned out not to be as it was expected, as @hook->why says
 *
 * Context: process context, may sleep. On return its callback does not run,
 * unless it was attached again, and checked anew, meanwhile.
 * Return: what was not as expected; NULL if nothing was detached.
 */
const char *memrescue_hook_refuted(struct memrescue_hook *hook)
{
	const char *why;

	mutex_lock(&attach_lock);
	why = hook->attached ? READ_ONCE(hook->why) : NULL;
	if (why) {
		detach_one(hook);
		hook->err = -EPROTO;
	}
	mutex_unlock(&attach_lock);
	return why;
}

/**
 * memrescue_hook_pass() - a callback hands its victim to the sink
 * @hook: the row it belongs to
 * @task: the victim
 * @reason: HOOK_REASON_*
 *
 * Context: any but NMI.
 */
void memrescue_hook_pass(struct memrescue_hook *hook, struct task_struct *task,
			 unsigned int reason)
{
	atomic_long_inc(&hook->hits);
	if (!hook_sink->victim(task, reason))
		atomic_long_inc(&hook->missed);
}

/**
 * memrescue_hook_exits() - a callback tells the sink that current exits
 * @hook: the row it belongs to
 * @task: current, with its mm
 *
 * Context: process context, preemption off.
 */
void memrescue_hook_exits(struct memrescue_hook *hook, struct task_struct *task)
{
	if (hook_sink->is_large(task->mm))
		memrescue_hook_pass(hook, task->group_leader,
				    HOOK_REASON_KILLED);
}

/**
 * memrescue_hook_spare() - a callback asks the sink whether to spare the one chosen
 * @oc: what the OOM killer was called for
 *
 * Context: see struct memrescue_sink.
 * Return: true if the OOM killer shall not kill.
 */
bool memrescue_hook_spare(const struct oom_control *oc)
{
	return hook_sink->spare(oc);
}

/**
 * memrescue_hook_spared() - a callback tells the sink that the OOM killer did not kill
 * @hook: the row it belongs to
 *
 * Context: see struct memrescue_sink.
 */
void memrescue_hook_spared(struct memrescue_hook *hook)
{
	atomic_long_inc(&hook->hits);
	hook_sink->spared();
}

static const char *const kinds[] = {
	[HOOK_TRACEPOINT] = "tracepoint",
	[HOOK_KPROBE] = "kprobe",
	[HOOK_KRETPROBE] = "kretprobe",
};

static const char *const parts[] = {
	[HOOK_PART_REAPER] = "reaper",
	[HOOK_PART_RESCUE] = "rescue",
	[HOOK_PART_ATOMIC] = "atomic",
	[HOOK_PART_SPARE] = "spare",
	[HOOK_PART_LIFELINE] = "lifeline",
};

static ssize_t hook_state(const struct memrescue_hook *hook, bool disarmed,
			  char *buf, size_t size)
{
	if (disarmed)
		return scnprintf(buf, size, "disarmed");
	if (hook->attached && !READ_ONCE(hook->why))
		return scnprintf(buf, size, "active");
	if (hook->attached || hook->err == -EPROTO)
		return scnprintf(buf, size, "refuted");
	if (hook->err)
		return scnprintf(buf, size, "failed(%d)", hook->err);
	return scnprintf(buf, size, "off");
}

static ssize_t hook_row(struct memrescue_hook *hook, char *buf, size_t size)
{
	const char *why = why_disarmed(hook);
	unsigned long missed = atomic_long_read(&hook->missed);
	ssize_t len;

	len = scnprintf(buf, size, "%s %s %s %s optional ", hook->name,
			parts[hook->part], kinds[hook->kind], hook->target);
	len += hook_state(hook, why, buf + len, size - len);
	if (!why)
		why = READ_ONCE(hook->why);
	if (hook->attached)
		missed += hook->probe.nmissed + hook->ret.kp.nmissed +
			  hook->ret.nmissed;
	len += scnprintf(buf + len, size - len, " %lu %lu %s%s%s\n",
			 atomic_long_read(&hook->hits), missed, hook->loss,
			 why ? "; why: " : "", why ?: "");
	return len;
}

/**
 * memrescue_hook_table() - the table as text, one line per hook
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: process context; a row may change while it is read.
 * Return: bytes written.
 */
ssize_t memrescue_hook_table(char *buf, size_t size)
{
	ssize_t len;
	unsigned int i;

	len = scnprintf(buf, size,
			"name part kind target need state hits missed lost-without-it\n");
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		len += hook_row(hooks[i], buf + len, size - len);
	return len;
}

/**
 * memrescue_hook_count() - how much of the table is in use?
 * @active: how many hooks call back
 * @wanted: how many were asked for
 *
 * Context: process context; a row may change while it is read.
 */
void memrescue_hook_count(unsigned int *active, unsigned int *wanted)
{
	unsigned int i;

	*active = 0;
	*wanted = 0;
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		*wanted += hooks[i]->attached || hooks[i]->err;
		*active += hooks[i]->attached && !READ_ONCE(hooks[i]->why) &&
			   !why_disarmed(hooks[i]);
	}
}
