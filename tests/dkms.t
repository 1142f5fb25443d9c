#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install and make uninstall, with DKMS: in a tree of bookworm with the headers of the kernels 6.1 and 6.12, and the rest in
# trees of bullseye and trixie, with their DKMS and the headers of a kernel of theirs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

PACKAGES=dkms,gcc,make,libc6-dev,libelf-dev,kmod,openssl
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

# make_tree SUITE TARGET...: a fresh one, with the headers of these
make_tree()
{
	local suite=$1 base target headers release part packages=$PACKAGES
	shift
	# What the headers of newer kernels depend on
	[ "$suite" = bullseye ] || packages+=,pahole
	base=$CACHE/trees/$suite-dkms-$(md5sum <<<"$packages" | cut -c 1-6)
	(lock "tree-${base##*/}" && { [ -d "$base" ] || tree_make "$suite" "$base" "$packages" configured; })
	rm -rf "$tree"
	cp -a "$base" "$tree"
	mkdir -p "$tree/memrescue"
	for part in Makefile Kbuild dkms.conf LICENSE scripts src include; do
		[ ! -e "$ROOT/$part" ] || cp -a "$ROOT/$part" "$tree/memrescue/"
	done
	for target; do
		headers=$("$SCRIPTS/kernel" --headers "$target")
		release=$("$SCRIPTS/kernel" --release "$target")
		cp -a "${headers%/usr/src/*}/usr" "$tree/"
		# Back to where the package has them
		sed -i "s#${headers%/usr/src/*}##" "$tree/usr/src/linux-headers-$release/Makefile"
		rm -rf "$tree/usr/src/linux-headers-$release"-clang-*
		add_kernel "$release" "/usr/src/linux-headers-$release"
	done
}

# add_kernel RELEASE HEADERS: a kernel of the tree
add_kernel()
{
	mkdir -p "$tree/lib/modules/$1/kernel"
	ln -sfn "$2" "$tree/lib/modules/$1/build"
	: >"$tree/lib/modules/$1/modules.order"
	: >"$tree/lib/modules/$1/modules.builtin"
}

prepare_tree()
{
	make_tree bookworm $OLD $NEW
	mkdir -p "$tree/var/lib/shim-signed/mok"
	inside openssl req -new -x509 -nodes -days 2 -newkey rsa:2048 -subj '/CN=the key of this machine' -outform DER \
		-keyout /var/lib/shim-signed/mok/MOK.priv -out /var/lib/shim-signed/mok/MOK.der 2>/dev/null
}

# kernel_is_added RELEASE HEADERS: what the packages of a kernel and its headers run when they are configured
kernel_is_added()
{
	add_kernel "$1" "$2"
	# shellcheck disable=SC2016 # the inner shell's
	try sh -c '/etc/kernel/postinst.d/dkms "$1" "/boot/vmlinuz-$1" && /etc/kernel/header_postinst.d/dkms "$1"' sh "$1"
}

# added_but_skipped: a kernel that is newer than what was tested must not be held up
added_but_skipped()
{
	local headers
	headers=$(readlink "$tree/lib/modules/$1/build")
	kernel_is_added 99.1.2-amd64 "$headers"
	ok "$2: a kernel that is too new is installed without it" test "$status" = 0
	ok "$2: ... and has no module" refused test -e "$tree/lib/modules/99.1.2-amd64/updates/dkms"
	try make -s -C /memrescue install
	ok "$2: make install skips it" test "$status" = 0
	ok "$2: ... and says so" grep -q 'not tested on 99.1.2-amd64: skipped' "$scratch/output"
	rm -rf "$tree/lib/modules/99.1.2-amd64"
	sed -i '1i #error broken on purpose' "$tree"/usr/src/memrescue-*/src/main.c
	kernel_is_added "${1%%-*}-0-amd64" "$headers"
	ok "$2: a kernel that it does not build for is installed without it" test "$status" = 0
	ok "$2: ... and is told why" grep -q 'broken on purpose' "$scratch/output"
	sed -i 1d "$tree"/usr/src/memrescue-*/src/main.c
	rm -rf "$tree/lib/modules/${1%%-*}-0-amd64"
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
keep_conf=$(cd "$tree/etc/dkms" && find . -type f -exec md5sum {} + | sort)

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
installed_for "$old" "$dkms_key"
ok '... and says how to sign with the key of the machine' grep -q 'mok_signing_key=/var/lib/shim-signed/mok/MOK.priv' "$scratch/output"
ok '... and leaves the configuration of DKMS alone' \
	test "$keep_conf" = "$(cd "$tree/etc/dkms" && find . -type f -exec md5sum {} + | sort)"
ok "$new has no module yet" refused test -e "$tree/lib/modules/$new/updates/dkms/memrescue.ko"

cp -a "$tree"/usr/src/memrescue-* "$scratch/sources"
inside sed -i '1i #error broken on purpose' /memrescue/src/main.c
try make -s -C /memrescue install RELEASE="$old"
ok 'install of sources that do not compile over an installation fails' test "$status" != 0
ok '... and says that there is still the old one' grep -q 'what was installed before still is' "$scratch/output"
ok '... whose sources are there' diff -r "$scratch/sources" "$tree"/usr/src/memrescue-*
installed_for "$old" "$dkms_key"
inside sed -i 1d /memrescue/src/main.c

try dkms autoinstall -k "$new"
ok 'DKMS builds it for a kernel that is added later' test "$status" = 0
installed_for "$new" "$dkms_key"

mkdir -p "$tree/etc/dkms/framework.conf.d"
printf '%s\n' mok_signing_key=/var/lib/shim-signed/mok/MOK.priv mok_certificate=/var/lib/shim-signed/mok/MOK.der \
	>"$tree/etc/dkms/framework.conf.d/mok.conf"
try make -s -C /memrescue install
ok 'make install over an installation, with the key of the machine' test "$status" = 0
installed_for "$old" "$machine_key"
ok '... is for every kernel' test "$(inside modinfo -F signer "/lib/modules/$new/updates/dkms/memrescue.ko")" = "$machine_key"
rm "$tree/etc/dkms/framework.conf.d/mok.conf"
added_but_skipped "$new" bookworm

try make -s -C /memrescue uninstall
ok 'make uninstall' test "$status" = 0
ok '... leaves nothing' diff "$scratch/before" <(files)
ok '... nor anything in DKMS' refused grep -q memrescue <(inside dkms status)
try make -s -C /memrescue uninstall
ok 'make uninstall again is harmless' test "$status" = 0

# A package's files, as dpkg knows them
mkdir -p "$tree/usr/src/memrescue-0.0.9"
echo 'PACKAGE_VERSION="0.0.9"' >"$tree/usr/src/memrescue-0.0.9/dkms.conf"
printf '%s\n' /. /usr /usr/src /usr/src/memrescue-0.0.9 /usr/src/memrescue-0.0.9/dkms.conf >"$tree/var/lib/dpkg/info/memrescue-dkms.list"
printf '\nPackage: memrescue-dkms\nStatus: install ok installed\nMaintainer: nobody\nArchitecture: all\nVersion: 0.0.9-1\nDescription: test\n' \
	>>"$tree/var/lib/dpkg/status"
files >"$scratch/with-package"
for action in install uninstall; do
	try make -s -C /memrescue $action
	ok "make $action beside a package fails" test "$status" != 0
	ok '... and names it' grep -q '/usr/src/memrescue-0.0.9/dkms.conf belongs to the package memrescue-dkms' "$scratch/output"
	ok '... and leaves its files alone' diff "$scratch/with-package" <(files)
done

# other_suite SUITE TARGET: the same in short, with that suite's DKMS
other_suite()
{
	local release version
	case " ${KERNELS:-$2} " in *" $2 "*) ;; *) return 0 ;; esac
	make_tree "$1" "$2" >"$scratch/output" 2>&1
	release=$("$SCRIPTS/kernel" --release "$2")
	version=$(inside dkms --version)
	files >"$scratch/before"
	try make -s -C /memrescue install
	ok "$1: make install, with DKMS $version" test "$status" = 0
	ok "$1: the module is there" test -s "$(find "$tree/lib/modules/$release" -name 'memrescue.ko*')"
	ok "$1: without a word of what is deprecated" refused grep -qi deprecated "$scratch/output"
	added_but_skipped "$release" "$1"
	try make -s -C /memrescue uninstall
	ok "$1: make uninstall" test "$status" = 0
	ok "$1: ... leaves nothing" diff "$scratch/before" <(files)
}
other_suite bullseye 5.10
other_suite trixie 6.18

echo "1..$count"
[ "$failed" = 0 ]
