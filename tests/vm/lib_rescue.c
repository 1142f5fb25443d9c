// SPDX-License-Identifier: GPL-2.0
/* VM tests: the rescue of tasks. See rescue.h. */
#include "rescue.h"

#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"
#define HUGE		(2UL * MIB)

/* ---- the pool ---- */

/* A number in the row of that name, or -1. */
static long table_column(const char *file, const char *name, int nr)
{
	char text[4096], *line, *at;

	file_read(file, text, sizeof(text));
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		char *rest, *word = strtok_r(line, " ", &rest);

		if (!word || strcmp(word, name))
			continue;
		while (word && nr--)
			word = strtok_r(NULL, " ", &rest);
		return word ? atol(word) : -1;
	}
	return -1;
}

long rescued(const char *class, int column)
{
	return table_column(MR_POOL "rescued", class, column);
}

long rescued_all(int column)
{
	return rescued("dying", column) + rescued("lifeline", column) + rescued("lifeline-pair", column) +
	       rescued("atomic", column);
}

long client_column(const char *client, int column)
{
	return table_column(MR_POOL "clients", client, column);
}

bool state_is(const char *text)
{
	char state[512];

	file_read(MR_POOL "rescue_state", state, sizeof(state));
	if (!strcmp(state, text))
		return true;
	diag("rescue_state is '%s'", state);
	return false;
}

struct mr_row hook_row(const char *name)
{
	struct mr_row rows[32], none = { .name = "" };
	int n = mr_hooks(rows, ARRAY_SIZE(rows));

	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, name))
			return rows[i];
	return none;
}

bool row_is(const char *name, const char *state)
{
	struct mr_row row = hook_row(name);

	return !strcmp(row.state, state);
}

long hook_hits(const char *name)
{
	return hook_row(name).hits;
}

int pool_toggle_in(struct cgroup *cg, const char *name)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(cg_enter(cg) || pool_set(name, "0") || pool_set(name, "1"));
	waitpid(pid, &status, 0);
	return status;
}

void dirty_pool(void)
{
	int fd;

	if (load_module(POOL_CLIENT_KO, ""))
		bail(POOL_CLIENT_KO);
	fd = pool_client("dirty", 0, 0);
	ioctl(fd, MPT_TAKE, 256L);
	ioctl(fd, MPT_PUT_ALL);
	close(fd);
	unload_module("memrescue_pool_test");
}

/* ---- pressure ---- */

static long usual_kib;

void release(void)
{
	if (usual_kib)
		file_write(MIN_FREE, "%ld", usual_kib);
}

/* Back to the usual marks, until their workers have freed what they want to. */
static void begin_press(void)
{
	if (!usual_kib) {
		usual_kib = file_long(MIN_FREE, 0);
		at_end(END_SCENARIO, release);
	}
	release();
	sleep_ms(50);
}

void press(int percent)
{
	begin_press();
	file_write(MIN_FREE, "%ld", meminfo_kib("MemFree") * percent / 100);
}

static long node_kib(int node, const char *what)
{
	char file[64], key[64];

	snprintf(file, sizeof(file), "/sys/devices/system/node/node%d/meminfo", node);
	snprintf(key, sizeof(key), "Node %d %s:", node, what);
	return file_key(file, key);
}

void press_node(int node, int percent)
{
	begin_press();
	/* The mark is shared out among the nodes by their size. */
	file_write(MIN_FREE, "%lld", (long long)node_kib(node, "MemFree") * percent / 100 *
		   meminfo_kib("MemTotal") / node_kib(node, "MemTotal"));
}

pid_t eat_until_kib(long kib)
{
	atomic_int *done = shared_memory(PAGE);
	pid_t pid = fork();

	if (!pid) {
		size_t size = meminfo_kib("MemFree") / 1024 * MIB;
		char *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		file_write("/proc/self/oom_score_adj", "1000");
		/* Huge pages take a small part of the time. */
		p = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
		madvise(p, size, MADV_HUGEPAGE);
		for (size_t i = 0; i + HUGE <= size && meminfo_kib("MemFree") > kib; i += HUGE)
			if (mlock(p + i, HUGE))
				break;
		*done = 1;
		for (;;)
			pause();
	}
	WAIT_UNTIL(*done, PATIENCE_MS);
	return pid;
}

void kill_eater(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Pages that a CPU keeps to itself, more with high marks, go back by and by, when its counts are summed up. */
static bool is_free(long kib)
{
	file_write("/proc/sys/vm/stat_refresh", "1");
	return meminfo_kib("MemFree") >= kib;
}

bool wait_free_kib(long kib)
{
	return WAIT_UNTIL(is_free(kib), PATIENCE_MS);
}

/* ---- tasks that allocate ---- */

void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	memset(p, 0, size);
	return p;
}

static pid_t start(struct cgroup *cg)
{
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cg && cg_enter(cg))
			_exit(1);
	}
	return pid;
}

pid_t start_child(struct cgroup *cg, struct mrt_alloc *how, bool stopped)
{
	pid_t pid = start(cg);

	if (pid) {
		if (stopped)
			waitpid(pid, NULL, WUNTRACED);
		return pid;
	}
	if (stopped)
		raise(SIGSTOP);
	_exit(ioctl(mrt(), MRT_ALLOC, how) ? errno : 0);
}

pid_t start_looping(struct cgroup *cg, struct mrt_alloc *how)
{
	pid_t pid = start(cg);
	struct mrt_alloc once;

	if (pid)
		return pid;
	for (;;) {
		once = *how;
		once.done = 0;
		if (ioctl(mrt(), MRT_ALLOC, &once))
			_exit(errno);
		how->wrong_contents += once.wrong_contents;
		how->wrong_refs += once.wrong_refs;
		how->wrong_state += once.wrong_state;
		once = *how;
	}
}

void alloc_in_child(struct cgroup *cg, struct mrt_alloc *how)
{
	struct mrt_alloc *now = shared_memory(sizeof(*now));
	pid_t pid;

	*now = *how;
	pid = start_child(cg, now, false);
	if (how->flags & MRT_ALLOC_WHEN_KILLED) {
		WAIT_UNTIL(now->held, PATIENCE_MS);
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	*how = *now;
	munmap(now, sizeof(*now));
}

void check_pages(const struct mrt_alloc *how, unsigned int nr, const char *name)
{
	is_eq(how->done, 1, "%s: the task is done", name);
	is_eq(how->got, nr, "%s: it got all pages", name);
	is_eq(how->wrong_contents, 0, "%s: those that ought to be zeroed are", name);
	is_eq(how->wrong_refs, 0, "%s: with the right number of references", name);
	is_eq(how->wrong_state, 0, "%s: and a clean struct page", name);
	is_eq(how->wrong_charge, 0, "%s: and charged as they should be", name);
}

bool reclaim_small_zone(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_DMA, .nr = 1500 };

	alloc_in_child(NULL, &how);
	return how.done && how.got < how.nr;
}

/* ---- lifelines ---- */

int lifeline_set(char sign, const struct cgroup *cg)
{
	return pool_set("lifelines", "%c%s", sign, cg->path + strlen("/sys/fs/cgroup"));
}

void share_is_filled(long pages, const char *name)
{
	ok(WAIT_UNTIL(client_column("lifeline", CREDIT) == pages, PATIENCE_MS), "%s: the share has %ld pages", name, pages);
}
