/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hooks of the allocator's slow path share: slowpath.c (kprobe),
 * atomic.c (kretprobe), reclaim.c (goes on checking), selftest.c, zones.c.
 *
 * Context: see each function. Lock order: none.
 */
#ifndef MEMRESCUE_HOOK_SLOWPATH_H
#define MEMRESCUE_HOOK_SLOWPATH_H

#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/nodemask.h>
#include "compat/alloc.h"
#include "hook/hook.h"

#define SLOWPATH_NAME	"__alloc_pages_slowpath"
#define SLOWPATH_CLONE	"__alloc_pages_slowpath.constprop.0"

/**
 * struct slowpath_call - a call of the slow path, taken from the registers
 * @gfp: its first argument
 * @order: its second one
 * @context: its third one
 * @stack: where the stack ends
 * @caller: address that it returns to
 * @irqs_on: interrupts are on
 */
struct slowpath_call {
	gfp_t gfp;
	unsigned int order;
	const struct compat_alloc_context *context;
	unsigned long stack;
	unsigned long caller;
	bool irqs_on;
};

/* slowpath.c */
void memrescue_slowpath_decode(struct slowpath_call *call,
			       struct pt_regs *regs);
const char *memrescue_slowpath_doubt(const struct slowpath_call *call);
const char *memrescue_slowpath_doubt_context(const struct slowpath_call *call);
bool memrescue_slowpath_fits(const struct slowpath_call *call);
bool memrescue_slowpath_active(void);
bool memrescue_slowpath_frozen(void);
void memrescue_slowpath_refute(const char *why);
void memrescue_slowpath_reclaims(int order, gfp_t gfp);

/* zones.c */
bool memrescue_slowpath_is_vain(const struct slowpath_call *call,
				const nodemask_t *nodes);

/* selftest.c */
extern struct task_struct *memrescue_selftest_task;

/* The facts that the self-test finds out. */
struct slowpath_facts {
	unsigned long caller_begin;	/* of the function that calls it */
	unsigned long caller_end;
	bool frozen;			/* pages are returned without a reference */
};

extern struct slowpath_facts memrescue_slowpath_facts;

const char *memrescue_selftest_slowpath(void);
const char *memrescue_selftest_return(void);
int memrescue_selftest_entered(struct pt_regs *regs);
void memrescue_selftest_returned(struct pt_regs *regs);

#endif
