/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page allocator from inside: what its functions pass to each other, and what
 * a page looks like that it hands out.
 *
 * Context: any, NMI included.
 */
#ifndef MEMRESCUE_COMPAT_ALLOC_H
#define MEMRESCUE_COMPAT_ALLOC_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/vmstat.h>
#include "memrescue_config.h"

/*
 * The beginning of the kernel's struct alloc_context (mm/internal.h, since 7.3
 * mm/page_alloc.h), the same from 5.10 to 7.3. That it is so is tested at load, not
 * taken for granted.
 */
struct compat_alloc_context {
	struct zonelist *zonelist;
	nodemask_t *nodemask;
};

/*
 * The mask that compat_alloc_pages() hands to the allocator. Of the functions that
 * modules may call since 7.3, the one that takes node mask and order makes compound
 * pages only. (__alloc_frozen_pages_noprof() is exported too, but no header that
 * modules have declares it, and it has one more argument in 7.3: a prototype of our
 * own would compile, and pass garbage.)
 */
static inline gfp_t compat_alloc_mask(gfp_t gfp, unsigned int order)
{
#ifdef HAVE_FOLIO_ALLOC_NODES
	return order ? gfp | __GFP_COMP : gfp;
#else
	return gfp;
#endif
}

static inline struct page *compat_alloc_pages(gfp_t gfp, unsigned int order,
					      int nid, nodemask_t *nodes)
{
#if defined(HAVE_FOLIO_ALLOC_NODES)
	struct page *page = NULL;

	if (order)
		return (struct page *)__folio_alloc(gfp, order, nid, nodes);
	/* For a single page it calls the usual function, with the same mask. */
	alloc_hooks(alloc_pages_bulk_noprof(gfp, nid, nodes, 1, &page));
	return page;
#elif defined(HAVE_ALLOC_PAGES_NODES)
	return __alloc_pages(gfp, order, nid, nodes);
#else
	return __alloc_pages_nodemask(gfp, order, nid, nodes);
#endif
}

/*
 * Pages that may outlive this module: since 6.10 allocations can be counted for the
 * line of code that makes them (MEM_ALLOC_PROFILING), by a tag in the module. These
 * carry none.
 */
static inline struct page *compat_alloc_pages_node(int nid, gfp_t gfp,
						   unsigned int order)
{
#ifdef HAVE_ALLOC_PAGES_NODE_NOPROF
	return alloc_pages_node_noprof(nid, gfp, order);
#else
	return alloc_pages_node(nid, gfp, order);
#endif
}

/*
 * Free pages of a zone without those that are kept for others, as in the kernel's
 * __zone_watermark_unusable_free(): what is for atomic allocations of higher order,
 * and contiguous memory, where only what is movable may be.
 */
static inline long compat_zone_free(struct zone *zone, gfp_t gfp)
{
	long pages = zone_page_state(zone, NR_FREE_PAGES);

#ifdef HAVE_ZONE_FREE_HIGHATOMIC
	pages -= READ_ONCE(zone->nr_free_highatomic);
#else
	pages -= READ_ONCE(zone->nr_reserved_highatomic);
#endif
	if (IS_ENABLED(CONFIG_CMA) && !(gfp & __GFP_MOVABLE))
		pages -= zone_page_state(zone, NR_FREE_CMA_PAGES);
	return pages;
}

static inline unsigned long compat_page_flags(const struct page *page)
{
#ifdef HAVE_PAGE_FLAGS_STRUCT
	return page->flags.f;
#else
	return page->flags;
#endif
}

static inline bool compat_page_is_charged(const struct page *page)
{
#if defined(HAVE_PAGE_MEMCG_DATA)
	return page->memcg_data;
#elif defined(HAVE_PAGE_MEM_CGROUP)
	return page->mem_cgroup;
#else
	return false;
#endif
}

/*
 * Is the struct page as the allocator leaves it? The same conditions as in the
 * kernel's page_expected_state(), but for the reference count.
 */
static inline bool compat_page_is_clean(struct page *page)
{
	return atomic_read(&page->_mapcount) == -1 && !page->mapping &&
	       !compat_page_is_charged(page) &&
	       !(compat_page_flags(page) & ((1UL << NR_PAGEFLAGS) - 1));
}

/*
 * What the allocator does to a page before it hands it out: see prep_new_page()
 * and post_alloc_hook(). The page has one reference; @frozen: it shall have
 * none. False if somebody else refers to it: nothing has changed then.
 */
static inline bool compat_page_ready(struct page *page, unsigned int order,
				     gfp_t gfp, bool frozen)
{
	unsigned int i;

	if (frozen ? !page_ref_freeze(page, 1) : page_ref_count(page) != 1)
		return false;
	set_page_private(page, 0);
	clear_page_pfmemalloc(page);
	for (i = 0; i < 1u << order; i++)
		if (want_init_on_alloc(gfp) || want_init_on_free())
			clear_page(page_address(page + i));
	return true;
}

#endif
