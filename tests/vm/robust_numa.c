// SPDX-License-Identifier: GPL-2.0
/*
 * Lists of robust futexes in pages that automatic NUMA balancing has marked
 * (boot with numa=fake=2): they cannot be accessed, and memrescue sees all the
 * same whether a thread holds a lock, and what it needs to give it up.
 */
#include "robust.h"

#define THREADS		40	/* more than memrescue keeps of them at once */
#define VICTIM_MIB	40

/* Words that the victim and the test share. */
enum { W_UNREADABLE, W_MARKED };

/* In the victim. */
static void *heads[THREADS];
static _Atomic int started;
static pthread_mutex_t *mutex;

static void tell_head(int i)
{
	size_t len;

	if (syscall(SYS_get_robust_list, 0, &heads[i], &len))
		bail("get_robust_list: %s", strerror(errno));
	started++;
}

static void *waits(void *arg)
{
	tell_head((long)arg);
	for (;;)
		pause();
	return NULL;
}

/* The first thread may hold a lock; it does nothing any more in user space. */
static void *sleeps(void *arg)
{
	if (mutex && pthread_mutex_lock(mutex))
		bail("the lock cannot be had");
	tell_head((long)arg);
	ioctl(mrt(), MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return NULL;
}

static long unreadable(void)
{
	long n = 0;

	for (int i = 0; i < THREADS; i++)
		n += !ioctl(mrt(), MRT_CAN_READ, heads[i]);
	return n;
}

/* Its own run time makes the kernel mark the pages, of all threads. */
static void be_marked(struct victim *v, void *arg)
{
	long long end = now_us() + PATIENCE_MS * 1000LL;
	pthread_t thread;

	(void)arg;
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, i ? waits : sleeps, (void *)i))
			bail("pthread_create: %s", strerror(errno));
	while (started < THREADS)
		usleep(1000);
	while ((v->sh->word[W_UNREADABLE] = unreadable()) < THREADS && now_us() < end)
		;
	v->sh->word[W_MARKED] = 1;
}

/* How often the kernel marks pages; without it the test only takes longer. */
static void set_scan(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/sched/numa_balancing/%s", name);
	if (file_exists(path) && file_set(path, value))
		bail("%s: %s", path, strerror(errno));
}

static struct victim *marked_victim(struct cgroup *cg, const char *name)
{
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_marked", .cg = cg, .mib = VICTIM_MIB, .holds = mrt(), .run = be_marked });
	victim_go(v);
	WAIT_UNTIL(v->sh->word[W_MARKED], 2 * PATIENCE_MS);
	is_eq(v->sh->word[W_UNREADABLE], THREADS, "%s: no thread's list can be read without a fault", name);
	is_eq(mrt_held(mrt(), v->pid), 1, "%s: one thread is in D state", name);
	return v;
}

static void no_lock(struct cgroup *cg)
{
	const char *name = "marked, no lock held";
	struct victim *v = marked_victim(cg, name);
	struct mr_stats before = mr_stats();

	victim_kill(v);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
}

/* The pages that its exit needs stay, and are still marked when it does. */
static void one_lock(struct cgroup *cg)
{
	const char *name = "marked, a lock held in D state";
	struct mr_stats before;
	struct victim *v;

	mutex = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mutex == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	robust_mutex_init(mutex, true, false);
	v = marked_victim(cg, name);
	before = mr_stats();
	victim_kill(v);
	check_reaped(v, &before, "killed", name);
	is_eq(mr_stats().delayed - before.delayed, 0, "%s: not after the time for robust futexes", name);
	is_eq(pthread_mutex_trylock(mutex), EOWNERDEAD, "%s: the next owner is told", name);
	victim_free(v);
}

int main(void)
{
	struct cgroup *cg = cg_new("marked");

	if (!file_exists("/sys/devices/system/node/node1"))
		skip_all("there is only one memory node");
	if (file_set("/proc/sys/kernel/numa_balancing", "1"))
		skip_all("the kernel has no automatic NUMA balancing");
	set_scan("scan_delay_ms", "1");
	set_scan("scan_period_min_ms", "10");
	ok(mr_loaded(), "memrescue is there");
	no_lock(cg);
	one_lock(cg);
	ok(mr_wait_idle(), "nothing is in flight afterwards");
	return done();
}
