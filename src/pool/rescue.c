// SPDX-License-Identifier: GPL-2.0
/*
 * Who is rescued without asking: decides for an allocation that has come to the
 * allocator's slow path whether it is given a page of the pool.
 *
 *   dying     tasks that were killed: the sooner they are gone the better. From
 *             the common part, then from half of the rescue share, so many in a
 *             second at most
 *   lifeline  tasks of cgroups that the administrator named: from their own share
 *             only, so many in a second at most
 *             (two pages that belong together are counted as lifeline-pair)
 *             What may fail is not given a page to either: it fails, before it
 *             reclaims
 *   atomic    allocations that cannot wait and have failed: from the common part
 *
 * Context: like an NMI, where not said otherwise: no lock, no printing.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "compat/alloc.h"
#include "pool/internal.h"
#include "pool/rate.h"
#include "pool/rescue.h"
#include "pool/size.h"
#include "pool/trace.h"

/* Pages in a row that cannot be handed out, before it is given up. */
#define TRIES	4

struct memrescue_rescue_knobs memrescue_rescue_knobs = {
	.dying = 1,
	.dying_rate_pages = POOL_SIZE_SCALED(8192, PAGE_SHIFT, 1024),
	.atomic = 0,
	.lifeline_pages = POOL_SIZE_SCALED(1024, PAGE_SHIFT, 256),
	.lifeline_rate_pages = POOL_SIZE_SCALED(8192, PAGE_SHIFT, 1024),
};

static const char *const names[RESCUE_CLASSES] = {
	[RESCUE_DYING] = "dying",
	[RESCUE_LIFELINE] = "lifeline",
	[RESCUE_PAIR] = "lifeline-pair",
	[RESCUE_ATOMIC] = "atomic",
};

static struct memrescue_rescue_counts counts[RESCUE_CLASSES];

static struct pool_rate dying_rate, lifeline_rate;

/* On its way out, and not because it wanted to: its exit code is a signal. */
static bool is_torn_down(void)
{
	const struct signal_struct *signal = current->signal;

	return (current->flags & PF_EXITING) &&
	       (READ_ONCE(signal->flags) & SIGNAL_GROUP_EXIT) &&
	       (READ_ONCE(signal->group_exit_code) & 0x7f);
}

/* Of those that are to be rescued. */
static bool is_dying(void)
{
	return READ_ONCE(memrescue_rescue_knobs.dying) &&
	       (fatal_signal_pending(current) || tsk_is_oom_victim(current) ||
		is_torn_down());
}

/* The other half is for critical clients, however many tasks die. */
static struct page *take_rescue_half(const nodemask_t *nodes)
{
	struct memrescue_pool_client *rescue = memrescue_pool.rescue;
	int keep = DIV_ROUND_UP(READ_ONCE(rescue->quota), 2);

	return memrescue_pool_take_credit_above(rescue, keep, nodes);
}

/*
 * Should the pool grow for want of this page? For tasks that die once in a second:
 * an ordinary user can have many of them.
 */
static bool is_worth_growth(unsigned int class)
{
	static unsigned long last;
	unsigned long was = READ_ONCE(last), now = jiffies / HZ;

	if (class == RESCUE_LIFELINE)
		return false;
	if (class != RESCUE_DYING)
		return true;
	return was != now && cmpxchg(&last, was, now) == was;
}

static struct page *take(unsigned int class, const nodemask_t *nodes)
{
	struct page *page;

	if (class == RESCUE_LIFELINE)
		return memrescue_pool_take_credit(memrescue_lifeline_client(),
						  nodes);
	page = memrescue_pool_take(nodes);
	if (!page && class == RESCUE_DYING)
		page = take_rescue_half(nodes);
	return page;
}

/*
 * It cannot be handed out as it is. What somebody refers to is freed by who does;
 * a broken page is not touched any more.
 */
static void reject(struct memrescue_pool_client *client, struct page *page)
{
	if (page_ref_count(page) != 1) {
		memrescue_pool_take_back(client, page);
		return;
	}
	this_cpu_inc(client->counts->puts);
	if (!memrescue_pool_forget_broken(page, 1))
		memrescue_pool_drop(page);
}

static struct page *serve(unsigned int class, gfp_t gfp,
			  const nodemask_t *nodes, bool frozen)
{
	struct memrescue_pool_client *client = memrescue_pool.rescue;
	struct page *page;
	unsigned int i;

	if (class == RESCUE_LIFELINE)
		client = memrescue_lifeline_client();
	for (i = 0; i < TRIES; i++) {
		page = take(class, nodes);
		if (!page)
			break;
		this_cpu_inc(client->counts->gets);
		if (compat_page_is_clean(page) &&
		    compat_page_ready(page, 0, gfp, frozen)) {
			this_cpu_inc(client->counts->handed_over);
			memrescue_pool_kick(page_to_nid(page));
			atomic_long_inc(&counts[class].served);
			trace_pool_rescue(names[class], gfp, page_to_nid(page));
			return page;
		}
		reject(client, page);
	}
	atomic_long_inc(&counts[class].missed);
	/* The common part ought to be larger. */
	if (is_worth_growth(class))
		atomic_inc(&memrescue_pool.missed);
	memrescue_pool_kick(raw_cpu_ptr(memrescue_pool.cpus)->nid);
	return NULL;
}

/* Nobody else has them, so that their state is as the allocator left it, or broken. */
static struct page *serve_pair(gfp_t gfp, const nodemask_t *nodes, bool frozen)
{
	struct memrescue_pool_client *client = memrescue_lifeline_client();
	struct page *page = memrescue_pool_take_pair(gfp, nodes);

	memrescue_pool_kick(page ? page_to_nid(page) : memrescue_pool_near());
	if (page && memrescue_pool_forget_broken(page, POOL_PAIR_PAGES))
		page = NULL;
	if (page && !compat_page_ready(page, POOL_PAIR_ORDER, gfp, frozen)) {
		/* Somebody looks at it by its number, just now. */
		memrescue_pool_return_pair(gfp, page);
		page = NULL;
	}
	if (!page) {
		atomic_long_inc(&counts[RESCUE_PAIR].missed);
		return NULL;
	}
	this_cpu_add(client->counts->gets, POOL_PAIR_PAGES);
	this_cpu_add(client->counts->handed_over, POOL_PAIR_PAGES);
	atomic_long_inc(&counts[RESCUE_PAIR].served);
	trace_pool_rescue(names[RESCUE_PAIR], gfp, page_to_nid(page));
	return page;
}

static struct page *rescue_dying(gfp_t gfp, const nodemask_t *nodes, bool frozen)
{
	unsigned int most = READ_ONCE(memrescue_rescue_knobs.dying_rate_pages);
	struct page *page;

	if (!pool_rate_take(&dying_rate, most, 1)) {
		atomic_long_inc(&counts[RESCUE_DYING].limited);
		return NULL;
	}
	page = serve(RESCUE_DYING, gfp, nodes, frozen);
	if (!page)
		pool_rate_return(&dying_rate, 1);
	return page;
}

static struct page *rescue_lifeline(gfp_t gfp, unsigned int order,
				    const nodemask_t *nodes, bool frozen)
{
	unsigned int most = READ_ONCE(memrescue_rescue_knobs.lifeline_rate_pages);
	unsigned int class = order ? RESCUE_PAIR : RESCUE_LIFELINE;
	struct page *page;

	if (!pool_rate_take(&lifeline_rate, most, 1u << order)) {
		atomic_long_inc(&counts[class].limited);
		return NULL;
	}
	page = order ? serve_pair(gfp, nodes, frozen) :
		       serve(class, gfp, nodes, frozen);
	if (!page)
		pool_rate_return(&lifeline_rate, 1u << order);
	return page;
}

static struct page *rescue_task(gfp_t gfp, unsigned int order,
				const nodemask_t *nodes, bool frozen)
{
	struct page *page = NULL;

	if (current->flags & PF_KTHREAD)
		return NULL;
	if (!order && is_dying())
		page = rescue_dying(gfp, nodes, frozen);
	if (page || !memrescue_lifeline_holds())
		return page;
	return rescue_lifeline(gfp, order, nodes, frozen);
}

/* Its rate does not matter: it costs no page. */
static bool rescue_fails(void)
{
	unsigned int class;

	if (current->flags & PF_KTHREAD)
		return false;
	if (is_dying())
		class = RESCUE_DYING;
	else if (memrescue_lifeline_holds())
		class = RESCUE_LIFELINE;
	else
		return false;
	atomic_long_inc(&counts[class].failed);
	return true;
}

static struct page *rescue_atomic(gfp_t gfp, const nodemask_t *nodes,
				  bool frozen)
{
	if (!READ_ONCE(memrescue_rescue_knobs.atomic))
		return NULL;
	return serve(RESCUE_ATOMIC, gfp, nodes, frozen);
}

const struct memrescue_rescue_sink memrescue_rescue_sink = {
	.task = rescue_task,
	.fails = rescue_fails,
	.atomic = rescue_atomic,
};

/**
 * memrescue_rescue_init() - prepare what the hooks will ask
 *
 * Context: module load, after the pool; may sleep.
 * Return: 0 or a negative errno.
 */
int memrescue_rescue_init(void)
{
	return memrescue_lifeline_init();
}

/**
 * memrescue_rescue_exit() - undo memrescue_rescue_init()
 *
 * Context: module unload; no hook calls any more; may sleep.
 */
void memrescue_rescue_exit(void)
{
	memrescue_lifeline_exit();
}

/**
 * memrescue_rescue_table() - the classes as text, one line each
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: any.
 * Return: bytes written.
 */
ssize_t memrescue_rescue_table(char *buf, size_t size)
{
	unsigned int i;
	ssize_t len;

	len = scnprintf(buf, size, "class served missed limited failed\n");
	for (i = 0; i < RESCUE_CLASSES; i++)
		len += scnprintf(buf + len, size - len, "%s %lu %lu %lu %lu\n",
				 names[i], atomic_long_read(&counts[i].served),
				 atomic_long_read(&counts[i].missed),
				 atomic_long_read(&counts[i].limited),
				 atomic_long_read(&counts[i].failed));
	return len;
}
