// SPDX-License-Identifier: GPL-2.0
/*
 * VM tests: TAP, time, small files, the machine, the module's knobs and
 * statistics. See lib.h.
 */
#include <stdarg.h>
#include <sys/utsname.h>
#include <time.h>

#include "lib.h"

/* ---- TAP and the end of a test ---- */

static int tap_count, tap_failed;
static pid_t main_pid;
static void (*end_fns[END_PHASES][8])(void);

static void run_end_fns(void)
{
	if (getpid() != main_pid)
		return;
	for (int phase = 0; phase < END_PHASES; phase++) {
		for (int i = 0; i < (int)ARRAY_SIZE(end_fns[0]); i++) {
			void (*fn)(void) = end_fns[phase][i];

			end_fns[phase][i] = NULL;
			if (fn)
				fn();
		}
	}
}

static void on_signal(int sig)
{
	if (getpid() == main_pid)
		printf("Bail out! ended by signal %d\n", sig);
	fflush(stdout);
	run_end_fns();
	_exit(128 + sig);
}

__attribute__((constructor)) static void lib_init(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGALRM };

	main_pid = getpid();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], on_signal);
	signal(SIGPIPE, SIG_IGN);
	atexit(run_end_fns);
	file_write("/proc/self/oom_score_adj", "-1000");
	/* Tests hold tasks in D state for as long as they need. */
	if (machine_slowness() > 1)
		file_set("/proc/sys/kernel/hung_task_timeout_secs", "600");
}

void at_end(enum end_phase phase, void (*fn)(void))
{
	for (int i = 0; i < (int)ARRAY_SIZE(end_fns[0]); i++) {
		if (!end_fns[phase][i])
			end_fns[phase][i] = fn;
		if (end_fns[phase][i] == fn)
			return;
	}
	bail("too many end functions");
}

static void vdiag(const char *fmt, va_list ap)
{
	char text[2048], *line, *save;

	vsnprintf(text, sizeof(text), fmt, ap);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
}

void diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdiag(fmt, ap);
	va_end(ap);
}

static bool vok(bool good, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, text);
	tap_failed += !good;
	return good;
}

#define VOK(good, fmt) ({			\
	va_list _ap;				\
	bool _good;				\
	va_start(_ap, fmt);			\
	_good = vok(good, fmt, _ap);		\
	va_end(_ap);				\
	_good;					\
})

bool ok(bool good, const char *fmt, ...)
{
	return VOK(good, fmt);
}

bool is_eq(long got, long want, const char *fmt, ...)
{
	if (!VOK(got == want, fmt))
		diag("got %ld, expected %ld", got, want);
	return got == want;
}

bool is_ge(long got, long least, const char *fmt, ...)
{
	if (!VOK(got >= least, fmt))
		diag("got %ld, expected at least %ld", got, least);
	return got >= least;
}

bool is_le(long got, long most, const char *fmt, ...)
{
	if (!VOK(got <= most, fmt))
		diag("got %ld, expected at most %ld", got, most);
	return got <= most;
}

void skip(const char *why, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("ok %d - %s # SKIP %s\n", ++tap_count, text, why);
}

void skip_all(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("1..0 # SKIP %s\n", text);
	exit(0);
}

void bail(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (getpid() != main_pid) {
		fprintf(stderr, "# child %d: %s\n", getpid(), text);
		_exit(99);
	}
	printf("Bail out! %s\n", text);
	exit(1);
}

int done(void)
{
	run_end_fns();
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

/* ---- time ---- */

long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

void sleep_ms(long ms)
{
	long long end = now_us() + ms * 1000LL;

	while (now_us() < end)
		usleep(end - now_us() > 0 ? end - now_us() : 1);
}

/* ---- files ---- */

ssize_t file_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	while (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return n < 0 ? -1 : (ssize_t)len;
}

static int write_text(const char *path, const char *text, size_t len)
{
	int err = 0, fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) < 0)
		err = -errno;
	close(fd);
	return err;
}

int file_write(const char *path, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write_text(path, text, len);
}

long file_long(const char *path, long otherwise)
{
	char buf[64], *end;
	long value;

	if (file_read(path, buf, sizeof(buf)) <= 0)
		return otherwise;
	value = strtol(buf, &end, 0);
	return end == buf ? otherwise : value;
}

long file_key(const char *path, const char *key)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) &&
		    (line[strlen(key)] == ' ' || line[strlen(key)] == '\t'))
			value = strtol(line + strlen(key), NULL, 10);
	fclose(f);
	return value;
}

bool file_exists(const char *path)
{
	return !access(path, F_OK);
}

static struct {
	char path[128], value[128];
} saved[32];
static int saved_count;

static void files_restore(void)
{
	while (saved_count > 0) {
		saved_count--;
		file_write(saved[saved_count].path, "%s", saved[saved_count].value);
	}
}

/* Files such as "always [madvise] never" are written without the brackets. */
static void chosen_word(char *value)
{
	char *from = strchr(value, '['), *to = strchr(value, ']');

	if (from && to > from) {
		*to = '\0';
		memmove(value, from + 1, strlen(from + 1) + 1);
	}
}

int file_set(const char *path, const char *value)
{
	int i;

	at_end(END_FILES, files_restore);
	for (i = 0; i < saved_count; i++)
		if (!strcmp(saved[i].path, path))
			break;
	if (i == saved_count && i < (int)ARRAY_SIZE(saved) &&
	    file_read(path, saved[i].value, sizeof(saved[i].value)) >= 0) {
		snprintf(saved[i].path, sizeof(saved[i].path), "%s", path);
		chosen_word(saved[i].value);
		saved_count++;
	}
	return file_write(path, "%s", value);
}

/* ---- the machine ---- */

int machine_slowness(void)
{
	static int slowness;

	if (!slowness)
		slowness = file_exists("/sys/kernel/debug/kmemleak") ? 5 : 1;
	return slowness;
}

bool kernel_at_least(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;

	uname(&u);
	sscanf(u.release, "%d.%d", &a, &b);
	return a > major || (a == major && b >= minor);
}

bool kernel_has_vma_locks(void)
{
	return kernel_at_least(6, 5);
}

long soak_factor(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "soak=", 5) && atol(argv[i] + 5) > 0)
			return atol(argv[i] + 5);
	return 1;
}

long meminfo_kib(const char *key)
{
	char name[64];

	snprintf(name, sizeof(name), "%s:", key);
	return file_key("/proc/meminfo", name);
}

int load_module(const char *path, const char *params)
{
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	close(fd);
	return err;
}

int unload_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return file_exists(path);
}

/* ---- memrescue ---- */

bool mr_loaded(void)
{
	return file_exists(MR_REAPER "enabled");
}

int knob_set(const char *name, const char *fmt, ...)
{
	char path[128], value[128];
	va_list ap;

	snprintf(path, sizeof(path), MR_REAPER "%s", name);
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	return file_set(path, value);
}

long knob_get(const char *name)
{
	return mr_stat(name);
}

long mr_stat(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), MR_REAPER "%s", name);
	return file_long(path, -1);
}

struct mr_stats mr_stats(void)
{
	return (struct mr_stats){
		.victims = mr_stat("victims"),
		.victims_oom = mr_stat("victims_oom"),
		.victims_killed = mr_stat("victims_killed"),
		.reaped = mr_stat("reaped"),
		.reaped_pages = mr_stat("reaped_pages"),
		.in_flight = mr_stat("in_flight"),
		.expected_pages = mr_stat("expected_pages"),
		.delayed = mr_stat("delayed"),
		.stuck = mr_stat("stuck"),
		.overflow = mr_stat("overflow"),
		.skipped = mr_stat("skipped"),
		.exited = mr_stat("exited"),
		.workers_used = mr_stat("workers_used"),
	};
}

bool mr_wait_idle(void)
{
	return WAIT_UNTIL(mr_stat("in_flight") <= 0 && mr_stat("exiting") <= 0, PATIENCE_MS);
}

/* Puts one word of a table's row where its column's title says. */
static void row_word(struct mr_row *r, const char *title, const char *word)
{
	if (!strcmp(title, "name"))
		snprintf(r->name, sizeof(r->name), "%s", word);
	else if (!strcmp(title, "part"))
		snprintf(r->part, sizeof(r->part), "%s", word);
	else if (!strcmp(title, "kind"))
		snprintf(r->kind, sizeof(r->kind), "%s", word);
	else if (!strcmp(title, "target"))
		snprintf(r->target, sizeof(r->target), "%s", word);
	else if (!strcmp(title, "need"))
		snprintf(r->need, sizeof(r->need), "%s", word);
	else if (!strcmp(title, "state"))
		snprintf(r->state, sizeof(r->state), "%s", word);
	else if (!strcmp(title, "hits"))
		r->hits = atol(word);
	else if (!strcmp(title, "missed"))
		r->missed = atol(word);
}

/* The first line has the columns' titles; the last column is free text. */
static int read_table(const char *path, struct mr_row *rows, int max)
{
	char buf[16384], head[512], *line, *save, *titles[16], *word, *in;
	int n = 0, columns = 0;

	if (file_read(path, buf, sizeof(buf)) < 0)
		return -1;
	line = strtok_r(buf, "\n", &save);
	snprintf(head, sizeof(head), "%s", line ? line : "");
	for (word = strtok_r(head, " \t", &in); word && columns < 16; word = strtok_r(NULL, " \t", &in))
		titles[columns++] = word;
	while (line && n < max && (line = strtok_r(NULL, "\n", &save))) {
		struct mr_row *r = &rows[n++];
		int c = 0;

		memset(r, 0, sizeof(*r));
		for (word = strtok_r(line, " \t", &in); word && c < columns - 1; word = strtok_r(NULL, " \t", &in))
			row_word(r, titles[c++], word);
		/* What is left is one column, of several words. */
		if (word)
			snprintf(r->loss, sizeof(r->loss), "%s%s%s", word, *in ? " " : "", in);
		if (!r->name[0])
			memcpy(r->name, r->target, sizeof(r->name));
	}
	return n;
}

int mr_hooks(struct mr_row *rows, int max)
{
	return read_table(MR "hooks", rows, max);
}

int mr_symbols(struct mr_row *rows, int max)
{
	return read_table(MR "symbols", rows, max);
}
