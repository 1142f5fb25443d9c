// SPDX-License-Identifier: GPL-2.0
/*
 * What the clients did: sums, and the table of them. No lock is taken: any user may
 * read, at any priority, and the workers would wait for a reader that lost its CPU.
 *
 * Context: see each function.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/seqlock.h>
#include <linux/string.h>
#include "pool/internal.h"

/**
 * memrescue_pool_add_counts() - add what was done to a sum
 * @sum: the sum
 * @counts: what was done
 *
 * Context: any.
 */
void memrescue_pool_add_counts(struct pool_client_counts *sum,
			       const struct pool_client_counts *counts)
{
	sum->gets += READ_ONCE(counts->gets);
	sum->misses += READ_ONCE(counts->misses);
	sum->puts += READ_ONCE(counts->puts);
	sum->handed_over += READ_ONCE(counts->handed_over);
}

/**
 * memrescue_pool_add_client() - add what a client did, on all CPUs
 * @sum: the sum
 * @client: the client
 *
 * Context: any.
 */
void memrescue_pool_add_client(struct pool_client_counts *sum,
			       const struct memrescue_pool_client *client)
{
	int cpu;

	for_each_possible_cpu(cpu)
		memrescue_pool_add_counts(sum,
					  per_cpu_ptr(client->counts, cpu));
}

/**
 * memrescue_pool_client_sum() - what all clients did, also those that are gone
 * @sum: filled
 *
 * A client that leaves meanwhile is counted once.
 *
 * Context: any but NMI; takes no lock.
 */
void memrescue_pool_client_sum(struct pool_client_counts *sum)
{
	struct memrescue_pool_client *client;
	unsigned int seq;

	rcu_read_lock();
	do {
		seq = read_seqcount_begin(&memrescue_pool.leaves);
		memset(sum, 0, sizeof(*sum));
		memrescue_pool_add_counts(sum, &memrescue_pool.past);
		list_for_each_entry_rcu(client, &memrescue_pool.clients, link)
			memrescue_pool_add_client(sum, client);
	} while (read_seqcount_retry(&memrescue_pool.leaves, seq));
	rcu_read_unlock();
}

/**
 * memrescue_pool_outstanding() - what was taken and neither put nor handed over
 * @sum: of a client; while it is active some of what it does may not be in it
 *
 * Context: any.
 * Return: pages.
 */
unsigned long memrescue_pool_outstanding(const struct pool_client_counts *sum)
{
	long pages = sum->gets - sum->puts - sum->handed_over;

	return max(pages, 0L);
}

/**
 * memrescue_pool_client_stats() - what a client has done
 * @client: the client
 * @stats: filled; consistent when the client is idle
 *
 * Context: any.
 */
void memrescue_pool_client_stats(struct memrescue_pool_client *client,
				 struct memrescue_pool_client_stats *stats)
{
	struct pool_client_counts sum = { 0 };

	memrescue_pool_add_client(&sum, client);
	stats->gets = sum.gets;
	stats->misses = sum.misses;
	stats->puts = sum.puts;
	stats->handed_over = sum.handed_over;
	stats->outstanding = memrescue_pool_outstanding(&sum);
	stats->quota = READ_ONCE(client->quota);
	stats->credit = max(atomic_read(&client->credit), 0);
}
EXPORT_SYMBOL_GPL(memrescue_pool_client_stats);

/* A name, two numbers of 10 digits, five of 20, and what is between them. */
#define CLIENT_LINE_BYTES	(MEMRESCUE_POOL_NAME + 2 * 11 + 5 * 21 + 1)

static ssize_t client_line(struct memrescue_pool_client *client, char *buf,
			   size_t size)
{
	struct memrescue_pool_client_stats stats;

	memrescue_pool_client_stats(client, &stats);
	return scnprintf(buf, size, "%s %u %u %llu %llu %llu %llu %llu\n",
			 client->name, stats.quota, stats.credit,
			 stats.outstanding, stats.gets, stats.misses,
			 stats.puts, stats.handed_over);
}

/**
 * memrescue_pool_more() - end of a table that does not fit
 * @left: lines that did not; 0: it did
 * @buf: where to write
 * @size: at least POOL_MORE_BYTES
 *
 * Context: any.
 * Return: bytes written.
 */
ssize_t memrescue_pool_more(unsigned int left, char *buf, size_t size)
{
	return left ? scnprintf(buf, size, "... %u more\n", left) : 0;
}

/**
 * memrescue_pool_table() - the clients as text, one line each
 * @buf: where to write
 * @size: its size, bytes
 *
 * Context: any but NMI; takes no lock.
 * Return: bytes written; whole lines only. The last one says how many did not fit.
 */
ssize_t memrescue_pool_table(char *buf, size_t size)
{
	struct memrescue_pool_client *client;
	unsigned int left = 0;
	ssize_t len;

	len = scnprintf(buf, size,
			"name quota credit outstanding gets misses puts handed_over\n");
	rcu_read_lock();
	list_for_each_entry_rcu(client, &memrescue_pool.clients, link) {
		if (left || size - len < CLIENT_LINE_BYTES + POOL_MORE_BYTES)
			left++;
		else
			len += client_line(client, buf + len, size - len);
	}
	rcu_read_unlock();
	return len + memrescue_pool_more(left, buf + len, size - len);
}
