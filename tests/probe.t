#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# src/compat/probe.sh with small probes of its own, compiled for user space: what it answers, and when it stops the build.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

cd "$scratch"
printf 'static void f(int x) {}\nvoid (*p)(int) = f;\n' >sanity.c
printf 'static void f(long x) {}\nvoid (*p)(int) = f;\n' >must_fail.c
echo 'int here;' >present.c
echo 'int here = THERE;' >absent.c

# probe FILE...: runs probe.sh on these and the two that must be there
probe() { sh "$TOP/src/compat/probe.sh" config.h sanity.c must_fail.c "$@" -- "${compiler[@]}" >output 2>&1; }

# stops TEXT FILE...: says so when probe.sh does not stop, does not print the text, or leaves a result
stops()
{
	local text=$1
	shift
	rm -f config.h
	! probe "$@" || echo 'the build goes on'
	grep -qF "$text" output || { echo "no message with '$text':"; cat output; }
	[ ! -e config.h ] || echo 'it leaves a configuration'
}

# answers NAME=yes|no...: compares config.h
answers()
{
	local answer
	for answer; do
		case $answer in
		*=yes) grep -qx "#define HAVE_${answer%=*} 1" config.h ;;
		*) ! grep -q "^#define HAVE_${answer%=*} " config.h ;;
		esac || { echo "not: $answer"; cat output; }
	done
}

compiler=(gcc -Wall -Wextra -Wunused)
result 'probes are asked' "$(probe present.c absent.c || cat output)"
result '... and answered' "$(answers PRESENT=yes ABSENT=no SANITY=no MUST_FAIL=no)"
result '... and the log says why not' "$(grep -q THERE config.h.log || echo 'it does not')"

echo 'static int unused;' >warns.c
result "the kernel's choice of warnings (W=1) does not change an answer" "$(probe warns.c || cat output; answers WARNS=yes)"

compiler=(gcc -include no-such-header.h)
result 'headers that do not work stop the build' "$(stops 'even src/compat/probes/sanity.c does not compile')"
compiler=(true)
result 'a compiler that accepts everything stops the build' "$(stops 'accepts wrong code')"
compiler=(gcc)
rm sanity.c
result 'without sanity.c the build stops' "$(stops 'does not compile')"
result '... also when nobody names it' \
	"$(! sh "$TOP/src/compat/probe.sh" config.h must_fail.c -- gcc >output 2>&1 || echo 'goes on'; grep -q 'sanity.c is missing' output || cat output)"
printf 'static void f(int x) {}\nvoid (*p)(int) = f;\n' >sanity.c

for kind in exactly-one at-most-one; do
	for answer in a b; do printf '/* group: g %s */\nint here;\n' $kind >${kind%%-*}_$answer.c; done
	printf '/* group: g %s */\nint here = THERE;\n' $kind >${kind%%-*}_c.c
done
result 'exactly one of two: fine' "$(probe exactly_a.c exactly_c.c || cat output; answers EXACTLY_A=yes EXACTLY_C=no)"
result 'exactly one, none fits: stops' "$(stops "no variant of 'g' fits this kernel (tried: exactly_c)" exactly_c.c)"
result 'exactly one, two fit: stops' "$(stops "more than one variant of 'g' fits this kernel: exactly_a exactly_b" exactly_a.c exactly_b.c exactly_c.c)"
result 'at most one, none fits: fine' "$(probe at_c.c || cat output; answers AT_C=no)"
result 'at most one, two fit: none counts' "$(probe at_a.c at_b.c || cat output; answers AT_A=no AT_B=no)"
result '... with a warning' "$(grep -q "warning: more than one variant of 'g'" output || cat output)"
printf '/* group: g exactly one */\nint here;\n' >badly.c
result 'a malformed group line stops the build' "$(stops 'malformed' badly.c)"
finish
