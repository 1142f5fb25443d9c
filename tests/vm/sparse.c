// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations of terabytes with little in them (the shadow of a sanitizer, the
 * arena of a language's runtime): what a victim costs grows with its memory, not
 * with its address space, whether mmap_lock can be had or not.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define TIB		(1024UL * 1024 * MIB)
#define ISLANDS		64	/* pages far from each other in the reservation */

static struct cgroup *cg;

struct reserve {
	const char *name;
	size_t len;
	int prot;
};

static void reserve(struct victim *v, void *arg)
{
	const struct reserve *r = arg;
	char *p = mmap(NULL, r->len, r->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail("victim: mmap of %zu TiB: %s", r->len / TIB, strerror(errno));
	if (!(r->prot & PROT_WRITE))
		return;
	madvise(p, r->len, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < ISLANDS; i++)
		p[r->len / ISLANDS * i] = 1;
	v->sh->word[3] = (long)p;
}

static bool islands_gone(struct victim *v, int pagemap, const struct reserve *r)
{
	long there = 0;

	for (size_t i = 0; v->sh->word[3] && i < ISLANDS; i++)
		there += pages_there(pagemap, (char *)v->sh->word[3] + r->len / ISLANDS * i, PAGE) != 0;
	return !there;
}

static void check(const struct reserve *r, enum stuck stuck)
{
	char name[80];
	struct mr_stats before;
	struct victim *v;
	int pagemap;

	snprintf(name, sizeof(name), "%s, %s", r->name, stuck == STUCK_D ? "D state" : "write lock");
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_sparse", .cg = cg, .mib = VICTIM_MIB, .stuck = stuck, .setup = reserve, .arg = (void *)r });
	pagemap = victim_pagemap(v);
	before = mr_stats();
	victim_kill(v);
	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: its memory is back while it is stuck", name);
	/* To read the pagemap takes mmap_lock. */
	if (stuck == STUCK_D)
		ok(WAIT_UNTIL(islands_gone(v, pagemap, r), PATIENCE_MS), "%s: what lies far apart as well", name);
	close(pagemap);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
}

int main(void)
{
	static const struct reserve reserves[] = {
		{ "14 TiB to write to", 14 * TIB, PROT_READ | PROT_WRITE },
		{ "64 TiB of nothing", 64 * TIB, PROT_NONE },
	};

	cg = cg_new("sparse");
	ok(mr_loaded(), "memrescue is there");
	for (size_t i = 0; i < ARRAY_SIZE(reserves); i++) {
		check(&reserves[i], STUCK_D);
		if (kernel_has_vma_locks())
			check(&reserves[i], STUCK_MMAP_WRITE);
	}
	return done();
}
