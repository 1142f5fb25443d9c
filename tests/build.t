#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What `make` leaves for headers and for a target, that a warning is an error only for a target, the builds with clang, and those
# for the kernels that are only built.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

KERNEL=6.12

make_in() { env -u MAKEFLAGS -u MAKELEVEL make -s -C "$@" >"$scratch/output" 2>&1; }

# make in a copy of the sources: nobody else's build is disturbed
make_copy() { make_in "$scratch/copy" "$@"; }

# leaves FILE [DIRECTORY]: says so when the last build did not leave that module for the release
leaves()
{
	local vermagic
	vermagic=$(modinfo -F vermagic "${2:-$scratch/copy}/build/$release/$1" 2>&1 || true)
	[ "${vermagic%% *}" = "$release" ] || { echo "$1: $vermagic"; cat "$scratch/output"; }
}

mentions() { grep -qF -- "$1" "$scratch/output" || { echo "no '$1' in:"; cat "$scratch/output"; }; }

mkdir "$scratch/copy"
for part in Makefile Kbuild dkms.conf scripts src include; do
	[ ! -e "$ROOT/$part" ] || cp -a "$ROOT/$part" "$scratch/copy/"
done
kdir=$("$SCRIPTS/kernel" --headers $KERNEL)
release=$("$SCRIPTS/kernel" --release $KERNEL)

result 'make for headers that are not there fails' "$(! make_copy KDIR=/nowhere || echo 'it does not')"
result '... and names the package' "$(make_copy KDIR=/nowhere || mentions 'apt-get install linux-headers-')"
result 'make for an unknown kernel fails' "$(! make_copy KERNEL=1.0 || echo 'it does not')"
result '... and names those there are' "$(make_copy KERNEL=1.0 || mentions "$(target_table | awk '{ print $1 }' | xargs)")"

result "make KDIR=" "$(make_copy KDIR="$kdir" || cat "$scratch/output"; leaves memrescue.ko)"
result 'make KDIR= DEBUG=1' "$(make_copy KDIR="$kdir" DEBUG=1 || cat "$scratch/output"; leaves debug/memrescue.ko)"
result '... has the parameter fail=' "$(modinfo -p "$scratch/copy/build/$release/debug/memrescue.ko" | grep -q '^fail:' || echo 'it has not')"
result '... which the module for users has not' "$(! modinfo -p "$scratch/copy/build/$release/memrescue.ko" | grep '^fail:' || echo 'it has')"

# headers_without NAME OPTION...: the headers of a kernel that was configured without these
headers_without()
{
	local into=$scratch/$1 link option
	shift
	cp -a "$kdir" "$into"
	for link in scripts tools; do ln -sfn "$(readlink -f "$kdir/$link")" "$into/$link"; done
	for option; do
		sed -i "/^CONFIG_$option=/d" "$into/include/config/auto.conf"
		sed -i "/^#define CONFIG_$option /d" "$into/include/generated/autoconf.h"
	done
}

warnings() { grep -F 'warning:' "$scratch/output" || true; }

kprobes_wanted() { nm -u "$scratch/copy/build/$release/memrescue.ko" 2>&1 | grep 'register_k.*probe' || true; }

headers_without no-kprobes KPROBES KRETPROBES KPROBES_ON_FTRACE KPROBE_EVENTS OPTPROBES
result 'make KDIR= for a kernel without kprobes' "$(make_copy KDIR="$scratch/no-kprobes" || cat "$scratch/output"; leaves memrescue.ko)"
result '... without a warning, and without them' "$(warnings; kprobes_wanted)"
headers_without less MMU_NOTIFIER PER_VMA_LOCK SWAP TRANSPARENT_HUGEPAGE
result 'make KDIR= for one without MMU notifiers, locks of VMAs, swap and huge pages' \
	"$(make_copy KDIR="$scratch/less" || cat "$scratch/output"; leaves memrescue.ko)"
result '... without a warning' "$(warnings)"
result "make KDIR= for the kernel as it is" "$(make_copy KDIR="$kdir" || cat "$scratch/output"; leaves memrescue.ko)"
result '... wants them' "$([ -n "$(kprobes_wanted)" ] || echo 'it does not')"

touch "$scratch/stamp"
result 'make again compiles nothing' "$(make_copy KDIR="$kdir" || cat "$scratch/output"
	find "$scratch/copy/build/$release/obj" -name '*.o' -newer "$scratch/stamp")"

# Only W=1 is a reason to warn of it
printf '\nstatic const int not_used_by_anyone = 1;\n' >>"$scratch/copy/src/main.c"
result 'make KDIR= with a warning in the sources' "$(make_copy KDIR="$kdir" || cat "$scratch/output"; leaves memrescue.ko)"
result "make KERNEL=$KERNEL with it fails" "$(! make_copy KERNEL=$KERNEL || echo 'it does not')"
result '... and shows the warning' "$(make_copy KERNEL=$KERNEL || mentions not_used_by_anyone)"
result '... and leaves no module' "$([ ! -e "$scratch/copy/build/$release/memrescue.ko" ] || echo 'it is there')"
result "make KERNEL=$KERNEL without it" "$(make_in "$ROOT" KERNEL=$KERNEL || cat "$scratch/output"; leaves memrescue.ko "$ROOT")"

# A module with nothing in it: only where it is left is of interest
mkdir -p "$scratch/empty/include" "$scratch/empty/src"
cp -a "$ROOT/Makefile" "$ROOT/dkms.conf" "$ROOT/scripts" "$scratch/empty/"
printf 'obj-m := memrescue.o\nmemrescue-y := src/empty.o\n' >"$scratch/empty/Kbuild"
printf '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("empty");\n' >"$scratch/empty/src/empty.c"

# make_empty TARGET: make KDIR= with its headers, where its compiler is
make_empty()
{
	local kdir tree
	kdir=$("$SCRIPTS/kernel" --headers "$1")
	tree=$("$SCRIPTS/kernel" --tree "$1")
	if [ -z "$tree" ]; then
		make_in "$scratch/empty" KDIR="$kdir"
	else
		tree_run "$tree" "$scratch/empty ${kdir%/usr/src/*}" env XDG_CACHE_HOME=/tmp make -s -C "$scratch/empty" KDIR="$kdir" \
			>"$scratch/output" 2>&1
	fi
}

if [ -n "${KERNELS:-}" ]; then
	mapfile -t wanted < <(for word in $KERNELS; do target_name "$word"; done)
else
	mapfile -t wanted < <(targets_default; targets_built)
fi

# The README says: insmod build/$(uname -r)/memrescue.ko
for target in "${wanted[@]}"; do
	[ "$(target_field "$target" suite)" != - ] || continue
	release=$("$SCRIPTS/kernel" --release "$target")
	result "make KDIR= with the headers of $target: build/<release>/memrescue.ko" \
		"$(make_empty "$target" || cat "$scratch/output"; leaves memrescue.ko "$scratch/empty")"
done

for target in "${wanted[@]}"; do
	[ "$(target_field "$target" default)" = build ] || continue
	release=$("$SCRIPTS/kernel" --release "$target")
	result "$target, which is only built" \
		"$("$SCRIPTS/build" "$target" 2>"$scratch/output" || cat "$scratch/output"; leaves memrescue.ko "$ROOT")"
	[ "$(target_field "$target" arch)" = amd64 ] || continue
	result "$target: nothing looked up is called through a pointer" \
		"$("$TOP/tests/static/check-indirect" "$ROOT/build/$release/memrescue.ko" 2>&1)"
done
result 'what is only built is not booted, and that is said' \
	"$(! "$SCRIPTS/kernel" "$(targets_built | head -n 1)" >"$scratch/output" 2>&1 || echo 'it is'; mentions 'only built')"

for target in "${wanted[@]}"; do
	[ "$(target_field "$target" clang)" = yes ] || continue
	result "$target with clang" "$("$SCRIPTS/build" "$target" --clang 2>"$scratch/output" || cat "$scratch/output")"
	release=$("$SCRIPTS/kernel" --release "$target")
	result "$target with clang: nothing looked up is called through a pointer" \
		"$("$TOP/tests/static/check-indirect" "$ROOT/build/$release/clang/memrescue.ko" 2>&1)"
done
finish
