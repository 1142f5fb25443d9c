// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs and statistics of the rescue, in /sys/class/misc/memrescue/pool/, and when
 * its hooks are attached. docs/sysfs.md describes each file.
 *
 * Context: process context, may sleep.
 * Lock order: rescue_lock, then what hooks and pool take.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "control/attr.h"
#include "control/control.h"
#include "pool/rescue.h"

/* Serializes what decides about the hooks. */
static DEFINE_MUTEX(rescue_lock);
/* Is there somebody to be rescued, and are atomic allocations? Protected by it. */
static bool task_on, atomic_on;

/* Attaches what is wanted, and detaches what is not. Context: rescue_lock held. */
static void apply(void)
{
	bool atomic = memrescue_rescue_knobs.atomic;
	bool task = memrescue_rescue_knobs.dying || atomic ||
		    memrescue_lifeline_count();

	lockdep_assert_held(&rescue_lock);
	if (atomic_on && !atomic)
		memrescue_hook_detach(HOOK_PART_ATOMIC);
	if (task_on && !task)
		memrescue_hook_detach(HOOK_PART_RESCUE);
	if (task)
		memrescue_hook_attach(HOOK_PART_RESCUE);
	if (atomic)
		memrescue_hook_attach(HOOK_PART_ATOMIC);
	task_on = task;
	atomic_on = atomic;
}

/**
 * memrescue_control_rescue_start() - rescue whom the knobs name
 *
 * That it cannot be done is shown in the tables, and no error.
 *
 * Context: module load; may sleep.
 */
void memrescue_control_rescue_start(void)
{
	mutex_lock(&rescue_lock);
	apply();
	mutex_unlock(&rescue_lock);
}

/**
 * memrescue_control_rescue_stop() - rescue nobody
 *
 * Context: module unload, when the knobs are gone; may sleep.
 */
void memrescue_control_rescue_stop(void)
{
	mutex_lock(&rescue_lock);
	memrescue_hook_detach(HOOK_PART_ATOMIC);
	memrescue_hook_detach(HOOK_PART_RESCUE);
	mutex_unlock(&rescue_lock);
	memrescue_hook_exit();
}

static ssize_t store_switch(unsigned int *knob, const char *buf, size_t count)
{
	unsigned int on;

	if (kstrtouint(buf, 10, &on) || on > 1)
		return -EINVAL;
	mutex_lock(&rescue_lock);
	WRITE_ONCE(*knob, on);
	apply();
	mutex_unlock(&rescue_lock);
	return count;
}

static ssize_t rescue_dying_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(memrescue_rescue_knobs.dying));
}

static ssize_t rescue_dying_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	return store_switch(&memrescue_rescue_knobs.dying, buf, count);
}
static DEVICE_ATTR_RW(rescue_dying);

static ssize_t rescue_atomic_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(memrescue_rescue_knobs.atomic));
}

static ssize_t rescue_atomic_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	return store_switch(&memrescue_rescue_knobs.atomic, buf, count);
}
static DEVICE_ATTR_RW(rescue_atomic);

static ssize_t lifeline_pages_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(memrescue_rescue_knobs.lifeline_pages));
}

static ssize_t lifeline_pages_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	unsigned int pages;
	int err;

	if (kstrtouint(buf, 10, &pages) || !pages || pages > LIFELINE_MAX_PAGES)
		return -EINVAL;
	err = memrescue_lifeline_set_pages(pages);
	return err ? err : count;
}
static DEVICE_ATTR_RW(lifeline_pages);

#define RATE(name) \
	CONTROL_KNOB(name, &memrescue_rescue_knobs.name, 1, RESCUE_MAX_RATE, NULL)

RATE(dying_rate_pages);
RATE(lifeline_rate_pages);

static ssize_t lifelines_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return memrescue_lifeline_table(buf, PAGE_SIZE);
}

/* "/path" or "+/path" adds, "-/path" removes. */
static int change_lifelines(const char *line)
{
	if (line[0] == '-')
		return memrescue_lifeline_remove(line + 1);
	return memrescue_lifeline_add(line[0] == '+' ? line + 1 : line);
}

static ssize_t lifelines_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t count)
{
	char *line = kstrndup(buf, count, GFP_KERNEL);
	int err;

	if (!line)
		return -ENOMEM;
	strreplace(line, '\n', '\0');
	mutex_lock(&rescue_lock);
	err = change_lifelines(line);
	if (!err)
		apply();
	mutex_unlock(&rescue_lock);
	kfree(line);
	return err ? err : count;
}
static DEVICE_ATTR_RW(lifelines);

static ssize_t rescued_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return memrescue_rescue_table(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(rescued);

static ssize_t rescue_state_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	bool on;

	mutex_lock(&rescue_lock);
	on = task_on;
	mutex_unlock(&rescue_lock);
	if (!on)
		return sysfs_emit(buf, "off\n");
	return memrescue_hook_rescue_state(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(rescue_state);

static struct attribute *rescue_attrs[] = {
	&dev_attr_rescue_dying.attr,
	&dev_attr_rescue_atomic.attr,
	&dev_attr_lifelines.attr,
	&dev_attr_lifeline_pages.attr,
	&knob_lifeline_rate_pages.attr.attr,
	&knob_dying_rate_pages.attr.attr,
	&dev_attr_rescued.attr,
	&dev_attr_rescue_state.attr,
	NULL
};

const struct attribute_group memrescue_rescue_group = {
	.name = "pool",
	.attrs = rescue_attrs,
};
