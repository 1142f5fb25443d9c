/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Zapping a part of a VMA, and finding the parts that have anything to zap.
 *
 * Context: worker; mmap_lock or the VMA's lock held for reading, and the page
 * tables stay (see docs/reaper.md).
 * Lock order: the lock that is held, then what the kernel's zap takes (page
 * table locks, memcg, LRU).
 */
#ifndef MEMRESCUE_COMPAT_ZAP_H
#define MEMRESCUE_COMPAT_ZAP_H

#include <linux/mm_types.h>
#include <linux/types.h>

bool memrescue_mm_can_notify(void);
bool memrescue_mm_zap(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end);
bool memrescue_tables_below(struct mm_struct *mm, unsigned long start,
			    unsigned long *end);

#endif
