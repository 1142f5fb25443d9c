#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
# Tests of the test runner's host side: scripts/tapmerge must fail for everything that can go wrong in a VM, bench-result must
# calculate right, and wrong arguments must be refused with status 2.
use strict;
use warnings;
use File::Temp 'tempdir';
use FindBin;
use Test::More;

my $scripts = "$FindBin::Bin/../scripts";
my $dir = tempdir(CLEANUP => 1);

sub put {
	my ($name, $text) = @_;
	open my $out, '>', "$dir/$name" or die;
	print $out $text;
	close $out;
}

sub output {
	my @command = @_;
	open my $run, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command or die;
	my $text = join '', <$run>;
	close $run;
	return ($? >> 8, $text);
}

# ---- tapmerge: one VM with the tests "a" and "b" ---------------------------------------------------------------------

my $tap = "# begin a\n1..2\nok 1 - one\n# note\nok 2 - two\n\n# end a rc=0\n# begin b\nok 1 - three\n1..1\n\n# end b rc=0\n# all done\n";
my $log = join '', map { "[    1.000000] $_\n" } 'Linux version 6.12', 'memrescue-test: begin a', 'fine', 'memrescue-test: end a',
	'memrescue-test: begin b', 'fine too', 'memrescue-test: end b', 'memrescue-test: all done';

sub merge {
	my ($change, $end, @options) = @_;
	my %files = ('tap.log' => $tap, 'kernel.log' => $log, 'console.log' => "\n", 'qemu.log' => "QEMU\n");
	$change->(\%files) if $change;
	put($_, $files{$_}) foreach keys %files;
	return output("$scripts/tapmerge", @options, $dir, $end // 'down', 'a', 'b');
}

sub count {
	my ($text) = @_;
	my @lines = grep { /^(?:not )?ok / } split /\n/, $text;
	my ($plan) = $text =~ /^1\.\.(\d+)$/m;
	my $n = 0;
	return "not numbered: $text" if grep { !/ok (\d+)/ || $1 != ++$n } @lines;
	return $plan == @lines ? scalar(grep { /^not/ } @lines) . '/' . @lines : "plan $plan, lines " . @lines;
}

my ($status, $text) = merge();
is($status, 0, 'all is well: status 0');
is(count($text), '0/9', 'all is well: every line passes') or diag($text);
like($text, qr/^ok \d+ - a: one$/m, 'a line has its test in front');
like($text, qr/^# a: note$/m, 'comments are kept');

my @failures = (
	[ 'a check that fails', sub { $_[0]{'tap.log'} =~ s/^ok 2/not ok 2/m }, qr/^not ok \d+ - a: two/m ],
	[ 'a failure called TODO', sub { $_[0]{'tap.log'} =~ s/^ok 2.*/not ok 2 - two # TODO later/m }, qr/^not ok \d+ - a: two (?!#)/m ],
	[ 'a bad exit status', sub { $_[0]{'tap.log'} =~ s/a rc=0/a rc=3/ }, qr/^not ok \d+ - a: complete: exit status 3/m ],
	[ 'a signal', sub { $_[0]{'tap.log'} =~ s/a rc=0/a rc=139/ }, qr/^not ok \d+ - a: complete: .*signal 11/m ],
	[ 'a time-out', sub { $_[0]{'tap.log'} =~ s/a rc=0/a rc=time-out/ }, qr/^not ok \d+ - a: complete: .*time limit/m ],
	[ 'no plan', sub { $_[0]{'tap.log'} =~ s/^1\.\.2\n//m }, qr/^not ok \d+ - a: complete: no plan/m ],
	[ 'too few checks', sub { $_[0]{'tap.log'} =~ s/^1\.\.2$/1..3/m }, qr/^not ok \d+ - a: complete: planned 3, ran 2/m ],
	[ 'too many checks', sub { $_[0]{'tap.log'} =~ s/^1\.\.2$/1..1/m }, qr/^not ok \d+ - a: complete: planned 1, ran 2/m ],
	[ 'two plans', sub { $_[0]{'tap.log'} =~ s/^1\.\.2$/1..2\n1..2/m }, qr/^not ok \d+ - a: complete: two plans/m ],
	[ 'a number twice', sub { $_[0]{'tap.log'} =~ s/^ok 2/ok 1/m }, qr/^not ok \d+ - a: complete: line 2 has number 1/m ],
	[ 'giving up', sub { $_[0]{'tap.log'} =~ s/^ok 2 - two/Bail out! no device/m }, qr/^not ok \d+ - a: complete: it gave up: no device/m ],
	[ 'no output at all', sub { $_[0]{'tap.log'} = '' }, qr/^not ok \d+ - a: did not run/m ],
	[ 'a test that did not run', sub { $_[0]{'tap.log'} =~ s/# begin b.*# end b rc=0\n//s }, qr/^not ok \d+ - b: did not run/m ],
	[ 'a test that did not end', sub { $_[0]{'tap.log'} =~ s/# end b.*//s }, qr/^not ok \d+ - b: complete: the VM ended/m ],
	[ 'a WARNING in its log', sub { $_[0]{'kernel.log'} =~ s/fine too/WARNING: x/ }, qr/^not ok \d+ - b: kernel log clean: WARNING/m ],
	[ 'a BUG before the tests', sub { $_[0]{'kernel.log'} =~ s/begin a/x\nBUG: y\n$&/ }, qr/^not ok \d+ - boot: kernel log clean/m ],
	[ 'a log that ends too early', sub { $_[0]{'kernel.log'} =~ s/^.*all done\n//m }, qr/^not ok \d+ - the VM ran to its end/m ],
	[ 'lost log records', sub { $_[0]{'kernel.log'} =~ s/fine too/kmsgd: 3 records lost/ }, qr/^not ok \d+ - b: kernel log clean: lost/m ],
	[ 'no log', sub { $_[0]{'kernel.log'} = '' }, qr/^not ok \d+ - the VM ran to its end/m ],
	[ 'a time-out of the VM', undef, qr/^not ok \d+ - the VM ran to its end: .*time limit/m, 'time-out' ],
	[ 'a failure of QEMU', undef, qr/^not ok \d+ - the VM ran to its end: QEMU failed \(qemu-status-1\)/m, 'qemu-status-1' ],
	[ 'a panic', sub {
		$_[0]{'tap.log'} =~ s/ok 1 - three.*//s;
		$_[0]{'kernel.log'} =~ s/fine too.*//s;
		# What was printed at once, then the whole log again
		$_[0]{'console.log'} = "[    1.0] BUG: x\n$log" =~ s/fine too.*/BUG: x\nKernel panic - not syncing\n/sr;
	}, qr/^not ok \d+ - b: kernel log clean: panic/m ],
);
foreach (@failures) {
	my ($name, $change, $line, $end) = @$_;
	($status, $text) = merge($change, $end);
	is($status, 1, "$name: status 1");
	like($text, $line, "$name: it is named");
	like(count($text), qr/^[1-9]\d*\/\d+$/, "$name: the stream is whole");
	if ($name eq 'a panic') {
		like($text, qr/^ok \d+ - boot: kernel log clean/m, 'a panic: it is not counted twice');
	}
}
($status, $text) = merge(sub { $_[0]{'tap.log'} =~ s/^ok 2 - two/ok 2 - two # SKIP no swap/m });
is("$status " . count($text), '0 0/9', 'a check that is skipped passes');
($status, $text) = merge(sub { $_[0]{'tap.log'} =~ s/^1\.\.2\n.*?\n\n/1..0 # SKIP no cgroups\n/ms });
is("$status " . count($text), '0 0/7', 'a test that is skipped passes');
like($text, qr/^ok \d+ - a: complete # SKIP no cgroups$/m, 'a test that is skipped says why');

# What a kernel may skip is listed.
put('skips', "# comment\n\n5.10,6.1  a  no swap\nall  b  no cgroups\n-6.1,-6.12  b  no zram\n");
foreach (
	[ 'a', 'no swap', '6.1', 1, 'a check' ], [ 'a', 'no swap', '6.12', 0, 'a check on another kernel' ], [ 'b', 'no swap', '6.1', 0, 'a check of another test' ],
	[ 'b', 'no cgroups', '6.12', 1, 'a check, for all kernels' ], [ 'b', 'no zram', 'new', 1, 'a check, for all kernels but two' ],
	[ 'b', 'no zram', '6.12', 0, 'a check, on one of the two' ], [ 'a', 'no', '6.1', 0, 'a check for another reason' ],
) {
	my ($test, $reason, $kernel, $good, $name) = @$_;
	my $line = $test eq 'a' ? 'two' : 'three';
	($status, $text) = merge(sub { $_[0]{'tap.log'} =~ s/^(ok \d) - $line/$1 - $line # SKIP $reason/m }, 'down', '--skips', "$dir/skips", $kernel);
	is("$status " . count($text), $good ? '0 0/9' : '1 1/9', "skipping $name " . ($good ? 'passes' : 'fails'));
	like($text, qr/^not ok \d+ - $test: $line - skipped, and tests\/vm\/skips does not say why: $reason$/m, '... and it is named') unless $good;
}
foreach ([ 'no swap', 1 ], [ 'no cgroups', 0 ]) {
	my ($reason, $good) = @$_;
	($status, $text) = merge(sub { $_[0]{'tap.log'} =~ s/^1\.\.2\n.*?\n\n/1..0 # SKIP $reason\n/ms }, 'down', '--skips', "$dir/skips", '5.10');
	is("$status " . count($text), $good ? '0 0/7' : '1 1/7', "skipping all of a test: $reason");
}
put('skips', "5.10 a\n");
isnt((merge(undef, 'down', '--skips', "$dir/skips", '5.10'))[0], 0, 'a list of skips that is not one fails');

# ---- bench-result ----------------------------------------------------------------------------------------------------

my @samples = ('# x: SAMPLE case=c mode=stock ms=2000.5 killed=1', '# SAMPLE case=c mode=memrescue ms=9 killed=0',
	'# SAMPLE case=c mode=stock ms=1000 killed=3', '# SAMPLE case=c mode=memrescue ms=10 killed=0', '# SAMPLE case=c mode=stock ms=3000 killed=2',
	'# SAMPLE case=c mode=memrescue ms=500 killed=0', '# SAMPLE case=other mode=stock ms=1', '# SAMPLE case=c mode=stock ms=broken');
put('samples', join("\n", @samples) . "\n");
($status, $text) = output("$scripts/bench-result", '6.12-x', 'c', "$dir/samples", "$dir/c.json");
is($text, "RESULT kernel=6.12-x case=c stock_ms=2000.5 memrescue_ms=10 ratio=200.1 runs=3\nDETAIL kernel=6.12-x case=c ratio_of_pairs=100.0 stock_killed=2 memrescue_killed=0\n",
	'bench-result: medians and their ratio');
my $python = 'import json, sys; d = json.load(open(sys.argv[1])); print(d["kernel"], d["case"], d["ratio"], d["runs"], d["stock"]["ms"], d["memrescue"]["killed"])';
is((output('python3', '-c', $python, "$dir/c.json"))[1], "6.12-x c 200.1 3 [2000.5, 1000, 3000] [0, 0, 0]\n", 'bench-result: the JSON file');
put('samples', join("\n", @samples[0, 1, 2, 3]) . "\n");
like((output("$scripts/bench-result", 'k', 'c', "$dir/samples", "$dir/c.json"))[1],
	qr/stock_ms=1500\.25 memrescue_ms=9\.5 ratio=157\.9 runs=2\nDETAIL kernel=k case=c ratio_of_pairs=161\.1 /, 'bench-result: an even number of runs');
put('samples', join("\n", map { s/killed/bystanders/r } @samples) . "\n");
like((output("$scripts/bench-result", 'k', 'c', "$dir/samples", "$dir/c.json"))[1], qr/stock_bystanders=3 memrescue_bystanders=0/,
	'bench-result: bystanders are not averaged away');
put('samples', $samples[0] . "\n");
($status, $text) = output("$scripts/bench-result", 'k', 'c', "$dir/samples", "$dir/none.json");
isnt($status, 0, 'bench-result: it fails without a sample of each mode');
ok(!-e "$dir/none.json", 'bench-result: and writes nothing');

# ---- time that runs out ----------------------------------------------------------------------------------------------

{
	local @ENV{qw(CHECK_WORK CHECK_PID CHECK_START SECONDS_MAX)} = ("$dir/work", $$, time - 100, 10);
	mkdir "$dir/work";
	mkdir "$dir/work/state";
	put('work/state/6.12.ready', '');
	($status, $text) = output("$scripts/check", '--groups-on', '6.12', 'numa', 'numa');
	is($status, 0, 'a group for which there is no time is no failure');
	like($text, qr/^1\.\.0 # SKIP not run for want of time/m, 'it is a skip with that reason');
	($status, $text) = output("$scripts/check", '--dropped');
	is($status, 0, 'the end of the run tells it');
	like($text, qr/^not run for want of time: 6\.12 numa$/m, 'and names it');
	output("$scripts/check", '--groups-on', '6.12', 'reaper', 'stuck');
	($status, $text) = output("$scripts/check", '--dropped');
	is($status, 1, 'without the core the run fails');
	like($text, qr/^not ok: reaper on 6\.12 belongs to the core/m, 'and says so');
}

# ---- wrong arguments -------------------------------------------------------------------------------------------------

foreach (
	[ 'check', {}, [ '--nonsense' ], qr/unknown argument --nonsense/ ],
	[ 'check', { KERNELS => '6.12 nonsense' }, [], qr/no kernel called 'nonsense'; there are: .*6\.12/ ],
	[ 'check', { KERNELS => '6.12', TESTS => 'nonsense' }, [], qr/no test or group called 'nonsense'/ ],
	[ 'check', { CPUS => 'nonsense' }, [], qr/CPUS is parallel or turns, not 'nonsense'/ ],
	[ 'bench', { KERNELS => 'nonsense' }, [], qr/no kernel called 'nonsense'/ ],
	[ 'bench', { KERNELS => '6.12', CASES => 'stuck,nonsense' }, [], qr/no case called 'nonsense'; there are: stuck/ ],
	[ 'bench', { KERNELS => '6.12', RUNS => '0' }, [], qr/RUNS=0 is not/ ],
	[ 'bench', { KERNELS => '6.12', RUNS => 'x' }, [], qr/RUNS=x is not/ ],
	[ 'demo', { KERNELS => 'nonsense' }, [], qr/no kernel called 'nonsense'/ ],
	[ 'demo', {}, [ 'nonsense' ], qr/unknown argument nonsense/ ],
	[ 'vm', {}, [], qr/name a kernel/ ],
	[ 'vm', {}, [ qw(--kernel 6.12) ], qr/name at least one test/ ],
	[ 'vm', {}, [ qw(--kernel nonsense --tests a) ], qr/no kernel called 'nonsense'/ ],
	[ 'vm', {}, [ qw(--nonsense x --tests a) ], qr/unknown option --nonsense/ ],
) {
	my ($script, $env, $args, $message) = @$_;
	delete local @ENV{qw(KERNELS TESTS CASES RUNS CPUS)};
	local @ENV{keys %$env} = values %$env;
	($status, $text) = output("$scripts/$script", @$args);
	is($status, 2, join ' ', "$script is refused with status 2:", (map { "$_=$env->{$_}" } sort keys %$env), @$args);
	like($text, $message, 'and says why');
}
($status, $text) = output("$scripts/check", '--list');
is($status, 0, 'check --list');
($status, $text) = output("$scripts/check", '--groups');
is($status, 0, 'each test program of tests/vm is in a group, and each program of a group exists') or diag($text);
done_testing();
