// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the reaper's pure parts: the pages that are kept, and the walk of
 * a robust list that finds them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "reaper/keep.h"
#include "reaper/range.h"
#include "reaper/robust_list.h"

#define MIB	(1024ul * 1024)

/* Pages that are kept */

static void test_keep_sorted(void **unused)
{
	struct keep keep = { 0 };
	unsigned long i, page;

	(void)unused;
	for (i = 0; i < 3 * KEEP_PAGES; i++) {
		page = (i * 37 % KEEP_PAGES + 1) * 4096;
		assert_true(memrescue_keep_page(&keep, page));
	}
	assert_int_equal(keep.nr, KEEP_PAGES);
	for (i = 0; i < KEEP_PAGES; i++)
		assert_int_equal(keep.pages[i], (i + 1) * 4096);
	assert_false(memrescue_keep_page(&keep, 0));
	assert_false(memrescue_keep_page(&keep, MIB));
	assert_true(memrescue_keep_page(&keep, 4096));
}

/* All of a mapping is taken, from the top, but for the pages that are kept. */
static void take_but_kept(const struct keep *keep, unsigned long start,
			  unsigned long end)
{
	bool taken[32] = { false };
	unsigned long top, from, to, page;
	unsigned int i;

	for (top = end; top > start; top = from) {
		to = top;
		from = memrescue_range_cut(start, top, 4, 4);
		from = memrescue_keep_cut(keep, from, &to, 1);
		assert_true(from >= start && from <= to && to <= top);
		assert_true(from < top);
		for (page = from; page < to; page++)
			taken[page] = true;
	}
	for (i = 0; i < keep->nr; i++) {
		assert_false(taken[keep->pages[i]]);
		taken[keep->pages[i]] = true;
	}
	for (page = start; page < end; page++)
		assert_true(taken[page]);
	for (i = 0; i < keep->nr; i++)
		taken[keep->pages[i]] = false;
	for (page = 0; page < 32; page++)
		assert_true(!taken[page] || (page >= start && page < end));
}

static void test_keep_cut(void **unused)
{
	unsigned long bits, start, end, page;
	struct keep keep;

	(void)unused;
	for (bits = 0; bits < 1ul << 14; bits++) {
		keep.nr = 0;
		for (page = 0; page < 14; page++)
			if (bits & 1ul << page)
				memrescue_keep_page(&keep, page + 1);
		for (start = 0; start < 4; start++)
			for (end = 12; end < 17; end++)
				take_but_kept(&keep, start, end);
	}
}

/* The walk of a list: memory of some pages of 64 bytes, some of which are away. */

#define W_PAGE		64ul
#define W_PAGES		160ul
#define W_BASE		(1000 * W_PAGE)

static struct walk {
	struct robust_reader reader;
	struct keep keep;
	unsigned char mem[W_PAGES * W_PAGE];
	bool away[W_PAGES], nowhere[W_PAGES], shared[W_PAGES];
} walk;

static enum robust_seen walk_see(struct robust_reader *reader,
				 unsigned long addr, void *buf,
				 unsigned int len)
{
	unsigned long at = addr - W_BASE, page = at / W_PAGE;

	if (addr < W_BASE || page >= W_PAGES || walk.nowhere[page])
		return ROBUST_NOWHERE;
	assert_int_equal(page, (at + len - 1) / W_PAGE);
	reader->taken = !walk.shared[page];
	if (walk.away[page] && (buf || reader->taken))
		return ROBUST_AWAY;
	if (buf)
		memcpy(buf, walk.mem + at, len);
	return ROBUST_THERE;
}

static void walk_init(void)
{
	memset(&walk, 0, sizeof(walk));
	walk.reader = (struct robust_reader){
		.see = walk_see, .keep = &walk.keep, .page_size = W_PAGE,
		.mods = 1, .budget = ROBUST_BUDGET,
	};
}

static void put(unsigned long addr, unsigned long value, bool narrow)
{
	memcpy(walk.mem + (addr - W_BASE), &value, narrow ? 4 : 8);
}

#define W_HEAD		(W_BASE + W_PAGE - 16)	/* crosses the end of a page */
#define W_ENTRY(i)	(W_BASE + (2 * (i) + 2) * W_PAGE)
#define W_OFFSET	(W_PAGE + 8)		/* the word is on the next page */

/* A list of @n entries, the last of which leads to @end. */
static void make_list(unsigned int n, unsigned long end, unsigned long pending,
		      bool narrow)
{
	unsigned int width = narrow ? 4 : 8, i;

	walk_init();
	put(W_HEAD, (n ? W_ENTRY(0) : end) | 1, narrow);
	put(W_HEAD + width, W_OFFSET, narrow);
	put(W_HEAD + 2 * width, pending, narrow);
	for (i = 0; i < n; i++)
		put(W_ENTRY(i), i + 1 < n ? W_ENTRY(i + 1) | 1 : end, narrow);
}

static bool is_kept(unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < walk.keep.nr; i++)
		if (walk.keep.pages[i] == addr - addr % W_PAGE)
			return true;
	return false;
}

static bool walk_list(bool narrow)
{
	walk.keep.nr = 0;
	return memrescue_robust_keep(&walk.reader, W_HEAD, narrow);
}

static void test_walk_keeps_all(void **unused)
{
	unsigned int narrow, n, i;

	(void)unused;
	for (narrow = 0; narrow < 2; narrow++) {
		for (n = 0; n < 20; n++) {
			make_list(n, W_HEAD, 0, narrow);
			assert_true(walk_list(narrow));
			/* The narrow head is in one page. */
			assert_int_equal(walk.keep.nr,
					 n ? 2 * n + 2 - narrow : 0);
			for (i = 0; i < n; i++) {
				assert_true(is_kept(W_ENTRY(i)));
				assert_true(is_kept(W_ENTRY(i) + W_OFFSET));
			}
			assert_int_equal(is_kept(W_HEAD), n > 0);
		}
	}
}

static void test_walk_pending(void **unused)
{
	(void)unused;
	make_list(0, W_HEAD, W_ENTRY(3), false);
	assert_true(walk_list(false));
	assert_true(is_kept(W_HEAD) && is_kept(W_HEAD + W_PAGE));
	assert_true(is_kept(W_ENTRY(3) + W_OFFSET));
	assert_int_equal(walk.keep.nr, 3);
	walk.away[(W_ENTRY(3) + W_OFFSET - W_BASE) / W_PAGE] = true;
	assert_false(walk_list(false));
	/* It is on the list, too. */
	make_list(2, W_HEAD, W_ENTRY(1), false);
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 6);
}

/* Whatever is away of what is needed: nothing may be taken. */
static void test_walk_away(void **unused)
{
	unsigned int i;

	(void)unused;
	for (i = 0; i < 12; i++) {
		make_list(5, W_HEAD, 0, false);
		walk.away[i] = true;
		assert_false(walk_list(false));
	}
	walk.away[11] = false;
	walk.away[12] = true;
	assert_true(walk_list(false));
}

/* What stays anyhow need not be there, but to be read. */
static void test_walk_shared(void **unused)
{
	unsigned long page = (W_ENTRY(1) + W_OFFSET - W_BASE) / W_PAGE;

	(void)unused;
	make_list(3, W_HEAD, 0, false);
	walk.shared[page] = true;
	walk.away[page] = true;
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 7);
	walk.shared[page - 1] = true;
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 6);
	walk.away[page - 1] = true;
	assert_false(walk_list(false));
}

/* It ends where the kernel's ends: at what nobody can read. */
static void test_walk_garbage(void **unused)
{
	unsigned long page = (W_ENTRY(2) - W_BASE) / W_PAGE;

	(void)unused;
	make_list(5, 8, W_ENTRY(6), false);
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 12);
	make_list(5, W_HEAD, 0, false);
	walk.nowhere[page] = true;
	walk.away[page + 4] = true;
	assert_true(walk_list(false));
	/* Its futex is looked at before. */
	assert_int_equal(walk.keep.nr, 7);
	make_list(5, W_HEAD, 0, false);
	walk.nowhere[page + 1] = true;
	walk.away[page + 4] = true;
	assert_true(walk_list(false));
	/* A word that is not aligned. */
	make_list(5, W_HEAD, 0, false);
	put(W_HEAD + 8, W_OFFSET + 2, false);
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 3);
	walk.nowhere[0] = true;
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 0);
}

static void test_walk_loop(void **unused)
{
	(void)unused;
	make_list(5, W_ENTRY(0), 0, false);
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, 12);
	assert_int_equal(walk.reader.budget, ROBUST_BUDGET - ROBUST_ENTRIES);
	/* Not more of them than somebody else can wait for. */
	while (walk.reader.budget >= ROBUST_ENTRIES)
		assert_true(walk_list(false));
	assert_false(walk_list(false));
	assert_int_equal(walk.reader.budget, 0);
}

static void test_walk_too_many(void **unused)
{
	(void)unused;
	make_list(KEEP_PAGES / 2 - 1, W_HEAD, 0, false);
	assert_true(walk_list(false));
	assert_int_equal(walk.keep.nr, KEEP_PAGES);
	make_list(KEEP_PAGES / 2, W_HEAD, 0, false);
	assert_false(walk_list(false));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_sorted),
		cmocka_unit_test(test_keep_cut),
		cmocka_unit_test(test_walk_keeps_all),
		cmocka_unit_test(test_walk_pending),
		cmocka_unit_test(test_walk_away),
		cmocka_unit_test(test_walk_shared),
		cmocka_unit_test(test_walk_garbage),
		cmocka_unit_test(test_walk_loop),
		cmocka_unit_test(test_walk_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
