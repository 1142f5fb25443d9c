// SPDX-License-Identifier: GPL-2.0
/* 6.12: a zone counts the free ones of its pages for atomic allocations. */
#include <linux/mmzone.h>
unsigned long probe(const struct zone *zone);
unsigned long probe(const struct zone *zone)
{
	return zone->nr_free_highatomic;
}
