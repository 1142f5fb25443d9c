/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VM tests share.
 *
 *   lib.c         TAP, time, small files, the module's knobs and statistics
 *   lib_log.c     the kernel log
 *   lib_cgroup.c  control groups (v2)
 *   lib_victim.c  processes with memory that get stuck and killed
 *   lib_zram.c    swap on a compressed RAM disk
 *   lib_check.c   checks of a victim that many scenarios share
 *   lib_rescue.c  tasks that are rescued: see rescue.h
 *   lib_compare.c a scenario without memrescue's hooks, then with them
 *
 * A test prints one line per check and ends with `return done()`. Whatever it
 * changed through these functions (knobs, cgroups, processes, held tasks) is
 * put back when it ends, however it ends.
 */
#ifndef MEMRESCUE_TESTS_LIB_H
#define MEMRESCUE_TESTS_LIB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/memrescue_test.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define KIB_PER_MIB	1024L
#define MIB		(1024UL * 1024)
#define PAGE		4096UL

/*
 * The limit of every wait: not a measure of anything, only the time after
 * which a test gives up. Longer on kernels that check themselves.
 */
#define PATIENCE_MS	(40000L + 20000L * (machine_slowness() - 1))

#define STOCK_DELAY_US	2000000L	/* OOM_REAPER_DELAY */

#define PRINTF(f, a)	__attribute__((format(printf, f, a)))

/* ---- TAP ---- */

bool ok(bool good, const char *fmt, ...) PRINTF(2, 3);
void skip(const char *why, const char *fmt, ...) PRINTF(2, 3);
void diag(const char *fmt, ...) PRINTF(1, 2);
/* Ends the program: nothing to test here, for that reason. */
void skip_all(const char *fmt, ...) PRINTF(1, 2) __attribute__((noreturn));
/* Ends the program: the test itself does not work. */
void bail(const char *fmt, ...) PRINTF(1, 2) __attribute__((noreturn));
/* The program's exit status, after the plan has been printed. */
int done(void);
/* Called when the test ends, however it ends; not in its children. */
enum end_phase { END_SCENARIO, END_VICTIMS, END_CGROUPS, END_FILES, END_PHASES };
void at_end(enum end_phase phase, void (*fn)(void));
/* A check that compares two numbers, and shows them when it fails. */
bool is_eq(long got, long want, const char *fmt, ...) PRINTF(3, 4);
bool is_ge(long got, long least, const char *fmt, ...) PRINTF(3, 4);
bool is_le(long got, long most, const char *fmt, ...) PRINTF(3, 4);

/* ---- time ---- */

long long now_us(void);
void sleep_ms(long ms);
/* Polls @cond, at first often, until it is true; false if @ms passed without. */
#define WAIT_UNTIL(cond, ms) ({						\
	long long _end = now_us() + (ms) * 1000LL;			\
	useconds_t _pause = 250 * machine_slowness();			\
	bool _good;							\
	while (!(_good = (cond)) && now_us() < _end) {			\
		usleep(_pause);						\
		_pause += _pause < 5000 ? _pause / 8 : 0;		\
	}								\
	_good || (cond);						\
})

/* ---- files ---- */

/* The length read, or -1; @buf always ends with a NUL and has no last newline. */
ssize_t file_read(const char *path, char *buf, size_t size);
/* 0, or the negative errno of open or write. */
int file_write(const char *path, const char *fmt, ...) PRINTF(2, 3);
long file_long(const char *path, long otherwise);
/* The number after the line that begins with @key, such as "MemFree:". */
long file_key(const char *path, const char *key);
/* Writes a file and puts the old content back when the test ends. */
int file_set(const char *path, const char *value);
bool file_exists(const char *path);

/* ---- the machine ---- */

/* 1, or more on a kernel with KASAN and the like. */
int machine_slowness(void);
bool kernel_at_least(int major, int minor);
bool kernel_has_vma_locks(void);
/* Loops of a long test: 1, or more with "soak=N" as an argument. */
long soak_factor(int argc, char **argv);
long meminfo_kib(const char *key);
int load_module(const char *path, const char *params);
int unload_module(const char *name);
bool module_loaded(const char *name);

/* ---- memrescue as seen from user space ---- */

#define MR		"/sys/class/misc/memrescue/"
#define MR_REAPER	MR "reaper/"

bool mr_loaded(void);
int knob_set(const char *name, const char *fmt, ...) PRINTF(2, 3);
long knob_get(const char *name);

struct mr_stats {
	long victims, victims_oom, victims_killed;
	long reaped, reaped_pages, in_flight, expected_pages;
	long delayed, stuck, overflow, skipped, exited, workers_used;
};

struct mr_stats mr_stats(void);
long mr_stat(const char *name);
/* Every victim that was taken is gone. */
bool mr_wait_idle(void);

/* A row of the tables "hooks" and "symbols". */
struct mr_row {
	char name[64], part[16], target[64], kind[32], need[16], state[96], loss[256];
	long hits, missed;
};

/* The number of rows in @rows, or -1. */
int mr_hooks(struct mr_row *rows, int max);
int mr_symbols(struct mr_row *rows, int max);

/*
 * Swap of that size on a compressed RAM disk, until the test ends; false if the
 * kernel has none. @compressors: the first that the kernel has is
 * taken; ends with NULL, or is NULL: the kernel's choice.
 */
bool zram_swap(long mib, const char *const *compressors);

/* ---- kernel log ---- */

/* Forgets everything up to now. */
void log_mark(void);
/* The first line since the mark with this text, or NULL. Valid until the next call. */
const char *log_find(const char *fmt, ...) PRINTF(1, 2);
/* The number of the first line since the mark with this text, or -1. */
int log_index(const char *fmt, ...) PRINTF(1, 2);
int log_count(const char *fmt, ...) PRINTF(1, 2);
void log_say(const char *fmt, ...) PRINTF(1, 2);
/* Tells the runner that lines with this regular expression are no fault, until the test ends. */
void log_expect(const char *regex);
/*
 * A dying process that cannot have another page may say so, on the stock
 * kernel as well: this is what global OOM does to its victims.
 */
#define ALLOCATION_FAILURE_OF_VICTIM	"v_[a-z0-9_]+: page allocation failure: order:"
/* From 7.2 on the kernel reports who waits that long for memory, as many do in a machine that thrashes. */
#define ALLOCATION_STALL	"page allocation stall for [0-9]+ secs: "
/* Reports of the kernel that must never appear, since the mark. */
int log_bad(void);
/* memrescue's line for a victim. */
struct reaped {
	int pid;
	char comm[32];
	unsigned int uid;
	int oom_score_adj;
	long rss_kb, swap_kb, freed_kb, in_us;
	char reason[16];
};

/* True if there is such a line, and it has exactly these fields in this order. @verb: reaped or exited. */
bool log_victim(const char *verb, pid_t pid, struct reaped *r);
bool log_reaped(pid_t pid, struct reaped *r);

/* ---- control groups ---- */

struct cgroup {
	char path[128];
};

struct cgroup *cg_new(const char *name);
int cg_set(struct cgroup *cg, const char *file, const char *fmt, ...) PRINTF(3, 4);
void cg_limit_mib(struct cgroup *cg, long mib);
/* memory.current in KiB */
long cg_kib(struct cgroup *cg);
long cg_key(struct cgroup *cg, const char *file, const char *key);
int cg_enter(struct cgroup *cg);
bool cg_empty(struct cgroup *cg);
/* Waits until at most @kib are charged. */
bool cg_wait_below(struct cgroup *cg, long kib, long ms);
/* False if it could not be removed. */
bool cg_remove(struct cgroup *cg);

/* ---- memory with known contents ---- */

#define PATTERN_KEY	0x6d656d7265736375ULL

void pattern_fill(void *p, size_t len, uint64_t key);
/* The number of pages whose first word is not what pattern_fill() wrote. */
long pattern_bad(const void *p, size_t len, uint64_t key);

/* ---- victims ---- */

enum stuck { STUCK_NOT, STUCK_D, STUCK_MMAP_WRITE, STUCK_MMAP_READ, STUCK_VMAS_WRITE };
enum pages { PAGES_DEFAULT, PAGES_SMALL, PAGES_HUGE };

struct victim;

/**
 * struct victim_how - how a victim is made; zero is a sane default
 * @name: its comm
 * @cg: its cgroup
 * @mib: private anonymous memory that it fills with the pattern
 * @pages: small or huge ones
 * @stuck: what one of its threads does until the test releases it
 * @stuck_main: the main thread does it and there is no other
 * @holds: open file of MRT_DEV to be held by; 0: the library's own
 * @oom_score_adj: its own (the test itself has -1000)
 * @uid: runs as that user
 * @setup: called in the victim before its memory is filled
 * @run: called in the victim after victim_go(); default: sleep for ever
 * @arg: for the two
 */
struct victim_how {
	const char *name;
	struct cgroup *cg;
	long mib;
	enum pages pages;
	enum stuck stuck;
	bool stuck_main;
	int holds;
	int oom_score_adj;
	unsigned int uid;
	void (*setup)(struct victim *v, void *arg);
	void (*run)(struct victim *v, void *arg);
	void *arg;
};

/* Shared by a victim and the test. */
struct victim_shared {
	_Atomic int ready, go, failed;
	_Atomic long word[8];	/* free for the scenario */
	char *mem;		/* address in the victim */
};

struct victim {
	struct victim_how how;
	pid_t pid;
	bool waited;
	int status;
	struct victim_shared *sh;
	long kib;		/* memory.current of its cgroup, or its RSS, when it was ready */
};

/* Returns when the victim has its memory and its thread is held. */
struct victim *victim_new(const struct victim_how *how);
/* The same in two steps, for many at once. */
struct victim *victim_start(const struct victim_how *how);
void victim_wait_ready(struct victim *v);
void victim_go(struct victim *v);
void victim_kill(struct victim *v);
/* A run function: takes memory until it is killed. */
void victim_eat(struct victim *v, void *arg);
/* The same with @arg bytes; sets word[0] when it has them. */
void victim_eat_some(struct victim *v, void *arg);
/* The library's open file of MRT_DEV, and another one. */
int mrt(void);
int mrt_open(void);
/* Ends its holds as well. */
void mrt_close(int fd);
/* How many threads of that process (0: of all) it holds. */
long mrt_held(int fd, pid_t pid);
void mrt_release(int fd);
/* False if it does not end. */
bool victim_wait_exit(struct victim *v);
/* Not even a zombie thread has been collected yet. */
bool victim_exists(struct victim *v);
/* Ends it, if it still lives, and forgets it. */
void victim_free(struct victim *v);
void victims_free_all(void);
/* RSS in KiB of a process, -1 if it has none. */
long rss_kib(pid_t pid);
/* A descriptor that stays good while it is stuck, whichever of its threads have ended. */
int victim_pagemap(const struct victim *v);
/* Pages of that range that are mapped or swapped; -1 if that cannot be read. */
long pages_there(int pagemap, const char *at, size_t len);

/* ---- checks that many scenarios share (lib_check.c) ---- */

/* Waits until nine tenths of the victim's memory have left its cgroup. */
bool memory_back(struct victim *v);
/* Nothing of it has left. */
bool memory_there(struct victim *v);
/*
 * Kills another large process, which memrescue must take: when this returns
 * true, it has had its chance at everything that was killed before.
 */
bool later_victim_taken(void);
/*
 * The victim is in its cgroup, has been killed and is held: memrescue gives its
 * memory back before it is released, says so in the log and counts it. The
 * stock reaper does not take part. The victim is then released and must end,
 * with nothing left of it.
 */
void check_reaped(struct victim *v, const struct mr_stats *before, const char *reason, const char *name);
/* The second half of it. */
void check_gone(struct victim *v, const char *name);

/* ---- without memrescue's hooks, then with them (lib_compare.c) ---- */

#define COMPARE_ONLY	(-1L)	/* nothing is right by itself */
#define COMPARE_SKIP	(-2L)	/* what a scenario returns that is not possible here */
/*
 * Runs the scenario twice. It returns a number, of which more is better: with the
 * hooks it must be @right, and not less than without.
 */
void compare_runs(const char *name, long right, long (*scenario)(void *arg), void *arg);
bool compare_is_stock(void);
/* How long a scenario waits for what the stock kernel need not do. */
long compare_patience_ms(void);

/* A process or thread made by the bare system call, on a stack of its own. */
pid_t clone_raw(unsigned long flags, int (*fn)(void *arg), void *arg);

#endif /* MEMRESCUE_TESTS_LIB_H */
