// SPDX-License-Identifier: GPL-2.0
/*
 * Situations that people have reported: a process that is killed while it is stuck
 * and is out of the ordinary, or the machine is. Each first without memrescue's
 * hooks. See compare_runs() for what is checked.
 */
#include "lib.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/swap.h>

#define VICTIM_MIB	40
#define THREADS		3000
#define MAPPINGS	64000

/* What most scenarios return. */
#define ENDED		1
#define BACK		2	/* while it was stuck */

static struct cgroup *cg;

/* What threads have in the kernel comes back with them, on the stock kernel as well. */
static bool is_back(void)
{
	return WAIT_UNTIL(cg_key(cg, "memory.stat", "anon") <= (long)(VICTIM_MIB * MIB / 10), compare_patience_ms());
}

static bool has_ended(struct victim *v)
{
	return victim_wait_exit(v) && WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGKILL;
}

static long finish(struct victim *v)
{
	long value = is_back() && mrt_held(mrt(), v->pid) > 0 ? BACK : 0;

	mrt_release(mrt());
	if (has_ended(v) && cg_wait_below(cg, 1024, PATIENCE_MS))
		value |= ENDED;
	victim_free(v);
	return value;
}

typedef void (*setup_fn)(struct victim *v, void *arg);

static struct victim *make(setup_fn setup)
{
	return victim_new(&(struct victim_how){
		.name = "v_situation", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = setup });
}

/* ---- what the victim is like ---- */

/* A context with an operation that does not end by itself. */
static void aio(struct victim *v, void *arg)
{
	static struct iocb cb = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN };
	struct iocb *list[] = { &cb };
	aio_context_t context = 0;
	int fds[2];

	(void)v;
	(void)arg;
	if (pipe(fds) || syscall(SYS_io_setup, 64, &context))
		bail("victim: io_setup: %s", strerror(errno));
	cb.aio_fildes = fds[0];
	if (syscall(SYS_io_submit, context, 1, list) != 1)
		bail("victim: io_submit: %s", strerror(errno));
}

static void *idle_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void threads(struct victim *v, void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	(void)v;
	(void)arg;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, &attr, idle_thread, NULL))
			bail("victim: thread %d: %s", i, strerror(errno));
}

static void mappings(struct victim *v, void *arg)
{
	char *p = mmap(NULL, MAPPINGS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)v;
	(void)arg;
	for (long i = 1; i < MAPPINGS; i += 2)
		if (mprotect(p + i * PAGE, PAGE, PROT_READ))
			bail("victim: mprotect %ld: %s", i, strerror(errno));
}

static long stuck(void *setup)
{
	struct victim *v = make(*(setup_fn *)setup);

	victim_kill(v);
	return finish(v);
}

static long pidns_init(void *arg)
{
	int ours = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	struct victim *v;

	(void)arg;
	if (ours < 0 || unshare(CLONE_NEWPID))
		return COMPARE_SKIP;
	v = make(NULL);
	if (setns(ours, CLONE_NEWPID))
		bail("setns: %s", strerror(errno));
	close(ours);
	victim_kill(v);
	return finish(v);
}

/* ---- what the machine is like ---- */

#define FREEZER	"/tmp/freezer"

/* The first version of cgroups: what is frozen stays so when it is killed. */
static long frozen(void *arg)
{
	struct victim_how how = { .name = "v_frozen", .cg = cg, .mib = VICTIM_MIB };
	struct victim *v;
	long value = 0;

	(void)arg;
	mkdir(FREEZER, 0755);
	if (mount("none", FREEZER, "cgroup", 0, "freezer"))
		return COMPARE_SKIP;
	mkdir(FREEZER "/v", 0755);
	v = victim_new(&how);
	file_write(FREEZER "/v/cgroup.procs", "%d", v->pid);
	file_write(FREEZER "/v/freezer.state", "FROZEN");
	victim_kill(v);
	if (is_back() && victim_exists(v))
		value = BACK;
	file_write(FREEZER "/v/freezer.state", "THAWED");
	if (has_ended(v))
		value |= ENDED;
	victim_free(v);
	WAIT_UNTIL(!rmdir(FREEZER "/v"), PATIENCE_MS);
	umount(FREEZER);
	return value;
}

static void start_spinner(pid_t *pid, int cpu)
{
	cpu_set_t set;

	*pid = fork();
	if (*pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 10 }))
		_exit(1);
	for (;;)
		;
}

/* The test goes before the spinners; the workers have what the kernel leaves to the others. */
static long spinners(void *arg)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct victim *v = make(NULL);
	pid_t pids[64];
	long value;

	(void)arg;
	if (cpus > (int)ARRAY_SIZE(pids))
		cpus = ARRAY_SIZE(pids);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 20 });
	for (int i = 0; i < cpus; i++)
		start_spinner(&pids[i], i);
	victim_kill(v);
	value = is_back() && mrt_held(mrt(), v->pid) > 0 ? BACK : 0;
	for (int i = 0; i < cpus; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	return value | (finish(v) & ENDED);
}

/* ---- more than one ---- */

#define GROUP		12
#define GROUP_MIB	4

/* How many of the cgroup's processes ended by SIGKILL. */
static long ended(struct victim **v, int n)
{
	long count = 0;

	mrt_release(mrt());
	for (int i = 0; i < n; i++) {
		count += has_ended(v[i]);
		victim_free(v[i]);
	}
	return count;
}

static long oom_group(void *arg)
{
	long before = cg_key(cg, "memory.events", "oom_kill");
	struct victim *v[GROUP];

	(void)arg;
	cg_limit_mib(cg, GROUP * GROUP_MIB + 32);
	if (cg_set(cg, "memory.oom.group", "1"))
		return COMPARE_SKIP;
	for (int i = 0; i < GROUP; i++)
		v[i] = victim_new(&(struct victim_how){
			.name = "v_group", .cg = cg, .mib = GROUP_MIB, .stuck = i ? STUCK_NOT : STUCK_D,
			.run = i == 1 ? victim_eat : NULL });
	victim_go(v[1]);
	WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") >= before + GROUP, PATIENCE_MS);
	cg_set(cg, "memory.oom.group", "0");
	cg_set(cg, "memory.max", "max");
	return ended(v, GROUP);
}

#define LOWERED		6
#define LOWERED_MIB	16

/* How many are still there. */
static long lowered(void *arg)
{
	long before = cg_key(cg, "memory.events", "oom_kill");
	struct victim *v[LOWERED];
	long left;

	(void)arg;
	for (int i = 0; i < LOWERED; i++)
		v[i] = victim_new(&(struct victim_how){ .name = "v_lowered", .cg = cg, .mib = LOWERED_MIB });
	cg_limit_mib(cg, LOWERED * LOWERED_MIB * 2 / 3);
	left = LOWERED - (cg_key(cg, "memory.events", "oom_kill") - before);
	cg_set(cg, "memory.max", "max");
	for (int i = 0; i < LOWERED; i++) {
		victim_kill(v[i]);
		victim_free(v[i]);
	}
	cg_wait_below(cg, 1024, PATIENCE_MS);
	return left;
}

#define SWAP_MIB	192

static void swap_out(void)
{
	long free_kib = meminfo_kib("SwapFree");

	cg_set(cg, "memory.swap.max", "max");
	cg_set(cg, "memory.high", "8M");
	WAIT_UNTIL(free_kib - meminfo_kib("SwapFree") >= VICTIM_MIB * KIB_PER_MIB / 2, PATIENCE_MS);
	is_ge(free_kib - meminfo_kib("SwapFree"), VICTIM_MIB * KIB_PER_MIB / 2, "swapoff: the victim is on swap");
	cg_set(cg, "memory.high", "max");
}

static bool swap_device(char *name, size_t size)
{
	char swaps[512], *line;

	if (file_read("/proc/swaps", swaps, sizeof(swaps)) < 0)
		return false;
	line = strchr(swaps, '\n');
	if (!line)
		return false;
	snprintf(name, size, "%.*s", (int)strcspn(line + 1, " \t"), line + 1);
	return true;
}

/* Whose memory is on the device that is given up meanwhile. */
static long swap_goes(void *arg)
{
	char device[64];
	struct victim *v;
	bool gone;

	(void)arg;
	if (!swap_device(device, sizeof(device)))
		return COMPARE_SKIP;
	v = make(NULL);
	swap_out();
	victim_kill(v);
	gone = !swapoff(device);
	diag("swapoff: %s", gone ? "0" : strerror(errno));
	if (gone && swapon(device, 0))
		bail("swapon: %s", strerror(errno));
	mrt_release(mrt());
	gone = has_ended(v) && gone;
	victim_free(v);
	return gone;
}

int main(void)
{
	static setup_fn with_aio = aio, with_threads = threads, with_mappings = mappings;

	log_expect(ALLOCATION_FAILURE_OF_VICTIM);
	cg = cg_new("situations");
	compare_runs("asynchronous I/O", BACK | ENDED, stuck, &with_aio);
	compare_runs("3 000 threads", BACK | ENDED, stuck, &with_threads);
	compare_runs("64 000 mappings", BACK | ENDED, stuck, &with_mappings);
	compare_runs("init of a PID namespace", BACK | ENDED, pidns_init, NULL);
	compare_runs("freezer of cgroup v1", BACK | ENDED, frozen, NULL);
	compare_runs("SCHED_FIFO on all CPUs", BACK | ENDED, spinners, NULL);
	compare_runs("memory.oom.group", GROUP, oom_group, NULL);
	compare_runs("memory.max lowered below usage", COMPARE_ONLY, lowered, NULL);
	if (zram_swap(SWAP_MIB, NULL))
		compare_runs("swapoff", 1, swap_goes, NULL);
	else
		skip("the kernel has no zram", "swapoff");
	return done();
}
