// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs take what is valid and nothing else, and do what they say; statistics
 * can only be read, and tell the truth; only root may write.
 */
#include "load.h"

#define VICTIM_MIB	16

static const struct {
	const char *name;
	const char *good[4];
	const char *bad[8];
} knobs[] = {
	{ "enabled", { "0", "1" }, { "2", "-1", "10" } },
	{ "kill_min_kb", { "0", "1", "1048576", "32768" }, { "-1", "4294967296" } },
	{ "stuck_report_ms", { "100", "60000", "3600000", "5000" }, { "0", "99", "-5000", "3600001" } },
	{ "stuck_panic", { "1", "0" }, { "2", "-1" } },
	{ "parallel_min_kb", { "0", "1048576", "131072" }, { "-1", "4294967296" } },
	{ "range_kb", { "2048", "4194304", "32768" }, { "0", "2047", "4194305", "-32768" } },
	{ "max_workers", { "1", "2" }, { "0", "17", "-1", "4294967297" } },
};

/* Never valid, for any of them. */
static const char *const garbage[] = {
	"", " ", " 1", "x", "1x", "0x", "0x1", "0x1000", "one", "1 2", "1,2", "+-1", "1.5", "\t", "18446744073709551616",
	"99999999999999999999999999999999",
};

static const char *const statistics[] = {
	"victims", "victims_oom", "victims_killed", "reaped", "reaped_pages", "in_flight", "expected_pages",
	"stuck", "overflow", "skipped", "exited", "workers_used", "exiting", "given_back", "kills_put_off", "delayed",
	"unlogged",
};

static struct cgroup *cg;

static int refused(const char *name, const char *value)
{
	long before = knob_get(name);
	char path[128];
	int err;

	snprintf(path, sizeof(path), MR_REAPER "%s", name);
	err = file_write(path, "%s\n", value);
	if (err == -EINVAL && knob_get(name) == before)
		return 1;
	diag("%s <- '%.40s': error %d, was %ld, is %ld", name, value, err, before, knob_get(name));
	return 0;
}

static int refused_long(const char *name)
{
	static char value[8192];

	memset(value, '1', sizeof(value) - 2);
	return refused(name, value);
}

/* Nothing at all is not a value, and not an error. */
static int ignored_nothing(const char *name)
{
	long before = knob_get(name);
	char path[128];
	int fd, good;

	snprintf(path, sizeof(path), MR_REAPER "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, "", 0) == 0 && knob_get(name) == before;
	close(fd);
	return good;
}

static void check_knob(size_t i)
{
	const char *name = knobs[i].name;
	int good = 0, all = 0, bad = 0, all_bad = 0;
	/* knob_set() remembers it, and puts it back in the end. */
	long first = knob_get(name);

	for (size_t k = 0; k < ARRAY_SIZE(knobs[i].good) && knobs[i].good[k]; k++, all++) {
		int err = knob_set(name, "%s", knobs[i].good[k]);

		if (!err && knob_get(name) == atol(knobs[i].good[k]))
			good++;
		else
			diag("%s <- %s: error %d, is %ld", name, knobs[i].good[k], err, knob_get(name));
	}
	is_eq(good, all, "%s: takes every valid value", name);
	for (size_t k = 0; k < ARRAY_SIZE(knobs[i].bad) && knobs[i].bad[k]; k++, all_bad++)
		bad += refused(name, knobs[i].bad[k]);
	is_eq(bad, all_bad, "%s: EINVAL and unchanged for what is out of range", name);
	bad = refused_long(name);
	for (size_t k = 0; k < ARRAY_SIZE(garbage); k++)
		bad += refused(name, garbage[k]);
	is_eq(bad, ARRAY_SIZE(garbage) + 1, "%s: EINVAL and unchanged for what is no number", name);
	ok(ignored_nothing(name), "%s: unchanged by a write of nothing", name);
	knob_set(name, "%ld", first);
}

/* The number of files that user 65534 could write, or could not read. */
static int unprivileged(void)
{
	int status = 0, wrong = 0;
	pid_t pid = fork();

	if (pid)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 100;
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(101);
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		char path[128];

		snprintf(path, sizeof(path), MR_REAPER "%s", knobs[i].name);
		wrong += open(path, O_WRONLY) >= 0 || errno != EACCES;
		wrong += file_long(path, -1) < 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(statistics); i++) {
		char path[128];

		snprintf(path, sizeof(path), MR_REAPER "%s", statistics[i]);
		wrong += open(path, O_WRONLY) >= 0 || errno != EACCES;
	}
	wrong += open("/dev/memrescue", O_RDONLY) >= 0 || errno != EACCES;
	wrong += open("/dev/memrescue", O_RDWR) >= 0 || errno != EACCES;
	_exit(wrong);
}

static void check_statistics(void)
{
	struct stat st;
	char path[128], text[64];
	int number = 0, fixed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(statistics); i++) {
		char *end;

		snprintf(path, sizeof(path), MR_REAPER "%s", statistics[i]);
		if (file_read(path, text, sizeof(text)) > 0 && strtol(text, &end, 10) >= 0 && !*end)
			number++;
		else
			diag("%s is '%s'", statistics[i], text);
		if (!stat(path, &st) && !(st.st_mode & 0222) && file_write(path, "0") < 0)
			fixed++;
		else
			diag("%s can be written", statistics[i]);
	}
	is_eq(number, ARRAY_SIZE(statistics), "each statistic is one number");
	is_eq(fixed, ARRAY_SIZE(statistics), "no statistic can be written, not by root either");
}

static long histogram_sum(bool *sane)
{
	char text[4096], *line, *save;
	unsigned long long last = 0, upper;
	long sum = 0, count;

	*sane = file_read(MR_REAPER "latency_us", text, sizeof(text)) > 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%llu %ld", &upper, &count) != 2) {
			/* The last one has no upper end. */
			*sane &= sscanf(line, "%*[a-zA-Z+] %ld", &count) == 1 && !strtok_r(NULL, "\n", &save);
			return sum + count;
		}
		*sane &= upper > last && count >= 0;
		last = upper;
		sum += count;
	}
	return sum;
}

static void check_tables(void)
{
	struct mr_row rows[32];
	int n = mr_hooks(rows, ARRAY_SIZE(rows)), good = 0;

	for (int i = 0; i < n; i++)
		good += rows[i].target[0] && rows[i].part[0] &&
			(!strcmp(rows[i].kind, "tracepoint") || !strcmp(rows[i].kind, "kprobe") ||
			 !strcmp(rows[i].kind, "kretprobe")) &&
			(!strcmp(rows[i].need, "needed") || !strcmp(rows[i].need, "optional")) && rows[i].state[0] &&
			rows[i].hits >= 0 && rows[i].missed >= 0;
	ok(n >= 3 && good == n, "hooks: every row has its columns");
	n = mr_symbols(rows, ARRAY_SIZE(rows));
	good = 0;
	for (int i = 0; i < n; i++)
		good += rows[i].name[0] && (!strcmp(rows[i].need, "needed") || !strcmp(rows[i].need, "optional")) &&
			rows[i].state[0];
	ok(n >= 3 && good == n, "symbols: every row has its columns");
}

/* Just after the load. */
static void check_defaults(void)
{
	const struct {
		const char *name;
		long value;
	} defaults[] = {
		{ "enabled", 1 }, { "kill_min_kb", 32768 }, { "stuck_panic", 0 },
		{ "stuck_report_ms", 5000 },
		{ "parallel_min_kb", 131072 }, { "range_kb", 32768 },
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int good = 0;

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		good += knob_get(defaults[i].name) == defaults[i].value;
		diag("%s is %ld", defaults[i].name, knob_get(defaults[i].name));
	}
	is_eq(good, ARRAY_SIZE(defaults), "knobs begin as documented");
	is_eq(knob_get("max_workers"), cpus < 16 ? cpus : 16, "max_workers begins as the number of CPUs");
}

/* ---- what they do ---- */

static struct victim *killed_victim(const char *name)
{
	struct victim *v = victim_new(&(struct victim_how){
		.name = name, .cg = cg, .mib = VICTIM_MIB, .pages = PAGES_SMALL, .stuck = STUCK_D });

	victim_kill(v);
	return v;
}

static void end_victim(struct victim *v)
{
	mrt_release(mrt());
	victim_free(v);
	WAIT_UNTIL(mr_stat("in_flight") == 0 && mr_stat("exiting") == 0, PATIENCE_MS);
}

static bool is_reaped(struct victim *v)
{
	return memory_back(v) && mrt_held(mrt(), v->pid) > 0 &&
	       WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS);
}

/* One more victim; false if it is not reaped. */
static bool one_more(void)
{
	struct victim *v = killed_victim("v_more");
	bool good = is_reaped(v);

	end_victim(v);
	return good;
}

static void effect_kill_min(void)
{
	struct victim *v;

	knob_set("kill_min_kb", "%ld", 2 * VICTIM_MIB * KIB_PER_MIB);
	v = killed_victim("v_below");
	ok(later_victim_taken() && memory_there(v), "kill_min_kb: a process below it is left alone");
	end_victim(v);
	knob_set("kill_min_kb", "%ld", VICTIM_MIB * KIB_PER_MIB / 2);
	ok(one_more(), "kill_min_kb: one above it is reaped");
}

static void effect_workers(void)
{
	int tries = 0, good = 0;

	knob_set("parallel_min_kb", "%ld", VICTIM_MIB * KIB_PER_MIB / 2);
	knob_set("range_kb", "2048");
	ok(one_more(), "max_workers: a single worker reaps a victim");
	is_eq(mr_stat("workers_used"), 1, "max_workers: one was used");
	knob_set("max_workers", "4");
	knob_set("parallel_min_kb", "%ld", 2 * VICTIM_MIB * KIB_PER_MIB);
	for (int i = 0; i < 5; i++)
		good += one_more();
	is_eq(good, 5, "parallel_min_kb: victims below it are reaped");
	is_eq(mr_stat("workers_used"), 1, "parallel_min_kb: each by one worker");
	knob_set("parallel_min_kb", "%ld", VICTIM_MIB * KIB_PER_MIB / 2);
	/* On a busy host the first one may have done it all before another one runs. */
	while (mr_stat("workers_used") < 2 && tries++ < 10)
		one_more();
	is_ge(mr_stat("workers_used"), 2, "parallel_min_kb: several workers reap a victim above it");
	is_le(mr_stat("workers_used"), 4, "max_workers: four at most");
}

/* ---- how much is zapped at a time, and in which order, as a kprobe sees it ---- */

#define ZAP_EVENT	TRACEFS "events/mr_test/zap/"

static void zap_unwatch(void)
{
	file_write(ZAP_EVENT "enable", "0");
	file_write(TRACEFS "kprobe_events", "-:mr_test/zap\n");
}

static bool zap_watch(void)
{
	struct mr_row rows[32];
	int n = mr_symbols(rows, ARRAY_SIZE(rows));

	for (int i = 0; i < n; i++) {
		if (strcmp(rows[i].need, "needed"))
			continue;
		at_end(END_SCENARIO, zap_unwatch);
		/* Not a clock, which may differ between CPUs: a number for each event, by which they are put in order. */
		file_set(TRACEFS "trace_clock", "counter");
		return !file_write(TRACEFS "kprobe_events", "p:mr_test/zap %s start=%%si size=%%dx\n", rows[i].name) &&
		       !file_write(ZAP_EVENT "enable", "1");
	}
	return false;
}

/* What workers have zapped since the trace was emptied. */
struct zaps {
	int count;
	int upward;		/* those that began no lower than the one before */
	long largest_kib;
};

static void add_zap(struct zaps *z, const char *line, unsigned long *last)
{
	const char *start_at = strstr(line, " start="), *size_at = strstr(line, " size=");
	unsigned long start;
	long kib;

	if (!start_at || !size_at || !strstr(line, "kworker/") || !strstr(line, " zap: "))
		return;
	start = strtoul(start_at + strlen(" start="), NULL, 0);
	kib = strtol(size_at + strlen(" size="), NULL, 0) / 1024;
	z->upward += z->count++ && start >= *last;
	z->largest_kib = kib > z->largest_kib ? kib : z->largest_kib;
	*last = start;
}

static struct zaps read_zaps(void)
{
	unsigned long last = 0;
	struct zaps z = { 0 };
	char line[1024];
	FILE *f = fopen(TRACEFS "trace", "re");

	while (f && fgets(line, sizeof(line), f))
		add_zap(&z, line, &last);
	if (f)
		fclose(f);
	diag("%d zaps, %ld KiB at most", z.count, z.largest_kib);
	return z;
}

static void effect_range(void)
{
	struct zaps z;

	if (!zap_watch()) {
		skip("the kernel cannot watch a function's arguments", "range_kb: no larger range is zapped at once");
		return;
	}
	/* With a single worker the zaps are in the order in which it takes them. */
	knob_set("max_workers", "1");
	knob_set("range_kb", "2048");
	file_write(TRACEFS "trace", " ");
	ok(one_more(), "range_kb 2048: a victim is reaped");
	z = read_zaps();
	/* Cut where a huge page begins. */
	ok(z.largest_kib > 0 && z.largest_kib < 4096, "range_kb 2048: in ranges of that size");
	is_ge(z.count, VICTIM_MIB / 2, "range_kb 2048: as many as it takes");
	is_eq(z.upward, 0, "range_kb 2048: from the highest address downwards");
	knob_set("range_kb", "32768");
	file_write(TRACEFS "trace", " ");
	ok(one_more(), "range_kb 32768: a victim is reaped");
	z = read_zaps();
	is_ge(z.largest_kib, VICTIM_MIB * KIB_PER_MIB, "range_kb 32768: all of it at once");
	zap_unwatch();
}

static bool is_of_reaper(const struct mr_row *row)
{
	return !strcmp(row->part, "reaper") || !strcmp(row->part, "spare");
}

/* The hooks that "enabled" turns on and off, or all others, that are in that state. */
static int hooks_in(bool of_reaper, const char *state)
{
	struct mr_row rows[32];
	int n = mr_hooks(rows, ARRAY_SIZE(rows)), found = 0;

	for (int i = 0; i < n; i++)
		found += of_reaper == is_of_reaper(&rows[i]) && !strcmp(rows[i].state, state);
	return found;
}

static void effect_enabled(void)
{
	int n = hooks_in(true, "active"), others = hooks_in(false, "active");

	is_eq(knob_set("enabled", "0"), 0, "enabled 0: is taken");
	ok(n >= 4 && hooks_in(true, "off") == n, "enabled 0: every hook of the reaper is off");
	is_eq(hooks_in(false, "active"), others, "enabled 0: the others are as they were");
	is_eq(knob_set("enabled", "1"), 0, "enabled 1: is taken");
	is_eq(hooks_in(true, "active"), n, "enabled 1: every hook is active");
	ok(one_more(), "enabled 1: victims are reaped again");
}

/* Since the load every victim of this test was reaped, or left alone as too small. */
static void check_histogram(void)
{
	long reaped = mr_stat("reaped");
	bool sane;

	is_eq(histogram_sum(&sane), reaped, "latency_us: it has every victim that was reaped");
	ok(sane, "latency_us: lines of an upper limit and a count, in order");
	ok(reaped > 5 && mr_stat("victims") == reaped && mr_stat("victims_killed") == reaped && !mr_stat("victims_oom"),
	   "statistics: as many victims, all of them killed from user space");
	is_eq(mr_stat("exited"), reaped, "statistics: all of them have ended");
	is_ge(mr_stat("reaped_pages"), reaped * VICTIM_MIB * 256 * 9 / 10, "statistics: with all of their pages");
}

/* The count in the histogram's line for those that took so long; -1: there is none. */
static long histogram_count(const char *line, long us)
{
	unsigned long long upper;
	long count;

	while (line && *line) {
		if ((sscanf(line, "%llu %ld", &upper, &count) == 2 && (unsigned long long)us < upper) ||
		    sscanf(line, "inf %ld", &count) == 1)
			return count;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return -1;
}

/* One of which the log says how long it took. */
static void check_line_of_histogram(void)
{
	char before[4096] = "", after[4096] = "";
	struct reaped r = { 0 };
	struct victim *v;

	file_read(MR_REAPER "latency_us", before, sizeof(before));
	v = killed_victim("v_histogram");
	ok(is_reaped(v) && log_reaped(v->pid, &r), "latency_us: one more victim");
	end_victim(v);
	file_read(MR_REAPER "latency_us", after, sizeof(after));
	is_eq(histogram_count(after, r.in_us), histogram_count(before, r.in_us) + 1,
	      "latency_us: it is counted in the line for its time");
	diag("%ld us", r.in_us);
}

int main(void)
{
	if (!ok(mr_loaded(), "memrescue is there"))
		return done();
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		check_knob(i);
	is_eq(unprivileged(), 0, "user 65534 can read every knob, and write none, nor open the device");
	check_statistics();
	check_tables();
	is_eq(mr_reload(), 0, "memrescue can be loaded anew, for statistics from the start");
	check_defaults();
	cg = cg_new("knobs");
	log_mark();
	/* A victim that takes longer is reported, and not counted in the end. */
	knob_set("stuck_report_ms", "600000");
	/* workers_used is the most since the load: no more than one may start before effect_workers(). */
	knob_set("max_workers", "1");
	effect_kill_min();
	effect_workers();
	effect_range();
	effect_enabled();
	check_histogram();
	check_line_of_histogram();
	return done();
}
