/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many records may be in use, and by whom.
 *
 * A quarter is kept for victims of the OOM killer. Of the others no user but root may
 * have more than half: what an unprivileged one kills does not keep the records from
 * the victims of everybody else.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_REAPER_SHARE_RULE_H
#define MEMRESCUE_REAPER_SHARE_RULE_H

#include "pure.h"

/**
 * memrescue_share_of() - records for victims of a kind
 * @records: how many there are
 * @oom: of the OOM killer
 *
 * Context: any.
 * Return: how many may be in use when another one is taken.
 */
static inline u32 memrescue_share_of(u32 records, bool oom)
{
	return oom ? records : records / 4 * 3;
}

/**
 * memrescue_share_of_user() - records for what the OOM killer has not marked
 * @records: how many there are
 * @root: is the user root?
 *
 * Context: any.
 * Return: how many the victims of one user may have.
 */
static inline u32 memrescue_share_of_user(u32 records, bool root)
{
	u32 share = memrescue_share_of(records, false);

	return root ? share : share / 2;
}

#endif
