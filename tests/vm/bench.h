/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks (bench_*.c) and the demo share; see lib_bench.c.
 *
 * A benchmark prints one line per measurement,
 *   SAMPLE case=NAME mode=stock|memrescue ms=N [key=value...]
 * and scripts/bench makes medians and ratios of them.
 */
#ifndef MEMRESCUE_TESTS_BENCH_H
#define MEMRESCUE_TESTS_BENCH_H

#include "lib.h"

#define STUCK_MS	4000	/* how long a victim is stuck, from its kill on */
#define BENCH_LIMIT_MS	30000	/* a measurement that takes longer has failed */

/* The arguments "case=NAME" and "runs=N". */
const char *bench_case(int argc, char **argv);
int bench_runs(int argc, char **argv);

/* The machine is set up for measuring: real-time priority, a trace of the kernel's OOM marks. */
void bench_init(void);
/* stock: the module is loaded and its reaper disabled. */
void bench_mode(bool memrescue);
const char *bench_mode_name(bool memrescue);

/* Forgets the marks so far. */
void marks_clear(void);
/* When the kernel marked that process as an OOM victim (now_us()), or -1. */
long long mark_us(pid_t pid);
/* The number of processes marked. */
int marks_count(void);

/* A memory.current that is read often. */
int cg_open_current(struct cgroup *cg);
long current_kib(int fd);
/* Sleeps for half a millisecond. */
void bench_tick(void);

/*
 * The victim has been set going, or killed at @killed_us (-1: the kernel's mark
 * tells when). Returns the ms from its kill until 95 % of its memory is back.
 * What is stuck in it is released STUCK_MS after its kill.
 */
double bench_victim(struct victim *v, long long killed_us);

#endif /* MEMRESCUE_TESTS_BENCH_H */
