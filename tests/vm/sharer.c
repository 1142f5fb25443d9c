// SPDX-License-Identifier: GPL-2.0
/*
 * An address space that somebody else still uses is left alone: a process
 * made with CLONE_VM, the init of a PID namespace, a vfork parent or child,
 * a kernel thread that has borrowed it, a debugger that looks at a thread that
 * ends. When the last user is killed as well, it is reaped.
 */
#include "lib.h"

#include <sys/ptrace.h>

#define VICTIM_MIB	40

/* Words shared with the test. */
enum { W_SHARER, W_ASK, W_BAD };

static struct cgroup *cg;

/*
 * Runs in the sharing process, on the victim's memory and thread-local
 * storage: nothing but system calls and memory accesses here.
 */
static int sharer_main(void *arg)
{
	struct victim *v = arg;
	size_t len = v->how.mib * MIB;

	for (;;) {
		while (!v->sh->word[W_ASK])
			syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
		v->sh->word[W_ASK] = 0;
		v->sh->word[W_BAD] = pattern_bad(v->sh->mem, len, PATTERN_KEY) + 1;
	}
	return 0;
}

static int sharer_in_d(void *arg)
{
	struct victim *v = arg;

	syscall(SYS_ioctl, v->how.holds, MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return 0;
}

/* The arguments of one case. */
struct sharing {
	unsigned long flags;
	int (*fn)(void *arg);
};

static void share(struct victim *v, void *arg)
{
	const struct sharing *s = arg;
	pid_t pid = clone_raw(s->flags | CLONE_VM | SIGCHLD, s->fn, v);

	v->sh->word[W_SHARER] = pid > 0 ? pid : -errno;
	if (s->flags & CLONE_VFORK)
		v->sh->word[W_BAD] = pattern_bad(v->sh->mem, v->how.mib * MIB, PATTERN_KEY) + 1;
}

static struct victim *sharing_victim(const char *name, const struct sharing *s, enum stuck how, int holds)
{
	struct victim *v;

	/* Those that were before are not counted any more. */
	mr_wait_idle();
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = name, .cg = cg, .mib = VICTIM_MIB, .stuck = how, .holds = holds, .run = share, .arg = (void *)s });
	victim_go(v);
	return v;
}

static pid_t sharer_pid(struct victim *v)
{
	if (!WAIT_UNTIL(v->sh->word[W_SHARER], PATIENCE_MS) || v->sh->word[W_SHARER] < 0)
		bail("clone: %s", strerror(-v->sh->word[W_SHARER]));
	return v->sh->word[W_SHARER];
}

/* A child of the test, now that it is the reaper of orphans. */
static void end_sharer(pid_t pid)
{
	kill(pid, SIGKILL);
	WAIT_UNTIL(waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS);
}

static bool sharer_alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* One more victim than @before was left to those who use its memory. */
static void check_skipped(long before, const char *name)
{
	WAIT_UNTIL(mr_stat("skipped") > before, PATIENCE_MS);
	is_eq(mr_stat("skipped") - before, 1, "%s: it is counted as left alone, once", name);
}

static long ask(struct victim *v)
{
	v->sh->word[W_BAD] = 0;
	v->sh->word[W_ASK] = 1;
	return WAIT_UNTIL(v->sh->word[W_BAD], PATIENCE_MS) ? v->sh->word[W_BAD] - 1 : -1;
}

/*
 * Stuck, it is there when memrescue looks who it is, and waits for those who
 * share its memory. When it ends they live on: from then on it is none of
 * memrescue's business. If it is gone at once, memrescue may never know it.
 */
static void survivor(const char *name, unsigned long flags, enum stuck how)
{
	struct sharing s = { .flags = flags, .fn = sharer_main };
	struct victim *v = sharing_victim("v_shared", &s, how, 0);
	struct mr_stats before = mr_stats();
	pid_t pid = sharer_pid(v);

	is_eq(ask(v), 0, "%s: the sharer sees the memory", name);
	victim_kill(v);
	if (how != STUCK_NOT) {
		ok(WAIT_UNTIL(mr_stat("victims") > before.victims, PATIENCE_MS), "%s: the victim is taken", name);
		is_eq(mr_stat("skipped"), before.skipped, "%s: and not left alone yet", name);
		mrt_release(mrt());
	}
	ok(victim_wait_exit(v), "%s: the victim ends", name);
	ok(later_victim_taken(), "%s: a victim that comes after it is taken", name);
	if (how != STUCK_NOT)
		check_skipped(before.skipped, name);
	is_eq(ask(v), 0, "%s: the survivor's memory is intact", name);
	ok(sharer_alive(pid) && memory_there(v), "%s: it lives, with all of it", name);
	ok(!log_find("memrescue: reaped pid=%d ", v->pid), "%s: nothing was reaped", name);
	end_sharer(pid);
	check_gone(v, name);
	victim_free(v);
}

/* The process after the victim that is being held. */
static pid_t held_child(struct victim *v, int holds)
{
	for (pid_t pid = v->pid + 1; pid < v->pid + 256; pid++)
		if (mrt_held(holds, pid) > 0)
			return pid;
	return 0;
}

/* The parent waits in vfork() while its child, who shares its memory, is killed. */
static void vfork_parent(void)
{
	struct sharing s = { .flags = CLONE_VFORK, .fn = sharer_in_d };
	int holds = mrt_open();
	struct victim *v = sharing_victim("v_vfork", &s, STUCK_NOT, holds);
	long skipped = mr_stat("skipped");
	pid_t child;

	if (!WAIT_UNTIL(held_child(v, holds), PATIENCE_MS))
		bail("the vfork child is not stuck");
	child = held_child(v, holds);
	kill(child, SIGKILL);
	ok(later_victim_taken(), "vfork: a victim that comes after the child is taken");
	ok(memory_there(v), "vfork: the killed child's memory, which is its parent's, stays");
	is_eq(mr_stat("skipped"), skipped, "vfork: it is in flight as long as the child is there");
	mrt_close(holds);
	check_skipped(skipped, "vfork");
	ok(WAIT_UNTIL(v->sh->word[W_BAD], PATIENCE_MS), "vfork: the parent goes on");
	is_eq(v->sh->word[W_BAD] - 1, 0, "vfork: its memory is intact");
	victim_kill(v);
	ok(victim_wait_exit(v), "vfork: and ends when it is killed itself");
	victim_free(v);
}

/* Both are killed, the second is stuck: nobody needs the memory any more. */
static void last_user(void)
{
	struct sharing s = { .fn = sharer_in_d };
	int holds = mrt_open();
	struct victim *v = sharing_victim("v_both", &s, STUCK_NOT, holds);
	pid_t pid = sharer_pid(v);

	WAIT_UNTIL(mrt_held(holds, 0) == 1, PATIENCE_MS);
	victim_kill(v);
	ok(victim_wait_exit(v) && later_victim_taken() && memory_there(v),
	   "both users killed: nothing happens after the first");
	kill(pid, SIGKILL);
	ok(memory_back(v) && mrt_held(holds, 0) == 1, "both users killed: memory is back while the second is stuck");
	mrt_close(holds);
	WAIT_UNTIL(waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS);
	check_gone(v, "both users killed");
	victim_free(v);
}

/* The OOM killer kills all users of the memory; one of them is stuck. */
static void oom_sharer(void)
{
	struct sharing s = { .fn = sharer_in_d };
	int holds = mrt_open();
	struct victim *v = sharing_victim("v_oomboth", &s, STUCK_NOT, holds), *eater;
	pid_t pid = sharer_pid(v);

	WAIT_UNTIL(mrt_held(holds, 0) == 1, PATIENCE_MS);
	cg_limit_mib(cg, VICTIM_MIB + 8);
	eater = victim_new(&(struct victim_how){ .name = "v_trigger", .cg = cg, .mib = 1, .run = victim_eat });
	victim_go(eater);
	WAIT_UNTIL(log_find("Killed process"), PATIENCE_MS);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid) || log_find("memrescue: reaped pid=%d ", pid),
		      PATIENCE_MS) && mrt_held(holds, 0) == 1,
	   "OOM of a shared memory: it is reaped while one user is stuck");
	victim_free(eater);
	mrt_close(holds);
	WAIT_UNTIL(waitpid(pid, NULL, WNOHANG) == pid, PATIENCE_MS);
	check_gone(v, "OOM of a shared memory");
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static void borrow(struct victim *v, void *arg)
{
	struct mrt_borrow b = {
		.addr = (uintptr_t)v->sh->mem, .len = 4 * MIB, .key = PATTERN_KEY };

	v->sh->word[0] = ioctl(*(int *)arg, MRT_BORROW_MM, &b) ? -errno : 1;
}

/*
 * A kernel thread reads the victim's memory all the while. It may be told
 * that it cannot (EFAULT), but must never read something else.
 */
static void borrowed(const char *name, bool oom)
{
	int borrow_fd = mrt_open();
	struct mrt_borrow_report r = { 0 };
	struct victim *v, *eater = NULL;
	bool back;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_lender", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = borrow,
		.arg = &borrow_fd, .pages = oom ? PAGES_SMALL : PAGES_DEFAULT });
	victim_go(v);
	if (!WAIT_UNTIL(v->sh->word[0], PATIENCE_MS) || v->sh->word[0] < 0)
		bail("MRT_BORROW_MM: %s", strerror(-v->sh->word[0]));
	sleep_ms(20);
	if (oom) {
		cg_limit_mib(cg, VICTIM_MIB + 8);
		eater = victim_new(&(struct victim_how){ .name = "v_trigger", .cg = cg, .mib = 1, .run = victim_eat });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
		ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS),
		   "%s: memrescue does not wait for the kernel thread", name);
		victim_free(eater);
	} else {
		victim_kill(v);
	}
	/* Killed by kill -9 it may be left alone as long as it is borrowed, or not. */
	ok(later_victim_taken(), "%s: a victim that comes after it is taken", name);
	back = log_find("memrescue: reaped pid=%d ", v->pid);
	sleep_ms(20);
	mrt_release(v->how.holds);
	victim_wait_exit(v);
	is_eq(ioctl(borrow_fd, MRT_BORROW_STOP, &r), 0, "%s: the kernel thread stops", name);
	diag("%s: %llu good, %llu EFAULT, %llu wrong (last %#llx); memory taken meanwhile: %s", name,
	     (unsigned long long)r.good, (unsigned long long)r.efault, (unsigned long long)r.wrong,
	     (unsigned long long)r.last_wrong, back ? "yes" : "no");
	is_eq(r.wrong, 0, "%s: it never read a wrong word", name);
	ok(r.good > 0 && (!back || r.efault > 0), "%s: it read, and was refused once the memory was gone", name);
	mrt_close(borrow_fd);
	check_gone(v, name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static bool stopped_at_exit(struct victim *v)
{
	int status;

	return WAIT_UNTIL(waitpid(v->pid, &status, WNOHANG) == v->pid, PATIENCE_MS) && WIFSTOPPED(status) &&
	       status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

/* Words of the victim's memory that are not what it wrote. */
static long words_bad(struct victim *v)
{
	long bad = 0;

	for (const char *at = v->sh->mem; at < v->sh->mem + v->how.mib * MIB; at += PAGE)
		bad += (uint64_t)ptrace(PTRACE_PEEKDATA, v->pid, at, NULL) != (PATTERN_KEY ^ (uint64_t)at);
	return bad;
}

/* A debugger sees the memory of a thread that was killed; the OOM killer's victims are reaped all the same. */
static void debugged(const char *name, bool oom)
{
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_debugged", .cg = cg, .mib = VICTIM_MIB, .run = oom ? victim_eat : NULL });
	if (ptrace(PTRACE_SEIZE, v->pid, NULL, PTRACE_O_TRACEEXIT))
		bail("ptrace: %s", strerror(errno));
	if (oom) {
		cg_limit_mib(cg, VICTIM_MIB + 8);
		victim_go(v);
	} else {
		kill(v->pid, SIGKILL);
	}
	ok(stopped_at_exit(v), "%s: it stops on its way out", name);
	if (oom) {
		ok(memory_back(v), "%s: its memory is back meanwhile", name);
	} else {
		ok(later_victim_taken(), "%s: a victim that comes after it is taken", name);
		ok(memory_there(v), "%s: its own memory stays", name);
		is_eq(words_bad(v), 0, "%s: and is intact", name);
	}
	ptrace(PTRACE_CONT, v->pid, NULL, NULL);
	check_gone(v, name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

int main(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cg = cg_new("sharer");
	ok(mr_loaded(), "memrescue is there");
	survivor("CLONE_VM sharer", 0, STUCK_D);
	survivor("CLONE_VM sharer, victim gone at once", 0, STUCK_NOT);
	survivor("CLONE_VM|CLONE_SIGHAND sharer", CLONE_SIGHAND, STUCK_D);
	survivor("init of a PID namespace", CLONE_NEWPID, STUCK_D);
	vfork_parent();
	last_user();
	oom_sharer();
	borrowed("borrowed by a kernel thread, kill -9", false);
	borrowed("borrowed by a kernel thread, OOM", true);
	debugged("a debugger looks on, kill -9", false);
	debugged("a debugger looks on, OOM", true);
	return done();
}
