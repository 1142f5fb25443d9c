// SPDX-License-Identifier: GPL-2.0
/*
 * A walk over all processes that takes breaths: there may be 100 000 of them, and on
 * kernels without preemption (5.10 of Debian) others would wait for all of it.
 *
 * Which processes are seen: every one that exists from the beginning to the end, and
 * every one that one of those starts before it is looked at itself. The list is in the
 * order in which processes were started (a thread that calls execve(2) takes its
 * leader's place), so what is started meanwhile lies behind. During a breath the
 * place is kept by a reference to the process that was looked at last. If it is still
 * in the list afterwards, what follows it there follows it in this walk. If not, the walk
 * begins anew.
 *
 * Context: process context, no lock held; may sleep.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include "reaper/trace.h"
#include "reaper/walk.h"

/* Tasks that are looked at without a chance for others to run. */
#define WALK_BATCH	1024u

/* How often a walk begins anew because its place was lost; then it takes no breath. */
#define WALK_ROUNDS	16u

/**
 * struct stroll - how far one walk has got
 * @visits: tasks seen, again where it began anew
 * @longest: most of them between two breaths
 * @rounds: how often the place was lost
 */
struct stroll {
	unsigned long visits;
	unsigned int longest;
	unsigned int rounds;
};

static void note_batch(struct walk *walk, struct stroll *stroll)
{
	stroll->visits += walk->seen;
	stroll->longest = max(stroll->longest, walk->seen);
	walk->seen = 0;
}

/*
 * Others run meanwhile. Returns false if the place in the list was lost: the process
 * was released, or another thread of it, which calls execve(2), is the leader now. Both
 * are seen before it is taken out, under the lock that takes out those behind it
 * as well: what follows it was in the list when this RCU section had begun.
 */
static bool take_breath(struct task_struct *process)
{
	bool there;

	get_task_struct(process);
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
	there = pid_alive(process) && thread_group_leader(process);
	put_task_struct(process);
	return there;
}

/* Context: within rcu_read_lock(). Returns false if it must begin anew. */
static bool walk_once(struct walk *walk, struct stroll *stroll)
{
	bool breathe = stroll->rounds < WALK_ROUNDS;
	struct task_struct *process;

	if (walk->anew)
		walk->anew(walk);
	for_each_process(process) {
		walk->seen++;
		if (!walk->look(walk, process))
			return true;
		if (!breathe || walk->seen < WALK_BATCH)
			continue;
		note_batch(walk, stroll);
		if (!take_breath(process))
			return false;
	}
	return true;
}

/**
 * memrescue_walk() - look at all processes
 * @walk: what to do with each of them
 *
 * Who is seen, and that a process may be seen twice when the walk begins
 * anew: see above.
 *
 * Context: process context, no lock held; may sleep.
 */
void memrescue_walk(struct walk *walk)
{
	struct stroll stroll = { 0 };

	walk->seen = 0;
	rcu_read_lock();
	while (!walk_once(walk, &stroll))
		stroll.rounds++;
	rcu_read_unlock();
	note_batch(walk, &stroll);
	trace_walk(stroll.visits, stroll.longest, stroll.rounds);
}
