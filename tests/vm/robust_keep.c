// SPDX-License-Identifier: GPL-2.0
/*
 * Owners of robust futexes that are killed while they are stuck: their memory
 * comes back at once, and whoever waits for their locks is told when they are
 * through, however long that takes. Where it cannot be known what their exit
 * needs, memory stays: for as long as the stock kernel leaves it, if the OOM
 * killer chose them, and else until the exit.
 */
#include "robust.h"

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
} *scene;

/* ---- owners ---- */

/* Words that the victim and the test share. */
enum { W_LOCKED, W_OOM };

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

static struct victim *self;

static void *owner_thread(void *arg)
{
	scene->lock((int)(long)arg);
	self->sh->word[W_LOCKED]++;
	ioctl(self->how.holds, MRT_SLEEP_D, 4UL * PATIENCE_MS);
	return NULL;
}

static void owns(struct victim *v, void *arg)
{
	pthread_t thread;

	self = v;
	for (long i = 0; i < scene->threads; i++)
		if (pthread_create(&thread, NULL, owner_thread, (void *)i))
			bail("pthread_create: %s", strerror(errno));
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
		.name = "v_keep", .cg = cg, .mib = VICTIM_MIB, .holds = mrt(), .run = owns });
	victim_go(v);
	if (!WAIT_UNTIL(v->sh->word[W_LOCKED] == scene->threads &&
			mrt_held(mrt(), v->pid) == scene->threads, PATIENCE_MS))
		bail("%s: the owners do not get their locks", scene->name);
	return v;
}

static void stay_longer_than_stock(void)
{
	sleep_ms(STOCK_DELAY_US / 1000 * 3 / 2);
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

static const struct keep_case cases[] = {
	{ "one lock", lock_part, .threads = 1, .mutexes = 1 },
	{ "three threads, two locks each", lock_part, .threads = 3, .mutexes = 6 },
	{ "locks of the kind that inherits priority", lock_part, .threads = 1, .mutexes = 3, .pi = true },
	{ "list through private memory", lock_mixed, .threads = 1, .mutexes = MUTEXES },
	{ "list through a huge page", lock_in_huge, .threads = 1, .mutexes = 3 },
	{ "entries on private pages", lock_raw, .threads = 1, .raw = RAW_SOME },
	{ "32-bit list", lock_raw32, .threads = 1, .raw = RAW_SOME, .compat = true },
	{ "list that ends in nothing", lock_garbage, .threads = 1, .raw = RAW_SOME },
	{ "list without an end", lock_loop, .threads = 1, .raw = RAW_SOME },
	{ "more pages than can be kept", lock_raw, .threads = 1, .raw = RAW_MOST, .stays = true },
};

int main(void)
{
	struct cgroup *cg = cg_new("keep");
	bool compat = robust_has_compat();

	ok(mr_loaded(), "memrescue is there");
	mrt();
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (sh == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		scene = &cases[i];
		if (scene->compat && !compat)
			skip("the kernel has no 32-bit system calls", "%s: nobody waits in vain", scene->name);
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
	ok(mr_wait_idle(), "nothing is in flight afterwards");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
