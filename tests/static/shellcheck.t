#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# No shell script of the tree gives shellcheck cause to complain.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# Files that are shell by their name or their first line.
shell_files()
{
	find "$@" -type f ! -path '*/.git/*' ! -path '*/build/*' | sort | while IFS= read -r file; do
		case $file in
		*.sh) echo "$file" ;;
		*) ! head -n 1 "$file" | grep -qaE '^#!.*[/ ](ba|da|)sh( |$)' || echo "$file" ;;
		esac
	done
}

check() { shellcheck -x "$@" 2>&1 || true; }

cd "$TOP"
# shellcheck disable=SC2016 # a script, not an expansion
printf '#!/bin/sh\nrm $1\n' >"$scratch/unquoted"
refused 'the check refuses an unquoted variable' "$(check "$(shell_files "$scratch")")"

mapfile -t files < <(shell_files .)
result 'shell scripts are found by their first line' \
	"$(case " ${files[*]} " in *' ./tests/static/shellcheck.t '*) ;; *) echo "found only: ${files[*]}" ;; esac)"
for file in "${files[@]}"; do
	result "$file" "$(check "$file")"
done
finish
