// SPDX-License-Identifier: GPL-2.0
/* The table of hooks: see hook.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "hook/hook.h"

#define DETACH_RETRY_MS	10u

static struct memrescue_hook *const hooks[] = {
	&memrescue_hook_mark_victim,
	&memrescue_hook_queue_reaper,
	&memrescue_hook_signal,
};

/* Written before the first hook is attached. */
static const struct memrescue_sink *hook_sink;

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

static int attach_kprobe(struct memrescue_hook *hook)
{
	/* A kprobe that was registered before carries its old state. */
	memset(&hook->probe, 0, sizeof(hook->probe));
	hook->probe.symbol_name = hook->target;
	hook->probe.pre_handler = hook->pre;
	return register_kprobe(&hook->probe);
}

/*
 * Without memory the kernel may not be able to take a kprobe out of its code. It
 * says so by clearing the address, and the kprobe goes on hitting: it must not
 * be freed.
 */
static void detach_kprobe(struct memrescue_hook *hook)
{
	kprobe_opcode_t *addr = hook->probe.addr;

	for (;;) {
		unregister_kprobe(&hook->probe);
		if (hook->probe.addr)
			break;
		msleep(DETACH_RETRY_MS);
		hook->probe.addr = addr;
	}
	atomic_long_add(hook->probe.nmissed, &hook->missed);
}

static int attach_one(struct memrescue_hook *hook)
{
	int err = memrescue_fault(hook->target);

	if (err)
		return err;
	if (hook->kind == HOOK_TRACEPOINT)
		return attach_tracepoint(hook);
	return attach_kprobe(hook);
}

/**
 * memrescue_hook_init() - find the tracepoints
 * @sink: who is called back, for as long as the module lives
 *
 * Context: module load; may sleep.
 * Return: 0. Nothing has to be undone.
 */
int memrescue_hook_init(const struct memrescue_sink *sink)
{
	hook_sink = sink;
	for_each_kernel_tracepoint(match_tracepoint, NULL);
	return 0;
}

/**
 * memrescue_hook_attach() - attach what can be attached
 *
 * Context: process context, may sleep; serialized by the caller.
 * Return: 0, or -ENOENT (after a message for each) if not a single hook could
 * be attached: no victim would ever be seen.
 */
int memrescue_hook_attach(void)
{
	unsigned int i, attached = 0;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct memrescue_hook *hook = hooks[i];

		if (!hook->attached) {
			hook->err = attach_one(hook);
			hook->attached = !hook->err;
		}
		if (hook->attached)
			attached++;
		else
			pr_warn("hook %s (%s) is off (%d); lost without it: %s\n",
				hook->name, hook->target, hook->err,
				hook->loss);
	}
	if (attached)
		return 0;
	pr_err("no hook could be attached: no victim would be seen\n");
	return -ENOENT;
}

/**
 * memrescue_hook_detach() - detach every hook
 *
 * Context: process context, may sleep; serialized by the caller. On return no
 * callback runs, nor will.
 */
void memrescue_hook_detach(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct memrescue_hook *hook = hooks[i];

		if (!hook->attached)
			continue;
		if (hook->kind == HOOK_TRACEPOINT) {
			tracepoint_probe_unregister(hook->tracepoint,
						    hook->callback, hook);
		} else {
			detach_kprobe(hook);
		}
		hook->attached = false;
	}
	tracepoint_synchronize_unregister();
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

static ssize_t hook_row(const struct memrescue_hook *hook, char *buf,
			size_t size)
{
	unsigned long missed = atomic_long_read(&hook->missed);
	ssize_t len;

	len = scnprintf(buf, size, "%s %s %s optional ", hook->name,
			hook->kind == HOOK_KPROBE ? "kprobe" : "tracepoint",
			hook->target);
	if (hook->attached)
		len += scnprintf(buf + len, size - len, "active");
	else if (hook->err)
		len += scnprintf(buf + len, size - len, "failed(%d)",
				 hook->err);
	else
		len += scnprintf(buf + len, size - len, "off");
	if (hook->attached && hook->kind == HOOK_KPROBE)
		missed += hook->probe.nmissed;
	len += scnprintf(buf + len, size - len, " %lu %lu %s\n",
			 atomic_long_read(&hook->hits), missed, hook->loss);
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
			"name kind target need state hits missed lost-without-it\n");
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		len += hook_row(hooks[i], buf + len, size - len);
	return len;
}
