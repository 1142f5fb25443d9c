/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel functions that are found at load, and called only as static calls.
 *
 * Some of the functions that memrescue needs are exported by some kernels and
 * not by others. Each is looked for among the exported symbols first and, when
 * it is not there, among all symbols (through a temporary kprobe, which gives
 * the address of kallsyms_lookup_name()). A found one is bound to a static
 * call: a direct call instruction, patched in once. It is never called through
 * a pointer, because kernels with indirect branch tracking (IBT) seal the
 * functions whose address nobody takes.
 *
 * Context: init and exit: module load and unload. The calls: see each one.
 * Lock order: none.
 */
#ifndef MEMRESCUE_COMPAT_KSYM_H
#define MEMRESCUE_COMPAT_KSYM_H

#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/static_call.h>
#include <linux/types.h>
#include "memrescue_config.h"

/*
 * What is called where a symbol is missing: does nothing, reports failure. It
 * also gives the static call its type, which is that of the kernel's function.
 */
#if defined(HAVE_ZAP_VMA_RANGE)
#define KSYM_ZAP_NAME "zap_vma_range"
#elif defined(HAVE_ZAP_PAGE_RANGE_SINGLE)
#define KSYM_ZAP_NAME "zap_page_range_single"
#else
#define KSYM_ZAP_NAME "zap_page_range"
#endif

#ifdef HAVE_ZAP_PAGE_RANGE_SINGLE
struct zap_details;
void memrescue_ksym_no_zap(struct vm_area_struct *vma, unsigned long start,
			   unsigned long size, struct zap_details *details);
#else
void memrescue_ksym_no_zap(struct vm_area_struct *vma, unsigned long start,
			   unsigned long size);
#endif
bool memrescue_ksym_no_reap_mm(struct mm_struct *mm);
void memrescue_ksym_no_queue_reaper(struct task_struct *task);
unsigned long memrescue_ksym_no_wchan(struct task_struct *task);
struct vm_area_struct *memrescue_ksym_no_lock_vma(struct mm_struct *mm,
						  unsigned long address);
struct page *memrescue_ksym_no_follow(struct vm_area_struct *vma,
				      unsigned long address,
				      unsigned int flags);

DECLARE_STATIC_CALL(memrescue_zap, memrescue_ksym_no_zap);
DECLARE_STATIC_CALL(memrescue_reap_mm, memrescue_ksym_no_reap_mm);
DECLARE_STATIC_CALL(memrescue_queue_reaper, memrescue_ksym_no_queue_reaper);
DECLARE_STATIC_CALL(memrescue_wchan, memrescue_ksym_no_wchan);
DECLARE_STATIC_CALL(memrescue_lock_vma, memrescue_ksym_no_lock_vma);
DECLARE_STATIC_CALL(memrescue_follow, memrescue_ksym_no_follow);

/* The rows of the table, in its order. */
#define KSYM_ZAP		0u
#define KSYM_REAP_MM		1u
#define KSYM_QUEUE_REAPER	2u
#define KSYM_LOCK_VMA		3u
#define KSYM_WCHAN		4u
#define KSYM_OOM_LOCK		5u
#define KSYM_FOLLOW_PAGE	6u
#define KSYM_KPROBES_OFF	7u
#define KSYM_FTRACE_ON		8u
#define KSYM_COUNT		9u

int memrescue_ksym_init(void);
bool memrescue_ksym_has(unsigned int sym);
ssize_t memrescue_ksym_table(char *buf, size_t size);
bool memrescue_oom_trylock(void);
void memrescue_oom_unlock(void);
void memrescue_oom_wait(void);
const char *memrescue_kprobes_off(bool ftrace);

#endif
