/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For how long may the OOM killer be put off?
 *
 * Something may be in the way of what is waited for: so for each reason there is
 * a limit, however often it is asked about in that time.
 *
 * Context: any; no side effects but those on the table, which the caller protects.
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

#endif
