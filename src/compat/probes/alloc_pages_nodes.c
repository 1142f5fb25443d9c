// SPDX-License-Identifier: GPL-2.0
/* group: alloc_pages_nodes exactly-one */
/* 5.13 to 7.2: __alloc_pages() has a node mask; since 6.10 it is a macro. */
#include <linux/gfp.h>
struct page *probe(gfp_t gfp, nodemask_t *nodes);
struct page *probe(gfp_t gfp, nodemask_t *nodes)
{
	return __alloc_pages(gfp, 0, 0, nodes);
}
