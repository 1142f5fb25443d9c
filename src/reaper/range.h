/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cutting an address space into ranges, highest addresses first.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_RANGE_H
#define MEMRESCUE_REAPER_RANGE_H

#include "pure.h"

/**
 * memrescue_range_cut() - lower end of the next range to zap
 * @start: first address of the mapping, bytes
 * @top: end (exclusive) of what is left of it, bytes; @top > @start
 * @want: wanted length, bytes
 * @align: alignment of a cut, bytes, a power of two (a huge page's size, so
 *	that no huge page is split)
 *
 * Context: any.
 * Return: address in [@start, @top) at which the range [address, @top) begins.
 */
static inline unsigned long memrescue_range_cut(unsigned long start,
						unsigned long top,
						unsigned long want,
						unsigned long align)
{
	unsigned long left = top - start;
	unsigned long low;

	if (want < align)
		want = align;
	if (left <= want)
		return start;
	low = (top - want) & ~(align - 1);
	return low > start ? low : start;
}

#endif
