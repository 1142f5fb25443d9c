// SPDX-License-Identifier: GPL-2.0
/* 6.15 on: the lock of a VMA is one counter. */
#include <linux/mm.h>
#include <linux/refcount.h>
refcount_t *probe(struct vm_area_struct *vma);
refcount_t *probe(struct vm_area_struct *vma)
{
	return &vma->vm_refcnt;
}
