// SPDX-License-Identifier: GPL-2.0
/* group: zap exactly-one */
/* 6.3 to 7.0: zap_page_range() is gone, zap_page_range_single() is declared. */
#include <linux/mm.h>
void (*probe)(struct vm_area_struct *vma, unsigned long address,
	      unsigned long size, struct zap_details *details) =
	zap_page_range_single;
/* An error where the older function is declared as well (5.18 to 6.2). */
extern int zap_page_range;
