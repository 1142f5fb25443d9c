/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the reaper: memrescue:victim_queued, reap_begin, reap_end,
 * victim_exit, victim_stuck. Times in microseconds since the victim was
 * marked, sizes in pages; a pid is that of the process, in the first
 * namespace. And memrescue:walk, a walk over all processes: tasks seen, most of them
 * between two breaths, and how often it began anew.
 *
 * Context: worker; an event that nobody listens to costs one jump.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM memrescue

#if !defined(MEMRESCUE_REAPER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MEMRESCUE_REAPER_TRACE_H

#include <linux/sched.h>
#include <linux/tracepoint.h>

TRACE_EVENT(victim_queued,
	TP_PROTO(pid_t pid, const char *comm, bool oom, unsigned long rss_pages,
		 unsigned long swap_pages),
	TP_ARGS(pid, comm, oom, rss_pages, swap_pages),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__array(char, comm, TASK_COMM_LEN)
		__field(bool, oom)
		__field(unsigned long, rss_pages)
		__field(unsigned long, swap_pages)
	),
	TP_fast_assign(
		__entry->pid = pid;
		memcpy(__entry->comm, comm, TASK_COMM_LEN);
		__entry->oom = oom;
		__entry->rss_pages = rss_pages;
		__entry->swap_pages = swap_pages;
	),
	TP_printk("pid=%d comm=%s reason=%s rss_pages=%lu swap_pages=%lu",
		  __entry->pid, __entry->comm,
		  __entry->oom ? "oom" : "killed",
		  __entry->rss_pages, __entry->swap_pages)
);

TRACE_EVENT(reap_end,
	TP_PROTO(pid_t pid, u64 since_us, unsigned long freed_pages),
	TP_ARGS(pid, since_us, freed_pages),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(u64, since_us)
		__field(unsigned long, freed_pages)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->since_us = since_us;
		__entry->freed_pages = freed_pages;
	),
	TP_printk("pid=%d since_us=%llu freed_pages=%lu", __entry->pid,
		  (unsigned long long)__entry->since_us, __entry->freed_pages)
);

DECLARE_EVENT_CLASS(memrescue_victim,
	TP_PROTO(pid_t pid, u64 since_us),
	TP_ARGS(pid, since_us),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(u64, since_us)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->since_us = since_us;
	),
	TP_printk("pid=%d since_us=%llu", __entry->pid,
		  (unsigned long long)__entry->since_us)
);

DEFINE_EVENT(memrescue_victim, reap_begin,
	TP_PROTO(pid_t pid, u64 since_us),
	TP_ARGS(pid, since_us)
);

DEFINE_EVENT(memrescue_victim, victim_exit,
	TP_PROTO(pid_t pid, u64 since_us),
	TP_ARGS(pid, since_us)
);

DEFINE_EVENT(memrescue_victim, victim_stuck,
	TP_PROTO(pid_t pid, u64 since_us),
	TP_ARGS(pid, since_us)
);

TRACE_EVENT(walk,
	TP_PROTO(unsigned long visits, unsigned int longest,
		 unsigned int rounds),
	TP_ARGS(visits, longest, rounds),
	TP_STRUCT__entry(
		__field(unsigned long, visits)
		__field(unsigned int, longest)
		__field(unsigned int, rounds)
	),
	TP_fast_assign(
		__entry->visits = visits;
		__entry->longest = longest;
		__entry->rounds = rounds;
	),
	TP_printk("visits=%lu longest=%u rounds=%u", __entry->visits,
		  __entry->longest, __entry->rounds)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH reaper
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
