// SPDX-License-Identifier: GPL-2.0
/* 7.x: the futex fields of a task moved into a struct. */
#include <linux/sched.h>
unsigned int probe(struct task_struct *task);
unsigned int probe(struct task_struct *task)
{
	return task->futex.state;
}
