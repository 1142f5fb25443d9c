// SPDX-License-Identifier: GPL-2.0
/*
 * Hook of the slow path's return, for allocations that must not wait: one that
 * failed may be given a page after all.
 *
 * Only those that are in earnest: allowed to use the kernel's own reserves
 * (__GFP_HIGH, as in GFP_ATOMIC), and not told to fail early or silently. Whoever
 * says __GFP_NOWARN, __GFP_NORETRY or __GFP_NOMEMALLOC has another way, as a
 * network driver that drops a packet, and the pool's own worker.
 *
 * Context: any. The entry runs like an NMI, the return where the function was
 * called.
 */
#include <linux/uaccess.h>
#include "compat/regs.h"
#include "hook/slowpath.h"

#define GFP_NOT_IN_EARNEST \
	(__GFP_DIRECT_RECLAIM | __GFP_NOWARN | __GFP_NORETRY | \
	 __GFP_NOMEMALLOC | __GFP_DMA | __GFP_DMA32 | __GFP_THISNODE)

/* What is kept from the entry to the return. */
struct atomic_call {
	gfp_t gfp;
	bool tested;
	const nodemask_t *nodes;
};

static bool in_selftest(void)
{
	return READ_ONCE(memrescue_selftest_task) == current;
}

static int on_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct atomic_call *kept = (struct atomic_call *)instance->data;
	gfp_t not_in_earnest = GFP_NOT_IN_EARNEST;
	struct slowpath_call call;

	memrescue_slowpath_decode(&call, regs);
	kept->tested = unlikely(in_selftest()) && compat_probe_in_task();
	if (kept->tested)
		not_in_earnest &= ~__GFP_NOWARN;
	if (!kept->tested && !memrescue_slowpath_active())
		return 1;
	if (memrescue_slowpath_doubt(&call) || call.order ||
	    !(call.gfp & __GFP_HIGH) || (call.gfp & not_in_earnest) ||
	    memrescue_slowpath_doubt_context(&call))
		return 1;
	kept->gfp = call.gfp;
	kept->nodes = READ_ONCE(call.context->nodemask);
	return 0;
}

static int on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct atomic_call *kept = (struct atomic_call *)instance->data;
	struct page *page;

	if (unlikely(kept->tested)) {
		memrescue_selftest_returned(regs);
		return 0;
	}
	if (likely(regs_return_value(regs)) || !memrescue_slowpath_active())
		return 0;
	page = memrescue_hook_rescue_sink->atomic(kept->gfp, kept->nodes,
						  memrescue_slowpath_frozen());
	if (!page)
		return 0;
	atomic_long_inc(&memrescue_hook_slowpath_return.hits);
	compat_regs_set_value(regs, (unsigned long)page);
	return 0;
}

static const char *check_return(struct memrescue_hook *hook)
{
	if (!memrescue_slowpath_active())
		return "the hook of the entry is off";
	return memrescue_selftest_return();
}

struct memrescue_hook memrescue_hook_slowpath_return = {
	.name = "slowpath_return",
	.target = SLOWPATH_NAME,
	.clone = SLOWPATH_CLONE,
	.kind = HOOK_KRETPROBE,
	.part = HOOK_PART_ATOMIC,
	.entry = on_entry,
	.handler = on_return,
	.data_size = sizeof(struct atomic_call),
	.check = check_return,
	.loss = "atomic allocations that fail are not given pages of the pool",
};
