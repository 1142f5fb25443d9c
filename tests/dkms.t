#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install and make uninstall, with DKMS, in a Debian root tree with the headers of the kernels 6.1 and 6.12.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

PACKAGES=dkms,gcc,make,libc6-dev,kmod,openssl,pahole
OLD=6.1 NEW=6.12

for target in $OLD $NEW; do
	case " ${KERNELS:-$OLD $NEW} " in *" $target "*) wanted=yes ;; esac
done
if [ -z "${wanted:-}" ]; then
	echo "1..0 # SKIP neither $OLD nor $NEW is among the kernels to test"
	exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
count=0 failed=0

# ok NAME COMMAND...: passes when the command succeeds; else shows what it, and what was tried last, printed
ok()
{
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >"$scratch/last" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		tail -n 40 "$scratch/output" "$scratch/errors" "$scratch/last" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

refused() { ! "$@"; }

inside() { tree_run "$tree" '' "$@" 2>>"$scratch/errors"; }

# try COMMAND...: run in the tree, output to a file; the exit status is in $status
try()
{
	status=0
	: >"$scratch/errors"
	tree_run "$tree" '' "$@" >"$scratch/output" 2>&1 || status=$?
}

# All files of the tree, but for what depmod writes, DKMS's own, and what is only mounted
files()
{
	(cd "$tree" && find . -path ./proc -prune -o -path ./tmp -prune -o -path ./dev -prune -o -path ./memrescue -prune -o ! -type d -print |
		grep -vE '^\./(usr/)?lib/modules/[^/]*/modules\.|^\./var/lib/dkms/(mok|dkms_dbversion)' | sort)
}

prepare_tree()
{
	local base target headers release part
	base=$CACHE/trees/bookworm-dkms-$(md5sum <<<"$PACKAGES" | cut -c 1-6)
	(lock "tree-${base##*/}" && { [ -d "$base" ] || tree_make bookworm "$base" "$PACKAGES" configured; })
	cp -a "$base" "$tree"
	mkdir -p "$tree/memrescue" "$tree/var/lib/shim-signed/mok"
	for part in Makefile Kbuild dkms.conf LICENSE scripts src include; do
		[ ! -e "$ROOT/$part" ] || cp -a "$ROOT/$part" "$tree/memrescue/"
	done
	for target in $OLD $NEW; do
		headers=$("$SCRIPTS/kernel" --headers "$target")
		release=$(cat "$("$SCRIPTS/kernel" "$target")/release")
		cp -a "${headers%/usr/src/*}/usr" "$tree/"
		# Back to where the package has them
		sed -i "s#${headers%/usr/src/*}##" "$tree/usr/src/linux-headers-$release/Makefile"
		rm -rf "$tree/usr/src/linux-headers-$release"-clang-*
		mkdir -p "$tree/lib/modules/$release/kernel"
		ln -sfn "/usr/src/linux-headers-$release" "$tree/lib/modules/$release/build"
		: >"$tree/lib/modules/$release/modules.order"
		: >"$tree/lib/modules/$release/modules.builtin"
	done
	inside openssl req -new -x509 -nodes -days 2 -newkey rsa:2048 -subj '/CN=the key of this machine' -outform DER \
		-keyout /var/lib/shim-signed/mok/MOK.priv -out /var/lib/shim-signed/mok/MOK.der 2>/dev/null
}

# installed_for RELEASE SIGNER: every trace that a real installation has
installed_for()
{
	local file=/lib/modules/$1/updates/dkms/memrescue.ko version
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$ROOT/dkms.conf")
	ok "$1: the module is in updates/dkms" test -s "$tree$file"
	ok "$1: modinfo names version $version" test "$(inside modinfo -F version "$file")" = "$version"
	ok "$1: it is for this kernel" grep -qF "$1 " <(inside modinfo -F vermagic "$file")
	ok "$1: it is signed by $2" test "$(inside modinfo -F signer "$file")" = "$2"
	ok "$1: modprobe finds it" grep -qF "insmod $file" <(inside modprobe -S "$1" --show-depends memrescue)
	ok "$1: dkms says it is installed" grep -qxF "memrescue/$version, $1, x86_64: installed" <(inside dkms status)
}

prepare_tree >"$scratch/output" 2>&1 || { sed 's/^/# /' "$scratch/output"; echo 'Bail out! no root tree to test in'; exit 1; }
machine_key='the key of this machine' dkms_key='DKMS module signing key'
old=$(cat "$("$SCRIPTS/kernel" $OLD)/release") new=$(cat "$("$SCRIPTS/kernel" $NEW)/release")
files >"$scratch/before"

try make -s -C /memrescue install RELEASE=no-such-kernel
ok 'install for a kernel that is not there fails' test "$status" != 0
ok '... and says so' grep -q 'no kernel no-such-kernel' "$scratch/output"
inside mkdir -p /lib/modules/headless
try make -s -C /memrescue install RELEASE=headless
ok 'install without headers fails' test "$status" != 0
ok '... and names the package' grep -q 'apt-get install linux-headers-headless' "$scratch/output"
inside rmdir /lib/modules/headless

inside sed -i '1i #error broken on purpose' /memrescue/src/main.c
try make -s -C /memrescue install RELEASE="$old"
ok 'install of sources that do not compile fails' test "$status" != 0
ok "... and shows the compiler's message" grep -q 'broken on purpose' "$scratch/output"
ok '... and leaves nothing' diff "$scratch/before" <(files)
inside sed -i 1d /memrescue/src/main.c

try make -s -C /memrescue install RELEASE="$old"
ok 'make install' test "$status" = 0
installed_for "$old" "$machine_key"
ok "$new has no module yet" refused test -e "$tree/lib/modules/$new/updates/dkms/memrescue.ko"

cp -a "$tree"/usr/src/memrescue-* "$scratch/sources"
inside sed -i '1i #error broken on purpose' /memrescue/src/main.c
try make -s -C /memrescue install RELEASE="$old"
ok 'install of sources that do not compile over an installation fails' test "$status" != 0
ok '... and says that there is still the old one' grep -q 'what was installed before still is' "$scratch/output"
ok '... whose sources are there' diff -r "$scratch/sources" "$tree"/usr/src/memrescue-*
installed_for "$old" "$machine_key"
inside sed -i 1d /memrescue/src/main.c

try dkms autoinstall -k "$new"
ok 'DKMS builds it for a kernel that is added later' test "$status" = 0
installed_for "$new" "$machine_key"

mv "$tree/var/lib/shim-signed/mok" "$scratch/mok"
try make -s -C /memrescue install RELEASE="$old"
ok 'make install over an installation, without a MOK key' test "$status" = 0
installed_for "$old" "$dkms_key"
ok '... serves the other kernel too' test "$(inside modinfo -F signer "/lib/modules/$new/updates/dkms/memrescue.ko")" = "$dkms_key"
mv "$scratch/mok" "$tree/var/lib/shim-signed/mok"

try make -s -C /memrescue uninstall
ok 'make uninstall' test "$status" = 0
ok '... leaves nothing' diff "$scratch/before" <(files)
ok '... nor anything in DKMS' refused grep -q memrescue <(inside dkms status)
try make -s -C /memrescue uninstall
ok 'make uninstall again is harmless' test "$status" = 0

echo "1..$count"
[ "$failed" = 0 ]
