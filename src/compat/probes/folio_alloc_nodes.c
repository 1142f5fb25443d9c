// SPDX-License-Identifier: GPL-2.0
/* group: alloc_pages_nodes exactly-one */
/* 7.3: __alloc_pages() is private to mm; these two are left to modules. */
#include <linux/gfp.h>
#ifdef __alloc_pages
#error the older one is there as well
#endif
/* An error where it is a function (up to 6.9). */
extern int __alloc_pages;
struct folio *(*probe)(gfp_t gfp, unsigned int order, int nid,
		       nodemask_t *nodes) = __folio_alloc_noprof;
unsigned long (*probe_single)(gfp_t gfp, int nid, nodemask_t *nodes, int count,
			      struct page **pages) = alloc_pages_bulk_noprof;
