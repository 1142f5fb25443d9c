/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A callback at a function's entry that may have another function executed in its
 * place, and says so to ftrace (IPMODIFY): there can be one for a function, so that it
 * and a live patch do not undo what the other does.
 *
 * Context: attach and detach: process context, may sleep. The callback: preemption
 * off; ftrace sees to it that it does not call itself.
 */
#ifndef MEMRESCUE_COMPAT_FTRACE_H
#define MEMRESCUE_COMPAT_FTRACE_H

#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/types.h>
#include "memrescue_config.h"
#include "compat/regs.h"

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS) && defined(CONFIG_X86_64)
#define COMPAT_FTRACE_CAN_DIVERT	true

/**
 * struct compat_ftrace - one of them; all zero at first but for @handler
 * @ops: for ftrace
 * @ip: the function, while it is attached
 * @handler: the callback
 */
struct compat_ftrace {
	struct ftrace_ops ops;
	unsigned long ip;
	void (*handler)(struct compat_ftrace *f, struct pt_regs *regs);
};
#else
#define COMPAT_FTRACE_CAN_DIVERT	false

struct compat_ftrace {
	unsigned long ip;
	void (*handler)(struct compat_ftrace *f, struct pt_regs *regs);
};
#endif

int memrescue_ftrace_attach(struct compat_ftrace *f, unsigned long ip);
int memrescue_ftrace_detach(struct compat_ftrace *f);

#endif
