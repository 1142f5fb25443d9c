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

/* Kinds of allocation: the masks are the kernel's own. */
#define MRT_GFP_KERNEL		0
#define MRT_GFP_ZERO		1	/* GFP_KERNEL, zeroed */
#define MRT_GFP_USER		2	/* GFP_HIGHUSER_MOVABLE, zeroed */
#define MRT_GFP_ACCOUNT		3	/* GFP_KERNEL, charged to the caller's cgroup */
#define MRT_GFP_READAHEAD	4	/* movable, __GFP_NORETRY, __GFP_NOWARN */
#define MRT_GFP_THISNODE	5	/* GFP_KERNEL, of the local node only */
#define MRT_GFP_DMA		6	/* of the first 16 MB, __GFP_NORETRY, __GFP_NOWARN */
#define MRT_GFP_ATOMIC		7
#define MRT_GFP_ATOMIC_ZERO	8
#define MRT_GFP_ATOMIC_NOWARN	9
#define MRT_GFP_NOWAIT		10
#define MRT_GFP_FROZEN		11	/* GFP_KERNEL, without a reference */
#define MRT_GFP_PAIR		12	/* GFP_KERNEL, two pages at a time */
#define MRT_GFP_PAIR_ZERO	13	/* the same, zeroed */
#define MRT_GFP_PAIR_COMP	14	/* zeroed, a compound page */
#define MRT_GFP_PAIR_NORETRY	15	/* __GFP_NORETRY, __GFP_NOWARN */
#define MRT_GFP_KINDS		16

/* Flags of MRT_ALLOC. */
#define MRT_ALLOC_WHEN_KILLED	1	/* not before a fatal signal is pending */
#define MRT_ALLOC_EXHAUSTED	2	/* when no more can be had without waiting */
#define MRT_ALLOC_PAUSE		4	/* with a pause after each page */

/**
 * struct mrt_alloc - MRT_ALLOC: allocates pages, looks at each, frees all of them
 * @kind: MRT_GFP_*
 * @flags: MRT_ALLOC_*
 * @nr: how many times
 * @hold_ms: they are freed only after so long, or when the caller is killed
 * @got: allocations that did not fail
 * @wrong_contents: pages that ought to be zeroed, and are not
 * @wrong_refs: with another number of references
 * @wrong_state: whose struct page is not as it should be
 * @wrong_charge: charged and should not be, or the other way round
 * @taken: pages that were taken before, for MRT_ALLOC_EXHAUSTED
 * @worst_us: the longest of them, microseconds
 * @all_us: all of them
 * @nodes: a bit for each node that they are from
 * @held: 1 while they are held
 * @done: 1 at the end, last of all
 */
struct mrt_alloc {
	__u32 kind;
	__u32 flags;
	__u32 nr;
	__u32 hold_ms;
	__u32 got;
	__u32 wrong_contents;
	__u32 wrong_refs;
	__u32 wrong_state;
	__u32 wrong_charge;
	__u32 taken;
	__u32 worst_us;
	__u32 reserved;
	__u64 all_us;
	__u64 nodes;
	__u32 held;
	__u32 done;
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
#define MRT_ALLOC		_IOWR('m', 12, struct mrt_alloc)
/* 1 if the word at that address can be read without a page fault, 0 if not. */
#define MRT_CAN_READ		_IO('m', 13)

/* 1: count the calls of the page allocator's slow path from now on; 0: no more. */
#define MRT_SLOWPATH_WATCH	_IO('m', 14)
/* How many there were. */
#define MRT_SLOWPATH_CALLS	_IO('m', 15)

/*
 * The caller holds the mmap_lock of the process with that pid for reading, as
 * soon as it can have it, for a minute or until MRT_RELEASE. So its exit has to
 * wait before it frees page tables.
 */
#define MRT_HOLD_OTHERS_MMAP	_IO('m', 16)
/*
 * The caller keeps the address space of the process with that pid in use, as vhost does
 * for a virtual machine, for a minute or until MRT_RELEASE.
 */
#define MRT_HOLD_OTHERS_USERS	_IO('m', 17)

#endif /* MEMRESCUE_TEST_H */
