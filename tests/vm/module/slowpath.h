/* SPDX-License-Identifier: GPL-2.0 */
/* MRT_SLOWPATH_* of the tests' helper module. */
#ifndef MEMRESCUE_TEST_SLOWPATH_H
#define MEMRESCUE_TEST_SLOWPATH_H

long mrt_slowpath_watch(unsigned long on);
long mrt_slowpath_calls(void);

#endif
