/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When may an OOM victim be hidden from the OOM killer?
 *
 * The stock kernel hides it when its reaper was through with it, 2 s after it was
 * queued, or has given up, 1 s later. Earlier only one that is known to have next
 * to nothing left, whatever the kind: it would be in vain to wait for its exit.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_LITTLE_RULE_H
#define MEMRESCUE_REAPER_LITTLE_RULE_H

#include "pure.h"

/*
 * What of a victim may be left for its exit: this part, within these bounds (1
 * and 32 MiB), bytes.
 */
#define LITTLE_PART	64u
#define LITTLE_MIN	((u64)1 << 20)
#define LITTLE_MAX	((u64)32 << 20)

/*
 * OOM_REAPER_DELAY, and its MAX_OOM_REAP_RETRIES tries after that, milliseconds
 * from the mark on. The kernel queues a victim a little later, when it has said so
 * on the console.
 */
#define HIDE_DELAY_MS	2100u
#define HIDE_TRIES_MS	1000u

/**
 * memrescue_little() - how much is little?
 * @had_bytes: what the victim had
 *
 * Context: any.
 * Return: bytes.
 */
static inline u64 memrescue_little(u64 had_bytes)
{
	u64 little = had_bytes / LITTLE_PART;

	if (little < LITTLE_MIN)
		return LITTLE_MIN;
	return little < LITTLE_MAX ? little : LITTLE_MAX;
}

/* What a victim still has, bytes. */
struct little_left {
	u64 charged;	/* by its memory cgroup, others in it included */
	bool is_charged;	/* false: it is in none that has a limit of its own */
	u64 mapped;	/* resident, of all kinds, and swapped out */
	u64 tables;	/* page tables */
	u64 pinned;	/* pinned or locked */
	u64 stacks;	/* of its threads, in the kernel */
};

/**
 * memrescue_is_little() - is it known that little is left?
 * @left: what is left
 * @little: the limit, bytes
 *
 * Buffers of io_uring, files in memory (memfd, tmpfs) and sockets are told by the
 * charge alone: without it nothing is known.
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool memrescue_is_little(const struct little_left *left,
				       u64 little)
{
	return left->is_charged && left->charged <= little &&
	       left->mapped + left->tables + left->pinned + left->stacks <=
	       little;
}

/**
 * memrescue_hide_due() - would the stock kernel have hidden it by now?
 * @age_ms: since it was marked
 * @locked: mmap_lock is held by somebody
 * @stuck: nothing of it can be taken
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool memrescue_hide_due(u64 age_ms, bool locked, bool stuck)
{
	if (locked || stuck)
		return age_ms >= HIDE_DELAY_MS + HIDE_TRIES_MS;
	return age_ms >= HIDE_DELAY_MS;
}

#endif
