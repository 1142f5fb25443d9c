/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of hooks: every place where memrescue attaches to the kernel.
 *
 * A hook decodes its arguments and calls the sink that the reaper registered;
 * it does not sleep, allocate, print, or take a lock. A hook that cannot be
 * attached is off, with the reason in the table; the rest works.
 *
 * Context: attach and detach: process context, may sleep, serialized by the
 * caller. The callbacks: preemption off, interrupts perhaps off, sighand or
 * task locks held by the kernel.
 * Lock order: none.
 */
#ifndef MEMRESCUE_HOOK_HOOK_H
#define MEMRESCUE_HOOK_HOOK_H

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

struct task_struct;

/* Why a task is a victim. */
#define HOOK_REASON_KILLED	0u	/* SIGKILL, from anyone */
#define HOOK_REASON_OOM		1u	/* marked or queued by the OOM killer */

/**
 * struct memrescue_sink - who wants to know
 * @victim: a task was marked or killed. Called with preemption off, perhaps
 *	with interrupts off and the task's sighand or alloc_lock held. @task is
 *	valid during the call. For HOOK_REASON_OOM its signal->oom_mm is set.
 *	Returns false if it could not be taken.
 */
struct memrescue_sink {
	bool (*victim)(struct task_struct *task, unsigned int reason);
};

/* A hook is one of two kinds. */
#define HOOK_TRACEPOINT	0u
#define HOOK_KPROBE	1u

/**
 * struct memrescue_hook - one row of the table
 * @name: what it sees
 * @target: name of the tracepoint or function
 * @loss: what is lost without it
 * @kind: HOOK_TRACEPOINT or HOOK_KPROBE
 * @callback: of a tracepoint, of the type that this kernel has
 * @pre: of a kprobe
 * @tracepoint: where @callback is attached
 * @probe: the kprobe
 * @attached: it calls back
 * @err: why not, negative errno; 0 when not tried. Both protected by the
 *	caller of memrescue_hook_attach()
 * @hits: events passed on
 * @missed: events that the sink could not take
 */
struct memrescue_hook {
	const char *name;
	const char *target;
	const char *loss;
	unsigned int kind;
	void *callback;
	int (*pre)(struct kprobe *probe, struct pt_regs *regs);
	struct tracepoint *tracepoint;
	struct kprobe probe;
	bool attached;
	int err;
	atomic_long_t hits;
	atomic_long_t missed;
};

extern struct memrescue_hook memrescue_hook_mark_victim;
extern struct memrescue_hook memrescue_hook_queue_reaper;
extern struct memrescue_hook memrescue_hook_signal;

int memrescue_hook_init(const struct memrescue_sink *sink);
int memrescue_hook_attach(void);
void memrescue_hook_detach(void);
void memrescue_hook_pass(struct memrescue_hook *hook, struct task_struct *task,
			 unsigned int reason);
ssize_t memrescue_hook_table(char *buf, size_t size);

#endif
