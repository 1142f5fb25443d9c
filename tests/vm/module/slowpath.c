// SPDX-License-Identifier: GPL-2.0
/*
 * MRT_SLOWPATH_* of the tests' helper module: how often the page allocator's slow
 * path is entered, by whomever. (The kernel's kprobe events refuse that function.)
 *
 * Context: process context, may sleep; the handler: a breakpoint's.
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "slowpath.h"

static DEFINE_MUTEX(lock);
static bool watched;
static atomic_long_t calls;
static struct kprobe probe;

static int on_call(struct kprobe *p, struct pt_regs *regs)
{
	atomic_long_inc(&calls);
	return 0;
}

static int watch(const char *symbol)
{
	memset(&probe, 0, sizeof(probe));
	probe.symbol_name = symbol;
	probe.pre_handler = on_call;
	return register_kprobe(&probe);
}

/* The compiler may have given it another name. */
static int start(void)
{
	if (!watch("__alloc_pages_slowpath.constprop.0"))
		return 0;
	return watch("__alloc_pages_slowpath");
}

long mrt_slowpath_watch(unsigned long on)
{
	int err = 0;

	mutex_lock(&lock);
	if (on && !watched)
		err = start();
	else if (!on && watched)
		unregister_kprobe(&probe);
	if (!err)
		watched = on;
	mutex_unlock(&lock);
	return err;
}

long mrt_slowpath_calls(void)
{
	return atomic_long_read(&calls);
}
