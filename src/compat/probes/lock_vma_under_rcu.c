// SPDX-License-Identifier: GPL-2.0
/*
 * 6.5 on, with CONFIG_PER_VMA_LOCK: VMAs have locks of their own, and every
 * writer takes them (6.4 has the locks, but fork and page walks did not).
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagewalk.h>
#ifndef CONFIG_PER_VMA_LOCK
#error no locks of VMAs
#endif
struct vm_area_struct *(*probe)(struct mm_struct *mm,
				unsigned long address) = lock_vma_under_rcu;
int writers = PGWALK_WRLOCK;
