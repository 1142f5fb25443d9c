// SPDX-License-Identifier: GPL-2.0
/* Finding, locking and zapping VMAs: see mm.h. */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/version.h>
#include "compat/ksym.h"
#include "compat/mm.h"

#ifdef HAVE_VMA_ITERATOR
/* Context: mmap_lock held, or within rcu_read_lock() on a kernel with VMA locks. */
static struct vm_area_struct *find_below(struct mm_struct *mm,
					 unsigned long top,
					 struct compat_vma_range *found)
{
	MA_STATE(mas, &mm->mm_mt, top - 1, top - 1);
	struct vm_area_struct *vma = mas_find_rev(&mas, 0);

	if (!vma || xa_is_zero(vma) || mas.index >= top)
		return NULL;
	found->start = mas.index;
	found->end = mas.last + 1;
	return vma;
}
#else
static struct vm_area_struct *find_below(struct mm_struct *mm,
					 unsigned long top,
					 struct compat_vma_range *found)
{
	struct vm_area_struct *vma = find_vma(mm, top - 1);
	struct rb_node *last;

	if (!vma) {
		last = rb_last(&mm->mm_rb);
		vma = last ? rb_entry(last, struct vm_area_struct, vm_rb) : NULL;
	} else if (vma->vm_start >= top) {
		vma = vma->vm_prev;
	}
	return vma;
}
#endif

/**
 * memrescue_vma_below() - the highest VMA that begins below an address
 * @mm: address space
 * @top: address, bytes, not 0
 * @found: the VMA and its bounds
 *
 * Context: mmap_lock held for reading; the VMA is valid as long as it is.
 * Return: false if there is none.
 */
bool memrescue_vma_below(struct mm_struct *mm, unsigned long top,
			 struct compat_vma_range *found)
{
	found->vma = find_below(mm, top, found);
	if (!found->vma)
		return false;
	found->start = found->vma->vm_start;
	found->end = found->vma->vm_end;
	return true;
}

#ifdef HAVE_LOCK_VMA_UNDER_RCU
/*
 * Before 6.10 (commit a373baed5a9d, "mm: delay the check for a NULL anon_vma")
 * lock_vma_under_rcu() refuses anonymous VMAs that were never written to, such as
 * the guards of stacks: they have no pages but the zero page. There VMAs are freed by
 * RCU, and not used again before. No header tells of that.
 *
 * Context: within rcu_read_lock().
 */
static bool never_written(struct vm_area_struct *vma)
{
#if KERNEL_VERSION(6, 10, 0) > LINUX_VERSION_CODE
	return vma_is_anonymous(vma) && !READ_ONCE(vma->anon_vma);
#else
	return false;
#endif
}

/**
 * memrescue_vma_lock_below() - like memrescue_vma_below(), with the VMA's lock
 * @mm: address space, in use until this returns, so that its tree of VMAs stays
 *	in RCU mode
 * @top: address, bytes, not 0
 * @found: the VMA, read-locked, and its bounds; @found->vma is NULL where a
 *	VMA is there and its lock could not be had at once; @found->empty tells
 *	that this does not matter
 *
 * The tree is only asked where the next VMA is; what is there is told by
 * lock_vma_under_rcu(), which checks everything again.
 *
 * Context: process context without mmap_lock. Does not sleep.
 * Return: false if there is none.
 */
bool memrescue_vma_lock_below(struct mm_struct *mm, unsigned long top,
			      struct compat_vma_range *found)
{
	struct vm_area_struct *vma;

	rcu_read_lock();
	vma = find_below(mm, top, found);
	found->empty = vma && never_written(vma);
	rcu_read_unlock();
	if (!vma)
		return false;
	found->vma = static_call(memrescue_lock_vma)(mm, min(found->end, top) - 1);
	if (found->vma) {
		found->start = found->vma->vm_start;
		found->end = found->vma->vm_end;
	}
	return true;
}

/**
 * memrescue_vma_unlock() - undo memrescue_vma_lock_below()
 * @vma: what it returned, not NULL
 *
 * Context: any; the mm is in use, unless COMPAT_VMA_UNLOCKS_CLEANLY.
 */
void memrescue_vma_unlock(struct vm_area_struct *vma)
{
	vma_end_read(vma);
}
#else
bool memrescue_vma_lock_below(struct mm_struct *mm, unsigned long top,
			      struct compat_vma_range *found)
{
	return false;
}

void memrescue_vma_unlock(struct vm_area_struct *vma)
{
}
#endif

/*
 * Context: mmap_lock held for reading. Also what automatic NUMA balancing has
 * marked, for which FOLL_FORCE is needed on some kernels. (Protection keys are
 * those of the caller's own memory only.) Huge pages of hugetlbfs have a path of
 * their own, which faults.
 */
static struct page *page_there(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct page *page;
	long n;

	if (!vma || addr < vma->vm_start ||
	    (vma->vm_flags & (VM_HUGETLB | VM_IO | VM_PFNMAP)))
		return NULL;
#if !defined(HAVE_FOLL_NOFAULT)
	page = static_call(memrescue_follow)(vma, addr, FOLL_GET);
	n = IS_ERR_OR_NULL(page) ? 0 : 1;
#elif defined(HAVE_GUP_VMAS)
	n = get_user_pages_remote(mm, addr, 1, FOLL_FORCE | FOLL_NOFAULT,
				  &page, NULL, NULL);
#else
	n = get_user_pages_remote(mm, addr, 1, FOLL_FORCE | FOLL_NOFAULT,
				  &page, NULL);
#endif
	return n == 1 ? page : NULL;
}

/**
 * memrescue_mm_peek() - read memory that is there, though it cannot be accessed
 * @mm: address space
 * @addr: first byte
 * @buf: takes what is there
 * @len: bytes, all in one page
 *
 * Nothing is faulted in.
 *
 * Context: process context, mmap_lock held for reading, exit_mmap() kept away.
 * May reschedule.
 * Return: false if it is not there, if it crosses the end of a page, and without
 * KSYM_FOLLOW_PAGE on kernels that need it.
 */
bool memrescue_mm_peek(struct mm_struct *mm, unsigned long addr, void *buf,
		       size_t len)
{
	unsigned long offset = offset_in_page(addr);
	struct page *page;

	if (offset + len > PAGE_SIZE)
		return false;
	page = page_there(mm, addr);
	if (!page)
		return false;
	memcpy(buf, page_address(page) + offset, len);
	put_page(page);
	return true;
}
