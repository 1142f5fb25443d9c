#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A report of the debug kernel is printed with the file and line of each address, of the kernel's functions and of the module's.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

KERNEL=debug

needs_kernel $KERNEL

dir=$("$SCRIPTS/kernel" $KERNEL)
"$SCRIPTS/build" $KERNEL --production >"$scratch/build" 2>&1 || { sed 's/^/# /' "$scratch/build"; echo 'Bail out! no module'; exit 1; }
mkdir "$scratch/modules" "$scratch/out"
cp "$ROOT/build/$(cat "$dir/release")/memrescue.ko" "$scratch/modules/"

cat >"$scratch/kernel.log" <<-'END'
	[    1.000000] [  T123] memrescue-test: begin reap
	[    2.000000] [  T123] BUG: KASAN: slab-use-after-free in memrescue_reaper_init+0x5/0x80 [memrescue]
	[    2.000001] [  T123] CPU: 0 UID: 0 PID: 123 Comm: reap Tainted: G           OE      6.12.117-memrescue-debug #1
	[    2.000002] [  T123] Call Trace:
	[    2.000003] [  T123]  <TASK>
	[    2.000004] [  T123]  out_of_memory+0x8/0x700
	[    2.000005] [  T123]  ? nothing_of_that_name+0x8/0x700
	[    2.000006] [  T123]  </TASK>
	[    2.000007] [  T123] RIP: 0010:oom_badness+0x10/0x200
	[    3.000000] [  T123] memrescue-test: end reap
	[    3.000001] [  T123] memrescue-test: all done
END
printf '%s\n' '# begin reap' 1..1 'ok 1 - it does' '# end reap rc=0' '# all done' >"$scratch/tap.log"
: >"$scratch/console.log"
: >"$scratch/qemu.log"

# has REGEX FILE: says so when that line is not in it
has() { grep -qE -- "$1" "$2" || { echo "not there: $1"; cat "$2"; }; }

# check NAME FILE
check()
{
	result "$1: a function of the kernel" "$(has 'out_of_memory \(mm/oom_kill\.c:[0-9]+' "$2")"
	result "$1: ... after a segment" "$(has 'oom_badness \(mm/oom_kill\.c:[0-9]+' "$2")"
	result "$1: a function of the module" "$(has 'memrescue_reaper_init \(.*reaper/[a-z_]+\.c:[0-9]+\) memrescue' "$2")"
	result "$1: what is not known stays as it is" "$(has 'nothing_of_that_name\+0x8/0x700' "$2")"
}

"$SCRIPTS/logscan" --decode "$dir" "$scratch/modules" "$scratch/kernel.log" >"$scratch/out/logscan" || true
check logscan "$scratch/out/logscan"
"$SCRIPTS/tapmerge" --decode "$dir" "$scratch/modules" "$scratch" down reap >"$scratch/out/tapmerge" || true
check tapmerge "$scratch/out/tapmerge"
"$SCRIPTS/logscan" --decode "$scratch" "$scratch/modules" "$scratch/kernel.log" >"$scratch/out/plain" || true
result 'without a vmlinux a report is printed as it is' "$(has 'out_of_memory\+0x8/0x700$' "$scratch/out/plain")"

# A panic in the module, on purpose: see tests/panic.t
"$SCRIPTS/vm" --kernel $KERNEL --tests stuckreport:panic --mem 1024 --timeout 600 --out "$scratch/vm" >"$scratch/out/vm" 2>&1 || true
result 'scripts/vm: a function of the kernel' "$(has '^#.* panic \(kernel/panic\.c:[0-9]+' "$scratch/out/vm")"
result 'scripts/vm: a function of the module' "$(has '^#.* \(.*src/reaper/[a-z_]+\.c:[0-9]+\) memrescue' "$scratch/out/vm")"
finish
