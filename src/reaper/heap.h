/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A heap: the node with the smallest key is found at once; to add, to move or to
 * remove one costs as many steps as its number of nodes has binary digits.
 *
 * The place for the pointers is the owner's, who allocates it before: nothing is
 * allocated here.
 *
 * Context: any; the owner protects heap and nodes.
 */
#ifndef MEMRESCUE_REAPER_HEAP_H
#define MEMRESCUE_REAPER_HEAP_H

#include "pure.h"

/**
 * struct heap_node - part of what is in a heap
 * @key: the smallest is first; changed by memrescue_heap_put() only
 * @place: its place in heap.nodes, from 1 on; 0: it is in no heap
 */
struct heap_node {
	u64 key;
	u32 place;
};

/**
 * struct heap - one of them
 * @nodes: room for as many as there can be
 * @nr: how many there are
 * @visits: nodes that were moved or compared, for the tests
 */
struct heap {
	struct heap_node **nodes;
	u32 nr;
	u64 visits;
};

static inline void memrescue_heap_set(struct heap *heap, u32 place,
				      struct heap_node *node)
{
	heap->visits++;
	heap->nodes[place - 1] = node;
	node->place = place;
}

/* Up to where its parent is not larger. Returns the free place. */
static inline u32 memrescue_heap_rise(struct heap *heap, u32 place, u64 key)
{
	while (place > 1 && heap->nodes[place / 2 - 1]->key > key) {
		memrescue_heap_set(heap, place, heap->nodes[place / 2 - 1]);
		place /= 2;
	}
	return place;
}

/* Down to where none of its children is smaller. Returns the free place. */
static inline u32 memrescue_heap_sink(struct heap *heap, u32 place, u64 key)
{
	u32 child;

	for (;;) {
		child = place * 2;
		if (child > heap->nr)
			return place;
		if (child < heap->nr &&
		    heap->nodes[child]->key < heap->nodes[child - 1]->key)
			child++;
		if (heap->nodes[child - 1]->key >= key)
			return place;
		memrescue_heap_set(heap, place, heap->nodes[child - 1]);
		place = child;
	}
}

/* The node's place is free, or will be: it goes where its key belongs. */
static inline void memrescue_heap_settle(struct heap *heap, u32 place,
					 struct heap_node *node)
{
	place = memrescue_heap_rise(heap, place, node->key);
	place = memrescue_heap_sink(heap, place, node->key);
	memrescue_heap_set(heap, place, node);
}

/**
 * memrescue_heap_put() - add a node, or give it another key
 * @heap: has room for it
 * @node: in this heap, or in none
 * @key: its key from now on
 *
 * Context: see above.
 */
static inline void memrescue_heap_put(struct heap *heap, struct heap_node *node,
				      u64 key)
{
	u32 place = node->place ? node->place : ++heap->nr;

	node->key = key;
	memrescue_heap_settle(heap, place, node);
}

/**
 * memrescue_heap_remove() - take a node out
 * @heap: the heap
 * @node: in this heap, or in none
 *
 * Context: see above.
 */
static inline void memrescue_heap_remove(struct heap *heap,
					 struct heap_node *node)
{
	u32 place = node->place;
	struct heap_node *last;

	if (!place)
		return;
	node->place = 0;
	last = heap->nodes[--heap->nr];
	if (last != node)
		memrescue_heap_settle(heap, place, last);
}

/**
 * memrescue_heap_first() - the node with the smallest key
 * @heap: the heap
 *
 * Context: see above.
 * Return: the node, or NULL if there is none.
 */
static inline struct heap_node *memrescue_heap_first(const struct heap *heap)
{
	return heap->nr ? heap->nodes[0] : NULL;
}

#endif
