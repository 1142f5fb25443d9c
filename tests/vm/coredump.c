// SPDX-License-Identifier: GPL-2.0
/*
 * A process that dumps core is left alone until it has done so: its core, read
 * slowly by a pipe handler (this program again), holds the right bytes, also
 * when a process that shares its memory is killed meanwhile. An OOM victim whose
 * dump hangs is left to the kernel's own reaper.
 */
#include "lib.h"

#include <elf.h>
#include <sys/resource.h>

#define VICTIM_MIB	40
#define CORE		"/tmp/core.out"
#define GO		"/tmp/core.go"
#define STARTED		"/tmp/core.started"

static struct cgroup *cg;

/* ---- the handler: the kernel starts it with the core on its standard input ---- */

static int handler(void)
{
	static char buf[64 * 1024];
	int fd = open(CORE, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	long long end = now_us() + PATIENCE_MS * 1000LL;
	ssize_t n, total = 0;

	if (fd < 0)
		return 1;
	/* Some of it, so that the dump is under way, and then a long pause. */
	while (total < (ssize_t)(8 * MIB) && (n = read(0, buf, sizeof(buf))) > 0) {
		if (write(fd, buf, n) != n)
			return 1;
		total += n;
	}
	close(open(STARTED, O_WRONLY | O_CREAT, 0600));
	while (!file_exists(GO) && now_us() < end)
		usleep(1000);
	while ((n = read(0, buf, sizeof(buf))) > 0)
		if (write(fd, buf, n) != n)
			return 1;
	close(fd);
	rename(CORE, CORE ".done");
	return 0;
}

/* ---- the core ---- */

/*
 * Looks at the pattern in the core: *good pages are as they were, *bad ones
 * are not. What the file lacks at its end is neither.
 */
static bool read_core(const char *file, const char *mem, size_t len, long *good, long *bad)
{
	int fd = open(file, O_RDONLY);
	uint64_t from = (uintptr_t)mem;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	bool found = false;

	*good = *bad = 0;
	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return false;
	for (int i = 0; i < eh.e_phnum; i++) {
		uint64_t start, end, word;

		if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) != sizeof(ph) || ph.p_type != PT_LOAD)
			continue;
		start = ph.p_vaddr > from ? ph.p_vaddr : from;
		end = ph.p_vaddr + ph.p_filesz < from + len ? ph.p_vaddr + ph.p_filesz : from + len;
		for (uint64_t at = start; at < end; at += PAGE) {
			found = true;
			if (pread(fd, &word, sizeof(word), ph.p_offset + at - ph.p_vaddr) != sizeof(word))
				continue;
			*(word == (PATTERN_KEY ^ at) ? good : bad) += 1;
		}
	}
	close(fd);
	return found;
}

static void set_handler(void)
{
	char self[128] = "", pattern[160];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		bail("/proc/self/exe");
	snprintf(pattern, sizeof(pattern), "|%s handler", self);
	if (file_set("/proc/sys/kernel/core_pattern", pattern))
		skip_all("the kernel has no core dumps");
}

static void forget_core(void)
{
	unlink(CORE);
	unlink(CORE ".done");
	unlink(GO);
	unlink(STARTED);
}

/* ---- the victims ---- */

/* @arg: the signal; NULL: SIGQUIT */
static void crash(struct victim *v, void *arg)
{
	int sig = arg ? (int)(long)arg : SIGQUIT;

	(void)v;
	prctl(PR_SET_DUMPABLE, 1);
	signal(sig, SIG_DFL);
	kill(getpid(), sig);
}

/* Of its core. */
static void any_size(struct victim *v, void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void)v;
	(void)arg;
	setrlimit(RLIMIT_CORE, &all);
}

static struct victim *dumper(const char *name, void (*run)(struct victim *, void *))
{
	struct victim *v;

	forget_core();
	log_mark();
	v = victim_new(&(struct victim_how){ .name = name, .cg = cg, .mib = VICTIM_MIB, .run = run });
	victim_go(v);
	if (!WAIT_UNTIL(file_exists(STARTED), PATIENCE_MS))
		bail("%s: no core dump began", name);
	return v;
}

static void let_go(void)
{
	close(open(GO, O_WRONLY | O_CREAT, 0600));
	WAIT_UNTIL(file_exists(CORE ".done"), PATIENCE_MS);
}

static void check_whole_core(struct victim *v, const char *name)
{
	long good, bad;

	ok(read_core(CORE ".done", v->sh->mem, VICTIM_MIB * MIB, &good, &bad), "%s: the core has the memory", name);
	ok(good == VICTIM_MIB * 256 && !bad, "%s: all of it, with the right bytes", name);
	diag("%ld pages right, %ld wrong, of %d", good, bad, VICTIM_MIB * 256);
}

static void nobody_is_killed(void)
{
	const char *name = "dump";
	struct victim *v = dumper("v_dumper", crash);

	ok(later_victim_taken() && memory_there(v), "%s: others are taken meanwhile, the dumping one is not", name);
	let_go();
	check_whole_core(v, name);
	ok(victim_wait_exit(v), "%s: then it ends", name);
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing of it is left", name);
	victim_free(v);
}

/*
 * The kernel cuts a dump short when SIGKILL arrives. What was written is
 * right, and the process goes when the handler lets go of the pipe.
 */
static void killed_while_dumping(const char *name, bool oom)
{
	struct victim *v = dumper("v_killed", crash), *eater = NULL;
	long good, bad;

	if (oom) {
		cg_limit_mib(cg, VICTIM_MIB + 4);
		eater = victim_new(&(struct victim_how){ .name = "v_trigger", .cg = cg, .mib = 1, .run = victim_eat });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
	} else {
		victim_kill(v);
	}
	ok(later_victim_taken(), "%s: others are taken meanwhile", name);
	let_go();
	ok(victim_wait_exit(v), "%s: it ends", name);
	ok(read_core(CORE ".done", v->sh->mem, VICTIM_MIB * MIB, &good, &bad), "%s: there is a core", name);
	is_eq(bad, 0, "%s: what it has of the memory is right", name);
	diag("%ld pages right, %ld wrong, of %d", good, bad, VICTIM_MIB * 256);
	if (eater)
		victim_free(eater);
	cg_set(cg, "memory.max", "max");
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing of it is left", name);
	victim_free(v);
}

static bool main_thread_in_d_state(pid_t pid)
{
	char path[64], text[512];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, text, sizeof(text)) <= 0)
		return false;
	state = strrchr(text, ')');
	return state && state[2] == 'D';
}

/* Where a thread is stuck, the dump into the file waits for it; then all of it is there. */
static void into_a_file(const char *name, int sig, bool stuck)
{
	struct victim *v;
	long good, bad;

	forget_core();
	log_mark();
	file_set("/proc/sys/kernel/core_pattern", CORE ".done");
	v = victim_new(&(struct victim_how){
		.name = "v_file", .cg = cg, .mib = VICTIM_MIB, .stuck = stuck ? STUCK_D : STUCK_NOT, .setup = any_size,
		.run = crash, .arg = (void *)(long)sig });
	victim_go(v);
	if (stuck) {
		ok(WAIT_UNTIL(main_thread_in_d_state(v->pid), PATIENCE_MS), "%s: it waits for its stuck thread", name);
		ok(later_victim_taken() && memory_there(v), "%s: others are taken meanwhile, the dumping one is not", name);
		mrt_release(mrt());
	}
	ok(victim_wait_exit(v) && WIFSIGNALED(v->status) && WTERMSIG(v->status) == sig && WCOREDUMP(v->status),
	   "%s: it ends by its signal, with a core", name);
	ok(read_core(CORE ".done", v->sh->mem, VICTIM_MIB * MIB, &good, &bad) && good == VICTIM_MIB * 256 && !bad,
	   "%s: the core has its memory, all of it, with the right bytes", name);
	/* The file's pages are its own as well. */
	forget_core();
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing of it is left", name);
	victim_free(v);
	set_handler();
}

/* The sharing process dumps; its memory is also that of the one being killed. */
static int sharer_crash(void *arg)
{
	(void)arg;
	syscall(SYS_kill, syscall(SYS_getpid), SIGQUIT);
	return 0;
}

static void share_and_crash(struct victim *v, void *arg)
{
	(void)arg;
	v->sh->word[0] = clone_raw(CLONE_VM | SIGCHLD, sharer_crash, v);
}

static void sharer_dumps(void)
{
	const char *name = "dump of a sharer";
	struct victim *v = dumper("v_sharer", share_and_crash);
	pid_t pid = v->sh->word[0];

	victim_kill(v);
	ok(later_victim_taken() && memory_there(v), "%s: the memory stays when the other process is killed", name);
	let_go();
	check_whole_core(v, name);
	ok(victim_wait_exit(v), "%s: the killed one ends", name);
	WAIT_UNTIL(waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS);
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing of them is left", name);
	victim_free(v);
}

/*
 * A dump cannot begin before all threads have come to it, and one is stuck. As
 * on the stock kernel, the dump of an OOM victim is not waited for without end.
 */
static void oom_of_hung_dump(void)
{
	const char *name = "dump that hangs, OOM";
	long given_back = mr_stat("given_back");
	struct victim *v, *eater;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_hung", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = crash });
	victim_go(v);
	ok(WAIT_UNTIL(main_thread_in_d_state(v->pid), PATIENCE_MS), "%s: it waits for its stuck thread", name);
	cg_limit_mib(cg, VICTIM_MIB + 4);
	eater = victim_new(&(struct victim_how){
		.name = "v_trigger", .cg = cg, .mib = 1, .oom_score_adj = -500, .run = victim_eat });
	victim_go(eater);
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process %d ", v->pid), PATIENCE_MS) && mrt_held(mrt(), v->pid) > 0,
	   "%s: its memory is back, by the kernel's own reaper", name);
	is_eq(mr_stat("given_back") - given_back, 1, "%s: memrescue has given it back", name);
	ok(!log_find("memrescue: reaped pid=%d ", v->pid), "%s: and has not touched it", name);
	mrt_release(mrt());
	ok(victim_wait_exit(v), "%s: it ends", name);
	victim_free(eater);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "handler"))
		_exit(handler());
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	at_end(END_SCENARIO, let_go);
	set_handler();
	cg = cg_new("coredump");
	ok(mr_loaded(), "memrescue is there");
	nobody_is_killed();
	killed_while_dumping("dump, kill -9", false);
	killed_while_dumping("dump, OOM", true);
	into_a_file("SIGSEGV, dump into a file", SIGSEGV, false);
	into_a_file("SIGABRT, dump into a file, a stuck thread", SIGABRT, true);
	sharer_dumps();
	oom_of_hung_dump();
	is_eq(log_bad(), 0, "the kernel has nothing to complain about");
	return done();
}
