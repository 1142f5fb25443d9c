#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# No module that has been built calls a looked-up kernel function through a
# pointer: see tests/static/check-indirect.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use StaticCheck;
use Test::More;

my $script = top() . '/tests/static/check-indirect';
my @compilers = ('gcc -mindirect-branch=thunk-extern', 'gcc', 'clang -mretpoline -mretpoline-external-thunk');

# What tests/static/check-indirect says about a piece of C.
sub verdict
{
	my ($compiler, $code) = @_;
	my $dir = sample('sample.c' => <<"DECLARATIONS" . $code, 'allow' => "listed  calls its table\n");
extern unsigned long __SCT__memrescue_lookup(const char *);
extern void __SCT__memrescue_zap(void *);
extern void __static_call_update(void *, void *, unsigned long);
extern int key;
struct row { const char *name; void (*bind)(unsigned long); _Bool found; };
extern struct row rows[4];
void zap(void *p) { __SCT__memrescue_zap(p); }
DECLARATIONS
	system("$compiler -c -O2 -fno-pic -mcmodel=kernel -w -o $dir/sample.o $dir/sample.c") == 0
		or return "the sample does not compile\n";
	my $said = qx("$script" --allow "$dir/allow" "$dir/sample.o" 2>&1);
	return $? == 0 ? '' : $said;
}

sub table_passes
{
	return is(verdict($_[0], <<'CODE'), '', "accepted: a table of functions and static calls ($_[0])");
void bind(unsigned long a) { __static_call_update(&key, __SCT__memrescue_zap, a); }
int listed(void)
{
	for (int i = 0; i < 4; i++) {
		unsigned long a = rows[i].bind ? __SCT__memrescue_lookup(rows[i].name) : 0;

		if (!a)
			continue;
		rows[i].bind(a);
		rows[i].found = 1;
	}
	return 0;
}
CODE
}

sub samples_fail
{
	my ($compiler) = @_;

	like(verdict($compiler, <<'CODE'), qr/listed: an indirect call .* returned/, "refused: calling what a lookup returned ($compiler)");
int listed(void *p) { ((void (*)(void *))__SCT__memrescue_lookup("x"))(p); return 0; }
CODE
	like(verdict($compiler, <<'CODE'), qr/other: an indirect call .*not listed/, "refused: a call from a function not listed ($compiler)");
int other(void) { rows[0].bind(1); return 0; }
CODE
	like(verdict($compiler, <<'CODE'), qr/find: knows addresses and stores one/, "refused: keeping an address in memory ($compiler)");
unsigned long kept;
int find(void) { kept = __SCT__memrescue_lookup("x"); return 0; }
CODE
	like(verdict($compiler, <<'CODE'), qr/bind: knows addresses and stores one/, "refused: keeping what is bound ($compiler)");
unsigned long kept;
void bind(unsigned long a) { kept = a; __static_call_update(&key, __SCT__memrescue_zap, a); }
CODE
}

sub module_without_static_calls_fails
{
	my $dir = sample('sample.c' => "int f(void) { return 0; }\n", 'allow' => '');

	system("gcc -c -O2 -o $dir/sample.o $dir/sample.c");
	like(scalar(qx("$script" --allow "$dir/allow" "$dir/sample.o" 2>&1)), qr/no static call to/,
	     'refused: a module without the static calls');
}

table_passes($_) for @compilers;
samples_fail($_) for @compilers;
module_without_static_calls_fails();

# The kernels to build for: those that the user named, or else 6.12 and the newest; in a run of scripts/check, which builds
# for all of them meanwhile, every usual one.  The debug kernel takes too long to make.
sub kernels
{
	my @usual = map { /^(\S+)(?:\s+\S+){4}\s+yes\b/ ? $1 : () } split /\n/, slurp(top() . '/scripts/targets');
	my @named = grep { $_ ne 'debug' } split ' ', $ENV{KERNELS} || '';

	return @named if @named;
	return $ENV{CHECK_PID} ? @usual : qw(6.12 sid);
}

# The modules that were built (those of clang: tests/build.t), as scripts/build names them
sub build_modules
{
	my ($kernel) = @_;
	my @variants = qw(production debug);
	my $log = qx(cd "@{[top()]}" && scripts/build "$kernel" @{[map { "--$_" } @variants]} 2>&1);
	my @modules = $log =~ m{\b(build/\S+/memrescue\.ko)$}mg;

	is(scalar(@modules), scalar(@variants), "built for $kernel: @variants") || diag($log);
	return @modules;
}

for my $module (map { build_modules($_) } kernels()) {
	my $said = qx("$script" "@{[top()]}/$module" 2>&1);

	ok($? == 0, $module) || diag($said);
}
done_testing();
