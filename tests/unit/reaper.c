// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the reaper's pure parts: the states of a victim, the order of
 * victims, the cutting of ranges, the rule for robust futexes.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "reaper/order.h"
#include "reaper/range.h"
#include "reaper/robust_rule.h"
#include "reaper/little_rule.h"
#include "reaper/share_rule.h"
#include "reaper/spare_rule.h"
#include "reaper/state.h"

#define MIB	(1024ul * 1024)
#define ALIGN	(2 * MIB)

/* States */

static void test_state_normal_life(void **unused)
{
	static const struct { u32 event, state; } life[] = {
		{ VICTIM_EV_CLAIM, VICTIM_QUEUED },
		{ VICTIM_EV_ADOPT, VICTIM_SETTLING },
		{ VICTIM_EV_TAKE, VICTIM_WAITING },
		{ VICTIM_EV_ALLOWED, VICTIM_REAPING },
		{ VICTIM_EV_PASS_PARTIAL, VICTIM_REAPING },
		{ VICTIM_EV_PASS_DONE, VICTIM_RETURNED },
		{ VICTIM_EV_GONE, VICTIM_FREE },
	};
	u32 state = VICTIM_FREE;
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(life) / sizeof(life[0]); i++) {
		state = memrescue_victim_next(state, life[i].event);
		assert_int_equal(state, life[i].state);
	}
}

/* Every record that is in use can be dropped, or an unload would leak it. */
static void test_state_drop_from_anywhere(void **unused)
{
	u32 state;

	(void)unused;
	for (state = VICTIM_QUEUED; state < VICTIM_STATES; state++)
		assert_int_equal(memrescue_victim_next(state, VICTIM_EV_DROP),
				 VICTIM_FREE);
}

/* The victim may be gone at any time; its memory is back then. */
static void test_state_gone_from_anywhere(void **unused)
{
	(void)unused;
	assert_int_equal(memrescue_victim_next(VICTIM_QUEUED, VICTIM_EV_GONE),
			 VICTIM_FREE);
	assert_int_equal(memrescue_victim_next(VICTIM_WAITING, VICTIM_EV_GONE),
			 VICTIM_RETURNED);
	assert_int_equal(memrescue_victim_next(VICTIM_REAPING, VICTIM_EV_GONE),
			 VICTIM_RETURNED);
	assert_int_equal(memrescue_victim_next(VICTIM_RETURNED, VICTIM_EV_GONE),
			 VICTIM_FREE);
}

/* Memory is never touched before it was allowed. */
static void test_state_no_way_around_waiting(void **unused)
{
	u32 state, event;

	(void)unused;
	for (state = 0; state < VICTIM_STATES; state++)
		for (event = 0; event < VICTIM_EVENTS; event++) {
			u32 next = memrescue_victim_next(state, event);

			if (next != VICTIM_REAPING)
				continue;
			assert_true(state == VICTIM_WAITING ||
				    state == VICTIM_REAPING);
			if (state == VICTIM_WAITING)
				assert_int_equal(event, VICTIM_EV_ALLOWED);
		}
}

static void test_state_only_free_is_claimed(void **unused)
{
	u32 state;

	(void)unused;
	for (state = VICTIM_QUEUED; state < VICTIM_STATES; state++)
		assert_int_equal(memrescue_victim_next(state, VICTIM_EV_CLAIM),
				 VICTIM_INVALID);
}

static void test_state_out_of_range(void **unused)
{
	(void)unused;
	assert_int_equal(memrescue_victim_next(VICTIM_STATES, 0),
			 VICTIM_INVALID);
	assert_int_equal(memrescue_victim_next(0, VICTIM_EVENTS),
			 VICTIM_INVALID);
	assert_int_equal(memrescue_victim_next(UINT_MAX, UINT_MAX),
			 VICTIM_INVALID);
}

/* Order */

static void test_order_large_first(void **unused)
{
	(void)unused;
	assert_true(memrescue_order_weight(1000, false) > memrescue_order_weight(999, false));
	assert_true(memrescue_order_weight(1, true) > memrescue_order_weight(0, true));
}

/* What could not be done just now comes after what was not tried yet. */
static void test_order_tried_later(void **unused)
{
	(void)unused;
	assert_true(memrescue_order_weight(0, false) > memrescue_order_weight(UINT64_MAX, true));
	assert_true(memrescue_order_weight(UINT64_MAX, false) >= memrescue_order_weight(0, false));
}

/* How many records may be in use, and by whom */

static void test_share(void **unused)
{
	static const u32 records[] = { 16, 17, 1024, 4096 };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		u32 all = records[i], killed = memrescue_share_of(all, false);

		assert_int_equal(memrescue_share_of(all, true), all);
		/* A quarter is for nobody but victims of the OOM killer. */
		assert_true(killed >= 12 && (all - killed) * 4 >= all);
		assert_int_equal(memrescue_share_of_user(all, true), killed);
		/* Two users, and there is still room for the first of the two. */
		assert_true(memrescue_share_of_user(all, false) > 0);
		assert_true(memrescue_share_of_user(all, false) * 2 <= killed);
	}
	assert_int_equal(memrescue_share_of_user(1024, false), 384);
}

static void test_retry_grows_to_its_limit(void **unused)
{
	u32 i, last = 0;

	(void)unused;
	assert_int_equal(memrescue_retry_delay_ms(0, 16), 0);
	assert_int_equal(memrescue_retry_delay_ms(1, 16), 1);
	assert_int_equal(memrescue_retry_delay_ms(2, 16), 2);
	assert_int_equal(memrescue_retry_delay_ms(5, 16), 16);
	for (i = 1; i < 100; i++) {
		u32 delay = memrescue_retry_delay_ms(i, 100);

		assert_true(delay >= last && delay <= 100);
		last = delay;
	}
	assert_int_equal(last, 100);
	assert_int_equal(memrescue_retry_delay_ms(UINT_MAX, 100), 100);
}

/* Ranges */

/* Cut a whole mapping; returns the number of ranges. */
static unsigned long cut_all(unsigned long start, unsigned long end,
			     unsigned long want)
{
	unsigned long top = end, low, count = 0;

	while (top > start) {
		low = memrescue_range_cut(start, top, want, ALIGN);
		assert_true(low >= start && low < top);
		/* No cut goes through a huge page. */
		assert_true(low == start || !(low % ALIGN));
		top = low;
		count++;
	}
	assert_int_equal(top, start);
	return count;
}

static void test_range_covers_all(void **unused)
{
	static const struct { unsigned long start, length, want; } cases[] = {
		{ 0x1000, 0x1000, 32 * MIB },
		{ 0x1000, 32 * MIB, 32 * MIB },
		{ 0x201000, 33 * MIB, 32 * MIB },
		{ 0x7f0000001000, 1536 * MIB + 0x3000, 32 * MIB },
		{ 0x7f0000001000, 100 * MIB, 1 },
		{ 0x400000, 4 * MIB, ALIGN },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cut_all(cases[i].start, cases[i].start + cases[i].length,
			cases[i].want);
}

static void test_range_as_long_as_wanted(void **unused)
{
	unsigned long top = 0x7f0000000000ul;

	(void)unused;
	assert_int_equal(memrescue_range_cut(top - 256 * MIB, top, 32 * MIB,
					     ALIGN), top - 32 * MIB);
	assert_int_equal(memrescue_range_cut(top - 16 * MIB, top, 32 * MIB,
					     ALIGN), top - 16 * MIB);
	/* The cut is rounded down: a little longer, never shorter. */
	assert_int_equal(memrescue_range_cut(top - 256 * MIB, top + 0x1000,
					     32 * MIB, ALIGN),
			 top - 32 * MIB);
}

static void test_range_top_of_address_space(void **unused)
{
	(void)unused;
	cut_all(ULONG_MAX - 64 * MIB, ULONG_MAX, 32 * MIB);
}

/* Robust futexes */

static void test_robust_rule(void **unused)
{
	static const struct {
		struct robust_view view;
		bool look, begun;
	} cases[] = {
		/* passed, registered, begun */
		{ { true, true, true }, false, false },
		{ { true, false, false }, false, false },
		{ { false, false, false }, false, false },
		{ { false, false, true }, false, false },
		{ { false, true, false }, true, false },
		{ { false, true, true }, true, true },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(memrescue_robust_needs(&cases[i].view,
							ROBUST_LOOK),
				 cases[i].look);
		assert_int_equal(memrescue_robust_needs(&cases[i].view,
							ROBUST_COLLECT),
				 cases[i].begun);
		assert_int_equal(memrescue_robust_needs(&cases[i].view,
							ROBUST_BEGUN),
				 cases[i].begun);
	}
}

static void test_others_to_find(void **unused)
{
	(void)unused;
	assert_int_equal(memrescue_others_to_find(3, 3, 3, 0), 0);
	assert_int_equal(memrescue_others_to_find(4, 4, 3, 0), 1);
	/* One of its threads leaves, or joins, while they are counted. */
	assert_int_equal(memrescue_others_to_find(4, 3, 2, 0), 2);
	assert_int_equal(memrescue_others_to_find(3, 4, 3, 0), 1);
	/* Nobody's threads, that was seen before: until there are more. */
	assert_int_equal(memrescue_others_to_find(5, 5, 3, 2), 0);
	assert_int_equal(memrescue_others_to_find(4, 4, 2, 2), 0);
	assert_int_equal(memrescue_others_to_find(5, 5, 2, 2), 3);
}

/*
 * One walk over lists with the keys 1 to n, from one of them on and around,
 * downwards. Every third can be read. Returns how many were looked at.
 */
static unsigned long walk_lists(struct robust_aside *aside, unsigned long n,
				unsigned long first)
{
	unsigned long i, key, looks = 0;

	memrescue_robust_round(aside);
	for (i = 0; i < n; i++) {
		key = (first + n - i) % n + 1;
		if (memrescue_robust_pass_over(aside, key))
			continue;
		looks++;
		if (key % 3)
			memrescue_robust_put_aside(aside, key);
	}
	return looks;
}

/* Each list comes up in one round, whatever the order they are met in. */
static void test_robust_aside_all(void **unused)
{
	static const unsigned long sizes[] = {
		0, 1, 2, ROBUST_ASIDE - 1, ROBUST_ASIDE, ROBUST_ASIDE + 1, 2000
	};
	unsigned long first, n, next;
	struct robust_aside aside;
	unsigned int i, rounds;
	size_t s;

	(void)unused;
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		n = sizes[s];
		for (first = 0; first < n || !first; first++) {
			memrescue_robust_first(&aside);
			next = n;
			rounds = 0;
			do {
				walk_lists(&aside, n, first);
				for (i = 0; i < aside.nr; i++, next--) {
					next -= next % 3 ? 0 : 1;
					assert_int_equal(aside.keys[i], next);
				}
				rounds++;
			} while (aside.more);
			assert_int_equal(next, 0);
			assert_true(rounds <= n / ROBUST_ASIDE + 1);
		}
	}
}

/* In the usual order, from the highest key downwards, each is looked at once. */
static void test_robust_aside_cost(void **unused)
{
	struct robust_aside aside;
	unsigned long looks = 0;

	(void)unused;
	memrescue_robust_first(&aside);
	do
		looks += walk_lists(&aside, 3000, 2999);
	while (aside.more);
	assert_int_equal(looks, 3000);
}

/* Threads that share a list, and one that appears above the bound. */
static void test_robust_aside_twice(void **unused)
{
	struct robust_aside aside;

	(void)unused;
	memrescue_robust_first(&aside);
	memrescue_robust_round(&aside);
	memrescue_robust_put_aside(&aside, 5);
	memrescue_robust_put_aside(&aside, 7);
	memrescue_robust_put_aside(&aside, 5);
	memrescue_robust_put_aside(&aside, 7);
	assert_int_equal(aside.nr, 2);
	assert_false(aside.more);
	memrescue_robust_round(&aside);
	assert_true(memrescue_robust_pass_over(&aside, 6));
	assert_true(memrescue_robust_pass_over(&aside, 5));
	assert_false(memrescue_robust_pass_over(&aside, 4));
	assert_int_equal(aside.nr, 0);
	assert_false(aside.more);
}

/* However often it is asked about: when was a kill put off for the last time? */
static u64 last_put_off(unsigned int every_ms)
{
	static struct spare_reason reasons[SPARE_REASONS];
	u64 begin = 5000, now, last = 0;

	memset(reasons, 0, sizeof(reasons));
	for (now = begin; now < begin + 20 * SPARE_MS; now += every_ms)
		if (memrescue_spare_allowed(reasons, reasons, 7, now))
			last = now - begin + 1;
	return last;
}

static void test_spare_bounded(void **unused)
{
	static const unsigned int every[] = { 1, 10, 150, 999, 1000, 5000 };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
		assert_true(last_put_off(every[i]) > 0);
		assert_true(last_put_off(every[i]) <= SPARE_MS);
	}
}

/* Others do not use up its time, nor does one that was there before. */
static void test_spare_each_by_itself(void **unused)
{
	static struct spare_reason reasons[SPARE_REASONS];
	u64 id;

	(void)unused;
	assert_true(memrescue_spare_allowed(reasons, reasons, 1, 0));
	assert_true(memrescue_spare_allowed(reasons, reasons, 2, SPARE_MS));
	assert_false(memrescue_spare_allowed(reasons, reasons, 1, SPARE_MS));
	assert_true(memrescue_spare_allowed(reasons, reasons + 1, 1, SPARE_MS));
	/* There is no room for more than so many. */
	for (id = 3; id < SPARE_REASONS; id++)
		assert_true(memrescue_spare_allowed(reasons, reasons, id, SPARE_MS));
	assert_false(memrescue_spare_allowed(reasons, reasons, id, SPARE_MS));
	assert_true(memrescue_spare_allowed(reasons, reasons, id - 1, SPARE_MS));
	/* A clock that goes back by a little gives it no time. */
	assert_false(memrescue_spare_allowed(reasons, reasons, 1, SPARE_MS));
	assert_true(memrescue_spare_allowed(reasons, reasons, 2, SPARE_MS - 1));
	assert_false(memrescue_spare_allowed(reasons, reasons, 2, 2 * SPARE_MS));
	/* It is forgotten when nothing was put off for it for long. */
	assert_true(memrescue_spare_allowed(reasons, reasons, 1,
					    SPARE_MS + SPARE_FORGET_MS + 1));
}

static void test_robust_wait_is_stocks(void **unused)
{
	(void)unused;
	assert_false(memrescue_robust_expired(0));
	assert_false(memrescue_robust_expired(1999));
	assert_true(memrescue_robust_expired(2000));
}

/* One that gets on in nothing. */
static bool comes(struct spare_exit *e, struct spare_look look, u64 age_ms)
{
	return memrescue_spare_comes(e, &look, true, age_ms, 100000 + age_ms);
}

/* For how long is it waited for, asked about every millisecond? */
static u64 waited(struct spare_look look, u64 from_ms, bool moves)
{
	struct spare_exit e = { 0 };
	u64 age;

	for (age = from_ms; age < 10 * SPARE_TOTAL_MS; age++) {
		look.sum += moves;
		if (!comes(&e, look, age))
			break;
	}
	return age - from_ms;
}

static void test_spare_exit(void **unused)
{
	static const struct {
		struct spare_look look;
		bool moves;
		u64 from_ms, ms;
	} table[] = {
		/* As long as the kernel would, if it saw it. */
		{ { .charge = -1 }, false, 0, SPARE_KERNEL_MS },
		/* Stuck for good, and hidden: as on the stock kernel. */
		{ { .hidden = true, .charge = -1 }, false, 2100, 0 },
		{ { .hidden = true, .charge = -1 }, true, 2100, 0 },
		/* It exits, and gets on, or not. */
		{ { .hidden = true, .exits = true, .charge = -1 }, true, 100, SPARE_FALLS_MS - 100 },
		{ { .hidden = true, .exits = true, .charge = -1 }, false, 100, SPARE_STALL_MS },
		{ { .hidden = true, .mm_there = true, .charge = -1 }, false, 100, SPARE_MS },
		{ { .hidden = true, .runs = true, .charge = -1 }, false, 100, SPARE_TOTAL_MS - 100 },
		/* What it had is back. */
		{ { .hidden = true, .runs = true, .little = true, .charge = 1 }, true, 100, 0 },
		/* It has ended. */
		{ { .hidden = true, .ended = true, .charge = -1 }, false, 100, SPARE_REST_MS },
		{ { .ended = true, .charge = -1 }, false, 100, SPARE_REST_MS },
		{ { .hidden = true, .ended = true, .lags = true, .charge = -1 }, false, 100, SPARE_URING_MS },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(waited(table[i].look, table[i].from_ms, table[i].moves), table[i].ms);
}

/* A victim whose cgroup gives back a little at a time is waited for longer, not for ever. */
static void test_spare_falls(void **unused)
{
	struct spare_look look = { .hidden = true, .runs = true, .charge = (u64)1 << 40 };
	struct spare_exit e = { 0 };
	u64 age;

	(void)unused;
	for (age = 100; comes(&e, look, age); age += 100)
		look.charge -= SPARE_CHARGE;
	assert_int_equal(age, SPARE_FALLS_MS);
	/* What others charge to it does not count, nor what they give back. */
	memset(&e, 0, sizeof(e));
	for (age = 100; comes(&e, look, age); age += 100)
		look.charge ^= SPARE_CHARGE;
	assert_true(age <= SPARE_TOTAL_MS + SPARE_MS);
}

static void test_little(void **unused)
{
	const u64 mib = 1 << 20;
	struct little_left left = { .charged = mib, .is_charged = true };

	(void)unused;
	assert_int_equal(memrescue_little(0), mib);
	assert_int_equal(memrescue_little(640 * mib), 10 * mib);
	assert_int_equal(memrescue_little((u64)-1), 32 * mib);
	assert_true(memrescue_is_little(&left, mib));
	left.charged++;
	assert_false(memrescue_is_little(&left, mib));
	left = (struct little_left){ .is_charged = false };
	assert_false(memrescue_is_little(&left, mib));
	left = (struct little_left){ .is_charged = true, .mapped = mib / 4, .tables = mib / 4, .pinned = mib / 4,
				     .stacks = mib / 4 };
	assert_true(memrescue_is_little(&left, mib));
	left.stacks++;
	assert_false(memrescue_is_little(&left, mib));
}

/* Never before the stock kernel: 2 s, or 3 if it cannot have the lock. */
static void test_hide_due(void **unused)
{
	(void)unused;
	assert_false(memrescue_hide_due(2000, false, false));
	assert_true(memrescue_hide_due(HIDE_DELAY_MS, false, false));
	assert_false(memrescue_hide_due(3000, true, false));
	assert_false(memrescue_hide_due(3000, false, true));
	assert_true(memrescue_hide_due(HIDE_DELAY_MS + HIDE_TRIES_MS, true, true));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_normal_life),
		cmocka_unit_test(test_state_drop_from_anywhere),
		cmocka_unit_test(test_state_gone_from_anywhere),
		cmocka_unit_test(test_state_no_way_around_waiting),
		cmocka_unit_test(test_state_only_free_is_claimed),
		cmocka_unit_test(test_state_out_of_range),
		cmocka_unit_test(test_order_large_first),
		cmocka_unit_test(test_order_tried_later),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_retry_grows_to_its_limit),
		cmocka_unit_test(test_range_covers_all),
		cmocka_unit_test(test_range_as_long_as_wanted),
		cmocka_unit_test(test_range_top_of_address_space),
		cmocka_unit_test(test_robust_rule),
		cmocka_unit_test(test_others_to_find),
		cmocka_unit_test(test_spare_bounded),
		cmocka_unit_test(test_spare_each_by_itself),
		cmocka_unit_test(test_spare_exit),
		cmocka_unit_test(test_spare_falls),
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_hide_due),
		cmocka_unit_test(test_robust_aside_all),
		cmocka_unit_test(test_robust_aside_cost),
		cmocka_unit_test(test_robust_aside_twice),
		cmocka_unit_test(test_robust_wait_is_stocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
