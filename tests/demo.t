#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make demo prints what the README shows: the same accident twice, how long each took, and memrescue's line in the log.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

KERNEL=6.12

needs_kernel $KERNEL

# shown REGEX: the only line that it matches, or nothing
shown() { grep -E -- "$1" "$scratch/output" | awk '{ line = $0 } END { if (NR == 1) print line }'; }

# at_least NUMBER LEAST
at_least() { awk -v n="$1" -v least="$2" 'BEGIN { if (n !~ /^[0-9]+(\.[0-9]+)?$/ || n < least) print "it says \"" n "\", not " least " or more" }'; }

# Some hundred times as fast is usual; a machine that has much else to do may stop the VM for longer than the one moment takes.
for _ in 1 2 3; do
	status=0
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL KERNELS=$KERNEL make -s -C "$TOP" demo >"$scratch/output" 2>"$scratch/errors" || status=$?
	times=$(shown '^  with memrescue ' | sed -nE 's/.* ms +([0-9]+) times as fast$/\1/p') || times=
	if [ "$status" != 0 ] || [ -z "$(at_least "$times" 10)" ]; then break; fi
done
result 'make demo succeeds' "$([ "$status" = 0 ] || cat "$scratch/output" "$scratch/errors")"
release=$(cat "$("$SCRIPTS/kernel" $KERNEL)/release")
result 'it names the kernel' "$(grep -qF "Linux $release. " "$scratch/output" || cat "$scratch/output")"
stock=$(shown '^  without memrescue ' | awk '{ print $3 }')
memrescue=$(shown '^  with memrescue ' | awk '{ print $3 }')
# The stock reaper waits for two seconds.
result 'without memrescue it takes more than two seconds' "$(at_least "$stock" 2000)"
result 'with memrescue it takes some time' "$(at_least "$memrescue" 0.1)"
result '... less than a tenth' "$(at_least "$times" 10)"
result '... which is what the two come to' \
	"$(awk -v s="$stock" -v m="$memrescue" -v t="$times" 'BEGIN { r = s / m / t; if (r < 0.9 || r > 1.1) print s " / " m " is not " t }')"
result "memrescue's line of the log is there, once" \
	"$([ -n "$(shown '^  memrescue: reaped pid=[0-9]+ comm=hog uid=0 .* in_us=[0-9]+ reason=oom$')" ] || cat "$scratch/output")"
finish
