// SPDX-License-Identifier: GPL-2.0
/*
 * MRT_ALLOC of the tests' helper module: pages by the kernel's own allocator, each
 * of which is looked at.
 *
 * Context: the caller's.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page_ref.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "alloc.h"
#include "memrescue_test.h"

#define MOST_PAGES	65536
#define GARBAGE		0xa5

/*
 * Exported since it exists, and declared in no header that modules have: what its
 * arguments are is known by the version alone.
 */
#if KERNEL_VERSION(7, 3, 0) <= LINUX_VERSION_CODE
struct page *__alloc_frozen_pages_noprof(gfp_t gfp, unsigned int order, int nid,
					 nodemask_t *nodes, unsigned int flags);
#elif KERNEL_VERSION(6, 14, 0) <= LINUX_VERSION_CODE
struct page *__alloc_frozen_pages_noprof(gfp_t gfp, unsigned int order, int nid,
					 nodemask_t *nodes);
#endif

#if KERNEL_VERSION(6, 18, 0) <= LINUX_VERSION_CODE
#define flags_of(page)	((page)->flags.f)
#else
#define flags_of(page)	((page)->flags)
#endif

#if !defined(CONFIG_MEMCG)
#define is_charged(page)	((page) && false)
#elif KERNEL_VERSION(5, 11, 0) <= LINUX_VERSION_CODE
#define is_charged(page)	(!!(page)->memcg_data)
#else
#define is_charged(page)	(!!(page)->mem_cgroup)
#define MARKED_AS_CHARGED	/* where else the number of mappings is */
#endif

static bool is_unmapped(struct page *page)
{
#ifdef MARKED_AS_CHARGED
	if (is_charged(page))
		return true;
#endif
	return atomic_read(&page->_mapcount) == -1;
}

static const gfp_t masks[MRT_GFP_KINDS] = {
	[MRT_GFP_KERNEL] = GFP_KERNEL,
	[MRT_GFP_ZERO] = GFP_KERNEL | __GFP_ZERO,
	[MRT_GFP_USER] = GFP_HIGHUSER_MOVABLE | __GFP_ZERO,
	[MRT_GFP_ACCOUNT] = GFP_KERNEL_ACCOUNT,
	[MRT_GFP_READAHEAD] = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY |
			      __GFP_NOWARN,
	[MRT_GFP_THISNODE] = GFP_KERNEL | __GFP_THISNODE,
	[MRT_GFP_DMA] = GFP_KERNEL | __GFP_DMA | __GFP_NORETRY | __GFP_NOWARN,
	[MRT_GFP_ATOMIC] = GFP_ATOMIC,
	[MRT_GFP_ATOMIC_ZERO] = GFP_ATOMIC | __GFP_ZERO,
	[MRT_GFP_ATOMIC_NOWARN] = GFP_ATOMIC | __GFP_NOWARN,
	[MRT_GFP_NOWAIT] = GFP_NOWAIT,
	[MRT_GFP_FROZEN] = GFP_KERNEL,
	[MRT_GFP_PAIR] = GFP_KERNEL,
	[MRT_GFP_PAIR_ZERO] = GFP_KERNEL | __GFP_ZERO,
	[MRT_GFP_PAIR_COMP] = GFP_KERNEL | __GFP_ZERO | __GFP_COMP,
	[MRT_GFP_PAIR_NORETRY] = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
	[MRT_GFP_PAIR_DMA] = GFP_KERNEL | __GFP_DMA | __GFP_NORETRY |
			     __GFP_NOWARN,
};

static unsigned int order_of(u32 kind)
{
	return kind >= MRT_GFP_PAIR && kind <= MRT_GFP_PAIR_DMA;
}

static struct page *alloc_frozen(gfp_t gfp)
{
#if KERNEL_VERSION(7, 3, 0) <= LINUX_VERSION_CODE
	return __alloc_frozen_pages_noprof(gfp, 0, numa_mem_id(), NULL, 0);
#elif KERNEL_VERSION(6, 14, 0) <= LINUX_VERSION_CODE
	return __alloc_frozen_pages_noprof(gfp, 0, numa_mem_id(), NULL);
#else
	return NULL;
#endif
}

static struct page *alloc_one(u32 kind)
{
	if (kind == MRT_GFP_FROZEN)
		return alloc_frozen(masks[kind]);
	return alloc_pages_node(numa_mem_id(), masks[kind], order_of(kind));
}

static void look_at(struct page *page, struct mrt_alloc *how)
{
	int refs = how->kind == MRT_GFP_FROZEN ? 0 : 1;
	bool charged = how->kind == MRT_GFP_ACCOUNT;

	if (page_ref_count(page) != refs)
		how->wrong_refs++;
	if (how->kind == MRT_GFP_FROZEN)
		set_page_count(page, 1);
	if ((masks[how->kind] & __GFP_ZERO) &&
	    memchr_inv(page_address(page), 0, PAGE_SIZE << order_of(how->kind)))
		how->wrong_contents++;
	if (page->mapping || page_private(page) ||
	    !is_unmapped(page) || page_is_pfmemalloc(page) ||
	    (flags_of(page) & ((1UL << NR_PAGEFLAGS) - 1) & ~BIT(PG_head)))
		how->wrong_state++;
	if (PageCompound(page) != !!(masks[how->kind] & __GFP_COMP))
		how->wrong_state++;
	if (is_charged(page) != charged)
		how->wrong_charge++;
	how->nodes |= 1ULL << page_to_nid(page);
	memset(page_address(page), GARBAGE, PAGE_SIZE << order_of(how->kind));
}

static void alloc_all(struct mrt_alloc *how, struct page **pages)
{
	u64 begin, us;
	u32 i;

	for (i = 0; i < how->nr; i++) {
		begin = ktime_get_ns();
		pages[how->got] = alloc_one(how->kind);
		us = div_u64(ktime_get_ns() - begin, NSEC_PER_USEC);
		how->all_us += us;
		how->worst_us = max_t(u64, how->worst_us, us);
		if (!pages[how->got])
			continue;
		look_at(pages[how->got++], how);
		if (how->flags & MRT_ALLOC_PAUSE)
			usleep_range(1000, 2000);
	}
}

/* Chains of pages: there is nothing else to note them in. */
static void *take_everything(u32 *taken)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN | __GFP_NORETRY;
	struct page *page;
	void *chain = NULL;

	while ((page = alloc_page(gfp))) {
		*(void **)page_address(page) = chain;
		chain = page_address(page);
		++*taken;
	}
	return chain;
}

static void free_chain(void *chain)
{
	void *next;

	for (; chain; chain = next) {
		next = *(void **)chain;
		memset(chain, GARBAGE, PAGE_SIZE);
		free_page((unsigned long)chain);
	}
}

/*
 * Nobody else on this CPU frees or takes any meanwhile. Where the allocator's
 * locks sleep there is no such way.
 */
static void alloc_exhausted(struct mrt_alloc *how, struct page **pages)
{
	const bool alone = !IS_ENABLED(CONFIG_PREEMPT_RT);
	void *chain;

	if (alone)
		preempt_disable();
	chain = take_everything(&how->taken);
	alloc_all(how, pages);
	if (alone)
		preempt_enable();
	free_chain(chain);
}

static void hold(struct mrt_alloc *how, struct mrt_alloc __user *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies(how->hold_ms);

	if (!how->hold_ms)
		return;
	if (put_user(1, &arg->held))
		return;
	while (time_before(jiffies, end) && !fatal_signal_pending(current))
		msleep(20);
}

/* The caller must be able to read the result when it is killed: shared memory. */
long mrt_alloc(void __user *arg)
{
	struct mrt_alloc how;
	struct page **pages;
	long err;

	if (copy_from_user(&how, arg, sizeof(how)))
		return -EFAULT;
	if (how.kind >= MRT_GFP_KINDS || how.nr > MOST_PAGES || how.got)
		return -EINVAL;
	pages = kvcalloc(how.nr + 1, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	if ((how.flags & MRT_ALLOC_WHEN_KILLED) &&
	    !put_user(1, &((struct mrt_alloc __user *)arg)->held))
		while (!fatal_signal_pending(current))
			msleep(20);
	if (how.flags & MRT_ALLOC_EXHAUSTED)
		alloc_exhausted(&how, pages);
	else
		alloc_all(&how, pages);
	/* Now, and not at the end: whoever waits for it may look. */
	err = copy_to_user(arg, &how, sizeof(how)) ? -EFAULT : 0;
	hold(&how, arg);
	while (how.got)
		__free_pages(pages[--how.got], order_of(how.kind));
	kvfree(pages);
	return err ?: put_user(1, &((struct mrt_alloc __user *)arg)->done);
}
