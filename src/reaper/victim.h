/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A victim's record, and what the files of the reaper share.
 *
 * Context: see each function. Hooks touch only a free record that they claimed
 * and the lock-free list of new ones; everything else belongs to the workers.
 * Lock order: oom_lock (tried), then reaper.lock, then nothing.
 * victim.cursor_lock, then a task's alloc_lock, then a VMA's lock (both tried,
 * never waited for). reaper.lock and victim.cursor_lock are never held together.
 */
#ifndef MEMRESCUE_REAPER_VICTIM_H
#define MEMRESCUE_REAPER_VICTIM_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "reaper/heap.h"
#include "reaper/keep.h"
#include "reaper/order.h"
#include "reaper/reaper.h"
#include "reaper/robust_rule.h"
#include "reaper/state.h"

/**
 * struct victim - the record of one victim
 *
 * Set by the hook that claimed it, constant afterwards:
 * @incoming: link in reaper.incoming
 * @share: the user whose share it is of, see share.c; NULL: of no user's
 * @task: a task of the victim, with a reference
 * @marked_ns: when it was marked or killed, monotonic ns
 * (merge() changes the last two while it is settling, with reaper.lock held.)
 *
 * Set when it is adopted, constant afterwards:
 * @mm: its address space, with a reference to the struct (mm_count); set by
 *	the hook for OOM victims
 * @pages: of @rss_pages and @swap_pages, what a zap gives back: anonymous pages and
 *	swap entries
 * @pid, @uid, @adj, @comm, @rss_pages, @swap_pages: for the log
 *
 * Set by the one worker that holds a settling record:
 * @users, @left_pages: users of the mm and its pages when it was looked at last
 *
 * Set by the one worker that holds a waiting record, constant when it is reaped:
 * @stopped_ns: when no thread of it ran user code any more; 0: not yet
 * @keep: pages that its threads need to give up their locks
 * @strangers: when its users were so many more than its threads, nobody else was
 *	found who uses the mm
 *
 * Protected by reaper.lock:
 * @active: it is known to the workers; set without the lock, before that
 * @fresh: in reaper.fresh, until a worker has it
 * @turn: in reaper.turns, when it waits for a time or a worker
 * @same: in reaper.adopted, by its mm
 * @hidable: in reaper.hidable or reaper.hiding, if it may have to be hidden
 * @look: in reaper.looks, by when the janitor looks at it
 * @prints: in reaper.prints, if the janitor has to print something about it
 * @state: VICTIM_*
 * @oom: marked by the OOM killer, not only killed
 * @oom_ns: when it was marked by the OOM killer, monotonic ns
 * @next: jiffies of the next try, 64 bits
 * @attempts: tries without success
 * @workers: workers that are busy with it
 * @claimed: the task, with a reference, for which the kernel's reaper was told
 *	that it is queued; NULL: for none
 * @gone: exit_mmap() has taken over
 * @left: it is shared with a process that lives on, or protected
 * @again: somebody else who uses the mm was killed meanwhile: look again
 * @merged: several processes that use the mm were killed
 * @reported: the report of a stuck victim is out
 * @log: the log line is due
 * @give_back: it shall be handed to the kernel's reaper
 * @hide: it shall be hidden from the OOM killer
 * @little: next to nothing is left of it
 * @measured: a worker looks what is left of it: the janitor must not free it
 * @measure_next: not before that again, jiffies, 64 bits
 * @spared: much was left at the end of the last pass, see memrescue_has_spared()
 * @late: only what can be filled again is left, and it was too early for that
 * @begin_ns, @done_ns: first range, memory back
 * @freed_pages: pages and swap entries that came back between the two
 *
 * Protected by @cursor_lock:
 * @cursor: what lies above has been dealt with in this pass; 0 at its end
 * @missed: something in this pass was locked
 * @spared_copies: pages of mappings left alone in this pass that may be private
 *	copies of files
 * @spared_locked: pages of mappings left alone in this pass that are mlocked
 *
 * Protected by @cursor_lock while it is reaped; before that of the one worker:
 * @user: another process that uses the mm, with a reference, or NULL
 * @userless: there is none, nor will be
 *
 * Written by the workers, which may differ about it for a moment:
 * @blocked_ns: since when has mmap_lock not been to be had; 0: it was
 *
 * Only ever set, by the workers:
 * @zapped: memrescue took at least one range
 */
struct victim {
	struct llist_node incoming;
	struct list_head fresh;
	struct turn turn;
	struct hlist_node same;
	struct list_head hidable;
	struct heap_node look;
	struct list_head prints;
	atomic_t *share;
	struct task_struct *task;
	struct task_struct *user;
	struct mm_struct *mm;
	struct task_struct *claimed;
	u64 marked_ns;
	u64 oom_ns;
	u64 stopped_ns;
	u64 blocked_ns;
	u64 begin_ns;
	u64 done_ns;
	u64 next;
	u64 measure_next;
	unsigned long rss_pages;
	unsigned long swap_pages;
	unsigned long pages;
	unsigned long left_pages;
	unsigned long freed_pages;
	spinlock_t cursor_lock;	/* see above */
	unsigned long cursor;
	unsigned long spared_copies;
	unsigned long spared_locked;
	struct keep keep;
	int strangers;
	bool active;
	bool userless;
	bool missed;
	bool oom;
	bool gone;
	bool left;
	bool again;
	bool merged;
	bool zapped;
	bool reported;
	bool log;
	bool give_back;
	bool hide;
	bool little;
	bool measured;
	bool spared;
	bool late;
	unsigned int state;
	unsigned int attempts;
	unsigned int workers;
	int users;
	pid_t pid;
	uid_t uid;
	short adj;
	char comm[TASK_COMM_LEN];
};

struct oom_control;

/* What became of one try; see memrescue_eligible() and memrescue_zap_step(). */
#define STEP_MORE	0u	/* go on at once */
#define STEP_WAIT	1u	/* a lock or a condition: try again later */
#define STEP_GONE	2u	/* the kernel frees, or has freed, the mm */
#define STEP_LEAVE	3u	/* must not be touched */
#define STEP_KERNEL	4u	/* it is for the kernel's own reaper */
#define STEP_SHARED	5u	/* somebody who uses it lives */
#define STEP_DUMPS	6u	/* somebody who uses it writes a core dump */

/* Workers for victims of the OOM killer, then as many for the others. */
#define REAPER_WORKERS	(2 * REAPER_MAX_WORKERS)

/**
 * struct reaper_worker - one of them
 * @work: in reaper.wq or reaper.killed_wq
 * @index: its bit in reaper.busy
 * @aside: for memrescue_eligible(): too large for the stack
 */
struct reaper_worker {
	struct work_struct work;
	unsigned int index;
	struct robust_aside aside;
};

/* Lists of adopted records, by their mm: a power of two. */
#define REAPER_BUCKETS	1024u

/**
 * struct reaper - the one reaper
 * @lock: protects @fresh to @hide_next, the fields of the records, and the arming of
 *	@janitor, @retry and @killed_retry. Nothing under it takes longer when there
 *	are more records, but for the steps in a heap; no sums over the CPUs
 * @fresh: records that no worker has looked at yet
 * @turns: those that wait for their next try or for a worker; [1]: of OOM victims
 * @adopted: those that were adopted, by their mm
 * @looks: those that are victims, by when the janitor looks at them
 * @prints: those of them about which it has to print something
 * @hidable: OOM victims that may have to be hidden from the OOM killer
 * @hiding: those of them that a worker looks at
 * @hides: a worker does
 * @hide_next: not before that is it asked whether they may be, jiffies
 * @busy: one bit for each worker that runs
 * @at_work: one bit for each of them that has a victim
 * @workers_used: most of them at once
 * @incoming: records that hooks filled; lock-free
 * @used: one bit for each record that is not free; lock-free
 * @nr_used: how many these are, approximately
 * @places: room for what is in @turns and @looks
 * @freed: wants to know that memory was given back; constant
 * @running: hooks may claim records, work items may queue each other
 * @new: records that were claimed for killed ones and not looked at yet
 * @wq: where the workers for victims of the OOM killer run
 * @killed_wq: where those for the others run, at normal priority
 * @late_wq: where the janitor runs, which may print for long
 * @janitor: see janitor.c
 * @retry: kicks a worker when the next try is due
 * @killed_retry: the same for those that the OOM killer has not marked
 * @look: has a worker look at what was killed
 * @giving: the mm that is being handed to the kernel's reaper: hooks must not
 *	take it again
 */
struct reaper {
	spinlock_t lock;	/* see above */
	struct list_head fresh;
	struct turns turns[2];
	struct hlist_head adopted[REAPER_BUCKETS];
	struct heap looks;
	struct list_head prints;
	struct list_head hidable;
	struct list_head hiding;
	bool hides;
	unsigned long busy;
	unsigned long at_work;
	unsigned int workers_used;
	unsigned long hide_next;
	struct llist_head incoming;
	unsigned long *used;
	atomic_t nr_used;
	struct victim *records;
	unsigned int nr_records;
	struct heap_node **places;
	void (*freed)(void);
	bool running;
	atomic_t new;
	struct mm_struct *giving;
	struct workqueue_struct *wq;
	struct workqueue_struct *killed_wq;
	struct workqueue_struct *late_wq;
	struct delayed_work janitor;
	struct delayed_work retry;
	struct delayed_work killed_retry;
	struct delayed_work look;
	struct reaper_worker workers[REAPER_WORKERS];
};

extern struct reaper memrescue_reaper;

/* adopt.c */
void memrescue_record_adopt(struct victim *v);
void memrescue_record_take(struct victim *v);
bool memrescue_record_is_large(struct mm_struct *mm);

/* eligible.c */
unsigned int memrescue_eligible(struct victim *v, struct robust_aside *aside);
bool memrescue_had_grace(const struct victim *v);

/* hide.c */
void memrescue_hide(struct victim *v);
void memrescue_hide_later(struct victim *v);
void memrescue_hide_watch(struct victim *v);
void memrescue_hide_all(void);
bool memrescue_hide_next(unsigned long *delay);

/* janitor.c */
void memrescue_janitor(struct work_struct *work);
void memrescue_janitor_look(struct victim *v, unsigned long delay);
void memrescue_give_back(struct victim *v);
void memrescue_log_victim(const struct victim *v);

/* queue.c */
void memrescue_queue_place(struct victim *v);
void memrescue_queue_incoming(void);
struct victim *memrescue_queue_pick(bool oom, bool *more);
void memrescue_queue_arm(void);
void memrescue_work_kick(bool oom);
void memrescue_retry(struct work_struct *work);
void memrescue_killed_retry(struct work_struct *work);
void memrescue_arm(struct delayed_work *work, unsigned long delay);
u64 memrescue_us_between(u64 from_ns, u64 to_ns);
u64 memrescue_waited_ms(const struct victim *v);

/* record.c */
bool memrescue_record_claim(struct task_struct *task, unsigned int reason);
void memrescue_record_reset(struct victim *v);
void memrescue_record_unlink(struct victim *v);
void memrescue_record_free(struct victim *v);
void memrescue_record_event(struct victim *v, unsigned int event);

/* robust.c */
void memrescue_robust_stop(struct mm_struct *mm);
unsigned long memrescue_robust_head(unsigned long key, bool *narrow);
bool memrescue_robust_held(struct task_struct *process, struct mm_struct *mm,
			   enum robust_ask ask, struct robust_aside *aside);

/* robust_read.c */
bool memrescue_robust_read(struct victim *v, const struct robust_aside *aside);

/* settle.c */
unsigned int memrescue_settle(struct victim *v, struct task_struct *task);

/* share.c */
bool memrescue_share_take(struct victim *v, struct task_struct *task);
void memrescue_share_put(atomic_t *share);

/* spare.c */
bool memrescue_spare(const struct oom_control *oc);
void memrescue_spared(void);

/* work.c */
void memrescue_tell_freed(void);
void memrescue_worker(struct work_struct *work);

/* zap.c */
unsigned int memrescue_zap_step(struct victim *v);

#endif
