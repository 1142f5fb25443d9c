// SPDX-License-Identifier: GPL-2.0
/*
 * kmsgd: copy the kernel's log to a file or tty, record by record, for the VM runner.
 *
 *   kmsgd OUT            follow the log until SIGTERM, then copy what is left and exit
 *   kmsgd OUT --once     copy what is in the log now and exit
 *
 * The kernel's console is set to print errors only, so that a slow serial port is not
 * part of what a test measures; this program brings the complete log to the host.
 * Records that were overwritten before they could be read are reported as lost: a log
 * with a hole cannot prove that nothing went wrong.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t stop;
static char record[16384];
static char out[2 * sizeof(record)];

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(1);
		buf += n;
		len -= n;
	}
}

/* Undo the kernel's \xNN escapes (newline, tab, backslash, bytes beyond ASCII). */
static size_t unescape(char *text, size_t len)
{
	size_t from, to = 0;

	for (from = 0; from < len; from++) {
		char hex[3] = "";

		if (text[from] == '\\' && from + 3 < len && text[from + 1] == 'x' &&
		    isxdigit((unsigned char)text[from + 2]) &&
		    isxdigit((unsigned char)text[from + 3])) {
			memcpy(hex, text + from + 2, 2);
			text[to++] = strtol(hex, NULL, 16);
			from += 3;
		} else {
			text[to++] = text[from];
		}
	}
	return to;
}

/* One record: "level,sequence,microseconds,flags;text\n KEY=value\n..." */
static void copy_record(int fd, char *rec, unsigned long long *next)
{
	unsigned long long seq, usec;
	unsigned int level;
	char stamp[64];
	char *text, *line, *end;
	size_t len = 0;
	int stamp_len;

	text = strchr(rec, ';');
	if (!text || sscanf(rec, "%u,%llu,%llu,", &level, &seq, &usec) != 3)
		return;
	if (seq > *next) {
		len = snprintf(out, sizeof(out), "[%5llu.%06llu] kmsgd: %llu records lost\n",
			       usec / 1000000, usec % 1000000, seq - *next);
		write_all(fd, out, len);
	}
	*next = seq + 1;

	text++;
	end = strchr(text, '\n');
	if (!end)
		end = text + strlen(text);
	end = text + unescape(text, end - text);
	stamp_len = snprintf(stamp, sizeof(stamp), "[%5llu.%06llu] ",
			     usec / 1000000, usec % 1000000);
	len = 0;
	for (line = text; line <= end; ) {
		char *eol = memchr(line, '\n', end - line);

		if (!eol)
			eol = end;
		if (len + stamp_len + (eol - line) + 1 > sizeof(out))
			break;
		memcpy(out + len, stamp, stamp_len);
		len += stamp_len;
		memcpy(out + len, line, eol - line);
		len += eol - line;
		out[len++] = '\n';
		line = eol + 1;
		if (eol == end)
			break;
	}
	write_all(fd, out, len);
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };
	unsigned long long next = 0;
	struct pollfd pfd;
	bool once;
	ssize_t n;
	int fd;

	if (argc < 2) {
		fprintf(stderr, "usage: kmsgd OUT [--once]\n");
		return 2;
	}
	once = argc > 2 && !strcmp(argv[2], "--once");
	fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0644);
	pfd.fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0 || pfd.fd < 0) {
		perror("kmsgd");
		return 1;
	}
	pfd.events = POLLIN;
	sigaction(SIGTERM, &term, NULL);
	mlockall(MCL_CURRENT | MCL_FUTURE);

	for (;;) {
		n = read(pfd.fd, record, sizeof(record) - 1);
		if (n > 0) {
			record[n] = '\0';
			copy_record(fd, record, &next);
		} else if (n < 0 && errno == EAGAIN) {
			if (once || stop)
				break;
			/* A time limit, because SIGTERM may arrive just before poll(). */
			poll(&pfd, 1, 200);
		} else if (n < 0 && errno != EPIPE && errno != EINTR) {
			break;
		}
	}
	tcdrain(fd);
	return 0;
}
