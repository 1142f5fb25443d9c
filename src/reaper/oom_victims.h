/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The OOM victims that are under way, for the hook of oom_kill_process().
 *
 * A hook that sees one marked adds it, without a lock. The hook that asks has
 * oom_lock, and so has the worker that removes those that are over: what is in
 * the table stays while somebody looks. Who finds no room is not in it, and
 * for that one all is as on the stock kernel.
 *
 * Context: see each function.
 */
#ifndef MEMRESCUE_REAPER_OOM_VICTIMS_H
#define MEMRESCUE_REAPER_OOM_VICTIMS_H

#include <linux/mm_types.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/types.h>

bool memrescue_oom_victims_any(void);
void memrescue_oom_victims_add(struct task_struct *task, struct mm_struct *mm);
bool memrescue_oom_victims_coming(const struct oom_control *oc);
void memrescue_oom_victims_sweep(void);
void memrescue_oom_victims_clear(void);

#endif
