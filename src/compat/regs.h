/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers at a function's entry, as a kprobe sees them: where the function was
 * called from, and returning from it at once, or going elsewhere, in place of
 * executing it.
 *
 * Context: a kprobe's pre_handler: preemption off; like an NMI where the kprobe is
 * a breakpoint.
 */
#ifndef MEMRESCUE_COMPAT_REGS_H
#define MEMRESCUE_COMPAT_REGS_H

#include <linux/hardirq.h>
#include <linux/kprobes.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/types.h>

#ifdef CONFIG_X86_64
#include <asm/processor-flags.h>

/* Can a function be left at its entry? */
#define COMPAT_REGS_CAN_RETURN	true

static inline unsigned long compat_regs_caller(const struct pt_regs *regs)
{
	return *(const unsigned long *)regs->sp;
}

/* The handler has to return 1 afterwards. */
static inline void compat_regs_return(struct pt_regs *regs, unsigned long value)
{
	regs->ax = value;
	regs->ip = compat_regs_caller(regs);
	regs->sp += sizeof(unsigned long);
}

/*
 * Where the handler is called by ftrace, which does not take over the stack pointer:
 * another function is executed in its place, with its arguments. The handler has to
 * return 1 afterwards.
 */
static inline void compat_regs_divert(struct pt_regs *regs, unsigned long to)
{
	regs->ip = to;
}

static inline unsigned long compat_regs_stack(const struct pt_regs *regs)
{
	return regs->sp;
}

static inline bool compat_regs_irqs_on(const struct pt_regs *regs)
{
	return regs->flags & X86_EFLAGS_IF;
}

static inline void compat_regs_set_value(struct pt_regs *regs,
					 unsigned long value)
{
	regs->ax = value;
}
#else
#define COMPAT_REGS_CAN_RETURN	false

static inline unsigned long compat_regs_caller(const struct pt_regs *regs)
{
	return 0;
}

static inline void compat_regs_return(struct pt_regs *regs, unsigned long value)
{
}

static inline void compat_regs_divert(struct pt_regs *regs, unsigned long to)
{
}

static inline unsigned long compat_regs_stack(const struct pt_regs *regs)
{
	return 0;
}

static inline bool compat_regs_irqs_on(const struct pt_regs *regs)
{
	return false;
}

static inline void compat_regs_set_value(struct pt_regs *regs,
					 unsigned long value)
{
}
#endif

/*
 * Was a task interrupted by the breakpoint, and not an interrupt? Its handler
 * itself counts as an NMI and a hardware interrupt.
 */
static inline bool compat_probe_in_task(void)
{
	unsigned long count = preempt_count();

	if (!in_nmi())
		return in_task();
	return (count & NMI_MASK) == NMI_OFFSET &&
	       (count & HARDIRQ_MASK) == HARDIRQ_OFFSET &&
	       !in_serving_softirq();
}

#endif
