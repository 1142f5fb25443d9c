// SPDX-License-Identifier: GPL-2.0
/*
 * VM tests: victims. A victim is a child with memory of known contents and,
 * if asked for, a thread that is stuck in the kernel until the test says so.
 * See lib.h.
 */
#include "lib.h"

#include <linux/futex.h>

#define VICTIM_MAX	512
#define HOLD_MS		(4UL * PATIENCE_MS)	/* ends by itself, should the test die */

static struct victim *victims[VICTIM_MAX];
static int mrt_fds[16];	/* 0: free */

/* ---- the helper module ---- */

static void release_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mrt_fds); i++)
		if (mrt_fds[i])
			mrt_release(mrt_fds[i]);
}

int mrt_open(void)
{
	int fd = open(MRT_DEV, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail(MRT_DEV ": %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(mrt_fds); i++) {
		if (mrt_fds[i])
			continue;
		mrt_fds[i] = fd;
		at_end(END_VICTIMS, victims_free_all);
		return fd;
	}
	bail("too many open " MRT_DEV);
}

void mrt_close(int fd)
{
	mrt_release(fd);
	for (size_t i = 0; i < ARRAY_SIZE(mrt_fds); i++)
		if (mrt_fds[i] == fd)
			mrt_fds[i] = 0;
	close(fd);
}

int mrt(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = mrt_open();
	return fd;
}

long mrt_held(int fd, pid_t pid)
{
	return ioctl(fd, MRT_HELD, (unsigned long)pid);
}

void mrt_release(int fd)
{
	ioctl(fd, MRT_RELEASE, 0);
}

/* ---- memory ---- */

void pattern_fill(void *p, size_t len, uint64_t key)
{
	for (char *at = p; at < (char *)p + len; at += PAGE)
		*(volatile uint64_t *)at = key ^ (uint64_t)at;
}

long pattern_bad(const void *p, size_t len, uint64_t key)
{
	long bad = 0;

	for (const char *at = p; at < (const char *)p + len; at += PAGE)
		bad += *(volatile const uint64_t *)at != (key ^ (uint64_t)at);
	return bad;
}

long rss_kib(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return file_key(path, "VmRSS:");
}

/* ---- inside the victim ---- */

static void hold(struct victim *v)
{
	static const unsigned long commands[] = {
		[STUCK_D] = MRT_SLEEP_D,
		[STUCK_MMAP_WRITE] = MRT_HOLD_MMAP_WRITE,
		[STUCK_MMAP_READ] = MRT_HOLD_MMAP_READ,
		[STUCK_VMAS_WRITE] = MRT_HOLD_VMAS_WRITE,
	};

	ioctl(v->how.holds, commands[v->how.stuck], HOLD_MS);
}

static void *hold_thread(void *arg)
{
	struct victim *v = arg;

	/* Whatever it needs of user space it has touched before. */
	hold(v);
	for (;;)
		pause();
	return NULL;
}

static void make_memory(struct victim *v)
{
	size_t len = v->how.mib * MIB;
	char *p;

	if (!len)
		return;
	/* Huge pages need an aligned start: take more, use the aligned part. */
	p = mmap(NULL, len + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	p = (char *)(((uintptr_t)p + 2 * MIB - 1) & ~(2 * MIB - 1));
	if (v->how.pages == PAGES_SMALL)
		madvise(p, len, MADV_NOHUGEPAGE);
	else if (v->how.pages == PAGES_HUGE)
		madvise(p, len, MADV_HUGEPAGE);
	v->sh->mem = p;
	pattern_fill(p, len, PATTERN_KEY);
}

void victim_eat(struct victim *v, void *arg)
{
	const size_t len = 16 * MIB;

	(void)arg;
	for (;;) {
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			continue;
		if (v->how.pages == PAGES_HUGE)
			madvise(p, len, MADV_HUGEPAGE);
		pattern_fill(p, len, PATTERN_KEY);
	}
}

void victim_eat_some(struct victim *v, void *arg)
{
	size_t len = (size_t)arg;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	pattern_fill(p, len, PATTERN_KEY);
	v->sh->word[0] = 1;
}

static void victim_main(struct victim *v)
{
	pthread_t thread;
	char buf[32];

	prctl(PR_SET_NAME, v->how.name ? v->how.name : "victim");
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	snprintf(buf, sizeof(buf), "%d", v->how.oom_score_adj);
	if (file_write("/proc/self/oom_score_adj", "%s", buf))
		bail("victim: oom_score_adj");
	if (v->how.cg && cg_enter(v->how.cg))
		bail("victim: cannot enter %s", v->how.cg->path);
	if (v->how.uid && (setresgid(v->how.uid, v->how.uid, v->how.uid) ||
			   setresuid(v->how.uid, v->how.uid, v->how.uid)))
		bail("victim: setuid: %s", strerror(errno));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (v->how.setup)
		v->how.setup(v, v->how.arg);
	make_memory(v);
	v->pid = getpid();
	v->sh->ready = 1;
	if (v->how.stuck_main)
		hold(v);
	else if (v->how.stuck && pthread_create(&thread, NULL, hold_thread, v))
		bail("victim: pthread_create");
	while (!v->sh->go)
		syscall(SYS_futex, &v->sh->go, FUTEX_WAIT, 0, NULL, NULL, 0);
	if (v->how.run)
		v->how.run(v, v->how.arg);
	for (;;)
		pause();
}

/* ---- in the test ---- */

struct victim *victim_start(const struct victim_how *how)
{
	struct victim *v = calloc(1, sizeof(*v));
	int i;

	at_end(END_VICTIMS, victims_free_all);
	for (i = 0; i < VICTIM_MAX && victims[i]; i++)
		;
	if (!v || i == VICTIM_MAX)
		bail("too many victims");
	v->how = *how;
	if (v->how.stuck && !v->how.holds)
		v->how.holds = mrt();
	v->sh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (v->sh == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	v->pid = fork();
	if (v->pid < 0)
		bail("fork: %s", strerror(errno));
	if (!v->pid) {
		victim_main(v);
		_exit(98);
	}
	victims[i] = v;
	return v;
}

static bool has_ended(struct victim *v)
{
	if (!v->waited && waitpid(v->pid, &v->status, WNOHANG) == v->pid)
		v->waited = true;
	return v->waited;
}

void victim_wait_ready(struct victim *v)
{
	if (!WAIT_UNTIL(v->sh->ready || has_ended(v), PATIENCE_MS) || !v->sh->ready)
		bail("victim %s did not get ready", v->how.name);
	if (v->how.stuck && !WAIT_UNTIL(mrt_held(v->how.holds, v->pid) > 0, PATIENCE_MS))
		bail("victim %s did not get stuck", v->how.name);
	v->kib = v->how.cg ? cg_kib(v->how.cg) : rss_kib(v->pid);
}

struct victim *victim_new(const struct victim_how *how)
{
	struct victim *v = victim_start(how);

	victim_wait_ready(v);
	return v;
}

void victim_go(struct victim *v)
{
	v->sh->go = 1;
	syscall(SYS_futex, &v->sh->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void victim_kill(struct victim *v)
{
	if (!has_ended(v))
		kill(v->pid, SIGKILL);
}

bool victim_wait_exit(struct victim *v)
{
	return WAIT_UNTIL(has_ended(v), PATIENCE_MS);
}

bool victim_exists(struct victim *v)
{
	return !has_ended(v);
}

void victim_free(struct victim *v)
{
	victim_kill(v);
	if (!victim_wait_exit(v))
		diag("victim %s (%d) does not end", v->how.name, v->pid);
	for (int i = 0; i < VICTIM_MAX; i++)
		if (victims[i] == v)
			victims[i] = NULL;
	munmap(v->sh, PAGE);
	free(v);
}

void victims_free_all(void)
{
	for (int i = 0; i < VICTIM_MAX; i++)
		if (victims[i])
			victim_kill(victims[i]);
	release_all();
	for (int i = 0; i < VICTIM_MAX; i++)
		if (victims[i])
			victim_free(victims[i]);
}

/* ---- what it has mapped ---- */

int victim_pagemap(const struct victim *v)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", v->pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

long pages_there(int pagemap, const char *at, size_t len)
{
	uint64_t entries[512];
	long n = 0;

	for (size_t page = 0, some; page < len / PAGE; page += some) {
		some = len / PAGE - page < ARRAY_SIZE(entries) ? len / PAGE - page : ARRAY_SIZE(entries);
		if (pread(pagemap, entries, some * 8, ((uintptr_t)at / PAGE + page) * 8) != (ssize_t)some * 8)
			return -1;
		for (size_t i = 0; i < some; i++)
			n += (entries[i] >> 62) != 0;
	}
	return n;
}

/* ---- bare clones ---- */

pid_t clone_raw(unsigned long flags, int (*fn)(void *arg), void *arg)
{
	const size_t size = 256 * 1024;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	/* glibc's clone() does nothing but the system call and the call of fn. */
	return clone(fn, stack + size, (int)flags, arg);
}
