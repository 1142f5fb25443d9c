// SPDX-License-Identifier: GPL-2.0
/*
 * Pages are taken and put in threads, under raw spinlocks, in timers, irq_work
 * and NMIs at the same time, and none may ever be given to two of them.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#ifdef CONFIG_X86
#include <asm/apicdef.h>
#include <asm/fixmap.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#endif
#include "internal.h"

#define HOLD		4	/* pages that one context has at once */
#define PERIOD_NS	200000

/* One context on one CPU. */
struct place {
	struct page *pages[HOLD];
	unsigned int nr;
	u64 owner;
	u64 gets;
	u64 misses;
};

struct mixer {
	struct place places[MPT_CONTEXTS];
	struct hrtimer timer;
	struct irq_work irq_work;
	struct task_struct *thread;
	raw_spinlock_t lock;	/* only held, protects nothing */
};

static DEFINE_PER_CPU(struct mixer, mixers);
static struct memrescue_pool_client *mix_client;
static bool mixing;
static atomic64_t mix_gets;

atomic64_t mpt_twice, mpt_wrong;
/* Up to HOLD pages, then down again. */
static void turn(struct place *place)
{
	struct page *page;

	if (place->nr == HOLD) {
		while (place->nr) {
			page = place->pages[--place->nr];
			unmark(page, place->owner);
			memrescue_pool_put(mix_client, page);
		}
		return;
	}
	page = get_marked(mix_client, place->owner);
	if (!page) {
		place->misses++;
		return;
	}
	place->gets++;
	atomic64_inc(&mix_gets);
	place->pages[place->nr++] = page;
}

static void turns(struct place *place, unsigned int n)
{
	while (n--)
		turn(place);
}

#ifdef CONFIG_X86
static int on_nmi(unsigned int cmd, struct pt_regs *regs)
{
	/* One that was sent before the end may come after it. */
	if (READ_ONCE(mixing))
		turns(&this_cpu_ptr(&mixers)->places[MPT_NMI], 3);
	return NMI_HANDLED;
}

/* To all other CPUs. Interrupts are off. */
static void send_nmi(void)
{
	const u32 command = APIC_DEST_ALLBUT | APIC_DM_NMI;
	u32 base, __maybe_unused high;

	rdmsr(MSR_IA32_APICBASE, base, high);
	if (base & X2APIC_ENABLE)
		wrmsr(APIC_BASE_MSR + (APIC_ICR >> 4), command, 0);
	else
		writel(command, (void __iomem *)(APIC_BASE + APIC_ICR));
}

static int begin_nmi(void)
{
	return register_nmi_handler(NMI_LOCAL, on_nmi, 0, "memrescue_pool_test");
}

static void end_nmi(void)
{
	/* Those that were sent have arrived. */
	msleep(20);
	unregister_nmi_handler(NMI_LOCAL, "memrescue_pool_test");
}
#else
static void send_nmi(void) { }
static int begin_nmi(void) { return 0; }
static void end_nmi(void) { }
#endif

static void on_irq_work(struct irq_work *work)
{
	struct mixer *mixer = container_of(work, struct mixer, irq_work);

	if (READ_ONCE(mixing))
		turns(&mixer->places[MPT_IRQ_WORK], 5);
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	struct mixer *mixer = container_of(timer, struct mixer, timer);

	if (!READ_ONCE(mixing))
		return HRTIMER_NORESTART;
	turns(&mixer->places[MPT_TIMER], 7);
	irq_work_queue(&mixer->irq_work);
	send_nmi();
	hrtimer_forward_now(timer, ns_to_ktime(PERIOD_NS));
	return HRTIMER_RESTART;
}

static int mix_thread(void *arg)
{
	struct mixer *mixer = arg;
	unsigned long flags;

	hrtimer_start(&mixer->timer, ns_to_ktime(PERIOD_NS),
		      HRTIMER_MODE_REL_PINNED_HARD);
	while (!kthread_should_stop()) {
		turns(&mixer->places[MPT_THREAD], 100);
		raw_spin_lock_irqsave(&mixer->lock, flags);
		turns(&mixer->places[MPT_RAW_LOCK], 20);
		raw_spin_unlock_irqrestore(&mixer->lock, flags);
		cond_resched();
	}
	return 0;
}

static void put_rest(struct place *place)
{
	while (place->nr) {
		struct page *page = place->pages[--place->nr];

		unmark(page, place->owner);
		memrescue_pool_put(mix_client, page);
	}
}

static void init_mixer(int cpu)
{
	struct mixer *mixer = per_cpu_ptr(&mixers, cpu);
	unsigned int i;

	memset(mixer->places, 0, sizeof(mixer->places));
	for (i = 0; i < MPT_CONTEXTS; i++)
		mixer->places[i].owner = cpu * MPT_CONTEXTS + i + 1;
	raw_spin_lock_init(&mixer->lock);
	init_irq_work(&mixer->irq_work, on_irq_work);
	setup_timer(&mixer->timer, on_timer);
}

static void begin_mixer(int cpu)
{
	struct mixer *mixer = per_cpu_ptr(&mixers, cpu);

	mixer->thread = kthread_create(mix_thread, mixer, "mpt/%d", cpu);
	if (IS_ERR(mixer->thread))
		return;
	kthread_bind(mixer->thread, cpu);
	wake_up_process(mixer->thread);
}

static void end_mixer(int cpu, struct mpt_mix *mix)
{
	struct mixer *mixer = per_cpu_ptr(&mixers, cpu);
	unsigned int i;

	hrtimer_cancel(&mixer->timer);
	irq_work_sync(&mixer->irq_work);
	for (i = 0; i < MPT_CONTEXTS; i++) {
		put_rest(&mixer->places[i]);
		mix->gets[i] += mixer->places[i].gets;
		mix->misses[i] += mixer->places[i].misses;
	}
}

static void stop_thread(int cpu)
{
	struct mixer *mixer = per_cpu_ptr(&mixers, cpu);

	if (!IS_ERR_OR_NULL(mixer->thread))
		kthread_stop(mixer->thread);
	mixer->thread = NULL;
}

/* CPUs must not come or go meanwhile: the test sees to that. */
int run_mix(struct memrescue_pool_client *client, struct mpt_mix *mix)
{
	u64 operations = mix->operations;
	int cpu, err;

	memset(mix, 0, sizeof(*mix));
	atomic64_set(&mix_gets, 0);
	atomic64_set(&mpt_twice, 0);
	atomic64_set(&mpt_wrong, 0);
	mix_client = client;
	err = begin_nmi();
	if (err)
		return err;
	/* All of them first: each CPU sends NMIs to the others. */
	for_each_online_cpu(cpu)
		init_mixer(cpu);
	WRITE_ONCE(mixing, true);
	for_each_online_cpu(cpu)
		begin_mixer(cpu);
	while (atomic64_read(&mix_gets) < operations && !signal_pending(current))
		msleep(20);
	for_each_online_cpu(cpu)
		stop_thread(cpu);
	WRITE_ONCE(mixing, false);
	end_nmi();
	for_each_online_cpu(cpu)
		end_mixer(cpu, mix);
	mix->operations = operations;
	mix->twice = atomic64_read(&mpt_twice);
	mix->wrong = atomic64_read(&mpt_wrong);
	return 0;
}
