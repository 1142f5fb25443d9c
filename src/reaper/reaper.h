/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reaper, as the rooms above see it: start and stop, knobs, statistics.
 *
 * Context: process context, where not said otherwise.
 * Lock order: none is exposed.
 */
#ifndef MEMRESCUE_REAPER_REAPER_H
#define MEMRESCUE_REAPER_REAPER_H

#include <linux/atomic.h>
#include <linux/types.h>
#include "hook/hook.h"

#define REAPER_MAX_WORKERS	16u
#define REAPER_HIST_BUCKETS	28u	/* the last one: 2^27 us and more */

/* Preallocated records: bounds of the module parameter. */
#define REAPER_MIN_RECORDS	16u
#define REAPER_MAX_RECORDS	4096u

/**
 * struct memrescue_reaper_knobs - what the administrator may change
 *
 * Written by the control room, read with READ_ONCE() at any time.
 * @kill_min_kb: a dying process that the OOM killer did not mark is reaped
 *	from this size on, KiB of anonymous memory and swap
 * @stuck_report_ms: a victim is reported and hidden from the OOM killer after
 *	this long, milliseconds
 * @stuck_panic: 1: panic then, if its memory is not back
 * @parallel_min_kb: several workers take an address space from this size on
 * @range_kb: what one worker zaps at a time
 * @max_workers: workers at once
 */
struct memrescue_reaper_knobs {
	unsigned int kill_min_kb;
	unsigned int stuck_report_ms;
	unsigned int stuck_panic;
	unsigned int parallel_min_kb;
	unsigned int range_kb;
	unsigned int max_workers;
};

/**
 * struct memrescue_reaper_stats - counters since load; all only grow
 * @victims_oom: victims taken that the OOM killer marked
 * @victims_killed: others that were dying, did not get on, and were taken
 * @reaped: victims whose memory memrescue gave back
 * @reaped_pages: pages and swap entries that came back meanwhile
 * @skipped: victims left alone: shared with a live or protected process
 * @exited: victims whose address space is gone
 * @delayed: OOM victims whose threads' robust lists could not be read or kept, or
 *	that kept private mappings of files, until the time that the stock kernel gives
 *	them was over
 * @stuck: victims reported as stuck
 * @overflow: events (marks, SIGKILLs) of victims for which no record was free
 * @unlogged: victims without a line in the log, because many were killed at once
 * @given_back: victims handed to the kernel's reaper
 * @kills_put_off: times that the OOM killer did not kill, because memory was coming
 * @hist: mark to memory back, bucket i: less than 2^i microseconds
 */
struct memrescue_reaper_stats {
	atomic_long_t victims_oom;
	atomic_long_t victims_killed;
	atomic_long_t reaped;
	atomic_long_t reaped_pages;
	atomic_long_t skipped;
	atomic_long_t exited;
	atomic_long_t delayed;
	atomic_long_t stuck;
	atomic_long_t overflow;
	atomic_long_t unlogged;
	atomic_long_t given_back;
	atomic_long_t kills_put_off;
	atomic_long_t hist[REAPER_HIST_BUCKETS];
};

/* What is going on now; see memrescue_reaper_now(). */
struct memrescue_reaper_now {
	unsigned long in_flight;	/* victims whose memory is not back */
	unsigned long exiting;		/* memory back, process still there */
	unsigned long expected_pages;	/* what those in flight still have */
	unsigned long workers_used;	/* most that had a victim at once */
};

extern struct memrescue_reaper_knobs memrescue_reaper_knobs;
extern struct memrescue_reaper_stats memrescue_reaper_stats;
extern const struct memrescue_sink memrescue_reaper_sink;

int memrescue_reaper_init(unsigned int records, void (*freed)(void));
void memrescue_reaper_exit(void);
void memrescue_reaper_start(void);
void memrescue_reaper_find_dying(void);
void memrescue_reaper_stop(void);
void memrescue_reaper_now(struct memrescue_reaper_now *now);

#endif
