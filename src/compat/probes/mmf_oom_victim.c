// SPDX-License-Identifier: GPL-2.0
/* Up to 5.19: exit_mmap() synchronizes only with the reaper of marked mms. */
#include <linux/sched/coredump.h>
int probe = MMF_OOM_VICTIM;
