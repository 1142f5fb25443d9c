// SPDX-License-Identifier: GPL-2.0
/* Unit tests of the rule by which a dying process is left alone while it gets on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "reaper/settle_rule.h"

static u32 settles(u64 waited_ms, u64 users, u64 pages, bool uses, bool blocked)
{
	const struct settle_look look = {
		.waited_ms = waited_ms, .users = users, .users_before = 1, .pages = pages, .pages_before = 100,
		.uses = uses, .blocked = blocked,
	};

	return memrescue_settle_rule(&look);
}

static void test_settle(void **unused)
{
	(void)unused;
	/* Blocked: after 50 ms, however much of it there is. */
	assert_int_equal(settles(SETTLE_MS - 1, 1, 100, true, true), SETTLE_WAIT);
	assert_int_equal(settles(SETTLE_MS, 1, 100, true, true), SETTLE_TAKE);
	/* It waits for a CPU: after a second. */
	assert_int_equal(settles(SETTLE_MOST_MS - 1, 1, 100, true, false), SETTLE_WAIT);
	assert_int_equal(settles(SETTLE_MOST_MS, 1, 100, true, false), SETTLE_TAKE);
	/* exit_mmap() is at work, or is not. */
	assert_int_equal(settles(5000, 0, 99, false, false), SETTLE_WAIT);
	assert_int_equal(settles(5000, 0, 100, false, false), SETTLE_TAKE);
	/* It has left what another one uses. */
	assert_int_equal(settles(0, 1, 100, false, false), SETTLE_GONE);
}

/* Whenever the worker gets to it, one that is blocked is taken by the third look, and at 50 ms if none is late. */
static void test_settle_looks(void **unused)
{
	u64 first, at;

	(void)unused;
	for (first = 0; first < 2 * SETTLE_MS; first++) {
		unsigned int looks = 1;

		for (at = first; settles(at, 1, 100, true, true) == SETTLE_WAIT; looks++) {
			u32 next = memrescue_settle_next_ms(at);

			assert_true(next > 0 && next <= SETTLE_LOOK_MS);
			at += next;
		}
		assert_true(looks <= 3);
		assert_int_equal(at, first < SETTLE_MS ? SETTLE_MS : first);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_settle_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
