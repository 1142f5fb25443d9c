// SPDX-License-Identifier: GPL-2.0
/*
 * Two pages that belong together, for tasks of lifelines: with the contents and the state that the caller expects, of
 * either kind, of an allowed node; for nobody else; and all are given back when there is no lifeline any more.
 */
#include "load.h"

#include "rescue.h"

#define PAIRS		8	/* of each kind, in each node, with the default share */

static const struct {
	const char *name;
	unsigned int kind;
} kinds[] = {
	{ "pair", MRT_GFP_PAIR }, { "pair, zeroed", MRT_GFP_PAIR_ZERO }, { "pair, compound", MRT_GFP_PAIR_COMP },
};

static long nodes(void)
{
	return file_exists("/sys/devices/system/node/node1") ? 2 : 1;
}

static long rescue_share(void)
{
	return pool("rescue_pages") * sysconf(_SC_NPROCESSORS_ONLN);
}

/* Pages of the reserve when all is there. */
static long all_there(void)
{
	return rescue_share() + pool("lifeline_pages") + nodes() * PAIRS * 2 * 2;
}

static void served(struct cgroup *cg)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct mrt_alloc how = { .kind = kinds[i].kind, .nr = PAIRS };
		long before;

		ok(WAIT_UNTIL(pool("reserved") == all_there(), PATIENCE_MS), "%s: they are there", kinds[i].name);
		before = rescued("lifeline-pair", SERVED);
		alloc_in_child(cg, &how);
		check_pages(&how, PAIRS, kinds[i].name);
		/* The worker may add some, but the task itself may also need one. */
		is_ge(rescued("lifeline-pair", SERVED) - before, PAIRS - 1, "%s: they are the pool's", kinds[i].name);
	}
}

static void others(struct cgroup *cg)
{
	struct mrt_alloc how = { .kind = MRT_GFP_PAIR_NORETRY, .nr = PAIRS };
	long before = rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED);

	alloc_in_child(cg, &how);
	is_le(rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED) - before, 1,
	      "pair that is only tried: is not served");
	before = rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED);
	how = (struct mrt_alloc){ .kind = MRT_GFP_PAIR, .nr = PAIRS };
	alloc_in_child(NULL, &how);
	check_pages(&how, PAIRS, "pair, for others");
	how = (struct mrt_alloc){ .kind = MRT_GFP_PAIR, .nr = PAIRS, .flags = MRT_ALLOC_WHEN_KILLED };
	alloc_in_child(NULL, &how);
	is_eq(rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED) - before, 0,
	      "pair, for others: is not served, nor to those that die");
}

/* More than there are: the rest is the kernel's. */
static void exhausted(struct cgroup *cg)
{
	struct mrt_alloc how = { .kind = MRT_GFP_PAIR_ZERO, .nr = 200 };
	long before = rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED);

	alloc_in_child(cg, &how);
	check_pages(&how, 200, "pairs, too many");
	is_ge(rescued("lifeline-pair", SERVED) + rescued("lifeline-pair", MISSED) - before, 200,
	      "pairs, too many: all were asked for");
	pool_set("lifeline_rate_pages", "100");
	before = rescued("lifeline-pair", LIMITED);
	how = (struct mrt_alloc){ .kind = MRT_GFP_PAIR_ZERO, .nr = 200 };
	alloc_in_child(cg, &how);
	is_ge(rescued("lifeline-pair", LIMITED) - before, 100, "pairs, too many: the rate holds for them as well");
	pool_set("lifeline_rate_pages", "1048576");
}

int main(void)
{
	struct cgroup *cg;

	mrt();
	log_mark();
	ok(mr_loaded() && state_is("active"), "memrescue is there, and can rescue");
	cg = cg_new("pairs");
	/* The test before may have had one. */
	ok(WAIT_UNTIL(pool("reserved") == rescue_share(), PATIENCE_MS), "without a lifeline there are none");
	pool_set("lifeline_rate_pages", "1048576");
	is_eq(lifeline_set('+', cg), 0, "a cgroup is a lifeline");
	ok(WAIT_UNTIL(pool("reserved") == all_there(), PATIENCE_MS), "then they are there");
	press(85);
	served(cg);
	others(cg);
	exhausted(cg);
	release();
	ok(WAIT_UNTIL(pool("reserved") == all_there(), PATIENCE_MS), "they are replaced");
	is_eq(lifeline_set('-', cg), 0, "it is none any more");
	ok(WAIT_UNTIL(pool("reserved") == rescue_share(), PATIENCE_MS), "then they are given back");
	ok(WAIT_UNTIL(pool_adds_up(), PATIENCE_MS), "no page is lost");
	is_le(pool("peak"), pool("cap"), "and there were never more than the cap");
	cg_remove(cg);
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
