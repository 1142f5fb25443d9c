/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the pool: memrescue:pool_miss, pool_grow, pool_shrink,
 * pool_rescue. Sizes in pages.
 *
 * Context: any for pool_miss and pool_rescue, else process context; an event that nobody listens
 * to costs one jump.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM memrescue

#if !defined(MEMRESCUE_POOL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MEMRESCUE_POOL_TRACE_H

#include <linux/memrescue.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

TRACE_EVENT(pool_miss,
	TP_PROTO(const char *client),
	TP_ARGS(client),
	TP_STRUCT__entry(
		__array(char, client, MEMRESCUE_POOL_NAME)
	),
	TP_fast_assign(
		memcpy(__entry->client, client, MEMRESCUE_POOL_NAME);
	),
	TP_printk("client=%s", __entry->client)
);

TRACE_EVENT(pool_grow,
	TP_PROTO(unsigned long missed, unsigned long target),
	TP_ARGS(missed, target),
	TP_STRUCT__entry(
		__field(unsigned long, missed)
		__field(unsigned long, target)
	),
	TP_fast_assign(
		__entry->missed = missed;
		__entry->target = target;
	),
	TP_printk("missed=%lu target=%lu", __entry->missed, __entry->target)
);

TRACE_EVENT(pool_shrink,
	TP_PROTO(unsigned long pages, unsigned long left),
	TP_ARGS(pages, left),
	TP_STRUCT__entry(
		__field(unsigned long, pages)
		__field(unsigned long, left)
	),
	TP_fast_assign(
		__entry->pages = pages;
		__entry->left = left;
	),
	TP_printk("pages=%lu left=%lu", __entry->pages, __entry->left)
);

TRACE_EVENT(pool_rescue,
	TP_PROTO(const char *class, gfp_t gfp, int nid),
	TP_ARGS(class, gfp, nid),
	TP_STRUCT__entry(
		__array(char, class, 16)
		__field(pid_t, pid)
		__array(char, comm, TASK_COMM_LEN)
		__field(unsigned int, gfp)
		__field(int, nid)
	),
	TP_fast_assign(
		strscpy(__entry->class, class, 16);
		__entry->pid = current->pid;
		memcpy(__entry->comm, current->comm, TASK_COMM_LEN);
		__entry->gfp = (__force unsigned int)gfp;
		__entry->nid = nid;
	),
	TP_printk("class=%s pid=%d comm=%s gfp=0x%x nid=%d", __entry->class,
		  __entry->pid, __entry->comm, __entry->gfp, __entry->nid)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH pool
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
