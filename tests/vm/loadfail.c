// SPDX-License-Identifier: GPL-2.0
/*
 * What memrescue does when the kernel lacks something: each lookup and each registration is made to fail (parameter
 * fail= of the debug build). What it needs: the load fails, says why, and leaves nothing. What is optional: the rest
 * works, and what is lost is what the table says.
 */
#include "load.h"

#define VICTIM_MIB	16
#define LIMIT_MIB	24
#define ROWS		32

#define KPROBES_SWITCH	DEBUGFS "kprobes/enabled"
#define FTRACE_SWITCH	"/proc/sys/kernel/ftrace_enabled"

static struct cgroup *cg;
static struct mr_row hooks[ROWS], symbols[ROWS];
static int nr_hooks, nr_symbols;

/* Attached only when the administrator asks for it. */
static bool is_unused(const struct mr_row *hook)
{
	return !strcmp(hook->part, "atomic") || !strcmp(hook->part, "lifeline");
}

/* The row called so, or NULL. */
static struct mr_row *row(struct mr_row *rows, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, name) || !strcmp(rows[i].target, name))
			return &rows[i];
	return NULL;
}

static void read_tables(void)
{
	nr_hooks = mr_hooks(hooks, ROWS);
	nr_symbols = mr_symbols(symbols, ROWS);
}

static int load_failing(const char *names)
{
	char params[512];
	int err;

	snprintf(params, sizeof(params), "fail=%s", names);
	log_mark();
	err = mr_load(MEMRESCUE_DEBUG_KO, params);
	if (!err)
		file_write(MR_REAPER "kill_min_kb", "%ld", VICTIM_MIB * KIB_PER_MIB / 2);
	return err;
}

static void unload(const char *what)
{
	is_eq(mr_unload(), 0, "without %s: it can be unloaded", what);
	is_eq(mr_traces(), 0, "without %s: nothing is left of it", what);
}

/* ---- victims ---- */

static struct victim *oom_victim(void (*setup)(struct victim *v, void *arg), void *arg)
{
	struct victim *v;

	v = victim_new(&(struct victim_how){
		.name = "v_oom", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = setup, .arg = arg,
		.run = victim_eat });
	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(v);
	return v;
}

static void oom_is_reaped(const char *without)
{
	struct mr_stats before = mr_stats();
	char name[128];
	struct victim *v;

	snprintf(name, sizeof(name), "without %s: OOM victim", without);
	v = oom_victim(NULL, NULL);
	check_reaped(v, &before, "oom", name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static void kill_is_reaped(const char *without)
{
	struct mr_stats before = mr_stats();
	char name[128];
	struct victim *v;

	snprintf(name, sizeof(name), "without %s: kill -9", without);
	v = victim_new(&(struct victim_how){ .name = "v_kill9", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	victim_kill(v);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
}

/* ---- what is lost without a hook or a symbol ---- */

static void lose_nothing(const char *what)
{
	oom_is_reaped(what);
	kill_is_reaped(what);
}

/* Processes killed from user space, no thread of which gets to its exit. */
static void lose_kill(const char *what)
{
	struct cgroup *own = cg_new("kill");
	int holds = mrt_open();
	struct victim *v;

	v = victim_new(&(struct victim_how){
		.name = "v_kill9", .cg = own, .mib = VICTIM_MIB, .stuck = STUCK_D, .stuck_main = true, .holds = holds });
	victim_kill(v);
	oom_is_reaped(what);
	ok(memory_there(v) && mrt_held(holds, v->pid) > 0 && !mr_stat("victims_killed"),
	   "without %s: kill -9 before that: it is left to the kernel", what);
	mrt_close(holds);
	victim_free(v);
	cg_remove(own);
}

static void *sleep_thread(void *arg)
{
	ioctl(*(int *)arg, MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return NULL;
}

static void start_sleeper(struct victim *v, void *arg)
{
	pthread_t thread;

	(void)v;
	if (pthread_create(&thread, NULL, sleep_thread, arg))
		bail("pthread_create");
}

/* One thread holds the lock, another one keeps the address space afterwards. */
static struct victim *locked_victim(enum stuck stuck, int lock_fd, int *sleep_fd)
{
	struct victim *v = victim_new(&(struct victim_how){
		.name = "v_locked", .cg = cg, .mib = VICTIM_MIB, .stuck = stuck, .holds = lock_fd,
		.setup = start_sleeper, .arg = sleep_fd });

	if (!WAIT_UNTIL(mrt_held(*sleep_fd, v->pid) > 0, PATIENCE_MS))
		bail("the second thread did not get stuck");
	return v;
}

/* The kernel's reaper tries as well, and gives up; memrescue does not. */
static void lose_claim(const char *what)
{
	int lock_fd = mrt_open(), sleep_fd = mrt_open();
	struct victim *v, *eater;

	lose_nothing(what);
	v = locked_victim(STUCK_VMAS_WRITE, lock_fd, &sleep_fd);
	eater = victim_new(&(struct victim_how){
		.name = "v_eater", .cg = cg, .mib = 1, .oom_score_adj = -500, .run = victim_eat });
	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(eater);
	ok(WAIT_UNTIL(log_find("oom_reaper: unable to reap pid:%d ", v->pid), PATIENCE_MS),
	   "without %s: the kernel's reaper tries a locked OOM victim, and gives up", what);
	mrt_release(lock_fd);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && mrt_held(sleep_fd, v->pid) > 0,
	   "without %s: memrescue reaps it when the lock is free", what);
	mrt_close(sleep_fd);
	mrt_close(lock_fd);
	victim_free(eater);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static void notify(struct victim *v, void *arg)
{
	(void)v;
	if (ioctl(*(int *)arg, MRT_NOTIFY, 0))
		bail("MRT_NOTIFY: %s", strerror(errno));
}

/* Victims with MMU notifiers. */
static void lose_notified(const char *what)
{
	int fd = mrt_open();
	struct victim *v;

	kill_is_reaped(what);
	v = oom_victim(notify, &fd);
	ok(memory_back(v) && mrt_held(mrt(), v->pid) > 0,
	   "without %s: OOM victim with an MMU notifier: its memory is back while it is stuck", what);
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process %d ", v->pid), PATIENCE_MS) &&
	   !log_find("memrescue: reaped pid=%d ", v->pid), "without %s: by the kernel's reaper", what);
	is_eq(mr_stat("given_back"), 1, "without %s: memrescue has given it back", what);
	mrt_release(mrt());
	victim_free(v);
	mrt_close(fd);
	cg_set(cg, "memory.max", "max");
}

/* Victims whose mmap_lock is held for writing, until it is free. */
static void lose_locked(const char *what)
{
	int lock_fd = mrt_open(), sleep_fd = mrt_open();
	struct victim *v;

	v = locked_victim(STUCK_MMAP_WRITE, lock_fd, &sleep_fd);
	victim_kill(v);
	ok(later_victim_taken() && memory_there(v), "without %s: a write-locked victim has to wait", what);
	mrt_release(lock_fd);
	ok(memory_back(v) && mrt_held(sleep_fd, v->pid) > 0, "without %s: until the lock is free", what);
	mrt_close(sleep_fd);
	mrt_close(lock_fd);
	victim_free(v);
	/* Its memory is back before it is counted. */
	mr_wait_idle();
	lose_nothing(what);
}

/* Victims with a list of robust futexes: the OOM killer's, until the kernel would take them; others for good. */
static void lose_lists(const char *what)
{
	long before = mr_stat("delayed");
	struct victim *v;

	v = oom_victim(NULL, NULL);
	ok(memory_back(v) && mrt_held(mrt(), v->pid) > 0, "without %s: a stuck OOM victim is reaped all the same", what);
	ok(WAIT_UNTIL(mr_stat("delayed") == before + 1, PATIENCE_MS), "without %s: when it has been given time for its list",
	   what);
	mrt_release(mrt());
	victim_free(v);
	cg_set(cg, "memory.max", "max");
	v = victim_new(&(struct victim_how){ .name = "v_list", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	victim_kill(v);
	sleep_ms(500);
	ok(memory_there(v), "without %s: a victim that is killed otherwise is left alone", what);
	mrt_release(mrt());
	victim_free(v);
}

/* The wchan in the report of a stuck victim. */
static void lose_wchan(const char *what)
{
	struct victim *v;

	kill_is_reaped(what);
	file_write(MR_REAPER "stuck_report_ms", "100");
	v = victim_new(&(struct victim_how){ .name = "v_stuck", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	victim_kill(v);
	ok(WAIT_UNTIL(log_find("memrescue: stuck pid=%d ", v->pid), PATIENCE_MS) &&
	   strstr(log_find("memrescue: stuck pid=%d ", v->pid), " wchan=0x0"),
	   "without %s: a stuck victim is reported without it", what);
	mrt_release(mrt());
	victim_free(v);
}

/* What is turned off is not seen to be. */
static void lose_switch(const char *what)
{
	const char *file = strcmp(what, "ftrace_enabled") ? KPROBES_SWITCH : FTRACE_SWITCH;
	struct mr_row rows[ROWS];

	if (!file_set(file, "0")) {
		ok(!strcmp(row(rows, mr_hooks(rows, ROWS), "queue_oom_reaper")->state, "active"),
		   "without %s: a hook that is turned off is shown as active", what);
		file_write(file, "1");
	}
	lose_nothing(what);
}

static const struct {
	const char *name;
	void (*check)(const char *what);
} losses[] = {
	{ "mark_victim", lose_nothing },
	{ "queue_oom_reaper", lose_claim },
	{ "oom_kill_process", lose_nothing },
	{ "signal_generate", lose_kill },
	{ "do_exit", lose_nothing },
	/* All five are asked for together: two of them stand for the others. */
	{ "unmap_page_range", lose_notified },
	{ "__zap_vma_range", lose_notified },
	{ "tlb_gather_mmu", lose_nothing },
	{ "tlb_finish_mmu", lose_nothing },
	{ "__mmu_notifier_invalidate_range_start", lose_notified },
	{ "__mmu_notifier_invalidate_range_end", lose_nothing },
	{ "lock_vma_under_rcu", lose_locked },
	{ "get_wchan", lose_wchan },
	{ "oom_lock", lose_nothing },
	{ "follow_page", lose_lists },
	{ "kprobes_all_disarmed", lose_switch },
	{ "ftrace_enabled", lose_switch },
	/* Of the rescue: what it does without them is in rescue.c. */
	{ "__alloc_pages_slowpath", lose_nothing },
	{ "mm_vmscan_direct_reclaim_begin", lose_nothing },
};

static void check_loss(const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
		if (!strcmp(losses[i].name, what)) {
			losses[i].check(what);
			return;
		}
	}
	ok(false, "without %s: there is a check of what is lost", what);
}

/* ---- one after the other ---- */

static void check_needed(const char *what)
{
	is_eq(load_failing(what), -ENOENT, "without %s, which is needed: the load fails", what);
	ok(log_find("memrescue: symbol %s is missing", what), "without %s: the log says so", what);
	is_eq(mr_traces(), 0, "without %s: nothing is left of it", what);
}

/* The rows that are not as they were when nothing failed. */
static int rows_changed(const char *what, const struct mr_row *was, int n, const struct mr_row *is, const char *lost)
{
	int wrong = 0;

	for (int i = 0; i < n; i++) {
		bool this = (!strcmp(is[i].name, what) || !strcmp(is[i].target, what)) && !is_unused(&is[i]);
		/* To detach that hook, one has to wait for the lock. */
		bool needs = !strcmp(is[i].target, "oom_kill_process") && !strcmp(what, "oom_lock");

		if (!strcmp(is[i].state, this ? lost : needs ? "refuted" : was[i].state))
			continue;
		diag("%s is %s", is[i].name, is[i].state);
		wrong++;
	}
	return wrong;
}

/* Each of its rows says what is lost, and so does the log. */
static bool loss_is_said(const char *what)
{
	struct mr_row *symbol = row(symbols, nr_symbols, what), *hook = row(hooks, nr_hooks, what);

	return (!symbol || (symbol->loss[0] && log_find("symbol %s is missing; lost without it: %s", what, symbol->loss))) &&
	       (!hook || (hook->loss[0] && log_find("(%s) is off (-2); lost without it: %s", what, hook->loss)));
}

static void check_optional(const char *what)
{
	struct mr_row now_hooks[ROWS], now_symbols[ROWS];

	if (!is_eq(load_failing(what), 0, "without %s, which is optional: it can be loaded", what))
		return;
	is_eq(mr_hooks(now_hooks, ROWS), nr_hooks, "without %s: the table of hooks is whole", what);
	is_eq(mr_symbols(now_symbols, ROWS), nr_symbols, "without %s: so is that of symbols", what);
	is_eq(rows_changed(what, hooks, nr_hooks, now_hooks, "failed(-2)") +
	      rows_changed(what, symbols, nr_symbols, now_symbols, "missing"), 0,
	      "without %s: its row says so, the others are as ever", what);
	ok(loss_is_said(what), "without %s: the log says so, and what is lost", what);
	check_loss(what);
	unload(what);
}

static void check_each(void)
{
	for (int i = 0; i < nr_symbols; i++) {
		if (!strcmp(symbols[i].state, "not-in-this-kernel"))
			diag("%s: not in this kernel", symbols[i].name);
		else if (!strcmp(symbols[i].need, "needed"))
			check_needed(symbols[i].name);
		else
			check_optional(symbols[i].name);
	}
	for (int i = 0; i < nr_hooks; i++)
		if (!is_unused(&hooks[i]) && !row(symbols, nr_symbols, hooks[i].target))
			check_optional(hooks[i].target);
}

static void check_complete(void)
{
	int bad = 0, needed = 0;

	/* A name that only begins like one of them. */
	if (load_failing("queue_oom,zap,nonsense"))
		bail("memrescue cannot be loaded");
	read_tables();
	for (int i = 0; i < nr_hooks; i++)
		bad += strcmp(hooks[i].state, is_unused(&hooks[i]) ? "off" : "active") || strcmp(hooks[i].need, "optional");
	for (int i = 0; i < nr_symbols; i++) {
		needed += !strcmp(symbols[i].need, "needed");
		bad += strcmp(symbols[i].state, "found") && strcmp(symbols[i].state, "not-in-this-kernel");
	}
	is_eq(bad, 0, "without nothing: every hook is active, every symbol found");
	is_ge(needed, 1, "without nothing: there is a symbol that is needed");
	lose_nothing("nothing");
	unload("nothing");
}

/* ---- several at once ---- */

static void check_lookup(const char *what)
{
	int err = load_failing(what), wrong = 0, needed_err = 0;
	struct mr_row *lists;

	ok(log_find("memrescue: kallsyms_lookup_name: no kprobe (-2)"), "without %s: the log says so", what);
	for (int i = 0; i < nr_symbols; i++)
		if (!strcmp(symbols[i].need, "needed") && !kernel_exports(symbols[i].name))
			needed_err = -ENOENT;
	is_eq(err, needed_err, "without %s: %s", what,
	      needed_err ? "the load fails, because what it needs is not exported" : "it can be loaded");
	if (!err) {
		read_tables();
		for (int i = 0; i < nr_symbols; i++)
			if (strcmp(symbols[i].state, "not-in-this-kernel"))
				wrong += kernel_exports(symbols[i].name) != !strcmp(symbols[i].state, "found");
		is_eq(wrong, 0, "without %s: just what the kernel exports is found", what);
		lists = row(symbols, nr_symbols, "follow_page");
		if (lists && !strcmp(lists->state, "missing"))
			lose_lists(what);
		else
			lose_nothing(what);
		unload(what);
	}
	is_eq(mr_traces(), 0, "without %s: nothing is left of it", what);
}

static void check_no_oom_hook(void)
{
	const char *what = "mark_victim,queue_oom_reaper";

	is_eq(load_failing(what), 0, "without %s: it can be loaded", what);
	/* The OOM killer kills by SIGKILL as well. */
	lose_nothing(what);
	unload(what);
}

/* One hook is left. */
static void check_one_hook(void)
{
	static const char *const others[] = { "mark_victim,signal_generate", "queue_oom_reaper,signal_generate" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		is_eq(load_failing(others[i]), 0, "without %s: it can be loaded", others[i]);
		lose_kill(others[i]);
		unload(others[i]);
	}
}

/* ---- turned off by the administrator ---- */

static struct mr_row *hook_row(const char *target)
{
	struct mr_row *found;

	read_tables();
	found = row(hooks, nr_hooks, target);
	if (!found)
		bail("no hook of %s", target);
	return found;
}

static bool hook_is(const char *target, const char *state)
{
	struct mr_row *hook = hook_row(target);

	if (!strcmp(hook->state, state))
		return true;
	diag("%s: %s instead of %s", target, hook->state, state);
	return false;
}

/* The hooks that are seen to be off, and why, while everything else goes on. */
static void disarmed(const char *what, const char *why)
{
	long hits = hook_row("queue_oom_reaper")->hits;

	ok(hook_is("queue_oom_reaper", "disarmed") && hook_is("oom_kill_process", "disarmed"),
	   "without %s: the table says that these hooks are disarmed", what);
	ok(strstr(hook_row("oom_kill_process")->loss, why), "without %s: and why", what);
	ok(hook_is("mark_victim", "active") && hook_is("signal_generate", "active"),
	   "without %s: tracepoints are still active", what);
	lose_nothing(what);
	is_eq(hook_row("queue_oom_reaper")->hits, hits, "without %s: the kprobe is not hit", what);
}

static void armed(const char *what)
{
	long hits = hook_row("queue_oom_reaper")->hits;

	ok(hook_is("queue_oom_reaper", "active") && hook_is("oom_kill_process", "active"), "%s on again: they are active", what);
	ok(!strstr(hook_row("oom_kill_process")->loss, "; why: "), "%s on again: for no reason", what);
	lose_nothing("nothing");
	is_eq(hook_row("queue_oom_reaper")->hits, hits + 1, "%s on again: the kprobe is hit", what);
}

static void check_kprobes_off(void)
{
	const char *what = "kprobes";
	char state[128];

	if (file_set(KPROBES_SWITCH, "0")) {
		skip("the kernel has no switch for kprobes", "without %s", what);
		return;
	}
	is_eq(load_failing(""), 0, "without %s: it can be loaded", what);
	ok(log_find("memrescue: hook oom_queued (queue_oom_reaper) is disarmed: kprobes are turned off"),
	   "without %s: the log says what is not called, and why", what);
	disarmed(what, "; why: kprobes are turned off");
	ok(hook_is("__alloc_pages_slowpath", "refuted") &&
	   strstr(hook_row("__alloc_pages_slowpath")->loss, "; why: it could not be tested while kprobes were turned off"),
	   "without %s: what has to be tested first is off", what);
	unload(what);
	is_eq(load_failing(""), 0, "without %s: it can be loaded again", what);
	file_write(KPROBES_SWITCH, "1");
	armed(what);
	ok(!file_set(MR "pool/rescue_dying", "1") && hook_is("__alloc_pages_slowpath", "active"),
	   "%s on again: what has to be tested is active when it is asked for", what);
	file_write(KPROBES_SWITCH, "0");
	disarmed(what, "; why: kprobes are turned off");
	ok(file_read(MR "pool/rescue_state", state, sizeof(state)) > 0 && !strncmp(state, "off: kprobes are turned off", 27),
	   "without %s: nobody is rescued, and rescue_state says why", what);
	file_write(KPROBES_SWITCH, "1");
	unload("nothing");
}

static void check_ftrace_off(void)
{
	const char *what = "ftrace";

	if (file_set(FTRACE_SWITCH, "0")) {
		skip("the kernel has no switch for ftrace", "without %s", what);
		return;
	}
	is_eq(load_failing(""), 0, "without %s: it can be loaded", what);
	ok(log_find("memrescue: hook oom_queued (queue_oom_reaper) is disarmed: ftrace is turned off"),
	   "without %s: the log says what is not called, and why", what);
	disarmed(what, "; why: ftrace is turned off");
	unload(what);
	is_eq(load_failing(""), 0, "without %s: it can be loaded again", what);
	file_write(FTRACE_SWITCH, "1");
	armed(what);
	unload("nothing");
}

int main(void)
{
	if (module_loaded("memrescue") && mr_unload())
		bail("memrescue cannot be unloaded");
	if (!file_exists(MEMRESCUE_DEBUG_KO))
		bail("there is no " MEMRESCUE_DEBUG_KO);
	cg = cg_new("loadfail");
	check_complete();
	check_each();
	check_lookup("kallsyms_lookup_name");
	/* As on a kernel without kprobes. */
	check_lookup("kallsyms_lookup_name,queue_oom_reaper,oom_kill_process,__alloc_pages_slowpath");
	check_no_oom_hook();
	check_one_hook();
	check_kprobes_off();
	check_ftrace_off();
	return done();
}
