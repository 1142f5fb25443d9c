// SPDX-License-Identifier: GPL-2.0
/*
 * Many victims at once: 16 cgroups run out of memory together and the first
 * victim cannot be reaped; 200 processes are killed together; several wait for
 * the only worker.
 */
#include "lib.h"

#define GROUPS		16
#define VICTIM_MIB	16
#define NEIGHBOUR_MIB	8
#define LIMIT_MIB	(VICTIM_MIB + 4)

static struct cgroup *cgs[GROUPS];
static struct victim *victims[GROUPS], *neighbours[GROUPS];

static void start_group(int i, int locked_fd, int sleep_fd)
{
	struct victim_how how = {
		.cg = cgs[i], .mib = VICTIM_MIB, .stuck = i ? STUCK_D : STUCK_VMAS_WRITE,
		.holds = i ? sleep_fd : locked_fd,
	};
	char name[16];

	snprintf(name, sizeof(name), "v_many%d", i);
	how.name = name;
	victims[i] = victim_new(&how);
	neighbours[i] = victim_new(&(struct victim_how){
		.name = "v_neighbour", .cg = cgs[i], .mib = 1, .run = victim_eat_some,
		.arg = (void *)(NEIGHBOUR_MIB * MIB) });
}

static int count_reaped(void)
{
	int n = 0;

	for (int i = 1; i < GROUPS; i++)
		n += log_count("memrescue: reaped pid=%d ", victims[i]->pid);
	return n;
}

static int count_served(void)
{
	int n = 0;

	for (int i = 1; i < GROUPS; i++)
		n += neighbours[i]->sh->word[0] != 0;
	return n;
}

static void sixteen_groups(void)
{
	int locked_fd = mrt_open(), sleep_fd = mrt_open();
	int killed = 0, alive = 0;
	struct mr_stats before = mr_stats();

	knob_set("stuck_report_ms", "600000");
	log_mark();
	for (int i = 0; i < GROUPS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many%d", i);
		cgs[i] = cg_new(name);
		cg_limit_mib(cgs[i], LIMIT_MIB);
		start_group(i, locked_fd, sleep_fd);
	}
	/* The unreapable one is marked first, as stock's worst case. */
	victim_go(neighbours[0]);
	ok(WAIT_UNTIL(cg_key(cgs[0], "memory.events", "oom_kill") == 1, PATIENCE_MS),
	   "16 cgroups: the first victim is killed");
	for (int i = 1; i < GROUPS; i++)
		victim_go(neighbours[i]);
	/* They do not fit beside the victim: they get theirs when it has given up its own. */
	WAIT_UNTIL(count_served() == GROUPS - 1, PATIENCE_MS);
	is_eq(count_served(), GROUPS - 1, "16 cgroups: the other victims' memory is back, in use by their neighbours");
	WAIT_UNTIL(count_reaped() >= GROUPS - 1, PATIENCE_MS);
	is_eq(count_reaped(), GROUPS - 1, "16 cgroups: each of the other victims was reaped");
	is_eq(mrt_held(sleep_fd, 0), GROUPS - 1, "16 cgroups: while all of them are stuck in D state");
	ok(mrt_held(locked_fd, victims[0]->pid) == 1 && memory_there(victims[0]),
	   "16 cgroups: while the first one holds all its locks, and its memory");
	is_eq(mr_stats().victims - before.victims, GROUPS, "16 cgroups: every victim is counted");
	is_eq(mr_stats().delayed - before.delayed, 0, "16 cgroups: at once, not after the time for robust futexes");
	is_eq(log_count("oom_reaper: reaped process"), 0, "16 cgroups: the stock reaper took none");

	for (int i = 0; i < GROUPS; i++) {
		killed += cg_key(cgs[i], "memory.events", "oom_kill");
		alive += victim_exists(neighbours[i]);
	}
	is_eq(killed, GROUPS, "16 cgroups: one kill in each");
	is_eq(alive, GROUPS, "16 cgroups: no bystander was killed");

	/*
	 * The first victim exits by itself now, and its neighbour stands in the
	 * OOM killer. exit_mmap() hides the victim before it has freed what it
	 * unmapped: see spare.c.
	 */
	mrt_release(locked_fd);
	ok(victim_wait_exit(victims[0]), "16 cgroups: the first victim ends when it lets go");
	ok(WAIT_UNTIL(neighbours[0]->sh->word[0] || !victim_exists(neighbours[0]), PATIENCE_MS) && neighbours[0]->sh->word[0],
	   "16 cgroups: and its neighbour has its memory");
	mrt_release(sleep_fd);
	for (int i = 0; i < GROUPS; i++) {
		victim_free(victims[i]);
		victim_free(neighbours[i]);
	}
	ok(mr_wait_idle(), "16 cgroups: nothing is in flight afterwards");
	for (int i = 0; i < GROUPS; i++)
		cg_remove(cgs[i]);
}

static void two_hundred(void)
{
	static struct victim *v[200];
	struct cgroup *cg = cg_new("many200");
	struct mr_stats before, after;
	long had, ended = 0;
	int holds = mrt_open();

	knob_set("kill_min_kb", "0");
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = victim_start(&(struct victim_how){
			.name = "v_200", .cg = cg, .mib = 1, .stuck = STUCK_D, .stuck_main = true,
			.holds = holds, .pages = PAGES_SMALL });
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		victim_wait_ready(v[i]);
	before = mr_stats();
	had = cg_kib(cg);
	log_mark();
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		victim_kill(v[i]);
	ok(cg_wait_below(cg, had - (long)ARRAY_SIZE(v) * KIB_PER_MIB * 9 / 10, PATIENCE_MS),
	   "200 victims: their memory is back");
	is_eq(mrt_held(holds, 0), ARRAY_SIZE(v), "200 victims: while all of them are stuck");
	WAIT_UNTIL(mr_stat("reaped") >= before.reaped + (long)ARRAY_SIZE(v), PATIENCE_MS);
	after = mr_stats();
	ok(after.victims_killed - before.victims_killed == (long)ARRAY_SIZE(v) &&
	   after.reaped - before.reaped == (long)ARRAY_SIZE(v) && after.overflow == before.overflow,
	   "200 victims: each is counted and reaped, none overflows");
	is_eq(after.delayed - before.delayed, 0, "200 victims: at once, not after the time for robust futexes");
	WAIT_UNTIL(log_count("memrescue: reaped pid=") >= (int)ARRAY_SIZE(v), PATIENCE_MS);
	is_eq(log_count("memrescue: reaped pid="), ARRAY_SIZE(v), "200 victims: one log line each");
	diag("%ld KiB before, %ld after", had, cg_kib(cg));
	mrt_release(holds);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		ended += victim_wait_exit(v[i]);
	is_eq(ended, ARRAY_SIZE(v), "200 victims: they all end");
	ok(mr_wait_idle(), "200 victims: nothing is in flight afterwards");
	victims_free_all();
}

/* ---- who comes first ---- */

#define TRACING		"/sys/kernel/tracing/"
/*
 * The first keeps the worker busy, the others wait for it meanwhile. MiB, in the order of the kills. Who waits for 100 ms is
 * taken in the order of age: so there must not be too much of it.
 */
static const int order_mib[] = { 4, 1, 3, 2 };

#define WAITING		ARRAY_SIZE(order_mib)
#define ORDER_TRIES	60

static void untrace(void)
{
	file_write(TRACING "events/memrescue/reap_begin/enable", "0");
}

/* The place of each victim among those whose reaping began; false if one has none. */
static bool read_places(struct victim **v, int n, int *place)
{
	FILE *f = fopen(TRACING "trace", "re");
	int found = 0, line_nr = 0;
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, " reap_begin: pid=");

		line_nr++;
		for (int i = 0; at && i < n; i++)
			if (atoi(at + strlen(" reap_begin: pid=")) == v[i]->pid) {
				place[i] = line_nr;
				found++;
			}
	}
	if (f)
		fclose(f);
	return found == n;
}

/* How many pairs of those that waited were reaped the smaller one first, or -1 if there is no saying. */
static int try_order(struct cgroup *cg)
{
	struct victim *v[WAITING];
	int place[WAITING], holds = mrt_open(), behind = 0;
	bool whole;

	for (size_t i = 0; i < WAITING; i++)
		v[i] = victim_start(&(struct victim_how){
			.name = "v_order", .cg = cg, .mib = order_mib[i], .stuck = STUCK_D, .stuck_main = true,
			.holds = holds, .pages = PAGES_SMALL });
	for (size_t i = 0; i < WAITING; i++)
		victim_wait_ready(v[i]);
	file_write(TRACING "trace", " ");
	for (size_t i = 0; i < WAITING; i++)
		victim_kill(v[i]);
	whole = WAIT_UNTIL(read_places(v, WAITING, place), PATIENCE_MS);
	for (size_t i = 1; i < WAITING; i++)
		for (size_t j = 1; j < WAITING; j++)
			behind += order_mib[i] > order_mib[j] && place[i] > place[j];
	mrt_close(holds);
	for (size_t i = 0; i < WAITING; i++)
		victim_free(v[i]);
	mr_wait_idle();
	return whole ? behind : -1;
}

/*
 * The test may be too slow for the worker, or the worker so slow that they come
 * in the order of their age. So the best of many tries counts.
 */
static void largest_first(void)
{
	struct cgroup *cg = cg_new("many-order");
	int behind = 1, tries = 0;

	if (!file_exists(TRACING "trace")) {
		skip("the kernel has no tracefs", "order: the largest first");
		return;
	}
	at_end(END_SCENARIO, untrace);
	file_set(TRACING "trace_clock", "counter");
	file_write(TRACING "events/memrescue/reap_begin/enable", "1");
	knob_set("max_workers", "1");
	knob_set("kill_min_kb", "0");
	while (behind > 0 && tries++ < ORDER_TRIES)
		behind = try_order(cg);
	is_eq(behind, 0, "order: of those that wait for the worker, the larger one comes before the smaller one");
	diag("%d tries", tries);
	untrace();
}

int main(void)
{
	ok(mr_loaded(), "memrescue is there");
	sixteen_groups();
	two_hundred();
	largest_first();
	return done();
}
