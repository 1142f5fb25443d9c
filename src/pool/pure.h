/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The atomic operations of the pool's pure headers, in the kernel and in the
 * tests in user space.
 *
 * Ordering: taking a permit and swapping a slot are full barriers in the kernel
 * (acquire and release in user space); hints need none.
 *
 * Context: any.
 */
#ifndef MEMRESCUE_POOL_PURE_H
#define MEMRESCUE_POOL_PURE_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

#define pure_atomic			atomic_t

#define pure_atomic_read(v)		atomic_read(v)
#define pure_atomic_inc(v)		((void)atomic_inc_return(v))
#define pure_atomic_dec(v)		((void)atomic_dec_return(v))
#define pure_atomic_try_cmpxchg(v, old, new) atomic_try_cmpxchg(v, old, new)
#define pure_read_slot(slot)		READ_ONCE(*(slot))
#define pure_xchg_slot(slot, new)	xchg(slot, new)
#define pure_cmpxchg_slot(slot, new)	(!cmpxchg(slot, NULL, new))
#define pure_read_hint(hint)		READ_ONCE(*(hint))
#define pure_write_hint(hint, value)	WRITE_ONCE(*(hint), value)
#else
#include <stdbool.h>
#include <stddef.h>

#define pure_atomic			int

#define pure_atomic_read(v)		__atomic_load_n(v, __ATOMIC_RELAXED)
#define pure_atomic_inc(v)		((void)__atomic_add_fetch(v, 1, __ATOMIC_ACQ_REL))
#define pure_atomic_dec(v)		((void)__atomic_sub_fetch(v, 1, __ATOMIC_ACQ_REL))
#define pure_atomic_try_cmpxchg(v, old, new) \
	__atomic_compare_exchange_n(v, old, new, false, __ATOMIC_ACQ_REL, \
				    __ATOMIC_RELAXED)
#define pure_read_slot(slot)		__atomic_load_n(slot, __ATOMIC_RELAXED)
#define pure_xchg_slot(slot, new)	__atomic_exchange_n(slot, new, __ATOMIC_ACQ_REL)
#define pure_cmpxchg_slot(slot, new) ({ \
	void *pure_none = NULL; \
	__atomic_compare_exchange_n(slot, &pure_none, new, false, \
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED); \
})
#define pure_read_hint(hint)		__atomic_load_n(hint, __ATOMIC_RELAXED)
#define pure_write_hint(hint, value)	__atomic_store_n(hint, value, __ATOMIC_RELAXED)
#endif

#endif
