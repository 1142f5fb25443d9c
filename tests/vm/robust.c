// SPDX-License-Identifier: GPL-2.0
/*
 * Robust futexes: whoever waits for a lock whose owner is killed must be told
 * (EOWNERDEAD), although the owner's memory, in which the kernel finds the list
 * of its locks, is reaped at once. One thousand kills; more with soak=N.
 */
#include <semaphore.h>

#include "robust.h"

#define KILLS		1000
#define MUTEXES		8
#define RAW_ENTRIES	32
#define OOM_EVERY	10	/* of so many kills one is the OOM killer's */
#define PRIVATE_LEN	(MIB / 8)

/* Shared by owner, waiter and test; below 4 GiB, for the 32-bit list. */
struct shared {
	_Atomic int ready;
	_Atomic int locked;
	pthread_mutex_t mutex[MUTEXES];
	char pad[PAGE - (sizeof(pthread_mutex_t) * MUTEXES + 2 * sizeof(int)) % PAGE];
	struct raw_futex raw[RAW_ENTRIES];
};

static struct shared *sh;

/* The waiter is a thread of the test; mutex < 0: a raw futex. */
static struct {
	sem_t go, done;
	int mutexes;
	bool raw, may_be_free;
	int lost;
} waiter;

static unsigned int seed = 1;
static bool has_sysrq;
static long oom_kills, oom_victims;

static unsigned int rnd(unsigned int n)
{
	return rand_r(&seed) % n;
}

/* ---- waiting ---- */

static struct timespec in_ms(long ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static void *waiter_thread(void *arg)
{
	(void)arg;
	for (;;) {
		while (sem_wait(&waiter.go))
			;
		/* One that is lost takes all those behind it along. */
		if (waiter.raw)
			for (int i = 0, lost = 0; i < RAW_ENTRIES && !lost; i++)
				waiter.lost += lost = !robust_wait_raw(&sh->raw[i].futex);
		else
			for (int i = 0; i < waiter.mutexes; i++)
				waiter.lost += !robust_wait(&sh->mutex[i], waiter.may_be_free);
		sem_post(&waiter.done);
	}
	return NULL;
}

static bool waiter_done(void)
{
	struct timespec ts = in_ms(MUTEXES * LOST_MS + PATIENCE_MS);
	int err;

	do
		err = sem_timedwait(&waiter.done, &ts);
	while (err && errno == EINTR);
	return !err;
}

/* ---- owners ---- */

static void lock_all(int from, int to)
{
	for (int i = from; i < to; i++)
		if (pthread_mutex_lock(&sh->mutex[i]))
			_exit(97);
}

static void use_memory(void)
{
	char *p = mmap(NULL, PRIVATE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pattern_fill(p, PRIVATE_LEN, PATTERN_KEY);
}

static void owner_one(void)
{
	lock_all(0, 1);
}

static void owner_many(void)
{
	lock_all(0, MUTEXES);
}

/* The list leads through private memory: each shared lock lies behind a private one. */
static void owner_mixed(void)
{
	char *p = mmap(NULL, MUTEXES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < MUTEXES; i++) {
		pthread_mutex_t *m = (pthread_mutex_t *)(p + i * PAGE);

		lock_all(i, i + 1);
		robust_mutex_init(m, false, false);
		pthread_mutex_lock(m);
	}
}

static void *d_thread(void *arg)
{
	ioctl(mrt(), MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return arg;
}

static void in_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		_exit(96);
}

static void owner_beside_d(void)
{
	lock_all(0, MUTEXES);
	in_thread(d_thread, NULL);
}

static void *d_owner_thread(void *arg)
{
	lock_all(0, MUTEXES);
	ioctl(mrt(), MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return arg;
}

static void owner_in_d(void)
{
	in_thread(d_owner_thread, NULL);
}

static void *lock_two_thread(void *arg)
{
	long i = (long)arg;

	lock_all(2 * i, 2 * i + 2);
	sh->locked++;
	for (;;)
		pause();
	return NULL;
}

static void owner_threads(void)
{
	for (long i = 0; i < MUTEXES / 2; i++)
		in_thread(lock_two_thread, (void *)i);
	while (sh->locked < MUTEXES / 2)
		usleep(50);
}

/* Killed somewhere in lock or unlock: an operation may be pending. */
static void owner_loop(void)
{
	sh->ready = 1;
	for (;;) {
		for (int i = 0; i < MUTEXES; i++)
			lock_all(i, i + 1);
		for (int i = MUTEXES; i-- > 0;)
			pthread_mutex_unlock(&sh->mutex[i]);
	}
}

/* A list made by hand: its entries are private, one on each page; its futexes are shared. */
static void owner_raw(void)
{
	if (!robust_raw(sh->raw, RAW_ENTRIES, RAW_HEAD))
		_exit(95);
}

static void owner_raw32(void)
{
	if (!robust_raw32(sh->raw, RAW_ENTRIES, RAW_HEAD))
		_exit(95);
}

/* ---- the cases ---- */

static const struct robust_case {
	const char *name;
	void (*owner)(void);
	int mutexes;		/* locked by the owner; 0: raw futexes */
	bool d;			/* a thread of it is held in D state */
	bool holds_in_d;	/* ... and has the locks */
	bool loop;
	int share;		/* of all kills, percent */
} cases[] = {
	{ .name = "one lock", .owner = owner_one, .mutexes = 1, .share = 10 },
	{ .name = "eight locks", .owner = owner_many, .mutexes = MUTEXES, .share = 10 },
	{ .name = "list through private memory", .owner = owner_mixed, .mutexes = MUTEXES, .share = 15 },
	{ .name = "owner beside a thread in D state", .owner = owner_beside_d, .mutexes = MUTEXES, .d = true, .share = 15 },
	{ .name = "owner in D state", .owner = owner_in_d, .mutexes = MUTEXES, .d = true, .holds_in_d = true, .share = 15 },
	{ .name = "four owners in one process", .owner = owner_threads, .mutexes = MUTEXES, .share = 10 },
	{ .name = "in the middle of lock or unlock", .owner = owner_loop, .mutexes = MUTEXES, .loop = true, .share = 10 },
	{ .name = "32 entries on private pages", .owner = owner_raw, .share = 10 },
	{ .name = "32-bit list", .owner = owner_raw32, .share = 5 },
};

static void init_mutexes(void)
{
	for (int i = 0; i < MUTEXES; i++)
		robust_mutex_init(&sh->mutex[i], true, false);
	sh->ready = 0;
	sh->locked = 0;
}

static void owner_main(const struct robust_case *c)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "v_owner");
	file_write("/proc/self/oom_score_adj", "0");
	use_memory();
	c->owner();
	sh->ready = 1;
	for (;;)
		pause();
}

/* The waiter sleeps in the kernel on the first of them. */
static bool someone_waits(const struct robust_case *c)
{
	if (!c->mutexes || c->loop)
		return true;
	return (unsigned int)sh->mutex[0].__data.__lock & FUTEX_WAITERS;
}

/* The OOM killer is asked for by sysrq-f: nobody else may be killed. */
static void kill_owner(pid_t pid, bool by_oom)
{
	long kills = file_key("/proc/vmstat", "oom_kill");
	char path[64];

	if (!by_oom) {
		kill(pid, SIGKILL);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	if (file_write(path, "1000") || file_write("/proc/sysrq-trigger", "f"))
		bail("sysrq-f: %s", strerror(errno));
	if (!WAIT_UNTIL(file_key("/proc/vmstat", "oom_kill") > kills, PATIENCE_MS))
		bail("sysrq-f: nobody is killed");
}

static void one_kill(const struct robust_case *c, bool by_oom)
{
	long reaped;
	pid_t pid;

	init_mutexes();
	pid = fork();
	if (!pid)
		owner_main(c);
	if (!WAIT_UNTIL(sh->ready == 1 || waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS) || !sh->ready)
		bail("%s: the owner did not get its locks", c->name);
	if (c->d && !WAIT_UNTIL(mrt_held(mrt(), pid) > 0, PATIENCE_MS))
		bail("%s: no thread in D state", c->name);
	waiter.mutexes = c->mutexes;
	waiter.raw = !c->mutexes;
	waiter.may_be_free = c->loop;
	/* In the loop case the waiter would take part in the race for the lock. */
	if (!c->loop) {
		sem_post(&waiter.go);
		if (!WAIT_UNTIL(someone_waits(c), PATIENCE_MS))
			bail("%s: the waiter does not wait", c->name);
	}
	usleep(rnd(2000));
	reaped = mr_stat("reaped");
	kill_owner(pid, by_oom);
	if (c->loop)
		sem_post(&waiter.go);
	if (c->d)
		WAIT_UNTIL(mr_stat("reaped") > reaped, PATIENCE_MS);
	if (c->holds_in_d)
		mrt_release(mrt());
	if (!waiter_done())
		bail("%s: the waiter is stuck", c->name);
	mrt_release(mrt());
	if (!WAIT_UNTIL(waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS))
		bail("%s: the owner does not end", c->name);
}

/* Hits and misses of all hooks of signals. */
static void signal_hook(long *hits, long *missed)
{
	struct mr_row rows[16];
	int n = mr_hooks(rows, ARRAY_SIZE(rows));

	*hits = *missed = 0;
	for (int i = 0; i < n; i++) {
		if (!strstr(rows[i].target, "signal_generate"))
			continue;
		*hits += rows[i].hits;
		*missed += rows[i].missed;
	}
}

static long run_case(const struct robust_case *c, long n)
{
	struct mr_stats before = mr_stats(), after;
	long kills = 0, by_oom = 0;

	waiter.lost = 0;
	while (kills < n && waiter.lost < 3) {
		bool oom = has_sysrq && kills % OOM_EVERY == OOM_EVERY - 1;

		one_kill(c, oom);
		by_oom += oom;
		kills++;
	}
	is_eq(waiter.lost, 0, "%s: %ld kills, no waiter is lost", c->name, n);
	mr_wait_idle();
	after = mr_stats();
	oom_kills += by_oom;
	oom_victims += after.victims_oom - before.victims_oom;
	if (c->d)
		ok(after.victims_killed - before.victims_killed == kills - by_oom &&
		   after.victims_oom - before.victims_oom == by_oom, "%s: each was a victim, %ld of them the OOM killer's",
		   c->name, by_oom);
	if (c->d)
		is_eq(after.reaped - before.reaped, kills, "%s: each was reaped", c->name);
	is_eq(after.delayed - before.delayed, 0, "%s: none of them had to be left alone for as long as on stock", c->name);
	diag("%ld victims, %ld reaped", after.victims - before.victims, after.reaped - before.reaped);
	return kills;
}

int main(int argc, char **argv)
{
	long kills = KILLS * soak_factor(argc, argv), all = 0;
	long hits, missed, hits_before, missed_before;
	pthread_t thread;

	ok(mr_loaded(), "memrescue is there");
	mrt();
	seed = now_us();
	diag("seed %u", seed);
	knob_set("kill_min_kb", "0");
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (sh == MAP_FAILED || sem_init(&waiter.go, 0, 0) || sem_init(&waiter.done, 0, 0) ||
	    pthread_create(&thread, NULL, waiter_thread, NULL))
		bail("cannot start: %s", strerror(errno));
	/* The list of all tasks that each of these kills would print. */
	file_set("/proc/sys/vm/oom_dump_tasks", "0");
	has_sysrq = file_exists("/proc/sysrq-trigger");
	if (!has_sysrq)
		skip("the kernel has no CONFIG_MAGIC_SYSRQ", "kills by the OOM killer: no waiter is lost");
	log_mark();
	signal_hook(&hits_before, &missed_before);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct robust_case *c = &cases[i];

		if (c->owner == owner_raw32 && !robust_has_compat())
			skip("the kernel has no 32-bit system calls", "%s: no waiter is lost", c->name);
		else
			all += run_case(c, kills * c->share / 100);
	}
	signal_hook(&hits, &missed);
	ok(hits - hits_before >= all && missed == missed_before, "memrescue was told of all %ld kills", all);
	/*
	 * One that is quick is gone before anybody looks. One whose SIGKILL was seen, and that was gone before a worker looked at
	 * its mark, counts twice.
	 */
	ok(oom_victims <= oom_kills + 1 + oom_kills / 50 && oom_victims >= oom_kills * 3 / 4, "%ld of %ld kills by the OOM killer were seen as such",
	   oom_victims, oom_kills);
	ok(mr_wait_idle(), "nothing is in flight afterwards");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
