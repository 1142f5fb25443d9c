// SPDX-License-Identifier: GPL-2.0
/*
 * Victims that are busy with their address space when they are reaped: threads
 * that fault, map, unmap, move, protect, advise and fork. Nothing may break,
 * nothing may be left, and forked children keep their memory.
 */
#include "lib.h"

#define ROUNDS		16
#define THREADS		3
#define AREAS		4
#define STEP_KIB	64
#define OPS_BEFORE	60	/* that are done before a victim is killed, and as many again at random */

static struct cgroup *cg;

enum { W_STARTED, W_CHILDREN, W_CHILD_BAD };

/* What they do, and how often each was done, in all victims together. */
enum op { OP_MAP, OP_CUT, OP_MOVE, OP_DISCARD, OP_PROTECT, OP_HUGE, OP_SMALL, OP_FORK, OPS };
static const char *const op_names[OPS] = {
	"munmap and mmap", "munmap of the end", "mremap", "MADV_DONTNEED", "mprotect", "MADV_HUGEPAGE", "MADV_NOHUGEPAGE", "fork",
};

struct shared {
	_Atomic long ops[OPS];
};

static struct shared *shared;

struct area {
	char *p;
	size_t len, first;
};

static void area_fill(struct area *a)
{
	pattern_fill(a->p, a->len, PATTERN_KEY);
}

static bool area_new(struct area *a)
{
	a->p = mmap(NULL, a->first, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	a->len = a->p == MAP_FAILED ? 0 : a->first;
	if (a->len)
		area_fill(a);
	return a->len != 0;
}

static bool area_cut(struct area *a)
{
	size_t step = STEP_KIB * 1024;

	if (a->len <= step || munmap(a->p + a->len - step, step))
		return false;
	a->len -= step;
	return true;
}

/* Forth, where there is no room behind it to grow, and back to its first size. */
static bool area_move(struct area *a)
{
	size_t len = a->len < 2 * a->first ? a->len + STEP_KIB * 1024 : a->first;
	char *p = mremap(a->p, a->len, len, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return false;
	a->p = p;
	a->len = len;
	area_fill(a);
	return true;
}

/* A child that looks at what it got from its parent, dead or alive. */
static bool area_fork(struct victim *v, struct area *a)
{
	long pid = syscall(SYS_fork);

	if (pid)
		return pid > 0;
	v->sh->word[W_CHILDREN]++;
	v->sh->word[W_CHILD_BAD] += pattern_bad(a->p, a->len, PATTERN_KEY);
	syscall(SYS_exit_group, 0);
	return false;
}

static bool one_op(struct victim *v, struct area *a, enum op op)
{
	switch (op) {
	case OP_MAP:
		return !munmap(a->p, a->len) && area_new(a);
	case OP_CUT:
		return area_cut(a);
	case OP_MOVE:
		return area_move(a);
	case OP_DISCARD:
		if (madvise(a->p, a->len, MADV_DONTNEED))
			return false;
		area_fill(a);
		return true;
	case OP_PROTECT:
		if (mprotect(a->p, a->len, PROT_READ) || mprotect(a->p, a->len, PROT_READ | PROT_WRITE))
			return false;
		area_fill(a);
		return true;
	case OP_HUGE:
		return !madvise(a->p, a->len, MADV_HUGEPAGE);
	case OP_SMALL:
		return !madvise(a->p, a->len, MADV_NOHUGEPAGE);
	default:
		return area_fork(v, a);
	}
}

static void *busy_thread(void *arg)
{
	struct victim *v = arg;
	struct area areas[AREAS];
	unsigned int seed = now_us() + syscall(SYS_gettid);

	/* One that may have huge pages, and smaller ones, with which more happens in the same time. */
	for (int i = 0; i < AREAS; i++) {
		areas[i].first = i ? 4 * STEP_KIB * 1024 : 4 * MIB;
		if (!area_new(&areas[i]))
			bail("victim: mmap");
	}
	v->sh->word[W_STARTED]++;
	for (;;) {
		enum op op = rand_r(&seed) % OPS;

		if (one_op(v, &areas[rand_r(&seed) % AREAS], op))
			shared->ops[op]++;
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

static long ops_done(void)
{
	long n = 0;

	for (int op = 0; op < OPS; op++)
		n += shared->ops[op];
	return n;
}

struct sums {
	long children, bad, ended, stuck, reaped;
};

/* In the middle of what its threads do. */
static void kill_busy(struct victim *v, bool oom)
{
	long least = ops_done() + OPS_BEFORE + rand() % OPS_BEFORE;

	if (!WAIT_UNTIL(v->sh->word[W_STARTED] == THREADS && ops_done() >= least, PATIENCE_MS))
		bail("the threads are not busy");
	if (oom) {
		/* A forked child may be killed first, and not be enough. */
		cg_set(cg, "memory.max", "%ld", cg_kib(cg) * 1024 / 2);
		if (!WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS))
			victim_kill(v);
	} else {
		victim_kill(v);
	}
}

/* Every second victim has a thread in D state, and does not exit before it is reaped. */
static void one_round(int round, bool oom, struct sums *sums)
{
	bool stuck = round & 1;
	struct victim *v;

	v = victim_new(&(struct victim_how){
		.name = "v_churn", .cg = cg, .mib = 4, .stuck = stuck ? STUCK_D : STUCK_NOT, .run = be_busy });
	victim_go(v);
	kill_busy(v, oom);
	if (stuck) {
		sums->stuck++;
		sums->reaped += WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) &&
				mrt_held(mrt(), v->pid) > 0;
	}
	mrt_release(mrt());
	cg_set(cg, "memory.max", "max");
	if (!victim_wait_exit(v))
		diag("round %d: the victim does not end", round);
	else
		sums->ended++;
	WAIT_UNTIL(cg_empty(cg), PATIENCE_MS);
	sums->children += v->sh->word[W_CHILDREN];
	sums->bad += v->sh->word[W_CHILD_BAD];
	victim_free(v);
}

static void check_op(enum op op, int least, const char *name)
{
	if ((op == OP_HUGE || op == OP_SMALL) && !file_exists("/sys/kernel/mm/transparent_hugepage"))
		skip("the kernel has no transparent huge pages", "%s: the threads did their %s", name, op_names[op]);
	else
		is_ge(shared->ops[op], least, "%s: the threads did their %s", name, op_names[op]);
}

static void churn(const char *name, bool oom, int rounds)
{
	struct mr_stats before = mr_stats(), after;
	struct sums sums = { 0 };

	log_mark();
	memset(shared, 0, sizeof(*shared));
	for (int i = 0; i < rounds; i++)
		one_round(i, oom, &sums);
	is_eq(sums.ended, rounds, "%s: every victim ends", name);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	after = mr_stats();
	diag("%ld children; %ld victims, %ld of them of the OOM killer, %ld reaped", sums.children,
	     after.victims - before.victims, after.victims_oom - before.victims_oom, after.reaped - before.reaped);
	/* One that is quick is gone before anybody looks. */
	is_ge(oom ? after.victims_oom - before.victims_oom : after.victims_killed - before.victims_killed, rounds / 2,
	      "%s: at least half are victims of that kind", name);
	is_eq(sums.reaped, sums.stuck, "%s: those in D state were reaped, while they were", name);
	for (int op = 0; op < OPS; op++)
		check_op(op, rounds, name);
	ok(sums.children > 0 && !sums.bad, "%s: the memory of forked children is intact", name);
	ok(cg_wait_below(cg, 1024, PATIENCE_MS), "%s: nothing is left in the cgroup", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* It makes huge pages of what the threads have written, all the time. */
static void wake_khugepaged(void)
{
	file_set(KHUGEPAGED "scan_sleep_millisecs", "0");
	file_set(KHUGEPAGED "alloc_sleep_millisecs", "0");
	file_set(KHUGEPAGED "pages_to_scan", "100000");
}

int main(int argc, char **argv)
{
	long collapsed;

	int rounds = ROUNDS * soak_factor(argc, argv) / (machine_slowness() > 1 ? 2 : 1);

	ok(mr_loaded(), "memrescue is there");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	cg = cg_new("churn");
	cg_set(cg, "memory.swap.max", "0");
	srand(now_us());
	knob_set("kill_min_kb", "0");
	wake_khugepaged();
	collapsed = file_long(KHUGEPAGED "pages_collapsed", 0);
	churn("kill -9", false, rounds);
	churn("memcg OOM", true, rounds);
	if (file_exists(KHUGEPAGED))
		is_ge(file_long(KHUGEPAGED "pages_collapsed", 0) - collapsed, 1, "khugepaged was at work meanwhile");
	else
		skip("the kernel has no transparent huge pages", "khugepaged was at work meanwhile");
	diag("%ld huge pages made", file_long(KHUGEPAGED "pages_collapsed", 0) - collapsed);
	return done();
}
