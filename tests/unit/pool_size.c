// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of how many pages of the pool belong where.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "pool/size.h"

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

static unsigned int random_below(unsigned int limit)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 32) % limit;
}

static uint64_t all_slots(const struct pool_size *size)
{
	return (uint64_t)pool_size_cpu_slots(size) * size->cpus +
	       (uint64_t)pool_size_node_slots(size) * size->nodes;
}

static uint64_t all_targets(const struct pool_size *size)
{
	return (uint64_t)pool_size_cpu_target(size) * size->cpus +
	       (uint64_t)pool_size_node_target(size) * size->nodes;
}

static void check_slots(const struct pool_size *size)
{
	uint64_t common = size->cap > size->reserved ?
			  size->cap - size->reserved : 0;

	/* With the reserves that is not more than the cap. */
	assert_true(all_slots(size) <= common);
	/* What cannot be divided is all that is left unused. */
	assert_true(common - all_slots(size) < size->nodes);
	assert_true(pool_size_cpu_slots(size) <= SHELF_SLOTS);
	assert_true(pool_size_base(size) <= size->base);
	assert_true(pool_size_base(size) <= pool_size_cpu_slots(size));
	/* In need of room, the base of the CPUs comes first. */
	if (common >= (uint64_t)size->base * size->cpus)
		assert_int_equal(pool_size_base(size),
				 pool_size_min(size->base, SHELF_SLOTS));
	assert_true(pool_size_most_extra(size) <= common);
}

/* For each @extra up to the most, or beyond it after the cap was lowered. */
static void check_targets(const struct pool_size *size)
{
	uint64_t base = (uint64_t)pool_size_base(size) * size->cpus;

	assert_true(pool_size_cpu_target(size) <= pool_size_cpu_slots(size));
	assert_true(pool_size_node_target(size) <= pool_size_node_slots(size));
	assert_true(pool_size_cpu_target(size) >= pool_size_base(size));
	assert_true(all_targets(size) <= base + size->extra);
	if (!size->extra)
		assert_int_equal(all_targets(size), base);
	if (size->extra >= pool_size_most_extra(size))
		assert_int_equal(all_targets(size), all_slots(size));
}

/* Growth gets to the most in a few steps, each of them a real one. */
static void check_growth(struct pool_size size)
{
	unsigned int grown, steps = 0, most = pool_size_most_extra(&size);
	uint64_t twice;

	while (size.extra < most) {
		grown = pool_size_grown(&size);
		twice = 2 * (uint64_t)size.extra;
		assert_true(grown > size.extra && grown <= most);
		assert_true(grown == most || grown >= twice);
		size.extra = grown;
		check_targets(&size);
		assert_true(++steps <= 33);
	}
	/* And does not go on when it is there, or has been beyond. */
	assert_int_equal(pool_size_grown(&size), most);
}

static void check_decay(struct pool_size size)
{
	unsigned int decayed, steps = 0;

	while (size.extra) {
		decayed = pool_size_decayed(&size);
		assert_true(decayed <= size.extra / 2);
		size.extra = decayed;
		check_targets(&size);
		assert_true(++steps <= 32);
	}
	assert_int_equal(pool_size_decayed(&size), 0);
}

static void check_size(struct pool_size *size)
{
	check_slots(size);
	check_targets(size);
	check_growth(*size);
	check_decay(*size);
}

/* @cap and @reserved given: every small number of everything else. */
static void check_small_sizes(unsigned int cap, unsigned int reserved)
{
	struct pool_size size = { .cap = cap, .reserved = reserved };

	for (size.base = 1; size.base <= 5; size.base++)
		for (size.cpus = 1; size.cpus <= 4; size.cpus++)
			for (size.nodes = 1; size.nodes <= 3; size.nodes++)
				for (size.extra = 0; size.extra <= cap + 1;
				     size.extra++)
					check_size(&size);
}

static void test_size_small(void **unused)
{
	unsigned int cap, reserved;

	(void)unused;
	for (cap = 0; cap <= 24; cap++)
		for (reserved = 0; reserved <= cap + 1; reserved++)
			check_small_sizes(cap, reserved);
}

/* A number with any count of bits: small ones are as likely as large ones. */
static unsigned int random_up_to(unsigned int most)
{
	unsigned int number = random_below(UINT_MAX) >> random_below(32);

	return most == UINT_MAX ? number : number % (most + 1);
}

static void test_size_large(void **unused)
{
	struct pool_size size;
	unsigned int i;

	(void)unused;
	for (i = 0; i < 200000; i++) {
		size.cap = i % 64 ? random_up_to(UINT_MAX) : UINT_MAX;
		size.reserved = random_up_to(size.cap);
		/* Beyond what can be set, and beyond a shelf */
		size.base = 1 + random_up_to(99);
		size.cpus = 1 + random_up_to(8191);
		size.nodes = 1 + random_up_to(1023);
		size.extra = random_up_to(pool_size_most_extra(&size));
		check_size(&size);
		size.extra = 0;
		check_growth(size);
		size.extra = pool_size_most_extra(&size);
		check_decay(size);
	}
}

static void test_size_cases(void **unused)
{
	static const struct {
		struct pool_size size;
		unsigned int cpu_slots, node_slots, cpu_target, node_target;
	} cases[] = {
		/* cap, reserved, base, extra, cpus, nodes */
		{ { 1000, 0, 12, 0, 2, 1 }, 24, 952, 12, 0 },
		{ { 1000, 100, 12, 0, 2, 1 }, 24, 852, 12, 0 },
		/* Extra pages go to the CPUs first, then to the nodes. */
		{ { 1000, 0, 12, 24, 2, 1 }, 24, 952, 24, 0 },
		{ { 1000, 0, 12, 64, 2, 1 }, 24, 952, 24, 40 },
		{ { 1000, 0, 12, 65, 2, 2 }, 24, 476, 24, 20 },
		/* A shelf is never larger than it is. */
		{ { 1000, 0, 32, 62, 2, 1 }, 63, 874, 63, 0 },
		/* Caps that leave little, or nothing. */
		{ { 20, 0, 12, 0, 2, 1 }, 10, 0, 10, 0 },
		{ { 41, 0, 12, 17, 2, 1 }, 20, 1, 20, 1 },
		{ { 100, 99, 12, 0, 2, 1 }, 0, 1, 0, 0 },
		{ { 100, 100, 12, 0, 2, 1 }, 0, 0, 0, 0 },
		{ { 100, 4000, 12, 7, 2, 1 }, 0, 0, 0, 0 },
		{ { 0, 0, 12, 0, 2, 1 }, 0, 0, 0, 0 },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(cases); i++) {
		const struct pool_size *size = &cases[i].size;

		assert_int_equal(pool_size_cpu_slots(size), cases[i].cpu_slots);
		assert_int_equal(pool_size_node_slots(size), cases[i].node_slots);
		assert_int_equal(pool_size_cpu_target(size), cases[i].cpu_target);
		assert_int_equal(pool_size_node_target(size), cases[i].node_target);
	}
}

static void test_size_growth_and_decay(void **unused)
{
	static const struct {
		unsigned int extra, grown, decayed;
	} cases[] = {
		/* 24 pages of base, at most 976 beyond it */
		{ 0, 24, 0 }, { 24, 48, 0 }, { 95, 190, 0 }, { 96, 192, 24 },
		{ 99, 198, 24 }, { 384, 768, 96 }, { 487, 974, 121 },
		{ 488, 976, 122 }, { 976, 976, 244 }, { 2000, 976, 500 },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct pool_size size = {
			.cap = 1000, .base = 12, .cpus = 2, .nodes = 1,
			.extra = cases[i].extra,
		};

		assert_int_equal(pool_size_grown(&size), cases[i].grown);
		assert_int_equal(pool_size_decayed(&size), cases[i].decayed);
	}
}

/*
 * The shrinker and a lowered cap leave any number of extra pages: the next
 * misses still add a base at once.
 */
static void test_size_growth_from_little(void **unused)
{
	struct pool_size size = {
		.cap = 1000, .base = 12, .cpus = 2, .nodes = 1,
	};

	(void)unused;
	for (size.extra = 0; size.extra < 24; size.extra++)
		assert_true(pool_size_grown(&size) >= 24);
}

static void test_size_node_part(void **unused)
{
	unsigned int i;

	(void)unused;
	assert_int_equal(pool_size_node_part(8, 1), 8);
	assert_int_equal(pool_size_node_part(8, 3), 3);
	assert_int_equal(pool_size_node_part(UINT_MAX, 1023), 4198405);
	for (i = 0; i < 200000; i++) {
		uint64_t shares = random_up_to(UINT_MAX);
		uint64_t nodes = 1 + random_up_to(1023);
		uint64_t part = pool_size_node_part(shares, nodes);

		assert_true(part * nodes >= shares);
		assert_true(part * nodes < shares + nodes);
	}
}

/* As much memory, whatever the size of a page. */
static void test_size_scaled(void **unused)
{
	(void)unused;
	assert_int_equal(POOL_SIZE_SCALED(12, 12, 2), 12);
	assert_int_equal(POOL_SIZE_SCALED(12, 14, 2), 3);
	assert_int_equal(POOL_SIZE_SCALED(12, 16, 2), 2);
	assert_int_equal(POOL_SIZE_SCALED(16384, 16, 1), 1024);
}

/* The worker fills a shelf up to its target, so the mark must be one that it can pass. */
static void test_size_low(void **unused)
{
	static const unsigned int lows[] = {
		0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 8,
	};
	unsigned int target;

	(void)unused;
	for (target = 0; target < COUNT_OF(lows); target++)
		assert_int_equal(pool_size_low(target), lows[target]);
	for (target = 2; target <= SHELF_SLOTS; target++) {
		assert_in_range(pool_size_low(target), 1, POOL_SIZE_LOW);
		assert_true(pool_size_low(target) < target);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_small),
		cmocka_unit_test(test_size_large),
		cmocka_unit_test(test_size_cases),
		cmocka_unit_test(test_size_node_part),
		cmocka_unit_test(test_size_scaled),
		cmocka_unit_test(test_size_low),
		cmocka_unit_test(test_size_growth_and_decay),
		cmocka_unit_test(test_size_growth_from_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
