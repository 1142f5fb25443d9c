/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the rescue share with lib_rescue.c: pressure, tasks that
 * allocate in the kernel, the pool's tables.
 */
#ifndef MEMRESCUE_TESTS_RESCUE_H
#define MEMRESCUE_TESTS_RESCUE_H

#include "lib_pool.h"

#define pool_get	pool

/* Columns of the tables "rescued" and "clients". */
enum { SERVED = 1, MISSED, LIMITED, FAILED };
enum { QUOTA = 1, CREDIT, OUTSTANDING, GETS };

/* ---- the pool ---- */

long rescued(const char *class, int column);
long rescued_all(int column);
long client_column(const char *client, int column);
/* The text of rescue_state. */
bool state_is(const char *text);
struct mr_row hook_row(const char *name);
bool row_is(const char *name, const char *state);
long hook_hits(const char *name);

/* A process in a cgroup turns a knob off and on; its exit status. */
int pool_toggle_in(struct cgroup *cg, const char *name);

/* From now on what the pool's pages contain is known not to be zero. */
void dirty_pool(void);

/* ---- pressure ---- */

/* The lowest mark becomes that part of what is free: from now on each allocation is slow. */
void press(int percent);
/* The same for what is free on one node. */
void press_node(int node, int percent);
/* As before. */
void release(void);
/* A process that takes memory, and keeps it, until so much is left; it is the first to be killed. */
pid_t eat_until_kib(long kib);
/* Kills such a process. */
void kill_eater(pid_t pid);
/* Waits until so much is free. */
bool wait_free_kib(long kib);

/* ---- tasks that allocate ---- */

void *shared_memory(size_t size);
/* A process that does MRT_ALLOC and ends; @how is shared memory. @stopped: not before SIGCONT. */
pid_t start_child(struct cgroup *cg, struct mrt_alloc *how, bool stopped);
/* One that does it again and again until it is killed, and adds up what is wrong. */
pid_t start_looping(struct cgroup *cg, struct mrt_alloc *how);
/* The same from begin to end; kills it, if that is what it waits for. */
void alloc_in_child(struct cgroup *cg, struct mrt_alloc *how);

/* Checks what such a task has found. */
void check_pages(const struct mrt_alloc *how, unsigned int nr, const char *name);

/* Allocations that reclaim in earnest, from the zone that nobody else needs; false if there is none. */
bool reclaim_small_zone(void);

/* ---- lifelines ---- */

/* Adds a cgroup ('+') or removes it ('-'). */
int lifeline_set(char sign, const struct cgroup *cg);
/* Checks that their share has so many pages, after a while. */
void share_is_filled(long pages, const char *name);

#endif /* MEMRESCUE_TESTS_RESCUE_H */
