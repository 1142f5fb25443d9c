// SPDX-License-Identifier: GPL-2.0
/* group: page_memcg at-most-one */
/* Up to 5.10, with CONFIG_MEMCG. */
#include <linux/mm_types.h>
struct mem_cgroup *probe(const struct page *page);
struct mem_cgroup *probe(const struct page *page)
{
	return page->mem_cgroup;
}
