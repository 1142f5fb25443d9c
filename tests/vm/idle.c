// SPDX-License-Identifier: GPL-2.0
/*
 * On a machine that is not in trouble no hook fires: the counters of all hooks
 * stand still while processes fork, execute, fault, map, do I/O, send signals
 * and end. No function is traced but those that have memrescue's kprobes.
 */
#include "load.h"

#define LOOPS	(machine_slowness() > 1 ? 50 : 200)

static void child(const char *self)
{
	char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pattern_fill(p, MIB, PATTERN_KEY);
	mprotect(p, MIB, PROT_READ);
	munmap(p, MIB);
	file_write("/tmp/idle", "%0*d", (int)PAGE, 0);
	execl(self, self, "executed", NULL);
	_exit(1);
}

static int one_loop(const char *self)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		child(self);
	/* A signal that does not kill, and one that does (but is not SIGKILL). */
	kill(pid, SIGCONT);
	if (waitpid(pid, &status, 0) != pid)
		return 0;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
}

/* ---- the slow path, whose hook counts only what it serves: a kprobe of the helper's sees every call ---- */

static void unwatch(void)
{
	ioctl(mrt(), MRT_SLOWPATH_WATCH, 0UL);
}

static void watch(void)
{
	at_end(END_SCENARIO, unwatch);
	if (ioctl(mrt(), MRT_SLOWPATH_WATCH, 1UL))
		bail("the slow path of the page allocator cannot be watched: %s", strerror(errno));
}

static long slowpath_calls(void)
{
	return ioctl(mrt(), MRT_SLOWPATH_CALLS, 0UL);
}

static long direct_reclaims(void)
{
	static const char *const zones[] = { "dma", "dma32", "normal", "movable" };
	char key[32];
	long n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		snprintf(key, sizeof(key), "allocstall_%s", zones[i]);
		n += file_key("/proc/vmstat", key);
	}
	return n;
}

/* When its hook is attached, memrescue tests it by such calls. */
static void check_watch(void)
{
	long calls = slowpath_calls();

	file_write(MR "pool/rescue_dying", "0");
	file_write(MR "pool/rescue_dying", "1");
	is_ge(slowpath_calls(), calls + 1, "and one that is made is seen");
}

/* The functions that call a tracer are listed from the start of a line. */
static void check_traced(void)
{
	char line[512];
	int kprobed = 0, others = 0;
	FILE *f = fopen(TRACEFS "enabled_functions", "re");

	if (!f) {
		skip("the kernel has no list of traced functions", "no function is traced but the OOM killer's, and do_exit()");
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == ' ' || line[0] == '\t' || line[0] == '\n')
			continue;
		if (!strncmp(line, "queue_oom_reaper ", 17) || !strncmp(line, "oom_kill_process ", 17) ||
		    !strncmp(line, "do_exit ", 8)) {
			kprobed++;
			continue;
		}
		diag("traced: %s", line);
		others++;
	}
	fclose(f);
	is_eq(others, 0, "no function is traced but the OOM killer's, and do_exit()");
	is_le(kprobed, 3, "and those once each");
}

/* No kprobe but those that the table shows: one line each, with the address first. */
static void check_kprobes(const struct mr_row *rows, int n)
{
	char line[512];
	int expected = 0, found = 0;
	FILE *f = fopen(DEBUGFS "kprobes/list", "re");

	if (!f) {
		skip("the kernel has no list of kprobes", "no function has a kprobe but those of the table");
		return;
	}
	for (int i = 0; i < n; i++)
		expected += strcmp(rows[i].kind, "tracepoint") && !strcmp(rows[i].state, "active");
	while (fgets(line, sizeof(line), f)) {
		diag("%s", line);
		found++;
	}
	fclose(f);
	is_eq(found, expected, "no function has a kprobe but those of the table");
}

int main(int argc, char **argv)
{
	struct mr_row before[16], after[16];
	int n, m, loops = 0;
	long calls, reclaims;

	if (argc > 1 && !strcmp(argv[1], "executed")) {
		signal(SIGTERM, SIG_DFL);
		kill(getpid(), SIGTERM);
		_exit(1);
	}
	ok(mr_loaded(), "memrescue is there");
	mr_wait_idle();
	watch();
	calls = slowpath_calls();
	reclaims = direct_reclaims();
	n = mr_hooks(before, ARRAY_SIZE(before));
	is_ge(n, 3, "the table of hooks has rows");
	for (int i = 0; i < LOOPS; i++)
		loops += one_loop("/proc/self/exe");
	unlink("/tmp/idle");
	is_eq(loops, LOOPS, "%d processes were forked, executed and ended by SIGTERM", LOOPS);
	m = mr_hooks(after, ARRAY_SIZE(after));
	is_eq(m, n, "the table still has as many");
	for (int i = 0; i < n && i < m; i++) {
		bool wanted = strcmp(after[i].part, "atomic") && strcmp(after[i].part, "lifeline");

		ok(!strcmp(after[i].state, wanted ? "active" : "off"),
		   "hook %s is active, or off as long as nobody wants it", after[i].name);
		/* A fatal signal is one. */
		if (!strcmp(after[i].name, "sigkill"))
			is_le(after[i].hits - before[i].hits, LOOPS, "hook %s: no more hits than fatal signals",
			      after[i].name);
		else
			is_eq(after[i].hits, before[i].hits, "hook %s: no hit", after[i].name);
		is_eq(after[i].missed, before[i].missed, "hook %s: nothing missed", after[i].name);
	}
	is_eq(slowpath_calls(), calls, "no allocation came to the slow path");
	is_eq(direct_reclaims(), reclaims, "nor did any reclaim");
	check_watch();
	unwatch();
	check_traced();
	check_kprobes(after, m);
	/* That they would count is shown by one victim. */
	ok(later_victim_taken(), "a victim is taken");
	n = 0;
	mr_hooks(after, ARRAY_SIZE(after));
	for (int i = 0; i < m; i++)
		n += after[i].hits > before[i].hits;
	is_ge(n, 1, "and that is a hit");
	return done();
}
