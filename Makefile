# SPDX-License-Identifier: GPL-2.0
# Everything a user types; `make help` lists it. (What the module is made of is in Kbuild.)

KDIR ?= /lib/modules/$(shell uname -r)/build
build-flags := $(if $(filter-out 0,$(DEBUG)),--debug) $(if $(filter-out 0,$(CLANG)),--clang)
# Given on the command line, they are for the kernel's make
build-flags += $(foreach v,ARCH CROSS_COMPILE CC LLVM,$(if $(findstring command,$(origin $v)),--make $v='$($v)'))

export KERNELS TESTS CASES RUNS CPUS

all: ## the module for the running kernel: build/<release>/memrescue.ko (default)
all: ##   KDIR=<directory>  for these kernel headers
all: ##   KERNEL=6.12       for a kernel of scripts/targets; its headers are fetched
all: ##   DEBUG=1           with the tests' parameter fail=: build/<release>/debug/memrescue.ko
all: ##   CLANG=1           compiled by clang: build/<release>/clang/memrescue.ko
all: ##   ARCH= CROSS_COMPILE= CC= LLVM=  as for the kernel itself
	@scripts/build $(if $(KERNEL),$(KERNEL),--kdir $(KDIR)) $(build-flags)

demo: ## the same accident without and with memrescue, on a stock kernel in QEMU
demo: ##   KERNELS=6.12      on that kernel
	@scripts/demo

check: ## all tests, on all kernels of scripts/targets, in QEMU
check: ##   KERNELS="6.1 sid"  VM tests on these kernels only
check: ##   TESTS="..."        these tests only (scripts/check --list)
check: ##   CPUS=parallel      with the CPUs of each VM in parallel (in scripts/targets: on some kernels)
	@scripts/check

bench: ## measurements, stock against memrescue: build/bench/
bench: ##   KERNELS=6.12 CASES=stuck,killed RUNS=3  narrows it
	@scripts/bench

soak: ## the long tests
	@TESTS="$(or $(TESTS),soak)" CPUS="$(or $(CPUS),parallel)" scripts/check

install: ## into this machine's kernels with DKMS (as root): all that have their headers here
install: ##   RELEASE="..."      only for these of them
	@scripts/dkms-install install $(addprefix --kernel ,$(RELEASE))

uninstall: ## takes out what `make install` installed
	@scripts/dkms-install uninstall

fmt-check: ## the sources' style: checkpatch --strict, shellcheck
	@prove --exec '' tests/static/checkpatch.t tests/static/shellcheck.t

clean: ## removes build/; what was fetched stays in the cache
	@rm -rf build

help: ## this list
	@awk -F ':? ## ?' '/^[a-z-]+: ##/ { if (/: ##   /) printf "  %-17s   %s\n", "", substr($$2, 3); else printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: all demo check bench soak install uninstall fmt-check clean help
