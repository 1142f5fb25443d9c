// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody is killed for want of memory that is on its way. A victim that exits by
 * itself hides from the OOM killer when its pages are unmapped, and frees them
 * only after that. Here its exit is held up in between, by a reader of its
 * mmap_lock, while a neighbour in its cgroup needs the memory.
 */
#include "load.h"
#include "robust.h"

#define VICTIM_MIB	12	/* less than what exit_mmap() frees at once */
#define NEIGHBOUR_MIB	10
#define LIMIT_MIB	20
#define LOCKS		80
#define TRIES		20	/* memrescue may be quicker than the exit: then nothing has to be put off */

/*
 * How long the victim is stuck: less than the 2 s after which memrescue does not care
 * about its lock any more, and long enough for memrescue not to look often.
 */
#define STUCK_MS	1000

/* A kill is put off for 1 s at most: if the test itself takes half of that, nobody is to blame. */
#define SLOW_US		500000L

#define FTRACE_SWITCH	"/proc/sys/kernel/ftrace_enabled"

/* Before 6.0 exit_mmap() frees an OOM victim's memory before it hides it. */
static bool frees_late(void)
{
	return kernel_at_least(6, 0);
}

struct scene {
	struct cgroup *top, *victim_cg, *neighbour_cg;
	struct victim *victim, *neighbour, *reader;
	int stuck, reads;
};

static void neighbour_run(struct victim *v, void *arg)
{
	char *p = mmap(NULL, NEIGHBOUR_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (p == MAP_FAILED)
		return;
	pattern_fill(p, NEIGHBOUR_MIB * MIB, PATTERN_KEY);
	v->sh->word[0] = 1;
	for (;;)
		pause();
}

/*
 * Memory between the other mappings and the stack: exit_mmap() unmaps it after those
 * of files, and so does not free it on the way.
 */
static void fill_memory(void)
{
	unsigned long stack = (unsigned long)__builtin_frame_address(0);
	char *p = mmap((void *)((stack - 64 * MIB) & ~(2 * MIB - 1)), VICTIM_MIB * MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap below the stack: %s", strerror(errno));
	/* Else the exit may have to wait for khugepaged. */
	madvise(p, VICTIM_MIB * MIB, MADV_NOHUGEPAGE);
	pattern_fill(p, VICTIM_MIB * MIB, PATTERN_KEY);
}

/*
 * As long as the thread that holds the locks is stuck, memrescue leaves the memory
 * alone: they are on more pages than it keeps.
 */
static void fill_and_lock(struct victim *v, void *arg)
{
	char *p = mmap(NULL, LOCKS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)v;
	(void)arg;
	fill_memory();
	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	for (int i = 0; i < LOCKS; i++) {
		pthread_mutex_t *mutex = (pthread_mutex_t *)(p + i * PAGE);

		robust_mutex_init(mutex, false, false);
		pthread_mutex_lock(mutex);
	}
}

static void reader_run(struct victim *v, void *arg)
{
	struct scene *s = arg;

	(void)v;
	ioctl(s->reads, MRT_HOLD_OTHERS_MMAP, s->victim->pid);
}

static bool has_memory(const struct scene *s)
{
	return s->neighbour->sh->word[0];
}

/*
 * Returns when the victim has been killed and is on its way out.
 */
static void scene_begin(struct scene *s)
{
	s->top = cg_new("spare");
	if (cg_set(s->top, "cgroup.subtree_control", "+memory"))
		bail("%s: no memory controller below it", s->top->path);
	s->victim_cg = cg_new("spare/victim");
	s->neighbour_cg = cg_new("spare/neighbour");
	s->stuck = mrt_open();
	s->reads = mrt_open();
	s->victim = victim_new(&(struct victim_how){
		.name = "v_victim", .cg = s->victim_cg, .mib = 1, .stuck = STUCK_D, .stuck_main = true,
		.holds = s->stuck, .setup = fill_and_lock });
	s->neighbour = victim_new(&(struct victim_how){
		.name = "v_neighbour", .cg = s->neighbour_cg, .run = neighbour_run });
	s->reader = victim_new(&(struct victim_how){
		.name = "v_reader", .oom_score_adj = -900, .run = reader_run, .arg = s });
	victim_go(s->reader);
	if (!WAIT_UNTIL(mrt_held(s->reads, 0), PATIENCE_MS))
		bail("the reader does not get mmap_lock");
	log_mark();
	cg_limit_mib(s->top, LIMIT_MIB);
	victim_go(s->neighbour);
	if (!WAIT_UNTIL(log_find("Killed process %d ", s->victim->pid), PATIENCE_MS))
		bail("the victim is not killed");
	sleep_ms(STUCK_MS);
	mrt_release(s->stuck);
}

static void scene_end(struct scene *s)
{
	mrt_release(s->reads);
	victim_free(s->neighbour);
	victim_free(s->reader);
	victim_free(s->victim);
	mrt_close(s->reads);
	mrt_close(s->stuck);
	cg_remove(s->neighbour_cg);
	cg_remove(s->victim_cg);
	cg_remove(s->top);
	if (!mr_wait_idle())
		bail("memrescue still has something in flight");
}

static bool is_killed(const struct scene *s)
{
	return log_find("Killed process %d ", s->neighbour->pid);
}

/* Kills are being put off, or need not be, or were not. */
static bool is_settled(const struct scene *s, long before)
{
	return mr_stat("kills_put_off") > before || has_memory(s) || is_killed(s);
}

/* What came of a try. */
struct outcome {
	bool put_off, killed;
};

static struct outcome one_try(void)
{
	long before = mr_stat("kills_put_off");
	long long released;
	struct outcome o;
	struct scene s;

	scene_begin(&s);
	/* Nothing was put off before that. */
	released = now_us();
	if (!WAIT_UNTIL(is_settled(&s, before), PATIENCE_MS))
		bail("nothing happens");
	mrt_release(s.reads);
	if (!WAIT_UNTIL(has_memory(&s) || is_killed(&s), PATIENCE_MS))
		bail("the neighbour neither gets its memory nor is killed");
	o.put_off = mr_stat("kills_put_off") > before;
	o.killed = !has_memory(&s);
	if (o.killed && o.put_off && now_us() - released > SLOW_US) {
		diag("the machine is too slow to tell");
		o = (struct outcome){ 0 };
	}
	scene_end(&s);
	return o;
}

static void nobody_is_killed(void)
{
	struct outcome o;
	int tries = 0;

	do {
		o = one_try();
		tries++;
	} while (frees_late() && tries < TRIES && !o.put_off && !o.killed);
	diag("%d tries", tries);
	ok(!o.killed, "while a victim's memory comes nobody else is killed");
	if (frees_late())
		ok(o.put_off, "a kill was put off");
}

/* What is lost without the hook. */
static void somebody_is_killed(void)
{
	struct outcome o = { 0 };
	int tries = 0;

	if (file_set(FTRACE_SWITCH, "0")) {
		skip("the kernel has no switch for ftrace", "without the hook the neighbour is killed");
		return;
	}
	while (tries++ < TRIES * machine_slowness() && !o.killed)
		o = one_try();
	diag("%d tries", tries - 1);
	ok(o.killed && !o.put_off, "without the hook the neighbour is killed");
	file_write(FTRACE_SWITCH, "1");
}

/* What the administrator kills is not. Context: kills are being put off. */
static void sysrq_f(struct victim *decoy)
{
	if (!file_exists("/proc/sysrq-trigger")) {
		skip("the kernel has no CONFIG_MAGIC_SYSRQ", "sysrq-f is not put off");
		return;
	}
	file_write("/proc/sysrq-trigger", "f");
	ok(victim_wait_exit(decoy), "sysrq-f is not put off");
}

/* Returns while kills are being put off, unless none of many tries comes to that. */
static void begin_put_off(struct scene *s, long *before)
{
	int tries = 0;

	do {
		if (tries++)
			scene_end(s);
		*before = mr_stat("kills_put_off");
		scene_begin(s);
		if (!WAIT_UNTIL(is_settled(s, *before), PATIENCE_MS))
			bail("nothing happens");
	} while (has_memory(s) && tries < TRIES);
}

static void not_for_ever(void)
{
	struct victim *decoy = victim_new(&(struct victim_how){ .name = "v_decoy", .mib = 1, .oom_score_adj = 1000 });
	bool killed = false, put_off = false;

	/* memrescue may get hold of the memory after all. */
	for (int tries = 0; tries < TRIES && !killed; tries++) {
		struct scene s;
		long before;

		begin_put_off(&s, &before);
		if (!tries)
			sysrq_f(decoy);
		if (!WAIT_UNTIL(has_memory(&s) || is_killed(&s), PATIENCE_MS))
			bail("the neighbour neither gets its memory nor is killed");
		killed = is_killed(&s);
		put_off = mr_stat("kills_put_off") > before;
		scene_end(&s);
	}
	ok(killed, "if the memory does not come, somebody is killed");
	ok(put_off, "not at once");
	victim_free(decoy);
}

/*
 * A function of the module is executed in the place of the OOM killer's; the debug build
 * is made slow there. Returns false if nobody is in it any more.
 */
static bool unload_under_it(void)
{
	long long begin;
	struct scene s;
	long before;
	bool within;

	begin_put_off(&s, &before);
	before = mr_stat("kills_put_off");
	if (!WAIT_UNTIL(mr_stat("kills_put_off") > before || has_memory(&s) || is_killed(&s), PATIENCE_MS))
		bail("nothing happens");
	within = !has_memory(&s) && !is_killed(&s);
	if (within) {
		begin = now_us();
		is_eq(mr_unload(), 0, "memrescue can be unloaded while it puts off a kill");
		diag("in %lld us", now_us() - begin);
		ok(WAIT_UNTIL(has_memory(&s) || is_killed(&s), PATIENCE_MS), "the OOM killer goes on by itself");
	}
	scene_end(&s);
	return within;
}

static void unloaded_meanwhile(void)
{
	int tries = 0;

	if (mr_unload() || load_module(MEMRESCUE_DEBUG_KO, "fail=spare-slow"))
		bail("the debug build cannot be loaded");
	while (tries++ < TRIES && !unload_under_it())
		;
	is_le(tries, TRIES, "somebody was in its function then");
	if (module_loaded("memrescue"))
		mr_unload();
	is_eq(load_module(MEMRESCUE_KO, ""), 0, "it can be loaded again");
}

/* A live patch has the last word: the OOM killer kills as on the stock kernel, and the row of the hook says so. */
static void lost_is_noticed(void)
{
	struct mr_row rows[32], *hook = NULL;
	int tries = 0, n;

	if (mr_unload() || load_module(MEMRESCUE_DEBUG_KO, "fail=spare-lost"))
		bail("the debug build cannot be loaded");
	log_mark();
	while (tries++ < TRIES * machine_slowness() && !log_find("memrescue: hook oom_kill (oom_kill_process) is refuted"))
		one_try();
	diag("%d tries", tries - 1);
	n = mr_hooks(rows, ARRAY_SIZE(rows));
	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, "oom_kill"))
			hook = &rows[i];
	ok(hook && !strcmp(hook->state, "refuted"), "where another one has the last word the hook is refuted");
	is_eq(mr_stat("kills_put_off"), 0, "and no kill counts as put off");
	if (mr_unload() || load_module(MEMRESCUE_KO, ""))
		bail("memrescue cannot be loaded again");
}

int main(void)
{
	ok(mr_loaded(), "memrescue is there");
	nobody_is_killed();
	if (frees_late()) {
		not_for_ever();
		somebody_is_killed();
		unloaded_meanwhile();
		lost_is_noticed();
	}
	return done();
}
