// SPDX-License-Identifier: GPL-2.0
/*
 * Start and stop of the reaper, and what it says about itself.
 *
 * Context: process context, may sleep. Lock order: see victim.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#define CREATE_TRACE_POINTS
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "compat/fault.h"
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/little.h"
#include "reaper/oom_victims.h"
#include "reaper/trace.h"
#include "reaper/victim.h"

struct memrescue_reaper_knobs memrescue_reaper_knobs = {
	.kill_min_kb = 32 * 1024,
	.stuck_report_ms = 5000,
	.parallel_min_kb = 128 * 1024,
	.range_kb = 32 * 1024,
	.max_workers = 1,	/* memrescue_reaper_init() asks the machine */
};

struct memrescue_reaper_stats memrescue_reaper_stats;

struct reaper memrescue_reaper;

const struct memrescue_sink memrescue_reaper_sink = {
	.victim = memrescue_record_claim,
	.is_large = memrescue_record_is_large,
	.spare = memrescue_spare,
};

/* Each may have to take all records. */
#define HEAPS	7u

static void give_places(struct reaper *r)
{
	struct heap_node **places = r->places;
	struct heap *heaps[HEAPS] = {
		&r->turns[0].later, &r->turns[0].oldest, &r->turns[0].heaviest,
		&r->turns[1].later, &r->turns[1].oldest, &r->turns[1].heaviest,
		&r->looks,
	};
	unsigned int i;

	for (i = 0; i < HEAPS; i++, places += r->nr_records)
		heaps[i]->nodes = places;
}

static int alloc_records(struct reaper *r, unsigned int records)
{
	unsigned int i;

	r->records = kvcalloc(records, sizeof(*r->records), GFP_KERNEL);
	r->used = bitmap_zalloc(records, GFP_KERNEL);
	r->places = kvcalloc(records, HEAPS * sizeof(*r->places), GFP_KERNEL);
	if (!r->records || !r->used || !r->places || memrescue_fault("records"))
		return -ENOMEM;
	r->nr_records = records;
	for (i = 0; i < records; i++)
		memrescue_record_reset(&r->records[i]);
	give_places(r);
	return 0;
}

static void free_records(struct reaper *r)
{
	kvfree(r->places);
	bitmap_free(r->used);
	kvfree(r->records);
}

static void free_queues(struct reaper *r)
{
	if (r->late_wq)
		destroy_workqueue(r->late_wq);
	if (r->killed_wq)
		destroy_workqueue(r->killed_wq);
	if (r->wq)
		destroy_workqueue(r->wq);
	r->late_wq = NULL;
	r->killed_wq = NULL;
	r->wq = NULL;
}

/*
 * Kernels from 6.9 on share out what may be active among the nodes. Three queues: one
 * for victims of the OOM killer; one, of normal priority, for the others; and one so
 * that neither the workers nor, when no thread can be made, the one rescuer
 * wait for a slow console. Nothing is zapped while the machine is being frozen, like
 * by the kernel's reaper.
 */
static int alloc_queues(struct reaper *r)
{
	const unsigned int flags = WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_SYSFS;
	int active = min(WQ_MAX_ACTIVE,
			 (int)(REAPER_MAX_WORKERS + 2) * nr_node_ids);

	if (!memrescue_fault("workqueue"))
		r->wq = alloc_workqueue("memrescue",
					flags | WQ_HIGHPRI | WQ_FREEZABLE,
					active);
	if (!memrescue_fault("workqueue-killed"))
		r->killed_wq = alloc_workqueue("memrescue_killed",
					       flags | WQ_FREEZABLE, active);
	if (!memrescue_fault("workqueue-late"))
		r->late_wq = alloc_workqueue("memrescue_late",
					     flags | WQ_HIGHPRI, 1);
	if (r->wq && r->killed_wq && r->late_wq)
		return 0;
	free_queues(r);
	return -ENOMEM;
}

/*
 * Without the locks of VMAs memrescue can do no more for a victim whose mmap_lock is
 * held than the stock reaper: nobody waits for it for longer.
 */
#define STUCK_STOCK_MS	3000u

/**
 * memrescue_reaper_init() - allocate everything that it will ever need
 * @records: victims at once, REAPER_MIN_RECORDS to REAPER_MAX_RECORDS
 *
 * Context: module load; may sleep.
 * Return: 0; -EINVAL for a bad number, -ENOMEM.
 */
int memrescue_reaper_init(unsigned int records)
{
	struct reaper *r = &memrescue_reaper;
	unsigned int i;
	int err;

	if (records < REAPER_MIN_RECORDS || records > REAPER_MAX_RECORDS) {
		pr_err("records=%u is not within %u to %u\n", records,
		       REAPER_MIN_RECORDS, REAPER_MAX_RECORDS);
		return -EINVAL;
	}
	spin_lock_init(&r->lock);
	r->hide_next = jiffies;
	INIT_LIST_HEAD(&r->fresh);
	INIT_LIST_HEAD(&r->prints);
	INIT_LIST_HEAD(&r->hidable);
	INIT_LIST_HEAD(&r->hiding);
	init_llist_head(&r->incoming);
	INIT_DELAYED_WORK(&r->janitor, memrescue_janitor);
	INIT_DELAYED_WORK(&r->retry, memrescue_retry);
	INIT_DELAYED_WORK(&r->killed_retry, memrescue_killed_retry);
	INIT_DELAYED_WORK(&r->look, memrescue_killed_retry);
	for (i = 0; i < REAPER_WORKERS; i++) {
		r->workers[i].index = i;
		INIT_WORK(&r->workers[i].work, memrescue_worker);
	}
	if (!memrescue_ksym_has(KSYM_LOCK_VMA))
		memrescue_reaper_knobs.stuck_report_ms = STUCK_STOCK_MS;
	memrescue_reaper_knobs.max_workers =
		min(num_online_cpus(), REAPER_MAX_WORKERS);
	err = alloc_records(r, records);
	if (err) {
		pr_err("no memory for %u records\n", records);
		goto err_free_records;
	}
	err = alloc_queues(r);
	if (err) {
		pr_err("the workqueues cannot be made\n");
		goto err_free_records;
	}
	return 0;

err_free_records:
	free_records(r);
	return err;
}

/**
 * memrescue_reaper_exit() - undo memrescue_reaper_init()
 *
 * Context: module unload, after memrescue_reaper_stop() and with all hooks
 * detached; may sleep.
 */
void memrescue_reaper_exit(void)
{
	struct reaper *r = &memrescue_reaper;

	free_queues(r);
	free_records(r);
}

/**
 * memrescue_reaper_start() - let hooks claim records
 *
 * Context: process context, before the hooks are attached.
 */
void memrescue_reaper_start(void)
{
	WRITE_ONCE(memrescue_reaper.running, true);
}

/* Context: no work item runs any more. */
static void drop(struct reaper *r, struct victim *v)
{
	if (v->state == VICTIM_RETURNED && v->log)
		memrescue_log_victim(v);
	if (v->hide) {
		v->little = memrescue_has_little(v);
		spin_lock(&r->lock);
		if (memrescue_may_hide(v))
			memrescue_hide(v);
		spin_unlock(&r->lock);
	}
	/* The kernel's reaper hides it when it is time. */
	if (v->state != VICTIM_RETURNED || v->give_back || v->hide)
		memrescue_give_back(v);
	memrescue_record_free(v);
}

static void drop_all(struct reaper *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_records; i++) {
		if (r->records[i].active)
			drop(r, &r->records[i]);
		cond_resched();
	}
}

/**
 * memrescue_reaper_stop() - hand every unfinished victim to the kernel
 *
 * Context: process context, with all hooks detached; may sleep. It waits for
 * steps under way: some milliseconds each.
 */
void memrescue_reaper_stop(void)
{
	struct reaper *r = &memrescue_reaper;
	unsigned int i, round;

	WRITE_ONCE(r->running, false);
	/*
	 * Twice: work items that looked at the flag before may still queue each
	 * other during the first round. What they queued sees
	 * the flag, and queues nothing.
	 */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < REAPER_WORKERS; i++)
			cancel_work_sync(&r->workers[i].work);
		cancel_delayed_work_sync(&r->janitor);
		cancel_delayed_work_sync(&r->retry);
		cancel_delayed_work_sync(&r->killed_retry);
		cancel_delayed_work_sync(&r->look);
	}
	/* Every worker has ended: the records are this function's alone. */
	WARN_ON_ONCE(READ_ONCE(r->busy));
	memrescue_queue_incoming();
	drop_all(r);
	memrescue_oom_victims_clear();
}

/* So many records are looked at with the lock held. */
#define NOW_BATCH	64u

/* Context: reaper.lock held. */
static void add_now(struct memrescue_reaper_now *now, const struct victim *v)
{
	if (v->state == VICTIM_RETURNED) {
		now->exiting++;
		return;
	}
	/* Not a victim yet. */
	if (v->state == VICTIM_SETTLING ||
	    (v->state == VICTIM_QUEUED && !v->oom))
		return;
	now->in_flight++;
	/* Approximately: an exact sum takes time under the lock. */
	if (v->state != VICTIM_QUEUED)
		now->expected_pages += get_mm_rss(v->mm);
}

/**
 * memrescue_reaper_now() - what is going on
 * @now: filled
 *
 * Some records after the others: what changes meanwhile may be seen or not.
 *
 * Context: process context; may sleep.
 */
void memrescue_reaper_now(struct memrescue_reaper_now *now)
{
	struct reaper *r = &memrescue_reaper;
	unsigned int i, end;

	memset(now, 0, sizeof(*now));
	for (i = 0; i < r->nr_records; cond_resched()) {
		end = min(i + NOW_BATCH, r->nr_records);
		spin_lock(&r->lock);
		for (; i < end; i++)
			/* Pairs with memrescue_queue_incoming(). */
			if (smp_load_acquire(&r->records[i].active))
				add_now(now, &r->records[i]);
		spin_unlock(&r->lock);
	}
	spin_lock(&r->lock);
	now->workers_used = r->workers_used;
	spin_unlock(&r->lock);
}
