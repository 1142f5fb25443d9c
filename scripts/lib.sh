# SPDX-License-Identifier: GPL-2.0
# Small functions shared by the scripts of this directory; to be sourced by bash.
#
#   say / die            messages on stderr
#   lock NAME            hold $CACHE/lock/NAME until the (sub)shell ends
#   target_*             reading scripts/targets
#   index_* / deb_*      package lists and packages of any Debian suite, from the machine's own mirror, without touching
#                        the machine's apt state
#   tree_*               small root trees of another release, and commands in them
#
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/memrescue
SCRIPTS=$ROOT/scripts
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2034 # for the scripts that source this file
JOBS=$(nproc)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Waits for the lock and keeps it until the calling (sub)shell ends. Programs started meanwhile must not outlive it.
lock()
{
	local fd
	mkdir -p "$CACHE/lock"
	exec {fd}>"$CACHE/lock/$1"
	flock "$fd"
}

# obj_lock DIRECTORY: the lock of a directory in which a module is built
obj_lock() { echo "build-$(echo "$1" | md5sum | cut -c 1-16)"; }

as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# ---- targets ---------------------------------------------------------------------------------------------------------

target_table() { grep -Ev '^[[:space:]]*(#|$)' "$SCRIPTS/targets"; }

# target_field NAME COLUMN: one column of the row called NAME; fails when there is no such row
target_field()
{
	local column
	case $2 in
	suite) column=2 ;; release) column=3 ;; tree) column=4 ;; clang) column=5 ;; default) column=6 ;; cpus) column=8 ;; arch) column=9 ;;
	*) die "no column $2 in scripts/targets" ;;
	esac
	target_table | awk -v n="$1" -v c=$column '$1 == n { print $c; found = 1 } END { exit !found }'
}

# The targets that are built and tested when the user names none
targets_default() { target_table | awk '$6 == "yes" { print $1 }'; }

# Those that are only built, by one of the tests
targets_built() { target_table | awk '$6 == "build" { print $1 }'; }

targets_all() { target_table | awk '{ print $1 }'; }

# The row with the newest release of the suites that kernels come from first
target_newest()
{
	local row
	target_table | awk '$2 ~ /^(sid|experimental|.*-backports)$/ && $6 != "build" { print $1 }' | while read -r row; do
		echo "$(target_release "$row" 2>/dev/null || true) $row"
	done | awk 'NF == 2' | sort -V | awk 'END { if (!NR) exit 1; print $2 }'
}

# target_name WORD: the row that WORD means. WORD is a row's name, its alias, "newest", the start of a release (7.2), or a
# whole release (6.1.0-56-amd64).
target_name()
{
	local row name
	name=$(target_table | awk -v w="$1" '$1 == w { print $1 }')
	[ -n "$name" ] || name=$(target_table | awk -v w="$1" '{ n = split($7, a, ","); for (i = 1; i <= n; i++) if (a[i] == w) { print $1; exit } }')
	[ -n "$name" ] || [ "$1" != newest ] || name=$(target_newest) || die 'no kernel can be had, so none is the newest'
	if [ -z "$name" ]; then
		for row in $(targets_all); do
			case $(target_release "$row" 2>/dev/null || true) in "$1" | "$1".* | "$1"-amd64) name=$row; break ;; esac
		done
	fi
	[ -n "$name" ] || die "no kernel called '$1'; there are: $(targets_all | xargs), newest, and 7.x style aliases in scripts/targets"
	echo "$name"
}

# target_dir NAME: where its boot files are, once they are there
target_dir()
{
	if [ "$(target_field "$1" suite)" = - ]; then "$SCRIPTS/$1-kernel" --where; else echo "$CACHE/kernels/$1"; fi
}

# target_cached NAME: the release that is cached for it; fails when there is none, or the row has come to mean another one
target_cached()
{
	local pattern release
	pattern=$(target_field "$1" release)
	read -r release 2>/dev/null <"$(target_dir "$1")/release" || return 1
	[ "$pattern" = - ] || grep -qxE "$pattern" <<<"$release" || return 1
	echo "$release"
}

# target_release NAME: the cached kernel's release, or else the one that would be fetched
target_release()
{
	local pattern
	! target_cached "$1" || return 0
	pattern=$(target_field "$1" release)
	[ "$pattern" != - ] || return 1
	index_newest_release "$(target_index "$1")" "$pattern" "$(target_field "$1" default)"
}

# target_index NAME: the package lists that have it, SUITE or SUITE:ARCHITECTURE
target_index()
{
	local suite arch
	suite=$(target_field "$1" suite)
	arch=$(target_field "$1" arch)
	if [ "$arch" = amd64 ]; then echo "$suite"; else echo "$suite:$arch"; fi
}

# ---- the mirror ------------------------------------------------------------------------------------------------------

# Repositories in use on this machine as apt itself reads its configuration: lines "URI suite". Needs no package lists.
apt_repositories()
{
	apt-get --print-uris update 2>/dev/null |
		sed -nE "s|^'([a-z+]+:[^']*)/dists/([^']*)/(InRelease\|Release)'.*|\1 \2|p" | sort -u
}

# The mirror with Debian's main archive. A third party's repository may use a Debian code name too, but does not come
# with the release's updates suite, and seldom ends in /debian.
mirror_main()
{
	local uri
	uri=${MEMRESCUE_MIRROR:-$(apt_repositories | awk '
		$2 ~ /^(bullseye|bookworm|trixie|forky|duke|sid|(old)*stable|testing|unstable)(-updates|-backports)?$/ {
			score[$1] += $2 ~ /-updates$/ ? 4 : 1
			if (!($1 in seen)) { seen[$1] = 1; if ($1 ~ /\/debian\/?$/) score[$1] += 2; if ($1 ~ /\/archive\/debian\//) score[$1] += 2 }
		}
		END { for (u in score) if (score[u] > best) { best = score[u]; uri = u }; print uri }')}
	[ -n "$uri" ] || die "no Debian mirror in apt's configuration; name one with MEMRESCUE_MIRROR=<URI>"
	echo "${uri%/}"
}

mirror_security()
{
	local uri
	uri=${MEMRESCUE_SECURITY_MIRROR:-$(apt_repositories | awk '$2 ~ /-security$|\/updates$/ { print $1; exit }')}
	[ -n "$uri" ] || uri=$(mirror_main | sed -E 's#/debian(/|$)#/debian-security\1#')
	echo "${uri%/}"
}

# suite_sources SUITE: the apt source lines for it
suite_sources()
{
	local main base opts=
	main=$(mirror_main) || return 1
	base=${1%-backports}
	[ ! -s /usr/share/keyrings/debian-archive-keyring.gpg ] || opts='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
	case $1 in
	experimental) echo "deb ${opts}$main sid main"; echo "deb ${opts}$main experimental main" ;;
	sid) echo "deb ${opts}$main sid main" ;;
	*)
		echo "deb ${opts}$main $base main"
		echo "deb ${opts}$(mirror_security) $base-security main"
		[ "$1" = "$base" ] || echo "deb ${opts}$main $1 main"
		;;
	esac
}

# ---- package lists ---------------------------------------------------------------------------------------------------

# index SUITE[:ARCHITECTURE]: path of a table "package version uri sha256" of the kernel packages there, newest list of at most a
# day ago
index()
(
	local dir=$CACHE/apt/$1
	if [ -s "$dir/index" ] && [ -n "$(find "$dir/index" -mmin -1440)" ] && [ ! "$SCRIPTS/packages.sha256" -nt "$dir/index" ]; then
		echo "$dir/index"
		return
	fi
	lock "apt-$1"
	if [ ! -s "$dir/index" ] || [ -z "$(find "$dir/index" -mmin -1440)" ] || [ "$SCRIPTS/packages.sha256" -nt "$dir/index" ]; then
		index_update "$1" "$dir" || { [ -s "$dir/index" ] && say "the package lists of $1 cannot be brought up to date, using older ones"; } ||
			die "the package lists of $1 cannot be fetched"
	fi
	echo "$dir/index"
)

index_update()
{
	local dir=$2 file uri main arch=amd64
	case $1 in *:*) arch=${1#*:} ;; esac
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	suite_sources "${1%:*}" >"$dir/sources.list" || return 1
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-CONF
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		Dir::State "$dir";
		Dir::State::Lists "$dir/lists";
		Dir::State::Status "$dir/status";
		Dir::Cache "$dir/cache";
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Architecture "$arch";
		APT::Architectures "$arch";
		APT::Sandbox::User "$(id -un)";
		APT::Get::List-Cleanup "true";
	CONF
	say "reading the package lists of $1"
	apt-get -c "$dir/apt.conf" -qq -o Dpkg::Use-Pty=0 -o APT::Update::Error-Mode=any update >&2 || return 1
	# shellcheck disable=SC2016 # apt fills these in
	apt-get -c "$dir/apt.conf" indextargets --format '$(FILENAME) $(REPO_URI)' 'Created-By: Packages' |
		while read -r file uri; do
			/usr/lib/apt/apt-helper -c "$dir/apt.conf" cat-file "$file" | awk -v uri="${uri%/}" '
				/^Package: /  { p = $2 }
				/^Version: /  { v = $2 }
				/^Filename: / { f = $2 }
				/^SHA256: /   { s = $2 }
				/^$/ { if (p ~ /^linux-/) print p, v, uri "/" f, s; p = "" }
				END  { if (p ~ /^linux-/) print p, v, uri "/" f, s }'
		done >"$dir/index.new"
	[ -s "$dir/index.new" ] || return 1
	# Packages that no list names any more, but whose files the mirror still has
	main=$(mirror_main)
	grep -E '^[0-9a-f]{64} ' "$SCRIPTS/packages.sha256" | while read -r sum path; do
		file=${path##*/}
		IFS=_ read -r p v of <<<"$file"
		case $of in "$arch.deb" | all.deb) ;; *) continue ;; esac
		grep -qF "$p $v " "$dir/index.new" || echo "$p $v $main/$path $sum"
	done >"$dir/index.pinned"
	cat "$dir/index.pinned" >>"$dir/index.new"
	rm -rf "$dir/index.pinned" "$dir/cache"
	mv "$dir/index.new" "$dir/index"
}

# index_newest_release SUITE PATTERN [build]: the newest kernel release that matches, of those that can be both booted and built
# for, or only built for. (Signed images stay in the lists longer than their headers.)
index_newest_release()
{
	local table
	table=$(index "$1") || return 1
	awk -v pattern="^($2)\$" -v kind="${3:-}" '
		$1 ~ /^linux-(image|binary)-/ { r = $1; sub(/^linux-[a-z]+-/, "", r); if (r ~ pattern) image[r] = $2 }
		$1 ~ /^linux-headers-/ { r = $1; sub(/^linux-headers-/, "", r); if (r ~ pattern) headers[r] = $2 }
		END { for (r in headers) if (kind == "build" || r in image) print headers[r], r }' "$table" |
		sort -V | awk 'END { if (!NR) exit 1; print $2 }'
}

index_has() { awk -v p="$2" '$1 == p { found = 1 } END { exit !found }' "$(index "$1")"; }

# deb_fetch SUITE PACKAGE DIRECTORY [VERSION]: downloads the newest (or that) version, checked by its SHA256; prints the file's path
deb_fetch()
{
	local version uri sum file table
	table=$(index "$1") || return 1
	read -r version uri sum < <(awk -v p="$2" -v v="${4:-}" '$1 == p && (v == "" || v == $2) { print $2, $3, $4 }' "$table" |
		sort -V | tail -n 1) || { say "no package $2 ${4:-} in $1"; return 1; }
	[ -n "$version" ] || return 1
	file=$3/${uri##*/}
	mkdir -p "$3"
	say "fetching ${uri##*/}"
	/usr/lib/apt/apt-helper -c "$CACHE/apt/$1/apt.conf" -qq download-file "$uri" "$file" "SHA256:$sum" >&2 || {
		say "the package lists of $1 may be out of date: they are read again next time"
		# Not removed: others may be reading it.
		touch -d @0 "$table"
		return 1
	}
	echo "$file"
}

# ---- root trees of other releases ------------------------------------------------------------------------------------

# tree_make SUITE DIRECTORY PACKAGES [configured]: a root tree, owned by the user who runs this. Its packages are only unpacked, which
# is enough for compilers and takes half as long, unless they shall be configured.
tree_make()
{
	local variant=extract
	[ "${4:-}" != configured ] || variant=apt
	say "making a $1 tree with $3 (about a minute)"
	local -a privilege=(env)
	# A user can do it who has subordinate user ids (adduser gives them), else root has to
	if [ "$(id -u)" != 0 ] && ! { grep -qs "^$(id -un):" /etc/subuid && command -v newuidmap >/dev/null; }; then
		command -v sudo >/dev/null || die "a tree for $1 needs root, or an entry in /etc/subuid for $(id -un) and the package uidmap"
		privilege=(sudo --)
	fi
	rm -rf "$2.new" "$2.tar"
	mkdir -p "$(dirname "$2")"
	suite_sources "$1" | "${privilege[@]}" mmdebstrap --quiet --variant=$variant --include="$3,?essential" --architectures=amd64 \
		--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		"$1" - - >"$2.tar" || { rm -f "$2.tar"; return 1; }
	mkdir -p "$2.new"
	tar -x -C "$2.new" --no-same-owner --exclude='./dev/*' -f "$2.tar"
	rm -f "$2.tar"
	# What only configuration makes: mount points, an alternative
	mkdir -p "$2.new"/{dev,proc,tmp}
	[ -e "$2.new/usr/bin/awk" ] || ln -s mawk "$2.new/usr/bin/awk"
	mv "$2.new" "$2"
}

# tree_run TREE DIRECTORIES COMMAND...: runs the command in a root tree that sees the directories (one word each) where they are here
tree_run()
{
	local tree=$1 dirs=$2
	shift 2
	local -a namespace=(unshare --mount --pid --fork)
	[ "$(id -u)" = 0 ] || namespace+=(--map-root-user)
	# shellcheck disable=SC2016 # the inner shell's variables
	"${namespace[@]}" bash -c '
		set -e
		tree=$1 dirs=$2; shift 2
		mount -t proc proc "$tree/proc"
		mount -t tmpfs tmpfs "$tree/tmp"
		for node in null zero full random urandom; do : >>"$tree/dev/$node"; mount --bind "/dev/$node" "$tree/dev/$node"; done
		ln -sfn /proc/self/fd "$tree/dev/fd"
		for dir in $dirs; do mkdir -p "$tree$dir"; mount --bind "$dir" "$tree$dir"; done
		exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C "$@"' tree_run "$tree" "$dirs" "$@"
}
