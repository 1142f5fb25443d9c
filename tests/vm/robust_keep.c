// SPDX-License-Identifier: GPL-2.0
/*
 * Owners of robust futexes that are killed while they are stuck: their memory
 * comes back at once, and whoever waits for their locks is told when they are
 * through, however long that takes. Where it cannot be known what their exit
 * needs, memory stays: for as long as the stock kernel leaves it, if the OOM
 * killer chose them, and else until the exit.
 */
#include "robust.h"

#include <sys/uio.h>

#define VICTIM_MIB	40
#define LIMIT_MIB	64
#define MUTEXES		8
#define RAW_MOST	100	/* more than memrescue keeps pages */
#define RAW_SOME	20

/* Shared by owner, waiter and test; below 4 GiB, for the 32-bit list. */
static struct shared {
	pthread_mutex_t mutex[MUTEXES];
	char pad[PAGE - sizeof(pthread_mutex_t) * MUTEXES % PAGE];
	struct raw_futex raw[RAW_MOST];
} *sh;

static const struct keep_case {
	const char *name;
	void (*lock)(int thread);
	int threads;		/* each with an equal part of the mutexes */
	int mutexes, raw;	/* for whose owners somebody waits */
	bool pi, compat, stays;
	bool mmap;		/* another thread holds mmap_lock for writing */
	bool huge;		/* the owner is the main thread, with private locks in a huge page */
} *scene;

/* ---- owners ---- */

static struct victim *self;

/* Words that the victim and the test share. */
enum { W_LOCKED, W_OOM, W_HUGE };

static void lock_part(int thread)
{
	int n = scene->mutexes / scene->threads;

	for (int i = thread * n; i < (thread + 1) * n; i++)
		if (pthread_mutex_lock(&sh->mutex[i]))
			bail("a lock cannot be had");
}

/* The list leads through private memory: each shared lock lies behind a private one. */
static void lock_mixed(int thread)
{
	char *p = mmap(NULL, MUTEXES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)thread;
	for (int i = 0; i < MUTEXES; i++) {
		pthread_mutex_t *m = (pthread_mutex_t *)(p + i * PAGE);

		if (pthread_mutex_lock(&sh->mutex[i]))
			bail("a lock cannot be had");
		robust_mutex_init(m, false, false);
		pthread_mutex_lock(m);
	}
}

/* Of a huge page of private memory two small ones are needed, and one where a lock crosses the end of a page. */
static void lock_in_huge(int thread)
{
	static const size_t at[] = { 0, 100 * PAGE - 16, 2 * MIB - PAGE };
	char *p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)thread;
	p = (char *)(((uintptr_t)p + 2 * MIB - 1) & ~(2 * MIB - 1));
	madvise(p, 2 * MIB, MADV_HUGEPAGE);
	pattern_fill(p, 2 * MIB, PATTERN_KEY);
	self->sh->word[W_HUGE] = (long)p;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		pthread_mutex_t *m = (pthread_mutex_t *)(p + at[i]);

		if (pthread_mutex_lock(&sh->mutex[i]))
			bail("a lock cannot be had");
		robust_mutex_init(m, false, false);
		pthread_mutex_lock(m);
	}
}

static void lock_raw(int thread)
{
	(void)thread;
	if (!robust_raw(sh->raw, scene->raw, RAW_HEAD))
		bail("set_robust_list: %s", strerror(errno));
}

/* Its entries and head are in swap when it sleeps. */
static void lock_swapped(int thread)
{
	struct robust_list_head *head;
	size_t len;

	lock_raw(thread);
	if (syscall(SYS_get_robust_list, 0, &head, &len))
		bail("get_robust_list: %s", strerror(errno));
	if (!WAIT_UNTIL(!madvise((char *)head - scene->raw * PAGE, (scene->raw + 1) * PAGE, MADV_PAGEOUT) &&
			!ioctl(self->how.holds, MRT_CAN_READ, head), PATIENCE_MS))
		bail("the list is not swapped out");
}

static void lock_raw32(int thread)
{
	(void)thread;
	if (!robust_raw32(sh->raw, scene->raw, RAW_HEAD))
		bail("set_robust_list: %s", strerror(errno));
}

static void lock_garbage(int thread)
{
	(void)thread;
	if (!robust_raw(sh->raw, scene->raw, RAW_NOTHING))
		bail("set_robust_list: %s", strerror(errno));
}

static void lock_loop(int thread)
{
	(void)thread;
	if (!robust_raw(sh->raw, scene->raw, RAW_LOOP))
		bail("set_robust_list: %s", strerror(errno));
}

static void *owner_thread(void *arg)
{
	scene->lock((int)(long)arg);
	self->sh->word[W_LOCKED]++;
	ioctl(self->how.holds, MRT_SLEEP_D, 4UL * PATIENCE_MS);
	return NULL;
}

/* Before anything of it is stuck. */
static void make_owners(struct victim *v, void *arg)
{
	pthread_t thread;

	(void)arg;
	self = v;
	if (scene->huge)
		return;
	for (long i = 0; i < scene->threads; i++)
		if (pthread_create(&thread, NULL, owner_thread, (void *)i))
			bail("pthread_create: %s", strerror(errno));
	while (v->sh->word[W_LOCKED] < scene->threads)
		usleep(1000);
}

static void eats_when_told(struct victim *v, void *arg)
{
	if (scene->huge)
		owner_thread(NULL);
	while (!v->sh->word[W_OOM])
		usleep(1000);
	victim_eat(v, arg);
}

/* ---- waiting ---- */

static void *wait_for_all(void *arg)
{
	long *lost = arg;

	for (int i = 0; i < scene->mutexes; i++)
		*lost += !robust_wait(&sh->mutex[i], false);
	/* One that is lost takes all those behind it along. */
	for (int i = 0; i < scene->raw && !*lost; i++)
		*lost += !robust_wait_raw(&sh->raw[i].futex);
	return NULL;
}

/* The owners are released, and those who wait for their locks must be told. */
static void check_told(struct victim *v, const char *name)
{
	pthread_t thread;
	long lost = 0;

	if (pthread_create(&thread, NULL, wait_for_all, &lost))
		bail("pthread_create: %s", strerror(errno));
	/* It sleeps in the kernel on the first of them. */
	if (scene->mutexes && !scene->pi)
		WAIT_UNTIL((unsigned int)sh->mutex[0].__data.__lock & FUTEX_WAITERS, PATIENCE_MS);
	mrt_release(v->how.holds);
	pthread_join(thread, NULL);
	is_eq(lost, 0, "%s: nobody waits in vain", name);
	ok(victim_wait_exit(v), "%s: the process ends", name);
}

static struct victim *owner_new(struct cgroup *cg)
{
	struct victim *v;

	for (int i = 0; i < MUTEXES; i++)
		robust_mutex_init(&sh->mutex[i], true, scene->pi);
	memset(sh->raw, 0, sizeof(sh->raw));
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_keep", .cg = cg, .mib = VICTIM_MIB, .holds = mrt(), .setup = make_owners,
		.stuck = scene->mmap ? STUCK_MMAP_WRITE : STUCK_NOT, .run = eats_when_told });
	victim_go(v);
	if (!WAIT_UNTIL(mrt_held(mrt(), v->pid) == scene->threads + scene->mmap, PATIENCE_MS))
		bail("%s: the owners do not get their locks", scene->name);
	return v;
}

static void stay_longer_than_stock(void)
{
	sleep_ms(STOCK_DELAY_US / 1000 * 3 / 2);
}

/*
 * khugepaged would make a huge page of the kept pages and of nothing, which would
 * be zeros: MADV_COLLAPSE (6.1) does so at once, if it may.
 */
static void check_not_collapsed(struct victim *v, const char *name)
{
	char *p = (char *)v->sh->word[W_HUGE];
	struct iovec iov = { .iov_base = p, .iov_len = 2 * MIB };
	int map = victim_pagemap(v), pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0);
	long before = pages_there(map, p, 2 * MIB), after, ret;

	ok(before > 0 && before <= 4, "%s: of the huge page %ld small ones are kept", name, before);
	ret = syscall(SYS_process_madvise, pidfd, &iov, 1, 25 /* MADV_COLLAPSE */, 0);
	diag("%s: MADV_COLLAPSE: %s", name, ret < 0 ? strerror(errno) : "done");
	after = pages_there(map, p, 2 * MIB);
	is_eq(after, before, "%s: and no others come back", name);
	close(map);
	close(pidfd);
}

static void killed(struct cgroup *cg)
{
	struct victim *v = owner_new(cg);
	const char *name = scene->name;
	struct mr_stats before = mr_stats();

	victim_kill(v);
	if (scene->stays) {
		ok(later_victim_taken(), "%s: another victim is taken", name);
		stay_longer_than_stock();
		ok(memory_there(v) && mr_stat("in_flight") == 1, "%s: its memory stays, however long it takes", name);
	} else {
		ok(memory_back(v) && mrt_held(mrt(), v->pid) > 0, "%s: the memory is back while it is stuck", name);
		WAIT_UNTIL(mr_stat("reaped") > before.reaped, PATIENCE_MS);
		is_eq(mr_stat("reaped") - before.reaped, 1, "%s: it is counted", name);
		if (scene->huge)
			check_not_collapsed(v, name);
		/* What the fault was, that is too. */
		if (scene->lock == lock_part && scene->threads == 1)
			stay_longer_than_stock();
	}
	check_told(v, name);
	is_eq(mr_stat("delayed") - before.delayed, 0, "%s: not because the stock kernel's time is over", name);
	victim_free(v);
}

/* ---- the OOM killer ---- */

/* From the kill until the memory is back, microseconds. */
static long oom_us(struct cgroup *cg, struct victim *v)
{
	long kills = cg_key(cg, "memory.events", "oom_kill");
	long long begin;

	v->sh->word[W_OOM] = 1;
	if (!WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > kills, PATIENCE_MS))
		bail("%s: the OOM killer does not come", scene->name);
	begin = now_us();
	ok(memory_back(v) && mrt_held(mrt(), v->pid) > 0, "%s, OOM: the memory comes back while it is stuck", scene->name);
	return (long)(now_us() - begin);
}

static long stock_us(struct cgroup *cg)
{
	struct victim *v;
	long us;

	knob_set("enabled", "0");
	v = owner_new(cg);
	us = oom_us(cg, v);
	mrt_release(mrt());
	victim_free(v);
	knob_set("enabled", "1");
	diag("%s, OOM: the stock kernel takes %ld us", scene->name, us);
	return us;
}

static void by_oom(struct cgroup *cg)
{
	long stock = stock_us(cg), us;
	struct victim *v = owner_new(cg);
	struct mr_stats before = mr_stats();

	us = oom_us(cg, v);
	diag("%s, OOM: with memrescue it takes %ld us", scene->name, us);
	is_le(us, stock / 4, "%s, OOM: in much less time than on the stock kernel", scene->name);
	check_told(v, scene->name);
	is_eq(mr_stat("delayed") - before.delayed, 0, "%s, OOM: it was not delayed", scene->name);
	victim_free(v);
}

/* What cannot be kept has the stock kernel's time, and no more. */
static void by_oom_delayed(struct cgroup *cg)
{
	long stock = stock_us(cg), us;
	struct victim *v = owner_new(cg);
	struct mr_stats before = mr_stats();
	struct reaped r = { 0 };

	us = oom_us(cg, v);
	diag("%s, OOM: with memrescue it takes %ld us", scene->name, us);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r),
	   "%s, OOM: the log says so", scene->name);
	is_ge(r.in_us, STOCK_DELAY_US, "%s, OOM: after the stock kernel's delay, not before", scene->name);
	is_le(us, stock * 2, "%s, OOM: and not much later either", scene->name);
	is_eq(mr_stat("delayed") - before.delayed, 1, "%s, OOM: it is counted", scene->name);
	mrt_release(mrt());
	ok(victim_wait_exit(v), "%s, OOM: the process ends", scene->name);
	victim_free(v);
}

/* A frozen owner is killed: it ends, and the next owner is told. */
static void frozen(struct cgroup *cg)
{
	static const struct keep_case c = { .name = "frozen owner", .lock = lock_part, .threads = 1, .mutexes = 1 };
	struct victim *v;

	scene = &c;
	v = owner_new(cg);
	cg_set(cg, "cgroup.freeze", "1");
	victim_kill(v);
	ok(memory_back(v) && mrt_held(mrt(), v->pid) > 0, "%s: the memory is back while it is stuck", c.name);
	check_told(v, c.name);
	cg_set(cg, "cgroup.freeze", "0");
	victim_free(v);
}

static const struct keep_case in_swap = {
	.name = "list in swap", .lock = lock_swapped, .threads = 1, .raw = RAW_SOME, .stays = true };

static const struct keep_case cases[] = {
	{ "one lock", lock_part, .threads = 1, .mutexes = 1 },
	{ "three threads, two locks each", lock_part, .threads = 3, .mutexes = 6 },
	{ "locks of the kind that inherits priority", lock_part, .threads = 1, .mutexes = 3, .pi = true },
	{ "list through private memory", lock_mixed, .threads = 1, .mutexes = MUTEXES },
	{ "list through a huge page", lock_in_huge, .threads = 1, .mutexes = 3, .huge = true },
	{ "entries on private pages", lock_raw, .threads = 1, .raw = RAW_SOME },
	{ "32-bit list", lock_raw32, .threads = 1, .raw = RAW_SOME, .compat = true },
	{ "list that ends in nothing", lock_garbage, .threads = 1, .raw = RAW_SOME },
	{ "list without an end", lock_loop, .threads = 1, .raw = RAW_SOME },
	{ "while mmap_lock is held for writing", lock_mixed, .threads = 1, .mutexes = MUTEXES, .mmap = true },
	{ "more pages than can be kept", lock_raw, .threads = 1, .raw = RAW_MOST, .stays = true },
};

int main(void)
{
	struct cgroup *cg = cg_new("keep");
	bool compat = robust_has_compat();

	ok(mr_loaded(), "memrescue is there");
	/* One that was reported, and waits for its locks, is not watched any more. */
	knob_set("stuck_report_ms", "600000");
	mrt();
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (sh == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		scene = &cases[i];
		if (scene->compat && !compat)
			skip("the kernel has no 32-bit system calls", "%s: nobody waits in vain", scene->name);
		else if (scene->mmap && !kernel_has_vma_locks())
			skip("before 6.5 VMAs have no locks", "%s: nobody waits in vain", scene->name);
		else
			killed(cg);
	}
	frozen(cg);
	cg_limit_mib(cg, LIMIT_MIB);
	scene = &cases[0];
	by_oom(cg);
	scene = &cases[3];
	by_oom(cg);
	scene = &cases[ARRAY_SIZE(cases) - 1];
	by_oom_delayed(cg);
	/* Last, because swap would have the OOM killer come later. */
	cg_set(cg, "memory.max", "max");
	cg_set(cg, "memory.swap.max", "max");
	scene = &in_swap;
	if (zram_swap(64, NULL))
		killed(cg);
	else
		skip("the kernel has no zram", "%s: nobody waits in vain", scene->name);
	ok(mr_wait_idle(), "nothing is in flight afterwards");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
