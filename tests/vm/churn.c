// SPDX-License-Identifier: GPL-2.0
/*
 * Victims that are busy with their address space when they are reaped: threads
 * that fault, map, unmap, move, protect, advise and fork. Nothing may break,
 * nothing may be left, and forked children keep their memory.
 */
#include "lib.h"

#define ROUNDS		24
#define THREADS		3
#define AREAS		4
#define AREA_MIB	2

static struct cgroup *cg;

enum { W_OPS, W_CHILDREN, W_CHILD_BAD };

struct area {
	char *p;
	size_t len;
};

static void area_new(struct area *a)
{
	size_t len = AREA_MIB * MIB;

	a->p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	a->len = a->p == MAP_FAILED ? 0 : len;
	if (a->len)
		pattern_fill(a->p, a->len, PATTERN_KEY);
}

static void area_cut(struct area *a)
{
	if (a->len > MIB && !munmap(a->p + a->len - MIB, MIB))
		a->len -= MIB;
}

static void area_move(struct area *a)
{
	char *p = mremap(a->p, a->len, a->len + MIB, MREMAP_MAYMOVE);

	if (p != MAP_FAILED) {
		a->p = p;
		a->len += MIB;
		pattern_fill(a->p, a->len, PATTERN_KEY);
	}
}

/* A child that looks at what it got from its parent, dead or alive. */
static void area_fork(struct victim *v, struct area *a)
{
	if (syscall(SYS_fork))
		return;
	v->sh->word[W_CHILDREN]++;
	v->sh->word[W_CHILD_BAD] += pattern_bad(a->p, a->len, PATTERN_KEY);
	syscall(SYS_exit_group, 0);
}

static void one_op(struct victim *v, struct area *a, unsigned int op)
{
	if (!a->len) {
		area_new(a);
		return;
	}
	switch (op) {
	case 0:
		munmap(a->p, a->len);
		area_new(a);
		break;
	case 1:
		area_cut(a);
		break;
	case 2:
		area_move(a);
		break;
	case 3:
		madvise(a->p, a->len, MADV_DONTNEED);
		pattern_fill(a->p, a->len, PATTERN_KEY);
		break;
	case 4:
		mprotect(a->p, a->len, PROT_READ);
		mprotect(a->p, a->len, PROT_READ | PROT_WRITE);
		pattern_fill(a->p, a->len, PATTERN_KEY);
		break;
	case 5:
		madvise(a->p, a->len, MADV_HUGEPAGE);
		break;
	case 6:
		madvise(a->p, a->len, MADV_NOHUGEPAGE);
		break;
	default:
		area_fork(v, a);
	}
}

static void *busy_thread(void *arg)
{
	struct victim *v = arg;
	struct area areas[AREAS] = { 0 };
	unsigned int seed = now_us() + syscall(SYS_gettid);

	for (;;) {
		one_op(v, &areas[rand_r(&seed) % AREAS], rand_r(&seed) % 8);
		v->sh->word[W_OPS]++;
	}
	return NULL;
}

/* Children are nobody's to wait for. */
static void be_busy(struct victim *v, void *arg)
{
	pthread_t thread;

	(void)arg;
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < THREADS - 1; i++)
		if (pthread_create(&thread, NULL, busy_thread, v))
			bail("victim: pthread_create");
	busy_thread(v);
}

struct sums {
	long ops, children, bad, rounds;
};

/* Every second victim has a thread in D state, and is certainly reaped. */
static void one_round(int round, bool oom, struct sums *sums)
{
	struct victim *v;

	v = victim_new(&(struct victim_how){
		.name = "v_churn", .cg = cg, .mib = 4, .stuck = round & 1 ? STUCK_D : STUCK_NOT, .run = be_busy });
	victim_go(v);
	if (oom) {
		long kills = cg_key(cg, "memory.events", "oom_kill");

		WAIT_UNTIL(v->sh->word[W_OPS] > 12, PATIENCE_MS);
		cg_set(cg, "memory.max", "%ld", cg_kib(cg) * 1024 / 2);
		WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > kills, PATIENCE_MS);
	} else {
		WAIT_UNTIL(v->sh->word[W_OPS] > 5, PATIENCE_MS);
		usleep(rand() % 20000);
		victim_kill(v);
	}
	usleep(rand() % 20000);
	mrt_release(mrt());
	cg_set(cg, "memory.max", "max");
	if (!victim_wait_exit(v))
		diag("round %d: the victim does not end", round);
	else
		sums->rounds++;
	sums->ops += v->sh->word[W_OPS];
	WAIT_UNTIL(cg_empty(cg), PATIENCE_MS);
	sums->children += v->sh->word[W_CHILDREN];
	sums->bad += v->sh->word[W_CHILD_BAD];
	victim_free(v);
}

static void churn(const char *name, bool oom, int rounds)
{
	struct mr_stats before = mr_stats(), after;
	struct sums sums = { 0 };

	log_mark();
	for (int i = 0; i < rounds; i++)
		one_round(i, oom, &sums);
	is_eq(sums.rounds, rounds, "%s: every victim ends", name);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	after = mr_stats();
	diag("%ld operations, %ld children; %ld victims, %ld reaped", sums.ops, sums.children,
	     after.victims - before.victims, after.reaped - before.reaped);
	is_ge(after.reaped - before.reaped, rounds / 2, "%s: those in D state were reaped", name);
	ok(sums.children > 0 && !sums.bad, "%s: the memory of forked children is intact", name);
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing is left in the cgroup", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
}

int main(int argc, char **argv)
{
	int rounds = ROUNDS * soak_factor(argc, argv);

	ok(mr_loaded(), "memrescue is there");
	cg = cg_new("churn");
	cg_set(cg, "memory.swap.max", "0");
	srand(now_us());
	knob_set("kill_min_kb", "0");
	churn("kill -9", false, rounds);
	churn("memcg OOM", true, rounds);
	return done();
}
