/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Model of how the pool's worker is called (src/pool/refill.c), for spin: callers
 * that have taken a page or have missed one, the interrupt that they ask for, and
 * the worker, which may find no memory. Each step is one access to shared memory.
 *
 * No fairness: a caller may lose its CPU for ever at any step but with preemption
 * off. When nothing moves any more, a run of the worker must have looked at the
 * pool after each call that was made to its end.
 *
 * Parameters (-D):
 *	CALLERS		how many; each is one that took a page or one that missed it
 *	FAILS		so many runs may find no memory
 *	TIMER		0: the next try by itself is too late to be of use: what is
 *			missed must be seen all the same, if the worker has not reclaimed
 *	MUTANT		a mistake on purpose, which spin has to find
 */
#ifndef TIMER
#define TIMER 1
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define PREEMPTIBLE	1	/* kick: preemption is on between the two steps */
#define CLEARED_LATE	2	/* the worker takes note of requests after it has looked */
#define LEFT_ALONE	3	/* who misses a page leaves a worker alone that waits */
#define LOST_WAITING	4	/* a try that is put off cancels the run that was asked for */

#define IDLE		0
#define REQUESTED	1
#define WAITS		2

byte requested;		/* IDLE, ... */
bool interrupt;		/* irq_work is queued */
bool queued;		/* the work is, to run at once */
bool put_off;		/* or after a while */
bool hard;		/* the worker may reclaim */
byte fails;
bool over;		/* nothing moves any more, and all is checked */

/* Sets of callers, as bits. */
byte lacking;		/* they have changed what a run has to see */
byte missing;		/* those that did not get a page */
byte called;		/* whose call has come to its end */

#define BIT(n)		(1 << (n))

proctype caller(byte me)
{
	byte was;
	bool missed;

	if
	:: missed = false
	:: missed = true
	fi;
	d_step {
		lacking = lacking | BIT(me);
		missing = missing | (missed -> BIT(me) : 0)
	};
	if
	:: goto stopped
	:: true
	fi;
	/* The look that spares the rest */
	was = requested;
	if
	:: was == REQUESTED || (was == WAITS && !(missed && MUTANT != LEFT_ALONE)) -> goto returns
	:: else
	fi;
	if
	:: goto stopped
	:: true
	fi;
	/* Preemption is off from here ... */
	d_step {
		was = requested;
		if
		:: missed && MUTANT != LEFT_ALONE -> requested = REQUESTED
		:: else ->
			if
			:: was == IDLE -> requested = REQUESTED
			:: else
			fi
		fi
	};
#if MUTANT == PREEMPTIBLE
	if
	:: goto stopped
	:: true
	fi;
#endif
	if
	:: was == IDLE || (was == WAITS && missed && MUTANT != LEFT_ALONE) -> interrupt = true
	:: else
	fi;
	/* ... to here. */
returns:
	called = called | BIT(me);
stopped:
	skip
}

proctype hardware()
{
	do
	:: over -> break
	:: d_step { interrupt -> interrupt = false; queued = true; put_off = false }
#if TIMER
	:: d_step { put_off -> put_off = false; queued = true }
#endif
	od
}

/* The workqueue runs it; nobody else runs at its priority, so that it is not stopped. */
proctype worker()
{
	bool good, was_hard;
	byte seen;

	do
	:: over -> break
	:: d_step { queued -> queued = false };
#if MUTANT != CLEARED_LATE
		requested = IDLE;
#endif
		/* What it looks at first is the misses: they make it reclaim. */
		d_step { seen = lacking; hard = hard || (missing & lacking); was_hard = hard };
#if MUTANT == CLEARED_LATE
		requested = IDLE;
#endif
		d_step { lacking = lacking & ~seen; missing = missing & ~seen };
		if
		:: good = true
		:: fails < FAILS -> good = false; fails++
		fi;
		hard = !good;
		if
		:: good
		:: else ->
			requested = (was_hard -> REQUESTED : WAITS);
			/* Nothing if it is queued to run at once */
#if MUTANT == LOST_WAITING
			d_step { queued = false; put_off = true }
#else
			d_step {
				if
				:: queued -> skip
				:: else -> put_off = true
				fi
			}
#endif
		fi
	od
}

init
{
	byte n;

	atomic {
		run hardware();
		run worker();
		for (n : 0 .. CALLERS - 1) {
			run caller(n)
		}
	}
	timeout;
#if TIMER
	assert(!(lacking & called));
	assert(requested == IDLE || lacking);
#else
	/* A run that has reclaimed, in vain, is not asked for again before its time. */
	assert(!(lacking & missing & called) || (put_off && requested == REQUESTED));
#endif
	over = true
}
