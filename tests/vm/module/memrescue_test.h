/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of the tests' helper module, shared by the module and the test
 * programs.  It puts a task or an address space into the states that a test
 * needs and cannot reach from user space.
 *
 * All state belongs to one open file of MRT_DEV: a test opens it, its victims
 * inherit it, and MRT_RELEASE on it ends every hold that was begun through it.
 * Each hold also ends by itself after the given number of milliseconds.
 */
#ifndef MEMRESCUE_TEST_H
#define MEMRESCUE_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MRT_DEV			"/dev/memrescue_test"
#define MRT_PFN_PAGES		16	/* mmap(), shared or private: that many VM_PFNMAP pages */
#define MRT_PFN_MAGIC		0x6d72745f70666e00ULL

/**
 * struct mrt_borrow - what MRT_BORROW_MM reads
 * @addr: first byte of the caller's memory, page aligned
 * @len: length in bytes; the first word of each page is read
 * @key: the word at address p holds key ^ p
 */
struct mrt_borrow {
	__u64 addr;
	__u64 len;
	__u64 key;
};

/**
 * struct mrt_borrow_report - what the kernel thread saw
 * @good: right words
 * @efault: words that could not be read
 * @wrong: words that were neither: must stay 0
 * @last_wrong: the last of those
 */
struct mrt_borrow_report {
	__u64 good;
	__u64 efault;
	__u64 wrong;
	__u64 last_wrong;
};

/**
 * struct mrt_notify_report - what the MMU notifier saw
 * @starts: invalidations begun
 * @ends: invalidations ended (none are counted for a refusing notifier)
 * @nonblock: those of @starts that were not allowed to block
 * @refused: non-blocking ones answered with -EAGAIN
 */
struct mrt_notify_report {
	__u64 starts;
	__u64 ends;
	__u64 nonblock;
	__u64 refused;
};

/* The caller sleeps uninterruptibly for that many ms, or until MRT_RELEASE. */
#define MRT_SLEEP_D		_IO('m', 1)
/* The same with its own mmap_lock held for writing, or for reading. */
#define MRT_HOLD_MMAP_WRITE	_IO('m', 2)
#define MRT_HOLD_MMAP_READ	_IO('m', 3)
/* The same with mmap_lock and, where they exist, all per-VMA locks held for writing. */
#define MRT_HOLD_VMAS_WRITE	_IO('m', 4)
/* Ends the holds of this file that have begun. */
#define MRT_RELEASE		_IO('m', 5)
/* Returns how many callers are being held; arg: those of that process, 0: all. */
#define MRT_HELD		_IO('m', 6)
/* A kernel thread borrows the caller's mm and reads it until MRT_BORROW_STOP. */
#define MRT_BORROW_MM		_IOW('m', 7, struct mrt_borrow)
#define MRT_BORROW_STOP		_IOR('m', 8, struct mrt_borrow_report)
/* 0 if the VM_PFNMAP pages are as they were made (but for their first words), -EIO if not. */
#define MRT_PFN_CHECK		_IO('m', 9)
/* An MMU notifier for the caller's mm that refuses the first arg non-blocking calls. */
#define MRT_NOTIFY		_IO('m', 10)
#define MRT_NOTIFY_REPORT	_IOR('m', 11, struct mrt_notify_report)

#endif /* MEMRESCUE_TEST_H */
