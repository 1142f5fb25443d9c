// SPDX-License-Identifier: GPL-2.0
/* A function executed in the place of another one: see ftrace.h. */
#include <linux/errno.h>
#include "compat/ftrace.h"

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS) && defined(CONFIG_X86_64)
/*
 * The bit by which ftrace is told whether it has to keep a callback from being called
 * within itself has had the contrary meaning before: RECURSION_SAFE.
 */
#ifdef HAVE_FTRACE_REGS
#define FTRACE_FLAGS	(FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | \
			 FTRACE_OPS_FL_RECURSION)

static void callback(unsigned long ip, unsigned long parent_ip,
		     struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct compat_ftrace *f = container_of(ops, struct compat_ftrace, ops);
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs)
		f->handler(f, regs);
}
#else
#define FTRACE_FLAGS	(FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY)

static void callback(unsigned long ip, unsigned long parent_ip,
		     struct ftrace_ops *ops, struct pt_regs *regs)
{
	struct compat_ftrace *f = container_of(ops, struct compat_ftrace, ops);

	if (regs)
		f->handler(f, regs);
}
#endif

/**
 * memrescue_ftrace_attach() - have a callback called at a function's entry
 * @f: not attached
 * @ip: the function's address
 *
 * Context: process context, may sleep.
 * Return: 0; -EBUSY if somebody else has functions executed in its place; another
 * negative errno.
 */
int memrescue_ftrace_attach(struct compat_ftrace *f, unsigned long ip)
{
	int err;

	if (!f->ops.func) {
		f->ops.func = callback;
		f->ops.flags = FTRACE_FLAGS;
	}
	err = ftrace_set_filter_ip(&f->ops, ip, 0, 0);
	if (err)
		return err;
	err = register_ftrace_function(&f->ops);
	if (err) {
		ftrace_set_filter_ip(&f->ops, ip, 1, 0);
		return err;
	}
	f->ip = ip;
	return 0;
}

/**
 * memrescue_ftrace_detach() - undo memrescue_ftrace_attach()
 * @f: attached
 *
 * Context: process context, may sleep. When it has succeeded, the callback does not run,
 * nor will it.
 * Return: 0, or a negative errno: it is to be tried again.
 */
int memrescue_ftrace_detach(struct compat_ftrace *f)
{
	int err;

	if (f->ops.flags & FTRACE_OPS_FL_ENABLED) {
		err = unregister_ftrace_function(&f->ops);
		if (err)
			return err;
	}
	return ftrace_set_filter_ip(&f->ops, f->ip, 1, 0);
}
#else
int memrescue_ftrace_attach(struct compat_ftrace *f, unsigned long ip)
{
	return -EOPNOTSUPP;
}

int memrescue_ftrace_detach(struct compat_ftrace *f)
{
	return 0;
}
#endif
