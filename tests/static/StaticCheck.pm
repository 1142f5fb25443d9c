# SPDX-License-Identifier: GPL-2.0
#
# What the static checks share: finding source files, reading C without its
# comments, and running a check over the tree and over samples that it must
# accept or refuse.  A check is a function: directory in, complaints out.
package StaticCheck;
use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use File::Find ();
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Cwd qw(abs_path);
use Test::More;

our @EXPORT = qw(top c_files slurp code_only sample refuses accepts tree_passes);

sub top { return abs_path(dirname(__FILE__) . '/../..'); }

# The .c and .h files below the given directories of $top, as relative names.
sub c_files
{
	my ($top, @dirs) = @_;
	my @files;
	my @there = grep { -d } map { "$top/$_" } @dirs;

	return () unless @there;
	File::Find::find({ no_chdir => 1, wanted => sub {
		push @files, substr($_, length("$top/")) if -f && /\.[ch]$/ && !/\.mod\.c$/;
	} }, @there);
	return sort @files;
}

sub slurp
{
	my ($file) = @_;

	open(my $in, '<', $file) or die "$file: $!\n";
	local $/ = undef;
	return scalar <$in>;
}

# C text with comments and string contents blanked; line numbers stay.
sub code_only
{
	my ($text) = @_;

	$text =~ s{(/\*.*?\*/|//[^\n]*)|"((?:[^"\\\n]|\\.)*)"|('(?:[^'\\\n]|\\.)+')}
		  {defined $1 ? $1 =~ s/[^\n]//gr : defined $2 ? '"' . 'x' x length($2) . '"' : $3}egs;
	return $text;
}

# A directory with the given files: name => content.
sub sample
{
	my (%files) = @_;
	my $dir = tempdir(CLEANUP => 1);

	for my $name (keys %files) {
		make_path(dirname("$dir/$name"));
		open(my $out, '>', "$dir/$name") or die "$dir/$name: $!\n";
		print $out $files{$name};
		close($out) or die "$dir/$name: $!\n";
	}
	return $dir;
}

sub refuses
{
	my ($check, $what, %files) = @_;
	my @bad = $check->(sample(%files));

	return cmp_ok(scalar(@bad), '>', 0, "the check refuses $what");
}

sub accepts
{
	my ($check, $what, %files) = @_;
	my @bad = $check->(sample(%files));

	return ok(!@bad, "the check accepts $what") || diag(join("\n", @bad));
}

sub tree_passes
{
	my ($check, $what) = @_;
	my @bad = $check->(top());

	return ok(!@bad, $what) || diag(join("\n", @bad));
}

1;
