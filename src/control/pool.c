// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs and statistics of the page pool: /sys/class/misc/memrescue/pool/.
 * docs/sysfs.md describes each file.
 *
 * Context: process context, may sleep.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include "control/attr.h"
#include "control/control.h"
#include "pool/pool.h"

#define KNOB(name, low, high) \
	CONTROL_KNOB(name, &memrescue_pool_knobs.name, low, high, memrescue_pool_set)

KNOB(base_pages, 1, POOL_MAX_BASE);
KNOB(rescue_pages, 0, POOL_MAX_RESCUE);
KNOB(cap_pages, 1, POOL_MAX_PAGES);
KNOB(cap_percent, 1, 100);

#define COUNTER(name) CONTROL_COUNTER(name, &memrescue_pool_stats.name)

COUNTER(refills);
COUNTER(refilled);
COUNTER(refill_failures);
COUNTER(refill_reclaims);
COUNTER(grown);
COUNTER(shrunk);
COUNTER(freed);
COUNTER(dropped);
COUNTER(foreign);
COUNTER(lost);
COUNTER(poisoned);

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

static ssize_t nodes_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return memrescue_pool_node_table(buf, PAGE_SIZE);
}
static DEVICE_ATTR_RO(nodes);

static struct attribute *pool_attrs[] = {
	&knob_base_pages.attr.attr,
	&knob_rescue_pages.attr.attr,
	&knob_cap_pages.attr.attr,
	&knob_cap_percent.attr.attr,
	&counter_refills.attr.attr,
	&counter_refilled.attr.attr,
	&counter_refill_failures.attr.attr,
	&counter_refill_reclaims.attr.attr,
	&counter_grown.attr.attr,
	&counter_shrunk.attr.attr,
	&counter_freed.attr.attr,
	&counter_dropped.attr.attr,
	&counter_foreign.attr.attr,
	&counter_lost.attr.attr,
	&counter_poisoned.attr.attr,
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
	&dev_attr_nodes.attr,
	NULL
};

const struct attribute_group memrescue_pool_group = {
	.name = "pool",
	.attrs = pool_attrs,
};
