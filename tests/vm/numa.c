// SPDX-License-Identifier: GPL-2.0
/*
 * Two memory nodes (boot with numa=fake=2): a cpuset that may only use one of
 * them runs out of it, and a victim with memory on both gives both back.
 */
#include <sys/utsname.h>

#include "lib.h"

#define VICTIM_MIB	48

static long node_kib(int node, const char *what)
{
	char path[64], text[4096], key[32];
	const char *at;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	snprintf(key, sizeof(key), "Node %d %s:", node, what);
	if (file_read(path, text, sizeof(text)) <= 0)
		return -1;
	at = strstr(text, key);
	return at ? atol(at + strlen(key)) : -1;
}

static void oom_cpuset(void)
{
	const char *name = "cpuset OOM";
	struct cgroup *cg = cg_new("cpuset");
	struct mr_stats before = mr_stats();
	long kills = file_key("/proc/vmstat", "oom_kill"), free0;
	struct victim *v;

	if (cg_set(cg, "cpuset.mems", "1")) {
		skip("the kernel has no cpusets", "%s: one process was killed", name);
		return;
	}
	log_expect(ALLOCATION_FAILURE_OF_VICTIM);
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_cpuset", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = PAGES_HUGE,
		.oom_score_adj = 500, .run = victim_eat });
	victim_go(v);
	ok(WAIT_UNTIL(file_key("/proc/vmstat", "oom_kill") > kills, PATIENCE_MS), "%s: one process was killed", name);
	free0 = node_kib(0, "MemFree");
	ok(WAIT_UNTIL(log_find("constraint=CONSTRAINT_CPUSET"), PATIENCE_MS), "%s: because its node was full", name);
	is_ge(free0, 16 * KIB_PER_MIB, "%s: the other node had memory left", name);
	check_reaped(v, &before, "oom", name);
	is_eq(file_key("/proc/vmstat", "oom_kill"), kills + 1, "%s: no other was killed", name);
	victim_free(v);
	cg_remove(cg);
}

/* Half of its memory on each node. */
static void on_both(struct victim *v, void *arg)
{
	unsigned long nodes = 3;

	(void)v;
	(void)arg;
	/* MPOL_INTERLEAVE */
	if (syscall(SYS_set_mempolicy, 3, &nodes, 8 * sizeof(nodes)))
		bail("victim: set_mempolicy: %s", strerror(errno));
}

static void both_nodes(void)
{
	const char *name = "memory on both nodes";
	struct cgroup *cg = cg_new("nodes");
	struct mr_stats before = mr_stats();
	long was[2], had[2], half = VICTIM_MIB * KIB_PER_MIB / 2;
	struct victim *v;

	log_mark();
	for (int i = 0; i < 2; i++)
		was[i] = node_kib(i, "AnonPages");
	v = victim_new(&(struct victim_how){
		.name = "v_nodes", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = PAGES_SMALL, .setup = on_both });
	for (int i = 0; i < 2; i++)
		had[i] = node_kib(i, "AnonPages");
	ok(had[0] - was[0] >= half / 2 && had[1] - was[1] >= half / 2, "%s: the victim has it", name);
	victim_kill(v);
	/* Not by what is free: each CPU keeps some freed pages for its next user. */
	for (int i = 0; i < 2; i++)
		ok(WAIT_UNTIL(node_kib(i, "AnonPages") <= had[i] - half * 9 / 10, PATIENCE_MS) &&
		   mrt_held(v->how.holds, v->pid) > 0,
		   "%s: node %d has its part back while the victim is stuck", name, i);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
	cg_remove(cg);
}

/* Debian's kernels for clouds cannot make one out of nothing (CONFIG_NUMA_EMU); for all others it is a fault of the runner. */
static void no_second_node(void)
{
	struct utsname name;

	if (!uname(&name) && strstr(name.release, "-cloud-"))
		skip_all("there is only one memory node");
	bail("there is only one memory node; boot with numa=fake=2");
}

int main(void)
{
	if (!file_exists("/sys/devices/system/node/node1"))
		no_second_node();
	ok(mr_loaded(), "memrescue is there");
	oom_cpuset();
	both_nodes();
	return done();
}
