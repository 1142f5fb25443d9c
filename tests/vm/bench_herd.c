// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmark "herd-exit": 5 000 processes are killed at once, none of which is held
 * up, while a third party works for 1 ms in each 10. With the module loaded
 * ("memrescue") and not ("stock") in turns, within one boot: ms is the time from the
 * kill until the last one has ended; p99_ms the 99th percentile of how late the third party
 * had its work done.
 */
#include <time.h>

#include "bench.h"

#define HERD		5000
#define SMALL_MIB	1
#define LARGE_MIB	40
#define LARGE_EACH	100	/* one in so many */
#define WORK_US		1000
#define PERIOD_US	10000
#define LATE_MAX	20000

static struct shared {
	_Atomic int ready, stop, late_nr;
	int late_us[LATE_MAX];
} *shared;

static unsigned long loops_each_ms;

static void work(unsigned long loops)
{
	for (unsigned long i = 0; i < loops; i++)
		__asm__ volatile("" ::: "memory");
}

/* How long it takes where nothing else runs. */
static void calibrate(void)
{
	const unsigned long loops = 20UL * 1000 * 1000;
	long long begin = now_us();

	work(loops);
	loops_each_ms = loops * WORK_US / (now_us() - begin);
}

static void third_party(void)
{
	struct timespec until;
	long long due = now_us();

	while (!shared->stop && shared->late_nr < LATE_MAX) {
		due += PERIOD_US;
		until = (struct timespec){ due / 1000000, due % 1000000 * 1000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		work(loops_each_ms);
		shared->late_us[shared->late_nr] = now_us() - due;
		shared->late_nr++;
		/* Those that it has missed are part of how late it is. */
		if (now_us() > due + PERIOD_US)
			due = now_us();
	}
	_exit(0);
}

static void one_of_herd(int i)
{
	size_t len = (i % LARGE_EACH ? SMALL_MIB : LARGE_MIB) * MIB;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	for (size_t at = 0; at < len; at += PAGE)
		p[at] = 1;
	shared->ready++;
	for (;;)
		pause();
}

static void begin_herd(pid_t *group)
{
	shared->ready = 0;
	for (int i = 0; i < HERD; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bail("fork: %s", strerror(errno));
		if (!pid) {
			setpgid(0, i ? *group : 0);
			one_of_herd(i);
		}
		if (!i)
			*group = pid;
		setpgid(pid, *group);
	}
	if (!WAIT_UNTIL(shared->ready == HERD, 10 * BENCH_LIMIT_MS))
		bail("%d of the herd are ready", shared->ready);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void measure(bool memrescue)
{
	long long begin, us;
	pid_t group, third;
	int left, n;

	begin_herd(&group);
	shared->stop = 0;
	shared->late_nr = 0;
	third = fork();
	if (!third)
		third_party();
	if (!WAIT_UNTIL(shared->late_nr > 10, BENCH_LIMIT_MS))
		bail("the third party does not run");
	shared->late_nr = 0;
	begin = now_us();
	if (kill(-group, SIGKILL))
		bail("kill: %s", strerror(errno));
	for (left = HERD; left; left--)
		if (waitpid(-group, NULL, 0) < 0)
			bail("waitpid: %s", strerror(errno));
	us = now_us() - begin;
	shared->stop = 1;
	waitpid(third, NULL, 0);
	n = shared->late_nr;
	qsort(shared->late_us, n, sizeof(int), compare);
	printf("# SAMPLE case=herd-exit mode=%s ms=%.3f p50_ms=%.3f p99_ms=%.3f\n", bench_mode_name(memrescue), us / 1000.0,
	       shared->late_us[n / 2] / 1000.0, shared->late_us[(99 * n + 99) / 100 - 1] / 1000.0);
}

int main(int argc, char **argv)
{
	int runs = bench_runs(argc, argv);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	calibrate();
	for (int i = 0; i < 2 * runs; i++) {
		bool memrescue = i & 1;

		if (memrescue && load_module("/memrescue.ko", ""))
			bail("memrescue cannot be loaded");
		measure(memrescue);
		if (memrescue && unload_module("memrescue"))
			bail("memrescue cannot be unloaded");
	}
	ok(true, "herd-exit: %d pairs measured", runs);
	return done();
}
