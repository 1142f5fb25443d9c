// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmark "many": 16 cgroups run out of memory together. The first victim
 * cannot be reaped by anyone for 4 s; the other 15 have a thread in D state.
 * ms is the slowest of the 15, each counted from its own kill. In each cgroup a
 * neighbour wants 20 MiB: that is what causes the OOM, and how long it waits is
 * reported as well (from its start, and from its victim's kill), as is the
 * number of processes that were killed besides.
 */
#include "bench.h"

#define GROUPS		16
#define VICTIM_MIB	64
#define NEIGHBOUR_MIB	20
#define LIMIT_MIB	80

static struct group {
	struct cgroup *top, *victim_cg, *neighbour_cg;
	struct victim *victim, *neighbour;
	int fd;
	long kib;
	long long marked_us, back_us;
} groups[GROUPS];

static void neighbour_run(struct victim *v, void *arg)
{
	size_t len = NEIGHBOUR_MIB * MIB;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (p == MAP_FAILED)
		return;
	v->sh->word[0] = now_us();
	pattern_fill(p, len, PATTERN_KEY);
	v->sh->word[1] = now_us();
}

static void make_group(struct group *g, int i, int holds)
{
	char name[64];

	snprintf(name, sizeof(name), "m%d", i);
	g->top = cg_new(name);
	if (cg_set(g->top, "cgroup.subtree_control", "+memory"))
		bail("%s: no memory controller below it", g->top->path);
	snprintf(name, sizeof(name), "m%d/victim", i);
	g->victim_cg = cg_new(name);
	snprintf(name, sizeof(name), "m%d/neighbour", i);
	g->neighbour_cg = cg_new(name);
	cg_limit_mib(g->top, LIMIT_MIB);
	g->fd = cg_open_current(g->victim_cg);
	g->victim = victim_new(&(struct victim_how){
		.name = "victim", .cg = g->victim_cg, .mib = VICTIM_MIB, .holds = holds,
		.stuck = i ? STUCK_D : STUCK_VMAS_WRITE });
	g->neighbour = victim_new(&(struct victim_how){
		.name = "neighbour", .cg = g->neighbour_cg, .run = neighbour_run });
	g->kib = current_kib(g->fd);
	g->marked_us = 0;
	g->back_us = 0;
}

static void remove_group(struct group *g)
{
	close(g->fd);
	victim_free(g->neighbour);
	victim_free(g->victim);
	cg_remove(g->neighbour_cg);
	cg_remove(g->victim_cg);
	cg_remove(g->top);
}

/* Until all of them have their memory back; what is stuck is released in time. */
static void watch(int first_holds, int other_holds, long long begin)
{
	bool first_released = false, others_released = false;
	int left = GROUPS;

	while (left) {
		long long now;

		for (int i = 0; i < GROUPS; i++) {
			struct group *g = &groups[i];

			if (g->back_us || current_kib(g->fd) > g->kib / 20)
				continue;
			g->back_us = now_us();
			left--;
		}
		bench_tick();
		now = now_us();
		if (!first_released && now - begin > STUCK_MS * 1000LL) {
			mrt_release(first_holds);
			first_released = true;
		}
		/* The last of the others was killed some time after the first. */
		if (!others_released && now - begin > (STUCK_MS + 1000) * 1000LL) {
			mrt_release(other_holds);
			others_released = true;
		}
		if (now - begin > BENCH_LIMIT_MS * 1000LL)
			bail("the memory of %d victims did not come back", left);
	}
	mrt_release(first_holds);
	mrt_release(other_holds);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *ms, int n)
{
	qsort(ms, n, sizeof(ms[0]), compare);
	return (ms[(n - 1) / 2] + ms[n / 2]) / 2;
}

/* A killed neighbour got nothing, and does not count. */
static void neighbours_waited(double *all_ms, double *after_kill_ms)
{
	double all[GROUPS], after[GROUPS];
	int n = 0;

	for (int i = 0; i < GROUPS; i++) {
		struct group *g = &groups[i];
		struct victim_shared *sh = g->neighbour->sh;

		WAIT_UNTIL(sh->word[1] || !victim_exists(g->neighbour), BENCH_LIMIT_MS);
		if (!sh->word[1])
			continue;
		all[n] = (sh->word[1] - sh->word[0]) / 1000.0;
		after[n++] = (sh->word[1] - g->marked_us) / 1000.0;
	}
	if (!n)
		bail("no neighbour got its memory");
	*all_ms = median(all, n);
	*after_kill_ms = median(after, n);
}

static void measure(bool memrescue, int first_holds, int other_holds)
{
	double slowest = 0, waited, after_kill;
	long long begin;

	for (int i = 0; i < GROUPS; i++)
		make_group(&groups[i], i, i ? other_holds : first_holds);
	bench_mode(memrescue);
	marks_clear();
	victim_go(groups[0].neighbour);
	if (!WAIT_UNTIL(mark_us(groups[0].victim->pid) > 0, BENCH_LIMIT_MS))
		bail("the first victim is not killed");
	begin = mark_us(groups[0].victim->pid);
	for (int i = 1; i < GROUPS; i++)
		victim_go(groups[i].neighbour);
	watch(first_holds, other_holds, begin);
	for (int i = 0; i < GROUPS; i++) {
		struct group *g = &groups[i];
		double ms;

		g->marked_us = mark_us(g->victim->pid);
		if (g->marked_us < 0)
			bail("victim %d was not killed", i);
		ms = (g->back_us - g->marked_us) / 1000.0;
		if (i && ms > slowest)
			slowest = ms;
	}
	neighbours_waited(&waited, &after_kill);
	printf("# SAMPLE case=many mode=%s ms=%.3f bystanders=%d neighbour_ms=%.3f ",
	       bench_mode_name(memrescue), slowest, marks_count() - GROUPS, waited);
	printf("neighbour_after_kill_ms=%.3f\n", after_kill);
	for (int i = 0; i < GROUPS; i++)
		remove_group(&groups[i]);
	if (!mr_wait_idle())
		bail("memrescue still has something in flight");
}

int main(int argc, char **argv)
{
	int first_holds = mrt_open(), other_holds = mrt_open();
	int runs = bench_runs(argc, argv);

	bench_init();
	for (int i = 0; i < 2 * runs; i++)
		measure(i & 1, first_holds, other_holds);
	ok(true, "many: %d pairs measured", runs);
	return done();
}
