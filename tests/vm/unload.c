// SPDX-License-Identifier: GPL-2.0
/*
 * Load, unload, enable, disable at any moment: on an idle machine, with
 * victims in flight, in the middle of a storm of kills, and while CPUs come
 * and go. Nothing of memrescue is left after an unload, and no victim is lost.
 */
#include "load.h"

/* How often; with the argument "short" a tenth of it. */
static int idle_times = 200, storm_times = 50, hotplugs = 8, toggles = 20;

#define RECORDS_KIB	200	/* about what the records alone take */
#define TOLERANCE_KIB	(16 * KIB_PER_MIB)
#define VICTIM_MIB	16
#define LIMIT_MIB	24
#define EATER_MIB	16	/* more than what is left */

#define LOCKED		4	/* victims that nobody can reap, in each cycle of a storm */

static int lock_fd, sleep_fd;

static void load(const char *params)
{
	mr_load_fresh(MEMRESCUE_KO, params);
	file_write(MR_REAPER "kill_min_kb", "0");
}

/* ---- nothing to do ---- */

static void idle_cycles(void)
{
	long before, bad = 0, traces = 0;

	/* The first one makes caches of the kernel grow. */
	bad += mr_load(MEMRESCUE_KO, "") || mr_unload();
	before = meminfo_kib("MemAvailable");
	for (int i = 1; i < idle_times; i++) {
		bad += mr_load(MEMRESCUE_KO, "") || mr_unload();
		traces += mr_traces();
	}
	is_eq(bad, 0, "idle: %d times loaded and unloaded", idle_times);
	is_eq(traces, 0, "idle: nothing is left of it, each time");
	/* The first few times would not show. */
	if (idle_times * RECORDS_KIB > 2 * TOLERANCE_KIB)
		is_le(before - meminfo_kib("MemAvailable"), TOLERANCE_KIB, "idle: it leaves its memory behind, all of it");
}

static void open_files(void)
{
	char buf[64];
	int dev, file;

	load("");
	dev = open("/dev/memrescue", O_RDONLY | O_CLOEXEC);
	ok(dev >= 0, "open files: root can open /dev/memrescue");
	is_eq(mr_unload(), -EWOULDBLOCK, "open files: no unload while it is open");
	is_eq(knob_get("enabled"), 1, "open files: and it goes on working");
	close(dev);
	file = open(MR_REAPER "victims", O_RDONLY | O_CLOEXEC);
	ok(file >= 0 && pread(file, buf, sizeof(buf), 0) > 0, "open files: a statistic can be read");
	is_eq(mr_unload(), 0, "open files: an open statistic does not hold up the unload");
	ok(pread(file, buf, sizeof(buf), 0) < 0 && errno == ENODEV, "open files: it has no value any more");
	close(file);
	is_eq(mr_traces(), 0, "open files: nothing is left");
}

/* ---- victims in flight ---- */

static void *sleep_thread(void *arg)
{
	(void)arg;
	ioctl(sleep_fd, MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return NULL;
}

/* A second stuck thread keeps the address space when the lock is free. */
static void start_sleeper(struct victim *v, void *arg)
{
	pthread_t thread;

	(void)v;
	(void)arg;
	if (pthread_create(&thread, NULL, sleep_thread, NULL))
		bail("pthread_create");
}

/* Another process of the cgroup wants more memory than there is. */
static struct victim *start_eater(struct cgroup *cg)
{
	struct victim *eater = victim_new(&(struct victim_how){
		.name = "v_eater", .cg = cg, .mib = 1, .oom_score_adj = -500, .run = victim_eat_some,
		.arg = (void *)(EATER_MIB * MIB) });

	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(eater);
	return eater;
}

static struct victim *locked_victim(struct cgroup *cg)
{
	struct victim *v = victim_new(&(struct victim_how){
		.name = "v_locked", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE, .holds = lock_fd,
		.setup = start_sleeper });

	if (!WAIT_UNTIL(mrt_held(sleep_fd, v->pid) > 0, PATIENCE_MS))
		bail("the second thread did not get stuck");
	return v;
}

static void unload_clean(const char *name)
{
	is_eq(mr_unload(), 0, "%s: memrescue can be unloaded", name);
	is_eq(mr_traces(), 0, "%s: nothing is left of it", name);
}

/*
 * The stock reaper goes on from here. It hides its victim from the OOM killer
 * without a look at who is choosing one just then: see docs/reaper.md, "When the
 * next one may be chosen". So the other process may be killed beside free memory.
 */
static void check_stock(struct victim *v, struct victim *eater, const char *name)
{
	ok(memory_there(v) && !eater->sh->word[0], "%s: all of the victim's memory is still there", name);
	mrt_release(lock_fd);
	ok(WAIT_UNTIL(eater->sh->word[0] || log_find("Killed process %d ", eater->pid), PATIENCE_MS) &&
	   mrt_held(sleep_fd, v->pid) > 0, "%s: another process is not held up while the victim is stuck", name);
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process %d ", v->pid), PATIENCE_MS), "%s: by the stock reaper", name);
}

/* What a CPU has not added up yet is missing in it. */
static void check_expected(const char *name)
{
	long least = VICTIM_MIB * 256 * 9 / 10, most = LIMIT_MIB * 256, pages;

	WAIT_UNTIL(mr_stat("expected_pages") >= least, PATIENCE_MS);
	pages = mr_stat("expected_pages");
	ok(pages >= least && pages <= most, "%s: the pages are expected that it still has", name);
	diag("%s: %ld pages expected", name, pages);
}

static void flight_oom(bool disable)
{
	const char *name = disable ? "OOM victim in flight, disable" : "OOM victim in flight, unload";
	struct cgroup *cg = cg_new("flight");
	struct victim *v, *eater;

	load("");
	log_mark();
	v = locked_victim(cg);
	eater = start_eater(cg);
	WAIT_UNTIL(log_find("Killed process %d ", v->pid) && mr_stat("in_flight") == 1, PATIENCE_MS);
	is_eq(mr_stat("in_flight"), 1, "%s: it cannot be reaped yet", name);
	check_expected(name);
	if (disable) {
		is_eq(knob_set("enabled", "0"), 0, "%s: the reaper can be disabled", name);
		ok(mr_stat("in_flight") == 0 && mr_stat("expected_pages") == 0, "%s: it has no victim any more", name);
		is_eq(mr_stat("given_back"), 1, "%s: it has given it back", name);
	} else {
		unload_clean(name);
	}
	check_stock(v, eater, name);
	mrt_release(sleep_fd);
	victim_free(eater);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
	if (disable)
		unload_clean(name);
}

static void flight_killed(void)
{
	const char *name = "kill -9 victim in flight";
	struct cgroup *cg = cg_new("flight");
	struct victim *v;

	load("");
	log_mark();
	v = locked_victim(cg);
	victim_kill(v);
	WAIT_UNTIL(mr_stat("in_flight") == 1, PATIENCE_MS);
	is_eq(mr_stat("in_flight"), 1, "%s: it cannot be reaped yet", name);
	unload_clean(name);
	ok(memory_there(v), "%s: all of its memory is still there", name);
	mrt_release(lock_fd);
	mrt_release(sleep_fd);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
}

static void flight_returned(void)
{
	const char *name = "victim without memory";
	struct cgroup *cg = cg_new("flight");
	struct victim *v;

	load("");
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_returned", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = victim_eat });
	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(v);
	ok(memory_back(v), "%s: memrescue gives it back", name);
	WAIT_UNTIL(mr_stat("exiting") == 1, PATIENCE_MS);
	is_eq(mr_stat("exiting"), 1, "%s: the victim is still there", name);
	unload_clean(name);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
}

/* Words that the sharing processes and the test see. */
enum { W_SHARER };

static char sharer_procs[256];

/* On the victim's memory and thread-local storage: system calls only. */
static int sharer_main(void *arg)
{
	struct victim *v = arg;
	int fd = syscall(SYS_openat, AT_FDCWD, sharer_procs, O_WRONLY | O_CLOEXEC);

	syscall(SYS_write, fd, "0", 1);
	syscall(SYS_close, fd);
	v->sh->word[W_SHARER] = syscall(SYS_getpid);
	syscall(SYS_ioctl, lock_fd, MRT_HOLD_VMAS_WRITE, 2UL * PATIENCE_MS);
	return 0;
}

static void share(struct victim *v, void *arg)
{
	(void)arg;
	if (clone_raw(CLONE_VM | SIGCHLD, sharer_main, v) < 0)
		bail("clone: %s", strerror(errno));
}

/*
 * Two processes share their memory. One is killed from user space, and waits
 * for the other, which the OOM killer chooses then: one victim, known to
 * memrescue by a process that the OOM killer did not mark.
 */
static void flight_shared(void)
{
	const char *name = "shared memory, both killed";
	struct cgroup *cg = cg_new("flight"), *other = cg_new("other");
	struct victim *v, *eater;
	pid_t sharer;

	load("");
	log_mark();
	snprintf(sharer_procs, sizeof(sharer_procs), "%s/cgroup.procs", other->path);
	v = victim_new(&(struct victim_how){
		.name = "v_shared", .cg = cg, .mib = VICTIM_MIB, .setup = start_sleeper, .run = share });
	victim_go(v);
	WAIT_UNTIL(v->sh->word[W_SHARER] && mrt_held(lock_fd, v->sh->word[W_SHARER]) > 0, PATIENCE_MS);
	sharer = v->sh->word[W_SHARER];
	if (mrt_held(lock_fd, sharer) <= 0 || mrt_held(sleep_fd, v->pid) <= 0)
		bail("the sharing processes did not get stuck");
	kill(sharer, SIGKILL);
	ok(WAIT_UNTIL(mr_stat("victims_killed") == 1, PATIENCE_MS), "%s: the first one is taken", name);
	eater = start_eater(cg);
	ok(WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS), "%s: the second one is chosen", name);
	/* Time for its records to be looked at; in flight it stays. For one of them the OOM killer may hold a lock a while. */
	sleep_ms(100);
	WAIT_UNTIL(mr_stat("in_flight") == 1, PATIENCE_MS);
	is_eq(mr_stat("in_flight"), 1, "%s: they are one victim in flight", name);
	unload_clean(name);
	check_stock(v, eater, name);
	mrt_release(sleep_fd);
	victim_free(eater);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
	cg_remove(other);
}

/* ---- in a storm ---- */

/* Small victims that keep the workers trying. */
static void start_locked(struct victim **locked)
{
	for (int i = 0; i < LOCKED; i++)
		locked[i] = victim_start(&(struct victim_how){
			.name = "v_retry", .mib = 1, .stuck = STUCK_VMAS_WRITE, .holds = lock_fd });
	for (int i = 0; i < LOCKED; i++)
		victim_wait_ready(locked[i]);
}

static void end_locked(struct victim **locked)
{
	mrt_release(lock_fd);
	for (int i = 0; i < LOCKED; i++)
		victim_free(locked[i]);
}

#define HOOKS_MAX	16

struct totals {
	long bad, traces, calm, oom, killed, overflow;
	struct mr_row hooks[HOOKS_MAX];	/* hits of all cycles */
	int nr_hooks;
};

static void add_hooks(struct totals *t)
{
	struct mr_row rows[HOOKS_MAX];
	int n = mr_hooks(rows, HOOKS_MAX);

	for (int i = 0; i < n; i++) {
		/* Each time the same rows: they are in the order of a table of the module. */
		rows[i].hits += i < t->nr_hooks ? t->hooks[i].hits : 0;
		t->hooks[i] = rows[i];
	}
	t->nr_hooks = n;
}

/* One of those that see victims. */
static bool sees_victims(const struct mr_row *hook)
{
	return !strcmp(hook->part, "reaper");
}

/* Each hook that there is has been busy. */
static bool all_busy(const struct totals *t)
{
	for (int i = 0; i < t->nr_hooks; i++)
		if (sees_victims(&t->hooks[i]) && !t->hooks[i].hits)
			return false;
	return t->nr_hooks > 0;
}

/* It was unloaded while each of its hooks was busy. */
static void check_hooks(struct totals *t)
{
	is_ge(t->nr_hooks, 1, "storm: the hooks can be told apart");
	for (int i = 0; i < t->nr_hooks; i++) {
		const struct mr_row *row = &t->hooks[i];

		if (sees_victims(row))
			is_ge(row->hits, 1, "storm: hook %s saw victims", row->name);
		diag("storm: hook %s: %ld hits", row->name, row->hits);
	}
}

static void storm_cycle(int i, struct totals *t)
{
	struct victim *locked[LOCKED];
	long in_flight = 0;

	start_locked(locked);
	/* Every other time with so few records that they run out. */
	t->bad += !!mr_load(MEMRESCUE_KO, i % 2 ? "records=16" : "");
	file_write(MR_REAPER "kill_min_kb", "0");
	file_write(MR_REAPER "max_workers", "16");
	for (int k = 0; k < LOCKED; k++)
		victim_kill(locked[k]);
	WAIT_UNTIL(mr_stat("victims") >= LOCKED + 2 && (in_flight = mr_stat("in_flight")) > 0, PATIENCE_MS);
	t->calm += in_flight <= 0;
	t->oom += mr_stat("victims_oom");
	t->killed += mr_stat("victims_killed");
	t->overflow += mr_stat("overflow");
	add_hooks(t);
	t->bad += !!mr_unload();
	t->traces += mr_traces();
	end_locked(locked);
}

static void storm_unload(void)
{
	struct totals t = { 0 };
	struct storm *s;

	log_mark();
	s = storm_begin();
	/* On a slow kernel there are few OOM kills in that time: go on until there were some. */
	for (int i = 0; i < storm_times || (i < 10 * storm_times && !all_busy(&t)); i++)
		storm_cycle(i, &t);
	is_eq(t.bad, 0, "storm: loaded and unloaded, at least %d times", storm_times);
	is_eq(t.traces, 0, "storm: nothing is left of it, each time");
	is_eq(t.calm, 0, "storm: victims were in flight, each time");
	ok(t.oom > 0 && t.killed > 0, "storm: OOM victims and others were taken");
	diag("storm: %ld OOM victims, %ld killed ones, %ld overflows", t.oom, t.killed, t.overflow);
	check_hooks(&t);
	storm_end(s, "storm");
	is_eq(log_bad(), 0, "storm: the kernel has nothing to complain about");
}

/* After a storm the loaded module is as good as new. */
static void check_settled(const char *name)
{
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	ok(WAIT_UNTIL(mr_stat("expected_pages") == 0 && mr_stat("exiting") == 0, PATIENCE_MS),
	   "%s: nor expected, nor exiting", name);
	ok(later_victim_taken(), "%s: the next victim is taken", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
	unload_clean(name);
}

static void storm_hotplug(void)
{
	static const char online[] = "/sys/devices/system/cpu/cpu1/online";
	const char *name = "CPU hotplug";
	long bad = 0, before;
	struct storm *s;
	int times;

	if (!file_exists(online)) {
		skip("there is no second CPU that can be taken away", "%s: in a storm", name);
		return;
	}
	load("");
	log_mark();
	s = storm_begin();
	before = mr_stat("victims");
	/* On a slow kernel there are few victims in that time: go on until there were some. */
	for (times = 0; times < hotplugs || (times < 20 * hotplugs && mr_stat("victims") < before + hotplugs); times++) {
		bad += !!file_set(online, "0");
		sleep_ms(50);
		bad += !!file_set(online, "1");
		sleep_ms(50);
	}
	is_eq(bad, 0, "%s: a CPU goes and comes, at least %d times", name, hotplugs);
	is_ge(mr_stat("victims"), before + hotplugs, "%s: victims are taken meanwhile", name);
	storm_end(s, name);
	check_settled(name);
}

static void storm_toggle(void)
{
	const char *name = "disable, enable";
	long bad = 0, before;
	struct storm *s;

	load("");
	log_mark();
	s = storm_begin();
	for (int i = 0; i < toggles; i++) {
		bad += !!knob_set("enabled", "0");
		bad += mr_stat("in_flight") != 0;
		bad += !!knob_set("enabled", "1");
		sleep_ms(10);
	}
	is_eq(bad, 0, "%s: %d times in a storm, nothing in flight while disabled", name, toggles);
	before = mr_stat("victims");
	ok(WAIT_UNTIL(mr_stat("victims") >= before + 5, PATIENCE_MS), "%s: victims are taken afterwards", name);
	storm_end(s, name);
	check_settled(name);
}

static void shorten(void)
{
	idle_times /= 10;
	storm_times /= 10;
	hotplugs /= 4;
	toggles /= 4;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "short"))
		shorten();
	lock_fd = mrt_open();
	sleep_fd = mrt_open();
	if (module_loaded("memrescue"))
		is_eq(mr_unload(), 0, "memrescue can be unloaded");
	if (mr_traces())
		bail("there is something of memrescue before it is loaded");
	idle_cycles();
	open_files();
	flight_oom(false);
	flight_oom(true);
	flight_killed();
	flight_returned();
	storm_unload();
	storm_hotplug();
	storm_toggle();
	flight_shared();
	return done();
}
