// SPDX-License-Identifier: GPL-2.0
/*
 * The records of one user: see share_rule.h.
 *
 * Users are told apart by a hash of their number. Two who meet in one place share what
 * one may have; no one has more.
 *
 * Context: any but NMI; no lock.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include "reaper/share_rule.h"
#include "reaper/victim.h"

/* A power of two. */
#define USERS	4096u

static atomic_t users[USERS];

/*
 * Who is in a user namespace may have as many numbers as were given to it: what counts is
 * who has made it. What root has made tells nothing.
 */
static kuid_t user_of(struct task_struct *task)
{
	const struct user_namespace *ns;
	const struct cred *cred;
	kuid_t uid;

	rcu_read_lock();
	cred = __task_cred(task);
	uid = cred->uid;
	ns = cred->user_ns;
	while (ns->parent && ns->parent != &init_user_ns)
		ns = ns->parent;
	if (ns->parent && !uid_eq(ns->owner, GLOBAL_ROOT_UID))
		uid = ns->owner;
	rcu_read_unlock();
	return uid;
}

/**
 * memrescue_share_take() - may a user have one more record?
 * @v: for this record, just claimed
 * @task: the user's, killed
 *
 * Context: any but NMI; preemption off.
 * Return: false if its share is in use.
 */
bool memrescue_share_take(struct victim *v, struct task_struct *task)
{
	const int most = memrescue_share_of_user(memrescue_reaper.nr_records,
						 false);
	kuid_t uid = user_of(task);
	atomic_t *share;

	if (uid_eq(uid, GLOBAL_ROOT_UID))
		return true;
	share = &users[hash_32(__kuid_val(uid), ilog2(USERS))];
	if (atomic_fetch_add_unless(share, 1, most) == most)
		return false;
	v->share = share;
	return true;
}

/**
 * memrescue_share_put() - a record is free again
 * @share: its user's, or NULL
 *
 * Context: any.
 */
void memrescue_share_put(atomic_t *share)
{
	if (share)
		atomic_dec(share);
}
