#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Threads and signal handlers at the pool's shelves and racks: under ThreadSanitizer, and at full speed, where a signal
# may hit between any two instructions. Then the same with mistakes on purpose, which have to be noticed.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

out=$TOP/build/tests/unit
# How ThreadSanitizer is had: start_tsan finds out
compiler=gcc
wrapper=()

# compile COMPILER NAME OPTION...
compile()
{
	local compiler=$1 name=$2
	shift 2
	"$compiler" -std=gnu11 -g -Wall -Wextra -Werror "$@" -I"$TOP/src" -o "$out/$name" \
		"$TOP/tests/unit/pool_threads.c" -pthread -lrt
}

# Older versions of its runtime do not always start where addresses are very random; a container may forbid to change that.
start_tsan()
{
	local words
	for compiler in gcc clang; do
		compile "$compiler" pool_threads_tsan -O1 -fsanitize=thread || continue
		for words in 'setarch -R' ''; do
			read -ra wrapper <<<"$words"
			! run tsan 0 0 || return 0
		done
	done
	echo 'ThreadSanitizer of neither gcc nor clang starts here; sysctl vm.mmap_rnd_bits=28 may help'
	return 1
}

# run KIND OPERATIONS MICROSECONDS
run() { ${wrapper[@]+"${wrapper[@]}"} "$out/pool_threads_$1" "$2" "$3" 2>&1; }

# passes NAME KIND OPERATIONS MICROSECONDS: shows what happened, too
passes()
{
	local name=$1 log
	shift
	if log=$(run "$@"); then
		result "$name" ''
		printf '%s\n' "$log" | sed 's/^/# /'
	else
		result "$name" "${log:-no output}"
	fi
}

# notices NAME STATUS OPTIONS BROKEN: ThreadSanitizer's OPTIONS, and the exit status that shows who noticed it
notices()
{
	local status=0 log
	compile "$compiler" pool_threads_broken -O1 -fsanitize=thread -DBROKEN="$4"
	log=$(TSAN_OPTIONS=$3 run broken 20000 30) || status=$?
	result "$1" "$([ "$status" = "$2" ] || printf 'status %s\n%s\n' "$status" "$log")"
}

mkdir -p "$out"
compile gcc pool_threads_plain -O2
passes 'at full speed' plain 300000 30

if start_tsan >"$scratch/start" 2>&1; then
	result 'ThreadSanitizer starts' ''
	passes 'under ThreadSanitizer' tsan 200000 100
	notices 'the owners of pages notice an exchange that is a read and a write' 1 report_bugs=0 1
	notices 'ThreadSanitizer notices it' 66 halt_on_error=1 1
	notices 'ThreadSanitizer notices swaps that order nothing' 66 halt_on_error=1 2
else
	result 'ThreadSanitizer starts' "$(cat "$scratch/start")"
fi
finish
