/* SPDX-License-Identifier: GPL-2.0 */
/*
 * irq_work that runs in the hardware interrupt on PREEMPT_RT as well.
 *
 * Context: any.
 */
#ifndef MEMRESCUE_COMPAT_IRQ_WORK_H
#define MEMRESCUE_COMPAT_IRQ_WORK_H

#include <linux/irq_work.h>
#include "memrescue_config.h"

static inline void compat_init_irq_work_hard(struct irq_work *work,
					     void (*func)(struct irq_work *))
{
#ifdef HAVE_IRQ_WORK_INIT_HARD
	*work = IRQ_WORK_INIT_HARD(func);
#else
	init_irq_work(work, func);
	atomic_or(IRQ_WORK_HARD_IRQ, &work->flags);
#endif
}

#endif
