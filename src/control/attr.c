// SPDX-License-Identifier: GPL-2.0
/*
 * What knobs and counters show, and what is written to a knob.
 *
 * Context: process context, may sleep.
 */
#include <linux/kernel.h>
#include "control/attr.h"

/**
 * memrescue_control_knob_show() - a knob's number
 * @dev: unused
 * @attr: of a struct control_knob
 * @buf: a page
 *
 * Return: bytes written.
 */
ssize_t memrescue_control_knob_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	struct control_knob *knob = container_of(attr, struct control_knob,
						 attr);

	return sysfs_emit(buf, "%u\n", READ_ONCE(*knob->value));
}

/**
 * memrescue_control_knob_store() - set a knob
 * @dev: unused
 * @attr: of a struct control_knob
 * @buf: the number, as text
 * @count: its length, bytes
 *
 * Return: @count; -EINVAL if it is no number or out of range, or what the knob's
 * own function says.
 */
ssize_t memrescue_control_knob_store(struct device *dev,
				     struct device_attribute *attr,
				     const char *buf, size_t count)
{
	struct control_knob *knob = container_of(attr, struct control_knob,
						 attr);
	unsigned int value;
	int err = 0;

	if (kstrtouint(buf, 10, &value) || value < knob->min ||
	    value > knob->max)
		return -EINVAL;
	if (knob->set)
		err = knob->set(knob->value, value);
	else
		WRITE_ONCE(*knob->value, value);
	return err ? err : count;
}

/**
 * memrescue_control_counter_show() - a counter's number
 * @dev: unused
 * @attr: of a struct control_counter
 * @buf: a page
 *
 * Return: bytes written.
 */
ssize_t memrescue_control_counter_show(struct device *dev,
				       struct device_attribute *attr, char *buf)
{
	struct control_counter *counter =
		container_of(attr, struct control_counter, attr);

	return sysfs_emit(buf, "%lu\n", atomic_long_read(counter->value));
}
