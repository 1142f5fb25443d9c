// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs and statistics of the page pool: /sys/class/misc/memrescue/pool/.
 * docs/sysfs.md describes each file.
 *
 * Context: process context, may sleep.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include "control/control.h"
#include "pool/pool.h"

struct knob {
	struct device_attribute attr;
	unsigned int *value;
	unsigned int min;
	unsigned int max;
};

static ssize_t knob_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct knob *knob = container_of(attr, struct knob, attr);

	return sysfs_emit(buf, "%u\n", READ_ONCE(*knob->value));
}

static ssize_t knob_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct knob *knob = container_of(attr, struct knob, attr);
	unsigned int value;
	int err;

	if (kstrtouint(buf, 10, &value) || value < knob->min ||
	    value > knob->max)
		return -EINVAL;
	err = memrescue_pool_set(knob->value, value);
	return err ? err : count;
}

#define KNOB(name, low, high) \
static struct knob knob_##name = { \
	.attr = __ATTR(name, 0644, knob_show, knob_store), \
	.value = &memrescue_pool_knobs.name, \
	.min = (low), \
	.max = (high), \
}

KNOB(base_pages, 1, POOL_MAX_BASE);
KNOB(rescue_pages, 0, POOL_MAX_RESCUE);
KNOB(cap_pages, 1, POOL_MAX_PAGES);
KNOB(cap_percent, 1, 100);

struct counter {
	struct device_attribute attr;
	atomic_long_t *value;
};

static ssize_t counter_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct counter *counter = container_of(attr, struct counter, attr);

	return sysfs_emit(buf, "%lu\n", atomic_long_read(counter->value));
}

#define COUNTER(name) \
static struct counter counter_##name = { \
	.attr = __ATTR(name, 0444, counter_show, NULL), \
	.value = &memrescue_pool_stats.name, \
}

COUNTER(refills);
COUNTER(refilled);
COUNTER(refill_failures);
COUNTER(grown);
COUNTER(shrunk);
COUNTER(freed);
COUNTER(dropped);
COUNTER(foreign);
COUNTER(lost);

#define NOW(name) \
static ssize_t name##_show(struct device *dev, \
			   struct device_attribute *attr, char *buf) \
{ \
	struct memrescue_pool_now now; \
\
	memrescue_pool_now(&now); \
	return sysfs_emit(buf, "%lu\n", now.name); \
} \
static DEVICE_ATTR_RO(name)

NOW(common);
NOW(reserved);
NOW(target);
NOW(peak);
NOW(cap);
NOW(gets);
NOW(misses);
NOW(puts);
NOW(handed_over);

static ssize_t clients_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return memrescue_pool_table(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(clients);

static struct attribute *pool_attrs[] = {
	&knob_base_pages.attr.attr,
	&knob_rescue_pages.attr.attr,
	&knob_cap_pages.attr.attr,
	&knob_cap_percent.attr.attr,
	&counter_refills.attr.attr,
	&counter_refilled.attr.attr,
	&counter_refill_failures.attr.attr,
	&counter_grown.attr.attr,
	&counter_shrunk.attr.attr,
	&counter_freed.attr.attr,
	&counter_dropped.attr.attr,
	&counter_foreign.attr.attr,
	&counter_lost.attr.attr,
	&dev_attr_common.attr,
	&dev_attr_reserved.attr,
	&dev_attr_target.attr,
	&dev_attr_peak.attr,
	&dev_attr_cap.attr,
	&dev_attr_gets.attr,
	&dev_attr_misses.attr,
	&dev_attr_puts.attr,
	&dev_attr_handed_over.attr,
	&dev_attr_clients.attr,
	NULL
};

const struct attribute_group memrescue_pool_group = {
	.name = "pool",
	.attrs = pool_attrs,
};
