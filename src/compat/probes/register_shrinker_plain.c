// SPDX-License-Identifier: GPL-2.0
/* group: shrinker exactly-one */
/* Up to 5.19. */
#include <linux/mm.h>
#include <linux/shrinker.h>
int (*probe)(struct shrinker *shrinker) = register_shrinker;
