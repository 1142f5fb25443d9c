// SPDX-License-Identifier: GPL-2.0
/*
 * Start and stop of the pool, its shrinker, CPUs that come and go, knobs, and
 * what it says about itself.
 *
 * Context: process context, may sleep, where not said otherwise. Lock order: see
 * internal.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#define CREATE_TRACE_POINTS
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include "compat/fault.h"
#include "compat/irq_work.h"
#include "compat/shrinker.h"
#include "pool/internal.h"
#include "pool/size.h"
#include "pool/trace.h"

struct memrescue_pool_knobs memrescue_pool_knobs = {
	.base_pages = POOL_SIZE_SCALED(12, PAGE_SHIFT, 2),
	.rescue_pages = POOL_SIZE_SCALED(4, PAGE_SHIFT, 1),
	.cap_pages = 0,		/* memrescue_pool_init() asks the machine */
	.cap_percent = 1,
};

struct memrescue_pool_stats memrescue_pool_stats;

struct pool memrescue_pool;

static struct shrinker *shrinker;
static int state_online = -1, state_dead = -1;

/* ---- shelves and racks ---- */

static int init_rack(struct pool_rack *rack, int nid, unsigned int pages)
{
	rack->nr = DIV_ROUND_UP(pages, SHELF_SLOTS);
	rack->shelves = kvmalloc_node(array_size(rack->nr,
						 sizeof(*rack->shelves)),
				      GFP_KERNEL | __GFP_ZERO, nid);
	return rack->shelves ? 0 : -ENOMEM;
}

static int init_node(int nid, unsigned int pages)
{
	struct pool_node *node = kzalloc_node(sizeof(*node), GFP_KERNEL, nid);

	if (!node)
		return -ENOMEM;
	memrescue_pool.nodes[nid] = node;
	node->nid = nid;
	compat_init_irq_work_hard(&node->kick, memrescue_pool_kick_irq);
	INIT_DELAYED_WORK(&node->refill, memrescue_pool_refill);
	if (init_rack(&node->common, nid, pages) ||
	    init_rack(&node->reserve, nid, POOL_MAX_RESERVED(pages) + 1))
		return -ENOMEM;
	return 0;
}

static int init_nodes(void)
{
	unsigned int nr = num_node_state(N_NORMAL_MEMORY);
	int nid, err = 0;

	for_each_node_state(nid, N_NORMAL_MEMORY) {
		err = init_node(nid, DIV_ROUND_UP(memrescue_pool.max_pages,
						  nr));
		if (err)
			break;
	}
	return err;
}

static int init_cpus(void)
{
	struct pool_cpu *cpu;
	int i;

	memrescue_pool.cpus = alloc_percpu(struct pool_cpu);
	if (!memrescue_pool.cpus)
		return -ENOMEM;
	for_each_possible_cpu(i) {
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		cpu->nid = cpu_to_mem(i);
		if (cpu->nid < 0 || !memrescue_pool.nodes[cpu->nid])
			cpu->nid = first_node(node_states[N_NORMAL_MEMORY]);
	}
	return 0;
}

static void drain_rack(struct pool_rack *rack)
{
	struct page *page;

	while (rack->shelves && (page = pool_rack_take(rack)))
		memrescue_pool_free(page);
	kvfree(rack->shelves);
}

/* Nobody takes or puts pages any more. */
static void free_stores(void)
{
	struct pool_node *node;
	struct pool_cpu *cpu;
	struct page *page;
	int i;

	memrescue_pool_free_dropped();
	memrescue_pool.pairs = 0;
	memrescue_pool_trim_pairs();
	for_each_possible_cpu(i) {
		if (!memrescue_pool.cpus)
			break;
		cpu = per_cpu_ptr(memrescue_pool.cpus, i);
		while ((page = pool_shelf_take(&cpu->shelf)))
			memrescue_pool_free(page);
	}
	free_percpu(memrescue_pool.cpus);
	memrescue_pool.cpus = NULL;
	for_each_pool_node(node, i) {
		drain_rack(&node->common);
		drain_rack(&node->reserve);
		kfree(node);
		memrescue_pool.nodes[i] = NULL;
	}
}

/* ---- CPUs that come and go ---- */

/*
 * No lock is taken here: whoever holds one may wait for a CPU. The workers look
 * at how many there are.
 */
static int cpu_comes(unsigned int nr)
{
	memrescue_pool_kick_all();
	return 0;
}

/* Its pages go where others find them sooner. */
static int cpu_is_dead(unsigned int nr)
{
	struct pool_cpu *cpu = per_cpu_ptr(memrescue_pool.cpus, nr);
	struct page *page;

	while ((page = pool_shelf_take(&cpu->shelf)))
		if (!memrescue_pool_stock_common(page))
			memrescue_pool_free(page);
	memrescue_pool_kick_all();
	return 0;
}

static int watch_cpus(void)
{
	int err = memrescue_fault("cpuhp");

	if (!err)
		err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
						"mm/memrescue:dead", NULL,
						cpu_is_dead);
	if (err < 0)
		return err;
	state_dead = err;
	err = memrescue_fault("cpuhp-online");
	if (!err)
		err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
						"mm/memrescue:online",
						cpu_comes, NULL);
	if (err < 0) {
		cpuhp_remove_state_nocalls(state_dead);
		return err;
	}
	state_online = err;
	return 0;
}

static void unwatch_cpus(void)
{
	cpuhp_remove_state_nocalls(state_online);
	cpuhp_remove_state_nocalls(state_dead);
}

/* ---- shrinker ---- */

static unsigned long count_objects(struct shrinker *shrinker,
				   struct shrink_control *control)
{
	return memrescue_pool_surplus(control->nid) ?: SHRINK_EMPTY;
}

static unsigned long scan_objects(struct shrinker *shrinker,
				  struct shrink_control *control)
{
	return memrescue_pool_shrink(control->nid, control->nr_to_scan) ?:
	       SHRINK_STOP;
}

static int init_shrinker(void)
{
	int err = memrescue_fault("shrinker");

	if (err)
		return err;
	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "memrescue-pool");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_objects;
	shrinker->scan_objects = scan_objects;
	err = compat_shrinker_register(shrinker);
	if (err)
		shrinker_free(shrinker);
	return err;
}

/* ---- start and stop ---- */

/* Enough for the base and a little more, however small the machine is. */
static unsigned int choose_max(unsigned int max_pages)
{
	unsigned long two_percent = totalram_pages() / 50;

	if (!max_pages)
		max_pages = min_t(unsigned long, two_percent,
				  POOL_SIZE_SCALED(POOL_DEFAULT_PAGES,
						   PAGE_SHIFT, 1));
	return max_t(unsigned int, max_pages,
		     num_possible_cpus() * 4 * POOL_MAX_BASE);
}

static int init_stores(unsigned int max_pages)
{
	int err = memrescue_fault("pool") ? -ENOMEM : 0;

	memrescue_pool.max_pages = choose_max(max_pages);
	memrescue_pool_knobs.cap_pages = memrescue_pool.max_pages;
	if (!err)
		err = init_nodes();
	if (!err)
		err = init_cpus();
	if (err)
		free_stores();
	return err;
}

static void start(void)
{
	mutex_lock(&memrescue_pool.lock);
	memrescue_pool_resize();
	mutex_unlock(&memrescue_pool.lock);
	WRITE_ONCE(memrescue_pool.running, true);
	memrescue_pool_kick_all();
}

static void stop(void)
{
	struct pool_node *node;
	int nid, round;

	WRITE_ONCE(memrescue_pool.running, false);
	/* What was queued before the flag was seen may queue once more. */
	for (round = 0; round < 2; round++) {
		for_each_pool_node(node, nid) {
			irq_work_sync(&node->kick);
			cancel_delayed_work_sync(&node->refill);
		}
		cancel_delayed_work_sync(&memrescue_pool.tend);
	}
}

/**
 * memrescue_pool_init() - allocate everything, and begin to fill it
 * @max_pages: room for so many pages, the largest cap; 0: two percent of the
 *	machine's memory, at most POOL_DEFAULT_PAGES
 *
 * Context: module load; may sleep.
 * Return: 0 or a negative errno, after a message.
 */
int memrescue_pool_init(unsigned int max_pages)
{
	int err;

	if (max_pages > POOL_MAX_PAGES) {
		pr_err("pool_max_pages=%u is more than %u\n", max_pages,
		       POOL_MAX_PAGES);
		return -EINVAL;
	}
	mutex_init(&memrescue_pool.lock);
	INIT_LIST_HEAD(&memrescue_pool.clients);
	init_llist_head(&memrescue_pool.dropped);
	INIT_DELAYED_WORK(&memrescue_pool.tend, memrescue_pool_tend);
	err = init_stores(max_pages);
	if (err)
		goto err_report;
	memrescue_pool.wq = alloc_workqueue("memrescue_pool", WQ_UNBOUND |
					    WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	err = -ENOMEM;
	if (!memrescue_pool.wq)
		goto err_free_stores;
	err = memrescue_pool_client_init();
	if (err)
		goto err_destroy_wq;
	err = init_shrinker();
	if (err)
		goto err_exit_client;
	err = watch_cpus();
	if (err)
		goto err_free_shrinker;
	start();
	return 0;

err_free_shrinker:
	shrinker_free(shrinker);
err_exit_client:
	memrescue_pool_client_exit();
err_destroy_wq:
	destroy_workqueue(memrescue_pool.wq);
err_free_stores:
	free_stores();
err_report:
	pr_err("the page pool cannot be set up (%d)\n", err);
	return err;
}

/**
 * memrescue_pool_exit() - undo memrescue_pool_init(); all pages are freed
 *
 * Context: module unload; may sleep. Nobody else is a client: modules that are
 * hold this one.
 */
void memrescue_pool_exit(void)
{
	unwatch_cpus();
	shrinker_free(shrinker);
	stop();
	memrescue_pool_client_exit();
	destroy_workqueue(memrescue_pool.wq);
	free_stores();
}

/* ---- knobs and statistics ---- */

/* Is there room for the base, and for what was promised? */
static bool knobs_are_good(void)
{
	struct memrescue_pool_client *client;
	u64 promised = memrescue_pool_pairs_target();

	list_for_each_entry(client, &memrescue_pool.clients, link)
		if (client != memrescue_pool.rescue)
			promised += client->quota;
	promised += memrescue_pool_knobs.rescue_pages * num_present_cpus();
	return memrescue_pool_cap() >= memrescue_pool_knobs.base_pages *
				       num_present_cpus() &&
	       promised <= memrescue_pool_most_reserved();
}

/**
 * memrescue_pool_set() - change a knob
 * @knob: in memrescue_pool_knobs
 * @value: within the knob's own bounds
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENOSPC if base, rescue share and what clients were guaranteed
 * are then more than the cap; nothing has changed then.
 */
int memrescue_pool_set(unsigned int *knob, unsigned int value)
{
	unsigned int old;
	int err = 0;

	mutex_lock(&memrescue_pool.lock);
	old = *knob;
	WRITE_ONCE(*knob, value);
	if (!knobs_are_good()) {
		WRITE_ONCE(*knob, old);
		err = -ENOSPC;
	}
	memrescue_pool_resize();
	mutex_unlock(&memrescue_pool.lock);
	if (!err) {
		memrescue_pool_kick_all();
		mod_delayed_work(memrescue_pool.wq, &memrescue_pool.tend, 0);
	}
	return err;
}

/**
 * memrescue_pool_now() - what is in the pool
 * @now: filled
 *
 * Context: process context, may sleep.
 */
void memrescue_pool_now(struct memrescue_pool_now *now)
{
	struct memrescue_pool_client *client;
	struct pool_client_counts sum;

	memset(now, 0, sizeof(*now));
	mutex_lock(&memrescue_pool.lock);
	now->common = memrescue_pool_common();
	now->reserved = memrescue_pool_reserved();
	now->target = memrescue_pool_target();
	memrescue_pool.peak = max(memrescue_pool.peak,
				  now->common + now->reserved);
	now->peak = memrescue_pool.peak;
	now->cap = memrescue_pool_cap();
	sum = memrescue_pool.past;
	list_for_each_entry(client, &memrescue_pool.clients, link)
		memrescue_pool_client_add(client, &sum);
	now->gets = sum.gets;
	now->misses = sum.misses;
	now->puts = sum.puts;
	now->handed_over = sum.handed_over;
	mutex_unlock(&memrescue_pool.lock);
}

/**
 * memrescue_pool_node_table() - the nodes as text, one line each
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: process context.
 * Return: bytes written; whole lines only, and "..." if that are not all.
 */
ssize_t memrescue_pool_node_table(char *buf, size_t size)
{
	struct pool_node *node;
	ssize_t len;
	int nid;

	len = scnprintf(buf, size, "node common target reserved\n");
	for_each_pool_node(node, nid) {
		if (size - len < 64) {
			len += scnprintf(buf + len, size - len, "...\n");
			break;
		}
		len += scnprintf(buf + len, size - len, "%d %lu %u %u\n", nid,
				 memrescue_pool_node_common(node),
				 memrescue_pool_node_target(node),
				 pool_rack_stock(&node->reserve));
	}
	return len;
}
