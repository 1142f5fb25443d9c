// SPDX-License-Identifier: GPL-2.0
/* Zapping a part of a VMA, and what to pass over: see zap.h. */
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "compat/tlb.h"
#include "compat/zap.h"

/* Entries of page tables that one search looks at, at most. */
#define SEARCH_ENTRIES	8192u

/*
 * The levels of the page table, each with the bytes that one entry covers. An
 * entry that is a huge page, or marked, counts as a table: there is something to
 * zap below it. Only exit_mmap() and its like free tables of these levels in such
 * VMAs, so following an entry is safe while the page tables stay.
 */
static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr,
		       unsigned long *covers, bool *mapped)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	*covers = PGDIR_SIZE;
	*mapped = false;
	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	*covers = P4D_SIZE;
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	*covers = PUD_SIZE;
	if (pud_none(*pud))
		return NULL;
	*mapped = true;
	if (unlikely(pud_bad(*pud)))
		return NULL;
	*covers = PMD_SIZE;
	return pmd_offset(pud, addr);
}

/**
 * memrescue_tables_below() - pass over what no page table covers
 * @mm: address space
 * @start: not below this address, bytes
 * @end: search from here downwards, bytes, more than @start; on return the end
 *	of the highest part that a page table covers, or where the search ended
 *
 * So the cost of an address space grows with its page tables, not with its
 * reservations.
 *
 * Context: see zap.h; does not sleep.
 * Return: true if there is a page table just below *@end; false if there is
 * nothing to zap between *@end and where the search began.
 */
bool memrescue_tables_below(struct mm_struct *mm, unsigned long start,
			    unsigned long *end)
{
	unsigned long addr = *end, covers;
	unsigned int i;
	pmd_t *pmd;
	bool mapped;

	for (i = 0; i < SEARCH_ENTRIES && addr > start; i++) {
		pmd = find_pmd(mm, addr - 1, &covers, &mapped);
		if (mapped && (!pmd || !pmd_none(READ_ONCE(*pmd))))
			break;
		addr = ALIGN_DOWN(addr - 1, covers);
	}
	mapped = i < SEARCH_ENTRIES && addr > start;
	*end = max(addr, start);
	return mapped;
}

/**
 * memrescue_mm_can_notify() - can an mm with MMU notifiers be zapped?
 *
 * Context: any, after memrescue_ksym_init().
 * Return: true if all that is needed for it was found.
 */
bool memrescue_mm_can_notify(void)
{
	return memrescue_ksym_has(KSYM_UNMAP) &&
	       memrescue_ksym_has(KSYM_GATHER) &&
	       memrescue_ksym_has(KSYM_FINISH) &&
	       memrescue_ksym_has(KSYM_NOTIFY_START) &&
	       memrescue_ksym_has(KSYM_NOTIFY_END);
}

static void zap_plain(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
#ifdef HAVE_ZAP_PAGE_RANGE_SINGLE
	static_call(memrescue_zap)(vma, start, end - start, NULL);
#else
	static_call(memrescue_zap)(vma, start, end - start);
#endif
}

#ifdef CONFIG_MMU_NOTIFIER
static void gather(struct mmu_gather *tlb, struct mmu_notifier_range *range)
{
#ifdef HAVE_TLB_GATHER_RANGE
	static_call(memrescue_gather)(tlb, range->mm, range->start, range->end);
#else
	static_call(memrescue_gather)(tlb, range->mm);
#endif
}

static void finish(struct mmu_gather *tlb, struct mmu_notifier_range *range)
{
#ifdef HAVE_TLB_GATHER_RANGE
	static_call(memrescue_finish)(tlb, range->start, range->end);
#else
	static_call(memrescue_finish)(tlb);
#endif
}

static void notify_end(struct mmu_notifier_range *range)
{
#ifdef HAVE_NOTIFIER_ONLY_END
	static_call(memrescue_notify_end)(range, false);
#else
	static_call(memrescue_notify_end)(range);
#endif
}

/*
 * As the kernel's reaper does for a whole VMA: __oom_reap_task_mm(), in newer
 * kernels zap_vma_for_reaping(). Without MMU_NOTIFIER_RANGE_BLOCKABLE no
 * notifier waits; one that would have to refuses.
 */
static bool zap_notified(struct vm_area_struct *vma, unsigned long start,
			 unsigned long end)
{
	struct mmu_notifier_range range = {
		.mm = vma->vm_mm,
		.start = start,
		.end = end,
		.event = MMU_NOTIFY_CLEAR,
	};
#ifdef HAVE_ZAP_DETAILS_REAPING
	struct zap_details details = { .reaping = true }, *how = &details;
#else
	struct zap_details *how = NULL;
#endif
	struct mmu_gather tlb;
	int err;

	update_hiwater_rss(range.mm);
	err = static_call(memrescue_notify_start)(&range);
	if (err)
		return false;
	gather(&tlb, &range);
	static_call(memrescue_unmap)(&tlb, vma, start, end, how);
	notify_end(&range);
	finish(&tlb, &range);
	return true;
}
#else
static bool zap_notified(struct vm_area_struct *vma, unsigned long start,
			 unsigned long end)
{
	return false;
}
#endif

/**
 * memrescue_mm_zap() - free the pages and swap entries of a range
 * @vma: reapable
 * @start: first address, bytes, within @vma
 * @end: end (exclusive), bytes, within @vma
 *
 * Page tables stay.
 *
 * Context: see zap.h; may reschedule.
 * Return: false if a notifier of the mm would have had to wait: try again.
 */
bool memrescue_mm_zap(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	if (compat_mm_has_notifiers(vma->vm_mm))
		return zap_notified(vma, start, end);
	zap_plain(vma, start, end);
	return true;
}
