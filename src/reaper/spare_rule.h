/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For how long may the OOM killer be put off?
 *
 * Something may be in the way of what is waited for: so for each reason there is
 * a limit, however often it is asked about in that time; and for a victim that
 * exits a closer one from when it was last seen to get on.
 *
 * Context: any; no side effects but those on the table or on what is remembered
 * of the exit, which the caller protects.
 */
#ifndef MEMRESCUE_REAPER_SPARE_RULE_H
#define MEMRESCUE_REAPER_SPARE_RULE_H

#include "pure.h"

/* So long, from the first time on. */
#define SPARE_MS	1000u

/*
 * A reason is forgotten when nothing was put off for it for so long. Whoever is put
 * off asks again when it has tried to reclaim, which may take seconds.
 */
#define SPARE_FORGET_MS	30000u

/* Reasons that are remembered. If there are more, there is no putting off. */
#define SPARE_REASONS	256u

/* Milliseconds of a clock that may differ a little between CPUs. */
struct spare_reason {
	const void *what;	/* only compared; NULL: no reason */
	u64 id;			/* tells it from one that was there before */
	u64 since_ms;
	u64 last_ms;
};

/* Its entry, or an unused one, or NULL. */
static inline struct spare_reason *
memrescue_spare_find(struct spare_reason *reasons, const void *what, u64 id,
		     u64 now_ms)
{
	struct spare_reason *reason, *unused = NULL;

	for (reason = reasons; reason < reasons + SPARE_REASONS; reason++) {
		if (!reason->what ||
		    now_ms > reason->last_ms + SPARE_FORGET_MS)
			unused = reason;
		else if (reason->what == what && reason->id == id)
			return reason;
	}
	if (unused) {
		unused->what = what;
		unused->id = id;
		unused->since_ms = now_ms;
		unused->last_ms = now_ms;
	}
	return unused;
}

/**
 * memrescue_spare_allowed() - may a kill be put off once more for that reason?
 * @reasons: table of SPARE_REASONS, all zero at first
 * @what: the reason, not NULL
 * @id: see struct spare_reason
 * @now_ms: milliseconds
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool memrescue_spare_allowed(struct spare_reason *reasons,
					   const void *what, u64 id,
					   u64 now_ms)
{
	struct spare_reason *reason;

	reason = memrescue_spare_find(reasons, what, id, now_ms);
	if (!reason || now_ms >= reason->since_ms + SPARE_MS)
		return false;
	if (now_ms > reason->last_ms)
		reason->last_ms = now_ms;
	return true;
}

/* The kernel itself waits for a victim that long, if it sees it: 2 s, and 1 s of tries. */
#define SPARE_KERNEL_MS		3000u

/*
 * Nobody is waited for that was marked so long ago, but for one that is seen to exit, or
 * whose cgroup has less and less charged.
 */
#define SPARE_TOTAL_MS		5000u
#define SPARE_FALLS_MS		15000u

/*
 * Where the exit does not get on, and its memory is not to be seen any more (files
 * and such may be left), or the exit is over and kernel threads have the rest to do:
 * so long. The exit of an io_uring waits for RCU first.
 */
#define SPARE_STALL_MS		200u
#define SPARE_REST_MS		50u
#define SPARE_URING_MS		250u

/* A victim is remembered for so long after its exit. */
#define SPARE_KEPT_MS		500u

/* What its cgroup has charged must fall by so much to count, bytes. */
#define SPARE_CHARGE		((u64)128 << 10)

/* What is to be seen of a victim's exit. */
struct spare_look {
	bool hidden;	/* from the OOM killer */
	bool mm_there;	/* exit_mmap() is at work */
	bool runs;	/* a thread that has not ended could run now */
	bool exits;	/* one is in do_exit() */
	bool ended;	/* all threads have */
	bool lags;	/* it uses an io_uring */
	bool little;	/* what it had is known to be back, but for a little */
	u64 sum;	/* changes as it gets on */
	u64 charge;	/* falls as it gets on, bytes; all ones: not known */
};

/* What is remembered of it; all zero at first. Milliseconds. */
struct spare_exit {
	u64 sum;
	u64 charge;
	u64 moved_ms;	/* it was last seen to have got on; 0: not looked at */
	u64 fell_ms;	/* the charge was last seen to have fallen; 0: never */
	u64 ended_ms;	/* all threads have ended; 0: not yet */
	bool lags;
};

/**
 * memrescue_spare_note() - compare what is seen with what was seen before
 * @e: what is remembered
 * @look: what is seen
 * @now_ms: milliseconds
 *
 * Context: any.
 */
static inline void memrescue_spare_note(struct spare_exit *e,
					const struct spare_look *look,
					u64 now_ms)
{
	bool first = !e->moved_ms;
	bool fell = !first && look->charge < e->charge &&
		    e->charge - look->charge >= SPARE_CHARGE;

	e->lags |= look->lags;
	if (first || fell)
		e->charge = look->charge;
	if (fell)
		e->fell_ms = now_ms;
	if (first || fell || look->sum != e->sum)
		e->moved_ms = now_ms;
	e->sum = look->sum;
	if (look->ended && !e->ended_ms)
		e->ended_ms = now_ms;
}

static inline bool memrescue_spare_within(u64 since_ms, u64 now_ms, u64 limit_ms)
{
	return now_ms < since_ms + limit_ms;
}

/* All of its threads have ended: what kernel threads may still have to do. */
static inline bool memrescue_spare_rest(const struct spare_exit *e, u64 now_ms)
{
	return memrescue_spare_within(e->ended_ms, now_ms, e->lags ?
				      SPARE_URING_MS : SPARE_REST_MS) ||
	       memrescue_spare_within(e->moved_ms, now_ms, SPARE_REST_MS);
}

/* It takes long, but gets on: a group that has little CPU time, for instance. */
static inline bool memrescue_spare_late(const struct spare_exit *e,
					const struct spare_look *look,
					u64 age_ms, u64 now_ms)
{
	u64 last_ms = look->exits ? e->moved_ms : e->fell_ms;

	return !look->little && last_ms && age_ms < SPARE_FALLS_MS &&
	       memrescue_spare_within(last_ms, now_ms, SPARE_MS);
}

/**
 * memrescue_spare_comes() - is there something of that victim to wait for?
 * @e: what is remembered of its exit
 * @look: what is seen
 * @blind: the OOM killer may not see it, and would wait for it if it did
 * @age_ms: since it was marked
 * @now_ms: milliseconds
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool memrescue_spare_comes(struct spare_exit *e,
					 const struct spare_look *look,
					 bool blind, u64 age_ms, u64 now_ms)
{
	memrescue_spare_note(e, look, now_ms);
	if (age_ms >= SPARE_TOTAL_MS)
		return memrescue_spare_late(e, look, age_ms, now_ms);
	if (blind && !look->hidden && !look->ended && age_ms < SPARE_KERNEL_MS)
		return true;
	if (look->little)
		return false;
	if (look->mm_there)
		return look->runs ||
		       memrescue_spare_within(e->moved_ms, now_ms, SPARE_MS);
	if (look->ended)
		return memrescue_spare_rest(e, now_ms);
	if (look->runs)
		return true;
	return look->exits &&
	       memrescue_spare_within(e->moved_ms, now_ms, SPARE_STALL_MS);
}

#endif
