// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that are rescued without asking: those that die, those in lifelines, and
 * atomic allocations that fail; and nobody else. Marks that are higher than what
 * is free send every allocation to the allocator's slow path. With the argument
 * "numa" (boot with numa=fake=2): only pages of the nodes that a task may use.
 */
#include "load.h"

#include "rescue.h"

/* ---- one task at a time ---- */

static const struct {
	const char *name;
	unsigned int kind;
} kinds[] = {
	{ "GFP_KERNEL", MRT_GFP_KERNEL }, { "zeroed", MRT_GFP_ZERO }, { "user", MRT_GFP_USER },
	{ "accounted", MRT_GFP_ACCOUNT }, { "frozen", MRT_GFP_FROZEN },
};

static void dying(void)
{
	struct cgroup *cg = cg_new("dying");

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct mrt_alloc how = { .kind = kinds[i].kind, .nr = 16, .flags = MRT_ALLOC_WHEN_KILLED };
		char name[64];
		long before;

		if (how.kind == MRT_GFP_FROZEN && !kernel_exports("__alloc_frozen_pages_noprof"))
			continue;
		snprintf(name, sizeof(name), "dying, %s", kinds[i].name);
		dirty_pool();
		ok(WAIT_UNTIL(pool_is_full(), PATIENCE_MS), "%s: the pool is full", name);
		before = rescued("dying", SERVED);
		alloc_in_child(cg, &how);
		check_pages(&how, 16, name);
		is_ge(rescued("dying", SERVED) - before, 16, "%s: all of them are the pool's", name);
	}
	cg_remove(cg);
}

/* None of these may be served, whoever it is. */
static void dying_others(void)
{
	static const struct { const char *name; unsigned int kind; } others[] = {
		{ "read-ahead", MRT_GFP_READAHEAD }, { "one node only", MRT_GFP_THISNODE }, { "two pages", MRT_GFP_PAIR },
		{ "that must not wait", MRT_GFP_ATOMIC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct mrt_alloc how = { .kind = others[i].kind, .nr = 200, .flags = MRT_ALLOC_WHEN_KILLED };
		long before = rescued("dying", SERVED) + rescued("dying", MISSED);

		alloc_in_child(NULL, &how);
		ok(how.done && !how.wrong_state && !how.wrong_refs, "dying, %s: the task is done", others[i].name);
		/* A few of other kinds, while it exits. */
		is_le(rescued("dying", SERVED) + rescued("dying", MISSED) - before, 50, "dying, %s: is not served",
		      others[i].name);
	}
}

static void plain(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 500 };
	long before = rescued_all(SERVED), hits = hook_hits("slowpath");

	alloc_in_child(NULL, &how);
	check_pages(&how, 500, "plain");
	is_eq(rescued_all(SERVED) - before, 0, "plain: none of them is the pool's");
	is_eq(hook_hits("slowpath") - hits, 0, "plain: as the table of hooks says");
	diag("500 slow allocations with the hook: %llu us", (unsigned long long)how.all_us);
}

static void off(void)
{
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 16, .flags = MRT_ALLOC_WHEN_KILLED };
	long before = rescued_all(SERVED);
	struct cgroup *cg;

	is_eq(pool_set("rescue_dying", "0"), 0, "off: rescue_dying can be turned off");
	ok(state_is("off") && row_is("slowpath", "off") && row_is("reclaim_check", "off"), "off: the hooks are detached");
	alloc_in_child(NULL, &how);
	check_pages(&how, 16, "off");
	is_eq(rescued_all(SERVED) - before, 0, "off: none of them is the pool's");
	how = (struct mrt_alloc){ .kind = MRT_GFP_ZERO, .nr = 500 };
	alloc_in_child(NULL, &how);
	diag("500 slow allocations without the hook: %llu us", (unsigned long long)how.all_us);
	is_eq(pool_set("rescue_dying", "1"), 0, "off: and on");
	ok(state_is("active") && row_is("slowpath", "active"), "off: and the hooks are attached again");
	cg = cg_new("off");
	is_eq(pool_toggle_in(cg, "rescue_dying"), 0, "off: and again, by a process whose allocations are charged to a cgroup");
	ok(state_is("active"), "off: what it does is tested as well");
	cg_remove(cg);
}

/* ---- one among many ---- */

static void among_many(void)
{
	const char *name = "one of 200";
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 16, .flags = MRT_ALLOC_WHEN_KILLED };
	struct mrt_alloc *many = shared_memory(200 * sizeof(*many));
	pid_t pids[200];
	long before, wrong = 0;

	release();
	for (int i = 0; i < 200; i++) {
		many[i] = (struct mrt_alloc){ .kind = MRT_GFP_ZERO, .nr = 50, .flags = MRT_ALLOC_PAUSE };
		pids[i] = start_child(NULL, &many[i], true);
	}
	press(85);
	ok(WAIT_UNTIL(pool_is_full(), PATIENCE_MS), "%s: the pool is full", name);
	before = rescued_all(SERVED);
	for (int i = 0; i < 200; i++)
		kill(pids[i], SIGCONT);
	alloc_in_child(NULL, &how);
	check_pages(&how, 16, name);
	for (int i = 0; i < 200; i++) {
		waitpid(pids[i], NULL, 0);
		wrong += many[i].got != 50 || many[i].wrong_contents || many[i].wrong_state || many[i].wrong_refs;
	}
	is_eq(wrong, 0, "%s: the others got theirs", name);
	is_ge(rescued_all(SERVED) - before, 16, "%s: its pages are the pool's", name);
	is_le(rescued_all(SERVED) - before, 16 + 30, "%s: and only its own", name);
	munmap(many, 200 * sizeof(*many));
}

/* ---- lifelines ---- */

static void lifeline_served(struct cgroup *cg, unsigned int kind, const char *name)
{
	struct mrt_alloc how = { .kind = kind, .nr = 512, .hold_ms = 600000 };
	long before = rescued("lifeline", SERVED), others = rescued_all(SERVED) - before, kib = cg_kib(cg);
	struct mrt_alloc *now = shared_memory(sizeof(*now));
	pid_t pid;

	*now = how;
	pid = start_child(cg, now, false);
	ok(WAIT_UNTIL(now->held, PATIENCE_MS), "%s: the task has its pages", name);
	/* Each CPU may have had 64 pages that were charged in advance. */
	if (kind == MRT_GFP_ACCOUNT)
		is_ge(cg_kib(cg) - kib, (512 - 64 * sysconf(_SC_NPROCESSORS_ONLN)) * 4, "%s: its cgroup is charged for them", name);
	is_ge(rescued("lifeline", SERVED) - before, 512, "%s: they are the pool's", name);
	is_eq(rescued_all(SERVED) - rescued("lifeline", SERVED) - others, 0, "%s: of no other class", name);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check_pages(now, 512, name);
	ok(cg_wait_below(cg, kib + 512, PATIENCE_MS), "%s: the charge is gone with them", name);
	munmap(now, sizeof(*now));
}

static void lifelines(void)
{
	struct cgroup *cg = cg_new("life"), *other = cg_new("other");
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 500 };
	struct cgroup sub;
	long before;

	snprintf(sub.path, sizeof(sub.path), "%.100s/sub", cg->path);
	if (mkdir(sub.path, 0755))
		bail("%s: %s", sub.path, strerror(errno));
	is_eq(lifeline_set('+', cg), 0, "lifeline: a cgroup can be one");
	pool_set("lifeline_rate_pages", "1048576");
	share_is_filled(pool_get("lifeline_pages"), "lifeline");
	lifeline_served(cg, MRT_GFP_USER, "lifeline");
	share_is_filled(pool_get("lifeline_pages"), "lifeline, again");
	lifeline_served(cg, MRT_GFP_ACCOUNT, "lifeline, accounted");
	share_is_filled(pool_get("lifeline_pages"), "lifeline, again");
	lifeline_served(&sub, MRT_GFP_KERNEL, "cgroup below a lifeline");
	before = rescued_all(SERVED);
	alloc_in_child(other, &how);
	check_pages(&how, 500, "cgroup beside a lifeline");
	is_eq(rescued_all(SERVED) - before, 0, "cgroup beside a lifeline: is not served");
	is_eq(lifeline_set('-', cg), 0, "lifeline: it can be removed");
	is_eq(client_column("lifeline", QUOTA), 0, "lifeline: then there is no share");
	how = (struct mrt_alloc){ .kind = MRT_GFP_ZERO, .nr = 500 };
	alloc_in_child(cg, &how);
	is_eq(rescued_all(SERVED) - before, 0, "lifeline: and its tasks are not served");
	rmdir(sub.path);
	cg_remove(cg);
	cg_remove(other);
}

static void bounds(void)
{
	struct cgroup *cg = cg_new("bounds");
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 2000 };
	long served = rescued("lifeline", SERVED), limited = rescued("lifeline", LIMITED), dying, gets;
	long long begin = now_us();

	lifeline_set('+', cg);
	share_is_filled(pool_get("lifeline_pages"), "rate");
	is_eq(pool_set("lifeline_rate_pages", "100"), 0, "rate: it can be set");
	begin = now_us();
	alloc_in_child(cg, &how);
	served = rescued("lifeline", SERVED) - served;
	/* Ten in each tenth of a second that has begun. */
	is_le(served, 10 * ((now_us() - begin) / 100000 + 2), "rate: no more than it are served");
	is_ge(served, 10, "rate: but some");
	is_ge(rescued("lifeline", LIMITED) - limited, 2000 - served, "rate: the others are counted");
	check_pages(&how, 2000, "rate");
	pool_set("lifeline_rate_pages", "1048576");
	is_eq(pool_set("lifeline_pages", "16"), 0, "share: it can be made smaller");
	share_is_filled(16, "share");
	ok(WAIT_UNTIL(pool_is_full() && pool_adds_up(), PATIENCE_MS), "share: nothing else changes");
	gets = client_column("rescue", GETS);
	dying = rescued("dying", SERVED);
	served = rescued("lifeline", SERVED) + rescued("lifeline", MISSED);
	how = (struct mrt_alloc){ .kind = MRT_GFP_ZERO, .nr = 2000 };
	alloc_in_child(cg, &how);
	check_pages(&how, 2000, "share");
	is_ge(rescued("lifeline", SERVED) + rescued("lifeline", MISSED) - served, 2000, "share: all of them asked for it");
	is_eq(client_column("rescue", GETS) - gets - rescued("dying", SERVED) + dying, 0, "share: nobody else's was touched");
	is_eq(client_column("lifeline", GETS), rescued("lifeline", SERVED) + 2 * rescued("lifeline-pair", SERVED), "share: the table of clients agrees");
	is_eq(pool_set("lifeline_pages", "1024"), 0, "share: it can be made larger");
	pool_set("lifeline_rate_pages", "8192");
	lifeline_set('-', cg);
	cg_remove(cg);
}

static void removed(void)
{
	struct cgroup *cg = cg_new("gone");
	char text[4096];

	lifeline_set('+', cg);
	cg_remove(cg);
	file_read(MR_POOL "lifelines", text, sizeof(text));
	ok(!strcmp(text, "/mr-gone (removed)"), "removed cgroup: is shown as such");
	cg = cg_new("gone");
	is_eq(lifeline_set('+', cg), 0, "removed cgroup: one of the same name takes its place");
	file_read(MR_POOL "lifelines", text, sizeof(text));
	ok(!strcmp(text, "/mr-gone"), "removed cgroup: and is there");
	cg_remove(cg);
	is_eq(pool_set("lifelines", "-/mr-gone"), 0, "removed cgroup: can be taken from the list");
	file_read(MR_POOL "lifelines", text, sizeof(text));
	ok(!text[0], "removed cgroup: which is empty then");
}

/* ---- knobs ---- */

static void bad_input(void)
{
	static const struct { const char *file, *value; int err; } bad[] = {
		{ "rescue_dying", "2", -EINVAL }, { "rescue_dying", "-1", -EINVAL }, { "rescue_dying", "x", -EINVAL },
		{ "rescue_atomic", "2", -EINVAL }, { "rescue_atomic", "yes", -EINVAL },
		{ "lifeline_pages", "0", -EINVAL }, { "lifeline_pages", "65537", -EINVAL }, { "lifeline_pages", "-5", -EINVAL },
		{ "lifeline_pages", "60000", -ENOSPC },
		{ "dying_rate_pages", "0", -EINVAL }, { "dying_rate_pages", "1048577", -EINVAL },
		{ "lifeline_rate_pages", "0", -EINVAL }, { "lifeline_rate_pages", "1048577", -EINVAL },
		{ "lifelines", "\n", -EINVAL }, { "lifelines", "mr-bad", -EINVAL }, { "lifelines", "+", -EINVAL },
		{ "lifelines", "/", -EINVAL }, { "lifelines", "/mr-none", -ENOENT }, { "lifelines", "+/mr-none", -ENOENT },
		{ "lifelines", "-/mr-none", -ENOENT }, { "lifelines", "-", -ENOENT },
		{ "lifelines", "/mr-bad", -EEXIST }, { "lifelines", "+/mr-bad/", -EEXIST },
		{ "lifelines", "/mr-bad/cgroup.procs", -ENOTDIR },
	};
	struct cgroup *cg = cg_new("bad"), *more[16];
	char name[300];
	int wrong = 0;

	lifeline_set('+', cg);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int err = pool_set(bad[i].file, "%s", bad[i].value);

		wrong += err != bad[i].err;
		if (err != bad[i].err)
			diag("%s: '%s' gives %d, not %d", bad[i].file, bad[i].value, err, bad[i].err);
	}
	is_eq(wrong, 0, "bad input: each gives its own error");
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	is_eq(file_write(MR_POOL "lifelines", "%s", name), -ENAMETOOLONG, "bad input: a path that is too long");
	wrong = 0;
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "more%d", i);
		more[i] = cg_new(name);
		wrong += lifeline_set('+', more[i]) != (i == 15 ? -ENOSPC : 0);
	}
	is_eq(wrong, 0, "bad input: there are 16 lifelines at most");
	for (int i = 0; i < 16; i++) {
		lifeline_set('-', more[i]);
		cg_remove(more[i]);
	}
	is_eq(lifeline_set('-', cg), 0, "bad input: the first one is still there");
	cg_remove(cg);
}

/* ---- atomic allocations ---- */

/* All but one: somebody may free a page when all are taken. If it is more, again: the kernel may have reclaimed just then. */
static bool atomic_served(struct mrt_alloc *how, unsigned int kind)
{
	long before = rescued("atomic", SERVED);

	*how = (struct mrt_alloc){ .kind = kind, .nr = 8, .flags = MRT_ALLOC_EXHAUSTED };
	dirty_pool();
	WAIT_UNTIL(pool_is_full(), PATIENCE_MS);
	alloc_in_child(NULL, how);
	diag("atomic, kind %u: %u taken before, then got %u; served %ld", kind, how->taken, how->got,
	     rescued("atomic", SERVED) - before);
	return rescued("atomic", SERVED) - before >= 7;
}

static void atomic(void)
{
	static const struct { unsigned int kind; const char *name; bool served; } list[] = {
		{ MRT_GFP_ATOMIC, "GFP_ATOMIC", true }, { MRT_GFP_ATOMIC_ZERO, "zeroed", true },
		{ MRT_GFP_ATOMIC_NOWARN, "with __GFP_NOWARN", false }, { MRT_GFP_NOWAIT, "GFP_NOWAIT", false },
	};
	long free_kib;
	pid_t eater;

	log_mark();
	is_eq(pool_set("rescue_atomic", "1"), 0, "atomic: it can be turned on");
	is_eq(log_count("page allocation failure"), 0, "atomic: its self-test does without a report of the kernel's");
	pool_set("rescue_atomic", "0");
	log_expect("page allocation failure: order:0");
	release();
	free_kib = meminfo_kib("MemFree");
	eater = eat_until_kib(160 * 1024);
	press(60);
	is_eq(pool_set("rescue_atomic", "1"), 0, "atomic: it can be turned on when there is little memory");
	ok(state_is("active") && row_is("slowpath_return", "active"), "atomic: the hook of the return is attached");
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		long before = rescued("atomic", SERVED);
		struct mrt_alloc how;

		if (list[i].served) {
			ok(WAIT_UNTIL(atomic_served(&how, list[i].kind), PATIENCE_MS), "atomic, %s: served from the pool",
			   list[i].name);
			check_pages(&how, 8, list[i].name);
		} else {
			atomic_served(&how, list[i].kind);
			ok(how.done && !how.wrong_refs, "atomic, %s: done", list[i].name);
			is_eq(rescued("atomic", SERVED) - before, 0, "atomic, %s: is not served", list[i].name);
		}
	}
	is_eq(pool_set("rescue_atomic", "0"), 0, "atomic: it can be turned off");
	ok(row_is("slowpath_return", "off"), "atomic: the hook is detached");
	kill_eater(eater);
	/* The marks of the next part are a part of what is free. */
	release();
	ok(wait_free_kib(free_kib * 9 / 10), "atomic: the memory is free again");
}

/* ---- what checks the hook ---- */

static void passive(void)
{
	struct mr_row row;

	if (!reclaim_small_zone()) {
		skip("the kernel has no small zone", "reclaim: compared");
		return;
	}
	row = hook_row("reclaim_check");
	is_ge(row.hits, 8, "reclaim: its arguments are compared");
	is_eq(row.missed, 0, "reclaim: and are the same");
	diag("%ld compared", row.hits);
}

static void load_debug(const char *fail)
{
	char params[128];

	snprintf(params, sizeof(params), "fail=%s", fail);
	if (mr_unload() || load_module(MEMRESCUE_DEBUG_KO, params))
		bail("%s cannot be loaded", MEMRESCUE_DEBUG_KO);
}

static void not_served(const char *name)
{
	struct mrt_alloc how = { .kind = MRT_GFP_ZERO, .nr = 50, .flags = MRT_ALLOC_WHEN_KILLED };

	alloc_in_child(NULL, &how);
	check_pages(&how, 50, name);
	is_eq(rescued_all(SERVED) + rescued_all(MISSED), 0, "%s: nobody is served", name);
	ok(row_is("sigkill", "active"), "%s: the reaper works as ever", name);
}

static void refuted(void)
{
	const char *name = "self-test fails";

	load_debug("slowpath-check");
	ok(state_is("off: the self-test was made to fail") && row_is("slowpath", "refuted"), "%s: the state says so", name);
	not_served(name);
	name = "no hook";
	load_debug("__alloc_pages_slowpath");
	ok(state_is("off: __alloc_pages_slowpath cannot be hooked (-2)") && row_is("slowpath", "failed(-2)"),
	   "%s: the state says so", name);
	not_served(name);
	name = "other arguments";
	load_debug("slowpath-passive");
	ok(state_is("active"), "%s: at first nobody knows", name);
	if (reclaim_small_zone()) {
		ok(WAIT_UNTIL(row_is("slowpath", "refuted"), PATIENCE_MS) && state_is("off: reclaim has other arguments"),
		   "%s: then it is seen, and the state says so", name);
		not_served(name);
		pool_set("rescue_dying", "1");
		ok(state_is("active") && row_is("slowpath", "active"), "%s: it can be tried again", name);
	} else {
		skip("the kernel has no small zone", "%s: then it is seen, and the state says so", name);
	}
	name = "return";
	load_debug("slowpath-return-check");
	is_eq(pool_set("rescue_atomic", "1"), 0, "%s: atomic rescue can be asked for", name);
	ok(row_is("slowpath_return", "refuted") && row_is("slowpath", "active"), "%s: only that is off", name);
	if (mr_unload() || load_module(MEMRESCUE_KO, ""))
		bail("%s cannot be loaded", MEMRESCUE_KO);
}

/* ---- a machine that thrashes ---- */

#define HOG_MIB	96

/* More than there is, again and again. */
static pid_t start_hog(void)
{
	size_t size = (meminfo_kib("MemFree") / 1024 + HOG_MIB) * MIB;
	pid_t pid = fork();

	if (pid) {
		WAIT_UNTIL(meminfo_kib("SwapTotal") - meminfo_kib("SwapFree") > HOG_MIB / 2 * 1024L, PATIENCE_MS);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	file_write("/proc/self/oom_score_adj", "1000");
	for (char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);;)
		for (size_t i = 0; p != MAP_FAILED && i < size; i += PAGE)
			p[i]++;
}

/* kswapd may be ahead of the hog for as long as a task takes: then nobody has to be served. */
static bool is_served(struct cgroup *cg, struct mrt_alloc *line)
{
	long before = rescued("lifeline", SERVED);

	*line = (struct mrt_alloc){ .kind = MRT_GFP_USER, .nr = 400 };
	alloc_in_child(cg, line);
	return rescued("lifeline", SERVED) > before;
}

/* That of the program of a lifeline, when it was paged out. */
static bool read_ahead_fails(struct cgroup *cg, struct mrt_alloc *line)
{
	long before = rescued("lifeline", FAILED);

	*line = (struct mrt_alloc){ .kind = MRT_GFP_READAHEAD, .nr = 400 };
	alloc_in_child(cg, line);
	return rescued("lifeline", FAILED) > before;
}

static void thrash(void)
{
	struct mrt_alloc plain = { .kind = MRT_GFP_USER, .nr = 400 }, line;
	struct cgroup *cg = cg_new("thrash");
	pid_t eater, hog;
	bool served;

	log_expect(ALLOCATION_STALL);
	release();
	if (!zram_swap(HOG_MIB * 2, NULL)) {
		skip("the kernel has no zram", "thrashing");
		return;
	}
	lifeline_set('+', cg);
	share_is_filled(pool_get("lifeline_pages"), "thrashing");
	eater = eat_until_kib(160 * 1024);
	hog = start_hog();
	alloc_in_child(NULL, &plain);
	served = WAIT_UNTIL(is_served(cg, &line), PATIENCE_MS);
	check_pages(&line, 400, "thrashing");
	diag("of 400 pages the worst and all, us: plain %u %llu, lifeline %u %llu", plain.worst_us,
	     (unsigned long long)plain.all_us, line.worst_us, (unsigned long long)line.all_us);
	ok(served, "thrashing: the lifeline's task is served");
	ok(WAIT_UNTIL(read_ahead_fails(cg, &line), PATIENCE_MS), "thrashing: its read-ahead fails at once");
	diag("read-ahead: got %u of 400, the worst and all, us: %u %llu", line.got, line.worst_us,
	     (unsigned long long)line.all_us);
	is_eq(waitpid(hog, NULL, WNOHANG), 0, "thrashing: all the while");
	kill_eater(hog);
	kill_eater(eater);
	lifeline_set('-', cg);
	cg_remove(cg);
}

/* ---- unload ---- */

#define LOOPING	4
#define ROUNDS	5

static void unload(void)
{
	struct cgroup *cg = cg_new("unload");
	struct mrt_alloc *how = shared_memory(LOOPING * sizeof(*how));
	long wrong = 0, idle = 0;
	pid_t pids[LOOPING];

	for (int i = 0; i < LOOPING; i++) {
		how[i] = (struct mrt_alloc){ .kind = MRT_GFP_ZERO, .nr = 20, .flags = MRT_ALLOC_PAUSE };
		pids[i] = start_looping(cg, &how[i]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		wrong += !!mr_unload() || !!load_module(MEMRESCUE_KO, "");
		wrong += !!lifeline_set('+', cg) || !!pool_set("rescue_atomic", "1");
		idle += !WAIT_UNTIL(rescued("lifeline", SERVED) > 20, PATIENCE_MS);
	}
	is_eq(wrong, 0, "unload: again and again while tasks are rescued");
	is_eq(idle, 0, "unload: and each time they are rescued again");
	for (int i = 0; i < LOOPING; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		wrong += how[i].wrong_contents || how[i].wrong_refs || how[i].wrong_state;
	}
	is_eq(wrong, 0, "unload: no page was wrong");
	pool_set("rescue_atomic", "0");
	lifeline_set('-', cg);
	cg_remove(cg);
	munmap(how, LOOPING * sizeof(*how));
}

/* ---- nodes ---- */

/* User pages: the kernel may take others from elsewhere. */
static long on_node(struct cgroup *cg, int node, const char *class, struct mrt_alloc how)
{
	long before = rescued(class, SERVED);
	char name[64];

	snprintf(name, sizeof(name), "node %d, %s", node, class);
	alloc_in_child(cg, &how);
	check_pages(&how, how.nr, name);
	is_eq(how.nodes, 1 << node, "%s: only from the node that it may use", name);
	diag("%s: %ld of %u the pool's", name, rescued(class, SERVED) - before, how.nr);
	return rescued(class, SERVED) - before;
}

static void nodes(void)
{
	struct mrt_alloc killed = { .kind = MRT_GFP_USER, .nr = 8, .flags = MRT_ALLOC_WHEN_KILLED };
	struct mrt_alloc line = { .kind = MRT_GFP_USER, .nr = 128 };
	struct cgroup *cg = cg_new("nodes");
	long dying = 0, served = 0;

	for (int node = 0; node < 2; node++) {
		/* Less than the lowest mark of its only node would be the end of a task. */
		press_node(node, 88);
		if (cg_set(cg, "cpuset.mems", "%d", node)) {
			skip("the kernel has no cpusets", "nodes");
			return;
		}
		dying += on_node(cg, node, "dying", killed);
		lifeline_set('+', cg);
		share_is_filled(pool_get("lifeline_pages"), "nodes");
		served += on_node(cg, node, "lifeline", line);
		lifeline_set('-', cg);
	}
	is_ge(dying, 8, "nodes: those that die are served");
	is_ge(served, 1, "nodes: so are lifelines");
	cg_remove(cg);
}

static void end(void)
{
	release();
	ok(WAIT_UNTIL(pool_adds_up(), PATIENCE_MS), "no page is lost");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
}

static void (*const parts[])(void) = {
	plain, dying, dying_others, off, lifelines, bounds, removed, bad_input, passive, among_many, atomic, refuted,
	unload, thrash,
};

int main(int argc, char **argv)
{
	long long begin = now_us();

	mrt();
	log_mark();
	ok(mr_loaded() && state_is("active"), "memrescue is there, and can rescue");
	if (argc > 1 && !strcmp(argv[1], "numa")) {
		nodes();
		end();
		return done();
	}
	is_eq(pool_set("lifelines", "/mr-x"), -EOPNOTSUPP, "lifelines: not without cgroups v2");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		press(85);
		parts[i]();
		diag("%lld ms", (now_us() - begin) / 1000);
	}
	end();
	return done();
}
