/* SPDX-License-Identifier: GPL-2.0 */
/* MRT_ALLOC of the tests' helper module. */
#ifndef MEMRESCUE_TEST_ALLOC_H
#define MEMRESCUE_TEST_ALLOC_H

#include <linux/compiler.h>

long mrt_alloc(void __user *arg);

#endif
