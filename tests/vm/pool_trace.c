// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of the pool: there are as many of them as the counters say, with what the test knows of each.
 */
#include "load.h"

#include <limits.h>

#include "rescue.h"

#define TRACING		"/sys/kernel/tracing/"

enum { MISS, GROW, SHRINK, RESCUE, EVENTS };

static const char *const events[EVENTS] = { "pool_miss", "pool_grow", "pool_shrink", "pool_rescue" };

/* A number after "name=" in a line, or -1. */
static long number(const char *line, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(line, key);
	return at ? atol(at + strlen(key)) : -1;
}

/* How many lines have this event and the text after it; the sum and the least of one of their numbers. */
static long count(int event, const char *text, const char *name, long *sum, long *least)
{
	char line[1024], what[128];
	FILE *f = fopen(TRACING "trace", "re");
	long n = 0;

	*sum = 0;
	*least = LONG_MAX;
	snprintf(what, sizeof(what), " %s: %s", events[event], text);
	while (f && fgets(line, sizeof(line), f)) {
		long value;

		if (!strstr(line, what))
			continue;
		n++;
		value = number(line, name);
		*sum += value;
		*least = value < *least ? value : *least;
	}
	if (f)
		fclose(f);
	return n;
}

static void clear(void)
{
	file_write(TRACING "trace", " ");
}

static void misses_and_growth(void)
{
	int fd = pool_client("traced", 0, 0);
	long missed, grown = pool("grown"), target = pool("target"), sum, least;

	clear();
	for (int i = 0; i < 3; i++) {
		ioctl(fd, MPT_TAKE, 4096L);
		ioctl(fd, MPT_PUT_ALL);
	}
	missed = pool_column("traced", POOL_MISSES);
	is_ge(missed, 1, "pool_miss: there are misses");
	is_eq(count(MISS, "client=traced\n", "", &sum, &least), missed, "pool_miss: each of the client's");
	ok(WAIT_UNTIL(pool("grown") > grown &&
		      count(GROW, "missed=", "target", &sum, &least) == pool("grown") - grown, PATIENCE_MS),
	   "pool_grow: each time that it grows");
	is_ge(least, target + 1, "pool_grow: to more than before");
	close(fd);
}

/* More is taken than there is, until the pool is larger for it. */
static bool grow(int fd)
{
	ioctl(fd, MPT_TAKE, 4096L);
	ioctl(fd, MPT_PUT_ALL);
	return WAIT_UNTIL(pool("common") > pool_base(), PATIENCE_MS);
}

static void shrinking(void)
{
	long shrunk = pool("shrunk"), sum = 0, least;
	int fd = pool_client("shrunk", 0, 0);

	clear();
	/* It is quiet a moment later, and then the pool shrinks by itself. */
	ok(WAIT_UNTIL(grow(fd) && !file_write("/proc/sys/vm/drop_caches", "2") &&
		      count(SHRINK, "pages=", "pages", &sum, &least) > 0, PATIENCE_MS),
	   "pool_shrink: when memory is reclaimed");
	close(fd);
	is_ge(least, 1, "pool_shrink: how many pages");
	is_le(sum, pool("shrunk") - shrunk, "pool_shrink: no more than were freed");
}

static void rescues(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 16, .flags = MRT_ALLOC_WHEN_KILLED };
	long served, sum, least;

	if (!ok(state_is("active"), "pool_rescue: tasks can be rescued"))
		return;
	press(85);
	ok(WAIT_UNTIL(pool_is_full(), PATIENCE_MS), "pool_rescue: the pool is full");
	served = rescued("dying", SERVED);
	clear();
	alloc_in_child(NULL, &how);
	release();
	served = rescued("dying", SERVED) - served;
	is_ge(served, 16, "pool_rescue: a task that dies is rescued");
	is_eq(count(RESCUE, "class=dying pid=", "nid", &sum, &least), served, "pool_rescue: each page");
	ok(least >= 0 && sum < 16 * served, "pool_rescue: from which node");
}

int main(void)
{
	char path[128];
	int enabled = 0;

	if (!file_exists(TRACING "trace"))
		skip_all("the kernel has no tracefs");
	mrt();
	ok(mr_loaded(), "memrescue is there");
	is_eq(load_module(POOL_CLIENT_KO, ""), 0, "its client can be loaded");
	for (int i = 0; i < EVENTS; i++) {
		snprintf(path, sizeof(path), TRACING "events/memrescue/%s/enable", events[i]);
		enabled += !file_set(path, "1");
	}
	is_eq(enabled, EVENTS, "the four events can be enabled");
	misses_and_growth();
	shrinking();
	rescues();
	is_eq(unload_module("memrescue_pool_test"), 0, "its client can be unloaded");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
