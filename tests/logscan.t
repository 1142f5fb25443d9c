#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
# Tests of scripts/logscan: clean logs pass, each kind of report is found, and an OOM report excuses its own stack only.
use strict;
use warnings;
use FindBin;
use Test::More;

require "$FindBin::Bin/../scripts/logscan";

sub stamp { my $t = 1; return map { sprintf("[%5d.%06d] %s\n", $t++, 4711, $_) } @_; }
sub lines { return stamp(split /\n/, $_[0]); }

my $oom = <<'END';
memrescue-test: begin a
eater invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
CPU: 0 UID: 0 PID: 168 Comm: eater Tainted: G           OE      6.12.117+deb12-amd64 #1  Debian 6.12.117-1~deb12u1
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 dump_header+0x43/0x1d0
 oom_kill_process+0xfa/0x200
 </TASK>
memory: usage 65536kB, limit 65536kB, failcnt 365
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,mems_allowed=0,oom_memcg=/a,task_memcg=/a,task=oom,pid=168,uid=0
Memory cgroup out of memory: Killed process 168 (eater) total-vm:263140kB, anon-rss:65336kB, file-rss:0kB, shmem-rss:464kB, UID:0
END

my $stuck = <<'END';
memrescue: stuck pid=200 comm=victim wchan=mrt_sleep
task:victim          state:D stack:0     pid:203   tgid:203   ppid:200    flags:0x00000002
Call Trace:
 <TASK>
 __schedule+0x4e0/0xbf0
 </TASK>
END
my $stock_stuck = $stuck =~ s/^.*\n/oom_reaper: unable to reap pid:200 (victim)\n/r;

my $long_oom = $oom =~ s/^memrescue-test: .*\n//r =~ s/^Tasks state.*\n/$& . "[ 9] task\n" x 150/mer;

my $boot = <<'END';
Linux version 6.12.117+deb12-amd64 (debian-kernel@lists.debian.org)
Command line: console=ttyS0 oops=panic panic=-1 memrescue.note=BUG
Kernel command line: console=ttyS0 oops=panic panic=-1 memrescue.note=BUG
tsc: Marking TSC unstable due to TSCs unsynchronized
rcu: Hierarchical RCU implementation.
	RCU CPU stall warnings timeout set to 60 (rcu_cpu_stall_timeout).
kasan: KernelAddressSanitizer initialized (generic)
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
ODR: DEBUG_OBJECTS active
kmemleak: Kernel memory leak detector initialized (mem pool available: 15821)
debug: DEBUG_LIST is on
memrescue: loading out-of-tree module taints kernel.
memrescue: module verification failed: signature and/or required key missing - tainting kernel
memrescue: reaped pid=168 comm=eater uid=0 oom_score_adj=0 rss_kb=65336 swap_kb=0 freed_kb=65336 in_us=1200 reason=oom
sh (12): drop_caches: 3
memrescue-test: begin BUG
memrescue-test: end BUG
END

my @clean = (
	[ 'an empty log', '' ],
	[ 'a boot', $boot ],
	[ 'an OOM report', $oom ],
	[ 'two OOM reports', $oom . $oom ],
	[ 'a stuck victim', $stuck ],
	[ 'a victim that the stock reaper could not reap', $stock_stuck ],
	[ 'an OOM report with a stuck victim in the middle', $oom =~ s/^Hardware name.*\n/$&$stuck/mr ],
	# The line of the task is printed in two pieces.
	[ 'a stuck victim with a long OOM report in the middle', $stuck =~ s/^(?=Call Trace)/$long_oom/mr ],
	[ 'a report that the test expects', "memrescue-test: begin a\nmemrescue-test: expect ^FAULT_INJECTION: forcing\n" .
		"FAULT_INJECTION: forcing a failure.\nCall Trace:\nmemrescue-test: end a\n" ],
);
foreach (@clean) {
	my @found = scan(lines($_->[1]));
	is(scalar @found, 0, "clean: $_->[0]") or diag(map { "$_->{kind}: $_->{text}" } @found);
}

# What must be found, one line each: kind, text
my @bad = map { [ split /\t+/, $_, 2 ] } grep { length } split /\n/, <<'END';
lost log records	kmsgd: 17 records lost
KASAN	BUG: KASAN: slab-use-after-free in reap_victim+0x12/0x80 [memrescue]
KFENCE	BUG: KFENCE: use-after-free read in reap_victim+0x12/0x80 [memrescue]
KCSAN	BUG: KCSAN: data-race in reap_victim / queue_victim
UBSAN	UBSAN: array-index-out-of-bounds in src/reaper/reaper.c:12:3
kmemleak	kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
ODEBUG	ODEBUG: free active (active state 0) object: 00000000 object type: work_struct hint: reap+0x0/0x10
lockdep	WARNING: possible circular locking dependency detected
lockdep	WARNING: possible recursive locking detected
lockdep	WARNING: possible irq lock inversion dependency detected
lockdep	WARNING: inconsistent lock state
lockdep	WARNING: suspicious RCU usage
lockdep	[ BUG: Invalid wait context ]
lockdep	WARNING: bad unlock balance detected!
lockdep	WARNING: held lock freed!
lockdep	WARNING: lock held when returning to user space!
lockdep	INFO: possible recursive locking detected
lockdep	INFO: trying to register non-static key.
lockdep	DEBUG_LOCKS_WARN_ON(lock->magic != lock)
atomic sleep	BUG: sleeping function called from invalid context at mm/page_alloc.c:4
atomic sleep	BUG: scheduling while atomic: sh/192/0x00000002
atomic sleep	note: insmod[12] exited with preempt_count 1
RCU stall	rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
RCU stall	rcu: INFO: rcu_sched self-detected stall on CPU
RCU stall	rcu: rcu_preempt kthread starved for 5252 jiffies!
RCU stall	rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }
lockup	watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [reap:12]
lockup	BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 36s!
hung task	INFO: task victim:12 blocked for more than 60 seconds.
panic	Kernel panic - not syncing: Fatal exception
Oops	Oops: 0002 [#1] PREEMPT SMP NOPTI
Oops	BUG: unable to handle page fault for address: 0000000000001000
Oops	Unable to handle kernel NULL pointer dereference at virtual address 8
Oops	general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1]
refcount	refcount_t: underflow; use-after-free.
list corruption	list_add corruption. prev->next should be next (00), but was 11.
list corruption	list_del corruption, ffff88800->next is LIST_POISON1 (dead000000000100)
page state	BUG: Bad page state in process victim  pfn:12345
page state	BUG: Bad page map in process victim  pte:8000 pmd:1000
page state	BUG: Bad rss-counter state mm:00000000 type:MM_ANONPAGES val:3
page state	BUG: non-zero pgtables_bytes on freeing mm: 4096
slab	BUG kmalloc-64 (Tainted: G           OE     ): Redzone overwritten
slab	BUG memrescue_record (Tainted: G  OE): Objects remaining in memrescue_record on __kmem_cache_shutdown()
allocation failure	kworker/u4:1: page allocation failure: order:0, mode:0x40800(GFP_NOWAIT|__GFP_COMP)
BUG	BUG: something new
BUG	kernel BUG at mm/mmap.c:12!
WARNING	WARNING: CPU: 1 PID: 167 at mm/oom_kill.c:10 op_set+0x29/0x120 [memrescue]
WARNING	------------[ cut here ]------------
stack trace	Call Trace:
stack trace	Modules linked in: memrescue(OE) zram
module	memrescue: Unknown symbol nothing (err -2)
module	workqueue: memrescue_reap hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
END
my @oom_lines = split /\n/, $oom;
foreach (@bad) {
	my ($kind, $text) = @$_;
	my @found = scan(stamp($text));
	is(join(',', map { $_->{kind} } @found), $kind, "found: $text");
	next if $text =~ /^Call Trace:/;
	# In the middle of an OOM report, at each place of it
	my $missed = 0;
	foreach my $at (1 .. $#oom_lines + 1) {
		my @log = @oom_lines;
		splice @log, $at, 0, $text;
		@found = scan(stamp(@log));
		$missed++ unless @found == 1 && $found[0]{test} eq 'a';
	}
	is($missed, 0, 'found within an OOM report: ' . substr($text, 0, 40));
}

# Each report has one stack, and no more.
foreach my $at (5 .. $#oom_lines + 1) {
	my @log = @oom_lines;
	splice @log, $at, 0, 'Call Trace:';
	is(scalar scan(stamp(@log)), 1, "a second stack in line $at of an OOM report is found");
}
is(scalar scan(lines("$stuck\nCall Trace:\n")), 1, 'a second stack after a stuck victim is found');
is(scalar scan(lines("$oom\nCall Trace:\n")), 1, 'a stack after an OOM report is found');
is(scalar scan(lines("memrescue: stuck pid=1\n" . "filler\n" x 150 . "Call Trace:\n")), 1, 'a stack long after a stuck victim is found');
is(scalar scan(lines("memrescue: stuck pid=1\n" . $long_oom . "filler\n" x 150 . "Call Trace:\n")), 1, '... nor does an OOM report in between help');
is(scalar scan(lines("memrescue: stuck pid=1\nx invoked oom-killer: y\nCall Trace:\n" . "filler\n" x 700 . "Call Trace:\n")), 1,
	'... not even one without an end');
is(scalar scan(lines("memrescue-test: begin a\nx invoked oom-killer: y\nmemrescue-test: end a\nmemrescue-test: begin b\nCall Trace:\n")), 1,
	'a stack of the next test is found');
is(scalar scan(lines("memrescue-test: begin a\nmemrescue-test: expect ^FAULT\nmemrescue-test: end a\nmemrescue-test: begin b\nWARNING: FAULT\nBUG: x\n")), 1,
	'what one test expects is not excused in another');

# Findings belong to the right test, and one report is one finding.
my @found = scan(lines("BUG: 0\nmemrescue-test: begin a\nfine\nmemrescue-test: end a\nmemrescue-test: begin b\n" .
	"------------[ cut here ]------------\nWARNING: CPU: 1\nModules linked in: x\nCall Trace:\n f+0x1/0x2\nmemrescue-test: end b\nBUG: 1\n"));
is(join(' ', map { "$_->{test}:$_->{kind}" } @found), 'boot:BUG b:WARNING boot:BUG', 'findings are given to the test that ran');
@found = scan(lines("------------[ cut here ]------------\nkernel BUG at x\nOops: invalid opcode\nCall Trace:\nKernel panic - not syncing\n"));
is(join(' ', map { $_->{kind} } @found), 'panic', 'a report is named after its worst line');
@found = scan("<4>[    1.000000] [  T123] BUG: with level and caller\n");
is(scalar @found, 1, 'a level and a caller in front are skipped');

# The command line: exit status
my $dir = "$FindBin::Bin/../build";
mkdir $dir;
sub status {
	my ($log, @options) = @_;
	open my $out, '>', "$dir/logscan.log" or die;
	print $out lines($log);
	close $out;
	open my $run, '-|', "$FindBin::Bin/../scripts/logscan", @options, "$dir/logscan.log" or die;
	my @lines = <$run>;
	close $run;
	unlink "$dir/logscan.log";
	return ($? >> 8) . ' ' . scalar @lines;
}
is(status($oom), '0 0', 'logscan: status 0, no output for a clean log');
like(status("${oom}BUG: x\n"), qr/^1 [1-9]/, 'logscan: status 1 and the finding');
is(status("${oom}BUG: x\n", '-q'), '1 0', 'logscan -q: only the status');
system("$FindBin::Bin/../scripts/logscan /nonexistent 2>/dev/null");
is($? >> 8, 2, 'logscan: status 2 for a file that is not there');
done_testing();
