// SPDX-License-Identifier: GPL-2.0
/*
 * What a parent counts on when wait() has returned: its child holds nothing
 * any more. A file system that only the child used can be unmounted, at once.
 * It is so on the stock kernel, because the address space is taken down by the
 * child's last thread, before the parent is told; whoever holds a reference to
 * its users in that moment would have that done later.
 */
#include <sys/mount.h>

#include "lib.h"

#define MNT		"/tmp/waited"
#define CHILD_MIB	6
#define THREADS		3	/* beside the main one; the C library registers a robust list for each */
#define ROUNDS		60

/* Ways to be killed. */
enum way {
	AT_REST,	/* all threads asleep */
	MMAP_LOCKED,	/* a thread holds mmap_lock for writing, and goes on after the kill */
};

/*
 * Where the lock of a VMA is not enough, memrescue holds the users for moments,
 * but not before mmap_lock has not been to be had for so long: docs/reaper.md.
 */
#define PIN_AFTER_US	20000

static bool pins(void)
{
	return kernel_has_vma_locks() && !kernel_at_least(6, 15);
}

struct child {
	pid_t pid;
	int ready[2];
	int holds;
};

static void *sleeper(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *holder(void *arg)
{
	struct child *c = arg;

	ioctl(c->holds, MRT_HOLD_MMAP_WRITE, 2UL * PATIENCE_MS);
	return sleeper(NULL);
}

static void child_main(struct child *c, enum way way)
{
	int fd = open(MNT "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *file, *mem;
	pthread_t thread;

	if (fd < 0 || ftruncate(fd, MIB) || file_write("/proc/self/oom_score_adj", "0"))
		_exit(1);
	file = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mem = mmap(NULL, CHILD_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file == MAP_FAILED || mem == MAP_FAILED)
		_exit(1);
	madvise(mem, CHILD_MIB * MIB, MADV_NOHUGEPAGE);
	pattern_fill(mem, CHILD_MIB * MIB, PATTERN_KEY);
	pattern_fill(file, MIB, PATTERN_KEY);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, sleeper, c))
			_exit(1);
	if (write(c->ready[1], "", 1) != 1)
		_exit(1);
	/* From here on a page fault may have to wait. */
	if (way == MMAP_LOCKED && pthread_create(&thread, NULL, holder, c))
		_exit(1);
	sleeper(NULL);
}

/* Returns when the child has its memory, and its thread is held. */
static void child_start(struct child *c, enum way way)
{
	char byte;

	if (pipe(c->ready))
		bail("pipe: %s", strerror(errno));
	c->holds = way == MMAP_LOCKED ? mrt() : -1;
	c->pid = fork();
	if (c->pid < 0)
		bail("fork: %s", strerror(errno));
	if (!c->pid)
		child_main(c, way);
	close(c->ready[1]);
	if (read(c->ready[0], &byte, 1) != 1)
		bail("the child could not be made");
	close(c->ready[0]);
	if (way == MMAP_LOCKED && !WAIT_UNTIL(mrt_held(c->holds, c->pid) > 0, PATIENCE_MS))
		bail("the child does not hold its lock");
}

/*
 * True if the file system could not be unmounted when wait() had returned, and
 * memrescue has no excuse.
 */
static bool is_busy_after_wait(enum way way, int held_ms)
{
	long long began;
	struct child c;
	int err;

	if (mount("waited", MNT, "tmpfs", 0, "mode=0700"))
		bail("mount: %s", strerror(errno));
	child_start(&c, way);
	began = now_us();
	kill(c.pid, SIGKILL);
	if (way == MMAP_LOCKED) {
		sleep_ms(held_ms);
		mrt_release(c.holds);
	}
	if (waitpid(c.pid, NULL, 0) != c.pid)
		bail("waitpid: %s", strerror(errno));
	err = umount2(MNT, 0) ? errno : 0;
	if (err && err != EBUSY)
		bail("umount: %s", strerror(err));
	if (err && !WAIT_UNTIL(!umount2(MNT, 0), PATIENCE_MS))
		bail("the file system stays busy");
	return err && (!pins() || now_us() - began < PIN_AFTER_US);
}

/* The lock is held for @held_ms and up to so many ms more. */
static int busy_rounds(enum way way, int held_ms, int more)
{
	int busy = 0;

	for (int i = 0; i < ROUNDS / machine_slowness(); i++)
		busy += is_busy_after_wait(way, held_ms + i % (more + 1));
	return busy;
}

static void nothing_left(enum way way, int held_ms, int more, const char *name)
{
	long before = mr_stat("victims_killed");

	/* Who gets on by itself is none. */
	is_eq(busy_rounds(way, held_ms, more), 0, "%s: nothing of a child is left when wait() returns", name);
	/* On a busy machine many are gone before a worker comes to look who they are. */
	ok(way == AT_REST || mr_stat("victims_killed") > before, "%s: they were victims", name);
	ok(mr_wait_idle(), "%s: all are gone", name);
}

int main(void)
{
	const char *long_held = "mmap_lock held for writing for some time";

	mkdir(MNT, 0700);
	knob_set("kill_min_kb", "%d", 1024);

	knob_set("enabled", "0");
	is_eq(busy_rounds(AT_REST, 0, 0), 0, "the stock kernel: nothing of a child is left when wait() returns");
	knob_set("enabled", "1");

	nothing_left(AT_REST, 0, 0, "at rest");
	nothing_left(MMAP_LOCKED, 64, 31, "mmap_lock held for writing when it was killed");
	if (pins())
		skip("before 6.15 the lock of a VMA is not enough", "%s", long_held);
	else
		nothing_left(MMAP_LOCKED, 120, 15, long_held);
	return done();
}
