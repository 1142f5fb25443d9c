// SPDX-License-Identifier: GPL-2.0
/*
 * The emergency page pool: pages from all contexts at once, none given twice and
 * none lost; a flood of gets; shares that nobody else can take; growth, decay
 * and the shrinker; CPUs that go; what is there while no worker can run; clients
 * that misbehave.
 */
#include "load.h"

#include <dirent.h>

#include "lib_pool.h"

#define SAMPLE_KO	"/pool_client.ko"
#define CPU1		"/sys/devices/system/cpu/cpu1/online"
#define CRITICAL	1u
#define OPERATIONS	10000000ULL
#define EACH		1000	/* pages got in each context, at least */
#define QUIET_MS	10000	/* back at the base by then; asserted in the pool's own seconds only */

/* With the argument "short" a fifth of it, on a slow machine a twentieth: the pool learns from some 300 misses in any case. */
static unsigned long long flood_gets = 1000000;

static void idle(void)
{
	long kib;

	pool_settled("idle");
	is_eq(pool("reserved"), pool("rescue_pages") * sysconf(_SC_NPROCESSORS_ONLN), "idle: the rescue share is there");
	kib = (pool("common") + pool("reserved")) * 4;
	is_le(kib, 64 * sysconf(_SC_NPROCESSORS_ONLN) + 256, "idle: it holds little memory");
	diag("%ld KiB, cap %ld pages", kib, pool("cap"));
}

/* ---- all contexts ---- */

/* Adds the pages of one more run. Returns whether each context has had so many. */
static bool mix_more(int fd, unsigned long long operations, struct mpt_mix *sum)
{
	struct mpt_mix how = { .operations = operations };
	bool enough = true;

	if (ioctl(fd, MPT_RUN_MIX, &how))
		bail("mix: %s", strerror(errno));
	for (int i = 0; i < MPT_CONTEXTS; i++) {
		sum->gets[i] += how.gets[i];
		sum->misses[i] += how.misses[i];
		enough = enough && sum->gets[i] >= EACH;
	}
	sum->twice += how.twice;
	sum->wrong += how.wrong;
	return enough;
}

static void mix(void)
{
	static const char *const names[MPT_CONTEXTS] = { "thread", "raw spinlock", "timer", "irq_work", "NMI" };
	struct mpt_mix how = { 0 };
	int fd = pool_client("mix", 0, 0);

	/* The timers come as time goes by, however many pages the threads get meanwhile. */
	if (machine_slowness() > 1)
		WAIT_UNTIL(mix_more(fd, OPERATIONS / 50, &how), PATIENCE_MS);
	else
		mix_more(fd, OPERATIONS, &how);
	for (int i = 0; i < MPT_CONTEXTS; i++) {
		is_ge(how.gets[i], EACH, "mix: pages got in context %s", names[i]);
		diag("%s: %llu pages, %llu misses", names[i], (unsigned long long)how.gets[i],
		     (unsigned long long)how.misses[i]);
	}
	is_eq(how.twice, 0, "mix: no page was given twice");
	is_eq(how.wrong, 0, "mix: nobody wrote to another one's page");
	is_eq(pool_column("mix", POOL_OUTSTANDING), 0, "mix: all pages are back");
	close(fd);
	pool_settled("mix");
}

/* ---- flood, growth, decay ---- */

/* In large steps at first. Huge pages are cleared faster than small ones. */
static void eat(long kib)
{
	size_t len = kib > 16 * 1024 ? kib / 2 * 1024 / (2 * MIB) * (2 * MIB) : MIB;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, len, MADV_HUGEPAGE);
	for (size_t at = 0; at < len; at += PAGE)
		p[at] = 1;
}

/*
 * Takes memory until little more than the low mark will be free when the pool is as large as it can be, and keeps it until it
 * is killed.
 */
static pid_t eat_to_low_mark(void)
{
	/* The low mark is a quarter above the lowest; 16 MiB are in a zone kept for DMA, the rest is for the test itself. */
	long spare = file_long("/proc/sys/vm/min_free_kbytes", 8192) * 5 / 4 + pool("cap") * 4 + 20 * 1024;
	atomic_int *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (!pid) {
		file_write("/proc/self/oom_score_adj", "1000");
		for (long rest; (rest = meminfo_kib("MemFree") - spare) > 0;)
			eat(rest);
		*done = 1;
		for (;;)
			pause();
	}
	WAIT_UNTIL(*done || waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS);
	diag("MemFree %ld KiB, wanted %ld, %s", meminfo_kib("MemFree"), spare, *done ? "reached" : "not reached");
	return pid;
}

static void flood(const char *name, struct mpt_flood how)
{
	int fd = pool_client("flood", 0, 0);
	long refills = pool("refills"), failures = pool("refill_failures"), grown = pool("grown");

	if (machine_slowness() > 1)
		how.period_us *= 20;
	ok(!ioctl(fd, MPT_RUN_FLOOD, &how), "%s: it runs", name);
	is_le(how.misses, how.total / 100, "%s: at most one in a hundred gets nothing", name);
	diag("%llu of %llu; refills %ld, of them without memory %ld, grown %ld times; MemFree %ld KiB",
	     (unsigned long long)how.misses, (unsigned long long)how.total, pool("refills") - refills,
	     pool("refill_failures") - failures, pool("grown") - grown, meminfo_kib("MemFree"));
	close(fd);
}

static void floods(void)
{
	long grown = pool("grown"), shrunk = pool("shrunk"), misses = pool("misses");
	pid_t eater = eat_to_low_mark();

	flood("flood, pages handed over", (struct mpt_flood){
		.total = flood_gets, .burst = 128, .period_us = 1000, .keep = true });
	flood("flood, pages put back", (struct mpt_flood){ .total = flood_gets / 5, .burst = 128, .period_us = 1000 });
	kill(eater, SIGKILL);
	waitpid(eater, NULL, 0);
	if (pool("misses") > misses) {
		is_ge(pool("grown"), grown + 1, "floods: the pool has grown");
		if (!ok(WAIT_UNTIL(pool_is_at_base(), QUIET_MS * machine_slowness()), "floods: it shrinks when it is quiet"))
			diag("common %ld, reserved %ld, target %ld", pool("common"), pool("reserved"), pool("target"));
		is_ge(pool("shrunk"), shrunk + 1, "floods: and gives pages back");
	}
	pool_settled("floods");
}

static bool shrinks_when_asked(int fd)
{
	long shrunk;

	pool_grow(fd);
	shrunk = pool("shrunk");
	file_write("/proc/sys/vm/drop_caches", "2");
	return pool("shrunk") > shrunk;
}

static void shrinker(void)
{
	const char *name = "shrinker";
	int fd = pool_client("shrink", 0, 0);
	long grown = pool("grown");

	/* Again and again: it may have shrunk by itself, or want more, after the misses. */
	ok(WAIT_UNTIL(shrinks_when_asked(fd), PATIENCE_MS), "%s: it gives pages back", name);
	is_ge(pool("grown"), grown + 1, "%s: which it had got because they were wanted", name);
	close(fd);
	pool_settled(name);
}

/* ---- shares ---- */

static void greedy(void)
{
	const char *name = "greedy client";
	int modest = pool_client("modest", 32, 0), glutton = pool_client("greedy", 0, 0);
	long got, good = 0, tries = 400, all = 0;

	ok(WAIT_UNTIL(pool_column("modest", POOL_CREDIT) == 32, PATIENCE_MS), "%s: the other one's share is filled", name);
	for (long i = 0; i < tries; i++) {
		got = ioctl(glutton, MPT_TAKE, 4096L);
		all += got > 0 ? got : 0;
		good += ioctl(modest, MPT_TAKE, 32L) == 32;
		ioctl(modest, MPT_PUT_ALL);
		if (i % 10 == 9)
			ioctl(glutton, MPT_HAND_OVER);
	}
	is_ge(good * 100, tries * 99, "%s: the other one gets all that it was promised, 99 times in a hundred", name);
	diag("%ld of %ld; the greedy one got %ld pages", good, tries, all);
	ioctl(glutton, MPT_PUT_ALL);
	close(glutton);
	close(modest);
	pool_settled(name);
}

/* On one CPU, with preemption off. */
static void no_worker(void)
{
	const char *name = "while no worker runs";
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct mpt_drain drain = { 0 };
	int fd = pool_client("own", 20, 0);

	if (cpus > 1 && (cpus > 2 || file_set(CPU1, "0"))) {
		skip("the machine has more than one CPU", "%s", name);
		close(fd);
		return;
	}
	ok(WAIT_UNTIL(pool_column("own", POOL_CREDIT) == 20, PATIENCE_MS), "%s: the share is filled before", name);
	ok(WAIT_UNTIL(pool_is_full(), PATIENCE_MS) && !ioctl(fd, MPT_DRAIN, &drain), "%s: all pages can be taken", name);
	is_ge(drain.common, pool_base(), "%s: whoever has no share gets the common part", name);
	is_eq(drain.own, 20, "%s: a client gets its share when that is empty", name);
	is_eq(drain.rescue, pool("rescue_pages") * cpus, "%s: a critical one gets the rescue share, nobody else does", name);
	diag("common %llu, own %llu, rescue %llu", (unsigned long long)drain.common, (unsigned long long)drain.own,
	     (unsigned long long)drain.rescue);
	close(fd);
	if (cpus > 1)
		file_write(CPU1, "1");
	pool_settled(name);
}

/* ---- CPUs ---- */

static void hotplug(void)
{
	const char *name = "CPU hotplug";
	int fd = pool_client("hotplug", 8, 0);
	long wrong = 0;

	if (file_set(CPU1, "1")) {
		skip("the kernel has no CPU hotplug", "%s", name);
		close(fd);
		return;
	}
	for (int i = 0; i < 10; i++) {
		ioctl(fd, MPT_TAKE, 64L);
		wrong += !!file_write(CPU1, "0");
		ioctl(fd, MPT_PUT_ALL);
		wrong += !WAIT_UNTIL(pool_is_full() && pool_adds_up(), PATIENCE_MS);
		wrong += !!file_write(CPU1, "1");
		wrong += !WAIT_UNTIL(pool_is_full() && pool_adds_up(), PATIENCE_MS);
	}
	is_eq(wrong, 0, "%s: no page is lost when a CPU goes or comes", name);
	close(fd);
	pool_settled(name);
}

/* ---- clients that misbehave ---- */

static void refused(void)
{
	static const struct { const char *name; unsigned int quota, flags; int err; const char *what; } bad[] = {
		{ "", 0, 0, -EINVAL, "without a name" },
		{ "a name", 0, 0, -EINVAL, "with a blank in its name" },
		{ "line\n", 0, 0, -EINVAL, "with a line break in its name" },
		{ "flags", 0, 2, -EINVAL, "with an unknown flag" },
		{ "rescue", 0, 0, -EEXIST, "with a name that is taken" },
		{ "large", 100000000, 0, -ENOSPC, "that wants more than there is room for" },
		{ "larger", UINT32_MAX, 0, -ENOSPC, "that wants as much as can be said" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		is_eq(pool_create(bad[i].name, bad[i].quota, bad[i].flags), bad[i].err, "refused: a client %s",
		      bad[i].what);
	pool_settled("refused");
}

static void gone_with_pages(void)
{
	const char *name = "client that goes with pages";
	int fd = pool_client("careless", 4, 0);
	long lost = pool("lost");

	log_mark();
	is_eq(ioctl(fd, MPT_TAKE, 6L), 6, "%s: it has six", name);
	is_eq(ioctl(fd, MPT_LEAK), 0, "%s: and forgets them", name);
	close(fd);
	is_eq(mr_unload(), -EWOULDBLOCK, "%s: memrescue stays while it has a client", name);
	is_eq(unload_module("memrescue_pool_test"), 0, "%s: the module can be unloaded", name);
	ok(WAIT_UNTIL(log_find("memrescue: pool client careless was left behind by its module"), PATIENCE_MS) &&
	   log_find("memrescue: pool client careless is gone and has not put back 6 pages"), "%s: both are reported", name);
	is_eq(pool("lost") - lost, 6, "%s: and counted", name);
	is_eq(pool_column("careless", POOL_QUOTA), -1, "%s: its share is not kept", name);
	ok(WAIT_UNTIL(pool_is_at_base(), PATIENCE_MS), "%s: the pool goes on", name);
	is_eq(load_module(POOL_CLIENT_KO, ""), 0, "%s: and can have clients again", name);
}

static void sample(void)
{
	is_eq(load_module(SAMPLE_KO, ""), 0, "sample: it can be loaded");
	ok(WAIT_UNTIL(pool_column("sample", POOL_GETS) >= 5, PATIENCE_MS), "sample: it gets pages");
	log_mark();
	is_eq(unload_module("pool_client"), 0, "sample: it can be unloaded");
	ok(WAIT_UNTIL(log_find("pool_client: logged "), PATIENCE_MS) && log_find(", lost 0"), "sample: it has lost nothing");
	pool_settled("sample");
}

/* ---- knobs ---- */

static void knobs(void)
{
	static const struct { const char *name; long good, bad[3]; } list[] = {
		{ "base_pages", 8, { 0, 33, -1 } },
		{ "rescue_pages", 8, { 17, -1, 1 << 20 } },
		{ "cap_pages", 2000, { 0, (1 << 20) + 1, -1 } },
		{ "cap_percent", 2, { 0, 101, -1 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		long was = pool(list[i].name);
		int wrong = 0;

		for (int j = 0; j < 3; j++)
			wrong += pool_set(list[i].name, "%ld", list[i].bad[j]) != -EINVAL;
		is_eq(wrong, 0, "knobs: %s refuses what is out of range", list[i].name);
		is_eq(pool(list[i].name), was, "knobs: %s is as it was", list[i].name);
		is_eq(pool_set(list[i].name, "%ld", list[i].good), 0, "knobs: %s can be set", list[i].name);
		is_eq(pool(list[i].name), list[i].good, "knobs: %s has the new value", list[i].name);
		ok(WAIT_UNTIL(pool_is_at_base(), PATIENCE_MS), "knobs: %s: the pool follows", list[i].name);
		is_eq(pool_set(list[i].name, "%ld", was), 0, "knobs: %s can be set back", list[i].name);
	}
	is_eq(pool_set("cap_pages", "%ld", pool_base() - 1), -ENOSPC, "knobs: no cap below the base");
	pool_settled("knobs");
}

/* ---- all of it ---- */

static const struct { const char *name; void (*run)(void); } parts[] = {
	{ "mix", mix }, { "floods", floods }, { "shrinker", shrinker }, { "greedy", greedy }, { "hotplug", hotplug },
	{ "no worker", no_worker }, { "refused", refused }, { "knobs", knobs }, { "sample", sample },
	{ "gone with pages", gone_with_pages },
};

static void timed(const char *name, void (*run)(void))
{
	long long begin = now_us();

	run();
	diag("%s took %lld ms", name, (now_us() - begin) / 1000);
}

int main(int argc, char **argv)
{
	if (machine_slowness() > 1)
		flood_gets /= 20;
	else if (argc > 1 && !strcmp(argv[1], "short"))
		flood_gets /= 5;
	if (!file_exists(POOL_CLIENT_KO))
		bail("there is no " POOL_CLIENT_KO);
	ok(mr_loaded(), "memrescue is there");
	is_eq(load_module(POOL_CLIENT_KO, ""), 0, "its client can be loaded");
	idle();
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		timed(parts[i].name, parts[i].run);
	is_eq(unload_module("memrescue_pool_test"), 0, "its client can be unloaded");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
