// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel functions that are found at load: see ksym.h.
 *
 * The table is written once by memrescue_ksym_init() and only read afterwards.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "compat/fault.h"
#include "compat/ksym.h"

static unsigned long no_lookup(const char *name)
{
	return 0;
}

#ifdef HAVE_ZAP_PAGE_RANGE_SINGLE
void memrescue_ksym_no_zap(struct vm_area_struct *vma, unsigned long start,
			   unsigned long size, struct zap_details *details)
{
}
#else
void memrescue_ksym_no_zap(struct vm_area_struct *vma, unsigned long start,
			   unsigned long size)
{
}
#endif

bool memrescue_ksym_no_reap_mm(struct mm_struct *mm)
{
	return false;
}

void memrescue_ksym_no_queue_reaper(struct task_struct *task)
{
}

unsigned long memrescue_ksym_no_wchan(struct task_struct *task)
{
	return 0;
}

struct vm_area_struct *memrescue_ksym_no_lock_vma(struct mm_struct *mm,
						  unsigned long address)
{
	return NULL;
}

struct page *memrescue_ksym_no_follow(struct vm_area_struct *vma,
				      unsigned long address,
				      unsigned int flags)
{
	return NULL;
}

DEFINE_STATIC_CALL(memrescue_lookup, no_lookup);
DEFINE_STATIC_CALL(memrescue_zap, memrescue_ksym_no_zap);
DEFINE_STATIC_CALL(memrescue_reap_mm, memrescue_ksym_no_reap_mm);
DEFINE_STATIC_CALL(memrescue_queue_reaper, memrescue_ksym_no_queue_reaper);
DEFINE_STATIC_CALL(memrescue_wchan, memrescue_ksym_no_wchan);
DEFINE_STATIC_CALL(memrescue_lock_vma, memrescue_ksym_no_lock_vma);
DEFINE_STATIC_CALL(memrescue_follow, memrescue_ksym_no_follow);

#define KSYM_BIND(call) \
static void bind_##call(unsigned long addr) \
{ \
	typeof(STATIC_CALL_TRAMP(call)) *target = (void *)addr; \
\
	static_call_update(call, target); \
}

KSYM_BIND(memrescue_lookup)
KSYM_BIND(memrescue_zap)
KSYM_BIND(memrescue_reap_mm)
KSYM_BIND(memrescue_queue_reaper)
KSYM_BIND(memrescue_wchan)
#ifdef HAVE_LOCK_VMA_UNDER_RCU
KSYM_BIND(memrescue_lock_vma)
#endif
#ifndef HAVE_FOLL_NOFAULT
KSYM_BIND(memrescue_follow)
#endif

/* The lock under which the kernel chooses victims; NULL: not found. */
static struct mutex *found_oom_lock;

static void bind_oom_lock(unsigned long addr)
{
	found_oom_lock = (struct mutex *)addr;
}

/* kernel/kprobes.c: switched by kprobes/enabled in debugfs; NULL: not found. */
static const bool *found_kprobes_off;

#ifdef CONFIG_DEBUG_FS
static void bind_kprobes_off(unsigned long addr)
{
	found_kprobes_off = (const bool *)addr;
}
#endif

#ifdef CONFIG_KPROBES_ON_FTRACE
/* kernel/trace/ftrace.c: the sysctl kernel.ftrace_enabled; NULL: not found. */
static const int *found_ftrace_on;

static void bind_ftrace_on(unsigned long addr)
{
	found_ftrace_on = (const int *)addr;
}
#endif

struct ksym {
	const char *name;
	const char *loss;		/* what is lost without it */
	void (*bind)(unsigned long addr); /* NULL: this kernel has none */
	bool needed;
	bool found;
};

static struct ksym ksyms[KSYM_COUNT] = {
	[KSYM_ZAP] = {
		.name = KSYM_ZAP_NAME,
		.loss = "everything: memory cannot be given back",
		.bind = bind_memrescue_zap,
		.needed = true,
	},
	[KSYM_REAP_MM] = {
		.name = "__oom_reap_task_mm",
		.loss = "victims with MMU notifiers (virtual machines) are left to the kernel",
		.bind = bind_memrescue_reap_mm,
	},
	[KSYM_QUEUE_REAPER] = {
		.name = "queue_oom_reaper",
		.loss = "the kernel's own reaper runs as well, and may give up after 3 s",
		.bind = bind_memrescue_queue_reaper,
	},
	[KSYM_LOCK_VMA] = {
		.name = "lock_vma_under_rcu",
		.loss = "a victim whose mmap_lock is held for writing waits for the lock",
#ifdef HAVE_LOCK_VMA_UNDER_RCU
		.bind = bind_memrescue_lock_vma,
#endif
	},
	[KSYM_WCHAN] = {
		.name = "get_wchan",
		.loss = "the report of a stuck victim has no wchan",
		.bind = bind_memrescue_wchan,
	},
	[KSYM_OOM_LOCK] = {
		.name = "oom_lock",
		.loss = "another one may be killed just when a victim's memory is back",
		.bind = bind_oom_lock,
	},
	[KSYM_FOLLOW_PAGE] = {
		.name = "follow_page",
		.loss = "victims whose threads have robust lists are reaped after 2 s",
#ifndef HAVE_FOLL_NOFAULT
		.bind = bind_memrescue_follow,
#endif
	},
	[KSYM_KPROBES_OFF] = {
		.name = "kprobes_all_disarmed",
		.loss = "hooks are shown as active also while kprobes are turned off (debugfs)",
#ifdef CONFIG_DEBUG_FS
		.bind = bind_kprobes_off,
#endif
	},
	[KSYM_FTRACE_ON] = {
		.name = "ftrace_enabled",
		.loss = "hooks are shown as active also while ftrace is turned off (sysctl)",
#ifdef CONFIG_KPROBES_ON_FTRACE
		.bind = bind_ftrace_on,
#endif
	},
};

/* The names of the table are built in: the reference need not be kept. */
static unsigned long find_exported(const char *name)
{
	unsigned long addr = (unsigned long)__symbol_get(name);

	if (!addr)
		return 0;
	__symbol_put(name);
	return addr;
}

static int find_lookup(void)
{
	/*
	 * Disabled: it shall only find an address. So no code is patched, and
	 * taking it out again cannot fail for lack of memory.
	 */
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};
	int err = memrescue_fault("kallsyms_lookup_name");

	if (!err)
		err = register_kprobe(&probe);
	if (err) {
		pr_warn("kallsyms_lookup_name: no kprobe (%d); only exported symbols are found\n",
			err);
		return err;
	}
	bind_memrescue_lookup((unsigned long)probe.addr);
	unregister_kprobe(&probe);
	return 0;
}

static void find_one(struct ksym *sym, bool lookup)
{
	unsigned long addr;

	if (!sym->bind || memrescue_fault(sym->name))
		return;
	addr = find_exported(sym->name);
	if (!addr && lookup)
		addr = static_call(memrescue_lookup)(sym->name);
	if (!addr)
		return;
	sym->bind(addr);
	sym->found = true;
}

/**
 * memrescue_ksym_init() - find and bind every symbol of the table
 *
 * Context: module load; may sleep.
 * Return: 0, or -ENOENT (after a message that names it) if a needed symbol is
 * missing. Nothing has to be undone.
 */
int memrescue_ksym_init(void)
{
	bool lookup = !find_lookup();
	unsigned int i;
	int err = 0;

	for (i = 0; i < KSYM_COUNT; i++) {
		struct ksym *sym = &ksyms[i];

		find_one(sym, lookup);
		if (sym->found)
			continue;
		if (sym->needed) {
			pr_err("symbol %s is missing; lost without it: %s\n",
			       sym->name, sym->loss);
			err = -ENOENT;
		} else if (sym->bind) {
			pr_warn("symbol %s is missing; lost without it: %s\n",
				sym->name, sym->loss);
		}
	}
	return err;
}

/**
 * memrescue_ksym_has() - was a symbol found?
 * @sym: KSYM_*
 *
 * Context: any, after memrescue_ksym_init().
 * Return: true if its static call does something.
 */
bool memrescue_ksym_has(unsigned int sym)
{
	return sym < KSYM_COUNT && ksyms[sym].found;
}

/**
 * memrescue_ksym_table() - the table as text, one line per symbol
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: any.
 * Return: bytes written.
 */
ssize_t memrescue_ksym_table(char *buf, size_t size)
{
	ssize_t len;
	unsigned int i;

	len = scnprintf(buf, size, "name need state lost-without-it\n");
	for (i = 0; i < KSYM_COUNT; i++) {
		const struct ksym *sym = &ksyms[i];

		len += scnprintf(buf + len, size - len, "%s %s %s %s\n",
				 sym->name,
				 sym->needed ? "needed" : "optional",
				 sym->found ? "found" :
				 sym->bind ? "missing" : "not-in-this-kernel",
				 sym->loss);
	}
	return len;
}

/**
 * memrescue_oom_trylock() - keep the OOM killer from choosing a victim
 *
 * The kernel looks whether there is memory, and chooses a victim if there is
 * none, with this lock held.
 *
 * Context: process context. Does not sleep.
 * Return: false if somebody else holds it. True without an effect where the
 * lock was not found.
 */
bool memrescue_oom_trylock(void)
{
	return !found_oom_lock || mutex_trylock(found_oom_lock);
}

/**
 * memrescue_oom_unlock() - undo memrescue_oom_trylock()
 *
 * Context: the same task.
 */
void memrescue_oom_unlock(void)
{
	if (found_oom_lock)
		mutex_unlock(found_oom_lock);
}

/**
 * memrescue_oom_wait() - wait until whoever holds the lock has given it up
 *
 * Context: process context, may sleep; memory may have run out.
 */
void memrescue_oom_wait(void)
{
	if (!found_oom_lock)
		return;
	mutex_lock(found_oom_lock);
	mutex_unlock(found_oom_lock);
}

/**
 * memrescue_kprobes_off() - are kprobes registered, but not hit?
 * @ftrace: those that are by ftrace
 *
 * The administrator can turn them off and on at any time.
 *
 * Context: any, after memrescue_ksym_init().
 * Return: why they are not hit, in words; NULL if they are, as far as is known.
 */
const char *memrescue_kprobes_off(bool ftrace)
{
	if (found_kprobes_off && READ_ONCE(*found_kprobes_off))
		return "kprobes are turned off (kprobes/enabled in debugfs)";
#ifdef CONFIG_KPROBES_ON_FTRACE
	if (ftrace && found_ftrace_on && !READ_ONCE(*found_ftrace_on))
		return "ftrace is turned off (sysctl kernel.ftrace_enabled, or after a fault)";
#endif
	return NULL;
}
