/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walk of a robust list as the kernel will make it when the thread exits
 * (exit_robust_list(), kernel/futex/core.c): what it will read and write is
 * kept. Step by step the same, so that it ends where the kernel's does.
 *
 * Context: any; no side effects but those of the reader.
 */
#ifndef MEMRESCUE_REAPER_ROBUST_LIST_H
#define MEMRESCUE_REAPER_ROBUST_LIST_H

#include "keep.h"
#include "pure.h"

/* The kernel's ROBUST_LIST_LIMIT. */
#define ROBUST_ENTRIES	2048u

/* So many entries are read before somebody else has a turn. */
#define ROBUST_BUDGET	(4 * ROBUST_ENTRIES)

/* What a reader finds at an address. */
enum robust_seen {
	ROBUST_THERE,
	ROBUST_AWAY,	/* it may be there for the thread, it cannot be read now */
	ROBUST_NOWHERE,	/* nor will the thread be able to read it */
};

/**
 * struct robust_reader - how lists are read
 * @see: read @len bytes of one page; with @buf NULL a futex word, whose contents
 *	do not matter: there need not be any if it lies in memory that stays
 * @taken: set by @see: it lies in memory that would be taken
 * @keep: takes up what the walk needs of such memory
 * @page_size: bytes
 * @mods: bits of a pointer to an entry that are flags
 * @budget: so many entries may be read, of all lists together
 */
struct robust_reader {
	enum robust_seen (*see)(struct robust_reader *reader,
				unsigned long addr, void *buf,
				unsigned int len);
	bool taken;
	struct keep *keep;
	unsigned long page_size;
	unsigned long mods;
	unsigned int budget;
};

/* The words of a list's head, of either kind. */
struct robust_words {
	unsigned long next;
	unsigned long offset;
	unsigned long pending;
};

/* Reads, and has the pages kept if that is asked for. No room: as if away. */
static inline enum robust_seen robust_see(struct robust_reader *r,
					  unsigned long addr, void *buf,
					  unsigned int len, bool keep)
{
	unsigned long in_page = addr & (r->page_size - 1);
	enum robust_seen seen;
	unsigned int part;

	for (; len; addr += part, len -= part, in_page = 0) {
		part = len;
		if (part > r->page_size - in_page)
			part = r->page_size - in_page;
		seen = r->see(r, addr, buf, part);
		if (seen != ROBUST_THERE)
			return seen;
		if (keep && r->taken &&
		    !memrescue_keep_page(r->keep, addr & ~(r->page_size - 1)))
			return ROBUST_AWAY;
		if (buf)
			buf = (char *)buf + part;
	}
	return ROBUST_THERE;
}

static inline enum robust_seen robust_see_head(struct robust_reader *r,
					       unsigned long head, bool narrow,
					       struct robust_words *words,
					       bool keep)
{
	enum robust_seen seen;
	u32 half[3];

	if (!narrow) {
		seen = robust_see(r, head, words, sizeof(*words), keep);
	} else {
		seen = robust_see(r, head, half, sizeof(half), keep);
		if (seen == ROBUST_THERE)
			*words = (struct robust_words){
				half[0], half[1], half[2] };
	}
	if (seen == ROBUST_THERE) {
		words->next &= ~r->mods;
		words->pending &= ~r->mods;
	}
	return seen;
}

static inline enum robust_seen robust_see_entry(struct robust_reader *r,
						unsigned long entry, bool narrow,
						unsigned long *next)
{
	enum robust_seen seen;
	u32 half;

	if (!narrow) {
		seen = robust_see(r, entry, next, sizeof(*next), true);
	} else {
		seen = robust_see(r, entry, &half, sizeof(half), true);
		if (seen == ROBUST_THERE)
			*next = half;
	}
	if (seen == ROBUST_THERE)
		*next &= ~r->mods;
	return seen;
}

/* The kernel gives up where the word is not aligned. */
static inline enum robust_seen robust_see_futex(struct robust_reader *r,
						unsigned long entry,
						unsigned long offset,
						bool narrow)
{
	unsigned long addr = entry + offset;

	if (narrow)
		addr = (u32)addr;
	if (addr % sizeof(u32))
		return ROBUST_NOWHERE;
	return robust_see(r, addr, NULL, sizeof(u32), true);
}

/**
 * memrescue_robust_keep() - keep what a thread needs to give up its locks
 * @r: the reader
 * @head: address of its list's head
 * @narrow: it is a 32-bit program's
 *
 * Of a thread that holds nothing, nothing is kept.
 *
 * Context: as the reader's.
 * Return: true if all of it is kept; false if something cannot be read, if there
 * is no room, or if the budget is used up.
 */
static inline bool memrescue_robust_keep(struct robust_reader *r,
					 unsigned long head, bool narrow)
{
	unsigned int limit = ROBUST_ENTRIES;
	unsigned long entry, next = 0;
	struct robust_words words;
	enum robust_seen seen, futex;

	seen = robust_see_head(r, head, narrow, &words, false);
	if (seen != ROBUST_THERE)
		return seen == ROBUST_NOWHERE;
	if (words.next == head && !words.pending)
		return true;
	if (robust_see_head(r, head, narrow, &words, true) != ROBUST_THERE)
		return false;
	for (entry = words.next; entry != head; entry = next) {
		if (!r->budget)
			return false;
		r->budget--;
		seen = robust_see_entry(r, entry, narrow, &next);
		if (seen == ROBUST_AWAY)
			return false;
		if (entry != words.pending) {
			futex = robust_see_futex(r, entry, words.offset, narrow);
			if (futex != ROBUST_THERE)
				return futex == ROBUST_NOWHERE;
		}
		if (seen == ROBUST_NOWHERE)
			return true;
		if (!--limit)
			break;
	}
	return !words.pending ||
	       robust_see_futex(r, words.pending, words.offset, narrow) !=
	       ROBUST_AWAY;
}

#endif
