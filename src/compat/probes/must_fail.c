// SPDX-License-Identifier: GPL-2.0
/* Must not compile: a callback with the wrong prototype, which is what other probes ask about. */
#include <linux/module.h>
#include <linux/mm.h>

static void wrong(void *data, struct task_struct *task, unsigned int uid)
{
}

void (*probe)(void *data, int value) = wrong;
