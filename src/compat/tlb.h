/* SPDX-License-Identifier: GPL-2.0 */
/*
 * struct mmu_gather, for modules.
 *
 * On x86 a function that inline functions of <asm/tlb.h> call is declared for
 * built-in code only. memrescue calls none of these functions.
 */
#ifndef MEMRESCUE_COMPAT_TLB_H
#define MEMRESCUE_COMPAT_TLB_H

#include <linux/mm_types.h>

#ifdef CONFIG_X86
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start,
			unsigned long end, unsigned int stride_shift,
			bool freed_tables);
#endif

#include <asm/tlb.h>

#endif
