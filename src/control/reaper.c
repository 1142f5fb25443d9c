// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs and statistics of the reaper: /sys/class/misc/memrescue/reaper/.
 * docs/sysfs.md describes each file.
 *
 * Context: process context, may sleep.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include "control/attr.h"
#include "control/control.h"
#include "reaper/reaper.h"

#define KNOB(name, low, high) \
	CONTROL_KNOB(name, &memrescue_reaper_knobs.name, low, high, NULL)

KNOB(kill_min_kb, 0, UINT_MAX);
KNOB(stuck_report_ms, 100, 3600 * 1000);
KNOB(stuck_panic, 0, 1);
KNOB(parallel_min_kb, 0, UINT_MAX);
KNOB(range_kb, 2048, 4096 * 1024);
KNOB(max_workers, 1, REAPER_MAX_WORKERS);

static ssize_t enabled_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", memrescue_control_enabled());
}

static ssize_t enabled_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	unsigned int on;
	int err;

	if (kstrtouint(buf, 10, &on) || on > 1)
		return -EINVAL;
	err = memrescue_control_enable(on);
	return err ? err : count;
}
static DEVICE_ATTR_RW(enabled);

#define COUNTER(name) CONTROL_COUNTER(name, &memrescue_reaper_stats.name)

COUNTER(victims_oom);
COUNTER(victims_killed);
COUNTER(reaped);
COUNTER(reaped_pages);
COUNTER(skipped);
COUNTER(exited);
COUNTER(delayed);
COUNTER(stuck);
COUNTER(overflow);
COUNTER(unlogged);
COUNTER(given_back);
COUNTER(kills_put_off);

static ssize_t victims_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct memrescue_reaper_stats *stats = &memrescue_reaper_stats;

	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&stats->victims_oom) +
			  atomic_long_read(&stats->victims_killed));
}
static DEVICE_ATTR_RO(victims);

#define NOW(name) \
static ssize_t name##_show(struct device *dev, \
			   struct device_attribute *attr, char *buf) \
{ \
	struct memrescue_reaper_now now; \
\
	memrescue_reaper_now(&now); \
	return sysfs_emit(buf, "%lu\n", now.name); \
} \
static DEVICE_ATTR_RO(name)

NOW(in_flight);
NOW(exiting);
NOW(expected_pages);
NOW(workers_used);

static ssize_t latency_us_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct memrescue_reaper_stats *stats = &memrescue_reaper_stats;
	ssize_t len = 0;
	unsigned int i;

	for (i = 0; i < REAPER_HIST_BUCKETS - 1; i++)
		len += sysfs_emit_at(buf, len, "%lu %lu\n", 1ul << i,
				     atomic_long_read(&stats->hist[i]));
	return len + sysfs_emit_at(buf, len, "inf %lu\n",
				   atomic_long_read(&stats->hist[i]));
}
static DEVICE_ATTR_RO(latency_us);

static struct attribute *reaper_attrs[] = {
	&dev_attr_enabled.attr,
	&knob_kill_min_kb.attr.attr,
	&knob_stuck_report_ms.attr.attr,
	&knob_stuck_panic.attr.attr,
	&knob_parallel_min_kb.attr.attr,
	&knob_range_kb.attr.attr,
	&knob_max_workers.attr.attr,
	&dev_attr_victims.attr,
	&counter_victims_oom.attr.attr,
	&counter_victims_killed.attr.attr,
	&counter_reaped.attr.attr,
	&counter_reaped_pages.attr.attr,
	&counter_skipped.attr.attr,
	&counter_exited.attr.attr,
	&counter_delayed.attr.attr,
	&counter_stuck.attr.attr,
	&counter_overflow.attr.attr,
	&counter_unlogged.attr.attr,
	&counter_given_back.attr.attr,
	&counter_kills_put_off.attr.attr,
	&dev_attr_in_flight.attr,
	&dev_attr_exiting.attr,
	&dev_attr_expected_pages.attr,
	&dev_attr_workers_used.attr,
	&dev_attr_latency_us.attr,
	NULL
};

const struct attribute_group memrescue_reaper_group = {
	.name = "reaper",
	.attrs = reaper_attrs,
};
