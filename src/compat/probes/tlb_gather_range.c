// SPDX-License-Identifier: GPL-2.0
/* Up to 5.11: an mmu_gather is told its range. */
#include <linux/mm_types.h>
void (*probe)(struct mmu_gather *tlb, struct mm_struct *mm,
	      unsigned long start, unsigned long end) = tlb_gather_mmu;
