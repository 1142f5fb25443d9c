/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Address spaces, written as for the newest kernel: flags, counters, finding
 * and locking a VMA, zapping a range.
 *
 * Context: process context, where not said otherwise.
 * Lock order: mmap_lock or a VMA's lock, then what the kernel's zap takes
 * (page table locks, memcg, LRU).
 */
#ifndef MEMRESCUE_COMPAT_MM_H
#define MEMRESCUE_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/userfaultfd_k.h>
#include "memrescue_config.h"

/* mm->flags became helpers in 6.18. Context: any. */
#ifdef HAVE_MM_FLAGS_TEST
#define compat_mm_flag(mm, bit)			mm_flags_test(bit, mm)
#define compat_mm_flag_set(mm, bit)		mm_flags_set(bit, mm)
#define compat_mm_flag_clear(mm, bit)		mm_flags_clear(bit, mm)
#define compat_mm_flag_test_and_set(mm, bit)	mm_flags_test_and_set(bit, mm)
#else
#define compat_mm_flag(mm, bit)			test_bit(bit, &(mm)->flags)
#define compat_mm_flag_set(mm, bit)		set_bit(bit, &(mm)->flags)
#define compat_mm_flag_clear(mm, bit)		clear_bit(bit, &(mm)->flags)
#define compat_mm_flag_test_and_set(mm, bit)	\
	test_and_set_bit(bit, &(mm)->flags)
#endif

/* Resident pages and swap entries. The counters are per CPU since 6.2. */
static inline unsigned long compat_mm_counter(struct mm_struct *mm, int member)
{
#ifdef HAVE_GET_MM_COUNTER_SUM
	return get_mm_counter_sum(mm, member);
#elif defined(HAVE_MM_RSS_STAT_PERCPU)
	return percpu_counter_sum_positive(&mm->rss_stat[member]);
#else
	return get_mm_counter(mm, member);
#endif
}

static inline unsigned long compat_mm_rss(struct mm_struct *mm)
{
	return compat_mm_counter(mm, MM_FILEPAGES) +
	       compat_mm_counter(mm, MM_ANONPAGES) +
	       compat_mm_counter(mm, MM_SHMEMPAGES);
}

/*
 * Does exit_mmap() of this mm wait for holders of mmap_lock, after it set
 * MMF_OOM_SKIP and before it frees page tables? It does so for every mm since
 * "mm: drop oom code from exit_mmap" (bf3980c85212, 6.0), which made
 * MMF_OOM_VICTIM superfluous; before, only for an mm with that flag, which
 * nothing else looks at.
 *
 * Context: any; a reference to the mm (mm_count) is held.
 */
static inline bool compat_exit_waits(struct mm_struct *mm)
{
#ifdef HAVE_MMF_OOM_VICTIM
	return compat_mm_flag(mm, MMF_OOM_VICTIM);
#else
	return true;
#endif
}

/* Make it. Context: any; the mm is in use, and stays so until this returns. */
static inline void compat_make_exit_wait(struct mm_struct *mm)
{
#ifdef HAVE_MMF_OOM_VICTIM
	compat_mm_flag_set(mm, MMF_OOM_VICTIM);
#endif
}

/*
 * Do the page tables stay for as long as mmap_lock is held? MMF_OOM_SKIP tells
 * that exit_mmap() may be past the point where it waits; as others set it as
 * well, the users decide then: while there are some it has not begun.
 *
 * Context: mmap_lock held for reading; exit_mmap() waits for it, see above.
 */
static inline bool compat_tables_stay(struct mm_struct *mm)
{
	return !compat_mm_flag(mm, MMF_OOM_SKIP) || atomic_read(&mm->mm_users);
}

/*
 * May a CPU have an mm loaded whose last user leaves? On Xen PV exit_mmap()
 * gives up the page tables before it takes them down, and relies on it that the
 * CPUs that still have them loaded do not use them (xen_exit_mmap()).
 */
static inline bool compat_mm_can_borrow(void)
{
#ifdef CONFIG_XEN_PV
	return !boot_cpu_has(X86_FEATURE_XENPV);
#else
	return true;
#endif
}

/*
 * From the next time on that mmap_lock is taken for writing, no huge page is made
 * of small ones any more (khugepaged, MADV_COLLAPSE): one of which only a part is
 * left would get the rest back, as zeros. 6.18 has two such flags.
 */
#ifdef MMF_DISABLE_THP_COMPLETELY
#define COMPAT_MMF_NO_COLLAPSE	MMF_DISABLE_THP_COMPLETELY
#else
#define COMPAT_MMF_NO_COLLAPSE	MMF_DISABLE_THP
#endif

/*
 * Are there asynchronous reads and writes (io_submit(2)), which must have ended
 * when the process has?
 */
static inline bool compat_mm_has_aio(struct mm_struct *mm)
{
#ifdef CONFIG_AIO
	return rcu_access_pointer(mm->ioctx_table);
#else
	return false;
#endif
}

/*
 * Can the lock of a VMA be dropped although exit_mmap() waits for nothing else
 * to free the VMA? Since 6.15 it is one counter; before, a semaphore, which is
 * touched again after a writer may have had it.
 */
#ifdef HAVE_VMA_REFCNT
#define COMPAT_VMA_UNLOCKS_CLEANLY	true
#else
#define COMPAT_VMA_UNLOCKS_CLEANLY	false
#endif

/*
 * May the pages of this VMA be taken? The stock reaper's rule, per kernel, with
 * what can be filled again (@refillable); without, only memory in which every
 * fault fails from MMF_UNSTABLE on. Private mappings of files are filled by
 * do_fault_around(), registered ones by the owner of the userfaultfd. See
 * docs/reaper.md.
 */
static inline bool compat_vma_reapable(struct vm_area_struct *vma,
				       bool refillable)
{
	if (vma->vm_flags & (VM_HUGETLB | VM_PFNMAP))
		return false;
#ifndef HAVE_MLOCK_COUNT
	/* Before 5.18 exit_mmap() walks mlocked pages: a213e5cf71cb. */
	if (vma->vm_flags & VM_LOCKED)
		return false;
#endif
	if (vma_is_anonymous(vma))
		return refillable || !userfaultfd_armed(vma);
	return refillable && !(vma->vm_flags & VM_SHARED);
}

/* Context: mmap_lock or the VMA's lock held. */
static inline bool compat_mm_has_notifiers(struct mm_struct *mm)
{
#ifdef CONFIG_MMU_NOTIFIER
	return mm_has_notifiers(mm);
#else
	return false;
#endif
}

/* A range of one VMA, found from an address downwards. */
struct compat_vma_range {
	struct vm_area_struct *vma;	/* NULL: it could not be locked */
	bool empty;			/* nor does it have any pages */
	unsigned long start;		/* of the mapping, bytes */
	unsigned long end;		/* exclusive, bytes */
};

bool memrescue_vma_below(struct mm_struct *mm, unsigned long top,
			 struct compat_vma_range *found);
bool memrescue_vma_lock_below(struct mm_struct *mm, unsigned long top,
			      struct compat_vma_range *found);
void memrescue_vma_unlock(struct vm_area_struct *vma);
bool memrescue_mm_peek(struct mm_struct *mm, unsigned long addr, void *buf,
		       size_t len);

#endif
