// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a victim's robust lists without a fault, to keep what its threads
 * need to give up their locks. robust_list.h makes the walk.
 *
 * Context: worker, no lock held.
 * Lock order: mmap_lock (tried), or oom_lock (tried) with the mm borrowed.
 */
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "compat/task.h"
#include "reaper/robust_list.h"
#include "reaper/victim.h"

/* By way of the kernel's own mapping: the pages may be marked as not accessible. */
struct peek {
	struct robust_reader reader;
	struct mm_struct *mm;
};

static enum robust_seen peek_see(struct robust_reader *reader,
				 unsigned long addr, void *buf,
				 unsigned int len)
{
	struct mm_struct *mm = container_of(reader, struct peek, reader)->mm;
	struct vm_area_struct *vma = find_vma(mm, addr);
	u32 word;

	if (!vma)
		return ROBUST_NOWHERE;
	/* A stack grows when it is read below. */
	if (addr < vma->vm_start)
		return vma->vm_flags & VM_GROWSDOWN ? ROBUST_AWAY :
						      ROBUST_NOWHERE;
	reader->taken = vma_is_anonymous(vma) || !(vma->vm_flags & VM_SHARED);
	if (!buf && !reader->taken)
		return ROBUST_THERE;
	return memrescue_mm_peek(mm, addr, buf ? buf : &word, len) ?
	       ROBUST_THERE : ROBUST_AWAY;
}

/* By address; what kind of memory it is cannot be told. */
static enum robust_seen borrowed_see(struct robust_reader *reader,
				     unsigned long addr, void *buf,
				     unsigned int len)
{
	u32 word;

	if (!access_ok((void __user *)addr, len))
		return ROBUST_NOWHERE;
	reader->taken = true;
	return copy_from_user_nofault(buf ? buf : &word, (void __user *)addr,
				      len) ? ROBUST_AWAY : ROBUST_THERE;
}

static void init_reader(struct robust_reader *reader, struct victim *v)
{
	BUILD_BUG_ON(ROBUST_ENTRIES != ROBUST_LIST_LIMIT);
	reader->keep = &v->keep;
	reader->page_size = PAGE_SIZE;
	reader->mods = COMPAT_ROBUST_MODS;
	reader->budget = ROBUST_BUDGET;
}

static bool keep_all(struct robust_reader *reader,
		     const struct robust_aside *aside)
{
	unsigned long head;
	unsigned int i;
	bool narrow;

	for (i = 0; i < aside->nr; i++) {
		head = memrescue_robust_head(aside->keys[i], &narrow);
		if (!memrescue_robust_keep(reader, head, narrow))
			return false;
	}
	return true;
}

/* Around a kept page there will be nothing: no huge page may be made of the two. */
static bool leave_small(struct victim *v)
{
	if (!v->keep.nr)
		return false;
	compat_mm_flag_set(v->mm, COMPAT_MMF_NO_COLLAPSE);
	return true;
}

/*
 * No reference to the users is taken: see in_use.h. Should the last one leave
 * meanwhile, page tables are freed when this CPU, too, has been told to forget
 * them, and what is read is not needed. The kernel takes a kernel thread with an
 * mm for a process that lives on, and might kill another one instead of waiting
 * for the victim; for its own victims it waits in any case.
 */
static bool read_borrowed(struct victim *v, const struct robust_aside *aside)
{
	bool no_collapse = compat_mm_flag(v->mm, COMPAT_MMF_NO_COLLAPSE);
	struct robust_reader reader = { .see = borrowed_see };
	bool lock = !READ_ONCE(v->oom);
	bool kept;

	if (!memrescue_ksym_has(KSYM_LOCK_VMA) || !compat_mm_can_borrow())
		return false;
	if (lock && (!memrescue_ksym_has(KSYM_OOM_LOCK) ||
		     !memrescue_oom_trylock()))
		return false;
	init_reader(&reader, v);
	kthread_use_mm(v->mm);
	kept = keep_all(&reader, aside);
	kthread_unuse_mm(v->mm);
	if (lock)
		memrescue_oom_unlock();
	/* Whoever has mmap_lock for writing has looked for the flag, or not: next time. */
	return leave_small(v) ? kept && no_collapse : kept;
}

/**
 * memrescue_robust_read() - keep what the threads with these lists need
 * @v: record in state VICTIM_WAITING, held by this worker
 * @aside: lists of threads that were not at their walk
 *
 * Where mmap_lock cannot be had the mm is borrowed, if the rest can do without
 * that lock.
 *
 * Context: worker, no lock held. Takes mmap_lock for reading if it is free; then
 * exit_mmap() waits.
 * Return: false if something could not be read or kept: the memory must be left
 * for now.
 */
bool memrescue_robust_read(struct victim *v, const struct robust_aside *aside)
{
	struct peek peek = { .reader.see = peek_see, .mm = v->mm };
	bool kept = false;

	if (!aside->nr)
		return true;
	if (!mmap_read_trylock(v->mm))
		return read_borrowed(v, aside);
	init_reader(&peek.reader, v);
	if (compat_tables_stay(v->mm))
		kept = keep_all(&peek.reader, aside);
	leave_small(v);
	mmap_read_unlock(v->mm);
	return kept;
}
