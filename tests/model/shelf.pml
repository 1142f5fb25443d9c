/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Model of src/pool/shelf.h for spin: contexts that take and put on one shelf,
 * from every start (slots full or empty, page in hand or not, hint; hints above
 * SLOTS + 1 act like that one) and in every interleaving. Each step is one
 * access to shared memory, with what the context does by itself until the next
 * one.
 *
 * An NMI is a context whose steps all lie between two steps of another one, and
 * a task that is moved to another CPU is a context like any other, so both are
 * among the interleavings of contexts that just run. That nobody waits for
 * somebody else, whom it may have interrupted, follows from this: no step is
 * ever blocked, and every schedule, fair or not, comes to an end (pan -l).
 *
 * Parameters (-D):
 *	SLOTS		2 or 3
 *	PASSES		SHELF_PASSES
 *	CONTEXTS	how many
 *	OPS		operations of each: it puts the page that it has, or takes one if
 *			it has none
 *	LOWERED		1: a put may use all slots, or all but the last
 *	STALE		1: what is read without a barrier (the hint, the look at a
 *			slot before the swap) may be any value, whatever a weaker
 *			memory order made of it
 *	MUTANT		a mistake on purpose, which spin has to find
 */
#ifndef LOWERED
#define LOWERED 0
#endif
#ifndef STALE
#define STALE 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define COUNT_BEFORE_PAGE	1	/* put: count is raised before the page is there */
#define TAKE_READ_WRITE		2	/* take: no exchange */
#define PUT_READ_WRITE		3	/* put: no compare and exchange */
#define PERMIT_READ_WRITE	4	/* permit: no compare and exchange */
#define PERMIT_KEPT		5	/* not given back when the passes ran out */
#define PERMIT_AFTERWARDS	6	/* count is lowered after the page was taken */
#define SLOT_SKIPPED		7	/* a pass does not look at all slots */
#define COUNT_NOT_READ_AGAIN	8	/* permit: the count is compared with the same value for ever */
#define PERMIT_TRIED_ONCE	9	/* permit: none if somebody else was faster */
#define PUT_SLOT_SKIPPED	10	/* put: does not look at all slots */

/* The shelf. Pages are numbers, from 1. */
byte slot[SLOTS];
byte count;
byte top;

/* What the properties speak of; sets are bits, of pages or of contexts. */
byte pages;		/* how many there are */
byte held;		/* pages that a context owns */
byte permits;		/* that were taken, and neither used nor given back */
byte moved;		/* contexts that have seen a page move since their pass began */
byte zero;		/* contexts that have seen a count of 0 since their take began */
byte finished;		/* how many contexts are */

#define BIT(n)		(1 << (n))
#define EVERYBODY	255

#if SLOTS == 2
#define FULL		((slot[0] > 0) + (slot[1] > 0))
#else
#define FULL		((slot[0] > 0) + (slot[1] > 0) + (slot[2] > 0))
#endif

/* Of the slots that a put may use */
#define FULL_BELOW_LIMIT (FULL - (limit < SLOTS && slot[SLOTS - 1] > 0))

/* For each permit, taken or not, there is a page. */
#define CHECK_PERMITS	assert(count + permits <= FULL)

/* Steps of a context: the access to shared memory that comes next. */
mtype = { READ_TOP, READ_COUNT, LOWER_COUNT, LOOK, SWAP, WRITE_TOP, RETURN_PERMIT, LATE_PERMIT,
	PUT_READ_TOP, PUT_LOOK, PUT_SWAP, PUT_WRITE_TOP, RAISE_COUNT, EARLY_COUNT, EARLY_READ, END };

inline operation_done()
{
	moved = moved | BIT(me);
	zero = zero | BIT(me);
	at = 0;
	i = 0;
	pass = 0;
	seen = 0;
	limit = 0;
	ops++;
	if
	:: ops == OPS ->
		finished++;
		step = END
	:: else ->
		step = (mine -> PUT_READ_TOP : READ_TOP)
	fi
}

/* ---- take ---- */

inline take_begins()
{
	if
	:: count == 0 -> zero = zero | BIT(me)
	:: else -> zero = zero & ~BIT(me)
	fi;
	step = READ_COUNT
}

inline take_fails_empty()
{
	/* It was empty at some moment, whatever others did since. */
	assert(zero & BIT(me));
	operation_done()
}

inline permit_taken()
{
	permits++;
	if
	:: count == 0 -> zero = EVERYBODY
	:: else
	fi;
	CHECK_PERMITS;
	seen = 0;
	step = LOOK
}

inline read_count()
{
	seen = count;
	if
	:: seen == 0 ->
		take_fails_empty()
	:: else ->
#if MUTANT == PERMIT_AFTERWARDS
		permit_taken()
#else
		step = LOWER_COUNT
#endif
	fi
}

inline lower_count()
{
	if
	:: count == seen || MUTANT == PERMIT_READ_WRITE ->
		count = seen - 1;
		permit_taken()
	:: else ->
#if MUTANT == PERMIT_TRIED_ONCE
		seen = 0;
#elif MUTANT != COUNT_NOT_READ_AGAIN
		seen = count;
#endif
		if
		:: seen == 0 -> take_fails_empty()
		:: else
		fi
	fi
}

inline pass_begins()
{
	if
	:: i == 0 -> moved = moved & ~BIT(me)
	:: else
	fi
}

inline previous_slot()
{
	at = (at >= 1 && at - 1 < SLOTS -> at - 1 : SLOTS - 1)
}

/* Nothing in this slot: on to the next one */
inline next_look()
{
	i++;
	if
	:: i == SLOTS - (MUTANT == SLOT_SKIPPED) ->
		/* There was a page for us all the time: others have moved it. */
		assert(STALE || (moved & BIT(me)));
		i = 0;
		pass++
	:: else
	fi;
	step = (pass == PASSES -> RETURN_PERMIT : LOOK)
}

inline look(page)
{
	pass_begins();
	previous_slot();
	if
	:: page -> step = (MUTANT == TAKE_READ_WRITE -> EARLY_READ : SWAP)
	:: else -> next_look()
	fi
}

inline page_taken()
{
	/* Nobody else has it. */
	assert(!(held & BIT(mine)));
	held = held | BIT(mine);
	permits--;
	CHECK_PERMITS;
	moved = EVERYBODY;
	step = WRITE_TOP
}

inline swap()
{
#if MUTANT != TAKE_READ_WRITE
	mine = slot[at];
#endif
	slot[at] = 0;
	if
	:: mine -> page_taken()
	:: else -> next_look()
	fi
}

inline write_top()
{
	top = (STALE -> 0 : at);
#if MUTANT == PERMIT_AFTERWARDS
	step = LATE_PERMIT
#else
	operation_done()
#endif
}

inline return_permit()
{
#if MUTANT != PERMIT_KEPT
	count++;
#endif
	permits--;
	CHECK_PERMITS;
	operation_done()
}

/* ---- put ---- */

inline put_begins(slots)
{
	limit = slots;
	step = PUT_LOOK
}

inline put_next_look()
{
	i++;
	at++;
	if
	:: i < limit - (MUTANT == PUT_SLOT_SKIPPED) ->
		step = PUT_LOOK
	:: else ->
		/* There is no room, or others have used it up. */
		assert(STALE || FULL_BELOW_LIMIT >= limit || (moved & BIT(me)));
		operation_done()
	fi
}

inline put_look(page)
{
	pass_begins();
	if
	:: at >= limit -> at = 0
	:: else
	fi;
	if
	:: page -> put_next_look()
	:: else -> step = (MUTANT == COUNT_BEFORE_PAGE -> EARLY_COUNT : PUT_SWAP)
	fi
}

inline put_swap()
{
	if
	:: slot[at] == 0 || MUTANT == PUT_READ_WRITE ->
		slot[at] = mine;
		held = held & ~BIT(mine);
		mine = 0;
		moved = EVERYBODY;
		step = PUT_WRITE_TOP
	:: else ->
#if MUTANT == COUNT_BEFORE_PAGE
		count--;
#endif
		put_next_look()
	fi
}

inline put_write_top()
{
	top = (STALE -> 0 : at + 1);
#if MUTANT == COUNT_BEFORE_PAGE
	operation_done()
#else
	step = RAISE_COUNT
#endif
}

inline raise_count()
{
	count++;
	CHECK_PERMITS;
	operation_done()
}

proctype context(byte me; byte mine)
{
	byte at, i, pass, seen, limit, ops;
	mtype step = (mine -> PUT_READ_TOP : READ_TOP);

	do
#if STALE
	:: d_step { step == READ_TOP -> at = 0; take_begins() }
	:: d_step { step == READ_TOP -> at = 1; take_begins() }
#if SLOTS > 2
	:: d_step { step == READ_TOP -> at = 2; take_begins() }
#endif
	:: d_step { step == LOOK -> look(0) }
	:: d_step { step == LOOK -> look(1) }
#else
	:: d_step { step == READ_TOP -> at = top; take_begins() }
	:: d_step { step == LOOK -> look(slot[at]) }
#endif
	:: d_step { step == READ_COUNT -> read_count() }
	:: d_step { step == LOWER_COUNT -> lower_count() }
#if MUTANT == TAKE_READ_WRITE
	:: d_step { step == EARLY_READ -> mine = slot[at]; step = SWAP }
#endif
	:: d_step { step == SWAP -> swap() }
	:: d_step { step == WRITE_TOP -> write_top() }
	:: d_step { step == RETURN_PERMIT -> return_permit() }
#if MUTANT == PERMIT_AFTERWARDS
	:: d_step { step == LATE_PERMIT -> count--; operation_done() }
#endif
#if STALE
	:: d_step { step == PUT_READ_TOP -> at = 0; put_begins(SLOTS) }
	:: d_step { step == PUT_READ_TOP -> at = 1; put_begins(SLOTS) }
#if SLOTS > 2
	:: d_step { step == PUT_READ_TOP -> at = 2; put_begins(SLOTS) }
#endif
	:: d_step { step == PUT_LOOK -> put_look(0) }
	:: d_step { step == PUT_LOOK -> put_look(1) }
#else
	:: d_step { step == PUT_READ_TOP -> at = top; put_begins(SLOTS) }
#if LOWERED
	:: d_step { step == PUT_READ_TOP -> at = top; put_begins(SLOTS - 1) }
#endif
	:: d_step { step == PUT_LOOK -> put_look(slot[at]) }
#endif
#if MUTANT == COUNT_BEFORE_PAGE
	:: d_step { step == EARLY_COUNT -> count++; CHECK_PERMITS; step = PUT_SWAP }
#endif
	:: d_step { step == PUT_SWAP -> put_swap() }
	:: d_step { step == PUT_WRITE_TOP -> put_write_top() }
	:: d_step { step == RAISE_COUNT -> raise_count() }
	:: step == END -> break
	od
}

/* Pages are alike, and so are contexts: those that have one come first. */
init
{
	byte n, holders;

	atomic {
		moved = EVERYBODY;
		zero = EVERYBODY;
		for (n : 0 .. SLOTS - 1) {
			if
			:: pages++; slot[n] = pages; count++
			:: true
			fi
		}
#if !STALE
		select(top : 0 .. SLOTS + 1);
#endif
		select(holders : 0 .. CONTEXTS);
		for (n : 0 .. CONTEXTS - 1) {
			if
			:: n < holders -> pages++; held = held | BIT(pages); run context(n, pages)
			:: else -> run context(n, 0)
			fi
		}
		n = 0
	}
	finished == CONTEXTS;
	d_step {
		/* Quiet: the count is exact, and each page is in one place. */
		assert(count == FULL && permits == 0);
		for (n : 0 .. SLOTS - 1) {
			assert(slot[n] == 0 || !(held & BIT(slot[n])));
			held = held | (slot[n] -> BIT(slot[n]) : 0)
		}
		assert(held == BIT(pages + 1) - 2)
	}
}
