// SPDX-License-Identifier: GPL-2.0
/* group: page_memcg at-most-one */
/* 5.11 on, with CONFIG_MEMCG. */
#include <linux/mm_types.h>
unsigned long probe(const struct page *page);
unsigned long probe(const struct page *page)
{
	return page->memcg_data;
}
