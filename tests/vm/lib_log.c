// SPDX-License-Identifier: GPL-2.0
/* VM tests: the kernel log, read record by record from /dev/kmsg. See lib.h. */
#include <stdarg.h>

#include "lib.h"

static int log_fd = -1;
static char **lines;
static size_t line_count, line_room;

static void forget_lines(void)
{
	while (line_count)
		free(lines[--line_count]);
}

/* What the tests themselves have written there is no news. */
static void keep_line(const char *text)
{
	if (!strncmp(text, "memrescue-test: ", 16))
		return;
	if (line_count == line_room) {
		line_room = line_room ? 2 * line_room : 256;
		lines = realloc(lines, line_room * sizeof(*lines));
		if (!lines)
			bail("no memory for the kernel log");
	}
	lines[line_count++] = strdup(text);
}

/* A record is "level,sequence,time,flags;text\n key=value\n...". */
static void take_records(void)
{
	char buf[8192], *text, *end;
	ssize_t n;

	for (;;) {
		n = read(log_fd, buf, sizeof(buf) - 1);
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;	/* EPIPE: some were overwritten */
		if (n <= 0)
			return;
		buf[n] = '\0';
		text = strchr(buf, ';');
		if (!text)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = '\0';
		keep_line(text);
	}
}

static void log_open(void)
{
	if (log_fd >= 0)
		return;
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0)
		bail("/dev/kmsg: %s", strerror(errno));
}

void log_mark(void)
{
	log_open();
	lseek(log_fd, 0, SEEK_END);
	forget_lines();
}

/* The number of lines with @text; *first is the number of the first of them. */
static int find(const char *text, int *first)
{
	int n = 0;

	log_open();
	take_records();
	for (size_t i = 0; i < line_count; i++) {
		if (!strstr(lines[i], text))
			continue;
		if (!n++ && first)
			*first = i;
	}
	return n;
}

#define FIND(fmt, first) ({				\
	char _text[512];				\
	va_list _ap;					\
	va_start(_ap, fmt);				\
	vsnprintf(_text, sizeof(_text), fmt, _ap);	\
	va_end(_ap);					\
	find(_text, first);				\
})

const char *log_find(const char *fmt, ...)
{
	int first = -1;

	FIND(fmt, &first);
	return first < 0 ? NULL : lines[first];
}

int log_index(const char *fmt, ...)
{
	int first = -1;

	FIND(fmt, &first);
	return first;
}

int log_count(const char *fmt, ...)
{
	return FIND(fmt, NULL);
}

void log_say(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int len, fd;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != len)
		diag("cannot write to /dev/kmsg: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void log_expect(const char *regex)
{
	log_say("<5>memrescue-test: expect %s", regex);
}

/* The runner looks for many more; these are shown at the check that caused them. */
int log_bad(void)
{
	static const char *const bad[] = {
		"BUG:", "WARNING:", "Bad rss-counter", "Bad page", "Oops", "KASAN", "general protection",
	};
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int first, found = find(bad[i], &first);

		if (found)
			diag("kernel log: %s", lines[first]);
		n += found;
	}
	return n;
}

bool log_victim(const char *verb, pid_t pid, struct reaped *r)
{
	const char *line = log_find("memrescue: %s pid=%d ", verb, pid), *at = line ? strstr(line, " pid=") : NULL;
	int end = -1;

	if (!line)
		return false;
	memset(r, 0, sizeof(*r));
	if (sscanf(at, " pid=%d comm=%31s uid=%u oom_score_adj=%d rss_kb=%ld swap_kb=%ld freed_kb=%ld in_us=%ld reason=%15[a-z]%n",
		   &r->pid, r->comm, &r->uid, &r->oom_score_adj, &r->rss_kb, &r->swap_kb, &r->freed_kb, &r->in_us,
		   r->reason, &end) == 9 && at[end] == '\0')
		return true;
	diag("not as documented: %s", line);
	return false;
}

bool log_reaped(pid_t pid, struct reaped *r)
{
	return log_victim("reaped", pid, r);
}
