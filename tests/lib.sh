# SPDX-License-Identifier: GPL-2.0
# TAP for the tests on the host that are written in bash; to be sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the tests that source this file
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
count=0
failed=0

# result NAME OUTPUT: passes when OUTPUT is empty, else shows it
result()
{
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

# refused NAME OUTPUT: passes when a check complained about a bad sample
refused()
{
	result "$1" "$([ -n "$2" ] || echo 'the check had nothing to say about this sample')"
}

# needs_kernel NAME: ends the test when its user has named other kernels only. Wants scripts/lib.sh.
needs_kernel()
{
	local word
	for word in ${KERNELS:-$1}; do
		[ "$(target_name "$word")" != "$1" ] || return 0
	done
	echo "1..0 # SKIP $1 is not among the kernels to test"
	exit 0
}

finish()
{
	echo "1..$count"
	[ "$failed" = 0 ]
}
