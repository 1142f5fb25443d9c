// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the pool's shelves and racks, one context at a time. Many
 * contexts: pool_threads.c, and the model in tests/model.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pool/rack.h"
#include "pool/shelf.h"

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

#define MAX_SHELVES	7u
#define MAX_PAGES	(MAX_SHELVES * SHELF_SLOTS + 1)

/* Pages are addresses in here, and never touched. */
static char pages[MAX_PAGES];

/* Hints that are right, wrong, and out of range. */
static const unsigned int hints[] = {
	0, 1, 5, 31, 62, 63, 64, INT_MAX, (unsigned int)INT_MAX + 1,
	UINT_MAX - 1, UINT_MAX,
};

static unsigned int random_below(unsigned int limit)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 32) % limit;
}

/* Shelf */

static unsigned int full_slots(const struct pool_shelf *shelf)
{
	unsigned int i, n = 0;

	for (i = 0; i < SHELF_SLOTS; i++)
		n += !!shelf->slots[i];
	return n;
}

/* With nobody else at it, the count is exact. */
static void check_shelf(struct pool_shelf *shelf, unsigned int count)
{
	assert_int_equal(full_slots(shelf), count);
	assert_int_equal(pool_shelf_count(shelf), count);
}

/* @nr pages, in the slots from 0 on. */
static void fill_shelf(struct pool_shelf *shelf, unsigned int nr)
{
	unsigned int i;

	memset(shelf, 0, sizeof(*shelf));
	for (i = 0; i < nr; i++)
		assert_true(pool_shelf_put(shelf, &pages[i], SHELF_SLOTS));
	check_shelf(shelf, nr);
}

static void test_shelf_is_made_of_zeros(void **unused)
{
	struct pool_shelf shelf = { 0 };

	(void)unused;
	assert_null(pool_shelf_take(&shelf));
	check_shelf(&shelf, 0);
}

/* What was put last is still in the cache, and is taken first. */
static void test_shelf_last_in_first_out(void **unused)
{
	struct pool_shelf shelf;
	unsigned int nr, i;

	(void)unused;
	for (nr = 0; nr <= SHELF_SLOTS; nr++) {
		fill_shelf(&shelf, nr);
		for (i = nr; i--; )
			assert_ptr_equal(pool_shelf_take(&shelf), &pages[i]);
		assert_null(pool_shelf_take(&shelf));
		check_shelf(&shelf, 0);
	}
}

static void test_shelf_full(void **unused)
{
	struct pool_shelf shelf;
	size_t i;

	(void)unused;
	fill_shelf(&shelf, SHELF_SLOTS);
	for (i = 0; i < COUNT_OF(hints); i++) {
		shelf.top = hints[i];
		assert_false(pool_shelf_put(&shelf, &pages[MAX_PAGES - 1],
					    SHELF_SLOTS));
		check_shelf(&shelf, SHELF_SLOTS);
	}
}

/* Wherever the only page lies, and whatever the hint says, it is found. */
static void test_shelf_finds_the_only_page(void **unused)
{
	struct pool_shelf shelf;
	unsigned int at;
	size_t i;

	(void)unused;
	for (at = 0; at < SHELF_SLOTS; at++)
		for (i = 0; i < COUNT_OF(hints); i++) {
			memset(&shelf, 0, sizeof(shelf));
			shelf.slots[at] = &pages[at];
			shelf.count = 1;
			shelf.top = hints[i];
			assert_ptr_equal(pool_shelf_take(&shelf), &pages[at]);
			check_shelf(&shelf, 0);
		}
}

static void test_shelf_finds_the_only_room(void **unused)
{
	struct pool_shelf shelf;
	unsigned int at;
	size_t i;

	(void)unused;
	for (at = 0; at < SHELF_SLOTS; at++)
		for (i = 0; i < COUNT_OF(hints); i++) {
			fill_shelf(&shelf, SHELF_SLOTS);
			shelf.slots[at] = NULL;
			shelf.count--;
			shelf.top = hints[i];
			assert_true(pool_shelf_put(&shelf, &pages[at],
						   SHELF_SLOTS));
			assert_ptr_equal(shelf.slots[at], &pages[at]);
			check_shelf(&shelf, SHELF_SLOTS);
		}
}

/* So many may be used, and they are the first ones. */
static void test_shelf_limit(void **unused)
{
	static const unsigned int limits[] = { 0, 1, 2, 5, 62, 63 };
	struct pool_shelf shelf;
	unsigned int n, slot;
	size_t i, j;

	(void)unused;
	for (i = 0; i < COUNT_OF(limits); i++)
		for (j = 0; j < COUNT_OF(hints); j++) {
			memset(&shelf, 0, sizeof(shelf));
			for (n = 0; n < limits[i]; n++) {
				shelf.top = hints[j];
				assert_true(pool_shelf_put(&shelf, &pages[n],
							   limits[i]));
			}
			shelf.top = hints[j];
			assert_false(pool_shelf_put(&shelf, &pages[n],
						    limits[i]));
			check_shelf(&shelf, limits[i]);
			for (slot = limits[i]; slot < SHELF_SLOTS; slot++)
				assert_null(shelf.slots[slot]);
		}
}

/* Pages above a limit that was lowered are taken like the others. */
static void test_shelf_lowered_limit(void **unused)
{
	struct pool_shelf shelf;
	unsigned int n;

	(void)unused;
	fill_shelf(&shelf, SHELF_SLOTS);
	assert_false(pool_shelf_put(&shelf, &pages[MAX_PAGES - 1], 5));
	shelf.slots[3] = NULL;
	shelf.count--;
	assert_true(pool_shelf_put(&shelf, &pages[3], 5));
	assert_ptr_equal(shelf.slots[3], &pages[3]);
	for (n = SHELF_SLOTS; n--; )
		assert_non_null(pool_shelf_take(&shelf));
	assert_null(pool_shelf_take(&shelf));
	check_shelf(&shelf, 0);
}

/* A page whose put is not over cannot be taken yet. */
static void test_shelf_no_permit_no_page(void **unused)
{
	static const int counts[] = { 0, -1, INT_MIN };
	struct pool_shelf shelf;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(counts); i++) {
		fill_shelf(&shelf, 1);
		shelf.count = counts[i];
		assert_null(pool_shelf_take(&shelf));
		assert_int_equal(shelf.count, counts[i]);
		assert_int_equal(pool_shelf_count(&shelf), 0);
		assert_ptr_equal(shelf.slots[0], &pages[0]);
	}
}

/*
 * Never so when alone, but as when others move the pages away from each look:
 * it ends, and the permit is there again.
 */
static void test_shelf_gives_permit_back(void **unused)
{
	struct pool_shelf shelf = { .count = 3 };
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(hints); i++) {
		shelf.top = hints[i];
		assert_null(pool_shelf_take(&shelf));
		assert_int_equal(shelf.count, 3);
	}
}

/* Takes and puts in any order, limit and hint: no page is lost or doubled. */
static void test_shelf_at_random(void **unused)
{
	struct pool_shelf shelf = { 0 };
	bool inside[SHELF_SLOTS + 1] = { 0 };
	unsigned int round, page, slots, count = 0;
	char *taken;

	(void)unused;
	for (round = 0; round < 200000; round++) {
		if (!random_below(4))
			shelf.top = hints[random_below(COUNT_OF(hints))];
		page = random_below(COUNT_OF(inside));
		if (inside[page]) {
			taken = pool_shelf_take(&shelf);
			assert_non_null(taken);
			assert_true(inside[taken - pages]);
			inside[taken - pages] = false;
			count--;
		} else {
			slots = random_below(4) ? SHELF_SLOTS :
						  random_below(SHELF_SLOTS + 1);
			inside[page] = pool_shelf_put(&shelf, &pages[page],
						      slots);
			count += inside[page];
			if (slots > count)
				assert_true(inside[page]);
		}
		assert_int_equal(pool_shelf_count(&shelf), count);
	}
	check_shelf(&shelf, count);
}

/* Rack */

static struct pool_shelf shelves[MAX_SHELVES];

static void make_rack(struct pool_rack *rack, unsigned int nr)
{
	memset(shelves, 0, sizeof(shelves));
	*rack = (struct pool_rack){ .nr = nr, .shelves = shelves };
}

static void check_rack(struct pool_rack *rack, unsigned int count)
{
	unsigned int i, n = 0;

	for (i = 0; i < rack->nr; i++) {
		check_shelf(&shelves[i], pool_shelf_count(&shelves[i]));
		n += full_slots(&shelves[i]);
	}
	assert_int_equal(n, count);
	assert_int_equal(pool_rack_stock(rack), count);
}

static void test_rack_slots(void **unused)
{
	static const struct { unsigned int shelf, pages, slots; } cases[] = {
		{ 0, 0, 0 }, { 0, 1, 1 }, { 0, 62, 62 }, { 0, 63, 63 },
		{ 0, 64, 63 }, { 1, 0, 0 }, { 1, 63, 0 }, { 1, 64, 1 },
		{ 1, 126, 63 }, { 2, 126, 0 }, { 2, 130, 4 },
		{ 0, UINT_MAX, 63 }, { 1000, UINT_MAX, 63 },
		{ UINT_MAX / SHELF_SLOTS, UINT_MAX, UINT_MAX % SHELF_SLOTS },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(pool_rack_slots(cases[i].shelf,
						 cases[i].pages),
				 cases[i].slots);
}

/* Each page that fits goes in, the next one does not, and all come out. */
static void fill_and_empty_rack(unsigned int nr, unsigned int limit,
				unsigned int near)
{
	unsigned int n, room = limit < nr * SHELF_SLOTS ? limit : nr * SHELF_SLOTS;
	bool inside[MAX_PAGES] = { 0 };
	struct pool_rack rack;
	char *page;

	make_rack(&rack, nr);
	for (n = 0; n < room; n++) {
		rack.near = near;
		assert_true(pool_rack_put(&rack, &pages[n], limit));
		inside[n] = true;
	}
	rack.near = near;
	assert_false(pool_rack_put(&rack, &pages[n], limit));
	check_rack(&rack, room);
	for (n = 0; n < nr; n++)
		assert_int_equal(pool_shelf_count(&shelves[n]),
				 pool_rack_slots(n, limit));
	for (n = 0; n < room; n++) {
		rack.near = near;
		page = pool_rack_take(&rack);
		assert_non_null(page);
		assert_true(inside[page - pages]);
		inside[page - pages] = false;
	}
	assert_null(pool_rack_take(&rack));
	check_rack(&rack, 0);
}

static void test_rack_full_and_empty(void **unused)
{
	static const unsigned int limits[] = {
		0, 1, 62, 63, 64, 130, 200, MAX_PAGES - 1, UINT_MAX
	};
	unsigned int nr;
	size_t i, j;

	(void)unused;
	for (nr = 0; nr <= MAX_SHELVES; nr++)
		for (i = 0; i < COUNT_OF(limits); i++)
			for (j = 0; j < COUNT_OF(hints); j++)
				fill_and_empty_rack(nr, limits[i], hints[j]);
}

/* The shelf where something was done last comes first. */
static void test_rack_stays_near(void **unused)
{
	struct pool_rack rack;
	unsigned int n;

	(void)unused;
	make_rack(&rack, MAX_SHELVES);
	rack.near = 3;
	for (n = 0; n < SHELF_SLOTS; n++) {
		assert_true(pool_rack_put(&rack, &pages[n], MAX_PAGES - 1));
		assert_int_equal(pool_shelf_count(&shelves[3]), n + 1);
	}
	assert_true(pool_rack_put(&rack, &pages[n], MAX_PAGES - 1));
	assert_int_equal(pool_shelf_count(&shelves[4]), 1);
	assert_int_equal(rack.near, 4);
	for (n = SHELF_SLOTS + 1; n--; )
		assert_ptr_equal(pool_rack_take(&rack), &pages[n]);
	assert_int_equal(rack.near, 3);
	check_rack(&rack, 0);
}

static void test_rack_finds_the_only_page(void **unused)
{
	struct pool_rack rack;
	unsigned int at;
	size_t i;

	(void)unused;
	for (at = 0; at < MAX_SHELVES; at++)
		for (i = 0; i < COUNT_OF(hints); i++) {
			make_rack(&rack, MAX_SHELVES);
			shelves[at].slots[at] = &pages[at];
			shelves[at].count = 1;
			rack.stock = 1;
			rack.near = hints[i];
			assert_ptr_equal(pool_rack_take(&rack), &pages[at]);
			check_rack(&rack, 0);
		}
}

/* Above a limit that was lowered nothing is put, and everything is found. */
static void test_rack_lowered_limit(void **unused)
{
	struct pool_rack rack;
	unsigned int n, full = 4 * SHELF_SLOTS;
	unsigned int low = SHELF_SLOTS + 10;

	(void)unused;
	make_rack(&rack, 4);
	for (n = 0; n < full; n++)
		assert_true(pool_rack_put(&rack, &pages[n], full));
	assert_false(pool_rack_put(&rack, &pages[n], low));
	for (n = full; n > low; n--)
		assert_non_null(pool_rack_take(&rack));
	assert_false(pool_rack_put(&rack, &pages[n], 0));
	for (; n; n--)
		assert_non_null(pool_rack_take(&rack));
	assert_null(pool_rack_take(&rack));
	check_rack(&rack, 0);
}

/* While others are at it, the stock may lag behind, below 0 even. */
static void test_rack_stock_lags_behind(void **unused)
{
	static const int stocks[] = { 0, -1, INT_MIN };
	struct pool_rack rack;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(stocks); i++) {
		make_rack(&rack, 2);
		assert_true(pool_rack_put(&rack, &pages[0], 100));
		rack.stock = stocks[i];
		assert_int_equal(pool_rack_stock(&rack), 0);
		assert_null(pool_rack_take(&rack));
		assert_int_equal(rack.stock, stocks[i]);
	}
	make_rack(&rack, 2);
	rack.stock = 1;
	assert_null(pool_rack_take(&rack));
	assert_int_equal(rack.stock, 1);
}

static void test_rack_at_random(void **unused)
{
	const unsigned int limits[] = { 0, 10, 64, 150, 3 * SHELF_SLOTS };
	bool inside[3 * SHELF_SLOTS + 1] = { 0 };
	unsigned int round, page, count = 0;
	struct pool_rack rack;
	char *taken;

	(void)unused;
	make_rack(&rack, 3);
	for (round = 0; round < 200000; round++) {
		if (!random_below(4))
			rack.near = hints[random_below(COUNT_OF(hints))];
		page = random_below(COUNT_OF(inside));
		if (inside[page]) {
			taken = pool_rack_take(&rack);
			assert_non_null(taken);
			assert_true(inside[taken - pages]);
			inside[taken - pages] = false;
			count--;
		} else {
			inside[page] = pool_rack_put(&rack, &pages[page],
						     limits[random_below(5)]);
			count += inside[page];
		}
		assert_int_equal(pool_rack_stock(&rack), count);
	}
	check_rack(&rack, count);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shelf_is_made_of_zeros),
		cmocka_unit_test(test_shelf_last_in_first_out),
		cmocka_unit_test(test_shelf_full),
		cmocka_unit_test(test_shelf_finds_the_only_page),
		cmocka_unit_test(test_shelf_finds_the_only_room),
		cmocka_unit_test(test_shelf_limit),
		cmocka_unit_test(test_shelf_lowered_limit),
		cmocka_unit_test(test_shelf_no_permit_no_page),
		cmocka_unit_test(test_shelf_gives_permit_back),
		cmocka_unit_test(test_shelf_at_random),
		cmocka_unit_test(test_rack_slots),
		cmocka_unit_test(test_rack_full_and_empty),
		cmocka_unit_test(test_rack_stays_near),
		cmocka_unit_test(test_rack_finds_the_only_page),
		cmocka_unit_test(test_rack_lowered_limit),
		cmocka_unit_test(test_rack_stock_lags_behind),
		cmocka_unit_test(test_rack_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
