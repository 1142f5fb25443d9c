// SPDX-License-Identifier: GPL-2.0
/* 5.18 on: mlocked pages are counted, exit_mmap() does not walk them. */
#include <linux/mm_types.h>
unsigned int probe(struct folio *folio);
unsigned int probe(struct folio *folio)
{
	return folio->mlock_count;
}
