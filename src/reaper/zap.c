// SPDX-License-Identifier: GPL-2.0
/*
 * Zapping a victim's address space, one range at a time.
 *
 * Several workers may be in here for the same victim: each takes the next
 * range below the cursor. The cursor runs from the top of the address space
 * down, because exit_mmap() runs up. docs/reaper.md says why each way of
 * keeping the page tables alive is safe, kernel by kernel:
 *  - mmap_lock held for reading, compat_tables_stay(): exit_mmap() waits;
 *  - the lock of a VMA held for reading, taken while the mm was in use for
 *    sure: exit_mmap() waits for it; before 6.15 the mm has to stay in use.
 *
 * Context: worker; locks are tried, never waited for.
 * Lock order: mmap_lock, then victim.cursor_lock, then a task's alloc_lock
 * (tried), then a VMA's lock (tried).
 */
#include <linux/math64.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/timekeeping.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "compat/zap.h"
#include "reaper/in_use.h"
#include "reaper/range.h"
#include "reaper/victim.h"

/* Small VMAs are taken together, and others passed over, up to this many. */
#define STEP_MAX_RANGES	64u

/*
 * Before 6.15: how long mmap_lock has not been to be had until a reference to
 * the users is taken for the sake of the VMAs' locks, and for how many bytes.
 */
#define PIN_AFTER_MS	20u
#define PIN_BYTES	PMD_SIZE

/* What take_range() found. */
#define TAKE_END	0u	/* the pass is over */
#define TAKE_NOTHING	1u	/* nothing to zap here; there is more below */
#define TAKE_RANGE	2u
#define TAKE_STOP	3u	/* the address space may be about to go */

/* What find_in_use() is asked, and answers. */
struct find {
	unsigned long below;
	struct compat_vma_range *found;
	bool any;
};

static void find_in_use(struct mm_struct *mm, void *arg)
{
	struct find *find = arg;

	find->any = memrescue_vma_lock_below(mm, find->below, find->found);
}

/* Returns TAKE_RANGE if there is one, TAKE_END, TAKE_STOP. */
static unsigned int find_vma_range(struct victim *v, bool vma_locks,
				   struct compat_vma_range *found)
{
	struct find find = { .below = v->cursor, .found = found };

	if (!vma_locks)
		find.any = memrescue_vma_below(v->mm, v->cursor, found);
	else if (!COMPAT_VMA_UNLOCKS_CLEANLY)
		find_in_use(v->mm, &find);
	else if (!memrescue_while_in_use(v, find_in_use, &find))
		return TAKE_STOP;
	return find.any ? TAKE_RANGE : TAKE_END;
}

static void put_vma(struct vm_area_struct *vma, bool vma_locks)
{
	if (vma && vma_locks)
		memrescue_vma_unlock(vma);
}

/*
 * What can be filled again after the zap (private mappings of files, mappings
 * registered with a userfaultfd): when nobody uses the mm, so that no system call
 * can read it any more; else of the OOM killer's victims only, and not before
 * the kernel's own reaper would take it. See docs/reaper.md.
 */
static bool takes_refillable(const struct victim *v)
{
	if (!atomic_read(&v->mm->mm_users))
		return true;
	return READ_ONCE(v->oom) && memrescue_had_grace(v);
}

/*
 * Pages of such a mapping that do not come back without a zap or the exit. No
 * private copy is made without an anon_vma. Context: victim.cursor_lock held.
 */
static void note_spared(struct victim *v, const struct compat_vma_range *found)
{
	unsigned long pages = (found->end - found->start) >> PAGE_SHIFT;

	if (READ_ONCE(found->vma->anon_vma))
		v->spared_copies += pages;
	if (found->vma->vm_flags & VM_LOCKED)
		v->spared_locked += pages;
}

/*
 * The highest part of a mapping that has a page table and no page to keep, or what
 * can be passed over. Context: victim.cursor_lock held.
 */
static unsigned int cut_range(struct victim *v, unsigned long want,
			      struct compat_vma_range *found)
{
	found->end = min(found->end, v->cursor);
	if (!memrescue_tables_below(v->mm, found->start, &found->end)) {
		found->start = found->end;
		return TAKE_NOTHING;
	}
	found->start = memrescue_range_cut(found->start, found->end, want,
					   PMD_SIZE);
	found->start = memrescue_keep_cut(&v->keep, found->start, &found->end,
					  PAGE_SIZE);
	return found->start < found->end ? TAKE_RANGE : TAKE_NOTHING;
}

/*
 * Take the next range below the cursor; its VMA stays locked.
 * Context: victim.cursor_lock held.
 */
static unsigned int take_range(struct victim *v, bool vma_locks,
			       unsigned long want,
			       struct compat_vma_range *found)
{
	unsigned int take = TAKE_END;

	if (v->cursor)
		take = find_vma_range(v, vma_locks, found);
	if (take == TAKE_END)
		v->cursor = 0;
	if (take != TAKE_RANGE)
		return take;
	take = TAKE_NOTHING;
	if (!found->vma) {
		if (!found->empty)
			v->missed = true;
	} else if (compat_vma_reapable(found->vma, takes_refillable(v))) {
		take = cut_range(v, want, found);
	} else if (compat_vma_reapable(found->vma, true)) {
		note_spared(v, found);
	}
	if (take == TAKE_NOTHING)
		put_vma(found->vma, vma_locks);
	v->cursor = found->start;
	return take;
}

/*
 * Zap ranges until this worker's share of this step is done. Returns false if
 * that could not even be begun.
 */
static bool zap_ranges(struct victim *v, bool vma_locks, unsigned long share)
{
	struct compat_vma_range range;
	unsigned long done = 0;
	unsigned int i, take;

	for (i = 0; i < STEP_MAX_RANGES && done < share; i++) {
		spin_lock(&v->cursor_lock);
		take = take_range(v, vma_locks, share, &range);
		spin_unlock(&v->cursor_lock);
		if (take == TAKE_STOP)
			return i > 0;
		if (take == TAKE_END)
			break;
		if (take == TAKE_NOTHING)
			continue;
		if (memrescue_mm_zap(range.vma, range.start, range.end))
			WRITE_ONCE(v->zapped, true);
		else
			WRITE_ONCE(v->missed, true);
		done += range.end - range.start;
		put_vma(range.vma, vma_locks);
	}
	return true;
}

static unsigned long step_bytes(void)
{
	return READ_ONCE(memrescue_reaper_knobs.range_kb) * 1024ul;
}

/*
 * From now on a page fault in this mm fails, so that nobody, a kernel thread that
 * borrowed it included, ever reads zeros for data. Nor is a huge page made of what
 * is left (khugepaged, MADV_COLLAPSE): it would have zeros where pages went.
 */
static void make_unstable(struct mm_struct *mm)
{
	compat_mm_flag_set(mm, COMPAT_MMF_NO_COLLAPSE);
	compat_mm_flag_set(mm, MMF_UNSTABLE);
}

/* Context: mmap_lock held for reading. */
static unsigned int zap_by_mmap_lock(struct victim *v)
{
	if (!compat_tables_stay(v->mm))
		return STEP_GONE;
	make_unstable(v->mm);
	zap_ranges(v, false, step_bytes());
	return STEP_MORE;
}

/* For how long has mmap_lock not been to be had, whenever it was tried? */
static u64 blocked_ms(const struct victim *v)
{
	u64 since = READ_ONCE(v->blocked_ns);

	if (!since)
		return 0;
	return div_u64(memrescue_us_between(since, ktime_get_mono_fast_ns()),
		       USEC_PER_MSEC);
}

/*
 * While a reference to the users is held, the victim's last thread cannot take
 * down the address space by itself: it would be done later, by a kernel thread,
 * and files and devices would stay in use for longer than the process exists. So
 * this is for victims that do not get on, in small parts, and only until
 * mmap_lock is free. Never where that thread would have to wait for the end of
 * asynchronous reads and writes.
 */
static unsigned int zap_pinned(struct victim *v)
{
	unsigned long done;

	if (blocked_ms(v) < PIN_AFTER_MS || compat_mm_has_aio(v->mm))
		return STEP_WAIT;
	make_unstable(v->mm);
	for (done = 0; done < step_bytes(); done += PIN_BYTES) {
		if (!mmget_not_zero(v->mm))
			return STEP_WAIT;
		zap_ranges(v, true, PIN_BYTES);
		/* Whoever drops the last reference has to wait for others. */
		mmput_async(v->mm);
		if (!READ_ONCE(v->cursor) ||
		    !rwsem_is_locked(&v->mm->mmap_lock))
			break;
	}
	return STEP_MORE;
}

static unsigned int zap_by_vma_locks(struct victim *v)
{
	if (!memrescue_ksym_has(KSYM_LOCK_VMA))
		return STEP_WAIT;
	if (!COMPAT_VMA_UNLOCKS_CLEANLY)
		return zap_pinned(v);
	make_unstable(v->mm);
	if (zap_ranges(v, true, step_bytes()))
		return STEP_MORE;
	memrescue_find_user(v);
	return STEP_WAIT;
}

/**
 * memrescue_zap_step() - zap one worker's share of a victim
 * @v: record in state VICTIM_REAPING, held by this worker
 *
 * Context: worker. Does not wait for a lock; may reschedule.
 * Return: STEP_MORE when it got on, STEP_WAIT when the address space is
 * locked or it is too early, STEP_GONE when exit_mmap() has taken over,
 * STEP_KERNEL when only the kernel's own reaper can do it.
 */
unsigned int memrescue_zap_step(struct victim *v)
{
	unsigned int step;

	if (READ_ONCE(v->late) && !takes_refillable(v))
		return STEP_WAIT;
	/* One that is registered later makes its ranges fail, and come again. */
	if (compat_mm_has_notifiers(v->mm) && !memrescue_mm_can_notify())
		return STEP_KERNEL;
	if (!mmap_read_trylock(v->mm)) {
		if (!READ_ONCE(v->blocked_ns))
			WRITE_ONCE(v->blocked_ns, ktime_get_mono_fast_ns());
		return zap_by_vma_locks(v);
	}
	WRITE_ONCE(v->blocked_ns, 0);
	step = zap_by_mmap_lock(v);
	mmap_read_unlock(v->mm);
	return step;
}
