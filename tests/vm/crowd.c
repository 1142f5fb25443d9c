// SPDX-License-Identifier: GPL-2.0
/*
 * A machine with 20 000 processes: who uses a victim's memory is found among them, be it the
 * last one in the list; a user who is no process (vhost) holds nothing up; and the search neither
 * keeps its CPU for longer when there are more processes, nor is made anew for each try.
 */
#include "lib.h"

#include <sys/sysinfo.h>

#define TRACING		"/sys/kernel/tracing/"
#define CROWD		20000
#define CROWD_SLOW	3000		/* on the debug kernel */
#define VICTIM_MIB	40

/* Tasks that are looked at in one go: WALK_BATCH of src/reaper/walk.c, and the threads of one process more. */
#define BATCH_MOST	1024
#define THREADS_MOST	256

/* ---- the crowd ---- */

/* Shared with the process that is the parent of all. */
struct crowd {
	volatile int nr, there, end;
	pid_t parent;
};

/* A process that shares its parent's memory, has no stack, and only sleeps. */
static long clone_sleeper(void)
{
	register long r10 asm("r10") = 0;
	register long r8 asm("r8") = 0;
	long ret;

	asm volatile("syscall\n"
		     "	test	%%rax, %%rax\n"
		     "	jnz	2f\n"
		     "1:	mov	%[pause], %%eax\n"
		     "	syscall\n"
		     "	jmp	1b\n"
		     "2:"
		     : "=a" (ret)
		     : "0" (SYS_clone), "D" (CLONE_VM | SIGCHLD), "S" (0), "d" (0), "r" (r10), "r" (r8), [pause] "i" (SYS_pause)
		     : "rcx", "r11", "memory");
	return ret;
}

static void crowd_main(struct crowd *crowd)
{
	pid_t *pids = calloc(crowd->nr, sizeof(*pids));

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < crowd->nr; i++) {
		pids[i] = clone_sleeper();
		if (pids[i] <= 0)
			break;
		crowd->there = i + 1;
	}
	while (!crowd->end)
		usleep(1000);
	for (int i = 0; i < crowd->there; i++)
		kill(pids[i], SIGKILL);
	_exit(0);
}

static struct crowd *crowd_new(int nr)
{
	struct crowd *crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	file_set("/proc/sys/kernel/pid_max", "65536");
	file_set("/proc/sys/kernel/threads-max", "65536");
	crowd->nr = nr;
	crowd->parent = fork();
	if (!crowd->parent)
		crowd_main(crowd);
	WAIT_UNTIL(crowd->there == nr, 10 * PATIENCE_MS);
	is_eq(crowd->there, nr, "there are %d processes", nr);
	return crowd;
}

static long tasks_now(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? -1 : info.procs;
}

/* The test is the reaper of orphans. */
static bool most_ended(int nr)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return tasks_now() < nr / 2;
}

static void crowd_end(struct crowd *crowd)
{
	crowd->end = 1;
	ok(WAIT_UNTIL(most_ended(crowd->nr), 10 * PATIENCE_MS), "they end");
	munmap(crowd, sizeof(*crowd));
}

/* ---- the searches ---- */

/* What the trace has of them. */
struct walks {
	long nr, visits, longest;	/* the last two: the most of one */
};

static struct walks walks_now(void)
{
	FILE *f = fopen(TRACING "trace", "re");
	struct walks w = { 0 };
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, " walk: ");
		long visits, longest;

		if (!at || sscanf(at, " walk: visits=%ld longest=%ld", &visits, &longest) != 2)
			continue;
		w.nr++;
		w.visits = visits > w.visits ? visits : w.visits;
		w.longest = longest > w.longest ? longest : w.longest;
	}
	if (f)
		fclose(f);
	return w;
}

static bool walks_watch(void)
{
	return !file_write(TRACING "trace", " ") && !file_set(TRACING "events/memrescue/walk/enable", "1");
}

static void check_walks(long most, long crowd, const char *name)
{
	struct walks w = walks_now();

	diag("%s: %ld searches, the longest over %ld tasks, at most %ld in one go", name, w.nr, w.visits, w.longest);
	is_ge(w.nr, 1, "%s: all processes were searched", name);
	is_ge(w.visits, crowd, "%s: all of them", name);
	is_le(w.nr, most, "%s: not once for each try", name);
	is_le(w.longest, BATCH_MOST + THREADS_MOST, "%s: the CPU was free for others in between", name);
}

/* ---- a user who is no process ---- */

struct foreign {
	int fd;
	pid_t of;
};

static void use(struct victim *v, void *arg)
{
	struct foreign *f = arg;

	(void)v;
	ioctl(f->fd, MRT_HOLD_OTHERS_USERS, f->of);
}

static void used_by_none(const char *name, enum stuck stuck, long crowd)
{
	struct foreign f = { .fd = mrt_open() };
	struct cgroup *cg = cg_new("crowd");
	int holds = mrt_open();
	struct victim *v, *user;

	mr_wait_idle();
	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_used", .cg = cg, .mib = VICTIM_MIB, .stuck = stuck, .holds = holds });
	f.of = v->pid;
	user = victim_new(&(struct victim_how){ .name = "v_vhost", .mib = 1, .run = use, .arg = &f });
	victim_go(user);
	if (!WAIT_UNTIL(mrt_held(f.fd, 0) == 1, PATIENCE_MS))
		bail("the memory is not in use");
	walks_watch();
	victim_kill(v);
	if (stuck == STUCK_D) {
		ok(memory_back(v) && mrt_held(holds, v->pid) > 0, "%s: the memory is back while it is stuck, and in use", name);
	} else {
		ok(WAIT_UNTIL(mr_stat("in_flight") == 1, PATIENCE_MS), "%s: it is taken", name);
		/* Dozens of tries. */
		sleep_ms(1000);
		ok(memory_there(v), "%s: and cannot be reaped", name);
	}
	check_walks(4, crowd, name);
	mrt_close(holds);
	mrt_close(f.fd);
	victim_kill(user);
	victim_free(user);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
}

/* ---- a user at the end of the list ---- */

enum { W_SHARE, W_SHARER };

static int sharer_main(void *arg)
{
	(void)arg;
	for (;;)
		syscall(SYS_pause);
	return 0;
}

static void share_later(struct victim *v, void *arg)
{
	while (!v->sh->word[W_SHARE])
		syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
	v->sh->word[W_SHARER] = clone_raw(CLONE_VM | SIGCHLD, sharer_main, v);
	ioctl(*(int *)arg, MRT_SLEEP_D, PATIENCE_MS);
}

/* The victim is before the crowd in the list, who shares its memory behind it. */
static struct victim *sharing_victim(int *holds)
{
	return victim_new(&(struct victim_how){
		.name = "v_far", .cg = cg_new("far"), .mib = VICTIM_MIB, .run = share_later, .arg = holds });
}

static void far_sharer(struct victim *v, int holds, long crowd)
{
	struct walks w;
	pid_t pid;

	victim_go(v);
	v->sh->word[W_SHARE] = 1;
	if (!WAIT_UNTIL(v->sh->word[W_SHARER] > 0 && mrt_held(holds, v->pid) == 1, PATIENCE_MS))
		bail("no sharer, or the victim is not stuck");
	pid = v->sh->word[W_SHARER];
	log_mark();
	walks_watch();
	victim_kill(v);
	ok(later_victim_taken(), "a far sharer: a victim that comes after it is taken");
	ok(memory_there(v) && !log_find("memrescue: reaped pid=%d ", v->pid), "a far sharer: the memory stays");
	w = walks_now();
	is_ge(w.visits, crowd, "a far sharer: it was found behind all others");
	is_le(w.longest, BATCH_MOST + THREADS_MOST, "a far sharer: the CPU was free for others in between");
	ok(!kill(pid, 0), "a far sharer: it lives");
	kill(pid, SIGKILL);
	ok(memory_back(v) && mrt_held(holds, v->pid) > 0, "a far sharer: when it is killed as well the memory is back");
}

int main(void)
{
	long nr = machine_slowness() > 1 ? CROWD_SLOW : CROWD;
	int holds = mrt_open();
	struct crowd *crowd;
	struct victim *far;

	if (!file_exists(TRACING "trace"))
		skip_all("the kernel has no tracefs");
	ok(mr_loaded(), "memrescue is there");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	knob_set("stuck_report_ms", "600000");
	far = sharing_victim(&holds);
	crowd = crowd_new(nr);
	used_by_none("used by no process", STUCK_D, nr);
	used_by_none("used by no process, locked", STUCK_VMAS_WRITE, nr);
	far_sharer(far, holds, nr);
	/* Many SIGKILLs at once, for processes of one address space. */
	crowd_end(crowd);
	ok(later_victim_taken(), "a victim that comes after the crowd is taken");
	mrt_close(holds);
	victim_free(far);
	ok(mr_wait_idle(), "nothing is left of them");
	return done();
}
