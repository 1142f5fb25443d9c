// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmarks: when a victim was killed, and when its memory was back. The
 * kernel's own trace event tells the first to the microsecond; the second is
 * read from memory.current every half millisecond by a task of real-time
 * priority, which does little else.
 */
#include "bench.h"

#include <time.h>

#define TRACING		"/sys/kernel/tracing/instances/memrescue_bench"

static char trace_buf[256 * 1024];

static const char *argument(int argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, len) && argv[i][len] == '=')
			return argv[i] + len + 1;
	return NULL;
}

const char *bench_case(int argc, char **argv)
{
	const char *value = argument(argc, argv, "case");

	if (!value)
		bail("no argument case=NAME");
	return value;
}

int bench_runs(int argc, char **argv)
{
	const char *value = argument(argc, argv, "runs");

	return value ? atoi(value) : 5;
}

static void bench_end(void)
{
	rmdir(TRACING);
}

void bench_init(void)
{
	struct sched_param param = { .sched_priority = 50 };

	if (!mr_loaded())
		bail("memrescue is not loaded");
	if (mkdir(TRACING, 0755) && errno != EEXIST)
		bail(TRACING ": %s", strerror(errno));
	at_end(END_FILES, bench_end);
	/* The clock of now_us(). */
	if (file_write(TRACING "/trace_clock", "mono") ||
	    file_write(TRACING "/events/oom/mark_victim/enable", "1"))
		bail("the kernel has no trace event oom:mark_victim");
	/* Its children are ordinary. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		bail("sched_setscheduler: %s", strerror(errno));
}

const char *bench_mode_name(bool memrescue)
{
	return memrescue ? "memrescue" : "stock";
}

void bench_mode(bool memrescue)
{
	const char *on = memrescue ? "1" : "0";

	if (knob_set("enabled", "%s", on) || file_set(MR "pool/rescue_dying", on))
		bail("memrescue cannot be turned on and off");
}

/* ---- marks ---- */

void marks_clear(void)
{
	if (file_write(TRACING "/trace", "\n"))
		bail("the trace cannot be cleared");
}

/* "  comm-123  [001] d..1.  123.456789: mark_victim: pid=123 ..." */
static const char *next_mark(const char *from, long *pid, long long *us)
{
	const char *at = strstr(from, ": mark_victim: pid="), *stamp = at;
	unsigned long sec, usec;

	if (!at)
		return NULL;
	while (stamp > from && (stamp[-1] == '.' || (stamp[-1] >= '0' && stamp[-1] <= '9')))
		stamp--;
	*pid = atol(strchr(at, '=') + 1);
	if (sscanf(stamp, "%lu.%lu", &sec, &usec) != 2)
		bail("the trace cannot be read: %.80s", stamp);
	*us = sec * 1000000LL + usec;
	return strchr(at, '=');
}

static const char *read_trace(void)
{
	if (file_read(TRACING "/trace", trace_buf, sizeof(trace_buf)) < 0)
		bail("the trace cannot be read: %s", strerror(errno));
	return trace_buf;
}

long long mark_us(pid_t pid)
{
	const char *at = read_trace();
	long long us;
	long marked;

	while ((at = next_mark(at, &marked, &us)))
		if (marked == pid)
			return us;
	return -1;
}

int marks_count(void)
{
	const char *at = read_trace();
	long long us;
	long pid;
	int n = 0;

	while ((at = next_mark(at, &pid, &us)))
		n++;
	return n;
}

/* ---- memory ---- */

int cg_open_current(struct cgroup *cg)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/memory.current", cg->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bail("%s: %s", path, strerror(errno));
	return fd;
}

long current_kib(int fd)
{
	char buf[32];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		bail("memory.current: %s", strerror(errno));
	buf[n] = '\0';
	return atol(buf) / 1024;
}

void bench_tick(void)
{
	struct timespec half_ms = { .tv_nsec = 500000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &half_ms, NULL);
}

double bench_victim(struct victim *v, long long killed_us)
{
	int fd = cg_open_current(v->how.cg);
	long long begin = now_us(), back;
	long most = current_kib(fd), kib;
	bool released = false;

	/* Its memory is the most that its cgroup ever had: it may still be growing. */
	for (;;) {
		kib = current_kib(fd);
		back = now_us();
		if (kib > most)
			most = kib;
		if (kib <= most / 20)
			break;
		/* Looking for the mark takes time: not before it is needed. */
		if (killed_us < 0 && back - begin > STUCK_MS * 1000LL)
			killed_us = mark_us(v->pid);
		if (!released && killed_us > 0 && back - killed_us > STUCK_MS * 1000LL) {
			mrt_release(v->how.holds);
			released = true;
		}
		if (back - begin > BENCH_LIMIT_MS * 1000LL)
			bail("its memory did not come back within %d ms", BENCH_LIMIT_MS);
		bench_tick();
	}
	close(fd);
	if (killed_us < 0)
		killed_us = mark_us(v->pid);
	if (killed_us < 0)
		bail("its memory came back, but it was not killed");
	return (back - killed_us) / 1000.0;
}
