// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that die for whatever reason, and do not get on: one of their threads is
 * in D state. And those that do get on, which nobody hears of.
 */
#include "lib.h"

#define VICTIM_MIB	48
#define SHORT_LIVED	2000
#define LARGE_ONES	12

static struct cgroup *cg;

static void exit_on_signal(int sig)
{
	(void)sig;
	_exit(0);
}

static void tidy(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	signal(SIGTERM, exit_on_signal);
}

/* There is no dump to wait for. */
static void undumpable(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	prctl(PR_SET_DUMPABLE, 0);
}

static void leave_group(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	_exit(0);
}

static void abort_now(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	raise(SIGABRT);
}

static void fault(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	raise(SIGSEGV);
}

static struct victim *make(const char *name, void (*setup)(struct victim *v, void *arg),
			   void (*run)(struct victim *v, void *arg))
{
	return victim_new(&(struct victim_how){
		.name = name, .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = setup, .run = run });
}

/* It has been killed, or ends by itself. */
static void check_taken(struct victim *v, const struct mr_stats *before, const char *name)
{
	struct mr_stats s;

	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: memory is back while a thread is stuck", name);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS), "%s: by memrescue", name);
	s = mr_stats();
	is_eq(s.victims - before->victims, 1, "%s: counted once", name);
	is_eq(s.overflow - before->overflow, 0, "%s: there is room for it", name);
	mrt_release(v->how.holds);
	ok(victim_wait_exit(v), "%s: it ends when it can", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
}

static void by_signals(const char *name, int first, int second, void (*setup)(struct victim *v, void *arg))
{
	struct mr_stats before = mr_stats();
	struct victim *v = make("v_signal", setup, NULL);

	log_mark();
	kill(v->pid, first);
	if (second) {
		sleep_ms(10);
		kill(v->pid, second);
	}
	check_taken(v, &before, name);
}

static void by_itself(const char *name, void (*setup)(struct victim *v, void *arg),
		      void (*run)(struct victim *v, void *arg))
{
	struct mr_stats before = mr_stats();
	struct victim *v = make("v_itself", setup, run);

	log_mark();
	victim_go(v);
	check_taken(v, &before, name);
}

/* The reaper is turned on when it is dying already. */
static void before_enabling(const char *name, int sig, bool again)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	knob_set("enabled", "0");
	v = make("v_early", NULL, NULL);
	log_mark();
	kill(v->pid, sig);
	sleep_ms(300);
	ok(memory_there(v), "%s: its memory stays while the reaper is off", name);
	knob_set("enabled", "1");
	if (again)
		victim_kill(v);
	check_taken(v, &before, name);
}

static void short_lived(void)
{
	for (int i = 0; i < SHORT_LIVED; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			bail("fork: %s", strerror(errno));
	}
}

static void large_ones(void)
{
	for (int i = 0; i < LARGE_ONES; i++) {
		struct victim *v = victim_new(&(struct victim_how){
			.name = "v_quick", .cg = cg, .mib = VICTIM_MIB, .run = i & 1 ? leave_group : NULL });

		if (i & 1)
			victim_go(v);
		else
			victim_kill(v);
		victim_free(v);
	}
}

static void quick(void)
{
	struct mr_stats before = mr_stats(), after;

	log_mark();
	short_lived();
	large_ones();
	after = mr_stats();
	is_eq(after.overflow - before.overflow, 0, "quick exits: they do not use up the records");
	/* A machine that has much else to do may hold one up. */
	is_le(after.victims - before.victims, machine_slowness() > 1 ? LARGE_ONES / 2 : 2,
	      "quick exits: hardly any is a victim");
	is_le(log_count("memrescue: "), after.victims - before.victims, "quick exits: no more lines than victims");
}

int main(void)
{
	cg = cg_new("dying");
	ok(mr_loaded(), "memrescue is there");
	knob_set("stuck_report_ms", "600000");
	by_signals("SIGKILL", SIGKILL, 0, NULL);
	by_signals("SIGKILL twice", SIGKILL, SIGKILL, NULL);
	by_signals("SIGTERM", SIGTERM, 0, NULL);
	by_signals("SIGTERM, SIGKILL", SIGTERM, SIGKILL, NULL);
	by_signals("handler of SIGTERM", SIGTERM, 0, tidy);
	by_signals("handler of SIGTERM, SIGKILL", SIGTERM, SIGKILL, tidy);
	by_itself("exit_group()", NULL, leave_group);
	by_itself("SIGABRT", undumpable, abort_now);
	by_itself("SIGSEGV", undumpable, fault);
	before_enabling("killed before enabling", SIGKILL, false);
	before_enabling("SIGTERM before enabling", SIGTERM, false);
	before_enabling("killed before enabling, and again", SIGKILL, true);
	quick();
	return done();
}
