// SPDX-License-Identifier: GPL-2.0
/*
 * Who comes first when there is one worker: what frees most, but before that who
 * has waited for 100 ms, the oldest of them first.
 *
 * Real-time tasks occupy every CPU while the victims are killed, so the worker
 * finds all of them at once. Each try is judged by the times in the trace: how
 * long each had waited when another one was taken. What cannot be told from these
 * does not count; nothing that can be told may be wrong.
 */
#include "lib.h"

#define TRACING		"/sys/kernel/tracing/"
#define VICTIMS		4
#define TRIES		60
#define ENOUGH		6	/* judged pairs of each kind */
#define AGED_S		0.1
#define CPUS_MAX	64

/* What is killed, in this order. */
struct scene {
	const char *name;
	int mib[VICTIMS];
	int pause_ms;	/* after the first */
};

static const struct scene scenes[] = {
	{ "all at once", { 1, 3, 2, 4 }, 0 },
	{ "a small one, larger ones later", { 1, 4, 3, 2 }, 130 },
};

/* Seconds, CLOCK_MONOTONIC: it was killed between the first two. */
struct taken {
	double no_earlier, no_later, begin, chosen_after;
	int index, mib, place;
};

/* Pairs whose order can be told, where size and age tell different ones. */
static int by_size, by_age, wrong;

static double now_s(void)
{
	return (double)now_us() / 1e6;
}

/* ---- every CPU is busy ---- */

static struct {
	pthread_t threads[CPUS_MAX];
	int cpus, spinning, stop;
} busy;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bail("CPU %d: %s", cpu, strerror(errno));
}

static void be_real_time(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		bail("SCHED_FIFO: %s", strerror(errno));
}

static void *spin(void *arg)
{
	pin((int)(long)arg);
	be_real_time(1);
	__atomic_add_fetch(&busy.spinning, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&busy.stop, __ATOMIC_SEQ_CST))
		;
	return NULL;
}

/*
 * The caller has the first CPU afterwards. Who holds a lock that it wants must be able
 * to run on the others: so it comes first. It must not sleep, as where all timers are
 * threads, none of them runs.
 */
static void take_all_cpus(void)
{
	busy.stop = 0;
	busy.spinning = 0;
	busy.cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	pin(0);
	for (int i = 1; i < busy.cpus; i++)
		if (pthread_create(&busy.threads[i], NULL, spin, (void *)(long)i))
			bail("pthread_create");
	while (__atomic_load_n(&busy.spinning, __ATOMIC_SEQ_CST) < busy.cpus - 1)
		sched_yield();
	be_real_time(2);
}

static void release_all_cpus(void)
{
	struct sched_param param = { .sched_priority = 0 };
	cpu_set_t set;

	__atomic_store_n(&busy.stop, 1, __ATOMIC_SEQ_CST);
	CPU_ZERO(&set);
	for (int i = 0; i < busy.cpus; i++)
		CPU_SET(i, &set);
	if (sched_setscheduler(0, SCHED_OTHER, &param) || sched_setaffinity(0, sizeof(set), &set))
		bail("giving CPUs back: %s", strerror(errno));
	for (int i = 1; i < busy.cpus; i++)
		pthread_join(busy.threads[i], NULL);
}

static void spin_ms(int ms)
{
	double end = now_s() + ms / 1e3;

	while (now_s() < end)
		;
}

/* ---- what the trace says ---- */

/* Of a line such as "  kworker/u4:1-22  [001] d..1.  12.345678: reap_begin: pid=7 since_us=8". */
static bool read_begin(char *line, int *pid, double *begin)
{
	char *event = strstr(line, ": reap_begin: pid=");

	if (!event || sscanf(event, ": reap_begin: pid=%d", pid) != 1)
		return false;
	*event = '\0';
	*begin = atof(strrchr(line, ' '));
	return true;
}

/* False if one has not begun yet. */
static bool read_trace(struct victim **v, struct taken *taken, double released)
{
	FILE *f = fopen(TRACING "trace", "re");
	double previous = released;
	char line[1024];
	int place = 0;

	while (f && fgets(line, sizeof(line), f)) {
		double begin;
		int pid = -1;

		if (!read_begin(line, &pid, &begin))
			continue;
		for (int i = 0; i < VICTIMS; i++) {
			if (v[i]->pid != pid)
				continue;
			taken[i].begin = begin;
			taken[i].place = place++;
			taken[i].chosen_after = previous;
		}
		previous = begin;
	}
	if (f)
		fclose(f);
	return place == VICTIMS;
}

/* @a was taken before @b: was it right? */
static void judge(const struct taken *a, const struct taken *b)
{
	bool all_fresh = a->begin - a->no_earlier < AGED_S && a->begin - b->no_earlier < AGED_S;
	bool one_aged = a->chosen_after - a->no_later > AGED_S || a->chosen_after - b->no_later > AGED_S;
	bool older = a->index < b->index, larger = a->mib > b->mib;

	/* The other one was not there yet, or nobody would doubt it. */
	if (b->no_later > a->chosen_after || older == larger)
		return;
	if (all_fresh) {
		by_size++;
		wrong += !larger;
	} else if (one_aged) {
		by_age++;
		wrong += !older;
	}
}

static void judge_all(const struct taken *taken)
{
	int before = wrong;

	for (int i = 0; i < VICTIMS; i++)
		for (int j = 0; j < VICTIMS; j++)
			if (taken[i].place < taken[j].place)
				judge(&taken[i], &taken[j]);
	for (int i = 0; wrong > before && i < VICTIMS; i++)
		diag("%d MiB: killed %.6f to %.6f, chosen after %.6f, begun %.6f, place %d", taken[i].mib, taken[i].no_earlier,
		     taken[i].no_later, taken[i].chosen_after, taken[i].begin, taken[i].place);
}

/* ---- the tries ---- */

static void try(const struct scene *scene, struct cgroup *cg)
{
	struct taken taken[VICTIMS] = { 0 };
	struct victim *v[VICTIMS];
	int holds = mrt_open();
	double released;

	for (int i = 0; i < VICTIMS; i++) {
		taken[i].index = i;
		taken[i].mib = scene->mib[i];
		v[i] = victim_start(&(struct victim_how){
			.name = "v_order", .cg = cg, .mib = scene->mib[i], .stuck = STUCK_D, .stuck_main = true,
			.holds = holds, .pages = PAGES_SMALL });
	}
	for (int i = 0; i < VICTIMS; i++)
		victim_wait_ready(v[i]);
	file_write(TRACING "trace", " ");
	take_all_cpus();
	for (int i = 0; i < VICTIMS; i++) {
		taken[i].no_earlier = now_s();
		victim_kill(v[i]);
		taken[i].no_later = now_s();
		if (!i)
			spin_ms(scene->pause_ms);
	}
	released = now_s();
	release_all_cpus();
	if (WAIT_UNTIL(read_trace(v, taken, released), PATIENCE_MS))
		judge_all(taken);
	else
		ok(false, "%s: all of them are reaped", scene->name);
	mrt_close(holds);
	for (int i = 0; i < VICTIMS; i++)
		victim_free(v[i]);
	mr_wait_idle();
}

static void untrace(void)
{
	file_write(TRACING "events/memrescue/reap_begin/enable", "0");
}

int main(void)
{
	struct cgroup *cg = cg_new("order");
	int tries;

	if (!file_exists(TRACING "trace"))
		skip_all("the kernel has no tracefs");
	ok(mr_loaded(), "memrescue is there");
	at_end(END_SCENARIO, untrace);
	file_set(TRACING "trace_clock", "mono");
	file_write(TRACING "events/memrescue/reap_begin/enable", "1");
	knob_set("max_workers", "1");
	knob_set("kill_min_kb", "0");
	for (tries = 0; tries < TRIES && (by_size < ENOUGH || by_age < ENOUGH); tries++)
		try(&scenes[by_size >= ENOUGH || (by_age < ENOUGH && tries % 2)], cg);
	/* One whose locks are taken for a moment has to try again. */
	is_le(wrong, (by_size + by_age) / 10, "nobody is taken before one that ought to come first");
	is_ge(by_size, ENOUGH, "seen: of those that came just now the larger one comes first, not the older");
	is_ge(by_age, ENOUGH, "seen: who has waited for 100 ms comes before a larger one");
	diag("%d tries: %d by size, %d by age, %d wrong", tries, by_size, by_age, wrong);
	untrace();
	return done();
}
