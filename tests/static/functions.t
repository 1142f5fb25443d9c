#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Sizes: every source file stays below 600 lines, half of the functions below
# 20 lines and nine of ten below 50, from brace to brace.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use StaticCheck;
use File::Find ();
use Test::More;

use constant { FILE_LINES => 600, HALF_BELOW => 20, MOST_BELOW => 50 };

# name => lines, of the functions of one file in kernel style: braces at column 0.
sub functions
{
	my ($file, $text) = @_;
	my ($line, $start, $name, $last, %lines) = (0, 0, '', '');

	for (split /\n/, code_only($text)) {
		$line++;
		if (/^\{\s*$/) {
			$start = $line;
			$name = "$file: $last";
		} elsif (/^\}\s*$/ && $start) {
			$lines{"$name:$start"} = $line - $start + 1;
			$start = 0;
		} elsif (/^[A-Za-z_][^;=]*?(\w+)\(/) {
			$last = $1;
		}
	}
	return %lines;
}

# The functions that are too many at or above a limit, longest first.
sub too_many
{
	my ($allowed, $limit, %lines) = @_;
	my @long = sort { $lines{$b} <=> $lines{$a} } grep { $lines{$_} >= $limit } keys %lines;

	return () if @long <= $allowed * keys %lines;
	return sprintf("%d of %d functions have %d lines or more; the longest: %s", scalar(@long),
		       scalar(keys %lines), $limit,
		       join(', ', map { "$_ ($lines{$_})" } @long[0 .. ($#long < 9 ? $#long : 9)]));
}

sub check_functions
{
	my ($top) = @_;
	my %lines = map { functions($_, slurp("$top/$_")) } c_files($top, 'src', 'include', 'tools', 'tests/vm/module');

	return (too_many(0.5, HALF_BELOW, %lines), too_many(0.1, MOST_BELOW, %lines));
}

sub check_files
{
	my ($top) = @_;
	my @bad;
	my @dirs = grep { -d } map { "$top/$_" } qw(src include tools tests scripts);

	return () unless @dirs;
	File::Find::find({ no_chdir => 1, wanted => sub {
		return unless -f && -T _;
		my $lines = () = slurp($_) =~ /\n/g;
		push @bad, substr($_, length("$top/")) . ": $lines lines" if $lines >= FILE_LINES;
	} }, @dirs);
	return sort @bad;
}

sub function_of
{
	my ($name, $lines) = @_;

	return "static int $name(void)\n{\n" . "\tx();\n" x ($lines - 2) . "}\n\n";
}

my $short = join '', map { function_of("s$_", 10) } 1 .. 18;

accepts(\&check_functions, 'short functions', 'src/main.c' => $short . function_of('a', 49) . function_of('b', 70));
refuses(\&check_functions, 'three of twenty with 50 lines', 'src/main.c' => $short . join('', map { function_of("l$_", 50) } 1 .. 3));
refuses(\&check_functions, 'more than half with 20 lines', 'src/main.c' => function_of('a', 10) . function_of('b', 20) . function_of('c', 20));
tree_passes(\&check_functions, 'half of the functions are below 20 lines, nine of ten below 50');
accepts(\&check_files, 'a file of 599 lines', 'src/main.c' => "x\n" x 599);
refuses(\&check_files, 'a file of 600 lines', 'src/main.c' => "x\n" x 600);
tree_passes(\&check_files, 'every source file is below 600 lines');
done_testing();
