/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a victim's record, as a table of pure transitions.
 *
 *   FREE -> QUEUED -> SETTLING -> WAITING -> REAPING -> RETURNED -> FREE
 *
 * A hook fills a free record (QUEUED); a worker adopts it (SETTLING). One that
 * gets on by itself is left alone, and its record freed; when it does not, or the
 * OOM killer has marked it, it is a victim (WAITING), and a worker asks
 * at growing intervals whether the address space may be touched; then ranges
 * are zapped (REAPING) until the memory is back (RETURNED); the record is
 * kept until the process is gone, so that the statistics tell the truth.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_STATE_H
#define MEMRESCUE_REAPER_STATE_H

#include "pure.h"

/* States of a record. */
#define VICTIM_FREE	0u
#define VICTIM_QUEUED	1u
#define VICTIM_WAITING	2u
#define VICTIM_REAPING	3u
#define VICTIM_RETURNED	4u
#define VICTIM_SETTLING	5u
#define VICTIM_STATES	6u

/* What can happen to a record. */
#define VICTIM_EV_CLAIM		0u	/* a hook took the free record */
#define VICTIM_EV_ADOPT		1u	/* a worker found the victim's mm */
#define VICTIM_EV_ALLOWED	2u	/* the address space may be touched */
#define VICTIM_EV_PASS_PARTIAL	3u	/* a pass ended, there is more to take */
#define VICTIM_EV_PASS_DONE	4u	/* a pass ended, what is left is little */
#define VICTIM_EV_GONE		5u	/* the kernel freed the mm by itself */
#define VICTIM_EV_DROP		6u	/* small, refused, reported or unload */
#define VICTIM_EV_TAKE		7u	/* it does not get on, or is marked */
#define VICTIM_EVENTS		8u

#define VICTIM_INVALID	VICTIM_STATES

/**
 * memrescue_victim_next() - the state that follows
 * @state: VICTIM_* the record is in
 * @event: VICTIM_EV_* that happened
 *
 * Context: any.
 * Return: the next state, or VICTIM_INVALID where the event cannot happen in
 * this state (a bug in the caller; the caller keeps the old state and warns).
 */
static inline u32 memrescue_victim_next(u32 state, u32 event)
{
	static const unsigned char next[VICTIM_STATES][VICTIM_EVENTS] = {
#define NO VICTIM_INVALID
		/* CLAIM, ADOPT, ALLOWED, PASS_PARTIAL, PASS_DONE, GONE, DROP, TAKE */
		[VICTIM_FREE] = {
			VICTIM_QUEUED, NO, NO, NO, NO, NO, NO, NO },
		[VICTIM_QUEUED] = {
			NO, VICTIM_SETTLING, NO, NO, NO, VICTIM_FREE,
			VICTIM_FREE, NO },
		[VICTIM_SETTLING] = {
			NO, NO, NO, NO, NO, VICTIM_FREE, VICTIM_FREE,
			VICTIM_WAITING },
		[VICTIM_WAITING] = {
			NO, NO, VICTIM_REAPING, NO, NO, VICTIM_RETURNED,
			VICTIM_FREE, NO },
		[VICTIM_REAPING] = {
			NO, NO, NO, VICTIM_REAPING, VICTIM_RETURNED,
			VICTIM_RETURNED, VICTIM_FREE, NO },
		[VICTIM_RETURNED] = {
			NO, NO, NO, NO, NO, VICTIM_FREE, VICTIM_FREE, NO },
#undef NO
	};

	if (state >= VICTIM_STATES || event >= VICTIM_EVENTS)
		return VICTIM_INVALID;
	return next[state][event];
}

#endif
