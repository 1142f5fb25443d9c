// SPDX-License-Identifier: GPL-2.0
/*
 * Self-test of the hooks of the allocator's slow path, with the running kernel.
 *
 * An allocation whose node mask is empty finds no zone: it always comes to the slow
 * path, which gives up at once (or, where cpusets are in use, starts anew without
 * the mask and returns some page). So the slow path can be entered at will, with
 * arguments that are known. At first the handler only looks at them; then it
 * serves a prepared page, which must come back as it ought to be.
 *
 * Context: process context, may sleep, serialized by hook.c's mutex. The handlers:
 * like an NMI, in the task that tests.
 * Lock order: none.
 */
#include <linux/errno.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "compat/ksym.h"
#include "compat/regs.h"
#include "hook/slowpath.h"

#define PATTERN		0x5a

/* Fault injection lets an allocation fail before it comes to the slow path. */
#define TRIES		8

/* Silent: that it fails at first is what is wanted. */
#define GFP_TEST_HIGH	(__GFP_HIGH | __GFP_KSWAPD_RECLAIM | __GFP_NOWARN)

/* Who tests; NULL: nobody. */
struct task_struct *memrescue_selftest_task;

/**
 * struct test - what the tester and the handlers tell each other
 * @page: to be served; NULL: nothing
 * @order: to calls of that order
 * @frozen: serve it without a reference
 * @calls: how often the handler was entered
 * @call: the first of them
 * @context: what its third argument pointed at
 * @doubt: what was wrong with it, or NULL
 * @served: @page was served
 * @other: what the return had before @page was put there
 */
static struct test {
	struct page *page;
	unsigned int order;
	bool frozen;
	unsigned int calls;
	struct slowpath_call call;
	struct compat_alloc_context context;
	const char *doubt;
	bool served;
	struct page *other;
} test;

static nodemask_t no_nodes;

/* ---- the handlers ---- */

static bool serve(void)
{
	if (!test.page || test.served || test.call.order != test.order ||
	    !compat_page_ready(test.page, test.order, test.call.gfp,
			       test.frozen))
		return false;
	test.served = true;
	return true;
}

/**
 * memrescue_selftest_entered() - the task that tests enters the slow path
 * @regs: at the function's entry
 *
 * Context: the kprobe's handler.
 * Return: 1 if the function has been left, else 0.
 */
int memrescue_selftest_entered(struct pt_regs *regs)
{
	if (test.calls++)
		return 0;
	memrescue_slowpath_decode(&test.call, regs);
	test.doubt = memrescue_slowpath_doubt(&test.call) ?:
		     memrescue_slowpath_doubt_context(&test.call);
	if (test.doubt)
		return 0;
	test.context = *test.call.context;
	if (!memrescue_slowpath_fits(&test.call) || !serve())
		return 0;
	compat_regs_return(regs, (unsigned long)test.page);
	return 1;
}

/**
 * memrescue_selftest_returned() - the slow path returns to the task that tests
 * @regs: at its return
 *
 * Context: the kretprobe's handler.
 */
void memrescue_selftest_returned(struct pt_regs *regs)
{
	unsigned long value = regs_return_value(regs);

	if (!serve())
		return;
	test.other = (struct page *)value;
	compat_regs_set_value(regs, (unsigned long)test.page);
}

/* ---- the tester ---- */

static void free_one(struct page *page, unsigned int order)
{
	if (page)
		__free_pages(page, order);
}

/* One call of the slow path. */
static struct page *enter(gfp_t gfp, unsigned int order)
{
	struct page *page, *given = test.page;
	bool frozen = test.frozen;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		memset(&test, 0, sizeof(test));
		test.page = given;
		test.order = order;
		test.frozen = frozen;
		barrier();
		WRITE_ONCE(memrescue_selftest_task, current);
		page = compat_alloc_pages(gfp, order, numa_mem_id(), &no_nodes);
		WRITE_ONCE(memrescue_selftest_task, NULL);
		barrier();
		if (test.calls)
			break;
		free_one(page, order);
		page = NULL;
	}
	return page;
}

static const char *compare(gfp_t gfp, unsigned int order)
{
	struct zonelist *zonelist = node_zonelist(numa_mem_id(), gfp);
	unsigned int nid = numa_mem_id();

	if (!test.calls && memrescue_kprobes_off(false))
		return "it could not be tested while kprobes were turned off";
	if (!test.calls)
		return "an allocation that finds no zone does not enter it";
	if (test.call.gfp != current_gfp_context(gfp))
		return "the first argument is not the mask";
	if (test.call.order != order)
		return "the second argument is not the order";
	if (test.doubt)
		return test.doubt;
	if (test.context.nodemask != &no_nodes)
		return "the allocation context has another node mask";
	/* The task may have been moved to another node. */
	if (nid == numa_mem_id() &&
	    zonelist == node_zonelist(nid, gfp) &&
	    test.context.zonelist != zonelist)
		return "the allocation context has another zone list";
	return NULL;
}

/* The function that calls it, from the name of an address within it. */
static const char *learn_caller(void)
{
	unsigned long offset, size;
	char name[KSYM_SYMBOL_LEN];
	const char *at;

	sprint_symbol(name, test.call.caller);
	at = strchr(name, '+');
	if (strncmp(name, "__alloc_", 8) || !at ||
	    sscanf(at, "+%lx/%lx", &offset, &size) != 2)
		return "it is not called by the allocator";
	memrescue_slowpath_facts.caller_begin = test.call.caller - offset;
	memrescue_slowpath_facts.caller_end = test.call.caller - offset + size;
	return NULL;
}

static const char *look(gfp_t gfp, unsigned int order)
{
	const char *why;

	gfp = compat_alloc_mask(gfp, order);
	test.page = NULL;
	free_one(enter(gfp, order), order);
	why = compare(gfp, order);
	return why ?: learn_caller();
}

static struct page *prepare(gfp_t gfp, unsigned int order)
{
	struct page *page;

	page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | (gfp & __GFP_COMP),
			   order);
	if (page)
		memset(page_address(page), PATTERN, PAGE_SIZE << order);
	return page;
}

static const char *check_page(struct page *page, gfp_t gfp, unsigned int order)
{
	bool zeroed = want_init_on_alloc(gfp) || want_init_on_free();

	if (page_ref_count(page) != 1)
		return "the page comes back with another number of references";
	if (memchr_inv(page_address(page), zeroed ? 0 : PATTERN,
		       PAGE_SIZE << order))
		return "the page comes back with other contents";
	if ((!order && !compat_page_is_clean(page)) || page_private(page))
		return "the page comes back with another state";
	return NULL;
}

/* Ends the test of a page: whatever the outcome, it has one reference, or none. */
static void end_page(struct page *page, unsigned int order)
{
	if (!page_ref_count(page))
		set_page_count(page, 1);
	__free_pages(page, order);
}

/* One page is served, and comes back. */
static const char *serve_one(gfp_t gfp, unsigned int order)
{
	struct page *back, *page;
	const char *why = NULL;

	gfp = compat_alloc_mask(gfp, order);
	page = prepare(gfp, order);
	if (!page)
		return "there is no memory for the self-test";
	test.page = page;
	test.frozen = memrescue_slowpath_facts.frozen;
	back = enter(gfp, order);
	if (!test.served)
		why = compare(gfp, order) ?: "a page cannot be served";
	else if (back != page)
		why = "another page comes back than was served";
	else
		why = check_page(page, gfp, order);
	if (back != page && back != test.other)
		free_one(back, order);
	/* As it was within the slow path: where pages are frozen, so is this one. */
	if (test.other)
		end_page(test.other, order);
	end_page(page, order);
	return why;
}

/*
 * Without a reference: the allocator adds one where it expects that, and nobody
 * does where it does not.
 */
static const char *learn_frozen(void)
{
	struct page *back, *page = prepare(0, 0);
	const char *why = NULL;

	if (!page)
		return "there is no memory for the self-test";
	test.page = page;
	test.frozen = true;
	back = enter(GFP_KERNEL | __GFP_NOWARN, 0);
	if (back != page) {
		why = compare(GFP_KERNEL | __GFP_NOWARN, 0) ?:
		      "the page that is served does not come back";
		free_one(back, 0);
	} else {
		memrescue_slowpath_facts.frozen = page_ref_count(page) == 1;
	}
	end_page(page, 0);
	return why;
}

/* Four pages in a row are none of ours to serve. */
static const char *serve_none(void)
{
	struct page *back, *page = prepare(0, 0);
	bool served;

	if (!page)
		return "there is no memory for the self-test";
	test.page = page;
	test.frozen = false;
	back = enter(GFP_KERNEL | __GFP_NOWARN, 2);
	served = test.served;
	if (back != page)
		free_one(back, 2);
	end_page(page, 0);
	return served ? "four pages are served" : NULL;
}

/**
 * memrescue_selftest_slowpath() - test the hook of the entry
 *
 * Context: process context, may sleep; the hook is attached, and serves nobody.
 * Return: NULL, or what is wrong, in words.
 */
const char *memrescue_selftest_slowpath(void)
{
	/*
	 * None with __GFP_ACCOUNT: when the tester's cgroup is full, the
	 * allocator itself frees what was served.
	 */
	static const gfp_t masks[] = {
		GFP_KERNEL | __GFP_NOWARN,
		GFP_NOFS | __GFP_NOWARN | __GFP_ZERO,
		GFP_HIGHUSER_MOVABLE | __GFP_NOWARN,
		GFP_NOIO | __GFP_NOWARN | __GFP_COMP | __GFP_ZERO,
	};
	const char *why = NULL;
	unsigned int i;

	if (memrescue_fault("slowpath-check"))
		return "the self-test was made to fail";
	for (i = 0; i < ARRAY_SIZE(masks) && !why; i++)
		why = look(masks[i], 0);
	if (!why)
		why = look(GFP_KERNEL | __GFP_NOWARN, 2);
	if (!why)
		why = learn_frozen();
	for (i = 0; i < ARRAY_SIZE(masks) && !why; i++)
		why = serve_one(masks[i], 0) ?: serve_one(masks[i], 1);
	return why ?: serve_none();
}

/**
 * memrescue_selftest_return() - test the hook of the return
 *
 * Context: process context, may sleep; both hooks are attached, and the one of
 * the entry was tested.
 * Return: NULL, or what is wrong, in words.
 */
const char *memrescue_selftest_return(void)
{
	if (memrescue_fault("slowpath-return-check"))
		return "the self-test was made to fail";
	return serve_one(GFP_TEST_HIGH, 0) ?:
	       serve_one(GFP_TEST_HIGH | __GFP_ZERO, 0);
}
