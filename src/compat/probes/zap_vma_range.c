// SPDX-License-Identifier: GPL-2.0
/* group: zap exactly-one */
/* 7.x: zap_page_range_single() became zap_vma_range(), without details. */
#include <linux/mm.h>
void (*probe)(struct vm_area_struct *vma, unsigned long address,
	      unsigned long size) = zap_vma_range;
