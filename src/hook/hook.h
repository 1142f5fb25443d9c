/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of hooks: every place where memrescue attaches to the kernel.
 *
 * A hook decodes its arguments and calls the sink that the reaper registered;
 * it does not sleep, allocate, print, or take a lock. A hook that cannot be
 * attached is off, with the reason in the table; the rest works.
 *
 * Context: attach and detach: process context, may sleep. The callbacks:
 * preemption off, interrupts perhaps off, sighand or task locks held by the
 * kernel; those of the rescue run like an NMI.
 * Lock order: hook.c's mutex, then the kernel's for kprobes and tracepoints, and
 * oom_lock.
 */
#ifndef MEMRESCUE_HOOK_HOOK_H
#define MEMRESCUE_HOOK_HOOK_H

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/nodemask.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

struct mm_struct;
struct oom_control;
struct task_struct;

/* Why a task is a victim. */
#define HOOK_REASON_KILLED	0u	/* it is dying, for whatever reason */
#define HOOK_REASON_OOM		1u	/* marked or queued by the OOM killer */

/**
 * struct memrescue_sink - who wants to know
 * @victim: a task was marked or killed. Called with preemption off, perhaps
 *	with interrupts off and the task's sighand or alloc_lock held. @task is
 *	valid during the call. For HOOK_REASON_OOM its signal->oom_mm is set.
 *	Returns false if it could not be taken.
 * @is_large: shall it be told when a process with this mm exits? Called in that
 *	process, with preemption off
 * @spare: the OOM killer has chosen a victim. Called with preemption off and the
 *	kernel's oom_lock held. Returns true if it shall not be killed
 * @spared: the OOM killer did not kill it. Called likewise
 */
struct memrescue_sink {
	bool (*victim)(struct task_struct *task, unsigned int reason);
	bool (*is_large)(struct mm_struct *mm);
	bool (*spare)(const struct oom_control *oc);
	void (*spared)(void);
};

/**
 * struct memrescue_rescue_sink - who has pages for allocations that are slow
 * @task: current allocates in process context, and may reclaim
 * @fails: current allocates in process context, may reclaim, has said that it is
 *	content with failure (__GFP_NORETRY), and nothing can be had without reclaim.
 *	Returns true if it shall fail at once
 * @atomic: an allocation that must not wait has failed
 * @cgroup: a cgroup of the default hierarchy was made or removed; @path is its
 *	path there, valid during the call. Called with preemption off, and
 *	cgroup_mutex and a spinlock of the kernel's held. Returns true if it is one
 *	that matters
 *
 * All but @cgroup are called with interrupts off, like from an NMI; @task and @atomic for
 * allocations of order 0 (@task also of order 1) from the zones of GFP_KERNEL,
 * @fails for any. @nodes: where the page may be from; NULL: anywhere. @frozen: the
 * page shall have no reference, else one. They return a page that is ready for the
 * allocator's caller, or NULL.
 */
struct memrescue_rescue_sink {
	struct page *(*task)(gfp_t gfp, unsigned int order,
			     const nodemask_t *nodes, bool frozen);
	bool (*fails)(void);
	struct page *(*atomic)(gfp_t gfp, const nodemask_t *nodes, bool frozen);
	bool (*cgroup)(const char *path);
};

/* A hook is one of three kinds. */
#define HOOK_TRACEPOINT	0u
#define HOOK_KPROBE	1u
#define HOOK_KRETPROBE	2u

/* Hooks of one part are attached together. */
#define HOOK_PART_REAPER	0u
#define HOOK_PART_RESCUE	1u
#define HOOK_PART_ATOMIC	2u
#define HOOK_PART_SPARE		3u
#define HOOK_PART_LIFELINE	4u
#define HOOK_PARTS		5u

/* Rows of HOOK_PART_LIFELINE. */
#define HOOK_LIFELINE_ROWS	2u

/**
 * struct memrescue_hook - one row of the table
 * @name: what it sees
 * @target: name of the tracepoint or function
 * @clone: the function's name where the compiler changed it; NULL: none. It is
 *	tried first
 * @loss: what is lost without it
 * @kind: HOOK_TRACEPOINT, HOOK_KPROBE or HOOK_KRETPROBE
 * @part: HOOK_PART_*
 * @callback: of a tracepoint, of the type that this kernel has
 * @pre: of a kprobe
 * @post: of a kprobe that may return from the function: it is then never turned
 *	into a jump
 * @entry: of a kretprobe; nonzero: no need to see the return
 * @handler: of a kretprobe
 * @data_size: of a kretprobe's instance, bytes
 * @check: may it be used? Called when it is attached; NULL: no question. Returns
 *	why not, in words
 * @gone: it has been detached; NULL: nothing to do
 * @tracepoint: where @callback is attached
 * @probe: the kprobe
 * @ret: the kretprobe
 * @attached: it calls back
 * @err: why not, negative errno; 0 when not tried. -EPROTO: the kernel is not
 *	as it was expected. Both protected by hook.c's mutex
 * @why: the kernel is not as expected, in words; NULL: nothing is known
 * @hits: events passed on
 * @missed: events that the sink could not take
 */
struct memrescue_hook {
	const char *name;
	const char *target;
	const char *clone;
	const char *loss;
	unsigned int kind;
	unsigned int part;
	void *callback;
	int (*pre)(struct kprobe *probe, struct pt_regs *regs);
	void (*post)(struct kprobe *probe, struct pt_regs *regs,
		     unsigned long flags);
	kretprobe_handler_t entry;
	kretprobe_handler_t handler;
	size_t data_size;
	const char *(*check)(struct memrescue_hook *hook);
	void (*gone)(void);
	struct tracepoint *tracepoint;
	struct kprobe probe;
	struct kretprobe ret;
	bool attached;
	int err;
	const char *why;
	atomic_long_t hits;
	atomic_long_t missed;
};

extern struct memrescue_hook memrescue_hook_mark_victim;
extern struct memrescue_hook memrescue_hook_queue_reaper;
extern struct memrescue_hook memrescue_hook_oom_kill;
extern struct memrescue_hook memrescue_hook_signal;
extern struct memrescue_hook memrescue_hook_exit_begins;
extern struct memrescue_hook memrescue_hook_slowpath;
extern struct memrescue_hook memrescue_hook_slowpath_return;
extern struct memrescue_hook memrescue_hook_reclaim;
extern struct memrescue_hook memrescue_hook_cgroup_made;
extern struct memrescue_hook memrescue_hook_cgroup_removed;

/* Written by memrescue_hook_init() only. */
extern const struct memrescue_rescue_sink *memrescue_hook_rescue_sink;

void memrescue_hook_init(const struct memrescue_sink *sink,
			 const struct memrescue_rescue_sink *rescue);
unsigned int memrescue_hook_attach(unsigned int part);
void memrescue_hook_detach(unsigned int part);
const char *memrescue_hook_refuted(struct memrescue_hook *hook);
ssize_t memrescue_hook_rescue_state(char *buf, size_t size);
void memrescue_hook_exit(void);
void memrescue_hook_pass(struct memrescue_hook *hook, struct task_struct *task,
			 unsigned int reason);
void memrescue_hook_exits(struct memrescue_hook *hook, struct task_struct *task);
bool memrescue_hook_spare(const struct oom_control *oc);
void memrescue_hook_spared(struct memrescue_hook *hook);
ssize_t memrescue_hook_table(char *buf, size_t size);
void memrescue_hook_count(unsigned int *active, unsigned int *wanted);

#endif
