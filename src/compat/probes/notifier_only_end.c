// SPDX-License-Identifier: GPL-2.0
/* Up to 6.6: the end of an invalidation says whether it is only the end. */
#include <linux/mmu_notifier.h>
void (*probe)(struct mmu_notifier_range *range, bool only_end) =
	__mmu_notifier_invalidate_range_end;
