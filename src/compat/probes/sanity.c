// SPDX-License-Identifier: GPL-2.0
/* Must compile on every kernel: the headers, the compiler and its flags work together. */
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>

static void right(void *data, int value)
{
}

void (*probe)(void *data, int value) = right;
