/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share that load and unload memrescue themselves.
 *
 *   lib_load.c   loading, unloading, what is left afterwards
 *   lib_storm.c  processes that are killed again and again
 */
#ifndef MEMRESCUE_TESTS_LOAD_H
#define MEMRESCUE_TESTS_LOAD_H

#include "lib.h"

#define MEMRESCUE_KO		"/memrescue.ko"
#define MEMRESCUE_DEBUG_KO	"/memrescue-debug.ko"
#define DEBUGFS			"/sys/kernel/debug/"
#define TRACEFS			"/sys/kernel/tracing/"

/* ---- loading ---- */

/* 0 or a negative errno. Whatever is loaded when the test ends is unloaded. */
int mr_load(const char *ko, const char *params);
int mr_unload(void);
/* Unloads the one that the test has found, and loads it again: with new statistics. 0 or a negative errno. */
int mr_reload(void);
/* A module that has just been loaded, or the end of the test. */
void mr_load_fresh(const char *ko, const char *params);
/* The number of things of memrescue that are there; shows them. */
int mr_traces(void);
bool kernel_exports(const char *name);

/* ---- storm ---- */

/* Counted by the storm's processes. */
struct storm {
	_Atomic int stop;
	_Atomic long oom_kills, sigkills, reads, wrong;
};

/*
 * Processes that run out of memory in cgroups of their own, or get killed by
 * kill -9: plain ones, some with a thread in D state, some with a thread that
 * holds mmap_lock for writing; and one process that reads all of memrescue's
 * files.
 */
struct storm *storm_begin(void);
/* Ends it; checks that nothing of it is left. */
void storm_end(struct storm *s, const char *name);

#endif /* MEMRESCUE_TESTS_LOAD_H */
