// SPDX-License-Identifier: GPL-2.0
/*
 * Shares of the page pool when clients do what they should not, when they come and go while others take pages, and
 * when memory and CPUs come and go. Each ends with all pages accounted for, all shares filled, and the workers at rest.
 */
#include "load.h"

#include <glob.h>
#include <pthread.h>
#include <sched.h>

#include "lib_pool.h"

#define CRITICAL	1u
#define ROUNDS		200

static void put_shared(void)
{
	const char *name = "page that somebody else refers to";
	int fd = pool_client("shared", 16, 0);
	long foreign = pool("foreign");

	ok(WAIT_UNTIL(pool_column("shared", POOL_CREDIT) == 16, PATIENCE_MS), "%s: the share is filled", name);
	is_eq(ioctl(fd, MPT_TAKE, 64L) >= 40, 1, "%s: pages of the common part and of the share are taken", name);
	is_eq(ioctl(fd, MPT_PUT_SHARED), 0, "%s: put back, none was written to, and that one can free it", name);
	is_ge(pool("foreign") - foreign, 40, "%s: they are counted", name);
	ok(WAIT_UNTIL(pool_column("shared", POOL_CREDIT) == 16, PATIENCE_MS), "%s: the share is filled again", name);
	close(fd);
	pool_settled(name);
}

/* What a critical client took of the rescue share is replaced when it is gone. */
static void critical_goes(void)
{
	const char *name = "critical client that goes with pages";
	long rescue = pool("rescue_pages") * sysconf(_SC_NPROCESSORS_ONLN);

	for (int i = 0; i < 20; i++) {
		int fd = pool_client("gone", 0, CRITICAL);

		ioctl(fd, MPT_TAKE, 4096L);
		/* Freed behind the pool's back. */
		ioctl(fd, MPT_FORGET);
		close(fd);
	}
	ok(WAIT_UNTIL(pool_column("rescue", POOL_CREDIT) == rescue, PATIENCE_MS), "%s: the rescue share is full again", name);
	pool_settled(name);
}

/* ---- a small base ---- */

/* One page at a time, and time for the worker in between: it need not come while most of the others are there. */
static void small_base(void)
{
	const char *name = "base of four pages";
	int fd = pool_client("small", 0, 0);
	long refills, got = 0;

	is_eq(pool_set("base_pages", "4"), 0, "%s: it can be set", name);
	pool_settled(name);
	refills = pool("refills");
	for (int i = 0; i < 200; i++) {
		got += ioctl(fd, MPT_TAKE, 1L);
		ioctl(fd, MPT_PUT_ALL);
		sleep_ms(1);
	}
	refills = pool("refills") - refills;
	is_eq(got, 200, "%s: each get has a page", name);
	is_le(refills, 20, "%s: without a run of the worker for each", name);
	diag("%ld runs for 200 gets", refills);
	close(fd);
	pool_set("base_pages", "12");
	pool_settled(name);
}

/* ---- broken pages ---- */

static void broken(bool inside, const char *name)
{
	long poisoned = pool("poisoned"), got;
	int fd = pool_client("broken", 0, 0);

	/* The workers, called for a new client, shall not fill the shelf in the middle of it. */
	sleep_ms(200);
	got = ioctl(fd, MPT_BREAK, (long)inside);
	if (got < 0) {
		skip("the kernel has no CONFIG_MEMORY_FAILURE", "%s", name);
		close(fd);
		return;
	}
	is_eq(got, 0, "%s: nobody gets it", name);
	is_eq(pool("poisoned") - poisoned, 3, "%s: it is counted", name);
	/* They are in no store any more. */
	if (!got && pool("poisoned") - poisoned == 3)
		ioctl(fd, MPT_FORGET);
	close(fd);
	pool_settled(name);
}

/* ---- many at once ---- */

static atomic_bool stop;

struct taker {
	pthread_t thread;
	const char *name;
	unsigned int quota, flags;
	long rounds;
};

static void *take_and_put(void *arg)
{
	struct taker *t = arg;

	while (!stop) {
		int fd = pool_client(t->name, t->quota, t->flags);

		for (int i = 0; i < 50 && !stop; i++) {
			ioctl(fd, MPT_TAKE, 64L);
			ioctl(fd, i % 8 ? MPT_PUT_ALL : MPT_HAND_OVER);
			t->rounds++;
		}
		close(fd);
	}
	return NULL;
}

/*
 * The kernel itself, seen on 5.10 without memrescue, may lose the timer of a task that sleeps while a CPU goes; so nobody
 * sleeps then.
 */
static void yield_ms(long ms)
{
	for (long long end = now_us() + ms * 1000LL; now_us() < end;)
		sched_yield();
}

static void *change_knobs(void *arg)
{
	struct taker *t = arg;
	static const char *const knobs[] = { "base_pages", "rescue_pages" };
	static const long values[][2] = { { 12, 4 }, { 4, 0 }, { 20, 8 } };

	while (!stop) {
		for (int i = 0; i < 2; i++)
			pool_set(knobs[i], "%ld", values[t->rounds % 3][i]);
		t->rounds++;
		yield_ms(2);
	}
	pool_set(knobs[0], "12");
	pool_set(knobs[1], "4");
	return NULL;
}

static void *toggle_cpu(void *arg)
{
	static const char online[] = "/sys/devices/system/cpu/cpu1/online";
	struct taker *t = arg;

	while (!stop && file_exists(online)) {
		file_write(online, "0");
		yield_ms(5);
		file_write(online, "1");
		yield_ms(20);
		t->rounds++;
	}
	return NULL;
}

/* Touches most of what is available, again and again, and has the shrinkers run. */
static void *press(void *arg)
{
	struct taker *t = arg;

	while (!stop) {
		size_t size = (size_t)meminfo_kib("MemAvailable") * 1024 * 3 / 4;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t at = 0; p != MAP_FAILED && at < size && !stop; at += PAGE)
			p[at] = 1;
		if (p != MAP_FAILED)
			munmap(p, size);
		file_write("/proc/sys/vm/drop_caches", "2");
		t->rounds++;
	}
	return NULL;
}

static void all_at_once(void)
{
	const char *name = "clients, knobs, CPUs and memory that come and go";
	static struct taker takers[] = {
		{ .name = "plain", .quota = 0 }, { .name = "quota", .quota = 40 },
		{ .name = "critical", .quota = 8, .flags = CRITICAL }, { .name = "critical2", .quota = 0, .flags = CRITICAL },
		{ .name = "knobs" }, { .name = "cpu" }, { .name = "memory" },
	};
	void *(*const work[])(void *) = {
		take_and_put, take_and_put, take_and_put, take_and_put, change_knobs, toggle_cpu, press };

	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		pthread_create(&takers[i].thread, NULL, work[i], &takers[i]);
	for (long long end = now_us() + PATIENCE_MS * 1000LL;
	     (takers[1].rounds < ROUNDS || takers[5].rounds < 5) && now_us() < end;)
		sched_yield();
	stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		pthread_join(takers[i].thread, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		diag("%s: %ld rounds", takers[i].name, takers[i].rounds);
	is_ge(takers[1].rounds, ROUNDS, "%s: they go on", name);
	pool_settled(name);
	is_eq(pool_column("rescue", POOL_CREDIT), pool("rescue_pages") * sysconf(_SC_NPROCESSORS_ONLN),
	      "%s: the rescue share is full", name);
}

/* A worker that asks for its own next run would never rest. */
static void at_rest(void)
{
	long refills = 0;
	bool quiet = false;

	for (int i = 0; i < 20 && !quiet; i++) {
		refills = pool("refills");
		sleep_ms(500);
		quiet = pool("refills") == refills;
	}
	ok(quiet, "the workers are at rest");
}

/* ---- memory nodes ---- */

static void stay_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static bool got_from_both(int fd)
{
	bool both;

	ioctl(fd, MPT_TAKE, 4096L);
	both = ioctl(fd, MPT_COUNT_NODE, 0L) > 0 && ioctl(fd, MPT_COUNT_NODE, 1L) > 0;
	ioctl(fd, MPT_PUT_ALL);
	return both;
}

static void stay_on_all(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	sched_setaffinity(0, sizeof(set), &set);
}

static void nodes(void)
{
	const char *name = "two nodes";
	int fd, node = -1;
	unsigned int cpu;
	long near;

	if (!file_exists("/sys/devices/system/node/node1")) {
		skip("the machine has one node (see group numa)", "%s", name);
		return;
	}
	fd = pool_client("nodes", 0, 0);
	for (cpu = 0; cpu < 2; cpu++) {
		stay_on(cpu);
		syscall(SYS_getcpu, NULL, &node, NULL);
		WAIT_UNTIL(pool_is_at_base(), PATIENCE_MS);
		ioctl(fd, MPT_TAKE, 8L);
		near = ioctl(fd, MPT_COUNT_NODE, (long)node);
		is_eq(near, 8, "%s: CPU %u gets pages of its node %d", name, cpu, node);
		ioctl(fd, MPT_PUT_ALL);
	}
	/* A node without a CPU has pages only after misses. */
	ok(WAIT_UNTIL(got_from_both(fd), PATIENCE_MS), "%s: who needs more than one has gets them from the other one too", name);
	close(fd);
	stay_on_all();
	pool_settled(name);
	is_eq(pool_node(0, POOL_NODE_COMMON) + pool_node(1, POOL_NODE_COMMON), pool("common"), "%s: the table has all pages", name);
	is_eq(pool_node(0, POOL_NODE_TARGET) + pool_node(1, POOL_NODE_TARGET), pool_base(), "%s: and what they want", name);
}

/* Of a share that no CPU of one of the nodes has asked for. */
static void share_of_nodes(void)
{
	const char *name = "share of two nodes";
	long all, least;
	int fd;

	if (!file_exists("/sys/devices/system/node/node1"))
		return;
	fd = pool_client("spread", 64, 0);
	ok(WAIT_UNTIL(pool_column("spread", POOL_CREDIT) == 64, PATIENCE_MS), "%s: it is filled", name);
	all = pool_node(0, POOL_NODE_RESERVED) + pool_node(1, POOL_NODE_RESERVED);
	least = pool_node(0, POOL_NODE_RESERVED) < pool_node(1, POOL_NODE_RESERVED) ?
		pool_node(0, POOL_NODE_RESERVED) : pool_node(1, POOL_NODE_RESERVED);
	is_eq(all, pool("reserved"), "%s: the table has all of it", name);
	/* What there was before the share may lie anywhere. */
	is_ge(least, 32, "%s: half of it is on each", name);
	close(fd);
	pool_settled(name);
}

/* The file that calls the pool's shrinker, for a node; false if the kernel has none. */
static bool find_shrinker(char *path, size_t size)
{
	glob_t found;
	bool there = !glob("/sys/kernel/debug/shrinker/memrescue-pool-*/scan", 0, NULL, &found);

	if (there)
		snprintf(path, size, "%s", found.gl_pathv[0]);
	globfree(&found);
	return there;
}

/*
 * Takes what a CPU does not have at hand, and puts it back, so that it is not quiet. The size is looked at each second.
 * Returns whether nobody missed a page: else what the shrinker took is wanted again.
 */
static bool use_for_a_while(int fd)
{
	long misses = pool("misses");

	for (int i = 0; i < 60; i++) {
		ioctl(fd, MPT_TAKE, 70L);
		/* The worker replaces them. */
		sleep_ms(20);
		ioctl(fd, MPT_PUT_ALL);
		sleep_ms(30);
	}
	return pool("misses") == misses;
}

static bool grows_to_cap(int fd)
{
	pool_grow(fd);
	return pool("target") >= pool("cap") * 9 / 10 && WAIT_UNTIL(pool_is_full(), 500 * machine_slowness());
}

/* Node 0 has what it wants, or little more, and that is little; node 1 has and wants much. */
static bool nodes_differ(void)
{
	long near = pool_node(0, POOL_NODE_TARGET), far = pool_node(1, POOL_NODE_TARGET);

	return far > 3 * near && pool_node(0, POOL_NODE_COMMON) < (near + far) / 2 &&
	       pool_node(1, POOL_NODE_COMMON) > far * 3 / 4;
}

/*
 * What the shrinker takes of node 0 is not wanted there, and what is put back does not stay after the next look at the size;
 * node 1 keeps its part. If the machine is so slow that it was quiet for a second or two, that is smaller.
 */
static bool shrinks_one_node(int fd, const char *scan, const char *name)
{
	long shrunk, part;
	bool good;

	/* As large as it may be, so that it does not grow any more. */
	if (!WAIT_UNTIL(grows_to_cap(fd), PATIENCE_MS))
		return false;
	part = pool_node(0, POOL_NODE_TARGET);
	shrunk = pool("shrunk");
	file_write(scan, "0 0 %d", 65536);
	shrunk = pool("shrunk") - shrunk;
	if (!use_for_a_while(fd))
		return false;
	good = WAIT_UNTIL(nodes_differ(), 2000) && shrunk > part / 2;
	diag("%s: %ld pages, %ld taken; then node 0 has %ld and wants %ld, node 1 has %ld and wants %ld", name, part, shrunk,
	     pool_node(0, POOL_NODE_COMMON), pool_node(0, POOL_NODE_TARGET), pool_node(1, POOL_NODE_COMMON),
	     pool_node(1, POOL_NODE_TARGET));
	return good;
}

static void stay_on_node_0(void)
{
	unsigned int cpu, node = 1;

	for (cpu = 0; cpu < 2 && node; cpu++) {
		stay_on(cpu);
		syscall(SYS_getcpu, NULL, &node, NULL);
	}
}

static bool wants_as_much_after_misses(int fd)
{
	pool_grow(fd);
	return pool_node(0, POOL_NODE_TARGET) > 4 * pool_base() &&
	       pool_node(0, POOL_NODE_TARGET) * 2 > pool_node(1, POOL_NODE_TARGET);
}

static void one_node_shrinks(void)
{
	const char *name = "shrinker, asked for one of two nodes";
	char scan[128];
	int fd;

	if (!find_shrinker(scan, sizeof(scan))) {
		skip("the kernel has no /sys/kernel/debug/shrinker", "%s", name);
		return;
	}
	if (!file_exists("/sys/devices/system/node/node1")) {
		skip("the machine has one node (see group numa)", "%s", name);
		return;
	}
	fd = pool_client("one-node", 0, 0);
	/* Where pages of node 0 are taken first */
	stay_on_node_0();
	/* Again: on a slow machine it may have been quiet for a second. */
	ok(WAIT_UNTIL(shrinks_one_node(fd, scan, name), PATIENCE_MS), "%s: the other one keeps its pages", name);
	ok(WAIT_UNTIL(wants_as_much_after_misses(fd), PATIENCE_MS), "%s: after misses that node wants as many again", name);
	close(fd);
	stay_on_all();
	pool_settled(name);
}

/* ---- the debug build ---- */

static void load_debug(const char *params)
{
	mr_unload();
	if (load_module(MEMRESCUE_DEBUG_KO, params) || load_module(POOL_CLIENT_KO, ""))
		bail("%s cannot be loaded", MEMRESCUE_DEBUG_KO);
}

static void load_usual(void)
{
	unload_module("memrescue_pool_test");
	if (mr_unload() || load_module(MEMRESCUE_KO, ""))
		bail("%s cannot be loaded", MEMRESCUE_KO);
}

static void put_wrong(void)
{
	static const char *const names[] = { "page that is put twice", "page that is not from the pool" };

	log_expect("memrescue: pool client wrong gives a page that it does not have");
	load_debug("");
	for (long i = 0; i < 2; i++) {
		int fd = pool_client("wrong", 0, 0);
		long foreign = pool("foreign");

		log_mark();
		is_eq(ioctl(fd, MPT_TAKE, 40L) > 0 && ioctl(fd, MPT_PUT_ALL) > 0, 1, "%s: others are put", names[i]);
		is_eq(pool("foreign") - foreign, 0, "%s: and not counted", names[i]);
		is_eq(ioctl(fd, MPT_PUT_WRONG, i), 0, "%s: it is put", names[i]);
		is_eq(pool("foreign") - foreign, 1, "%s: it is counted", names[i]);
		ok(WAIT_UNTIL(log_find("memrescue: pool client wrong gives a page that it does not have"), PATIENCE_MS),
		   "%s: and reported", names[i]);
		close(fd);
		pool_settled(names[i]);
	}
	load_usual();
}

/* ---- no memory at all ---- */

/*
 * The reaper gives memory back in 64 pieces or more, and the workers need not wait for their next try; which would be 20 ms
 * after the last one, on each node.
 */
static void kicked_by_reaper(void)
{
	const char *name = "workers without memory, when the reaper gives some back";
	struct victim *v = victim_new(&(struct victim_how){
		.name = "v_pool", .mib = 128, .pages = PAGES_SMALL, .stuck = STUCK_D });
	long reaped = mr_stat("reaped"), runs = pool("refill_failures");
	int workers = file_exists("/sys/devices/system/node/node1") ? 2 : 1;
	long long begin = now_us();

	file_write(MR "reaper/range_kb", "2048");
	victim_kill(v);
	ok(WAIT_UNTIL(mr_stat("reaped") > reaped, PATIENCE_MS), "%s: a victim is reaped", name);
	runs = pool("refill_failures") - runs;
	begin = (now_us() - begin) / 20000 * workers;
	is_ge(runs, (long)begin + 3, "%s: they look again", name);
	diag("%s: %ld runs, where %lld would be due", name, runs, begin);
	mrt_release(mrt());
	victim_free(v);
}

static void no_memory(void)
{
	const char *name = "workers without memory";
	struct cgroup *cg = cg_new("starved");
	long runs, reclaims;
	int fd;

	load_debug("fail=pool-pages");
	/* So that there are pairs as well. */
	is_eq(pool_set("lifelines", "+%s", cg->path + strlen("/sys/fs/cgroup")), 0, "%s: of all kinds", name);
	fd = pool_client("nothing", 64, 0);
	for (int i = 0; i < 50; i++) {
		ioctl(fd, MPT_TAKE, 8L);
		sleep_ms(5);
	}
	reclaims = pool("refill_reclaims");
	runs = pool("refills");
	is_ge(runs, 5, "%s: they try again and again", name);
	is_ge(reclaims, 1, "%s: and reclaim", name);
	is_le(reclaims, runs, "%s: but each run for one page only, when that is in vain", name);
	diag("%s: %ld runs, %ld of them reclaimed", name, runs, reclaims);
	kicked_by_reaper();
	close(fd);
	load_usual();
	cg_remove(cg);
}

int main(void)
{
	if (!ok(mr_loaded(), "memrescue is there"))
		return done();
	is_eq(load_module(POOL_CLIENT_KO, ""), 0, "its client can be loaded");
	put_shared();
	critical_goes();
	small_base();
	broken(false, "page that breaks while a client has it");
	broken(true, "page that breaks while it is in the pool");
	nodes();
	share_of_nodes();
	one_node_shrinks();
	all_at_once();
	at_rest();
	is_eq(unload_module("memrescue_pool_test"), 0, "its client can be unloaded");
	put_wrong();
	no_memory();
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
