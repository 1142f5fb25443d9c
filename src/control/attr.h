/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files with one number: knobs that have a range, and counters.
 *
 * Context: process context, may sleep.
 */
#ifndef MEMRESCUE_CONTROL_ATTR_H
#define MEMRESCUE_CONTROL_ATTR_H

#include <linux/atomic.h>
#include <linux/device.h>

/**
 * struct control_knob - a number that can be written
 * @attr: its file
 * @value: the number
 * @min: the least that is accepted
 * @max: the most
 * @set: stores it, 0 or a negative errno; NULL: nothing else has to be done
 */
struct control_knob {
	struct device_attribute attr;
	unsigned int *value;
	unsigned int min;
	unsigned int max;
	int (*set)(unsigned int *knob, unsigned int value);
};

#define CONTROL_KNOB(_name, _value, _min, _max, _set) \
static struct control_knob knob_##_name = { \
	.attr = __ATTR(_name, 0644, memrescue_control_knob_show, \
		       memrescue_control_knob_store), \
	.value = (_value), \
	.min = (_min), \
	.max = (_max), \
	.set = (_set), \
}

/**
 * struct control_counter - a number that only grows
 * @attr: its file
 * @value: the number
 */
struct control_counter {
	struct device_attribute attr;
	atomic_long_t *value;
};

#define CONTROL_COUNTER(_name, _value) \
static struct control_counter counter_##_name = { \
	.attr = __ATTR(_name, 0444, memrescue_control_counter_show, NULL), \
	.value = (_value), \
}

ssize_t memrescue_control_knob_show(struct device *dev,
				    struct device_attribute *attr, char *buf);
ssize_t memrescue_control_knob_store(struct device *dev,
				     struct device_attribute *attr,
				     const char *buf, size_t count);
ssize_t memrescue_control_counter_show(struct device *dev,
				       struct device_attribute *attr,
				       char *buf);

#endif
