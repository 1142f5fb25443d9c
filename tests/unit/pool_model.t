#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Has spin check the models of the pool's shelf and of the call of its worker (tests/model): every interleaving of a few
# contexts, to the end.
# Then each model is given mistakes on purpose, and spin has to find each of them.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

MODEL=$TOP/tests/model/shelf.pml
MEMORY_MIB=2048

# search FLAG... -- PARAMETER...: what pan says of the model. FLAGs: -O0, -O2 for its compiler; -l looks for a schedule
# that has no end instead of assertions that do not hold.
search()
{
	local flag macros=(-DSAFETY) optimize=-O2 run=()
	while [ "$1" != -- ]; do
		flag=$1
		shift
		case $flag in
		-O*) optimize=$flag ;;
		-l) macros=(-DNP) run=(-l) ;;
		esac
	done
	shift
	rm -rf "$scratch/pan"
	mkdir "$scratch/pan"
	(
		cd "$scratch/pan"
		spin -a "${@/#/-D}" "$MODEL" || exit
		gcc -w "$optimize" "${macros[@]}" -DNOFAIR -DMEMLIM="$MEMORY_MIB" -o pan pan.c || exit
		# -b: a path that is longer than -m allows is an error
		./pan -b -m10000 "${run[@]}" || echo "pan ended with $?"
	) 2>&1
}

# proves REPORT: empty if the search was complete and found nothing, and no line of the model was left out
proves()
{
	if grep -qE 'errors: 0$' <<<"$1" && grep -q '^Full statespace search' <<<"$1" &&
		! grep -qE '^pan ended|Search not completed|too small|truncated|Bit statespace' <<<"$1" &&
		! grep -A1 '^unreached in' <<<"$1" | grep -vE '^unreached in|^--' | grep -qv '(0 of '; then
		return
	fi
	printf '%s\n' "$1"
}

# holds NAME FLAG... -- PARAMETER...
holds()
{
	local name=$1 report
	shift
	report=$(search "$@") || true
	result "$name" "$(proves "$report")"
	grep -oE '[0-9]+ states, stored|^pan: elapsed time.*' <<<"$report" | sed 's/^/# /'
}

# found NAME WORDS FLAG... -- PARAMETER...: an error that is called WORDS
found()
{
	local name=$1 words=$2 report
	shift 2
	report=$(search -O0 "$@") || true
	result "$name" "$(grep -qE "^pan:[0-9]+: $words" <<<"$report" || printf '%s\n' "$report")"
}

# mistake NAME: three contexts of two operations, so few that it does not take long
mistake() { found "finds the mistake $1" 'assertion violated' -- SLOTS=2 PASSES=1 CONTEXTS=3 OPS=2 "MUTANT=$1"; }

holds 'three contexts, three operations each' -O2 -- SLOTS=2 PASSES=1 CONTEXTS=3 OPS=3
holds 'four contexts, one operation each' -O2 -- SLOTS=2 PASSES=2 CONTEXTS=4 OPS=1
holds 'two contexts, the real number of passes, limits that change' -O2 -- SLOTS=3 PASSES=4 CONTEXTS=2 OPS=5 LOWERED=1
holds 'three contexts, what is read without a barrier may be anything' -O2 -- SLOTS=2 PASSES=1 CONTEXTS=3 OPS=2 STALE=1
holds 'no schedule is without end' -O2 -l -- SLOTS=2 PASSES=1 CONTEXTS=3 OPS=2

mistake COUNT_BEFORE_PAGE
mistake TAKE_READ_WRITE
mistake PUT_READ_WRITE
mistake PERMIT_READ_WRITE
mistake PERMIT_KEPT
mistake PERMIT_AFTERWARDS
mistake SLOT_SKIPPED
mistake PERMIT_TRIED_ONCE
mistake PUT_SLOT_SKIPPED
found 'finds the mistake COUNT_NOT_READ_AGAIN' 'non-progress cycle' -l -- SLOTS=2 PASSES=1 CONTEXTS=3 OPS=2 \
	MUTANT=COUNT_NOT_READ_AGAIN

MODEL=$TOP/tests/model/kick.pml

# call_mistake NAME PARAMETER...: of how the worker is called
call_mistake() { found "kick: finds the mistake $1" 'assertion violated' -- CALLERS=3 FAILS=1 "MUTANT=$1" "${@:2}"; }

holds 'kick: whoever asks is followed by a run, whoever else loses the CPU for ever' -O2 -- CALLERS=3 FAILS=2
holds 'kick: a miss does not wait for the next try' -O2 -- CALLERS=3 FAILS=2 TIMER=0
call_mistake PREEMPTIBLE
call_mistake CLEARED_LATE
call_mistake LEFT_ALONE TIMER=0
call_mistake LOST_WAITING TIMER=0
finish
