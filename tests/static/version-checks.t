#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Only src/compat knows kernel versions.  Elsewhere in src/ there is no version
# number and no #if on a feature of the kernel; the one exception: a file of
# src/hook may choose a callback's prototype by HAVE_..., before its first
# function.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use StaticCheck;
use Test::More;

# What an #if outside src/compat may ask for besides header guards.
my %own = map { $_ => 1 } qw(
	defined __KERNEL__ MODULE MEMRESCUE_DEBUG
	CREATE_TRACE_POINTS TRACE_HEADER_MULTI_READ
);

sub is_feature
{
	my ($word) = @_;

	return 0 if $own{$word} || $word =~ /^_*[A-Z0-9_]+_H_*$/;
	return 1;
}

sub check_file
{
	my ($file, $text) = @_;
	my $in_hook = $file =~ m{^src/hook/[^/]+\.c$};
	my ($line, $depth, $past_top, @bad) = (0, 0, 0);

	for (split /\n/, code_only($text)) {
		$line++;
		push @bad, "$file:$line: a kernel version" if /LINUX_VERSION_CODE|\bKERNEL_VERSION\b|\bRHEL_\w+/;
		if (/^\s*#\s*(?:el)?if(?:n?def)?\b(.*)/) {
			my @words = grep { is_feature($_) } $1 =~ /\b([A-Za-z_]\w*)/g;
			my $prototype = $in_hook && !$past_top && !grep { !/^(?:MEMRESCUE_)?HAVE_\w+$/ } @words;

			push @bad, "$file:$line: #if on $words[0]" if @words && !$prototype;
		}
		$depth++ if /^\s*#\s*if/;
		$depth-- if /^\s*#\s*endif/;
		$past_top = 1 if /^}\s*$/ && !$depth;
	}
	return @bad;
}

sub check
{
	my ($top) = @_;

	return map { check_file($_, slurp("$top/$_")) }
	       grep { !m{^src/compat/} } c_files($top, 'src', 'include');
}

my $prototype = "#ifdef HAVE_MARK_VICTIM_TASK\nstatic void cb(void *d, struct task_struct *t)\n#else\n" .
		"static void cb(void *d, int pid)\n#endif\n{\n\tf();\n}\n";

accepts(\&check, 'guards, debug code, compat and a prototype choice',
	'src/compat/mm.c' => "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)\n#endif\n#ifdef HAVE_X\n#endif\n",
	'src/hook/oom.c' => $prototype, 'src/hook/oom.h' => "#ifndef MEMRESCUE_OOM_H\n#define MEMRESCUE_OOM_H\n#endif\n",
	'src/reaper/q.c' => "/* before KERNEL_VERSION(6, 4, 0) */\n#ifdef MEMRESCUE_DEBUG\n#endif\n");
refuses(\&check, 'a version number', 'src/reaper/q.c' => "int x = LINUX_VERSION_CODE;\n");
refuses(\&check, 'KERNEL_VERSION in a hook', 'src/hook/oom.c' => "#if K >= KERNEL_VERSION(6, 4, 0)\n#endif\n");
refuses(\&check, 'HAVE_ outside hooks', 'src/reaper/q.c' => $prototype);
refuses(\&check, 'HAVE_ further down in a hook', 'src/hook/oom.c' => "$prototype\n$prototype");
refuses(\&check, 'an #if on a kernel option', 'src/control/c.c' => "#ifdef CONFIG_PER_VMA_LOCK\n#endif\n");
tree_passes(\&check, 'kernel versions and features are asked for in src/compat only');
done_testing();
