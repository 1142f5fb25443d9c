// SPDX-License-Identifier: GPL-2.0
/*
 * MRT_TAKE_OOM_KILL of the tests' helper module: ftrace knows of somebody else who may
 * change where that function goes on. A kprobe with a post_handler counts as that.
 *
 * Context: process context, may sleep; the handlers: preemption off.
 */
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "taken.h"

static DEFINE_MUTEX(lock);
static bool taken;
static struct kprobe probe;

static int on_call(struct kprobe *p, struct pt_regs *regs)
{
	return 0;
}

static void after_call(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static int take(void)
{
	memset(&probe, 0, sizeof(probe));
	probe.symbol_name = "oom_kill_process";
	probe.pre_handler = on_call;
	probe.post_handler = after_call;
	return register_kprobe(&probe);
}

long mrt_take_oom_kill(unsigned long on)
{
	int err = 0;

	mutex_lock(&lock);
	if (on && !taken)
		err = take();
	else if (!on && taken)
		unregister_kprobe(&probe);
	if (!err)
		taken = on;
	mutex_unlock(&lock);
	return err;
}
