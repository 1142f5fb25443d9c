/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shrinkers, written as for the newest kernel, where they are allocated (6.7).
 * Only registering, which can fail on older ones, has a name of its own.
 *
 * Context: process context, may sleep.
 */
#ifndef MEMRESCUE_COMPAT_SHRINKER_H
#define MEMRESCUE_COMPAT_SHRINKER_H

#include <linux/shrinker.h>
#include <linux/slab.h>
#include "memrescue_config.h"

#ifdef HAVE_SHRINKER_ALLOC
static inline int compat_shrinker_register(struct shrinker *shrinker)
{
	shrinker_register(shrinker);
	return 0;
}
#else
static inline struct shrinker *shrinker_alloc(unsigned int flags,
					      const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker) {
		shrinker->flags = flags;
		shrinker->seeks = DEFAULT_SEEKS;
	}
	return shrinker;
}

static inline int compat_shrinker_register(struct shrinker *shrinker)
{
#ifdef HAVE_REGISTER_SHRINKER_NAMED
	return register_shrinker(shrinker, "memrescue-pool");
#else
	return register_shrinker(shrinker);
#endif
}

/* Also one that was not registered. */
static inline void shrinker_free(struct shrinker *shrinker)
{
	if (shrinker && shrinker->nr_deferred)
		unregister_shrinker(shrinker);
	kfree(shrinker);
}
#endif

#endif
