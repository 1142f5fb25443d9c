// SPDX-License-Identifier: GPL-2.0
/*
 * Victims that cannot exit: a thread in D state, or one that holds mmap_lock.
 * What the stock kernel does with the first is measured in the same boot.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define LIMIT_MIB	56

static struct cgroup *cg;

/* From the kernel's own count of the kill to the memory's return. */
static long long oom_to_back_us(const char *enabled)
{
	struct victim_how how = {
		.name = "v_stuck", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = victim_eat,
	};
	long kills = cg_key(cg, "memory.events", "oom_kill");
	struct victim *v;
	long long start;

	knob_set("enabled", "%s", enabled);
	cg_limit_mib(cg, LIMIT_MIB);
	v = victim_new(&how);
	victim_go(v);
	if (!WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > kills, PATIENCE_MS))
		bail("no OOM kill in the victim's cgroup");
	start = now_us();
	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0,
	   "D state, reaper %s: memory is back while it is stuck", enabled[0] == '1' ? "on" : "off");
	start = now_us() - start;
	check_gone(v, enabled[0] == '1' ? "D state, reaper on" : "D state, reaper off");
	victim_free(v);
	cg_set(cg, "memory.max", "max");
	knob_set("enabled", "1");
	return start;
}

static void against_stock(void)
{
	long long stock, memrescue, again;

	log_mark();
	stock = oom_to_back_us("0");
	ok(WAIT_UNTIL(log_find("oom_reaper: reaped process"), PATIENCE_MS) && !log_find("memrescue: reaped"),
	   "D state, reaper off: the stock reaper did it");
	log_mark();
	memrescue = oom_to_back_us("1");
	/* Both lines are written after the memory is back. */
	ok(WAIT_UNTIL(log_find("memrescue: reaped"), PATIENCE_MS) && !log_find("oom_reaper: reaped process"),
	   "D state, reaper on: memrescue did it");
	/* It is hundreds of times, but for machines that have much else to do. */
	for (int i = 0; i < 5 && stock <= 5 * memrescue; i++) {
		again = oom_to_back_us("1");
		memrescue = again < memrescue ? again : memrescue;
	}
	ok(stock > 5 * memrescue, "D state: stock takes more than five times as long");
	diag("stock %lld us, memrescue %lld us", stock, memrescue);
}

static void *sleep_d_thread(void *arg)
{
	ioctl(*(int *)arg, MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return NULL;
}

/* A second stuck thread keeps the address space alive when the lock is free. */
static void start_sleeper(struct victim *v, void *arg)
{
	pthread_t thread;

	(void)v;
	if (pthread_create(&thread, NULL, sleep_d_thread, arg))
		bail("pthread_create");
}

/*
 * On kernels with per-VMA locks the memory comes back while mmap_lock is held
 * for writing. On older ones it comes back when the lock is free, even when
 * it was held for longer than the stock reaper tries (1 s, after 2 s); but then the
 * OOM killer has chosen another one by itself, as on the stock kernel.
 */
static void write_locked(bool oom)
{
	const char *name = oom ? "write lock, OOM" : "write lock, kill -9";
	static int lock_fd, sleep_fd;
	struct victim *v, *eater = NULL;

	if (!lock_fd) {
		lock_fd = mrt_open();
		sleep_fd = mrt_open();
	}
	log_mark();
	cg_limit_mib(cg, LIMIT_MIB);
	v = victim_new(&(struct victim_how){
		.name = "v_locked", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_MMAP_WRITE, .holds = lock_fd,
		.setup = start_sleeper, .arg = &sleep_fd });
	WAIT_UNTIL(mrt_held(sleep_fd, v->pid) > 0, PATIENCE_MS);
	if (oom) {
		eater = victim_new(&(struct victim_how){
			.name = "v_eater", .cg = cg, .mib = 1, .run = victim_eat_some, .arg = (void *)(20 * MIB) });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
	} else {
		victim_kill(v);
	}
	if (!kernel_has_vma_locks()) {
		sleep_ms(oom ? 1000 : 3500);
		ok(memory_there(v), "%s: no memory can come back while it is held", name);
		mrt_release(lock_fd);
	}
	if (eater) {
		ok(WAIT_UNTIL(eater->sh->word[0], PATIENCE_MS) && mrt_held(sleep_fd, v->pid) > 0,
		   "%s: another process can use the memory while the victim is stuck", name);
		ok(victim_exists(eater), "%s: and it lives", name);
		victim_free(eater);
	}
	ok(memory_back(v) && mrt_held(sleep_fd, v->pid) > 0 &&
	   (mrt_held(lock_fd, v->pid) > 0 || !kernel_has_vma_locks()),
	   "%s: memory is back while the victim %s", name, kernel_has_vma_locks() ? "holds it" : "is stuck");
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS), "%s: by memrescue", name);
	mrt_release(lock_fd);
	mrt_release(sleep_fd);
	check_gone(v, name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

static void killed(const char *name, enum stuck stuck, bool stuck_main)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_killed", .cg = cg, .mib = VICTIM_MIB, .stuck = stuck, .stuck_main = stuck_main });
	victim_kill(v);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
}

int main(void)
{
	cg = cg_new("stuck");
	ok(mr_loaded(), "memrescue is there");
	/* None of them is stuck for that long, however slow the machine is. */
	knob_set("stuck_report_ms", "600000");
	against_stock();
	killed("only thread in D state", STUCK_D, true);
	killed("mmap_lock held for reading", STUCK_MMAP_READ, false);
	write_locked(false);
	write_locked(true);
	return done();
}
