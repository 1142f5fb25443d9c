// SPDX-License-Identifier: GPL-2.0
/* Up to 6.4: get_user_pages_remote() can tell the VMAs as well. */
#include <linux/mm.h>
long probe(struct mm_struct *mm, struct page **page, struct vm_area_struct **vma);
long probe(struct mm_struct *mm, struct page **page, struct vm_area_struct **vma)
{
	return get_user_pages_remote(mm, 0, 1, 0, page, vma, NULL);
}
