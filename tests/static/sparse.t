#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sparse warns about no file of the module, built for the kernel 6.12.
#
# Debian's sparse may be older than the kernel: what it says about the kernel's own headers is left out. What was compiled for
# that kernel is taken from its build, and make is given the flags of scripts/build, so that nothing is compiled again.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# check DIRECTORY OBJECT: what sparse says about files of DIRECTORY, while OBJECT is built there; says so if sparse saw none
check()
{
	local log=$scratch/log
	if ! env -u MAKEFLAGS -u MAKELEVEL make -C "$kdir" M="$1" CC="$cc" W=1 KCFLAGS=-Werror C=2 "$2" >"$log" 2>&1; then
		tail -n 20 "$log"
		return
	fi
	grep -q '^  CHECK ' "$log" || echo 'sparse was not run'
	grep -E "^(\.\.?/)*(${1#/}|/${1#/}|src/|sample\.c)[^:]*:[0-9]+:[0-9]+: (warning|error)" "$log" || true
}

cd "$TOP"
kdir=$(scripts/kernel --headers 6.12)
scripts/build 6.12 2>"$scratch/log" || { sed 's/^/# /' "$scratch/log"; echo 'Bail out! the module does not build'; exit 1; }
built=$TOP/build/$(cat "$(scripts/kernel 6.12)/release")/obj
mkdir "$scratch/bad" "$scratch/tree"
(lock "$(obj_lock "$built")"; cp -a "$built/." "$scratch/tree/")
find "$scratch/tree" -name '.*.cmd' -exec sed -i "s#$built#$scratch/tree#g" {} +
cc=$(sed -nE 's/^[a-z]*cmd_[^ ]* := +([^ ]+) .*/\1/p' "$scratch/tree/src/.main.o.cmd")

cat >"$scratch/bad/sample.c" <<'END'
#include <linux/module.h>
int sample(int __user *p);
int sample(int __user *p) { return *p; }
END
echo 'obj-m := sample.o' >"$scratch/bad/Kbuild"
refused 'the check refuses a user pointer that is followed' "$(check "$scratch/bad" sample.o | grep 'noderef')"
result "the module, for $(basename "$kdir")" "$(check "$scratch/tree" memrescue.o)"
finish
