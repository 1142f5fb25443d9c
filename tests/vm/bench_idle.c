// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmark "idle": what a loaded memrescue costs a machine on which nothing is
 * wrong. Loops of fork, exec, page faults and signals, counted in instructions:
 * QEMU runs with -icount, where the time stamp counter counts them (one per
 * nanosecond of virtual time). The module is loaded ("memrescue") and not
 * ("stock") in turns, within one boot. ms is millions of instructions.
 */
#include <x86intrin.h>

#include "bench.h"

#define FORKS	40
#define EXECS	20
#define FAULTS	4000
#define SIGNALS	2000
#define WARM_UP	3	/* pairs that are not counted */

#define SAMPLE	"# SAMPLE case=idle mode=%s ms=%.3f fork=%.3f exec=%.3f fault=%.3f signal=%.3f\n"

static char *self;

static void fork_loop(void)
{
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void exec_loop(void)
{
	for (int i = 0; i < EXECS; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl(self, self, "nothing", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void fault_loop(void)
{
	size_t len = FAULTS * PAGE;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	madvise(p, len, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < len; at += PAGE)
		p[at] = 1;
	munmap(p, len);
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void signal_loop(void)
{
	signal(SIGUSR1, on_usr1);
	for (int i = 0; i < SIGNALS; i++)
		kill(getpid(), SIGUSR1);
}

static double measure(void (*loop)(void))
{
	unsigned long long begin = __rdtsc();

	loop();
	return (__rdtsc() - begin) / 1e6;
}

static void measure_all(bool memrescue, bool print)
{
	double forks = measure(fork_loop), execs = measure(exec_loop);
	double faults = measure(fault_loop), signals = measure(signal_loop);

	if (print)
		printf(SAMPLE, bench_mode_name(memrescue), forks + execs + faults + signals,
		       forks, execs, faults, signals);
}

int main(int argc, char **argv)
{
	int runs;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	self = argv[0];
	runs = bench_runs(argc, argv);
	/* Let the boot end; the first rounds, without and with the module, fill caches. */
	sleep_ms(3000);
	for (int i = -2 * WARM_UP; i < 2 * runs; i++) {
		bool memrescue = i & 1;

		if (memrescue && load_module("/memrescue.ko", ""))
			bail("memrescue cannot be loaded");
		/* What loading and unloading leave to do is not part of it; after unloading some of it runs later than 200 ms. */
		sleep_ms(2000);
		measure_all(memrescue, i >= 0);
		if (memrescue && unload_module("memrescue"))
			bail("memrescue cannot be unloaded");
	}
	ok(true, "idle: %d pairs measured", runs);
	return done();
}
