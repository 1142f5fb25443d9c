// SPDX-License-Identifier: GPL-2.0
/* group: alloc_pages_nodes exactly-one */
/* Up to 5.12: __alloc_pages() has no node mask. */
#include <linux/gfp.h>
struct page *probe(gfp_t gfp, nodemask_t *nodes);
struct page *probe(gfp_t gfp, nodemask_t *nodes)
{
	return __alloc_pages_nodemask(gfp, 0, 0, nodes);
}
