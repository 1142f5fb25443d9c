/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure headers of the reaper need, in the kernel and in the unit
 * tests: plain types. A pure header decides from values alone; it touches no
 * kernel state, takes no lock and can be called from any context.
 */
#ifndef MEMRESCUE_REAPER_PURE_H
#define MEMRESCUE_REAPER_PURE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* What the kernel calls them. */
#define u64 uint64_t
#define u32 uint32_t
#endif

#endif
