/* SPDX-License-Identifier: GPL-2.0 */
/* What an OOM victim still has, and when it may be hidden: see little_rule.h. */
#ifndef MEMRESCUE_REAPER_LITTLE_H
#define MEMRESCUE_REAPER_LITTLE_H

#include <linux/types.h>

struct victim;

unsigned long memrescue_little_pages(const struct victim *v);
bool memrescue_has_spared(const struct victim *v);
bool memrescue_has_little(const struct victim *v);
bool memrescue_may_hide(const struct victim *v);

#endif
