/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Doing something while an address space is in use for sure: see in_use.c.
 */
#ifndef MEMRESCUE_REAPER_IN_USE_H
#define MEMRESCUE_REAPER_IN_USE_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct victim;

typedef void (*memrescue_in_use_fn)(struct mm_struct *mm, void *arg);

bool memrescue_while_in_use(const struct victim *v, memrescue_in_use_fn fn,
			    void *arg);
void memrescue_find_user(struct victim *v);

#endif
