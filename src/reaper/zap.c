// SPDX-License-Identifier: GPL-2.0
/*
 * Zapping a victim's address space, one range at a time.
 *
 * Several workers may be in here for the same victim: each takes the next
 * range below the cursor. The cursor runs from the top of the address space
 * down, because exit_mmap() runs up. docs/reaper.md says why each way of
 * keeping the page tables alive is safe, kernel by kernel:
 *  - mmap_lock held for reading, MMF_OOM_SKIP not set: exit_mmap() waits;
 *  - the lock of a VMA held for reading, and a reference to the mm's users.
 *
 * Context: worker; locks are tried, never waited for.
 * Lock order: mmap_lock, then victim.cursor_lock, then a VMA's lock (tried).
 */
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/range.h"
#include "reaper/victim.h"

/* Small VMAs are taken together, and others passed over, up to this many. */
#define STEP_MAX_RANGES	64u

/* What take_range() found. */
#define TAKE_END	0u	/* the pass is over */
#define TAKE_NOTHING	1u	/* nothing to zap here; there is more below */
#define TAKE_RANGE	2u

static bool find_vma_range(struct victim *v, bool vma_locks,
			   struct compat_vma_range *found)
{
	if (vma_locks)
		return memrescue_vma_lock_below(v->mm, v->cursor, found);
	return memrescue_vma_below(v->mm, v->cursor, found);
}

static void put_vma(struct vm_area_struct *vma, bool vma_locks)
{
	if (vma && vma_locks)
		memrescue_vma_unlock(vma);
}

/*
 * Private mappings of files: when nobody uses the mm, so that no system call
 * can read them any more; else of the OOM killer's victims only, and not before
 * the kernel's own reaper would take them. See docs/reaper.md.
 */
static bool takes_files(const struct victim *v)
{
	if (!atomic_read(&v->mm->mm_users))
		return true;
	return READ_ONCE(v->oom) && memrescue_had_grace(v);
}

/*
 * Pages of a file's mapping that do not come back without a zap or the exit. No
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
 * Take the next range below the cursor; its VMA stays locked.
 * Context: victim.cursor_lock held.
 */
static unsigned int take_range(struct victim *v, bool vma_locks,
			       struct compat_vma_range *found)
{
	unsigned long want = READ_ONCE(memrescue_reaper_knobs.range_kb) * 1024ul;
	unsigned int take = TAKE_NOTHING;

	if (!v->cursor || !find_vma_range(v, vma_locks, found)) {
		v->cursor = 0;
		return TAKE_END;
	}
	if (!found->vma) {
		if (!found->empty)
			v->missed = true;
	} else if (compat_vma_reapable(found->vma, takes_files(v))) {
		found->end = min(found->end, v->cursor);
		found->start = memrescue_range_cut(found->start, found->end,
						   want, PMD_SIZE);
		take = TAKE_RANGE;
	} else {
		if (compat_vma_reapable(found->vma, true))
			note_spared(v, found);
		put_vma(found->vma, vma_locks);
	}
	v->cursor = found->start;
	return take;
}

/* Zap ranges until this worker's share of this step is done. */
static void zap_ranges(struct victim *v, bool vma_locks)
{
	unsigned long budget = READ_ONCE(memrescue_reaper_knobs.range_kb) * 1024ul;
	struct compat_vma_range range;
	unsigned long done = 0;
	unsigned int i, take;

	for (i = 0; i < STEP_MAX_RANGES && done < budget; i++) {
		spin_lock(&v->cursor_lock);
		take = take_range(v, vma_locks, &range);
		spin_unlock(&v->cursor_lock);
		if (take == TAKE_END)
			return;
		if (take == TAKE_NOTHING)
			continue;
		/* With the VMA locked, nobody can register a notifier. */
		if (vma_locks && compat_mm_has_notifiers(v->mm)) {
			memrescue_vma_unlock(range.vma);
			WRITE_ONCE(v->missed, true);
			continue;
		}
		memrescue_mm_zap(range.vma, range.start, range.end);
		WRITE_ONCE(v->zapped, true);
		done += range.end - range.start;
		put_vma(range.vma, vma_locks);
	}
}

/*
 * An mm with MMU notifiers (a virtual machine, an RDMA or GPU client): only
 * the kernel's own function notifies without blocking. It takes it whole.
 */
static unsigned int zap_whole(struct victim *v)
{
	bool done;

	if (!memrescue_ksym_has(KSYM_REAP_MM))
		return STEP_KERNEL;
	if (!READ_ONCE(v->whole))
		return STEP_WHOLE;
	spin_lock(&v->cursor_lock);
	done = !v->cursor;
	v->cursor = 0;
	spin_unlock(&v->cursor_lock);
	if (done)
		return STEP_MORE;
	done = static_call(memrescue_reap_mm)(v->mm);
	if (!done)
		WRITE_ONCE(v->missed, true);
	WRITE_ONCE(v->zapped, true);
	return STEP_MORE;
}

/* Context: mmap_lock held for reading, exit_mmap() kept away. */
static unsigned int zap_mmap_locked(struct victim *v)
{
	/*
	 * From now on a page fault in this mm fails, so that nobody, a kernel
	 * thread that borrowed it included, ever reads zeros for data.
	 */
	compat_mm_flag_set(v->mm, MMF_UNSTABLE);
	if (compat_mm_has_notifiers(v->mm))
		return zap_whole(v);
	zap_ranges(v, false);
	return STEP_MORE;
}

/*
 * MMF_OOM_SKIP tells that exit_mmap() is past the point where it waits, but
 * others set it as well. With a reference to the users exit_mmap() is not even
 * begun.
 */
static unsigned int zap_by_mmap_lock(struct victim *v)
{
	unsigned int step;

	if (!compat_mm_flag(v->mm, MMF_OOM_SKIP))
		return zap_mmap_locked(v);
	if (!mmget_not_zero(v->mm))
		return STEP_GONE;
	step = zap_mmap_locked(v);
	mmput_async(v->mm);
	return step;
}

static unsigned int zap_by_vma_locks(struct victim *v)
{
	if (!memrescue_ksym_has(KSYM_LOCK_VMA) || !mmget_not_zero(v->mm))
		return STEP_WAIT;
	compat_mm_flag_set(v->mm, MMF_UNSTABLE);
	zap_ranges(v, true);
	mmput_async(v->mm);
	return STEP_MORE;
}

/**
 * memrescue_zap_step() - zap one worker's share of a victim
 * @v: record in state VICTIM_REAPING, held by this worker
 *
 * Context: worker. Does not wait for a lock; may reschedule.
 * Return: STEP_MORE when it got on, STEP_WAIT when the address space is
 * locked or it is too early, STEP_GONE when exit_mmap() has taken over,
 * STEP_WHOLE when it is for the worker for long steps, STEP_KERNEL when only
 * the kernel's own reaper can do it.
 */
unsigned int memrescue_zap_step(struct victim *v)
{
	unsigned int step;

	if (READ_ONCE(v->late) && !takes_files(v))
		return STEP_WAIT;
	if (!mmap_read_trylock(v->mm))
		return zap_by_vma_locks(v);
	step = zap_by_mmap_lock(v);
	mmap_read_unlock(v->mm);
	return step;
}
