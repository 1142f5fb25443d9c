// SPDX-License-Identifier: GPL-2.0
/* group: shrinker exactly-one */
/* 6.7 on: shrinkers are allocated. */
#include <linux/mm.h>
#include <linux/shrinker.h>
struct shrinker *(*probe)(unsigned int flags, const char *fmt, ...) =
	shrinker_alloc;
