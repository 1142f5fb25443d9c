#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# With stuck_panic=1 a victim of the OOM killer that keeps its memory is the end of the machine, and nothing else is: see
# tests/vm/stuckreport.c. The runner takes a panic for a failure.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

KERNEL=6.12
TEST=stuckreport:panic

needs_kernel $KERNEL

# tap REGEX: what scripts/vm has printed
tap() { grep -E -- "$1" "$scratch/output" || true; }

# console REGEX: a line of the machine's console
console() { grep -E -- "$1" "$scratch/console.log" || true; }

# said TEXT WHAT: says so when TEXT is empty
said() { [ -n "$1" ] || { echo "no $2"; tail -n 40 "$scratch/output"; }; }

status=0
"$SCRIPTS/vm" --kernel $KERNEL --tests $TEST --mem 1024 --out "$scratch" >"$scratch/output" 2>&1 || status=$?
pid=$(tap '^# .*the last victim is [0-9]+$' | grep -oE '[0-9]+$' || true)

result 'two victims that are stuck are no reason to panic' \
	"$(said "$(tap 'not the OOM killer.s: and the machine goes on$')" 'first one'
	said "$(tap 'OOM victim that was reaped: and the machine goes on$')" 'second one'
	tap "^not ok [0-9]+ - $TEST: " | grep -vE "$TEST: (complete|kernel log clean): " || true)"
result 'an OOM victim that keeps its memory is' \
	"$(said "$(console "Kernel panic - not syncing: memrescue: victim $pid \(v_panic\) keeps its memory")" 'such panic')"
result 'it is the only panic' "$([ "$(console 'Kernel panic - ' | sort -u | wc -l)" = 1 ] || console 'Kernel panic - ')"
result '... and comes after the report' "$(said "$(console "memrescue: stuck pid=$pid comm=v_panic .* memory=kept reason=oom")" 'report')"
result 'scripts/vm fails' "$([ $status = 1 ] || echo "its status is $status")"
result '... names the panic' "$(said "$(tap "^not ok [0-9]+ - $TEST: kernel log clean: .*panic")" 'such line')"
result '... and the test that did not end' "$(said "$(tap "^not ok [0-9]+ - $TEST: complete: the VM ended")" 'such line')"
finish
