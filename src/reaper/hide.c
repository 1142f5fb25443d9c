// SPDX-License-Identifier: GPL-2.0
/*
 * Hiding OOM victims from the OOM killer, when it may choose another one in their
 * stead: see little_rule.h.
 *
 * In rounds, each of so many victims at most. What is left of them is summed up first,
 * which takes time on many CPUs: without a lock. Then they are hidden, with the OOM
 * killer kept away.
 *
 * Context: worker, where not said otherwise. Lock order: see victim.h.
 */
#include <linux/ktime.h>
#include <linux/list.h>
#include "compat/ksym.h"
#include "compat/mm.h"
#include "reaper/little.h"
#include "reaper/oom_victims.h"
#include "reaper/victim.h"

/* How often it is asked whether victims may be hidden, or are over. */
#define HIDE_MS		16u

/* About so many at a time. */
#define HIDE_BATCH	64u

/**
 * memrescue_hide() - if this victim was not enough, choose another
 * @v: an OOM victim, nothing of which is left to zap
 *
 * Like the kernel's reaper. But once nobody uses the mm, exit_mmap() is at it
 * and may still hold pages that it has unmapped and not freed. It sets the flag
 * itself, later; earlier, somebody would be killed although they are coming.
 *
 * Context: reaper.lock held, best with the OOM killer kept away.
 */
void memrescue_hide(struct victim *v)
{
	lockdep_assert_held(&memrescue_reaper.lock);
	v->hide = false;
	list_del_init(&v->hidable);
	if (atomic_read(&v->mm->mm_users))
		compat_mm_flag_set(v->mm, MMF_OOM_SKIP);
}

/**
 * memrescue_hide_watch() - an OOM victim may have to be hidden
 * @v: an OOM victim, adopted
 *
 * Context: reaper.lock held.
 */
void memrescue_hide_watch(struct victim *v)
{
	lockdep_assert_held(&memrescue_reaper.lock);
	if (list_empty(&v->hidable))
		list_add_tail(&v->hidable, &memrescue_reaper.hidable);
}

/**
 * memrescue_hide_later() - have a worker hide an OOM victim when it may be
 * @v: an OOM victim, nothing of which is left to zap
 *
 * Whoever has found that there is no memory, and is about to choose a victim,
 * must not find this one hidden although it has just given its memory back.
 *
 * Context: reaper.lock held.
 */
void memrescue_hide_later(struct victim *v)
{
	v->hide = true;
	memrescue_hide_watch(v);
	memrescue_reaper.hide_next = jiffies;
}

static bool any(void)
{
	return memrescue_oom_victims_any() ||
	       !list_empty(&memrescue_reaper.hidable);
}

/**
 * memrescue_hide_next() - when must a worker look again?
 * @delay: set to in how many jiffies
 *
 * Context: reaper.lock held.
 * Return: false if there is nothing to hide.
 */
bool memrescue_hide_next(unsigned long *delay)
{
	unsigned long now = jiffies, next = memrescue_reaper.hide_next;

	*delay = time_after(next, now) ? next - now : 1;
	return any();
}

/* One worker at a time. */
static bool begin_round(struct reaper *r)
{
	bool begins;

	if (!any() || time_before(jiffies, READ_ONCE(r->hide_next)))
		return false;
	spin_lock(&r->lock);
	begins = !r->hides && !time_before(jiffies, r->hide_next);
	if (begins) {
		r->hides = true;
		r->hide_next = jiffies + max(1ul, msecs_to_jiffies(HIDE_MS));
	}
	spin_unlock(&r->lock);
	return begins;
}

/* Shall it be measured? Not at each tick that oom_lock is held by others. */
static bool begin_measure(struct victim *v)
{
	u64 now = get_jiffies_64();

	if (v->state != VICTIM_RETURNED || v->little ||
	    time_before64(now, v->measure_next))
		return false;
	v->measure_next = now + msecs_to_jiffies(HIDE_MS);
	v->measured = true;
	return true;
}

/* The next one of this round, or NULL. If it is to be measured, it stays. */
static struct victim *next_hidable(struct reaper *r, bool *measure)
{
	struct victim *v;

	spin_lock(&r->lock);
	v = list_first_entry_or_null(&r->hidable, struct victim, hidable);
	if (v) {
		list_move_tail(&v->hidable, &r->hiding);
		*measure = begin_measure(v);
	}
	spin_unlock(&r->lock);
	return v;
}

static void measure_some(struct reaper *r)
{
	struct victim *v;
	unsigned int i;
	bool measure, little;

	for (i = 0; i < HIDE_BATCH; i++) {
		v = next_hidable(r, &measure);
		if (!v)
			break;
		if (!measure)
			continue;
		little = memrescue_has_little(v);
		spin_lock(&r->lock);
		v->little = little;
		v->measured = false;
		spin_unlock(&r->lock);
	}
}

/* Context: reaper.lock held, and the OOM killer kept away. */
static void hide_due(struct reaper *r)
{
	struct victim *v, *next;

	list_for_each_entry_safe(v, next, &r->hiding, hidable)
		if (compat_mm_flag(v->mm, MMF_OOM_SKIP) ||
		    !atomic_read(&v->mm->mm_users) || memrescue_may_hide(v))
			memrescue_hide(v);
}

/* Those that are not hidden come after those of the rounds to come. */
static void end_round(struct reaper *r, bool soon)
{
	/* Those that were not looked at. */
	soon |= !list_empty(&r->hidable);
	list_splice_tail_init(&r->hiding, &r->hidable);
	if (soon && time_after(r->hide_next, jiffies + 1))
		r->hide_next = jiffies + 1;
	r->hides = false;
}

/**
 * memrescue_hide_all() - one round, if it is time
 *
 * Context: worker, no lock held.
 */
void memrescue_hide_all(void)
{
	struct reaper *r = &memrescue_reaper;
	bool locked;

	if (!begin_round(r))
		return;
	measure_some(r);
	locked = memrescue_oom_trylock();
	spin_lock(&r->lock);
	if (locked)
		hide_due(r);
	/* Else the next round is soon. */
	end_round(r, !locked);
	spin_unlock(&r->lock);
	if (!locked)
		return;
	memrescue_oom_victims_sweep();
	memrescue_oom_unlock();
}
