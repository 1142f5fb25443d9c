// SPDX-License-Identifier: GPL-2.0
/*
 * What comes back later than the rest of a victim: private copies of a file, and
 * mlocked pages of one. Those of an OOM victim are taken after the stock kernel's
 * delay, and the OOM killer waits for them; if they are few, they are left for the
 * exit, like those of a process that somebody else has killed.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define MUCH		(32 * MIB)
#define LITTLE		(512 * 1024)

static struct cgroup *cg;

/* Where the victim has mapped the file. */
static char **at;

struct scene {
	const char *name;
	size_t len;
	struct victim *v;
	int file, pagemap;
	long delayed, given_back, exited;
};

static void map_file(struct victim *v, void *arg)
{
	struct scene *s = arg;

	(void)v;
	*at = mmap(NULL, s->len, PROT_READ | PROT_WRITE, MAP_PRIVATE, s->file, 0);
	if (*at == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	pattern_fill(*at, s->len, PATTERN_KEY);
}

static void lock_file(struct victim *v, void *arg)
{
	struct scene *s = arg;

	(void)v;
	*at = mmap(NULL, s->len, PROT_READ, MAP_PRIVATE, s->file, 0);
	if (*at == MAP_FAILED || mlockall(MCL_CURRENT | MCL_FUTURE))
		bail("victim: mlockall: %s", strerror(errno));
}

/* A victim that will be stuck, with @len bytes of a file. */
static void begin(struct scene *s, void (*setup)(struct victim *v, void *arg), void (*run)(struct victim *v, void *arg))
{
	s->file = memfd_create("file", MFD_CLOEXEC);
	if (s->file < 0 || ftruncate(s->file, s->len))
		bail("memfd: %s", strerror(errno));
	/* Those that were before are not counted any more. */
	mr_wait_idle();
	s->delayed = mr_stat("delayed");
	s->given_back = mr_stat("given_back");
	s->exited = mr_stat("exited");
	log_mark();
	s->v = victim_new(&(struct victim_how){
		.name = "v_copies", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = setup, .run = run, .arg = s });
	s->pagemap = victim_pagemap(s->v);
	is_eq(pages_there(s->pagemap, *at, s->len), s->len / PAGE, "%s: the test sees what is mapped", s->name);
}

static bool is_stuck(const struct scene *s)
{
	return mrt_held(s->v->how.holds, s->v->pid) > 0;
}

/* It eats until it is killed. The file's own pages are charged as well. */
static void begin_oom(struct scene *s, void (*setup)(struct victim *v, void *arg))
{
	begin(s, setup, victim_eat);
	cg_limit_mib(cg, VICTIM_MIB + 2 * s->len / MIB + 16);
	victim_go(s->v);
	ok(WAIT_UNTIL(!pages_there(s->pagemap, s->v->sh->mem, VICTIM_MIB * MIB), PATIENCE_MS) && is_stuck(s),
	   "%s: its other memory comes back while it is stuck", s->name);
}

static struct reaped wait_reaped(struct scene *s)
{
	struct reaped r = { 0 };

	ok(WAIT_UNTIL(log_reaped(s->v->pid, &r), PATIENCE_MS), "%s: it is reaped", s->name);
	return r;
}

static void end(struct scene *s)
{
	close(s->file);
	close(s->pagemap);
	check_gone(s->v, s->name);
	victim_free(s->v);
	cg_set(cg, "memory.max", "max");
}

static void check_eater(struct scene *s, size_t len)
{
	struct victim *eater = victim_new(&(struct victim_how){
		.name = "v_eater", .cg = cg, .mib = 1, .run = victim_eat_some, .arg = (void *)len });

	victim_go(eater);
	ok(WAIT_UNTIL(eater->sh->word[0], PATIENCE_MS) && victim_exists(eater),
	   "%s: another process that needs the memory gets it, and lives", s->name);
	victim_free(eater);
}

static void check_taken(struct scene *s)
{
	struct reaped r = wait_reaped(s);

	is_ge(r.in_us, STOCK_DELAY_US, "%s: not done before the stock kernel's delay is over", s->name);
	is_eq(mr_stat("delayed") - s->delayed, 1, "%s: that is counted", s->name);
	ok(!pages_there(s->pagemap, *at, s->len) && is_stuck(s), "%s: then all of it is gone", s->name);
}

static void much(void)
{
	struct scene s = { .name = "OOM, much", .len = MUCH };

	begin_oom(&s, map_file);
	/* More than is free until the copies are gone. */
	check_eater(&s, 72 * MIB);
	check_taken(&s);
	end(&s);
}

/* Each returns false if the machine was so slow that the delay was over. */
static bool few(void)
{
	struct scene s = { .name = "OOM, few", .len = LITTLE };
	struct reaped r;

	begin_oom(&s, map_file);
	r = wait_reaped(&s);
	ok(pages_there(s.pagemap, *at, LITTLE) == LITTLE / PAGE || r.in_us >= STOCK_DELAY_US, "%s: they stay", s.name);
	end(&s);
	return r.in_us < STOCK_DELAY_US;
}

static bool exits(void)
{
	struct scene s = { .name = "OOM, much, it exits", .len = MUCH };
	struct reaped r;

	begin_oom(&s, map_file);
	mrt_release(s.v->how.holds);
	ok(victim_wait_exit(s.v), "%s: the victim ends", s.name);
	r = wait_reaped(&s);
	end(&s);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", s.name);
	is_eq(mr_stat("exited") - s.exited, 1, "%s: it is counted as gone", s.name);
	if (r.in_us >= STOCK_DELAY_US)
		return false;
	is_eq(mr_stat("delayed") - s.delayed, 0, "%s: and not as delayed", s.name);
	return true;
}

static void turned_off(void)
{
	struct scene s = { .name = "OOM, much, reaper turned off", .len = MUCH };

	begin_oom(&s, map_file);
	knob_set("enabled", "0");
	ok(WAIT_UNTIL(!pages_there(s.pagemap, *at, s.len), PATIENCE_MS) && is_stuck(&s), "%s: the copies are taken", s.name);
	ok((mr_stat("given_back") == s.given_back + 1 && WAIT_UNTIL(log_find("oom_reaper: reaped process "), PATIENCE_MS)) ||
	   log_find("memrescue: reaped pid=%d ", s.v->pid), "%s: by the kernel's reaper, if it was not too late", s.name);
	end(&s);
	knob_set("enabled", "1");
}

/* Reaped, as far as that goes, and then chosen by the OOM killer: now the rest is worth something. */
static void killed_then_oom(void)
{
	struct scene s = { .name = "killed, much, then OOM", .len = MUCH };

	begin(&s, map_file, NULL);
	victim_kill(s.v);
	wait_reaped(&s);
	is_eq(pages_there(s.pagemap, s.v->sh->mem, VICTIM_MIB * MIB), 0, "%s: its other memory is back", s.name);
	is_eq(pages_there(s.pagemap, *at, MUCH), MUCH / PAGE, "%s: the copies stay", s.name);
	cg_limit_mib(cg, cg_kib(cg) / KIB_PER_MIB + 8);
	check_eater(&s, 20 * MIB);
	ok(WAIT_UNTIL(!pages_there(s.pagemap, *at, MUCH), PATIENCE_MS) && is_stuck(&s), "%s: they are gone", s.name);
	/* It names the thread that is stuck. */
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process "), PATIENCE_MS), "%s: by the kernel's reaper", s.name);
	is_eq(mr_stat("given_back") - s.given_back, 1, "%s: that is counted", s.name);
	end(&s);
}

static void mlocked(void)
{
	struct scene s = { .name = "OOM, mlocked file", .len = MUCH };

	begin_oom(&s, lock_file);
	check_taken(&s);
	end(&s);
}

int main(void)
{
	cg = cg_new("copies");
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ok(mr_loaded(), "memrescue is there");
	/* None of them is stuck for that long, however slow the machine is. */
	knob_set("stuck_report_ms", "600000");
	much();
	ok(few() || few() || few(), "OOM, few: it is done before the stock kernel's delay is over");
	ok(exits() || exits() || exits(), "OOM, much, it exits: it is done before the stock kernel's delay is over");
	turned_off();
	killed_then_oom();
	if (kernel_at_least(5, 18))
		mlocked();
	else
		skip("before 5.18 mlocked memory is left for the exit", "OOM, mlocked file: it is reaped");
	return done();
}
