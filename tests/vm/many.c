// SPDX-License-Identifier: GPL-2.0
/*
 * Many victims at once: 16 cgroups run out of memory together and the first
 * victim cannot be reaped; 200 processes are killed together.
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
	int killed = 0, alive = 0, late;
	struct mr_stats before = mr_stats();
	long long begin;

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
	begin = now_us();
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
	/* On a slow machine the first victim is passed over meanwhile, after 3 s, as on the stock kernel: its neighbour is next. */
	late = now_us() - begin > 2500000 && log_find("Killed process %d ", neighbours[0]->pid);
	is_eq(mr_stats().victims - before.victims, GROUPS + late, "16 cgroups: every victim is counted");
	is_eq(mr_stats().delayed - before.delayed, 0, "16 cgroups: at once, not after the time for robust futexes");
	is_eq(log_count("oom_reaper: reaped process"), 0, "16 cgroups: the stock reaper took none");

	for (int i = 0; i < GROUPS; i++) {
		killed += cg_key(cgs[i], "memory.events", "oom_kill");
		alive += victim_exists(neighbours[i]);
	}
	late = now_us() - begin > 2500000 && log_find("Killed process %d ", neighbours[0]->pid);
	is_eq(killed, GROUPS + late, "16 cgroups: one kill in each");
	is_eq(alive, GROUPS - late, "16 cgroups: no bystander was killed");

	/*
	 * The first victim exits by itself now, and its neighbour stands in the
	 * OOM killer. exit_mmap() hides the victim before it has freed what it
	 * unmapped: see spare.c.
	 */
	mrt_release(locked_fd);
	ok(victim_wait_exit(victims[0]), "16 cgroups: the first victim ends when it lets go");
	ok(late || (WAIT_UNTIL(neighbours[0]->sh->word[0] || !victim_exists(neighbours[0]), PATIENCE_MS) &&
		    neighbours[0]->sh->word[0]), "16 cgroups: and its neighbour has its memory");
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

int main(void)
{
	ok(mr_loaded(), "memrescue is there");
	sixteen_groups();
	two_hundred();
	return done();
}
