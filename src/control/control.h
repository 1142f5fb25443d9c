/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Knobs and statistics below /sys/class/misc/memrescue/.
 *
 * Context: process context, may sleep.
 * Lock order: control.c's mutex, or rescue.c's, then that of the hooks, then the
 * pool's.
 */
#ifndef MEMRESCUE_CONTROL_CONTROL_H
#define MEMRESCUE_CONTROL_CONTROL_H

#include <linux/sysfs.h>

extern const struct attribute_group memrescue_reaper_group;
/* Both are files of the directory pool. */
extern const struct attribute_group memrescue_pool_group;
extern const struct attribute_group memrescue_rescue_group;

int memrescue_control_init(void);
void memrescue_control_exit(void);
bool memrescue_control_enabled(void);
int memrescue_control_enable(bool on);
void memrescue_control_rescue_start(void);
void memrescue_control_rescue_stop(void);

#endif
