/* SPDX-License-Identifier: GPL-2.0 */
/* Robust futexes: waiting for one, and lists made by hand. See lib_robust.c. */
#ifndef MEMRESCUE_TESTS_ROBUST_H
#define MEMRESCUE_TESTS_ROBUST_H

#include <linux/futex.h>

#include "lib.h"

#define LOST_MS		10000	/* a waiter that is not woken by then is lost */

/* A futex of a list made by hand, each on a page of its own. */
struct raw_futex {
	_Atomic uint32_t futex;
	char pad[PAGE - sizeof(uint32_t)];
};

void robust_mutex_init(pthread_mutex_t *m, bool shared, bool pi);
/* False if nobody says within LOST_MS that its owner has died; @may_be_free: or has given it up. */
bool robust_wait(pthread_mutex_t *m, bool may_be_free);
bool robust_wait_raw(_Atomic uint32_t *futex);

/* Where the last entry of a list leads: to the head as it should, to where nothing is mapped, to the first one. */
enum raw_end { RAW_HEAD, RAW_NOTHING, RAW_LOOP };

/*
 * Registers a list for the calling thread: @n entries, one on each of @n private pages, for as many futexes, which it owns.
 * False if the kernel refuses it.
 */
bool robust_raw(struct raw_futex *raw, int n, enum raw_end end);
/* The same by the 32-bit system call (a 64-bit process may call it); @raw lies below 4 GiB. */
bool robust_raw32(struct raw_futex *raw, int n, enum raw_end end);
bool robust_has_compat(void);

#endif /* MEMRESCUE_TESTS_ROBUST_H */
