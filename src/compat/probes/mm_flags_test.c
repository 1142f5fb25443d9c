// SPDX-License-Identifier: GPL-2.0
/* 6.18 on: mm->flags is reached through helpers. */
#include <linux/mm.h>
bool probe(struct mm_struct *mm);
bool probe(struct mm_struct *mm)
{
	mm_flags_set(1, mm);
	mm_flags_clear(1, mm);
	return mm_flags_test(1, mm) || mm_flags_test_and_set(1, mm);
}
