// SPDX-License-Identifier: GPL-2.0
/*
 * The misc device that carries the directory in sysfs, the tables of hooks and
 * symbols, and the switch that turns the reaper on and off.
 *
 * Context: process context, may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include "compat/fault.h"
#include "compat/ksym.h"
#include "control/control.h"
#include "hook/hook.h"
#include "reaper/reaper.h"

/* Serializes turning on and off. */
static DEFINE_MUTEX(switch_lock);
static bool enabled;	/* Protected by switch_lock. */

/**
 * memrescue_control_enabled() - is the reaper on?
 *
 * Context: process context.
 * Return: true if it is.
 */
bool memrescue_control_enabled(void)
{
	return READ_ONCE(enabled);
}

static int attach_reaper(void)
{
	if (memrescue_hook_attach(HOOK_PART_REAPER)) {
		memrescue_hook_attach(HOOK_PART_SPARE);
		return 0;
	}
	pr_err("no hook could be attached: no victim would be seen\n");
	return -ENOENT;
}

/**
 * memrescue_control_enable() - turn the reaper on or off
 * @on: on; off detaches its hooks and hands unfinished victims to the kernel
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENOENT if no hook could be attached; it is off then.
 */
int memrescue_control_enable(bool on)
{
	int err = 0;

	mutex_lock(&switch_lock);
	if (on == enabled)
		goto out_unlock;
	if (on) {
		memrescue_reaper_start();
		err = attach_reaper();
		if (!err)
			memrescue_reaper_find_dying();
	}
	if (!on || err) {
		memrescue_hook_detach(HOOK_PART_SPARE);
		memrescue_hook_detach(HOOK_PART_REAPER);
		memrescue_reaper_stop();
	}
	if (!err)
		WRITE_ONCE(enabled, on);
out_unlock:
	mutex_unlock(&switch_lock);
	return err;
}

static ssize_t hooks_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return memrescue_hook_table(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(hooks);

static ssize_t symbols_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return memrescue_ksym_table(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(symbols);

static struct attribute *device_attrs[] = {
	&dev_attr_hooks.attr,
	&dev_attr_symbols.attr,
	NULL
};

static const struct attribute_group device_group = {
	.attrs = device_attrs,
};

/* More files than the directory pool has. */
#define MAX_POOL_FILES	64u

/* Those of pool.c and of rescue.c: a directory is made once, from one group. */
static struct attribute *pool_dir_attrs[MAX_POOL_FILES];

static const struct attribute_group pool_dir_group = {
	.name = "pool",
	.attrs = pool_dir_attrs,
};

static const struct attribute_group *groups[] = {
	&device_group,
	&memrescue_reaper_group,
	&pool_dir_group,
	NULL
};

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "memrescue",
	.fops = &device_fops,
	.mode = 0600,
	.groups = groups,
};

static bool add_pool_files(unsigned int *nr,
			   const struct attribute_group *group)
{
	struct attribute **attr;

	for (attr = group->attrs; *attr; attr++) {
		/* The last one stays NULL. */
		if (WARN_ON_ONCE(*nr == MAX_POOL_FILES - 1))
			return false;
		pool_dir_attrs[(*nr)++] = *attr;
	}
	return true;
}

/*
 * To register the device is to announce it: what udev's rules may name has to be
 * there by then.
 */
static int register_device(void)
{
	unsigned int nr = 0;

	if (!add_pool_files(&nr, &memrescue_pool_group) ||
	    !add_pool_files(&nr, &memrescue_rescue_group))
		return -ENOSPC;
	return misc_register(&device);
}

/**
 * memrescue_control_init() - make the device and its directory
 *
 * Context: module load; may sleep.
 * Return: 0 or a negative errno.
 */
int memrescue_control_init(void)
{
	int err = memrescue_fault("misc_register");

	if (!err)
		err = register_device();
	if (err)
		pr_err("the device cannot be registered (%d)\n", err);
	return err;
}

/**
 * memrescue_control_exit() - remove the device; no attribute is in use then
 *
 * Context: module unload; may sleep.
 */
void memrescue_control_exit(void)
{
	misc_deregister(&device);
}
