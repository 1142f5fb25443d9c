// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events: five of them, with the fields of a victim that the test
 * knows; as text, by the format that perf and bpftrace read, and counted by
 * perf events with filters on the fields.
 */
#include <linux/perf_event.h>
#include <sys/mount.h>

#include "lib.h"

#define TRACING		"/sys/kernel/tracing/"
#define VICTIM_MIB	40

enum { QUEUED, BEGIN, END, EXIT, STUCK, EVENTS };

static const char *const events[EVENTS] = {
	"victim_queued", "reap_begin", "reap_end", "victim_exit", "victim_stuck",
};

/* ---- as text ---- */

/* The first line of the file with both texts, or NULL. */
static const char *line_with(const char *file, const char *what, const char *who)
{
	static char line[1024];
	FILE *f = fopen(file, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, what) || !strstr(line, who))
			continue;
		fclose(f);
		return line;
	}
	if (f)
		fclose(f);
	return NULL;
}

/* The first line of the trace with this event of this process, from its fields on, or NULL. */
static const char *find_event(const char *event, pid_t pid)
{
	char what[64], who[32];
	const char *line;

	snprintf(what, sizeof(what), " %s: ", event);
	snprintf(who, sizeof(who), "pid=%d ", pid);
	line = line_with(TRACING "trace", what, who);
	return line ? strstr(line, what) + strlen(what) : NULL;
}

static const char *wait_event(const char *event, pid_t pid)
{
	const char *line = NULL;

	WAIT_UNTIL((line = find_event(event, pid)), PATIENCE_MS);
	return line;
}

static long field(const char *line, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "%s=", name);
	at = line ? strstr(line, key) : NULL;
	return at ? atol(at + strlen(key)) : -1;
}

static void reaped_victim(void)
{
	struct cgroup *cg = cg_new("trace");
	long pages = VICTIM_MIB * 256, begin, end;
	const char *line;
	struct victim *v;

	/* It is not stuck for that long, however slow the machine is. */
	knob_set("stuck_report_ms", "600000");
	v = victim_new(&(struct victim_how){ .name = "v_traced", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	victim_kill(v);
	memory_back(v);
	line = wait_event("victim_queued", v->pid);
	ok(line && strstr(line, "comm=v_traced") && strstr(line, "reason=killed") && field(line, "rss_pages") >= pages &&
	   field(line, "rss_pages") < pages + 4096 && field(line, "swap_pages") == 0, "victim_queued: who, why and how large");
	diag("%s", line);
	line = wait_event("reap_begin", v->pid);
	begin = field(line, "since_us");
	ok(line && begin >= 0, "reap_begin: since when");
	line = wait_event("reap_end", v->pid);
	end = field(line, "since_us");
	ok(line && end >= begin && field(line, "freed_pages") >= pages * 9 / 10 && field(line, "freed_pages") < pages + 4096,
	   "reap_end: later, and how much came back");
	diag("%s", line);
	ok(!find_event("victim_exit", v->pid), "victim_exit: not while it is stuck");
	mrt_release(mrt());
	victim_wait_exit(v);
	line = wait_event("victim_exit", v->pid);
	ok(line && field(line, "since_us") >= end, "victim_exit: later still");
	ok(!find_event("victim_stuck", v->pid), "victim_stuck: not this one");
	victim_free(v);
}

static void stuck_victim(void)
{
	struct cgroup *cg = cg_new("trace2");
	const char *line;
	struct victim *v;

	knob_set("stuck_report_ms", "100");
	v = victim_new(&(struct victim_how){ .name = "v_stuck", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_VMAS_WRITE });
	victim_kill(v);
	line = wait_event("victim_stuck", v->pid);
	ok(line && field(line, "since_us") >= 100000, "victim_stuck: after stuck_report_ms");
	ok(!find_event("reap_end", v->pid), "reap_end: not for one that cannot be reaped");
	mrt_release(mrt());
	victim_wait_exit(v);
	ok(mr_wait_idle(), "victim_stuck: it is forgotten when it has ended after all");
	victim_free(v);
	knob_set("stuck_report_ms", "5000");
}

/* ---- their format ---- */

/* The fields that each of them has besides the kernel's own: name and size. */
static const char *const formats[EVENTS] = {
	"pid:4 comm:16 oom:1 rss_pages:8 swap_pages:8",
	"pid:4 since_us:8",
	"pid:4 since_us:8 freed_pages:8",
	"pid:4 since_us:8",
	"pid:4 since_us:8",
};

/* Adds the field of a line such as "field:char comm[16];	offset:12;	size:16;	signed:0;". */
static void add_field(const char *line, char *found, size_t room, unsigned int *end)
{
	unsigned int offset, size;
	char type_and_name[128], *name;

	if (sscanf(line, " field:%127[^;]; offset:%u; size:%u;", type_and_name, &offset, &size) != 3)
		return;
	name = strrchr(type_and_name, ' ');
	if (!name || offset < *end) {
		snprintf(found, room, "a field that cannot be: %.100s", line);
		return;
	}
	*end = offset + size;
	name[1 + strcspn(name + 1, "[")] = '\0';
	if (strncmp(name + 1, "common_", 7))
		snprintf(found + strlen(found), room - strlen(found), "%s%s:%u", *found ? " " : "", name + 1, size);
}

static void check_format(int event)
{
	char path[128], line[1024], found[1024] = "";
	unsigned int end = 0;
	bool prints = false;
	FILE *f;

	snprintf(path, sizeof(path), TRACING "events/memrescue/%s/format", events[event]);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		add_field(line, found, sizeof(found), &end);
		prints |= !strncmp(line, "print fmt: \"pid=%d ", 19);
	}
	if (f)
		fclose(f);
	if (!ok(prints && !strcmp(found, formats[event]), "%s: its format has the fields that it should have", events[event]))
		diag("it has %s", found);
}

/* ---- counted ---- */

#define CPUS_MAX	64

/* A perf event that counts on every CPU. */
struct counter {
	int fds[CPUS_MAX], cpus;
};

static bool counter_open(struct counter *c, const char *event, const char *filter)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .disabled = 1 };
	char path[128];

	snprintf(path, sizeof(path), TRACING "events/memrescue/%s/id", event);
	attr.config = file_long(path, -1);
	for (c->cpus = 0; c->cpus < CPUS_MAX && c->cpus < sysconf(_SC_NPROCESSORS_ONLN); c->cpus++) {
		int fd = syscall(SYS_perf_event_open, &attr, -1, c->cpus, -1, PERF_FLAG_FD_CLOEXEC);

		c->fds[c->cpus] = fd;
		if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
			diag("perf event %s, filter %s: %s", event, filter, strerror(errno));
			return false;
		}
	}
	return true;
}

static long counter_read(const struct counter *c)
{
	uint64_t value;
	long sum = 0;

	for (int i = 0; i < c->cpus; i++)
		sum += read(c->fds[i], &value, sizeof(value)) == sizeof(value) ? (long)value : 0;
	return sum;
}

static void counter_close(struct counter *c)
{
	for (int i = 0; i < c->cpus; i++)
		close(c->fds[i]);
}

static bool open_counters(struct counter *counters, pid_t pid)
{
	/* In pages: all of VICTIM_MIB, and nine tenths of it. */
	static const char *const more[EVENTS] = {
		"&& comm == \"v_counted\" && oom == 0 && rss_pages >= 10240 && swap_pages == 0",
		"&& since_us < 3600000000", "&& freed_pages >= 9216", "&& since_us > 0", "",
	};
	int good = 0;

	for (int i = 0; i < EVENTS; i++) {
		char filter[256];

		snprintf(filter, sizeof(filter), "pid == %d %s", pid, more[i]);
		good += counter_open(&counters[i], events[i], filter);
	}
	return is_eq(good, EVENTS, "perf: the five events can be counted, with filters");
}

static void counted_victim(void)
{
	struct counter counters[EVENTS] = { 0 };
	struct cgroup *cg = cg_new("trace3");
	struct victim *v;

	if (!file_exists("/proc/sys/kernel/perf_event_paranoid")) {
		skip("the kernel has no CONFIG_PERF_EVENTS", "perf: the five events can be counted, with filters");
		return;
	}
	knob_set("stuck_report_ms", "600000");
	v = victim_new(&(struct victim_how){ .name = "v_counted", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D });
	if (open_counters(counters, v->pid)) {
		victim_kill(v);
		ok(memory_back(v), "perf: a victim is reaped");
		mrt_release(mrt());
		victim_wait_exit(v);
		WAIT_UNTIL(counter_read(&counters[EXIT]), PATIENCE_MS);
		for (int i = QUEUED; i <= EXIT; i++)
			is_eq(counter_read(&counters[i]), 1, "perf: %s is counted once", events[i]);
		is_eq(counter_read(&counters[STUCK]), 0, "perf: %s is not counted", events[STUCK]);
	}
	for (int i = 0; i < EVENTS; i++)
		counter_close(&counters[i]);
	mrt_release(mrt());
	victim_free(v);
}

/* ---- by the tools that people use: see tests/tracers.t ---- */

#define TREE		"/tracers"	/* a root tree with the tools */
#define ATTACH_MS	(10 * PATIENCE_MS)

/* Starts a command in the tree; what it prints goes to a file there. */
static pid_t tool_start(const char *command, const char *output)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	if (chroot(TREE) || chdir("/"))
		_exit(126);
	fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static int tool_end(pid_t pid, int sig)
{
	int status = -1;

	if (sig)
		kill(pid, sig);
	if (pid < 0 || !WAIT_UNTIL(waitpid(pid, &status, WNOHANG) == pid, ATTACH_MS))
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void show_output(const char *file)
{
	char buf[4096], *line, *save;

	if (file_read(file, buf, sizeof(buf)) < 0)
		return;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		diag("%s", line);
}

/* Two that all five events come of: one is reaped and exits, one is stuck for too long. */
static void two_victims(pid_t *pids)
{
	for (int i = 0; i < 2; i++) {
		long exited = mr_stat("exited"), stuck = mr_stat("stuck");
		struct victim *v = victim_new(&(struct victim_how){ .name = "v_tool", .mib = VICTIM_MIB, .stuck = STUCK_D });

		pids[i] = v->pid;
		knob_set("stuck_report_ms", i ? "100" : "600000");
		victim_kill(v);
		/* Not before it is done: the process may exit sooner than that is noted. */
		if (!WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) ||
		    (i && !WAIT_UNTIL(mr_stat("stuck") > stuck, PATIENCE_MS)))
			bail("victim %d is not treated as it should be", i);
		mrt_release(mrt());
		if (!i && !WAIT_UNTIL(mr_stat("exited") > exited, PATIENCE_MS))
			bail("no exit is counted");
		mr_wait_idle();
		victim_free(v);
	}
}

/* What a tool has printed of the victims: every event, and the number of pages. */
static void tool_saw(const char *tool, const char *file, const pid_t *pids)
{
	char who[2][32];
	int seen = 0;

	for (int i = 0; i < 2; i++)
		snprintf(who[i], sizeof(who[i]), "pid=%d ", pids[i]);
	for (int i = 0; i < EVENTS; i++) {
		if (line_with(file, events[i], who[i == STUCK]))
			seen++;
		else
			diag("%s did not see %s", tool, events[i]);
	}
	if (!is_eq(seen, EVENTS, "%s sees the five events", tool))
		show_output(file);
	is_ge(field(line_with(file, events[END], who[0]), "freed_pages"), VICTIM_MIB * 256 * 9 / 10,
	      "%s reads their fields", tool);
}

static void trace_cmd(void)
{
	pid_t tool, pids[2];

	is_eq(tool_end(tool_start("trace-cmd start -e memrescue", "/tmp/start"), 0), 0, "trace-cmd turns the events on");
	two_victims(pids);
	is_eq(tool_end(tool_start("trace-cmd extract -o /tmp/trace.dat", "/tmp/extract"), 0), 0, "trace-cmd takes the trace");
	tool = tool_start("trace-cmd report -i /tmp/trace.dat", "/tmp/report");
	is_eq(tool_end(tool, 0), 0, "trace-cmd reports it");
	tool_saw("trace-cmd", TREE "/tmp/report", pids);
	is_eq(tool_end(tool_start("trace-cmd reset", "/tmp/reset"), 0), 0, "trace-cmd turns everything off");
}

/* By the sample script. */
static void bpftrace(void)
{
	pid_t tool = tool_start("exec bpftrace /victims.bt", "/tmp/bpf"), pids[2];

	if (!ok(WAIT_UNTIL(line_with(TREE "/tmp/bpf", "following memrescue's victims", ""), ATTACH_MS),
		"bpftrace attaches to the events"))
		show_output(TREE "/tmp/bpf");
	two_victims(pids);
	is_eq(tool_end(tool, SIGINT), 0, "bpftrace ends");
	tool_saw("bpftrace", TREE "/tmp/bpf", pids);
}

static int by_tools(void)
{
	static const char *const places[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char to[64];

		snprintf(to, sizeof(to), TREE "%s", places[i]);
		if (mount(places[i], to, NULL, MS_BIND | MS_REC, NULL))
			bail("%s: %s", to, strerror(errno));
	}
	trace_cmd();
	bpftrace();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char at[64];

		snprintf(at, sizeof(at), TREE "%s", places[i]);
		umount2(at, MNT_DETACH);
	}
	return done();
}

int main(int argc, char **argv)
{
	char path[128];
	int enabled = 0;

	if (!file_exists(TRACING "trace"))
		skip_all("the kernel has no tracefs");
	ok(mr_loaded(), "memrescue is there");
	if (argc > 1 && !strcmp(argv[1], "tools"))
		return by_tools();
	file_write(TRACING "trace", " ");
	for (int i = 0; i < EVENTS; i++) {
		snprintf(path, sizeof(path), TRACING "events/memrescue/%s/enable", events[i]);
		enabled += !file_set(path, "1");
	}
	is_eq(enabled, EVENTS, "the five events can be enabled");
	reaped_victim();
	stuck_victim();
	for (int i = 0; i < EVENTS; i++)
		check_format(i);
	counted_victim();
	return done();
}
