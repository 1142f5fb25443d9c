// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmarks of the pool measure from inside the kernel: loops of get
 * and put against the kernel's own ways to a page, the same on several CPUs, and
 * a task that allocates while it dies.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <linux/static_call.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include "internal.h"
#include "memrescue_pool_bench.h"

#define BATCHES		101
#define BATCH_PAIRS	256
#define SCALE_CHUNK	100
#define MAX_THREADS	8

static struct memrescue_pool_client *bench_client;
static mempool_t *bench_mempool;

/* Each does @n pairs, and returns false if there was no page. */

static bool pairs_nothing(unsigned int n)
{
	while (n--)
		barrier();
	return true;
}

static bool pairs_pool(unsigned int n)
{
	struct page *page;

	while (n--) {
		page = memrescue_pool_get(bench_client);
		if (!page)
			return false;
		memrescue_pool_put(bench_client, page);
	}
	return true;
}

static bool pairs_alloc(unsigned int n)
{
	struct page *page;

	while (n--) {
		page = alloc_page(GFP_NOWAIT);
		if (!page)
			return false;
		__free_page(page);
	}
	return true;
}

static bool pairs_mempool(unsigned int n)
{
	struct page *page;

	while (n--) {
		page = mempool_alloc(bench_mempool, GFP_NOWAIT);
		if (!page)
			return false;
		mempool_free(page, bench_mempool);
	}
	return true;
}

/* As many atomic operations as the pool has, on words that nobody else uses. */
static bool pairs_atomic(unsigned int n)
{
	atomic_t count = ATOMIC_INIT(0);
	unsigned long slot = 0;

	while (n--) {
		atomic_inc_return(&count);
		xchg(&slot, 0UL);
		xchg(&slot, 1UL);
		atomic_dec_return(&count);
	}
	return true;
}

#if KERNEL_VERSION(6, 18, 0) <= LINUX_VERSION_CODE
/* The kernel exports the first half of the pair only. */
DEFINE_STATIC_CALL_NULL(free_nolock, free_pages_nolock);

static int find_nolock(void)
{
	struct kprobe probe = { .symbol_name = "free_pages_nolock" };
	int err = register_kprobe(&probe);

	if (err)
		return -EOPNOTSUPP;
	static_call_update(free_nolock, (void *)probe.addr);
	unregister_kprobe(&probe);
	return 0;
}

/* It clears the page as well; MPT_CLEAR tells what that costs. */
static bool pairs_nolock(unsigned int n)
{
	struct page *page;

	while (n--) {
		page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);
		if (!page)
			return false;
		static_call(free_nolock)(page, 0);
	}
	return true;
}
#else
static int find_nolock(void)
{
	return -EOPNOTSUPP;
}

static bool pairs_nolock(unsigned int n)
{
	return false;
}
#endif

static bool pairs_clear(unsigned int n)
{
	static struct page *page;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return false;
	while (n--)
		clear_page(page_address(page));
	__free_page(page);
	return true;
}

static bool (*const pairs[MPT_LOOPS])(unsigned int n) = {
	[MPT_NOTHING]	= pairs_nothing,
	[MPT_POOL]	= pairs_pool,
	[MPT_ALLOC]	= pairs_alloc,
	[MPT_MEMPOOL]	= pairs_mempool,
	[MPT_NOLOCK]	= pairs_nolock,
	[MPT_CLEAR]	= pairs_clear,
	[MPT_ATOMIC]	= pairs_atomic,
};

/* ---- how much a pair costs ---- */

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* The median batch: the one in which an interrupt came does not count. */
static int run_count(struct mpt_bench *how)
{
	static u64 ticks[BATCHES];
	unsigned int i;
	u64 begin;

	/* The first batch fills caches and the allocator's lists. */
	if (!pairs[how->what](BATCH_PAIRS))
		return -ENOMEM;
	for (i = 0; i < BATCHES; i++) {
		begin = get_cycles();
		if (!pairs[how->what](BATCH_PAIRS))
			return -ENOMEM;
		ticks[i] = get_cycles() - begin;
		cond_resched();
	}
	sort(ticks, BATCHES, sizeof(ticks[0]), compare_u64, NULL);
	how->ticks = ticks[BATCHES / 2];
	how->pairs = BATCH_PAIRS;
	return 0;
}

/* ---- several CPUs ---- */

struct racer {
	struct task_struct *thread;
	u64 pairs;
	u64 begin_ns;
	u64 end_ns;
	bool failed;
} ____cacheline_aligned_in_smp;

static struct {
	struct racer racers[MAX_THREADS];
	unsigned int nr;
	atomic_t ready;
	bool go;
	bool stop;
	u32 what;
} race;

static int race_thread(void *arg)
{
	struct racer *racer = arg;
	u64 pairs_done = 0;

	atomic_inc(&race.ready);
	/* All of them spin before the first one begins. */
	while (!READ_ONCE(race.go) && !kthread_should_stop())
		cond_resched();
	racer->begin_ns = ktime_get_ns();
	while (!READ_ONCE(race.stop)) {
		if (!pairs[race.what](SCALE_CHUNK)) {
			racer->failed = true;
			break;
		}
		pairs_done += SCALE_CHUNK;
		cond_resched();
	}
	racer->end_ns = ktime_get_ns();
	racer->pairs = pairs_done;
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static int add_racer(unsigned int cpu)
{
	struct racer *racer = &race.racers[race.nr];

	racer->thread = kthread_create(race_thread, racer, "mpt-bench/%u", cpu);
	if (IS_ERR(racer->thread))
		return PTR_ERR(racer->thread);
	kthread_bind(racer->thread, cpu);
	wake_up_process(racer->thread);
	race.nr++;
	return 0;
}

static int add_racers(u32 cpus)
{
	unsigned int cpu;
	int err = 0;

	for (cpu = 0; cpu < 32 && !err; cpu++)
		if (cpus & BIT(cpu))
			err = cpu_online(cpu) && race.nr < MAX_THREADS ?
			      add_racer(cpu) : -EINVAL;
	return err;
}

/* Pairs in a second, from the first one's begin to the last one's end. */
static int end_race(struct mpt_bench *how)
{
	u64 begin = U64_MAX, end = 0, sum = 0;
	struct racer *racer;
	int err = 0;

	for (racer = race.racers; racer < race.racers + race.nr; racer++) {
		kthread_stop(racer->thread);
		if (racer->failed)
			err = -ENOMEM;
		sum += racer->pairs;
		begin = min(begin, racer->begin_ns);
		end = max(end, racer->end_ns);
	}
	if (!err && end <= begin)
		err = -EINVAL;
	how->pairs = err ? 0 : div64_u64(sum * NSEC_PER_SEC, end - begin);
	return err;
}

static int run_scale(struct mpt_bench *how)
{
	int err, end;

	memset(&race, 0, sizeof(race));
	race.what = how->what;
	err = add_racers(how->cpus);
	while (!err && atomic_read(&race.ready) < race.nr)
		usleep_range(500, 1000);
	WRITE_ONCE(race.go, true);
	if (!err)
		msleep(how->ms);
	WRITE_ONCE(race.stop, true);
	end = end_race(how);
	return err ?: end;
}

/* ---- a task that allocates while it dies ---- */

static struct mpt_death death;

/* Waits to be killed; then allocates @nr pages, as code on its way out might. */
static long die(unsigned long nr)
{
	struct page *page, *next;
	u64 begin;
	LIST_HEAD(pages);

	death.allocated = 0;
	WRITE_ONCE(death.pid, task_pid_nr(current));
	if (schedule_timeout_killable(60 * HZ) == 0)
		return -ETIME;
	begin = ktime_get_ns();
	while (nr--) {
		page = alloc_page(GFP_KERNEL);
		if (!page)
			continue;
		list_add(&page->lru, &pages);
		death.allocated++;
	}
	death.ns = ktime_get_ns() - begin;
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	return 0;
}

/* ---- requests ---- */

static int prepare(struct memrescue_pool_client *client, u32 what)
{
	bench_client = client;
	if (what >= MPT_LOOPS)
		return -EINVAL;
	if (what == MPT_NOLOCK)
		return find_nolock();
	if (what != MPT_MEMPOOL)
		return 0;
	bench_mempool = mempool_create_page_pool(16, 0);
	return bench_mempool ? 0 : -ENOMEM;
}

static long measure(struct memrescue_pool_client *client, unsigned int cmd,
		    void __user *arg)
{
	struct mpt_bench how;
	int err;

	if (copy_from_user(&how, arg, sizeof(how)))
		return -EFAULT;
	err = prepare(client, how.what);
	if (err)
		return err;
	err = cmd == MPT_COUNT ? run_count(&how) : run_scale(&how);
	if (how.what == MPT_MEMPOOL)
		mempool_destroy(bench_mempool);
	if (!err && copy_to_user(arg, &how, sizeof(how)))
		err = -EFAULT;
	return err;
}

/* One at a time: the benchmark sees to that. */
long bench_ioctl(struct memrescue_pool_client *client, unsigned int cmd,
		 unsigned long arg)
{
	void __user *to = (void __user *)arg;

	switch (cmd) {
	case MPT_COUNT:
	case MPT_SCALE:
		return measure(client, cmd, to);
	case MPT_DIE:
		return die(arg);
	case MPT_DEATH:
		return copy_to_user(to, &death, sizeof(death)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}
