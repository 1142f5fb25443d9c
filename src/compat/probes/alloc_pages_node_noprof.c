// SPDX-License-Identifier: GPL-2.0
/* 6.10: allocations can be counted for whoever makes them, or not. */
#include <linux/gfp.h>
struct page *(*probe)(int nid, gfp_t gfp, unsigned int order) =
	alloc_pages_node_noprof;
