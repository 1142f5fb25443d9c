#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# trace-cmd and bpftrace (with samples/victims.bt), as Debian has them, and memrescue's trace events: see tests/vm/trace.c.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

KERNEL=6.12
SUITE=trixie
TOOLS=trace-cmd,bpftrace

needs_kernel $KERNEL

# The VM has it in /tracers: a root tree with the tools, and the sample script
trees=$CACHE/trees/$SUITE-${TOOLS//,/-}
(
	lock "tree-${trees##*/}"
	[ -d "$trees/tracers" ] || tree_make $SUITE "$trees/tracers" $TOOLS
) >&2
pack() { LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 >"$scratch/$1"; }
(cd "$trees" && find tracers | pack tree.cpio)
mkdir "$scratch/tracers"
cp "$TOP/samples/victims.bt" "$scratch/tracers/"
(cd "$scratch" && echo tracers/victims.bt | pack script.cpio)
"$SCRIPTS/vm" --kernel $KERNEL --tests trace:tools --mem 2048 --timeout 900 --archive "$scratch/tree.cpio" \
	--archive "$scratch/script.cpio" --out "$scratch/vm"
