// SPDX-License-Identifier: GPL-2.0
#include <linux/irq_work.h>

void probe(struct irq_work *work);
void probe(struct irq_work *work)
{
	*work = IRQ_WORK_INIT_HARD(work->func);
}
