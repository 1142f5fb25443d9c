// SPDX-License-Identifier: GPL-2.0
/*
 * Many contexts at one shelf and at one rack: threads, and in each of them a
 * signal handler that takes and puts like an NMI does, wherever the signal hits.
 *
 * Pages are tokens with two words. The owner is swapped without any ordering,
 * and says whether two contexts have the page. The stamp is plain memory, so
 * ThreadSanitizer sees a race if the shelf does not hand a page over with all
 * that was written to it.
 *
 * BROKEN makes a mistake on purpose: 1, an exchange that is a read and a write;
 * 2, swaps that order nothing. Both have to be noticed.
 *
 * Usage: pool_threads OPERATIONS MICROSECONDS
 * Each thread does OPERATIONS, and is interrupted after every MICROSECONDS.
 * Exit status: 0 if all was well, 1 if not, 66 if ThreadSanitizer complained.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "pool/pure.h"

#ifndef BROKEN
#define BROKEN 0
#endif
#if BROKEN == 1
#undef pure_xchg_slot
#define pure_xchg_slot(slot, new) ({ \
	void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE); \
	__atomic_store_n(slot, new, __ATOMIC_RELEASE); \
	found; \
})
#elif BROKEN == 2
#undef pure_xchg_slot
#define pure_xchg_slot(slot, new) __atomic_exchange_n(slot, new, __ATOMIC_RELAXED)
#undef pure_atomic_try_cmpxchg
#define pure_atomic_try_cmpxchg(v, old, new) \
	__atomic_compare_exchange_n(v, old, new, false, __ATOMIC_RELAXED, \
				    __ATOMIC_RELAXED)
#endif

#include "pool/rack.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

#define THREADS		4u
#define CONTEXTS	(2 * THREADS)
#define HAND		4u	/* pages that a context has at most */
#define SHELVES		3u
#define MAX_TOKENS	(SHELVES * SHELF_SLOTS + CONTEXTS * HAND)
#define NOBODY		0u

struct token {
	unsigned int owner;
	unsigned int stamp;
};

/* One flow of control: a thread, or the signal handler on top of it */
struct context {
	unsigned int id;	/* its name as an owner; not NOBODY */
	unsigned int nr;	/* pages in its hand */
	struct token *hand[HAND];
	uint64_t random;
	unsigned long takes;
	unsigned long misses;
	unsigned long puts;
	unsigned long full;
};

struct worker {
	pthread_t thread;
	struct context task;
	struct context nmi;
	volatile sig_atomic_t inside;	/* the task takes or puts */
	volatile sig_atomic_t closed;	/* the handler does nothing any more */
	unsigned long nested;		/* signals that found it inside */
};

static const struct test {
	const char *name;
	bool rack;
	unsigned int tokens;
	unsigned int limit;
	unsigned int low_limit;	/* of some of the puts */
} tests[] = {
	{ "shelf, few pages", false, 5, SHELF_SLOTS, 3 },
	{ "shelf, a page for everybody", false, 55, SHELF_SLOTS, 40 },
	{ "shelf, more pages than room", false, 30, 20, 10 },
	{ "rack, few pages", true, 5, 150, 70 },
	{ "rack, a page for everybody", true, 100, 150, 70 },
	{ "rack, more pages than room", true, 160, 150, 130 },
};

static const struct test *test;
static unsigned long operations;	/* of each thread */
static long signal_every_ns;
static struct token tokens[MAX_TOKENS];
static struct pool_shelf shelves[SHELVES];
static struct pool_rack rack;
static struct worker workers[THREADS];
static pthread_barrier_t barrier;
static unsigned int wrong;
static __thread struct worker *self;

static unsigned int random_below(struct context *context, unsigned int limit)
{
	context->random = context->random * 6364136223846793005u + 1442695040888963407u;
	return (context->random >> 32) % limit;
}

/* Also called in the handler, where nothing can be printed. */
static void expect(bool right)
{
	if (!right)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static void own(struct context *context, struct token *token)
{
	expect(__atomic_exchange_n(&token->owner, context->id, __ATOMIC_RELAXED) == NOBODY);
	token->stamp = context->id;
}

static void disown(struct context *context, struct token *token)
{
	expect(token->stamp == context->id);
	expect(__atomic_exchange_n(&token->owner, NOBODY, __ATOMIC_RELAXED) == context->id);
}

static void take(struct context *context)
{
	struct token *token = test->rack ? pool_rack_take(&rack) : pool_shelf_take(&shelves[0]);

	context->takes++;
	if (token) {
		own(context, token);
		context->hand[context->nr++] = token;
	} else {
		context->misses++;
	}
}

static bool put(struct context *context, unsigned int limit)
{
	struct token *token = context->hand[--context->nr];

	disown(context, token);
	context->puts++;
	if (test->rack ? pool_rack_put(&rack, token, limit) : pool_shelf_put(&shelves[0], token, limit))
		return true;
	context->full++;
	own(context, token);
	context->hand[context->nr++] = token;
	return false;
}

static void operate(struct context *context)
{
	bool low = !random_below(context, 8);

	if (context->nr && (context->nr == HAND || random_below(context, 2)))
		put(context, low ? test->low_limit : test->limit);
	else
		take(context);
}

static void on_signal(int unused)
{
	struct worker *worker = self;

	(void)unused;
	if (!worker || worker->closed)
		return;
	worker->nested += worker->inside;
	operate(&worker->nmi);
}

/* Signals for this thread, until the timer is deleted */
static timer_t start_signals(void)
{
	const struct itimerspec every = {
		.it_value.tv_nsec = signal_every_ns,
		.it_interval.tv_nsec = signal_every_ns,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
	};
	timer_t timer;

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL)) {
		perror("timer");
		exit(1);
	}
	return timer;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	timer_t timer;
	unsigned long i;

	self = worker;
	pthread_barrier_wait(&barrier);
	timer = start_signals();
	for (i = 0; i < operations; i++) {
		worker->inside = 1;
		operate(&worker->task);
		worker->inside = 0;
	}
	timer_delete(timer);
	/* One may still be on its way. */
	worker->closed = 1;
	return NULL;
}

/* The pages that there is room for go in, the others are in hands at first. */
static void prepare(void)
{
	struct context setup = { .id = CONTEXTS + 1 };
	struct context *context;
	unsigned int i, n = 0;

	memset(tokens, 0, sizeof(tokens));
	memset(shelves, 0, sizeof(shelves));
	memset(workers, 0, sizeof(workers));
	rack = (struct pool_rack){ .nr = SHELVES, .shelves = shelves };
	for (i = 0; i < CONTEXTS; i++) {
		context = i % 2 ? &workers[i / 2].nmi : &workers[i / 2].task;
		context->id = i + 1;
		context->random = i + 1;
	}
	for (i = 0; i < test->tokens; i++) {
		setup.hand[setup.nr++] = &tokens[i];
		own(&setup, &tokens[i]);
		if (put(&setup, test->limit))
			continue;
		disown(&setup, setup.hand[--setup.nr]);
		context = n % 2 ? &workers[n / 2 % THREADS].nmi : &workers[n / 2 % THREADS].task;
		own(context, &tokens[i]);
		context->hand[context->nr++] = &tokens[i];
		n++;
	}
}

/* Puts back what was in hands, as far as there is room; returns what is left. */
static unsigned int clear_hands(void)
{
	unsigned int i, left = 0;

	for (i = 0; i < THREADS; i++) {
		while (workers[i].task.nr && put(&workers[i].task, test->limit))
			;
		while (workers[i].nmi.nr && put(&workers[i].nmi, test->limit))
			;
		left += workers[i].task.nr + workers[i].nmi.nr;
	}
	return left;
}

/* Each page is in one place, and the counts are exact. */
static void check_all(void)
{
	unsigned int left = clear_hands(), sum = 0, full, i, slot;
	bool seen[MAX_TOKENS] = { 0 };
	struct token *token;

	for (i = 0; i < SHELVES; i++) {
		full = 0;
		for (slot = 0; slot < SHELF_SLOTS; slot++) {
			token = shelves[i].slots[slot];
			if (!token)
				continue;
			expect(!seen[token - tokens] && token->owner == NOBODY);
			seen[token - tokens] = true;
			full++;
		}
		expect((unsigned int)shelves[i].count == full);
		sum += full;
	}
	expect(sum + left == test->tokens);
	expect(!test->rack || (unsigned int)rack.stock == sum);
}

static void report(void)
{
	unsigned long takes = 0, misses = 0, puts = 0, full = 0, signals = 0, nested = 0;
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		takes += workers[i].task.takes + workers[i].nmi.takes;
		misses += workers[i].task.misses + workers[i].nmi.misses;
		puts += workers[i].task.puts + workers[i].nmi.puts;
		full += workers[i].task.full + workers[i].nmi.full;
		signals += workers[i].nmi.takes + workers[i].nmi.puts;
		nested += workers[i].nested;
	}
	printf("%s: %lu takes, %lu without a page; %lu puts, %lu without room; %lu by the handler, %lu in the middle of another\n",
	       test->name, takes, misses, puts, full, signals, nested);
	/* Without these the test would prove little. */
	if (!nested || takes == misses || puts == full) {
		printf("%s: too little happened\n", test->name);
		expect(false);
	}
}

static void run(void)
{
	unsigned int i, before = wrong;

	prepare();
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			perror("pthread_create");
			exit(1);
		}
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	check_all();
	report();
	if (wrong != before)
		printf("%s: %u times something was wrong\n", test->name, wrong - before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (argc != 3) {
		fprintf(stderr, "usage: %s OPERATIONS MICROSECONDS\n", argv[0]);
		return 2;
	}
	operations = strtoul(argv[1], NULL, 10);
	signal_every_ns = 1000 * strtol(argv[2], NULL, 10);
	/* Nothing to do: who calls wants to know whether it starts. */
	if (!operations)
		return 0;
	sigaction(SIGUSR1, &action, NULL);
	for (test = tests; test < tests + COUNT_OF(tests); test++)
		run();
	return !!wrong;
}
