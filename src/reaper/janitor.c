// SPDX-License-Identifier: GPL-2.0
/*
 * The janitor: what must not hold up a worker.
 *
 * One delayed work item that never runs twice at once. It watches returned
 * victims until they are gone, hands back what only the kernel can do, writes
 * the log lines and reports stuck victims, in this order: only the latter take
 * time, on a slow console. While the reaper is on, it alone frees the
 * record of a victim.
 *
 * Each has a time when it is looked at, and whoever changes what the janitor has to
 * do about it brings that forward. What is to be printed waits in a list of its
 * own, and is looked at all the same: it may be gone before its turn.
 *
 * Context: reaper.late_wq. Lock order: see victim.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/rwsem.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/order.h"
#include "reaper/trace.h"
#include "reaper/victim.h"

/* The longest delay between two looks at a victim that does not exit. */
#define WATCH_MAX_MS	256u

/* So many are looked at with the lock held. */
#define LOOK_BATCH	32u

/* What a record needs of the janitor; from CHORE_LOG on it prints. */
#define CHORE_NONE	0u
#define CHORE_EXITED	1u
#define CHORE_GIVE_BACK	2u
#define CHORE_LEAVE	3u
#define CHORE_DROP	4u
#define CHORE_LOG	5u
#define CHORE_REPORT	6u

static void look_in(struct victim *v, unsigned long delay)
{
	memrescue_heap_put(&memrescue_reaper.looks, &v->look,
			   get_jiffies_64() + delay);
}

/**
 * memrescue_janitor_look() - have the janitor look at a victim
 * @v: the record, adopted
 * @delay: at the latest after so many jiffies
 *
 * Context: reaper.lock held.
 */
void memrescue_janitor_look(struct victim *v, unsigned long delay)
{
	lockdep_assert_held(&memrescue_reaper.lock);
	if (!v->look.place ||
	    time_after64(v->look.key, get_jiffies_64() + delay))
		look_in(v, delay);
	memrescue_arm(&memrescue_reaper.janitor, delay);
}

static unsigned long to_kb(unsigned long pages)
{
	return pages << (PAGE_SHIFT - 10);
}

static const char *reason_of(const struct victim *v)
{
	return v->oom ? "oom" : "killed";
}

/**
 * memrescue_log_victim() - write the one log line of a victim
 * @v: its memory is back
 *
 * Context: process context.
 */
void memrescue_log_victim(const struct victim *v)
{
	pr_info("%s pid=%d comm=%s uid=%u oom_score_adj=%d rss_kb=%lu swap_kb=%lu freed_kb=%lu in_us=%llu reason=%s\n",
		v->zapped ? "reaped" : "exited", v->pid, v->comm, v->uid,
		v->adj, to_kb(v->rss_pages), to_kb(v->swap_pages),
		to_kb(v->freed_pages),
		memrescue_us_between(v->marked_ns, v->done_ns), reason_of(v));
}

/* The thread that most likely holds the process up, with a reference. */
static struct task_struct *find_stuck_thread(struct victim *v)
{
	struct task_struct *thread, *found = v->task;

	rcu_read_lock();
	for_each_thread(v->task, thread) {
		if (READ_ONCE(thread->exit_state))
			continue;
		found = thread;
		if (task_state_to_char(thread) == 'D')
			break;
	}
	get_task_struct(found);
	rcu_read_unlock();
	return found;
}

static void print_stuck(const struct victim *v, struct task_struct *thread,
			bool returned)
{
	void *wchan = (void *)static_call(memrescue_wchan)(thread);

	pr_warn("stuck pid=%d comm=%s uid=%u oom_score_adj=%d rss_kb=%lu waited_ms=%llu memory=%s reason=%s tid=%d wchan=%ps\n",
		v->pid, v->comm, v->uid, v->adj, to_kb(compat_mm_rss(v->mm)),
		memrescue_waited_ms(v), returned ? "returned" : "kept",
		reason_of(v), task_pid_nr(thread), wchan);
}

static void report_stuck(struct victim *v)
{
	bool returned = READ_ONCE(v->state) == VICTIM_RETURNED;
	bool oom = READ_ONCE(v->oom);
	struct task_struct *thread = find_stuck_thread(v);

	atomic_long_inc(&memrescue_reaper_stats.stuck);
	trace_victim_stuck(v->pid, memrescue_waited_ms(v) * USEC_PER_MSEC);
	print_stuck(v, thread, returned);
	/*
	 * The OOM killer chooses the next one when it would on the stock kernel,
	 * which see hide.c. The stack may take long to print: no worker waits.
	 */
	sched_show_task(thread);
	put_task_struct(thread);
	if (oom && !returned &&
	    READ_ONCE(memrescue_reaper_knobs.stuck_panic))
		panic("memrescue: victim %d (%s) keeps its memory", v->pid,
		      v->comm);
}

/**
 * memrescue_give_back() - hand a victim to the kernel's own reaper
 * @v: used by no worker
 *
 * Context: process context, may sleep.
 */
void memrescue_give_back(struct victim *v)
{
	struct reaper *r = &memrescue_reaper;

	/* One that is hidden from the OOM killer it would not take. */
	if (!v->claimed || compat_mm_flag(v->mm, MMF_OOM_SKIP))
		return;
	atomic_long_inc(&memrescue_reaper_stats.given_back);
	/*
	 * Neither for our own call nor for the OOM killer's, which may come
	 * just now, must the hook take it again. Either of them queues it.
	 */
	WRITE_ONCE(r->giving, v->mm);
	/* Pairs with the barrier in memrescue_record_claim(). */
	smp_mb();
	compat_mm_flag_clear(v->mm, MMF_OOM_REAP_QUEUED);
	static_call(memrescue_queue_reaper)(v->claimed);
	WRITE_ONCE(r->giving, NULL);
}

/* Of an OOM victim, exit_mmap() says so: see memrescue_hide(). */
static bool is_gone(const struct victim *v)
{
	return !atomic_read(&v->mm->mm_users) &&
	       (!v->oom || compat_mm_flag(v->mm, MMF_OOM_SKIP));
}

static bool is_overdue(const struct victim *v)
{
	return !v->reported && memrescue_waited_ms(v) >=
			       READ_ONCE(memrescue_reaper_knobs.stuck_report_ms);
}

/* Context: reaper.lock held. */
static unsigned int chore_of_returned(const struct victim *v, bool crowded)
{
	if (v->give_back && !is_gone(v))
		return CHORE_GIVE_BACK;
	/*
	 * A line takes milliseconds on a slow console: whoever kills faster than
	 * that must not use up the records.
	 */
	if (v->log && (v->oom || !crowded || !is_gone(v)))
		return CHORE_LOG;
	if (is_gone(v))
		return CHORE_EXITED;
	/* Its record is needed until a worker has hidden it. */
	if (v->reported)
		return v->hide ? CHORE_NONE : CHORE_DROP;
	return is_overdue(v) ? CHORE_REPORT : CHORE_NONE;
}

/*
 * It waits for something else than a lock (a debugger, a core dump, a process that
 * lives on), for which there may be no end. The kernel does nothing for it either, and
 * nobody must be able to use up the records.
 */
static bool waits_in_vain(const struct victim *v)
{
	return !v->oom && v->reported && v->state == VICTIM_WAITING &&
	       !rwsem_is_locked(&v->mm->mmap_lock);
}

/* What is next for this record? Context: reaper.lock held. */
static unsigned int chore_of(const struct victim *v, bool crowded)
{
	if (v->state == VICTIM_RETURNED)
		return chore_of_returned(v, crowded);
	if (v->state == VICTIM_QUEUED || v->state == VICTIM_SETTLING ||
	    v->state == VICTIM_FREE)
		return CHORE_NONE;
	if (!v->workers && waits_in_vain(v))
		return CHORE_LEAVE;
	if (!v->workers && v->give_back)
		return CHORE_GIVE_BACK;
	/* An OOM victim stays, or the OOM killer would wait for it in vain. */
	if (!v->workers && v->left && (!v->oom || v->reported || is_gone(v)))
		return CHORE_LEAVE;
	return is_overdue(v) ? CHORE_REPORT : CHORE_NONE;
}

static bool frees(unsigned int chore)
{
	return chore != CHORE_NONE && chore < CHORE_LOG;
}

/* Take note of what is about to be done. Context: reaper.lock held. */
static void begin_chore(struct victim *v, unsigned int chore)
{
	switch (chore) {
	case CHORE_LOG:
		v->log = false;
		break;
	case CHORE_REPORT:
		v->reported = true;
		break;
	case CHORE_EXITED:
		memrescue_record_event(v, VICTIM_EV_GONE);
		break;
	default:
		memrescue_record_event(v, VICTIM_EV_DROP);
	}
	/* Else it may need something else at once. */
	if (frees(chore))
		memrescue_record_unlink(v);
	else
		look_in(v, 0);
}

/* When must this record be looked at again? Context: reaper.lock held. */
static unsigned long next_look(struct victim *v)
{
	u64 limit_ms = READ_ONCE(memrescue_reaper_knobs.stuck_report_ms);
	u64 waited_ms = memrescue_waited_ms(v);
	u64 ms = WATCH_MAX_MS;

	if (!v->reported && waited_ms < limit_ms)
		ms = min(ms, limit_ms - waited_ms);
	if (v->state == VICTIM_RETURNED)
		ms = min_t(u64, ms, memrescue_retry_delay_ms(++v->attempts,
							     WATCH_MAX_MS));
	return max(1ul, msecs_to_jiffies(ms));
}

/*
 * Look at one whose time has come. Returns CHORE_NONE if there is nothing to do, or
 * it has to wait: until a worker is through with it, or until it can be printed.
 * Context: reaper.lock held.
 */
static unsigned int look_at(struct reaper *r, struct victim *v, bool crowded)
{
	unsigned int chore = chore_of(v, crowded);

	if (frees(chore) && !v->measured)
		return chore;
	if (chore >= CHORE_LOG && list_empty(&v->prints))
		list_add_tail(&v->prints, &r->prints);
	look_in(v, frees(chore) ? 1 : next_look(v));
	return CHORE_NONE;
}

static bool is_crowded(struct reaper *r)
{
	return atomic_read(&r->nr_used) > r->nr_records / 2;
}

/* The first one whose time has come, or NULL. Context: reaper.lock held. */
static struct victim *first_look(const struct reaper *r)
{
	struct heap_node *node = memrescue_heap_first(&r->looks);

	if (!node || time_after64(node->key, get_jiffies_64()))
		return NULL;
	return container_of(node, struct victim, look);
}

/* One that does not print, or NULL; then @more tells whether to look once more. */
static struct victim *find_chore(struct reaper *r, unsigned int *chore,
				 bool *more)
{
	bool crowded = is_crowded(r);
	struct victim *v = NULL;
	unsigned int i;

	*chore = CHORE_NONE;
	spin_lock(&r->lock);
	for (i = 0; i < LOOK_BATCH && *chore == CHORE_NONE; i++) {
		v = first_look(r);
		if (!v)
			break;
		*chore = look_at(r, v, crowded);
	}
	*more = v;
	if (*chore == CHORE_NONE)
		v = NULL;
	else
		begin_chore(v, *chore);
	spin_unlock(&r->lock);
	return v;
}

/* One that waits to be printed; by now it may be for something else. Or NULL. */
static struct victim *find_print(struct reaper *r, unsigned int *chore)
{
	bool crowded = is_crowded(r);
	struct victim *v;

	spin_lock(&r->lock);
	while ((v = list_first_entry_or_null(&r->prints, struct victim, prints))) {
		list_del_init(&v->prints);
		*chore = chore_of(v, crowded);
		if (*chore != CHORE_NONE && !(frees(*chore) && v->measured))
			break;
	}
	if (v)
		begin_chore(v, *chore);
	spin_unlock(&r->lock);
	return v;
}

static void do_chore(struct victim *v, unsigned int chore)
{
	switch (chore) {
	case CHORE_LOG:
		memrescue_log_victim(v);
		return;
	case CHORE_REPORT:
		report_stuck(v);
		return;
	case CHORE_EXITED:
		atomic_long_inc(&memrescue_reaper_stats.exited);
		if (v->log)
			atomic_long_inc(&memrescue_reaper_stats.unlogged);
		trace_victim_exit(v->pid,
				  memrescue_waited_ms(v) * USEC_PER_MSEC);
		break;
	case CHORE_GIVE_BACK:
		if (v->claimed) {
			memrescue_give_back(v);
			if (v->log)
				memrescue_log_victim(v);
			break;
		}
		fallthrough;
	case CHORE_LEAVE:
		atomic_long_inc(&memrescue_reaper_stats.skipped);
		break;
	}
	memrescue_record_free(v);
}

static void plan(struct reaper *r)
{
	struct heap_node *first;
	u64 now = get_jiffies_64();

	spin_lock(&r->lock);
	first = memrescue_heap_first(&r->looks);
	if (first)
		memrescue_arm(&r->janitor, time_after64(first->key, now) ?
					   first->key - now : 1);
	spin_unlock(&r->lock);
}

/**
 * memrescue_janitor() - the janitor's work function
 * @work: reaper.janitor
 *
 * Context: reaper.late_wq.
 */
void memrescue_janitor(struct work_struct *work)
{
	struct reaper *r = &memrescue_reaper;
	unsigned int chore;
	struct victim *v;
	bool more;

	while (READ_ONCE(r->running)) {
		v = find_chore(r, &chore, &more);
		if (!v && !more)
			v = find_print(r, &chore);
		if (v)
			do_chore(v, chore);
		else if (!more)
			break;
		cond_resched();
	}
	plan(r);
}
