/* SPDX-License-Identifier: GPL-2.0 */
/* The page pool and the tests' client of it, as a test program sees them. */
#ifndef MEMRESCUE_TESTS_LIB_POOL_H
#define MEMRESCUE_TESTS_LIB_POOL_H

#include "lib.h"

#include "clients/memrescue_pool_test.h"

#define MR_POOL		MR "pool/"
#define POOL_CLIENT_KO	"/memrescue_pool_test.ko"

/* A file of the pool's that has one number, or -1. */
long pool(const char *name);
/* 0 or a negative errno. */
int pool_set(const char *name, const char *fmt, ...) PRINTF(2, 3);

/* A new client: a descriptor for the ioctls, or a negative errno. */
int pool_create(const char *name, unsigned int quota, unsigned int flags);
/* The same; the test ends if there is none. */
int pool_client(const char *name, unsigned int quota, unsigned int flags);

enum pool_column {
	POOL_QUOTA = 1, POOL_CREDIT, POOL_OUTSTANDING, POOL_GETS, POOL_MISSES, POOL_PUTS, POOL_HANDED_OVER
};

/* A number of a client's row, or -1. */
long pool_column(const char *name, enum pool_column nr);

enum pool_node_column { POOL_NODE_COMMON = 1, POOL_NODE_TARGET, POOL_NODE_RESERVED };

/* A number of a memory node's row, or -1. */
long pool_node(int node, enum pool_node_column nr);

/* What it keeps when all is quiet, without the shares. */
long pool_base(void);
bool pool_is_full(void);
bool pool_is_at_base(void);
/* Lets a client take more than there is, some times: the pool becomes larger. */
void pool_grow(int fd);
/* Every page that was ever put in is there, or has left in a way that is counted. */
bool pool_adds_up(void);
/* Checks that it comes back to its base, and has lost no page. */
void pool_settled(const char *name);

#endif
