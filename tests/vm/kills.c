// SPDX-License-Identifier: GPL-2.0
/*
 * Every way in which a process is killed that is stuck meanwhile: its memory comes
 * back all the same, and it ends by SIGKILL. Each first without memrescue's hooks.
 */
#include "lib.h"

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <time.h>

#define VICTIM_MIB	40

/* What a scenario returns. */
#define ENDED		1
#define BACK		2	/* while it was stuck */

#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

static struct cgroup *cg;

struct way {
	const char *name;
	void (*setup)(struct victim *v, void *arg);
	void (*run)(struct victim *v, void *arg);
	void (*kill)(struct victim *v);
};

static struct victim *make(const struct way *way)
{
	return victim_new(&(struct victim_how){
		.name = "v_kills", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = way->setup, .run = way->run });
}

static bool is_back(struct victim *v)
{
	return cg_wait_below(cg, v->kib - VICTIM_MIB * KIB_PER_MIB * 9 / 10, compare_patience_ms()) &&
	       mrt_held(mrt(), v->pid) > 0;
}

static long finish(struct victim *v)
{
	long value = is_back(v) ? BACK : 0;

	mrt_release(mrt());
	if (victim_wait_exit(v) && WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGKILL &&
	    cg_wait_below(cg, 1024, PATIENCE_MS))
		value |= ENDED;
	victim_free(v);
	return value;
}

static long scenario(void *arg)
{
	const struct way *way = arg;
	struct victim *v = make(way);

	victim_go(v);
	if (way->kill)
		way->kill(v);
	return finish(v);
}

static void twice(struct victim *v)
{
	kill(v->pid, SIGKILL);
	sleep_ms(20);
	kill(v->pid, SIGKILL);
}

static void by_tgkill(struct victim *v)
{
	syscall(SYS_tgkill, v->pid, v->pid, SIGKILL);
}

static void own_group(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	setpgid(0, 0);
}

static void by_killpg(struct victim *v)
{
	killpg(v->pid, SIGKILL);
}

/* It may come too late to find something, but must not be told that it asks for something wrong. */
static void by_pidfd(struct victim *v)
{
	int fd = syscall(SYS_pidfd_open, v->pid, 0);
	int err;

	ok(fd >= 0 && !syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0), "pidfd: the signal is sent");
	err = syscall(SYS_process_mrelease, fd, 0) ? errno : 0;
	ok(!err || err == ESRCH || err == ENOSYS, "process_mrelease(2): neither EINVAL nor EAGAIN");
	diag("process_mrelease: %s", err ? strerror(err) : "0");
	close(fd);
}

static void cpu_limit(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	setrlimit(RLIMIT_CPU, &(struct rlimit){ 1, 1 });
}

static void burn(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	for (;;)
		;
}

static void by_timer(struct victim *v, void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec soon = { .it_value = { .tv_nsec = 50000000 } };
	timer_t timer;

	(void)v;
	(void)arg;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &soon, NULL))
		_exit(1);
}

/* The tracer ends, and its tracee with it. */
static void by_exitkill(struct victim *v)
{
	pid_t tracer = fork();

	if (!tracer)
		_exit(ptrace(PTRACE_SEIZE, v->pid, NULL, PTRACE_O_EXITKILL) ? 1 : 0);
	waitpid(tracer, NULL, 0);
}

static bool has_stopped(pid_t pid)
{
	char path[64], stat[256], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	end = file_read(path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;
	return end && end[1] && end[2] == 'T';
}

/* Its parent is not told, as the stuck thread does not take part. */
static void stopped(struct victim *v)
{
	kill(v->pid, SIGSTOP);
	WAIT_UNTIL(has_stopped(v->pid), PATIENCE_MS);
	kill(v->pid, SIGKILL);
}

static void traced(struct victim *v)
{
	int status;

	ptrace(PTRACE_SEIZE, v->pid, NULL, 0);
	ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL);
	waitpid(v->pid, &status, __WALL);
	kill(v->pid, SIGKILL);
}

static void in_syscall(struct victim *v)
{
	int status;

	ptrace(PTRACE_SEIZE, v->pid, NULL, 0);
	ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL);
	waitpid(v->pid, &status, __WALL);
	ptrace(PTRACE_SYSCALL, v->pid, NULL, NULL);
	waitpid(v->pid, &status, __WALL);
	kill(v->pid, SIGKILL);
}

/* The signal comes when the thread that made the process ends. */
static void *make_and_end(void *way)
{
	struct victim *v = make(way);

	victim_go(v);
	return v;
}

static long pdeathsig(void *way)
{
	pthread_t thread;
	void *v;

	if (pthread_create(&thread, NULL, make_and_end, way) || pthread_join(thread, &v))
		bail("thread: %s", strerror(errno));
	return finish(v);
}

int main(void)
{
	static struct way ways[] = {
		{ "kill -9 twice", NULL, NULL, twice },
		{ "tgkill", NULL, NULL, by_tgkill },
		{ "killpg", own_group, NULL, by_killpg },
		{ "pidfd and process_mrelease", NULL, NULL, by_pidfd },
		{ "RLIMIT_CPU", cpu_limit, burn, NULL },
		{ "a timer", NULL, by_timer, NULL },
		{ "PTRACE_O_EXITKILL", NULL, NULL, by_exitkill },
		{ "SIGSTOP, then killed", NULL, NULL, stopped },
		{ "PTRACE_INTERRUPT, then killed", NULL, NULL, traced },
		{ "a system call's stop, then killed", NULL, NULL, in_syscall },
	};
	static struct way parent = { "PR_SET_PDEATHSIG", NULL, NULL, NULL };

	cg = cg_new("kills");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		compare_runs(ways[i].name, BACK | ENDED, scenario, &ways[i]);
	compare_runs(parent.name, BACK | ENDED, pdeathsig, &parent);
	return done();
}
