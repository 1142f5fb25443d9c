/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many pages belong where, so that the sum never exceeds the cap.
 *
 * Context: any; no side effects.
 */
#ifndef MEMRESCUE_POOL_SIZE_H
#define MEMRESCUE_POOL_SIZE_H

#include "pool/shelf.h"

/* A CPU that has fewer pages at hand calls the worker, whatever it shall have. */
#define POOL_SIZE_LOW	8u

/**
 * POOL_SIZE_SCALED() - a default, where pages may be larger than 4 KiB
 * @pages: of 4 KiB
 * @shift: of a page's size
 * @least: so many pages, however large
 *
 * Context: any; a constant if they are.
 * Return: pages that are as much memory.
 */
#define POOL_SIZE_SCALED(pages, shift, least) \
	(((pages) >> ((shift) - 12)) > (least) ? \
	 (pages) >> ((shift) - 12) : (least))

/**
 * struct pool_size - what decides; all but @cpus and @nodes in pages
 * @cap: the pool never has more
 * @reserved: guaranteed shares and rescue share, in the reserves
 * @base: wanted for each CPU when all is quiet, at least 1
 * @extra: wanted beyond the base
 * @cpus: online CPUs, at least 1
 * @nodes: nodes that have memory, at least 1
 */
struct pool_size {
	unsigned int cap;
	unsigned int reserved;
	unsigned int base;
	unsigned int extra;
	unsigned int cpus;
	unsigned int nodes;
};

static inline unsigned int pool_size_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* What the cap leaves for the common part. */
static inline unsigned int pool_size_common(const struct pool_size *size)
{
	return size->cap > size->reserved ? size->cap - size->reserved : 0;
}

/**
 * pool_size_cpu_slots() - pages that there may be on the shelf of a CPU
 * @size: what decides
 *
 * Room for twice the base, so that what is put back need not go to the node.
 *
 * Context: any.
 * Return: pages, at most SHELF_SLOTS.
 */
static inline unsigned int pool_size_cpu_slots(const struct pool_size *size)
{
	return pool_size_min(pool_size_min(2 * size->base, SHELF_SLOTS),
			     pool_size_common(size) / size->cpus);
}

/**
 * pool_size_node_slots() - pages that there may be in the common rack of a node
 * @size: what decides
 *
 * Context: any.
 * Return: pages.
 */
static inline unsigned int pool_size_node_slots(const struct pool_size *size)
{
	return (pool_size_common(size) -
		pool_size_cpu_slots(size) * size->cpus) / size->nodes;
}

/* The base of each CPU, where the cap allows it. */
static inline unsigned int pool_size_base(const struct pool_size *size)
{
	return pool_size_min(size->base, pool_size_cpu_slots(size));
}

/**
 * pool_size_most_extra() - how much there may be beyond the base
 * @size: what decides; its @extra does not
 *
 * Context: any.
 * Return: pages.
 */
static inline unsigned int pool_size_most_extra(const struct pool_size *size)
{
	return pool_size_common(size) - pool_size_base(size) * size->cpus;
}

/**
 * pool_size_cpu_target() - pages that there shall be on the shelf of a CPU
 * @size: what decides
 *
 * Context: any.
 * Return: pages.
 */
static inline unsigned int pool_size_cpu_target(const struct pool_size *size)
{
	return pool_size_min(pool_size_base(size) + size->extra / size->cpus,
			     pool_size_cpu_slots(size));
}

/**
 * pool_size_low() - with fewer pages on its shelf a CPU calls the worker
 * @target: pages that there shall be there, and that the worker fills it up to
 *
 * Below the target, or each get would call it; for a small one two thirds.
 *
 * Context: any.
 * Return: pages: from 1 to @target, 0 if that is 0.
 */
static inline unsigned int pool_size_low(unsigned int target)
{
	if (target < 2)
		return target;
	return pool_size_min(target * 2 / 3, POOL_SIZE_LOW);
}

/**
 * pool_size_node_target() - pages that there shall be in the common rack
 * @size: what decides
 *
 * Context: any.
 * Return: pages, not more than pool_size_node_slots().
 */
static inline unsigned int pool_size_node_target(const struct pool_size *size)
{
	unsigned int at_cpus = (pool_size_cpu_target(size) -
				pool_size_base(size)) * size->cpus;
	unsigned int rest = size->extra > at_cpus ? size->extra - at_cpus : 0;

	return pool_size_min(rest / size->nodes, pool_size_node_slots(size));
}

/**
 * pool_size_node_part() - a node's part of the guaranteed shares
 * @shares: pages of all of them
 * @nodes: nodes that have memory, at least 1
 *
 * Context: any.
 * Return: pages; of all nodes together at least @shares.
 */
static inline unsigned int pool_size_node_part(unsigned int shares,
					       unsigned int nodes)
{
	return shares / nodes + !!(shares % nodes);
}

/**
 * pool_size_grown() - what is wanted beyond the base after misses
 * @size: what decides
 *
 * Context: any.
 * Return: pages: twice as many, at least another base, within the cap.
 */
static inline unsigned int pool_size_grown(const struct pool_size *size)
{
	unsigned int most = pool_size_most_extra(size);
	unsigned int base = size->base * size->cpus;

	if (size->extra >= most / 2)
		return most;
	if (size->extra * 2 > base)
		base = size->extra * 2;
	return pool_size_min(base, most);
}

/**
 * pool_size_decayed() - what is wanted beyond the base after a quiet second
 * @size: what decides
 *
 * Context: any.
 * Return: pages: a quarter, or none when that is less than the base.
 */
static inline unsigned int pool_size_decayed(const struct pool_size *size)
{
	unsigned int rest = size->extra / 4;

	return rest < size->base * size->cpus ? 0 : rest;
}

#endif
