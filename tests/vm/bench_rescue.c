// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmarks of tasks that are served from the pool, in a machine that thrashes: processes without a limit write
 * again and again to more memory than there is, with swap on zram, so that whoever wants a page has to reclaim.
 *
 *   lifeline  fork, exec and touching 1 MiB, by a task in a cgroup that is a lifeline ("memrescue"), or none ("stock")
 *   dying     from SIGKILL until it is gone, of a task that allocates PAGES pages in the kernel when it has been
 *             killed, among 200 others; rescue_dying is 1 ("memrescue"), or 0 ("stock")
 *
 * The two alternate. Arguments beside case= and runs=: pages=N, hogs=N, percent=N (of the
 * memory that is available, how much the hogs use together), interval=MS (between two measurements),
 * only=stock.
 */
#include "bench.h"
#include "lib_pool.h"

#include "clients/memrescue_pool_bench.h"

#define HOG_PARTS	16
#define PAIRS		10	/* measurements of each mode, in a run */
#define PROBE_BYTES	MIB
#define LIMIT_MS	60000	/* a measurement that takes longer has failed */

static struct { long pages, hogs, percent, interval; bool only_stock; } how;
static char *self;
static struct cgroup *lifeline, *plain;
static int device = -1, die_at = -1;

static long number(int argc, char **argv, const char *name, long otherwise)
{
	size_t len = strlen(name);

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, len) && argv[i][len] == '=')
			return atol(argv[i] + len + 1);
	return otherwise;
}

static void to_root_group(void)
{
	if (file_write("/sys/fs/cgroup/cgroup.procs", "0"))
		bail("cannot enter the root cgroup");
}

/* ---- the others ---- */

/* Two random bits in each byte: a quarter of it is information, and it takes work to find that. */
static void fill_page(uint64_t *page, uint64_t *seed)
{
	for (size_t i = 0; i < PAGE / sizeof(*page); i++) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		page[i] = *seed & 0x0303030303030303ULL;
	}
}

/*
 * Holds on to its memory, but drops the oldest part, which is on swap, and fills
 * it again. New pages are wanted faster than others can be compressed, so kswapd
 * is left behind and everybody reclaims.
 */
static void hog_run(struct victim *v, void *arg)
{
	size_t len = (size_t)arg / HOG_PARTS * PAGE;
	uint64_t seed = getpid() * 0x9e3779b97f4a7c15ULL;
	char *p = mmap(NULL, len * HOG_PARTS, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, len * HOG_PARTS, MADV_NOHUGEPAGE);
	for (int part = 0;; part = (part + 1) % HOG_PARTS) {
		madvise(p + part * len, len, MADV_DONTNEED);
		for (size_t at = 0; at < len; at += PAGE)
			fill_page((uint64_t *)(p + part * len + at), &seed);
		v->sh->word[0]++;
	}
}

/* Each by itself beside kswapd, which is no match for them; a group of them would be as much as one. */
static void hog_setup(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	to_root_group();
}

static struct victim *hogs[256];

static bool hogs_live(void)
{
	for (long i = 0; i < how.hogs; i++)
		if (!victim_exists(hogs[i]))
			return false;
	return true;
}

/* Pages go to swap, and go on going there. */
static bool thrashes(void)
{
	static long out;
	long now = file_key("/proc/vmstat", "pswpout");
	bool more = now > out + 5000;

	if (more)
		out = now;
	return more;
}

static void thrash_begin(void)
{
	long pages = meminfo_kib("MemAvailable") / 4 * how.percent / 100 / how.hogs;

	/* Those that compress best, which is what who has little memory takes: they take their time. */
	static const char *const compressors[] = { "zstd", "deflate", NULL };

	if (!zram_swap(meminfo_kib("MemTotal") / 1024 * 2, compressors))
		bail("the kernel has no zram");
	for (long i = 0; i < how.hogs; i++)
		hogs[i] = victim_new(&(struct victim_how){
			.name = "hog", .setup = hog_setup, .run = hog_run, .arg = (void *)pages });
	for (long i = 0; i < how.hogs; i++)
		victim_go(hogs[i]);
	for (int i = 0; i < 3; i++)
		if (!WAIT_UNTIL(thrashes(), 2 * PATIENCE_MS))
			bail("the machine does not thrash: %ld pages swapped out", file_key("/proc/vmstat", "pswpin"));
	diag("%ld hogs with %ld pages each, MemFree %ld KiB, SwapFree %ld KiB", how.hogs, pages, meminfo_kib("MemFree"),
	     meminfo_kib("SwapFree"));
}

/* This program: not paged out, not killed, and first in line when something is to be noted. */
static void observer_begin(void)
{
	struct sched_param param = { .sched_priority = 50 };

	file_write("/proc/self/oom_score_adj", "-1000");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		bail("mlockall: %s", strerror(errno));
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		bail("sched_setscheduler: %s", strerror(errno));
}

/* ---- measuring ---- */

static double wait_for(pid_t pid, long long begin)
{
	int status;
	long long end;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bail("waitpid: %s", strerror(errno));
	end = now_us();
	if (WIFEXITED(status) && WEXITSTATUS(status))
		bail("what was measured failed with status %d", WEXITSTATUS(status));
	if (end - begin > LIMIT_MS * 1000LL)
		bail("a measurement took %lld ms", (end - begin) / 1000);
	return (end - begin) / 1000.0;
}

/* What a shell does for a command, and what a command does at least. */
static int probe(void)
{
	char *p = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	madvise(p, PROBE_BYTES, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < PROBE_BYTES; at += PAGE)
		p[at] = 1;
	return 0;
}

static double lifeline_once(void)
{
	long long begin = now_us();
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		execl(self, self, "probe", NULL);
		_exit(99);
	}
	return wait_for(pid, begin);
}

static struct mpt_death last_death(void)
{
	struct mpt_death death;

	if (ioctl(device, MPT_DEATH, &death))
		bail("MPT_DEATH: %s", strerror(errno));
	return death;
}

static double dying_once(void)
{
	long long begin;
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		file_write("/proc/self/oom_score_adj", "0");
		ioctl(die_at, MPT_DIE, how.pages);
		_exit(99);
	}
	if (!WAIT_UNTIL(last_death().pid == (unsigned long)pid, LIMIT_MS))
		bail("the task that is to die does not begin");
	sleep_ms(20);
	begin = now_us();
	kill(pid, SIGKILL);
	return wait_for(pid, begin);
}

/* ---- modes ---- */

static void write_or_bail(const char *name, const char *value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), MR_POOL "%s", name);
	err = file_write(path, "%s", value);
	if (err)
		bail("%s cannot be written to %s: %s", value, path, strerror(-err));
}

/* Without it both modes are the same, and there is nothing to measure. */
static void hook_is_active(void)
{
	struct mr_row rows[32];
	int n = mr_hooks(rows, ARRAY_SIZE(rows));

	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, "slowpath") && !strncmp(rows[i].state, "active", 6))
			return;
	bail("the hook slowpath is off: nobody is rescued");
}

/* The lifeline stays what it is, and this task moves: nothing has to be filled before each measurement. */
static void lifeline_mode(bool memrescue)
{
	if (cg_enter(memrescue ? lifeline : plain))
		bail("the cgroup cannot be changed");
	if (memrescue && !how.only_stock)
		hook_is_active();
}

static void dying_mode(bool memrescue)
{
	if (how.only_stock)
		return;
	write_or_bail("rescue_dying", memrescue ? "1" : "0");
	if (memrescue)
		hook_is_active();
}

/* A group that has CPU time, else it is the run queue that is measured, the same in both modes. */
static struct cgroup *group(const char *name)
{
	struct cgroup *cg = cg_new(name);

	if (cg_set(cg, "cpu.weight", "10000"))
		bail("%s has no CPU controller", cg->path);
	return cg;
}

static void lifeline_add(const char *pages)
{
	lifeline = group("lifeline");
	plain = group("plain");
	if (how.only_stock)
		return;
	if (pages)
		write_or_bail("lifeline_pages", pages);
	write_or_bail("lifelines", "/mr-lifeline");
	if (!WAIT_UNTIL(pool_is_full(), PATIENCE_MS))
		bail("the lifeline's share is not filled");
}

static void lifeline_begin(void)
{
	lifeline_add(NULL);
}

/* The lifeline, in which nobody is, only keeps the hook attached: with rescue_dying at 0 nobody else would. */
static void dying_begin(void)
{
	int err = load_module(POOL_CLIENT_KO, "");

	if (err)
		bail(POOL_CLIENT_KO ": %s", strerror(-err));
	lifeline_add("1");
	if (cg_enter(plain))
		bail("cannot enter %s", plain->path);
	device = pool_client("watches", 0, 0);
	die_at = pool_client("dies", 0, 0);
}

static void lifeline_end(void)
{
	to_root_group();
	if (!how.only_stock)
		write_or_bail("lifelines", "-/mr-lifeline");
}

static void dying_end(void)
{
	lifeline_end();
	close(device);
	close(die_at);
	if (unload_module("memrescue_pool_test"))
		bail("the client cannot be unloaded");
}

struct scene {
	const char *name;
	long hogs, percent;
	void (*begin)(void);
	void (*mode)(bool memrescue);
	double (*once)(void);
	void (*end)(void);
};

static const struct scene scenes[] = {
	{ "lifeline", 32, 160, lifeline_begin, lifeline_mode, lifeline_once, lifeline_end },
	{ "dying", 200, 160, dying_begin, dying_mode, dying_once, dying_end },
};

static void show(const struct scene *scene, bool memrescue, double ms)
{
	printf("# SAMPLE case=%s mode=%s stat=p99 ms=%.3f", scene->name, bench_mode_name(memrescue), ms);
	if (device >= 0)
		printf(" pages=%llu alloc_ms=%.3f", (unsigned long long)last_death().allocated, last_death().ns / 1e6);
	printf("\n");
}

static void show_rescued(void)
{
	char text[1024], *line, *at;

	if (file_read(MR_POOL "rescued", text, sizeof(text)) < 0)
		return;
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
		diag("%s", line);
}

/* Who reclaimed: kswapd, or those who wanted pages? */
static void show_reclaim(void)
{
	static const char *const keys[] = { "pswpout", "pswpin", "pgsteal_kswapd", "pgsteal_direct" };
	char text[512];
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		n += snprintf(text + n, sizeof(text) - n, "%s %ld ", keys[i], file_key("/proc/vmstat", keys[i]));
	file_read("/sys/block/zram0/comp_algorithm", text + n, sizeof(text) - n);
	diag("%s", text);
	diag("MemFree %ld KiB, SwapFree %ld KiB", meminfo_kib("MemFree"), meminfo_kib("SwapFree"));
}

static void measure(const struct scene *scene)
{
	for (int i = 0; i < 2 * PAIRS; i++) {
		bool memrescue = i & 1;

		scene->mode(memrescue);
		sleep_ms(how.interval);
		show(scene, memrescue, scene->once());
	}
	if (!hogs_live())
		bail("a process was killed that the machine needs for thrashing");
	show_rescued();
	show_reclaim();
	diag("gets %ld, misses %ld, refilled %ld, refill_failures %ld, grown %ld, common %ld, reserved %ld", pool("gets"),
	     pool("misses"), pool("refilled"), pool("refill_failures"), pool("grown"), pool("common"), pool("reserved"));
}

/* For who reads the figures: what it takes while there is memory. */
static void show_unloaded(const struct scene *scene)
{
	double ms, most = 0, sum = 0;

	for (int i = 0; i < PAIRS; i++) {
		ms = scene->once();
		sum += ms;
		most = ms > most ? ms : most;
	}
	diag("while there is memory: %.1f ms on average, at most %.1f", sum / PAIRS, most);
}

static void run(const struct scene *scene, int runs)
{
	scene->begin();
	show_unloaded(scene);
	thrash_begin();
	observer_begin();
	for (int i = 0; i < runs; i++)
		measure(scene);
	scene->mode(false);
	victims_free_all();
	scene->end();
}

int main(int argc, char **argv)
{
	int runs = bench_runs(argc, argv);
	const struct scene *scene = NULL;

	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "probe"))
		return probe();
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++)
		if (!strcmp(scenes[i].name, bench_case(argc, argv)))
			scene = &scenes[i];
	if (!scene)
		bail("no case %s", bench_case(argc, argv));
	if (!mr_loaded())
		bail("memrescue is not loaded");
	how.pages = number(argc, argv, "pages", 16);
	how.hogs = number(argc, argv, "hogs", scene->hogs);
	how.percent = number(argc, argv, "percent", scene->percent);
	how.interval = number(argc, argv, "interval", 100);
	for (int i = 1; i < argc; i++)
		how.only_stock |= !strcmp(argv[i], "only=stock");
	log_expect(ALLOCATION_STALL);
	/* There, writing to swap needs memory, and does without. */
	log_expect("hog: page allocation failure: order:0");
	run(scene, runs);
	ok(true, "%s: %d times %d pairs measured", scene->name, runs, PAIRS);
	return done();
}
