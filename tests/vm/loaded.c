// SPDX-License-Identifier: GPL-2.0
/*
 * What a load tells others: one line in the log, and the event by which udev learns of the device. When that comes, all
 * files are there, for udev's rules write to them. And what it finds: processes that were dying before.
 */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include "load.h"

#define LOADS	20
#define ROWS	32

/* ---- the event ---- */

static const char *const files[] = {
	"pool/rescue_state", "pool/lifelines", "pool/rescue_dying", "pool/nodes", "reaper/enabled", "hooks",
};

/* Shared with the listener. */
static struct heard {
	_Atomic int ready, events, missing;
} *heard;

static void one_cpu(bool only)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < (only ? 1 : CPU_SETSIZE); i++)
		CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* On the CPU of whoever loads it, and in front of him: the event is looked at before he goes on. */
static void listen_for_events(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	char event[4096], path[128];

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || sched_setscheduler(0, SCHED_FIFO, &first))
		_exit(1);
	heard->ready = 1;
	for (;;) {
		ssize_t len = recv(fd, event, sizeof(event) - 1, 0);

		if (len <= 0)
			continue;
		event[len] = '\0';
		if (strcmp(event, "add@/devices/virtual/misc/memrescue"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			snprintf(path, sizeof(path), MR "%s", files[i]);
			heard->missing += access(path, F_OK) != 0;
		}
		heard->events++;
	}
}

static void check_event(void)
{
	int probe = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	long bad = 0;
	pid_t pid;

	if (probe < 0) {
		skip("the kernel has no netlink, by which events come", "event: one comes with each load, and all files are there");
		return;
	}
	close(probe);
	heard = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	one_cpu(true);
	pid = fork();
	if (!pid)
		listen_for_events();
	if (!WAIT_UNTIL(heard->ready, PATIENCE_MS))
		bail("the listener does not get ready");
	for (int i = 0; i < LOADS; i++) {
		bad += mr_load(MEMRESCUE_KO, "") != 0;
		bad += !WAIT_UNTIL(heard->events > i, PATIENCE_MS);
		bad += mr_unload() != 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	one_cpu(false);
	is_eq(bad, 0, "event: one comes with each of %d loads", LOADS);
	is_eq(heard->missing, 0, "event: all files are there when it comes");
}

/* ---- the line ---- */

struct line {
	char version[32], rescue[128];
	int active, wanted, found, known;
	long pool_kb;
};

static bool read_line(struct line *l)
{
	const char *line = log_find("memrescue: loaded ");

	return line && log_count("memrescue: loaded ") == 1 &&
	       sscanf(strstr(line, "loaded "), "loaded version=%31s hooks=%d/%d symbols=%d/%d pool_kb=%ld rescue=%127[^\n]",
		      l->version, &l->active, &l->wanted, &l->found, &l->known, &l->pool_kb, l->rescue) == 7;
}

static int count(const struct mr_row *rows, int n, const char *state, bool same)
{
	int found = 0;

	for (int i = 0; i < n; i++)
		found += !strcmp(rows[i].state, state) == same;
	return found;
}

/* What it says is what the tables and the files say. */
static void check_line(const char *name, const char *ko, const char *params, bool whole)
{
	struct mr_row hooks[ROWS], symbols[ROWS];
	int nr_hooks, nr_symbols;
	char text[128] = "";
	struct line l = { .active = -1 };

	log_mark();
	is_eq(mr_load(ko, params), 0, "%s: it loads", name);
	if (!ok(read_line(&l), "%s: there is one line in the log, with all its fields", name)) {
		mr_unload();
		return;
	}
	diag("%s", log_find("memrescue: loaded "));
	nr_hooks = mr_hooks(hooks, ROWS);
	nr_symbols = mr_symbols(symbols, ROWS);
	is_eq(l.active, count(hooks, nr_hooks, "active", true), "%s: so many hooks are active", name);
	is_eq(l.wanted, count(hooks, nr_hooks, "off", false), "%s: of so many that it wants", name);
	is_eq(l.found, count(symbols, nr_symbols, "found", true), "%s: so many symbols are found", name);
	is_eq(l.known, count(symbols, nr_symbols, "not-in-this-kernel", false), "%s: of so many that the kernel may have", name);
	ok((l.active == l.wanted) == whole, "%s: all of them%s", name, whole ? "" : ", but for some");
	is_eq(l.pool_kb, file_long(MR "pool/target", -1) * getpagesize() / 1024, "%s: the size of the pool", name);
	ok(file_read("/sys/module/memrescue/version", text, sizeof(text)) > 0 && !strncmp(text, l.version, strlen(l.version)) &&
	   strlen(l.version) > 4, "%s: the version", name);
	ok(file_read(MR "pool/rescue_state", text, sizeof(text)) > 0 && !strncmp(text, l.rescue, strlen(l.rescue)) &&
	   !strcmp(l.rescue, "active") == whole, "%s: whether somebody can be rescued, or why not", name);
	is_eq(mr_unload(), 0, "%s: it can be unloaded", name);
}

/* ---- who is dying already ---- */

#define VICTIM_MIB	48

static void leave_group(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	_exit(0);
}

/* @sig: 0: it ends by itself. */
static void dying_before(const char *name, int sig)
{
	struct cgroup *cg = cg_new("before");
	struct victim *v;

	v = victim_new(&(struct victim_how){
		.name = "v_before", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = sig ? NULL : leave_group });
	log_mark();
	if (sig)
		kill(v->pid, sig);
	else
		victim_go(v);
	sleep_ms(300);
	ok(memory_there(v), "%s: its memory stays until memrescue is loaded", name);
	is_eq(mr_load(MEMRESCUE_KO, ""), 0, "%s: it loads", name);
	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: its memory is back while it is stuck", name);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS), "%s: by memrescue", name);
	mrt_release(v->how.holds);
	ok(victim_wait_exit(v), "%s: it ends when it can", name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
	is_eq(mr_unload(), 0, "%s: it can be unloaded", name);
	cg_remove(cg);
}

int main(void)
{
	if (module_loaded("memrescue") && mr_unload())
		bail("memrescue cannot be unloaded");
	check_line("line", MEMRESCUE_KO, "", true);
	check_line("line without the slow path", MEMRESCUE_DEBUG_KO, "fail=__alloc_pages_slowpath", false);
	check_event();
	dying_before("killed before the load", SIGKILL);
	dying_before("SIGTERM before the load", SIGTERM);
	dying_before("exit_group() before the load", 0);
	return done();
}
