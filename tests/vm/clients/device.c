// SPDX-License-Identifier: GPL-2.0
/*
 * A client of the page pool that does what no sane client does, as a device: an
 * open file has a client and the pages that it keeps.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "internal.h"

#define MAX_KEPT	65536

static DEFINE_MUTEX(run_lock);	/* one run at a time */

struct client_file {
	struct mutex lock;	/* protects what follows */
	struct memrescue_pool_client *client;
	struct page **kept;
	unsigned int nr_kept;
};

static int mpt_open(struct inode *inode, struct file *file)
{
	struct client_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->kept = kvcalloc(MAX_KEPT, sizeof(*f->kept), GFP_KERNEL);
	if (!f->kept) {
		kfree(f);
		return -ENOMEM;
	}
	mutex_init(&f->lock);
	file->private_data = f;
	return 0;
}

static long mpt_create(struct client_file *f, void __user *arg)
{
	struct memrescue_pool_client *client;
	struct mpt_client how;

	if (f->client)
		return -EBUSY;
	if (copy_from_user(&how, arg, sizeof(how)))
		return -EFAULT;
	how.name[sizeof(how.name) - 1] = '\0';
	client = memrescue_pool_client_create(how.name, how.quota, how.flags);
	if (IS_ERR(client))
		return PTR_ERR(client);
	f->client = client;
	return 0;
}

static long mpt_take(struct client_file *f, unsigned long nr)
{
	unsigned long n;

	for (n = 0; n < nr && f->nr_kept < MAX_KEPT; n++) {
		struct page *page = get_marked(f->client, (unsigned long)f);

		if (!page)
			break;
		f->kept[f->nr_kept++] = page;
	}
	return n;
}

static long mpt_give(struct client_file *f, bool hand_over)
{
	long n = f->nr_kept;

	while (f->nr_kept) {
		struct page *page = f->kept[--f->nr_kept];

		unmark(page, (unsigned long)f);
		if (hand_over) {
			memrescue_pool_hand_over(f->client, page);
			__free_page(page);
		} else {
			memrescue_pool_put(f->client, page);
		}
	}
	return n;
}

/* Returns true if the page is as it was, and ours. */
static bool put_shared(struct client_file *f, struct page *page)
{
	u64 *words = page_address(page);
	unsigned int i;
	bool good;

	memset(words, 0x5a, PAGE_SIZE);
	get_page(page);
	memrescue_pool_put(f->client, page);
	good = page_ref_count(page) == 1;
	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		good &= words[i] == 0x5a5a5a5a5a5a5a5aULL;
	__free_page(page);
	return good;
}

static long mpt_put_shared(struct client_file *f)
{
	long bad = 0;

	while (f->nr_kept)
		bad += !put_shared(f, f->kept[--f->nr_kept]);
	return bad;
}

static long mpt_count_node(struct client_file *f, unsigned long nid)
{
	unsigned int i;
	long n = 0;

	for (i = 0; i < f->nr_kept; i++)
		n += page_to_nid(f->kept[i]) == nid;
	return n;
}

#ifdef CONFIG_MEMORY_FAILURE
#define BROKEN	3u	/* so few that no worker is called meanwhile */
#define LOOKED	64u

static void break_and_put(struct client_file *f, struct page *page, bool inside)
{
	if (!inside)
		SetPageHWPoison(page);
	memrescue_pool_put(f->client, page);
	if (inside)
		SetPageHWPoison(page);
}

static long mpt_break(struct client_file *f, bool inside)
{
	struct page *broken[BROKEN] = { NULL }, *good[LOOKED] = { NULL };
	unsigned int i;
	long bad = 0;

	preempt_disable();
	for (i = 0; i < BROKEN; i++)
		broken[i] = memrescue_pool_get(f->client);
	for (i = 0; i < BROKEN && broken[i]; i++)
		break_and_put(f, broken[i], inside);
	for (i = 0; i < LOOKED; i++) {
		good[i] = memrescue_pool_get(f->client);
		bad += good[i] && PageHWPoison(good[i]);
	}
	for (i = 0; i < BROKEN && broken[i]; i++)
		ClearPageHWPoison(broken[i]);
	for (i = 0; i < LOOKED; i++)
		if (good[i])
			memrescue_pool_put(f->client, good[i]);
	preempt_enable();
	for (i = 0; i < BROKEN && broken[i] && !bad; i++)
		f->kept[f->nr_kept++] = broken[i];
	return bad;
}
#else
static long mpt_break(struct client_file *f, bool inside)
{
	return -EOPNOTSUPP;
}
#endif

/* For the debug build: another one would take them. */
static long mpt_put_wrong(struct client_file *f, bool foreign)
{
	struct page *page;

	if (foreign)
		page = alloc_page(GFP_KERNEL);
	else
		page = memrescue_pool_get(f->client);
	if (!page)
		return -ENOMEM;
	memrescue_pool_put(f->client, page);
	if (foreign)
		__free_page(page);
	else
		memrescue_pool_put(f->client, page);
	return 0;
}

/* The pages are freed behind the pool's back. */
static long mpt_forget(struct client_file *f)
{
	while (f->nr_kept)
		__free_page(f->kept[--f->nr_kept]);
	return 0;
}

/* The client is not destroyed either. */
static long mpt_leak(struct client_file *f)
{
	mpt_forget(f);
	f->client = NULL;
	return 0;
}

static u64 drain_by(struct memrescue_pool_client *client, struct page **pages,
		    u64 *nr)
{
	u64 before = *nr;

	while (*nr < MAX_KEPT) {
		pages[*nr] = memrescue_pool_get(client);
		if (!pages[*nr])
			break;
		++*nr;
	}
	return *nr - before;
}

static void put_by(struct memrescue_pool_client *client, struct page **pages,
		   u64 *nr, u64 n)
{
	while (n--)
		memrescue_pool_put(client, pages[--*nr]);
}

static long mpt_drain(struct client_file *f, void __user *arg)
{
	struct memrescue_pool_client *nobody, *critical;
	struct mpt_drain drain = { 0 };
	u64 nr = 0;
	long err;

	nobody = memrescue_pool_client_create("drain", 0, 0);
	critical = memrescue_pool_client_create("drain-critical", 0,
						MEMRESCUE_POOL_CRITICAL);
	err = PTR_ERR_OR_ZERO(nobody) ?: PTR_ERR_OR_ZERO(critical);
	if (!err) {
		preempt_disable();
		drain.common = drain_by(nobody, f->kept, &nr);
		drain.own = drain_by(f->client, f->kept, &nr);
		drain.rescue = drain_by(critical, f->kept, &nr);
		put_by(critical, f->kept, &nr, drain.rescue);
		put_by(f->client, f->kept, &nr, drain.own);
		put_by(nobody, f->kept, &nr, drain.common);
		preempt_enable();
	}
	memrescue_pool_client_destroy(critical);
	memrescue_pool_client_destroy(nobody);
	if (!err && copy_to_user(arg, &drain, sizeof(drain)))
		err = -EFAULT;
	return err;
}

static long mpt_run(struct client_file *f, unsigned int cmd, void __user *arg)
{
	struct mpt_mix mix;
	struct mpt_flood how;
	long err;

	mutex_lock(&run_lock);
	if (cmd == MPT_RUN_MIX) {
		err = copy_from_user(&mix, arg, sizeof(mix)) ? -EFAULT :
		      run_mix(f->client, &mix);
		if (!err && copy_to_user(arg, &mix, sizeof(mix)))
			err = -EFAULT;
	} else {
		err = copy_from_user(&how, arg, sizeof(how)) ? -EFAULT :
		      run_flood(f->client, &how);
		if (!err && copy_to_user(arg, &how, sizeof(how)))
			err = -EFAULT;
	}
	mutex_unlock(&run_lock);
	return err;
}

static long mpt_client_ioctl(struct client_file *f, unsigned int cmd,
			     unsigned long arg)
{
	switch (cmd) {
	case MPT_DESTROY:
		memrescue_pool_client_destroy(f->client);
		f->client = NULL;
		return 0;
	case MPT_TAKE:
		return mpt_take(f, arg);
	case MPT_PUT_ALL:
		return mpt_give(f, false);
	case MPT_HAND_OVER:
		return mpt_give(f, true);
	case MPT_PUT_SHARED:
		return mpt_put_shared(f);
	case MPT_COUNT_NODE:
		return mpt_count_node(f, arg);
	case MPT_FORGET:
		return mpt_forget(f);
	case MPT_LEAK:
		return mpt_leak(f);
	case MPT_PUT_WRONG:
		return mpt_put_wrong(f, arg);
	case MPT_BREAK:
		return f->nr_kept ? -EBUSY : mpt_break(f, arg);
	case MPT_DRAIN:
		return f->nr_kept ? -EBUSY : mpt_drain(f, (void __user *)arg);
	case MPT_RUN_MIX:
	case MPT_RUN_FLOOD:
		return mpt_run(f, cmd, (void __user *)arg);
	default:
		return bench_ioctl(f->client, cmd, arg);
	}
}

static long mpt_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct client_file *f = file->private_data;
	long ret;

	mutex_lock(&f->lock);
	if (cmd == MPT_CREATE)
		ret = mpt_create(f, (void __user *)arg);
	else if (!f->client)
		ret = -ENXIO;
	else
		ret = mpt_client_ioctl(f, cmd, arg);
	mutex_unlock(&f->lock);
	return ret;
}

static int mpt_release(struct inode *inode, struct file *file)
{
	struct client_file *f = file->private_data;

	if (f->client) {
		mpt_give(f, false);
		memrescue_pool_client_destroy(f->client);
	}
	kvfree(f->kept);
	kfree(f);
	return 0;
}

static const struct file_operations mpt_fops = {
	.owner		= THIS_MODULE,
	.open		= mpt_open,
	.release	= mpt_release,
	.unlocked_ioctl	= mpt_ioctl,
};

static struct miscdevice mpt_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "memrescue_pool_test",
	.fops	= &mpt_fops,
	.mode	= 0666,
};

static int __init mpt_init(void)
{
	return misc_register(&mpt_misc);
}
module_init(mpt_init);

static void __exit mpt_exit(void)
{
	misc_deregister(&mpt_misc);
}
module_exit(mpt_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Client of memrescue's page pool for its tests");
