// SPDX-License-Identifier: GPL-2.0
/* 5.16 on: a page can be asked for that is to be there already. */
#include <linux/mm.h>
unsigned int flags = FOLL_FORCE | FOLL_NOFAULT;
