// SPDX-License-Identifier: GPL-2.0
/* 6.2 on: the counters of an mm are per CPU. */
#include <linux/mm.h>
#include <linux/percpu_counter.h>
s64 probe(struct mm_struct *mm);
s64 probe(struct mm_struct *mm)
{
	return percpu_counter_sum_positive(&mm->rss_stat[MM_ANONPAGES]);
}
