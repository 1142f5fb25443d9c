// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events, as trace-cmd and bpftrace find them: five of them, with
 * the fields of a victim that the test knows.
 */
#include "lib.h"

#define TRACING		"/sys/kernel/tracing/"
#define VICTIM_MIB	40

static const char *const events[] = {
	"victim_queued", "reap_begin", "reap_end", "victim_exit", "victim_stuck",
};

/* The first line of the trace with this event of this process, or NULL. */
static const char *find_event(const char *event, pid_t pid)
{
	static char line[1024];
	char what[64], who[32];
	FILE *f = fopen(TRACING "trace", "re");

	snprintf(what, sizeof(what), " %s: ", event);
	snprintf(who, sizeof(who), "pid=%d ", pid);
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, what) || !strstr(strstr(line, what), who))
			continue;
		fclose(f);
		return strstr(line, what) + strlen(what);
	}
	if (f)
		fclose(f);
	return NULL;
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

int main(void)
{
	char path[128];
	int enabled = 0;

	if (!file_exists(TRACING "trace"))
		skip_all("the kernel has no tracefs");
	ok(mr_loaded(), "memrescue is there");
	file_write(TRACING "trace", " ");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), TRACING "events/memrescue/%s/enable", events[i]);
		enabled += !file_set(path, "1");
	}
	is_eq(enabled, ARRAY_SIZE(events), "the five events can be enabled");
	reaped_victim();
	stuck_victim();
	return done();
}
