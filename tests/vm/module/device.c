// SPDX-License-Identifier: GPL-2.0
/*
 * The tests' helper module: /dev/memrescue_test, see memrescue_test.h.
 *
 * Context: everything runs in the caller's context, except the borrowing
 * kernel thread and the MMU notifier's callbacks (which must not sleep).
 * Lock order: mrt_file.lock -> mmap_lock -> mrt_file.holders_lock.
 *
 * A borrowed mm that maps this very file keeps itself alive until
 * MRT_BORROW_STOP: a test that wants both uses two files.
 */
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "alloc.h"
#include "memrescue_test.h"
#include "slowpath.h"

#define MRT_PFN_ORDER	4

/**
 * struct mrt_file - state of one open file
 * @wq: held callers wait here
 * @generation: counts MRT_RELEASE; a hold ends when it has changed
 * @holders_lock: protects @holders; nothing is taken inside
 * @holders: struct mrt_holder of each caller being held
 * @lock: protects the members below
 * @borrow: the borrowing thread, or NULL
 * @borrow_mm: the mm it reads, with a reference to its users
 * @borrow_read: it has read everything once more
 * @what: what it reads
 * @seen: what it saw; written by the thread alone
 * @pfn_pages: the VM_PFNMAP pages, or NULL
 * @notifier: registered for @notify_mm
 * @notify_mm: NULL if @notifier is not registered
 * @refuse: non-blocking calls still to refuse
 * @starts: see struct mrt_notify_report, like the next three
 * @ends: same
 * @nonblock: same
 * @refused: same
 */
struct mrt_file {
	wait_queue_head_t wq;
	atomic_t generation;
	spinlock_t holders_lock;	/* protects holders */
	struct list_head holders;
	struct mutex lock;		/* protects borrow */
	struct task_struct *borrow;
	struct mm_struct *borrow_mm;
	struct completion borrow_read;
	struct mrt_borrow what;
	struct mrt_borrow_report seen;
	struct page *pfn_pages;
#ifdef CONFIG_MMU_NOTIFIER
	struct mmu_notifier notifier;
	struct mm_struct *notify_mm;
	atomic_t refuse;
	atomic64_t starts;
	atomic64_t ends;
	atomic64_t nonblock;
	atomic64_t refused;
#endif
};

/* ---- holds ---- */

/**
 * struct mrt_holder - a caller being held, on its own stack
 * @list: in mrt_file.holders
 * @pid: its process
 */
struct mrt_holder {
	struct list_head list;
	pid_t pid;
};

static noinline long mrt_hold(struct mrt_file *f, unsigned long ms)
{
	struct mrt_holder holder = { .pid = task_tgid_nr(current) };
	int generation = atomic_read(&f->generation);

	spin_lock(&f->holders_lock);
	list_add(&holder.list, &f->holders);
	spin_unlock(&f->holders_lock);

	wait_event_timeout(f->wq, atomic_read(&f->generation) != generation,
			   msecs_to_jiffies(ms));

	spin_lock(&f->holders_lock);
	list_del(&holder.list);
	spin_unlock(&f->holders_lock);
	return 0;
}

static long mrt_count_held(struct mrt_file *f, unsigned long pid)
{
	struct mrt_holder *holder;
	long n = 0;

	spin_lock(&f->holders_lock);
	list_for_each_entry(holder, &f->holders, list)
		n += !pid || holder->pid == (pid_t)pid;
	spin_unlock(&f->holders_lock);
	return n;
}

static long mrt_can_read(unsigned long addr)
{
	long word;

	return !copy_from_user_nofault(&word, (void __user *)addr, sizeof(word));
}

static long mrt_hold_mmap_write(struct mrt_file *f, unsigned long ms)
{
	mmap_write_lock(current->mm);
	mrt_hold(f, ms);
	mmap_write_unlock(current->mm);
	return 0;
}

static long mrt_hold_mmap_read(struct mrt_file *f, unsigned long ms)
{
	mmap_read_lock(current->mm);
	mrt_hold(f, ms);
	mmap_read_unlock(current->mm);
	return 0;
}

static void mrt_lock_vmas(struct mm_struct *mm)
{
#ifdef CONFIG_PER_VMA_LOCK
	struct vm_area_struct *vma;

	for (vma = find_vma(mm, 0); vma; vma = find_vma(mm, vma->vm_end))
		vma_start_write(vma);
#endif
}

static long mrt_hold_vmas_write(struct mrt_file *f, unsigned long ms)
{
	mmap_write_lock(current->mm);
	mrt_lock_vmas(current->mm);
	mrt_hold(f, ms);
	mmap_write_unlock(current->mm);
	return 0;
}

static struct mm_struct *mrt_mm_of(unsigned long nr)
{
	struct pid *pid = find_get_pid(nr);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	struct mm_struct *mm = NULL;

	put_pid(pid);
	if (!task)
		return NULL;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return NULL;
	mmgrab(mm);
	mmput(mm);
	return mm;
}

static long mrt_hold_others_mmap(struct mrt_file *f, unsigned long pid)
{
	struct mm_struct *mm = mrt_mm_of(pid);

	if (!mm)
		return -ESRCH;
	mmap_read_lock(mm);
	mrt_hold(f, 60 * MSEC_PER_SEC);
	mmap_read_unlock(mm);
	mmdrop(mm);
	return 0;
}

static long mrt_hold_others_users(struct mrt_file *f, unsigned long pid)
{
	struct mm_struct *mm = mrt_mm_of(pid);

	if (!mm)
		return -ESRCH;
	if (!mmget_not_zero(mm)) {
		mmdrop(mm);
		return -ESRCH;
	}
	mmdrop(mm);
	mrt_hold(f, 60 * MSEC_PER_SEC);
	mmput(mm);
	return 0;
}

static long mrt_release_holds(struct mrt_file *f)
{
	atomic_inc(&f->generation);
	wake_up_all(&f->wq);
	return 0;
}

/* ---- a borrowed mm ---- */

static void mrt_borrow_read(struct mrt_file *f, u64 addr)
{
	u64 value;

	if (get_user(value, (u64 __user *)(unsigned long)addr)) {
		f->seen.efault++;
	} else if (value == (f->what.key ^ addr)) {
		f->seen.good++;
	} else {
		f->seen.wrong++;
		f->seen.last_wrong = value;
	}
}

static void mrt_borrow_read_all(struct mrt_file *f)
{
	u64 off;

	for (off = 0; off < f->what.len; off += PAGE_SIZE)
		mrt_borrow_read(f, f->what.addr + off);
	cond_resched();
}

/* At least once before mrt_borrow_start() returns, and once at the end. */
static int mrt_borrow_thread(void *data)
{
	struct mrt_file *f = data;

	kthread_use_mm(f->borrow_mm);
	do {
		mrt_borrow_read_all(f);
		complete(&f->borrow_read);
	} while (!kthread_should_stop());
	mrt_borrow_read_all(f);
	kthread_unuse_mm(f->borrow_mm);
	return 0;
}

static long mrt_borrow_start(struct mrt_file *f, void __user *arg)
{
	struct task_struct *task;

	if (f->borrow)
		return -EBUSY;
	if (copy_from_user(&f->what, arg, sizeof(f->what)))
		return -EFAULT;
	if (!f->what.len || (f->what.addr | f->what.len) & ~PAGE_MASK)
		return -EINVAL;

	memset(&f->seen, 0, sizeof(f->seen));
	f->borrow_mm = get_task_mm(current);
	init_completion(&f->borrow_read);
	task = kthread_run(mrt_borrow_thread, f, "mrt_borrow");
	if (IS_ERR(task)) {
		mmput(f->borrow_mm);
		return PTR_ERR(task);
	}
	f->borrow = task;
	wait_for_completion(&f->borrow_read);
	return 0;
}

static void mrt_borrow_end(struct mrt_file *f)
{
	if (!f->borrow)
		return;
	kthread_stop(f->borrow);
	mmput(f->borrow_mm);
	f->borrow = NULL;
}

static long mrt_borrow_stop(struct mrt_file *f, void __user *arg)
{
	if (!f->borrow)
		return -EINVAL;
	mrt_borrow_end(f);
	return copy_to_user(arg, &f->seen, sizeof(f->seen)) ? -EFAULT : 0;
}

/* ---- VM_PFNMAP pages ---- */

static u64 *mrt_pfn_word(struct mrt_file *f, int page)
{
	/* The first word belongs to the user. */
	return (u64 *)page_address(f->pfn_pages + page) + 1;
}

static int mrt_pfn_make(struct mrt_file *f)
{
	int i;

	if (f->pfn_pages)
		return 0;
	f->pfn_pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, MRT_PFN_ORDER);
	if (!f->pfn_pages)
		return -ENOMEM;
	for (i = 0; i < MRT_PFN_PAGES; i++)
		*mrt_pfn_word(f, i) = MRT_PFN_MAGIC + i;
	return 0;
}

static long mrt_pfn_check(struct mrt_file *f)
{
	int i;

	if (!f->pfn_pages)
		return -EINVAL;
	if (page_count(f->pfn_pages) != 1)
		return -EIO;
	for (i = 0; i < MRT_PFN_PAGES; i++)
		if (*mrt_pfn_word(f, i) != MRT_PFN_MAGIC + i)
			return -EIO;
	return 0;
}

static int mrt_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mrt_file *f = file->private_data;
	unsigned long size = vma->vm_end - vma->vm_start;
	int err;

	if (vma->vm_pgoff || size != MRT_PFN_PAGES * PAGE_SIZE)
		return -EINVAL;
	err = mrt_pfn_make(f);
	if (err)
		return err;
	/*
	 * A private mapping that is writable must be covered as a whole: by
	 * the PFN of its first page in vm_pgoff the kernel tells the copies
	 * that the user writes from the pages themselves.
	 */
	return remap_pfn_range(vma, vma->vm_start, page_to_pfn(f->pfn_pages),
			       size, vma->vm_page_prot);
}

/* ---- MMU notifier ---- */

#ifdef CONFIG_MMU_NOTIFIER
static int mrt_inv_start(struct mmu_notifier *n,
			 const struct mmu_notifier_range *range)
{
	struct mrt_file *f = container_of(n, struct mrt_file, notifier);

	atomic64_inc(&f->starts);
	if (!mmu_notifier_range_blockable(range))
		atomic64_inc(&f->nonblock);
	return 0;
}

static void mrt_inv_end(struct mmu_notifier *n,
			const struct mmu_notifier_range *range)
{
	struct mrt_file *f = container_of(n, struct mrt_file, notifier);

	atomic64_inc(&f->ends);
}

static const struct mmu_notifier_ops mrt_notify_ops = {
	.invalidate_range_start	= mrt_inv_start,
	.invalidate_range_end	= mrt_inv_end,
};

static int mrt_inv_start_refuse(struct mmu_notifier *n,
				const struct mmu_notifier_range *range)
{
	struct mrt_file *f = container_of(n, struct mrt_file, notifier);

	mrt_inv_start(n, range);
	if (mmu_notifier_range_blockable(range) ||
	    atomic_dec_if_positive(&f->refuse) < 0)
		return 0;
	atomic64_inc(&f->refused);
	return -EAGAIN;
}

/* A notifier that may answer -EAGAIN must not have an end callback. */
static const struct mmu_notifier_ops mrt_refuse_ops = {
	.invalidate_range_start	= mrt_inv_start_refuse,
};

static long mrt_notify(struct mrt_file *f, unsigned long refuse)
{
	int err;

	if (f->notify_mm)
		return -EBUSY;
	atomic_set(&f->refuse, refuse);
	f->notifier.ops = refuse ? &mrt_refuse_ops : &mrt_notify_ops;
	err = mmu_notifier_register(&f->notifier, current->mm);
	if (!err)
		f->notify_mm = current->mm;
	return err;
}

static long mrt_notify_report(struct mrt_file *f, void __user *arg)
{
	struct mrt_notify_report report = {
		.starts = atomic64_read(&f->starts),
		.ends = atomic64_read(&f->ends),
		.nonblock = atomic64_read(&f->nonblock),
		.refused = atomic64_read(&f->refused),
	};

	return copy_to_user(arg, &report, sizeof(report)) ? -EFAULT : 0;
}

static void mrt_notify_end(struct mrt_file *f)
{
	if (f->notify_mm)
		mmu_notifier_unregister(&f->notifier, f->notify_mm);
}
#else
static long mrt_notify(struct mrt_file *f, unsigned long refuse)
{
	return -EOPNOTSUPP;
}

static long mrt_notify_report(struct mrt_file *f, void __user *arg)
{
	return -EOPNOTSUPP;
}

static void mrt_notify_end(struct mrt_file *f)
{
}
#endif

/* ---- the device ---- */

static int mrt_open(struct inode *inode, struct file *file)
{
	struct mrt_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	init_waitqueue_head(&f->wq);
	spin_lock_init(&f->holders_lock);
	INIT_LIST_HEAD(&f->holders);
	mutex_init(&f->lock);
	file->private_data = f;
	return 0;
}

static int mrt_close(struct inode *inode, struct file *file)
{
	struct mrt_file *f = file->private_data;

	mrt_borrow_end(f);
	mrt_notify_end(f);
	if (f->pfn_pages)
		__free_pages(f->pfn_pages, MRT_PFN_ORDER);
	kfree(f);
	return 0;
}

static long mrt_locked_ioctl(struct mrt_file *f, unsigned int cmd,
			     unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case MRT_BORROW_MM:
		return mrt_borrow_start(f, uarg);
	case MRT_BORROW_STOP:
		return mrt_borrow_stop(f, uarg);
	case MRT_PFN_CHECK:
		return mrt_pfn_check(f);
	case MRT_NOTIFY:
		return mrt_notify(f, arg);
	case MRT_NOTIFY_REPORT:
		return mrt_notify_report(f, uarg);
	default:
		return -ENOTTY;
	}
}

static long mrt_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mrt_file *f = file->private_data;
	long ret;

	switch (cmd) {
	case MRT_SLEEP_D:
		return mrt_hold(f, arg);
	case MRT_HOLD_MMAP_WRITE:
		return mrt_hold_mmap_write(f, arg);
	case MRT_HOLD_MMAP_READ:
		return mrt_hold_mmap_read(f, arg);
	case MRT_HOLD_VMAS_WRITE:
		return mrt_hold_vmas_write(f, arg);
	case MRT_HOLD_OTHERS_MMAP:
		return mrt_hold_others_mmap(f, arg);
	case MRT_HOLD_OTHERS_USERS:
		return mrt_hold_others_users(f, arg);
	case MRT_RELEASE:
		return mrt_release_holds(f);
	case MRT_HELD:
		return mrt_count_held(f, arg);
	case MRT_ALLOC:
		return mrt_alloc((void __user *)arg);
	case MRT_CAN_READ:
		return mrt_can_read(arg);
	case MRT_SLOWPATH_WATCH:
		return mrt_slowpath_watch(arg);
	case MRT_SLOWPATH_CALLS:
		return mrt_slowpath_calls();
	}

	mutex_lock(&f->lock);
	ret = mrt_locked_ioctl(f, cmd, arg);
	mutex_unlock(&f->lock);
	return ret;
}

static const struct file_operations mrt_fops = {
	.owner		= THIS_MODULE,
	.open		= mrt_open,
	.release	= mrt_close,
	.unlocked_ioctl	= mrt_ioctl,
	.mmap		= mrt_mmap,
};

static struct miscdevice mrt_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "memrescue_test",
	.fops	= &mrt_fops,
	.mode	= 0666,
};

static int __init mrt_init(void)
{
	return misc_register(&mrt_misc);
}
module_init(mrt_init);

static void __exit mrt_exit(void)
{
	misc_deregister(&mrt_misc);
	mrt_slowpath_watch(0);
}
module_exit(mrt_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Helper of memrescue's tests: holds tasks, locks and address spaces on request");
