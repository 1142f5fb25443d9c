// SPDX-License-Identifier: GPL-2.0
/*
 * Hook of the page allocator's slow path: what enters it for a single page may be
 * given one, and is then back at the allocator at once, without reclaim. What may
 * fail, and cannot but reclaim, may be told at once that there is nothing.
 *
 * The function is static, and the compiler chooses how its arguments are passed.
 * So nothing is served before selftest.c has seen that they are what is expected,
 * each call is looked at again, and reclaim.c compares those that go on. What
 * contradicts turns the feature off.
 *
 * Context: the handler of a breakpoint, which runs like an NMI with interrupts off.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/cpuset.h>
#include <linux/irq_work.h>
#include <linux/oom.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/workqueue.h>
#include "compat/fault.h"
#include "compat/ksym.h"
#include "compat/regs.h"
#include "hook/slowpath.h"

/* A local variable of the caller is not further up the stack than this, bytes. */
#define NEAR_STACK	1024ul

/* So many comparisons in a row that do not match are no coincidence. */
#define MISMATCHES	8

/* Larger orders do not exist. */
#define MOST_ORDER	32u

/* Nothing is served with one of these: another zone, or one node only. */
#define GFP_ELSEWHERE	(__GFP_DMA | __GFP_DMA32 | __GFP_THISNODE)

/**
 * struct note - a call that was not served, for reclaim.c
 * @task: who made it; NULL: none
 * @switches: how often it had been switched out by then
 * @gfp: of the call
 * @order: of the call
 */
struct note {
	struct task_struct *task;
	unsigned long switches;
	gfp_t gfp;
	unsigned int order;
};

static DEFINE_PER_CPU(struct note, notes);

/* Tested, and not contradicted since. */
static bool active;
static atomic_t mismatches;

struct slowpath_facts memrescue_slowpath_facts;

/* Whoever attached it again meanwhile has tested it anew. */
static void refute_work_fn(struct work_struct *work)
{
	const char *why = memrescue_hook_refuted(&memrescue_hook_slowpath);

	memrescue_hook_refuted(&memrescue_hook_slowpath_return);
	if (why)
		pr_warn("the slow path of this kernel is not as expected (%s): nobody is rescued any more\n",
			why);
}

static DECLARE_WORK(refute_work, refute_work_fn);

static void refute_irq(struct irq_work *work)
{
	schedule_work(&refute_work);
}

static struct irq_work refute_irq_work = {
	.func = refute_irq,
};

/**
 * memrescue_slowpath_refute() - serve nobody any more
 * @why: what was seen, in words; a constant
 *
 * Context: any.
 */
void memrescue_slowpath_refute(const char *why)
{
	if (!xchg(&active, false))
		return;
	WRITE_ONCE(memrescue_hook_slowpath.why, why);
	WRITE_ONCE(memrescue_hook_slowpath_return.why, why);
	irq_work_queue(&refute_irq_work);
}

/**
 * memrescue_slowpath_active() - may anything be served?
 *
 * Context: any.
 * Return: true if the self-test has passed and nothing contradicted it.
 */
bool memrescue_slowpath_active(void)
{
	return READ_ONCE(active);
}

/**
 * memrescue_slowpath_decode() - take a call from the registers
 * @call: filled
 * @regs: at the function's entry
 *
 * Context: any.
 */
void memrescue_slowpath_decode(struct slowpath_call *call, struct pt_regs *regs)
{
	unsigned long context = regs_get_kernel_argument(regs, 2);

	call->gfp = (__force gfp_t)(u32)regs_get_kernel_argument(regs, 0);
	call->order = regs_get_kernel_argument(regs, 1);
	call->context = (const struct compat_alloc_context *)context;
	call->stack = compat_regs_stack(regs);
	call->caller = compat_regs_caller(regs);
	call->irqs_on = compat_regs_irqs_on(regs);
}

/**
 * memrescue_slowpath_doubt() - can this be a call of the slow path?
 * @call: the call
 *
 * Context: any.
 * Return: NULL, or what is wrong, in words.
 */
const char *memrescue_slowpath_doubt(const struct slowpath_call *call)
{
	if (call->gfp & ~__GFP_BITS_MASK)
		return "the first argument is no allocation mask";
	if (call->order >= MOST_ORDER)
		return "the second argument is no order";
	return NULL;
}

static bool is_zonelist(const struct zonelist *zonelist)
{
	const pg_data_t *node;
	int nid;

	for_each_node(nid) {
		node = NODE_DATA(nid);
		if (node && zonelist >= node->node_zonelists &&
		    zonelist < node->node_zonelists + MAX_ZONELISTS)
			return true;
	}
	return false;
}

/**
 * memrescue_slowpath_doubt_context() - is its third argument what is expected?
 * @call: the call
 *
 * Context: any.
 * Return: NULL, or what is wrong, in words.
 */
const char *memrescue_slowpath_doubt_context(const struct slowpath_call *call)
{
	unsigned long at = (unsigned long)call->context;

	if (at < call->stack || at - call->stack > NEAR_STACK ||
	    at % sizeof(unsigned long))
		return "the third argument is no variable of the caller";
	if (!is_zonelist(READ_ONCE(call->context->zonelist)))
		return "the allocation context has no zone list";
	return NULL;
}

/*
 * Read-ahead, what falls back to a smaller order, the first try of slab: each has
 * another way, and is not worth a page.
 */
static bool may_fail(const struct slowpath_call *call)
{
	return (call->gfp & (__GFP_NORETRY | __GFP_NOFAIL |
			     __GFP_RETRY_MAYFAIL)) == __GFP_NORETRY;
}

/* By a task that may reclaim, and does not reclaim already. */
static bool would_reclaim(const struct slowpath_call *call)
{
	return (call->gfp & __GFP_DIRECT_RECLAIM) && call->irqs_on &&
	       !(current->flags & PF_MEMALLOC) &&
	       call->caller >= memrescue_slowpath_facts.caller_begin &&
	       call->caller < memrescue_slowpath_facts.caller_end;
}

/**
 * memrescue_slowpath_fits() - is it an allocation that could be served?
 * @call: the call, of a task
 *
 * A foreign kretprobe may have changed the address to return to: such a call is
 * left alone, and contradicts nothing.
 *
 * Context: any.
 * Return: true if it is one page or two, in earnest, of the zones of GFP_KERNEL,
 * by a task that may reclaim and does not reclaim already.
 */
bool memrescue_slowpath_fits(const struct slowpath_call *call)
{
	return call->order <= 1 && !(call->gfp & GFP_ELSEWHERE) &&
	       !may_fail(call) && would_reclaim(call);
}

/**
 * memrescue_slowpath_frozen() - how are pages returned?
 *
 * Context: any.
 * Return: true if without a reference.
 */
bool memrescue_slowpath_frozen(void)
{
	return memrescue_slowpath_facts.frozen;
}

/*
 * The nodes that the caller and the cpuset allow; NULL: all. As in the kernel,
 * a cpuset does not bind victims of the OOM killer and tasks that exit.
 */
static const nodemask_t *allowed(const struct slowpath_call *call,
				 nodemask_t *both)
{
	const nodemask_t *nodes = READ_ONCE(call->context->nodemask);

	if (tsk_is_oom_victim(current) || (current->flags & PF_EXITING))
		return nodes;
	if (!nodes)
		return &cpuset_current_mems_allowed;
	nodes_and(*both, *nodes, cpuset_current_mems_allowed);
	return both;
}

/* Returns true if the call has its answer: @page, or NULL if it fails at once. */
static bool answer(const struct slowpath_call *call, struct page **page)
{
	const struct memrescue_rescue_sink *sink = memrescue_hook_rescue_sink;
	nodemask_t both;
	const nodemask_t *nodes = allowed(call, &both);

	if (may_fail(call))
		return memrescue_slowpath_is_vain(call, nodes) && sink->fails();
	*page = sink->task(call->gfp, call->order, nodes,
			   memrescue_slowpath_facts.frozen);
	return *page;
}

static unsigned long switches(void)
{
	return current->nvcsw + current->nivcsw;
}

/* A task that reclaims does not reclaim for what it allocates meanwhile. */
static void note(const struct slowpath_call *call)
{
	struct note *note = raw_cpu_ptr(&notes);

	if (current->flags & PF_MEMALLOC)
		return;
	note->gfp = call->gfp;
	note->order = call->order;
	note->switches = switches();
	note->task = current;
}

/**
 * memrescue_slowpath_reclaims() - current begins to reclaim for an allocation
 * @order: of the allocation, as reclaim itself says
 * @gfp: its mask, likewise
 *
 * If the task has not been switched out since the last call that was noted, then it
 * reclaims for that one. There is an exception: while it handles one allocation
 * it may have made another one (for the OOM killer's notifiers, for instance). So a
 * single mismatch says nothing; several of them with no match in between do.
 *
 * Context: process context, preemption off.
 */
void memrescue_slowpath_reclaims(int order, gfp_t gfp)
{
	struct note *note = raw_cpu_ptr(&notes);
	bool known = note->task == current && note->switches == switches();

	note->task = NULL;
	if (!known || !READ_ONCE(active))
		return;
	if ((int)note->order == order &&
	    current_gfp_context(note->gfp) == gfp &&
	    !memrescue_fault("slowpath-passive")) {
		atomic_set(&mismatches, 0);
		atomic_long_inc(&memrescue_hook_reclaim.hits);
		return;
	}
	atomic_long_inc(&memrescue_hook_reclaim.missed);
	if (atomic_inc_return(&mismatches) >= MISMATCHES)
		memrescue_slowpath_refute("reclaim has other arguments");
}

static bool is_for_us(const struct slowpath_call *call)
{
	return memrescue_slowpath_fits(call) ||
	       (may_fail(call) && would_reclaim(call));
}

static int on_slowpath(struct kprobe *probe, struct pt_regs *regs)
{
	struct page *page = NULL;
	struct slowpath_call call;
	bool answered = false;
	const char *why;

	if (!compat_probe_in_task())
		return 0;
	if (unlikely(READ_ONCE(memrescue_selftest_task) == current))
		return memrescue_selftest_entered(regs);
	if (!READ_ONCE(active))
		return 0;
	memrescue_slowpath_decode(&call, regs);
	why = memrescue_slowpath_doubt(&call);
	if (!why && is_for_us(&call)) {
		why = memrescue_slowpath_doubt_context(&call);
		if (!why)
			answered = answer(&call, &page);
	}
	if (unlikely(why)) {
		memrescue_slowpath_refute(why);
		return 0;
	}
	if (!answered) {
		note(&call);
		return 0;
	}
	atomic_long_inc(&memrescue_hook_slowpath.hits);
	compat_regs_return(regs, (unsigned long)page);
	return 1;
}

/* That there is one keeps the kernel from turning the probe into a jump. */
static void after_slowpath(struct kprobe *probe, struct pt_regs *regs,
			   unsigned long flags)
{
}

/* Only a breakpoint is known to be able to return from the function. */
static const char *check_slowpath(struct memrescue_hook *hook)
{
	const char *why = NULL;

	if (!COMPAT_REGS_CAN_RETURN)
		why = "not for this processor";
	else if (kprobe_ftrace(&hook->probe) || kprobe_optimized(&hook->probe))
		why = "the kprobe is no breakpoint";
	else
		why = memrescue_selftest_slowpath();
	atomic_set(&mismatches, 0);
	WRITE_ONCE(active, !why);
	return why;
}

/* When it is attached again it has to be tested first. */
static void slowpath_is_gone(void)
{
	WRITE_ONCE(active, false);
}

/* What is to be said about a hook that is off. */
static ssize_t off_state(const struct memrescue_hook *hook, char *buf,
			 size_t size)
{
	const char *why = READ_ONCE(hook->why);

	if (why)
		return scnprintf(buf, size, "off: %s\n", why);
	if (hook->err)
		return scnprintf(buf, size,
				 "off: " SLOWPATH_NAME " cannot be hooked (%d)\n",
				 hook->err);
	return scnprintf(buf, size, "off\n");
}

/**
 * memrescue_hook_rescue_state() - can anybody be rescued? In words
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: process context.
 * Return: bytes written.
 */
ssize_t memrescue_hook_rescue_state(char *buf, size_t size)
{
	const struct memrescue_hook *back = &memrescue_hook_slowpath_return;
	const char *disarmed;
	ssize_t len;

	if (!READ_ONCE(active) || !memrescue_hook_slowpath.attached)
		return off_state(&memrescue_hook_slowpath, buf, size);
	disarmed = memrescue_kprobes_off(false);
	if (disarmed)
		return scnprintf(buf, size, "off: %s\n", disarmed);
	len = scnprintf(buf, size, "active\n");
	if (!back->err)
		return len;
	len += scnprintf(buf + len, size - len, "atomic allocations ");
	return len + off_state(back, buf + len, size - len);
}

/**
 * memrescue_hook_exit() - no work is under way any more
 *
 * Context: module unload, after everything was detached; may sleep.
 */
void memrescue_hook_exit(void)
{
	irq_work_sync(&refute_irq_work);
	cancel_work_sync(&refute_work);
}

struct memrescue_hook memrescue_hook_slowpath = {
	.name = "slowpath",
	.target = SLOWPATH_NAME,
	.clone = SLOWPATH_CLONE,
	.kind = HOOK_KPROBE,
	.part = HOOK_PART_RESCUE,
	.pre = on_slowpath,
	.post = after_slowpath,
	.check = check_slowpath,
	.gone = slowpath_is_gone,
	.loss = "no task is given pages of the pool without asking for them",
};
