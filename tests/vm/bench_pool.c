// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmarks of the page pool:
 *
 *   pool-get    instructions for a get and a put (QEMU runs with -icount, where the time stamp counter
 *               counts them): alloc_page(GFP_NOWAIT) and __free_page() ("stock") against the pool
 *   pool-scale  ms for a million pairs of get and put: one CPU ("stock") against two at once
 *   pool-idle   KiB that it may have when idle ("stock": 64 for each CPU, and 256) against what it has
 */
#include "bench.h"
#include "lib_pool.h"

#include "clients/memrescue_pool_bench.h"

#define SLICES		150	/* of a race: the best of them counts */
#define SLICE_MS	8

static int device;

static void client_begin(void)
{
	int err = load_module(POOL_CLIENT_KO, "");

	if (err)
		bail(POOL_CLIENT_KO ": %s", strerror(-err));
	device = pool_client("bench", 0, 0);
	if (!WAIT_UNTIL(pool_is_full(), PATIENCE_MS))
		bail("the pool is not filled");
}

static void client_end(void)
{
	close(device);
	if (unload_module("memrescue_pool_test"))
		bail("the client cannot be unloaded");
}

/* ---- pool-get ---- */

/* Instructions of one turn of a loop, the loop itself included. -1: the kernel has no such thing. */
static double count(unsigned int what)
{
	struct mpt_bench how = { .what = what };

	if (!WAIT_UNTIL(pool_is_full(), PATIENCE_MS))
		bail("the pool is not filled");
	if (!ioctl(device, MPT_COUNT, &how))
		return (double)how.ticks / how.pairs;
	if (errno != EOPNOTSUPP)
		bail("loop %u cannot be measured: %s", what, strerror(errno));
	return -1;
}

static void measure_get(bool print)
{
	double loop = count(MPT_NOTHING), alloc = count(MPT_ALLOC) - loop, mempool = count(MPT_MEMPOOL) - loop;
	double nolock = count(MPT_NOLOCK), clear = count(MPT_CLEAR) - loop, got = count(MPT_POOL) - loop;

	if (!print)
		return;
	printf("# SAMPLE case=pool-get mode=stock unit=instructions ms=%.3f mempool=%.3f", alloc, mempool);
	/* It clears the page, which can be no part of a comparison. */
	if (nolock >= 0)
		printf(" nolock=%.3f nolock_and_clear=%.3f", nolock - loop - clear, nolock - loop);
	printf("\n# SAMPLE case=pool-get mode=memrescue unit=instructions ms=%.3f\n", got);
}

/* ---- pool-scale ---- */

static double speed(unsigned int what, unsigned int cpus)
{
	struct mpt_bench how = { .what = what, .cpus = cpus, .ms = SLICE_MS };

	if (!WAIT_UNTIL(pool_is_full(), PATIENCE_MS))
		bail("the pool is not filled");
	if (ioctl(device, MPT_SCALE, &how))
		bail("pairs on CPUs %x: %s", cpus, strerror(errno));
	return how.pairs / 1000.0;
}

/*
 * Pairs in a ms, of one CPU and of both. Short slices in turns, the best of
 * each: what disturbs does not last, and disturbs nobody's best slice.
 */
static void race(unsigned int what, double *one, double *both)
{
	double now;

	*one = 0;
	*both = 0;
	for (int i = 0; i < SLICES; i++) {
		now = speed(what, 1 << (i & 1));
		if (now > *one)
			*one = now;
		now = speed(what, 3);
		if (now > *both)
			*both = now;
	}
}

static void measure_scale(bool print)
{
	double one, both, atomic_one, atomic_both, alloc_one, alloc_both;

	race(MPT_POOL, &one, &both);
	race(MPT_ATOMIC, &atomic_one, &atomic_both);
	race(MPT_ALLOC, &alloc_one, &alloc_both);
	if (!print)
		return;
	printf("# SAMPLE case=pool-scale mode=stock ms=%.3f atomic=%.3f alloc_page=%.3f\n",
	       1e6 / one, 1e6 / atomic_one, 1e6 / alloc_one);
	printf("# SAMPLE case=pool-scale mode=memrescue ms=%.3f atomic=%.3f alloc_page=%.3f\n",
	       1e6 / both, 1e6 / atomic_both, 1e6 / alloc_both);
}

/* ---- pool-idle ---- */

static void measure_idle(bool print)
{
	/* Quiet, as it is some seconds after the load. */
	if (!WAIT_UNTIL(pool_is_full() && pool("common") + pool("reserved") == pool("target"), PATIENCE_MS))
		bail("the pool is not quiet");
	sleep_ms(1000);
	if (!print)
		return;
	printf("# SAMPLE case=pool-idle mode=stock unit=KiB ms=%ld\n", 64 * sysconf(_SC_NPROCESSORS_ONLN) + 256);
	printf("# SAMPLE case=pool-idle mode=memrescue unit=KiB ms=%ld common=%ld reserved=%ld\n",
	       (pool("common") + pool("reserved")) * 4, pool("common") * 4, pool("reserved") * 4);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*measure)(bool print); bool client; } cases[] = {
		{ "pool-get", measure_get, true }, { "pool-scale", measure_scale, true },
		{ "pool-idle", measure_idle, false },
	};
	const char *name = bench_case(argc, argv);
	int runs = bench_runs(argc, argv);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (strcmp(cases[i].name, name))
			continue;
		if (!mr_loaded())
			bail("memrescue is not loaded");
		if (cases[i].client)
			client_begin();
		/* Let the boot end; the first round fills caches. */
		sleep_ms(2000);
		for (int run = -1; run < runs; run++)
			cases[i].measure(run >= 0);
		if (cases[i].client)
			client_end();
		ok(true, "%s: %d times measured", name, runs);
		return done();
	}
	bail("no case %s", name);
}
