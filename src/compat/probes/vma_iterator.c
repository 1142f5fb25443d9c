// SPDX-License-Identifier: GPL-2.0
/* 6.1 on: VMAs are kept in a maple tree. */
#include <linux/mm.h>
#include <linux/maple_tree.h>
void *probe(struct mm_struct *mm, unsigned long top);
void *probe(struct mm_struct *mm, unsigned long top)
{
	MA_STATE(mas, &mm->mm_mt, top, top);

	return mas_find_rev(&mas, 0);
}
