// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the reaper's queues: the order in which victims are taken, and that
 * a step costs no more, but for the depth of a heap, when there are more of them.
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

#define RECORDS	4096	/* REAPER_MAX_RECORDS */

/* ---- a heap ---- */

static struct heap_node nodes[RECORDS];
static struct heap_node *places[RECORDS];

static void heap_clear(struct heap *heap)
{
	memset(nodes, 0, sizeof(nodes));
	*heap = (struct heap){ .nodes = places };
}

/* Every node knows its place, and none is before its parent. */
static void check_heap(const struct heap *heap)
{
	u32 place;

	for (place = 1; place <= heap->nr; place++) {
		assert_int_equal(heap->nodes[place - 1]->place, place);
		if (place > 1)
			assert_true(heap->nodes[place / 2 - 1]->key <= heap->nodes[place - 1]->key);
	}
}

/* Added, moved and removed at random; then taken out in order. */
static void test_heap(void **unused)
{
	struct heap heap;
	u64 last = 0;
	u32 i;

	(void)unused;
	srandom(1);
	heap_clear(&heap);
	assert_null(memrescue_heap_first(&heap));
	for (i = 0; i < 50000; i++) {
		struct heap_node *node = &nodes[random() % 300];

		if (random() % 3)
			memrescue_heap_put(&heap, node, random() % 1000);
		else
			memrescue_heap_remove(&heap, node);
		check_heap(&heap);
	}
	while (heap.nr) {
		struct heap_node *first = memrescue_heap_first(&heap);

		assert_true(first->key >= last);
		last = first->key;
		memrescue_heap_remove(&heap, first);
		assert_int_equal(first->place, 0);
		check_heap(&heap);
	}
}

static void test_heap_full(void **unused)
{
	struct heap heap;
	u32 i;

	(void)unused;
	heap_clear(&heap);
	for (i = 0; i < RECORDS; i++)
		memrescue_heap_put(&heap, &nodes[i], RECORDS - i);
	check_heap(&heap);
	assert_ptr_equal(memrescue_heap_first(&heap), &nodes[RECORDS - 1]);
	for (i = 0; i < RECORDS; i++)
		memrescue_heap_remove(&heap, &nodes[i]);
	assert_int_equal(heap.nr, 0);
	/* In none: nothing happens. */
	memrescue_heap_remove(&heap, &nodes[0]);
	assert_int_equal(heap.nr, 0);
}

/* ---- whose turn is it? ---- */

struct record {
	struct turn turn;
	u64 marked_ns;
	u64 pages;
	u64 next;
	bool tried;
};

static struct record records[RECORDS];
static struct turns turns;
static struct heap_node *room[3][RECORDS];

static void turns_clear(void)
{
	memset(records, 0, sizeof(records));
	turns = (struct turns){ .later.nodes = room[0], .oldest.nodes = room[1], .heaviest.nodes = room[2] };
}

static void due(struct record *r)
{
	memrescue_turn_remove(&r->turn);
	memrescue_turn_due(&turns, &r->turn, r->marked_ns, memrescue_order_weight(r->pages, r->tried));
}

static void later(struct record *r, u64 when)
{
	memrescue_turn_remove(&r->turn);
	r->next = when;
	memrescue_turn_later(&turns, &r->turn, when);
}

/* The rule, by comparing two of them: does @a come before @b? */
static bool comes_before(const struct record *a, const struct record *b, u64 now_ns)
{
	bool old_a = now_ns >= a->marked_ns + ORDER_AGED_NS, old_b = now_ns >= b->marked_ns + ORDER_AGED_NS;

	if (old_a || old_b)
		return old_a && (!old_b || a->marked_ns < b->marked_ns);
	if (a->tried != b->tried)
		return b->tried;
	return a->pages > b->pages;
}

/* None that is due comes before the first. */
static void check_first(u32 nr, u64 now_ns)
{
	struct record *first = (struct record *)memrescue_turn_first(&turns, now_ns);
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!records[i].turn.due)
			continue;
		assert_non_null(first);
		assert_false(comes_before(&records[i], first, now_ns));
	}
	assert_true(!first || first->turn.due);
}

static void test_turns_order(void **unused)
{
	const u32 nr = 60;
	u64 now = ORDER_AGED_NS;
	u32 i;

	(void)unused;
	srandom(2);
	turns_clear();
	for (i = 0; i < 50000; i++) {
		struct record *r = &records[random() % nr];

		now += random() % (ORDER_AGED_NS / 50);
		switch (random() % 4) {
		case 0:
			memrescue_turn_remove(&r->turn);
			break;
		case 1:
			later(r, random());
			break;
		default:
			/* One that was tried keeps its age; a new one has none. */
			r->tried = random() % 2;
			if (!r->tried)
				r->marked_ns = now - random() % 1000;
			r->pages = random() % 100;
			due(r);
		}
		check_first(nr, now);
	}
}

/* However many and large the new ones are, one that waited comes before them, tried or not. */
static void test_turns_nothing_starves(void **unused)
{
	u32 i;

	(void)unused;
	turns_clear();
	records[0] = (struct record){ .marked_ns = 5, .tried = true };
	due(&records[0]);
	for (i = 1; i < RECORDS; i++) {
		records[i] = (struct record){ .marked_ns = 6, .pages = UINT64_MAX - i };
		due(&records[i]);
	}
	assert_ptr_not_equal(memrescue_turn_first(&turns, 5), &records[0].turn);
	assert_ptr_not_equal(memrescue_turn_first(&turns, 4 + ORDER_AGED_NS), &records[0].turn);
	assert_ptr_equal(memrescue_turn_first(&turns, 5 + ORDER_AGED_NS), &records[0].turn);
}

static void test_turns_waiting(void **unused)
{
	u32 i;

	(void)unused;
	turns_clear();
	assert_null(memrescue_turn_waiting(&turns));
	for (i = 0; i < 100; i++)
		later(&records[i], 1000 - i);
	assert_ptr_equal(memrescue_turn_waiting(&turns), &records[99].turn);
	assert_null(memrescue_turn_first(&turns, UINT64_MAX));
	due(&records[99]);
	assert_ptr_equal(memrescue_turn_waiting(&turns), &records[98].turn);
	assert_ptr_equal(memrescue_turn_first(&turns, 0), &records[99].turn);
}

/* ---- what a step costs ---- */

static u64 visits(void)
{
	return turns.later.visits + turns.oldest.visits + turns.heaviest.visits;
}

/* A worker's step, as queue.c does it: what is due becomes so, the first is taken, and tried again later. */
static bool step(u32 nr, u64 now)
{
	struct turn *turn;

	while ((turn = memrescue_turn_waiting(&turns)) && turn->time.key <= now)
		due((struct record *)turn);
	turn = memrescue_turn_first(&turns, now);
	if (!turn)
		return false;
	((struct record *)turn)->tried = true;
	memrescue_turn_remove(turn);
	/* About half of them are due at any time. */
	later((struct record *)turn, now + 1 + random() % nr);
	return true;
}

/* Nodes that are touched in a hundred steps, with so many records. */
static u64 cost(u32 nr, u64 age_ns)
{
	u64 begin, now, steps = 0;
	u32 i;

	srandom(3);
	turns_clear();
	for (i = 0; i < nr; i++) {
		records[i] = (struct record){ .pages = random(), .marked_ns = random() % 1000 };
		due(&records[i]);
	}
	begin = visits();
	for (now = age_ns; now < age_ns + 100000; now++)
		steps += step(nr, now);
	assert_true(steps > 50000);
	return (visits() - begin) * 100 / steps;
}

/* Sixty-four times as many records: the heaps are twice as deep, and that is all. */
static void check_cost(u64 age_ns)
{
	u64 few = cost(64, age_ns), many = cost(RECORDS, age_ns);

	print_message("# nodes touched in 100 steps: %llu with 64 records, %llu with %u\n", (unsigned long long)few,
		      (unsigned long long)many, RECORDS);
	assert_true(few > 0);
	assert_true(many <= few * 3);
}

static void test_cost_fresh(void **unused)
{
	(void)unused;
	check_cost(0);
}

static void test_cost_aged(void **unused)
{
	(void)unused;
	check_cost(2 * ORDER_AGED_NS);
}

/* A storm: all are killed at once, and each exits. Per victim, put in and taken out once. */
static void test_cost_storm(void **unused)
{
	u64 per_victim;
	u32 i;

	(void)unused;
	srandom(4);
	turns_clear();
	for (i = 0; i < RECORDS; i++) {
		records[i] = (struct record){ .pages = random(), .marked_ns = i };
		due(&records[i]);
	}
	for (i = 0; i < RECORDS; i++)
		memrescue_turn_remove(memrescue_turn_first(&turns, i % 2 ? 0 : 2 * ORDER_AGED_NS));
	assert_null(memrescue_turn_first(&turns, 0));
	per_victim = visits() / RECORDS;
	print_message("# nodes touched for each of %u victims: %llu\n", RECORDS, (unsigned long long)per_victim);
	/* Two heaps, in and out, twelve deep. */
	assert_true(per_victim <= 4 * 13);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_heap_full),
		cmocka_unit_test(test_turns_order),
		cmocka_unit_test(test_turns_nothing_starves),
		cmocka_unit_test(test_turns_waiting),
		cmocka_unit_test(test_cost_fresh),
		cmocka_unit_test(test_cost_aged),
		cmocka_unit_test(test_cost_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
