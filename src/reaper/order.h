/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which victim comes first, and when one is tried again.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_ORDER_H
#define MEMRESCUE_REAPER_ORDER_H

#include "pure.h"

/* One that waited this long comes before all that did not. */
#define ORDER_AGED_MS	100u

/**
 * memrescue_order_weight() - how urgent a victim is
 * @pages: pages its end is expected to free
 * @waited_ms: milliseconds since it was marked
 * @tried: the last try did not succeed
 *
 * Those that have waited for ORDER_AGED_MS come first, the oldest of them
 * before the others, so that no stream of new victims can starve one. Then
 * those that may succeed at once, then those that did not: in both, what frees
 * most comes first.
 *
 * Context: any.
 * Return: the weight; larger comes first; neither 0 nor the largest number.
 */
static inline u64 memrescue_order_weight(u64 pages, u64 waited_ms, bool tried)
{
	const u64 aged = 1ull << 62, fresh = 1ull << 61;

	if (waited_ms >= ORDER_AGED_MS)
		return waited_ms < aged ? aged + waited_ms : aged * 2;
	pages = pages < fresh - 1 ? pages + 1 : fresh - 1;
	return tried ? pages : fresh + pages;
}

/**
 * memrescue_retry_delay_ms() - how long to leave a victim alone
 * @attempts: tries that did not succeed, 1 after the first
 * @max_ms: longest delay, milliseconds
 *
 * Context: any.
 * Return: 1, 2, 4 ... @max_ms milliseconds.
 */
static inline u32 memrescue_retry_delay_ms(u32 attempts, u32 max_ms)
{
	u32 delay;

	if (!attempts)
		return 0;
	if (attempts > 16)
		return max_ms;
	delay = 1u << (attempts - 1);
	return delay < max_ms ? delay : max_ms;
}

#endif
