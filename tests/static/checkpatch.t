#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The kernel's checkpatch.pl --strict has nothing to say about any C file.
#
# checkpatch.pl is taken from the source package of the debug kernel. Some of its rules cannot hold here:
#   everywhere     FILE_PATH_CHANGES: there is no MAINTAINERS file;
#                  MACRO_ARG_REUSE: it warns of every macro that makes several names out of one
#   src/compat     LINUX_VERSION_CODE: this room is where versions are known
#   probes         AVOID_EXTERNS: a probe may declare again what it asks for
#   trace.h        the layout of TRACE_EVENT()
#   user space     rules that ask for the kernel's own types, macros, functions and names, which programs do not have;
#                  lines may have 132 columns, and what a test prints is not broken
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

MODULE=FILE_PATH_CHANGES,MACRO_ARG_REUSE
COMPAT=$MODULE,LINUX_VERSION_CODE
PROBES=$COMPAT,AVOID_EXTERNS
TRACE=$MODULE,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT
USER_SPACE=$MODULE,PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,VOLATILE,NAKED_SSCANF,SSCANF_TO_KSTRTO,CAMELCASE
USER_SPACE+=,ARRAY_SIZE,ENOSYS,EMBEDDED_FUNCTION_NAME,LONG_LINE_STRING

# check IGNORED FILE...
check()
{
	local ignored=$1 columns=100
	shift
	[ "$ignored" != "$USER_SPACE" ] || columns=132
	# What grep removes: checkpatch cannot look for the kernel's own spelling of names without a kernel tree.
	# The commits that comments name are the kernel's: checkpatch must not look for them in this repository.
	# It leaves files where it runs.
	printf '%s\0' "$@" | sed -z "/^\//!s#^#$TOP/#" | (cd "$scratch" && GIT_DIR=/nonexistent xargs -0 -n 8 -P "$(nproc)" \
		perl "$checkpatch" --strict --no-tree --no-summary --terse --show-types --color=never \
			--max-line-length="$columns" --ignore "$ignored" -f 2>&1) |
		grep -v -e "uninitialized value \$root" -e '^find: .*/include' || true
}

# c_files FIND-ARGUMENT...
c_files() { find "$@" -name '*.[ch]' ! -name '*.mod.c' -print 2>/dev/null | sort; }

# group NAME IGNORED FILE...
group()
{
	local name=$1 ignored=$2
	shift 2
	[ $# = 0 ] || result "$name: $# files" "$(check "$ignored" "$@")"
}

cd "$TOP"
checkpatch=$("$TOP/scripts/debug-kernel" --checkpatch)

printf '// SPDX-License-Identifier: GPL-2.0\nint f( int a )\n{\n\treturn(a) ;\n}\n' >"$scratch/bad.c"
refused 'the check refuses badly placed spaces' "$(check "$COMPAT" "$scratch/bad.c")"
printf '// SPDX-License-Identifier: GPL-2.0\nint f(int a)\n{\n\treturn a;\n}\n' >"$scratch/good.c"
result 'the check accepts a clean file' "$(check "$MODULE" "$scratch/good.c")"

# shellcheck disable=SC2046 # no file name of the tree has a space
{
	group 'the module' "$MODULE" $(c_files src include -path src/compat -prune -o ! -name trace.h)
	group 'trace events' "$TRACE" $(c_files src -name trace.h)
	group 'src/compat' "$COMPAT" $(c_files src/compat -path src/compat/probes -prune -o)
	group 'probes' "$PROBES" $(c_files src/compat/probes)
	group 'the tests'\'' modules, samples' "$COMPAT" $(c_files tests/vm/module tests/vm/clients samples)
	group 'programs' "$USER_SPACE" $(c_files tests tools -path tests/vm/module -prune -o -path tests/vm/clients -prune -o)
}
finish
