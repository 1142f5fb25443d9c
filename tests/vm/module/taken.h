/* SPDX-License-Identifier: GPL-2.0 */
/* MRT_TAKE_OOM_KILL of the tests' helper module. */
#ifndef MEMRESCUE_TEST_TAKEN_H
#define MEMRESCUE_TEST_TAKEN_H

long mrt_take_oom_kill(unsigned long on);

#endif
