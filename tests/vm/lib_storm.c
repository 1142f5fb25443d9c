// SPDX-License-Identifier: GPL-2.0
/* VM tests: processes that are killed again and again. See load.h. */
#include <dirent.h>
#include <sys/resource.h>

#include "load.h"

#define LIMIT_MIB	4
#define CHUNK_MIB	4
#define STUCK_MS	30UL	/* how long a thread is stuck at a time */
#define PAUSE_US	3000
/* Without a pause the storm would be all that the machine does. */
#define CALM_US		150000

/* What a thread of the victim does meanwhile. */
enum mood { MOOD_PLAIN, MOOD_D, MOOD_LOCKED, MOODS };

struct source {
	const char *name;
	bool oom;		/* takes memory until it is killed; else kill -9 */
	enum mood mood;
};

static const struct source sources[] = {
	{ "s_oom", true, MOOD_PLAIN },
	{ "s_oom_d", true, MOOD_D },
	{ "s_oom_locked", true, MOOD_LOCKED },
	{ "s_kill_d", false, MOOD_D },
	{ "s_kill_locked", false, MOOD_LOCKED },
};

#define READER		ARRAY_SIZE(sources)
#define PROCESSES	(ARRAY_SIZE(sources) + 1)

static pid_t pids[PROCESSES];
static struct cgroup *cgs[ARRAY_SIZE(sources)];

static void *stuck_thread(void *arg)
{
	unsigned long command = *(enum mood *)arg == MOOD_D ? MRT_SLEEP_D : MRT_HOLD_VMAS_WRITE;

	for (;;) {
		ioctl(mrt(), command, STUCK_MS);
		usleep(PAUSE_US);
	}
	return NULL;
}

/* Runs until it is killed. */
static void be_victim(const struct source *src, struct cgroup *cg, _Atomic int *ready)
{
	enum mood mood = src->mood;
	pthread_t thread;
	char *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, src->name);
	if (file_write("/proc/self/oom_score_adj", "0") || cg_enter(cg))
		_exit(97);
	if (mood != MOOD_PLAIN && pthread_create(&thread, NULL, stuck_thread, &mood))
		_exit(96);
	for (;;) {
		p = mmap(NULL, CHUNK_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p != MAP_FAILED)
			pattern_fill(p, CHUNK_MIB * MIB, PATTERN_KEY);
		*ready = 1;
		while (!src->oom)
			pause();
	}
}

/* One victim after the other. */
static void be_source(const struct source *src, struct cgroup *cg, struct storm *s)
{
	_Atomic int *ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	while (!s->stop) {
		*ready = 0;
		pid = fork();
		if (!pid)
			be_victim(src, cg, ready);
		if (pid < 0)
			continue;
		while (!src->oom && !*ready && !s->stop)
			usleep(500);
		if (!src->oom) {
			kill(pid, SIGKILL);
			s->sigkills++;
		}
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			s->wrong++;
		else if (src->oom)
			s->oom_kills++;
		usleep(CALM_US);
	}
}

static void read_all(const char *dir_name)
{
	char path[256], buf[8192];
	struct dirent *d;
	DIR *dir = opendir(dir_name);

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "%s%.64s", dir_name, d->d_name);
		file_read(path, buf, sizeof(buf));
	}
	if (dir)
		closedir(dir);
}

static void be_reader(struct storm *s)
{
	while (!s->stop) {
		read_all(MR);
		read_all(MR_REAPER);
		s->reads++;
		usleep(CALM_US);
	}
}

struct storm *storm_begin(void)
{
	struct storm *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	/* The report of each kill need not list all tasks. */
	file_set("/proc/sys/vm/oom_dump_tasks", "0");
	mrt();
	for (size_t i = 0; i < PROCESSES; i++) {
		if (i != READER) {
			cgs[i] = cg_new(sources[i].name);
			if (sources[i].oom)
				cg_limit_mib(cgs[i], LIMIT_MIB);
		}
		pids[i] = fork();
		if (pids[i] < 0)
			bail("fork: %s", strerror(errno));
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The test itself must get on. */
		setpriority(PRIO_PROCESS, 0, 10);
		if (i == READER)
			be_reader(s);
		else
			be_source(&sources[i], cgs[i], s);
		_exit(0);
	}
	return s;
}

static bool all_gone(void)
{
	bool gone = true;

	for (size_t i = 0; i < PROCESSES; i++) {
		if (pids[i] && waitpid(pids[i], NULL, WNOHANG) == pids[i])
			pids[i] = 0;
		gone &= !pids[i];
	}
	return gone;
}

void storm_end(struct storm *s, const char *name)
{
	long left = 0;

	s->stop = 1;
	ok(WAIT_UNTIL(all_gone(), PATIENCE_MS), "%s: the storm ends: each victim dies", name);
	is_eq(s->wrong, 0, "%s: all of them by SIGKILL", name);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		WAIT_UNTIL(cg_empty(cgs[i]) && cg_kib(cgs[i]) <= 1024, PATIENCE_MS);
		left += cg_kib(cgs[i]);
		cg_remove(cgs[i]);
	}
	is_le(left, 1024L * ARRAY_SIZE(sources), "%s: its cgroups have their memory back", name);
	diag("%s: %ld OOM kills, %ld kill -9, all files read %ld times", name, s->oom_kills, s->sigkills, s->reads);
	munmap(s, PAGE);
}
