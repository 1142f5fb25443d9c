// SPDX-License-Identifier: GPL-2.0
/* Does a callback of ftrace get struct ftrace_regs? Since 5.11; before, struct pt_regs. */
#include <linux/ftrace.h>

static void probe(unsigned long ip, unsigned long parent_ip,
		  struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
}

ftrace_func_t memrescue_probe = probe;

struct pt_regs *memrescue_probe_regs(struct ftrace_regs *fregs);
struct pt_regs *memrescue_probe_regs(struct ftrace_regs *fregs)
{
	return ftrace_get_regs(fregs);
}
