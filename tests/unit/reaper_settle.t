#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the unit tests of the rule for processes that get on by themselves with ASan and UBSan, and runs them.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/tests/unit
mkdir -p "$out"
gcc -std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all \
	-I"$root/src" -o "$out/reaper_settle" "$root/tests/unit/reaper_settle.c" -lcmocka
CMOCKA_MESSAGE_OUTPUT=TAP exec "$out/reaper_settle"
