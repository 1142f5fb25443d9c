// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmarks with one victim, alternating the kernel as it is and memrescue:
 *
 *   stuck         killed by its cgroup's OOM, one thread in D state for 4 s
 *   write-locked  killed by another task's OOM, one thread holds mmap_lock for writing for 4 s
 *   killed        kill -9 from user space, one thread in D state for 4 s
 *   terminated    kill -15 from user space, then kill -9, one thread in D state for 4 s
 *   locked        like stuck, and the thread in D state holds a robust lock: whoever waits for it must be told
 *   exit          killed by its cgroup's OOM, and exits by itself
 *   sparse        the same as write-locked, with kill -9, and 14 TiB reserved and not used
 *   parallel      1.5 GiB of 4 KiB pages: one worker ("stock") against several ("memrescue")
 */
#include "bench.h"
#include "robust.h"

struct scene {
	const char *name;
	long mib, limit_mib;
	enum stuck stuck;
	enum pages pages;
	enum { BY_ITSELF, BY_ANOTHER, BY_KILL, BY_TERM } killed;
	bool locked;	/* holds a robust lock */
	void (*setup)(struct victim *v, void *arg);
};

/* Like the shadow of a sanitizer. */
static void reserve(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	if (mmap(NULL, 14UL * 1024 * 1024 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
	    MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
}

static const struct scene scenes[] = {
	{ "stuck", 256, 300, STUCK_D, PAGES_DEFAULT, BY_ITSELF, false, NULL },
	{ "write-locked", 256, 300, STUCK_MMAP_WRITE, PAGES_DEFAULT, BY_ANOTHER, false, NULL },
	{ "killed", 256, 0, STUCK_D, PAGES_DEFAULT, BY_KILL, false, NULL },
	{ "terminated", 256, 0, STUCK_D, PAGES_DEFAULT, BY_TERM, false, NULL },
	{ "locked", 256, 300, STUCK_NOT, PAGES_DEFAULT, BY_ITSELF, true, NULL },
	{ "exit", 256, 300, STUCK_NOT, PAGES_DEFAULT, BY_ITSELF, false, NULL },
	{ "sparse", 256, 0, STUCK_MMAP_WRITE, PAGES_DEFAULT, BY_KILL, false, reserve },
	{ "parallel", 1536, 0, STUCK_D, PAGES_SMALL, BY_KILL, false, NULL },
};

/* ---- a robust lock ---- */

static pthread_mutex_t *mutex;

static void *owns(void *arg)
{
	struct victim *v = arg;

	if (pthread_mutex_lock(mutex))
		bail("the lock cannot be had");
	ioctl(v->how.holds, MRT_SLEEP_D, 4UL * PATIENCE_MS);
	return NULL;
}

static void eats_beside_owner(struct victim *v, void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, owns, v))
		bail("pthread_create: %s", strerror(errno));
	while (mrt_held(v->how.holds, v->pid) != 1)
		usleep(1000);
	victim_eat(v, arg);
}

static void lock_init(void)
{
	mutex = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mutex == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	robust_mutex_init(mutex, true, false);
}

/* ---- measuring ---- */

/* The group with the limit has two below it, one for each process. */
static struct cgroup *child_of(struct cgroup *parent, const char *name)
{
	char child[64];

	if (cg_set(parent, "cgroup.subtree_control", "+memory"))
		bail("%s: no memory controller below it", parent->path);
	snprintf(child, sizeof(child), "%s/%s",
		 strrchr(parent->path, '/') + sizeof("/mr-") - 1, name);
	return cg_new(child);
}

static void (*run_of(const struct scene *scene))(struct victim *v, void *arg)
{
	if (scene->locked)
		return eats_beside_owner;
	return scene->killed == BY_ITSELF ? victim_eat : NULL;
}

static double measure(const struct scene *scene, int *bystanders, int *lost)
{
	struct cgroup *top = cg_new("bench");
	struct cgroup *cg = child_of(top, "victim"), *other_cg = child_of(top, "other");
	struct victim *v, *other = NULL;
	long long killed_us = -1;
	double ms;

	if (scene->locked)
		lock_init();
	if (scene->limit_mib)
		cg_limit_mib(top, scene->limit_mib);
	v = victim_new(&(struct victim_how){
		.name = "victim", .cg = cg, .mib = scene->mib,
		.stuck = scene->stuck, .pages = scene->pages, .setup = scene->setup,
		.holds = mrt(), .run = run_of(scene) });
	if (scene->killed == BY_ANOTHER)
		other = victim_new(&(struct victim_how){
			.name = "other", .cg = other_cg, .mib = 8, .run = victim_eat });
	marks_clear();
	if (scene->killed >= BY_KILL) {
		killed_us = now_us();
		/* What a service manager does, which waits for longer in between. */
		if (scene->killed == BY_TERM && kill(v->pid, SIGTERM))
			bail("kill: %s", strerror(errno));
		victim_kill(v);
	} else {
		victim_go(other ? other : v);
	}
	ms = bench_victim(v, killed_us);
	*bystanders = scene->killed >= BY_KILL ? 0 : marks_count() - 1;
	mrt_release(v->how.holds);
	*lost = scene->locked && !robust_wait(mutex, false);
	if (other)
		victim_free(other);
	victim_free(v);
	if (!mr_wait_idle())
		bail("memrescue still has something in flight");
	cg_remove(cg);
	cg_remove(other_cg);
	cg_remove(top);
	return ms;
}

int main(int argc, char **argv)
{
	const char *name = bench_case(argc, argv);
	int runs = bench_runs(argc, argv), bystanders, lost;
	const struct scene *scene = NULL;
	char more[32] = "";

	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++)
		if (!strcmp(scenes[i].name, name))
			scene = &scenes[i];
	if (!scene)
		bail("no case %s", name);
	bench_init();
	for (int i = 0; i < 2 * runs; i++) {
		bool memrescue = i & 1;
		double ms;

		if (!strcmp(name, "parallel")) {
			snprintf(more, sizeof(more), " workers=%d", memrescue ? 2 : 1);
			if (knob_set("max_workers", "%d", memrescue ? 2 : 1))
				bail("max_workers cannot be set");
			bench_mode(true);
		} else {
			bench_mode(memrescue);
		}
		ms = measure(scene, &bystanders, &lost);
		if (scene->locked)
			snprintf(more, sizeof(more), " lost=%d", lost);
		printf("# SAMPLE case=%s mode=%s ms=%.3f bystanders=%d%s\n",
		       name, bench_mode_name(memrescue), ms, bystanders, more);
	}
	ok(true, "%s: %d pairs measured", name, runs);
	return done();
}
