// SPDX-License-Identifier: GPL-2.0
/* group: shrinker exactly-one */
/* 6.0 to 6.6: shrinkers have a name. */
#include <linux/mm.h>
#include <linux/shrinker.h>
int (*probe)(struct shrinker *shrinker, const char *fmt, ...) =
	register_shrinker;
