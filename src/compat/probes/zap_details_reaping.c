// SPDX-License-Identifier: GPL-2.0
/* 7.1 or 7.2 on: what is zapped for a reaper is told apart. */
#include <linux/mm.h>
struct zap_details probe = { .reaping = true };
