// SPDX-License-Identifier: GPL-2.0
/* Up to 5.17: a core dump is a flag of the thread group and a state of the mm. */
#include <linux/mm_types.h>
#include <linux/sched/signal.h>
void *probe(struct mm_struct *mm, struct signal_struct *sig);
void *probe(struct mm_struct *mm, struct signal_struct *sig)
{
	return sig->flags & SIGNAL_GROUP_COREDUMP ? mm->core_state : NULL;
}
