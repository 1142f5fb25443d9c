// SPDX-License-Identifier: GPL-2.0
/*
 * An example of a client of memrescue's page pool: a log that hardware interrupts
 * write to, and that must not lose its entries because memory is short. Each
 * full page is passed to a work item, which reads it and puts it back.
 *
 * The interrupt is made by irq_work here; it might as well be a device's, or an
 * NMI.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/err.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/llist.h>
#include <linux/memrescue.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#define STAMPS	256

/* A page of the log; it begins with its link. */
struct log_page {
	struct llist_node link;
	unsigned int used;
	u64 stamps[STAMPS];
};

static struct memrescue_pool_client *client;
static struct log_page *current_page;	/* Used by the interrupt only. */
static LLIST_HEAD(full_pages);
static unsigned long lost;		/* Written by the interrupt only. */
static unsigned long logged;		/* Written by read_pages() only. */

/* Process context: what is done with the pages is not urgent. */
static void read_pages(struct work_struct *work)
{
	struct llist_node *node = llist_del_all(&full_pages);
	struct log_page *page, *next;

	llist_for_each_entry_safe(page, next, node, link) {
		logged += page->used;
		memrescue_pool_put(client, virt_to_page(page));
	}
}

static DECLARE_WORK(reader, read_pages);

/* NULL if there is no page just now. Its contents are what others left. */
static struct log_page *begin_page(void)
{
	struct page *page = memrescue_pool_get(client);
	struct log_page *log;

	if (!page)
		return NULL;
	log = page_address(page);
	log->used = 0;
	return log;
}

/* Hardware interrupt: no lock, no allocation, an entry each. */
static void interrupt(struct irq_work *work)
{
	if (!current_page)
		current_page = begin_page();
	if (!current_page) {
		lost++;
		return;
	}
	current_page->stamps[current_page->used++] = ktime_get_mono_fast_ns();
	if (current_page->used == STAMPS) {
		llist_add(&current_page->link, &full_pages);
		current_page = NULL;
		schedule_work(&reader);
	}
}

static struct irq_work device;

/* What makes the interrupts: some at every tick. */
static void make_interrupts(struct work_struct *work)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		irq_work_queue(&device);
		irq_work_sync(&device);
	}
	schedule_delayed_work(to_delayed_work(work), 1);
}

static DECLARE_DELAYED_WORK(source, make_interrupts);

static int __init client_init(void)
{
	/* Four pages are ours whatever other clients take. */
	client = memrescue_pool_client_create("sample", 4, 0);
	if (IS_ERR(client))
		return PTR_ERR(client);
	init_irq_work(&device, interrupt);
	schedule_delayed_work(&source, 1);
	return 0;
}

static void __exit client_exit(void)
{
	cancel_delayed_work_sync(&source);
	irq_work_sync(&device);
	cancel_work_sync(&reader);
	read_pages(NULL);
	if (current_page) {
		logged += current_page->used;
		memrescue_pool_put(client, virt_to_page(current_page));
	}
	memrescue_pool_client_destroy(client);
	pr_info("logged %lu, lost %lu\n", logged, lost);
}

module_init(client_init);
module_exit(client_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Example client of memrescue's page pool");
MODULE_AUTHOR("The memrescue developers");
