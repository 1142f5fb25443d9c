// SPDX-License-Identifier: GPL-2.0
/* group: zap exactly-one */
/* Up to 6.2. */
#include <linux/mm.h>
void (*probe)(struct vm_area_struct *vma, unsigned long address,
	      unsigned long size) = zap_page_range;
