/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does a dying process get on by itself?
 *
 * What the OOM killer has not marked is left alone while it does: its system calls
 * end as ever, and its exit costs nobody else. Most are gone at the first look.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_SETTLE_RULE_H
#define MEMRESCUE_REAPER_SETTLE_RULE_H

#include "pure.h"

/* From one look to the next, milliseconds. */
#define SETTLE_LOOK_MS	25u

/* One that is blocked, or frees nothing, is taken after this. */
#define SETTLE_MS	50u

/* One that waits for nothing but a CPU, or loses threads, after this. */
#define SETTLE_MOST_MS	1000u

/* What memrescue_settle_rule() says. */
#define SETTLE_WAIT	0u
#define SETTLE_TAKE	1u	/* it does not get on */
#define SETTLE_GONE	2u	/* it has left the address space, or freed it */

/**
 * struct settle_look - what is seen of it
 * @waited_ms: since it was killed
 * @users: users of its address space
 * @users_before: at the look before, or when it was seen first
 * @pages: what it still has
 * @pages_before: likewise
 * @uses: threads of its own use the address space
 * @shared: so did other processes, which were killed as well
 * @blocked: one of those threads sleeps or is stopped
 * @freed: the address space has been taken down
 */
struct settle_look {
	u64 waited_ms;
	u64 users;
	u64 users_before;
	u64 pages;
	u64 pages_before;
	bool uses;
	bool shared;
	bool blocked;
	bool freed;
};

/**
 * memrescue_settle_rule() - what to do with a dying process
 * @look: what is seen of it
 *
 * Context: any.
 * Return: SETTLE_*.
 */
static inline u32 memrescue_settle_rule(const struct settle_look *look)
{
	if (look->freed || (look->users && !look->uses && !look->shared))
		return SETTLE_GONE;
	if (look->waited_ms < SETTLE_MS)
		return SETTLE_WAIT;
	/* exit_mmap() is at work, for as long as that takes. */
	if (!look->users)
		return look->pages < look->pages_before ? SETTLE_WAIT :
							  SETTLE_TAKE;
	if (look->waited_ms >= SETTLE_MOST_MS)
		return SETTLE_TAKE;
	if (look->users < look->users_before)
		return SETTLE_WAIT;
	return look->blocked || !look->uses ? SETTLE_TAKE : SETTLE_WAIT;
}

/**
 * memrescue_settle_next_ms() - when to look at it again
 * @waited_ms: since it was killed
 *
 * The last look before one that is blocked is taken is not followed by one that is
 * later than it has to be.
 *
 * Context: any.
 * Return: milliseconds from now on.
 */
static inline u32 memrescue_settle_next_ms(u64 waited_ms)
{
	if (waited_ms >= SETTLE_MS || SETTLE_MS - waited_ms > SETTLE_LOOK_MS)
		return SETTLE_LOOK_MS;
	return SETTLE_MS - waited_ms;
}

#endif
