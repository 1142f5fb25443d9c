// SPDX-License-Identifier: GPL-2.0
/* The exact value of a counter that is kept per CPU. */
#include <linux/mm.h>
unsigned long probe(struct mm_struct *mm);
unsigned long probe(struct mm_struct *mm)
{
	return get_mm_counter_sum(mm, MM_ANONPAGES);
}
