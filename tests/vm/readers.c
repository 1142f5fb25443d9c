// SPDX-License-Identifier: GPL-2.0
/*
 * Any user may read the pool's files, as often as he likes: no worker ever waits
 * for a reader, since readers do not take the pool's lock. What they see is right
 * while clients come and go, and a table that does not fit says so.
 */
#include "load.h"

#include <dirent.h>

#include "rescue.h"

#define MANY	150
#define ROUNDS	300

/* ---- the lock ---- */

/* Reads every file of a directory that may be read; returns how many. */
static int read_all(const char *dir)
{
	struct dirent *entry;
	char path[512], text[4096];
	DIR *d = opendir(dir);
	int n = 0;

	while (d && (entry = readdir(d))) {
		struct stat st;

		snprintf(path, sizeof(path), "%s%s", dir, entry->d_name);
		if (stat(path, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 0004))
			continue;
		n += file_read(path, text, sizeof(text)) >= 0;
	}
	if (d)
		closedir(d);
	return n;
}

/* Returns how many files it could read before the writer was done, or -1. */
static int read_while(pid_t writer)
{
	pid_t reader = fork();
	int status, n;

	if (reader) {
		waitpid(reader, &status, 0);
		n = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		return waitpid(writer, NULL, WNOHANG) ? -1 : n;
	}
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(0);
	_exit(read_all(MR_POOL) + read_all(MR));
}

/* The debug build holds the lock for five seconds while a knob is changed. */
static void lock(void)
{
	long long begin = now_us();
	pid_t writer;
	int n;

	if (mr_unload() || load_module(MEMRESCUE_DEBUG_KO, "fail=pool-lock,pool-nodes"))
		bail("%s cannot be loaded", MEMRESCUE_DEBUG_KO);
	writer = fork();
	if (!writer)
		_exit(!!pool_set("cap_percent", "1"));
	sleep_ms(500);
	n = read_while(writer);
	is_ge(n, 30, "lock: a user can read all files of the pool while it is held");
	waitpid(writer, NULL, 0);
	is_ge(now_us() - begin, 4500000, "lock: it was");
}

/* ---- tables that do not fit ---- */

/* The number in "... 5 more", the last line; 0: there is none. Sets the number of the other lines. */
static int more(const char *file, int *lines)
{
	char text[4096], *line, *at;
	int nr = 0, n = 0;

	file_read(file, text, sizeof(text));
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		if (nr)
			return -1;
		if (sscanf(line, "... %d more", &nr) != 1)
			n++;
	}
	*lines = n;
	return nr;
}

static void nodes(void)
{
	int lines = 0, nr = more(MR_POOL "nodes", &lines);

	is_ge(nr, 1, "nodes: the table says what is left out");
	is_eq(lines, 1, "nodes: below its heading");
}

static void clients(void)
{
	int fds[MANY], lines = 0, all;

	is_eq(more(MR_POOL "clients", &all), 0, "clients: all of them fit");
	for (int i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%03d-long-name-of-a-client", i);
		fds[i] = pool_client(name, 0, 0);
	}
	is_eq(more(MR_POOL "clients", &lines) + lines, all + MANY, "clients: or the table says how many are left out");
	is_le(lines, all + MANY - 1, "clients: as they are when there are many");
	diag("%d lines", lines);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	is_eq(more(MR_POOL "clients", &lines), 0, "clients: in the end all fit");
	is_eq(lines, all, "clients: those who were there before");
}

/* ---- clients that come and go ---- */

static pid_t start_reader(long *less)
{
	static const char *const files[] = { "gets", "puts", "handed_over", "misses", "peak" };
	long last[ARRAY_SIZE(files)] = { 0 };
	pid_t pid = fork();
	char text[4096];

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			long now = pool(files[i]);

			if (now < last[i])
				__atomic_add_fetch(less, 1, __ATOMIC_RELAXED);
			last[i] = now;
		}
		file_read(MR_POOL "clients", text, sizeof(text));
	}
}

static void come_and_go(void)
{
	long *less = shared_memory(sizeof(*less)), before = pool("gets"), taken = 0;
	pid_t readers[4];

	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		readers[i] = start_reader(less);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = pool_client("brief", 0, 0), n = ioctl(fd, MPT_TAKE, 4L);

		taken += n > 0 ? n : 0;
		ioctl(fd, MPT_PUT_ALL);
		close(fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		kill(readers[i], SIGKILL);
		waitpid(readers[i], NULL, 0);
	}
	is_eq(*less, 0, "clients that come and go: no sum ever becomes less");
	is_eq(pool("gets") - before, taken, "clients that come and go: and in the end all is in it");
	is_ge(taken, ROUNDS, "clients that come and go: %ld pages", taken);
	munmap(less, sizeof(*less));
}

int main(void)
{
	mrt();
	log_mark();
	lock();
	nodes();
	if (mr_unload() || load_module(MEMRESCUE_KO, ""))
		bail("%s cannot be loaded", MEMRESCUE_KO);
	if (load_module(POOL_CLIENT_KO, ""))
		bail(POOL_CLIENT_KO);
	clients();
	come_and_go();
	ok(WAIT_UNTIL(pool_adds_up(), PATIENCE_MS), "no page is lost");
	unload_module("memrescue_pool_test");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
