// SPDX-License-Identifier: GPL-2.0
/*
 * What an OOM victim has beside what can be zapped comes back by its exit: shared
 * memory, files in memory, page tables, buffers of an io_uring, stacks. While it
 * is on its way nobody else is killed, however long the exit takes on the stock
 * kernel without that, and also where the stock kernel does kill somebody.
 *
 * Each case runs first with the reaper off and its hooks detached.
 */
#include "lib.h"

#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define LIMIT_MIB	256
#define VICTIM_MIB	160
#define NEIGHBOUR_MIB	100
#define ONE_OF_TWO_MIB	80
#define FOR_TWO_MIB	160
#define BYSTANDER_MIB	20
#define HOLD_MS		600
#define BRIEF_MS	60
#define STACKS		6000
#define HOGS		4

/* Page tables: one of them covers 2 MiB. */
#define TABLES_SPAN	(80UL << 30)
#define TABLES_ONLY	22000UL		/* of the zero page */
#define TABLES_ALL	38000UL

enum what { ANON, SHM, MEMFD, TABLES, URING, STACK };
static const char *const whats[] = { "anon", "shm", "memfd", "pgtables", "io_uring", "stacks" };

/* What makes the victim's exit slow. */
enum slow { NONE, HOLD, BRIEF, BUSY, QUOTA, STUCK };
static const char *const slows[] = {
	"", ", 600 ms in D state", ", 60 ms in D state", ", starved", ", throttled", ", stuck for good"
};

/*
 * All in one cgroup; the victim's cgroup is killed as a whole, and has two processes;
 * two victims are needed; memory is short in the machine; or on the node that all of
 * them are bound to, and there is plenty on the other (boot with two, argument "cpuset").
 */
enum where { APART, TOGETHER, GROUP, TWO, GLOBAL, CPUSET };
static const char *const wheres[] = { "", ", in one cgroup", ", oom.group", ", two victims", ", global", ", on one node" };

struct variant {
	enum what what;
	enum slow slow;
	enum where where;
	bool huge;
};

static const struct variant variants[] = {
	{ ANON, HOLD, APART, false }, { ANON, HOLD, APART, true }, { SHM, HOLD, APART, false },
	{ MEMFD, HOLD, APART, false }, { TABLES, HOLD, APART, false }, { URING, HOLD, APART, false },
	{ STACK, HOLD, APART, false }, { SHM, NONE, APART, false }, { TABLES, NONE, APART, false },
	{ SHM, QUOTA, APART, false }, { ANON, QUOTA, APART, false }, { SHM, BRIEF, APART, false },
	{ URING, BRIEF, APART, false }, { SHM, BUSY, APART, false }, { MEMFD, HOLD, TOGETHER, false },
	{ URING, HOLD, TOGETHER, false }, { MEMFD, QUOTA, APART, false }, { SHM, HOLD, GROUP, false },
	{ SHM, HOLD, TWO, false }, { MEMFD, BRIEF, TWO, false }, { ANON, HOLD, GLOBAL, false }, { SHM, HOLD, GLOBAL, false },
	{ MEMFD, STUCK, APART, false }, { ANON, STUCK, TOGETHER, false },
	{ ANON, HOLD, CPUSET, false }, { SHM, HOLD, CPUSET, false }, { ANON, BRIEF, CPUSET, false }, { SHM, NONE, CPUSET, false },
};

static long victim_mib, neighbour_mib;
static long needless_stock, needless_with;	/* in all cases */

struct scene {
	const struct variant *v;
	struct cgroup *top, *victim_cg, *neighbour_cg;
	struct victim *victim, *mate, *neighbour, *bystander;
	pid_t hogs[HOGS];
};

struct outcome {
	bool killed;	/* the victim */
	int needless;
	long long us;	/* until the neighbour had its memory, or was killed */
	long put_off;
};

/* ---- the victim's memory ---- */

static char *map(size_t len, int flags)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	return p;
}

static char *fill(size_t mib, int flags, bool huge)
{
	char *p = map(mib * MIB, flags);

	madvise(p, mib * MIB, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	pattern_fill(p, mib * MIB, PATTERN_KEY);
	return p;
}

static void fill_memfd(void)
{
	static char buf[MIB];
	int fd = memfd_create("v_memfd", 0);

	memset(buf, 1, sizeof(buf));
	for (long i = 0; i < victim_mib; i++)
		if (write(fd, buf, sizeof(buf)) != sizeof(buf))
			bail("victim: memfd: %s", strerror(errno));
}

static void fill_tables(void)
{
	char *p = map(TABLES_SPAN, MAP_PRIVATE);

	madvise(p, TABLES_SPAN, MADV_NOHUGEPAGE);
	for (unsigned long i = 0; i < TABLES_ONLY; i++)
		(void)*(volatile char *)(p + i * 2 * MIB);
	for (unsigned long i = TABLES_ONLY; i < TABLES_ALL; i++)
		*(volatile char *)(p + i * 2 * MIB) = 1;
}

/* Its buffers are pinned. */
static void fill_uring(void)
{
	struct iovec iov = { fill(victim_mib, MAP_PRIVATE, false), victim_mib * MIB };
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct io_uring_params params = { 0 };
	int fd;

	setrlimit(RLIMIT_MEMLOCK, &all);
	fd = (int)syscall(SYS_io_uring_setup, 4, &params);
	if (fd < 0 || syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1))
		bail("victim: io_uring: %s", strerror(errno));
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_stacks(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 4 * PAGE);
	for (int i = 0; i < STACKS; i++)
		if (pthread_create(&thread, &attr, sleeper, NULL))
			break;
}

static void victim_setup(struct victim *v, void *arg)
{
	const struct variant *how = arg;
	struct sched_param none = { 0 };

	(void)v;
	switch (how->what) {
	case ANON:
		fill(victim_mib, MAP_PRIVATE, how->huge);
		break;
	case SHM:
		fill(victim_mib, MAP_SHARED, false);
		break;
	case MEMFD:
		fill_memfd();
		break;
	case TABLES:
		fill_tables();
		break;
	case URING:
		fill_uring();
		break;
	case STACK:
		make_stacks();
	}
	fill(8, MAP_PRIVATE, false);
	if (how->slow == BUSY)
		sched_setscheduler(0, SCHED_IDLE, &none);
}

static void neighbour_setup(struct victim *v, void *arg)
{
	(void)v;
	fill((size_t)arg, MAP_PRIVATE, false);
}

/* ---- the scene ---- */

static bool is_held(const struct variant *v)
{
	return v->slow == HOLD || v->slow == BRIEF || v->slow == STUCK;
}

/* Of node 1. */
static long node_free_kib(void)
{
	char text[4096];
	const char *at = NULL;

	if (file_read("/sys/devices/system/node/node1/meminfo", text, sizeof(text)) > 0)
		at = strstr(text, "MemFree:");
	if (!at)
		bail("there is only one memory node; boot with numa=fake=2");
	return atol(at + strlen("MemFree:"));
}

static void set_sizes(const struct variant *v)
{
	victim_mib = v->where == TWO ? ONE_OF_TWO_MIB : VICTIM_MIB;
	neighbour_mib = v->where == TWO ? FOR_TWO_MIB : NEIGHBOUR_MIB;
	if (v->where != GLOBAL && v->where != CPUSET)
		return;
	victim_mib = (v->where == CPUSET ? node_free_kib() : meminfo_kib("MemAvailable")) / KIB_PER_MIB / 10 * 8;
	neighbour_mib = victim_mib / 2;
}

static void make_groups(struct scene *s)
{
	if (s->v->where == GLOBAL)
		return;
	if (s->v->where == CPUSET) {
		s->victim_cg = cg_new("bound-victim");
		s->neighbour_cg = cg_new("bound-neighbour");
		if (cg_set(s->victim_cg, "cpuset.mems", "1") || cg_set(s->neighbour_cg, "cpuset.mems", "1"))
			bail("%s: no cpusets", s->victim_cg->path);
		return;
	}
	s->top = cg_new("needless");
	cg_limit_mib(s->top, LIMIT_MIB);
	if (s->v->where == TOGETHER) {
		s->victim_cg = s->top;
		s->neighbour_cg = s->top;
		return;
	}
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	if (cg_set(s->top, "cgroup.subtree_control", "+memory"))
		bail("%s: no memory controller below it", s->top->path);
	cg_set(s->top, "cgroup.subtree_control", "+cpu");
	s->victim_cg = cg_new("needless/victim");
	s->neighbour_cg = cg_new("needless/neighbour");
	if (s->v->where == GROUP)
		cg_set(s->victim_cg, "memory.oom.group", "1");
}

static void start_hogs(struct scene *s)
{
	for (int i = 0; i < HOGS; i++) {
		s->hogs[i] = fork();
		if (s->hogs[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
}

static void stop_hogs(struct scene *s)
{
	for (int i = 0; i < HOGS; i++) {
		kill(s->hogs[i], SIGKILL);
		waitpid(s->hogs[i], NULL, 0);
	}
}

static void scene_begin(struct scene *s, const struct variant *v)
{
	*s = (struct scene){ .v = v };
	set_sizes(v);
	make_groups(s);
	s->bystander = victim_new(&(struct victim_how){
		.name = "v_bystander", .cg = s->neighbour_cg, .setup = neighbour_setup,
		.arg = (void *)(size_t)BYSTANDER_MIB });
	if (v->where == GROUP)
		s->mate = victim_new(&(struct victim_how){ .name = "v_mate", .cg = s->victim_cg, .mib = 4 });
	if (v->where == TWO)
		s->mate = victim_new(&(struct victim_how){
			.name = "v_mate", .cg = s->victim_cg, .oom_score_adj = 900, .setup = victim_setup,
			.arg = (void *)v, .stuck = STUCK_D });
	s->victim = victim_new(&(struct victim_how){
		.name = "v_victim", .cg = s->victim_cg, .oom_score_adj = v->where == TWO ? 1000 : 500, .setup = victim_setup,
		.arg = (void *)v, .stuck = is_held(v) ? STUCK_D : STUCK_NOT });
	s->neighbour = victim_new(&(struct victim_how){
		.name = "v_neighbour", .cg = s->neighbour_cg, .run = victim_eat_some,
		.arg = (void *)(neighbour_mib * MIB) });
	if (v->slow == QUOTA && cg_set(s->victim_cg, "cpu.max", "3000 100000"))
		bail("%s: no cpu.max", s->victim_cg->path);
	if (v->slow == BUSY)
		start_hogs(s);
	log_mark();
}

static void scene_end(struct scene *s)
{
	if (s->v->slow == BUSY)
		stop_hogs(s);
	if (s->v->slow == QUOTA)
		cg_set(s->victim_cg, "cpu.max", "max");
	mrt_release(mrt());
	victim_free(s->neighbour);
	victim_free(s->bystander);
	victim_free(s->victim);
	if (s->mate)
		victim_free(s->mate);
	if (s->victim_cg != s->top) {
		cg_remove(s->neighbour_cg);
		cg_remove(s->victim_cg);
	}
	if (s->top)
		cg_remove(s->top);
}

static bool is_killed(const struct victim *v)
{
	return log_find("Killed process %d ", v->pid);
}

static bool is_decided(const struct scene *s)
{
	return s->neighbour->sh->word[0] || is_killed(s->neighbour) ||
	       (s->v->slow == STUCK && is_killed(s->bystander));
}

static struct outcome run(const struct variant *v)
{
	long before = mr_stat("kills_put_off");
	struct outcome o = { 0 };
	long long begin;
	struct scene s;

	scene_begin(&s, v);
	begin = now_us();
	victim_go(s.neighbour);
	if (!WAIT_UNTIL(is_killed(s.victim) || is_decided(&s), PATIENCE_MS))
		bail("nothing happens");
	o.killed = is_killed(s.victim);
	if (v->slow == HOLD || v->slow == BRIEF) {
		sleep_ms(v->slow == HOLD ? HOLD_MS : BRIEF_MS);
		mrt_release(mrt());
	}
	if (!WAIT_UNTIL(is_decided(&s), PATIENCE_MS))
		bail("the neighbour neither gets its memory nor is killed");
	o.us = now_us() - begin;
	o.needless = is_killed(s.neighbour) + !!is_killed(s.bystander);
	o.put_off = mr_stat("kills_put_off") - before;
	scene_end(&s);
	return o;
}

static bool kernel_has_uring(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void try_variant(const struct variant *v)
{
	struct outcome stock, with;
	char name[96];

	snprintf(name, sizeof(name), "%s%s%s%s", whats[v->what], v->huge ? " (huge)" : "", slows[v->slow], wheres[v->where]);
	if (v->what == URING && !kernel_has_uring()) {
		skip("the kernel has no io_uring", "%s", name);
		return;
	}
	if (knob_set("enabled", "0"))
		bail("the reaper cannot be turned off");
	stock = run(v);
	knob_set("enabled", "1");
	with = run(v);
	if (!mr_wait_idle())
		bail("memrescue still has something in flight");
	diag("%s: stock: %d needless, %lld ms; memrescue: %d needless, %lld ms, %ld put off", name,
	     stock.needless, stock.us / 1000, with.needless, with.us / 1000, with.put_off);
	ok(stock.killed && with.killed, "%s: the victim is killed", name);
	if (v->slow != STUCK) {
		needless_stock += stock.needless;
		needless_with += with.needless;
	}
	if (v->slow != STUCK || !stock.needless) {
		is_eq(with.needless, 0, "%s: nobody else is", name);
		return;
	}
	/* Somebody has to be, or has room in what memrescue has given back. */
	is_le(with.us, 3 * stock.us / 2, "%s: nobody has to wait for longer than on the stock kernel", name);
	if (with.needless)
		is_ge(with.us, STOCK_DELAY_US, "%s: nor is anybody killed earlier", name);
}

static bool is_wanted(const struct variant *v, const char *word)
{
	if (v->where == CPUSET)
		return word && !strcmp(word, "cpuset");
	return !word || strstr(word, whats[v->what]);
}

int main(int argc, char **argv)
{
	ok(mr_loaded(), "memrescue is there");
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
		if (is_wanted(&variants[i], argc < 2 ? NULL : argv[1]))
			try_variant(&variants[i]);
	diag("SAMPLE case=needless mode=stock ms=%ld unit=kills", needless_stock);
	diag("SAMPLE case=needless mode=memrescue ms=%ld unit=kills", needless_with);
	return done();
}
