// SPDX-License-Identifier: GPL-2.0
/*
 * Lifelines whose cgroup is removed and made anew, as a service's is when it is
 * restarted: the path stays in the list, the new cgroup is found, and the old one
 * is let go.
 */
#include "load.h"

#include "rescue.h"

#define ROUNDS		100
#define UNLOADS		5
#define GROUPS		4
#define CGROOT		"/sys/fs/cgroup"

/* The line of a path in "lifelines": 1: alive, 0: gone, -1: none. */
static int line_of(const char *path)
{
	char text[4096], gone[256], *line, *at;

	snprintf(gone, sizeof(gone), "%s (gone)", path);
	file_read(MR_POOL "lifelines", text, sizeof(text));
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		if (!strcmp(line, path))
			return 1;
		if (!strcmp(line, gone))
			return 0;
	}
	return -1;
}

static bool becomes(const char *path, int state)
{
	return WAIT_UNTIL(line_of(path) == state, PATIENCE_MS);
}

/* Without the checks of cg_new() and the patience of cg_remove(). */
static int make(const char *path)
{
	char dir[256];

	snprintf(dir, sizeof(dir), CGROOT "%s", path);
	return mkdir(dir, 0755) ? -errno : 0;
}

static int unmake(const char *path)
{
	char dir[256];

	snprintf(dir, sizeof(dir), CGROOT "%s", path);
	return rmdir(dir) ? -errno : 0;
}

static bool unmake_soon(const char *path)
{
	return WAIT_UNTIL(!unmake(path), PATIENCE_MS);
}

static int list_set(const char *fmt, const char *path)
{
	char line[256];

	snprintf(line, sizeof(line), fmt, path);
	return pool_set("lifelines", "%s", line);
}

static void states(void)
{
	char text[4096];

	ok(row_is("cgroup_made", "off") && row_is("cgroup_removed", "off"), "no lifeline: the hooks of cgroups are off");
	make("/mr-a");
	is_eq(list_set("+%s", "//mr-a//"), 0, "a cgroup becomes one, with slashes too many");
	ok(row_is("cgroup_made", "active") && row_is("cgroup_removed", "active"), "then the hooks are attached");
	is_eq(line_of("/mr-a"), 1, "it is shown as it is");
	unmake("/mr-a");
	is_eq(line_of("/mr-a"), 0, "removed: it is shown as gone");
	file_read(MR_POOL "lifelines", text, sizeof(text));
	ok(!strcmp(text, "/mr-a (gone)"), "removed: in one line");
	is_eq(list_set("+%s", "/mr-a"), -ENOENT, "removed: there is nothing to name");
	is_ge(client_column("lifeline", QUOTA), 1, "removed: the share stays");
	make("/mr-a");
	ok(becomes("/mr-a", 1), "made anew: it is found");
	is_eq(list_set("+%s", "/mr-a"), 0, "made anew: it may be named again");
	is_eq(list_set("+%s", "/mr-a"), -EEXIST, "made anew: once");
	is_ge(hook_hits("cgroup_made"), 1, "made anew: the hook has seen it");
	is_ge(hook_hits("cgroup_removed"), 1, "removed: the hook has seen it");
	unmake("/mr-a");
	make("/mr-a");
	is_eq(list_set("+%s", "/mr-a"), 0, "made anew in no time: it may be named again, whether or not it has been found");
	unmake("/mr-a");
	is_eq(list_set("-%s", "/mr-a/"), 0, "gone: it can be taken from the list");
	is_eq(line_of("/mr-a"), -1, "gone: which is empty then");
	ok(row_is("cgroup_made", "off") && row_is("cgroup_removed", "off"), "no lifeline any more: the hooks are off");
	is_eq(client_column("lifeline", QUOTA), 0, "no lifeline any more: no share");
	make("/mr-a");
	is_eq(line_of("/mr-a"), -1, "no lifeline any more: it is not found again");
	unmake("/mr-a");
}

static bool is_rescued(struct cgroup *cg)
{
	struct mrt_alloc how = { .kind = MRT_GFP_USER, .nr = 8 };
	long before = rescued("lifeline", SERVED);

	alloc_in_child(cg, &how);
	return how.got == 8 && rescued("lifeline", SERVED) - before >= 8;
}

static long dying_cgroups(void)
{
	return file_key(CGROOT "/cgroup.stat", "nr_dying_descendants");
}

/* The same cgroup again and again, as a service that is restarted. */
static void restarts(void)
{
	struct cgroup *cg = cg_new("svc");
	long lost = 0, unserved = 0, before = dying_cgroups();

	lifeline_set('+', cg);
	pool_set("lifeline_rate_pages", "1048576");
	share_is_filled(pool_get("lifeline_pages"), "restarts");
	press(85);
	for (int i = 0; i < ROUNDS && !lost; i++) {
		if (!cg_remove(cg))
			bail("the cgroup cannot be removed");
		cg = cg_new("svc");
		lost += !becomes("/mr-svc", 1);
		unserved += !is_rescued(cg);
	}
	release();
	is_eq(lost, 0, "restarts: it is found each time");
	is_eq(unserved, 0, "restarts: and its task is rescued each time");
	cg_remove(cg);
	is_eq(line_of("/mr-svc"), 0, "restarts: in the end it is gone");
	ok(WAIT_UNTIL(dying_cgroups() <= before, PATIENCE_MS), "restarts: the kernel has none of the old ones any more");
	diag("dying cgroups: %ld before, %ld now", before, dying_cgroups());
	pool_set("lifeline_rate_pages", "8192");
	list_set("-%s", "/mr-svc");
}

static void nested(void)
{
	make("/mr-out");
	make("/mr-out/in");
	make("/mr-out/in/most");
	list_set("%s", "/mr-out/in/most");
	list_set("%s", "/mr-out");
	for (int i = 0; i < 3; i++) {
		unmake_soon("/mr-out/in/most");
		unmake_soon("/mr-out/in");
		ok(becomes("/mr-out/in/most", 0) && line_of("/mr-out") == 1, "nested: the inner one is gone, the outer one is not");
		unmake_soon("/mr-out");
		ok(becomes("/mr-out", 0), "nested: both are gone");
		make("/mr-out");
		ok(becomes("/mr-out", 1) && line_of("/mr-out/in/most") == 0, "nested: the outer one is there");
		make("/mr-out/in");
		make("/mr-out/in/most");
		ok(becomes("/mr-out/in/most", 1), "nested: both are there");
	}
	/* A name that begins alike, or lies elsewhere, is another one. */
	make("/mr-outer");
	make("/mr-outer/mr-out");
	is_eq(line_of("/mr-outer"), -1, "nested: others are none");
	unmake_soon("/mr-outer/mr-out");
	unmake_soon("/mr-outer");
	list_set("-%s", "/mr-out/in/most");
	list_set("-%s", "/mr-out");
	unmake_soon("/mr-out/in/most");
	unmake_soon("/mr-out/in");
	unmake_soon("/mr-out");
}

static void quick(void)
{
	struct cgroup *cg = cg_new("quick");
	long wrong = 0;

	lifeline_set('+', cg);
	share_is_filled(pool_get("lifeline_pages"), "quick");
	for (int i = 0; i < 500; i++)
		wrong += unmake("/mr-quick") || make("/mr-quick");
	is_eq(wrong, 0, "quick: 500 times without a pause");
	ok(becomes("/mr-quick", 1), "quick: the last one is found");
	press(85);
	/* It may be alive in the list, and the hook not yet be done with it. */
	ok(WAIT_UNTIL(is_rescued(cg), PATIENCE_MS), "quick: and rescued");
	release();
	list_set("-%s", "/mr-quick");
	cg_remove(cg);
}

/* What a task writes whose cgroup namespace has another root. */
static int write_in_namespace(const char *line)
{
	pid_t pid = fork();
	int status = 0;

	if (pid) {
		waitpid(pid, &status, 0);
		return -WEXITSTATUS(status);
	}
	if (file_write(CGROOT "/mr-ns/cgroup.procs", "0") || unshare(CLONE_NEWCGROUP))
		_exit(200);
	_exit(-file_write(MR_POOL "lifelines", "%s", line));
}

static void namespaces(void)
{
	make("/mr-ns");
	make("/mr-ns/sub");
	is_eq(write_in_namespace("+/mr-ns/sub"), 0, "namespace: a path is that of the hierarchy");
	is_eq(line_of("/mr-ns/sub"), 1, "namespace: as the list shows it");
	is_eq(write_in_namespace("+/sub"), -ENOENT, "namespace: and not that of the writer's namespace");
	unmake_soon("/mr-ns/sub");
	make("/mr-ns/sub");
	ok(becomes("/mr-ns/sub", 1), "namespace: it is found again");
	is_eq(write_in_namespace("-/mr-ns/sub"), 0, "namespace: it can be taken from the list");
	unmake_soon("/mr-ns/sub");
	unmake_soon("/mr-ns");
}

/* ---- everything at once ---- */

static pid_t start_process(void (*run)(int nr), int nr)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		run(nr);
}

static void churn(int nr)
{
	char path[64];

	snprintf(path, sizeof(path), "/mr-churn%d", nr);
	make(path);
	unmake(path);
}

static void name(int nr)
{
	char path[64];

	snprintf(path, sizeof(path), "/mr-churn%d", nr);
	list_set("+%s", path);
	list_set("-%s", path);
}

static void look(int nr)
{
	char text[4096];

	(void)nr;
	file_read(MR_POOL "lifelines", text, sizeof(text));
	file_read(MR "hooks", text, sizeof(text));
}

static void stop_all(pid_t *pids, int n)
{
	for (int i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static void unmake_all(void)
{
	for (int i = 0; i < GROUPS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mr-churn%d", i);
		list_set("-%s", path);
		unmake(path);
	}
}

static void races(void)
{
	pid_t pids[2 * GROUPS + 1];
	long before = dying_cgroups();
	char text[4096];

	for (int i = 0; i < GROUPS; i++) {
		pids[2 * i] = start_process(churn, i);
		pids[2 * i + 1] = start_process(name, i);
	}
	pids[2 * GROUPS] = start_process(look, 0);
	sleep_ms(5000);
	stop_all(pids, ARRAY_SIZE(pids));
	unmake_all();
	file_read(MR_POOL "lifelines", text, sizeof(text));
	ok(!text[0], "races: in the end the list is empty");
	ok(WAIT_UNTIL(dying_cgroups() <= before, PATIENCE_MS), "races: and the kernel has none of the cgroups any more");
	diag("dying cgroups: %ld before, %ld now", before, dying_cgroups());
}

static void name_all(void)
{
	for (int i = 0; i < GROUPS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mr-churn%d", i);
		WAIT_UNTIL(!list_set("+%s", path), PATIENCE_MS);
	}
}

static void unloads(void)
{
	long before = dying_cgroups(), wrong = 0, unseen = 0;
	pid_t pids[GROUPS];

	for (int i = 0; i < GROUPS; i++)
		pids[i] = start_process(churn, i);
	for (int i = 0; i < UNLOADS; i++) {
		wrong += !!mr_unload() || !!load_module(MEMRESCUE_KO, "");
		name_all();
		unseen += !WAIT_UNTIL(hook_hits("cgroup_made") >= 10, PATIENCE_MS);
	}
	is_eq(wrong, 0, "unload: again and again while lifelines come and go");
	is_eq(unseen, 0, "unload: and they are seen again each time");
	stop_all(pids, GROUPS);
	unmake_all();
	ok(WAIT_UNTIL(dying_cgroups() <= before, PATIENCE_MS), "unload: the kernel has none of them any more");
	diag("dying cgroups: %ld before, %ld now", before, dying_cgroups());
}

/* ---- without the hooks ---- */

static void load_other(const char *ko, const char *params)
{
	if (mr_unload() || load_module(ko, params))
		bail("%s cannot be loaded", ko);
}

static void polled(const char *target, const char *row)
{
	char params[64];
	long before;

	snprintf(params, sizeof(params), "fail=%s", target);
	load_other(MEMRESCUE_DEBUG_KO, params);
	before = dying_cgroups();
	make("/mr-poll");
	is_eq(list_set("%s", "/mr-poll"), 0, "no %s: a cgroup becomes a lifeline", target);
	ok(row_is(row, "failed(-2)"), "no %s: the table of hooks says so", target);
	unmake("/mr-poll");
	ok(becomes("/mr-poll", 0), "no %s: it is gone", target);
	ok(WAIT_UNTIL(dying_cgroups() <= before, PATIENCE_MS), "no %s: and let go", target);
	make("/mr-poll");
	ok(becomes("/mr-poll", 1), "no %s: it is found again", target);
	is_eq(list_set("-%s", "/mr-poll"), 0, "no %s: it can be taken from the list", target);
	unmake("/mr-poll");
}

static void (*const parts[])(void) = { states, restarts, nested, quick, namespaces, races, unloads };

int main(void)
{
	long long begin = now_us();

	mrt();
	log_mark();
	/* Mounts the hierarchy; and there always is one, so that it is in use. */
	cg_new("other");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		parts[i]();
		diag("%lld ms", (now_us() - begin) / 1000);
	}
	polled("cgroup_mkdir", "cgroup_made");
	polled("cgroup_rmdir", "cgroup_removed");
	load_other(MEMRESCUE_KO, "");
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
