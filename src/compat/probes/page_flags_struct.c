// SPDX-License-Identifier: GPL-2.0
/* 6.18: a page's flags are a struct. */
#include <linux/mm_types.h>
unsigned long probe(const struct page *page);
unsigned long probe(const struct page *page)
{
	return page->flags.f;
}
