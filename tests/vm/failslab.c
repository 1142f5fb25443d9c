// SPDX-License-Identifier: GPL-2.0
/*
 * No memory for memrescue: each allocation of its load and of its unload fails
 * once (with the argument "short" some of them, others in the next run), and the
 * load succeeds or ends with a clean error, and leaks nothing. And with every
 * allocation of every worker failing, victims still are reaped: that path needs
 * none. For kernels with CONFIG_FAULT_INJECTION, such as our debug one.
 */
#include <dirent.h>

#include "load.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define MANY		1000000L
#define EARLY_SAMPLES	12	/* of the allocations that are not memrescue's own */
/* It is on the stack while other parts of the kernel prepare for a new module. */
#define NOTIFIERS	"blocking_notifier_call_chain_robust"
#define VICTIM_MIB	16
#define LIMIT_MIB	24

static const char *const injectors[] = { DEBUGFS "failslab/", DEBUGFS "fail_page_alloc/" };

static int set(size_t injector, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", injectors[injector], name);
	return file_exists(path) ? file_set(path, value) : 0;
}

/* CONFIG_FAULT_INJECTION_STACKTRACE_FILTER */
static bool can_filter(size_t injector)
{
	char path[128];

	snprintf(path, sizeof(path), "%sreject-start", injectors[injector]);
	return file_exists(path);
}

static void prepare(void)
{
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++) {
		if (!file_exists(injectors[i]))
			skip_all("the kernel has no fault injection (%s)", injectors[i]);
		bad += set(i, "verbose", "0") || set(i, "ignore-gfp-wait", "N") || set(i, "ignore-gfp-highmem", "N") ||
		       set(i, "min-order", "0") || set(i, "task-filter", "Y") || set(i, "probability", "0");
	}
	if (bad || file_write(FAIL_NTH, "0"))
		bail("fault injection cannot be set up");
}

/* Where a function of the kernel begins and ends; false if there is none. */
static bool find_function(const char *name, unsigned long *start, unsigned long *end)
{
	char line[512], found[256];
	unsigned long addr;
	FILE *f = fopen("/proc/kallsyms", "re");

	*start = 0;
	*end = 0;
	while (f && !*end && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %*s %255s", &addr, found) != 2)
			continue;
		if (!*start && !strcmp(found, name))
			*start = addr;
		else if (*start && addr > *start)
			*end = addr;
	}
	if (f)
		fclose(f);
	return *end;
}

/*
 * The kernel's trace events, jump labels and static calls print a WARNING of
 * their own when they have no memory for a module that comes, and load it all
 * the same. That is not what is tested here: those allocations do not fail.
 */
static void spare_notifiers(void)
{
	char start_text[32], end_text[32];
	unsigned long start, end;

	if (!find_function(NOTIFIERS, &start, &end))
		bail("the kernel has no function " NOTIFIERS);
	snprintf(start_text, sizeof(start_text), "%lu", start);
	snprintf(end_text, sizeof(end_text), "%lu", end);
	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++)
		if (set(i, "stacktrace-depth", "32") || set(i, "reject-start", start_text) ||
		    set(i, "reject-end", end_text) || !can_filter(i))
			bail("fault injection cannot be told which allocations to spare");
}

/* ---- load ---- */

/* The nth allocation of this thread fails from now on. */
static int begin_nth(long nth)
{
	int nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	char text[32];

	snprintf(text, sizeof(text), "%ld", nth);
	if (nth_fd < 0 || write(nth_fd, text, strlen(text)) < 0)
		bail("fail-nth: %s", strerror(errno));
	return nth_fd;
}

/* No more. 0 if there was an nth one, else what was left of @nth. */
static long end_nth(int nth_fd)
{
	char text[32];
	ssize_t len = pread(nth_fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	if (write(nth_fd, "0", 1) < 0)
		bail("fail-nth: %s", strerror(errno));
	close(nth_fd);
	return atol(text);
}

/* Makes the nth allocation of the load fail. @left: see end_nth(). */
static int load_nth(const char *params, long nth, long *left)
{
	int fd = open(MEMRESCUE_KO, O_RDONLY | O_CLOEXEC), nth_fd, err = 0;

	if (fd < 0)
		bail("%s: %s", MEMRESCUE_KO, strerror(errno));
	nth_fd = begin_nth(nth);
	if (syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	*left = end_nth(nth_fd);
	close(fd);
	return err;
}

/* How many allocations a load with these parameters makes. */
static long count_allocations(const char *params, int want)
{
	long left;
	int err = load_nth(params, MANY, &left);

	if (err != want)
		bail("load %s: %s", params, strerror(-err));
	if (!err && mr_unload())
		bail("memrescue cannot be unloaded");
	return MANY - left;
}

struct sweep {
	long tried, whole, partial, refused, wrong, traces;
};

/* Every hook active that is not attached on request only, every symbol found? */
static bool complete(void)
{
	struct mr_row rows[32];
	int n, bad = 0;

	n = mr_hooks(rows, ARRAY_SIZE(rows));
	for (int i = 0; i < n; i++)
		bad += strcmp(rows[i].part, "atomic") && strcmp(rows[i].part, "lifeline") && strcmp(rows[i].state, "active");
	n = mr_symbols(rows, ARRAY_SIZE(rows));
	for (int i = 0; i < n; i++)
		bad += strcmp(rows[i].state, "found") && strcmp(rows[i].state, "not-in-this-kernel");
	return !bad;
}

/* Returns false when there is no such allocation. */
static bool try_nth(struct sweep *s, long nth)
{
	long left;
	int err;

	log_mark();
	err = load_nth("", nth, &left);
	s->tried++;
	if (!err) {
		complete() ? s->whole++ : s->partial++;
		s->wrong += !complete() && log_count("memrescue: ") <= log_count("memrescue: loaded ");
		s->wrong += !!mr_unload();
	} else if (err == -ENOMEM || (err == -ENOENT && log_find("memrescue: "))) {
		s->refused++;
	} else {
		diag("allocation %ld: error %d", nth, err);
		s->wrong++;
	}
	s->traces += mr_traces();
	return !left;
}

/* @step: 1 for each of memrescue's own allocations, 12 for every twelfth. */
static void sweep_load(int step)
{
	long first = time(NULL) % step;
	struct sweep s = { 0 };
	long total, early;

	total = count_allocations("", 0);
	total = count_allocations("", 0);
	/* The kernel reads the parameters just before it calls the module. */
	early = count_allocations("records=x", -EINVAL);
	ok(early > 0 && early < total, "load: it allocates memory");
	diag("%ld allocations, of these %ld before memrescue's own", total, early);
	for (long nth = 1; nth <= early; nth += early / EARLY_SAMPLES + 1)
		try_nth(&s, nth);
	for (long nth = early + 1 + first; try_nth(&s, nth); nth += step)
		;
	diag("%ld tries, from number %ld of its own on", s.tried, first + 1);
	diag("loaded %ld times, with a part turned off %ld times, refused %ld times", s.whole, s.partial, s.refused);
	is_eq(s.wrong, 0, "load: a failed allocation ends in a whole load, or one that says what is off, or ENOMEM");
	is_eq(s.traces, 0, "load: nothing is left, each time");
	is_ge(s.refused, 10, "load: allocations did fail");
	ok(s.whole > 0, "load: the last one succeeds");
}

/*
 * The kernel says so, and does not take out a kprobe, when it has no memory for
 * that; memrescue tries again.
 */
static void sweep_unload(int step)
{
	long nth, left = 0, wrong = 0, traces = 0;

	log_expect("Failed to disarm kprobe-ftrace|WARNING: .* at kernel/kprobes\\.c:|cut here|^Modules linked in:");
	for (nth = 1; !left; nth += step) {
		int nth_fd;

		mr_load_fresh(MEMRESCUE_KO, "");
		nth_fd = begin_nth(nth);
		wrong += !!mr_unload();
		left = end_nth(nth_fd);
		traces += mr_traces();
	}
	is_ge(nth / step, 2, "unload: allocations did fail");
	is_eq(wrong, 0, "unload: it succeeds although an allocation fails");
	is_eq(traces, 0, "unload: nothing is left, each time");
	diag("%ld tries", nth / step);
}

/* What was found is shown, and forgotten. */
static void check_leaks(const char *name)
{
	static const char kmemleak[] = DEBUGFS "kmemleak";
	static char text[16384];

	if (!file_exists(kmemleak)) {
		skip("the kernel has no kmemleak", "%s: nothing leaked", name);
		return;
	}
	/* An object counts when two scans, and 5 s, passed without a pointer to it. */
	file_write(kmemleak, "scan");
	sleep_ms(6000);
	file_write(kmemleak, "scan");
	file_read(kmemleak, text, sizeof(text));
	ok(!text[0], "%s: nothing leaked", name);
	diag("%s", text);
}

/* ---- reaping ---- */

/* Kernel threads that may come to run memrescue's work, and the one that makes new ones. */
static bool is_worker(const char *comm)
{
	return !strncmp(comm, "kworker/u", 9) || !strncmp(comm, "kworker/R-memre", 15) || !strncmp(comm, "memrescue", 9) ||
	       !strcmp(comm, "kthreadd");
}

/* Returns how many threads fail from now on, or do not any more. */
static int set_workers(const char *value)
{
	char path[64], comm[64];
	struct dirent *d;
	int n = 0;
	DIR *dir = opendir("/proc");

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", d->d_name);
		if (file_read(path, comm, sizeof(comm)) <= 0 || !is_worker(comm))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/make-it-fail", d->d_name);
		n += !file_write(path, "%s", value);
	}
	if (dir)
		closedir(dir);
	return n;
}

static void workers_recover(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++)
		set(i, "probability", "0");
	set_workers("0");
}

static long times_left(void)
{
	char path[128];
	long sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++) {
		snprintf(path, sizeof(path), "%stimes", injectors[i]);
		sum += file_long(path, 0);
	}
	return sum;
}

static void workers_fail(void)
{
	at_end(END_SCENARIO, workers_recover);
	is_ge(set_workers("1"), 2, "reaping: there are workers whose allocations can fail");
	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++) {
		set(i, "times", "1000000");
		set(i, "probability", "100");
	}
}

/* The kernel may have lost count of its kprobes while they could not be taken out: then it does not turn on new ones. */
static void check_kprobes(void)
{
	struct mr_row rows[32];
	int n = mr_hooks(rows, ARRAY_SIZE(rows)), seen = 0;

	for (int i = 0; i < n; i++) {
		if (strcmp(rows[i].name, "oom_queued") && strcmp(rows[i].name, "exit"))
			continue;
		diag("%s: %ld hits", rows[i].name, rows[i].hits);
		seen += rows[i].hits > 0;
	}
	is_eq(seen, 2, "after failed allocations kprobes hit as ever");
}

static void reap_without_memory(void)
{
	struct cgroup *cg = cg_new("failslab");
	struct mr_stats before;
	struct victim *v;
	long times;

	mr_load_fresh(MEMRESCUE_KO, "");
	file_write(MR_REAPER "kill_min_kb", "0");
	workers_fail();
	times = times_left();
	before = mr_stats();
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_kill9", .cg = cg, .mib = VICTIM_MIB, .pages = PAGES_SMALL, .stuck = STUCK_D });
	victim_kill(v);
	check_reaped(v, &before, "killed", "reaping without memory, kill -9");
	victim_free(v);
	before = mr_stats();
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_oom", .cg = cg, .mib = VICTIM_MIB, .pages = PAGES_SMALL, .stuck = STUCK_D, .run = victim_eat });
	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(v);
	check_reaped(v, &before, "oom", "reaping without memory, OOM");
	victim_free(v);
	ok(times_left() < times, "reaping without memory: allocations of the workers did fail");
	diag("%ld of them", times - times_left());
	workers_recover();
	check_kprobes();
	is_eq(mr_unload(), 0, "reaping without memory: memrescue can be unloaded");
	is_eq(mr_traces(), 0, "reaping without memory: nothing is left");
}

int main(int argc, char **argv)
{
	bool few = argc > 1 && !strcmp(argv[1], "short");

	if (module_loaded("memrescue") && mr_unload())
		bail("memrescue cannot be unloaded");
	prepare();
	spare_notifiers();
	/* The kernel says so itself when it has no memory for the module's text. */
	log_expect("failslab: (vmalloc error|page allocation failure): ");
	log_expect("kmemleak: Cannot allocate a scan area");
	sweep_load(few ? 12 : 1);
	sweep_unload(few ? 8 : 1);
	reap_without_memory();
	check_leaks("in the end");
	return done();
}
