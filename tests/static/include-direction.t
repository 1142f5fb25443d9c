#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# A room of src/ includes only its own headers and those of lower rooms:
# compat <- hook <- {reaper, pool, pressure} <- {notify, policy} <- control <- main.
# Rooms of one level do not include each other.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use StaticCheck;
use File::Spec;
use Test::More;

my %level = (
	include => 0, compat => 1, hook => 2, reaper => 3, pool => 3, pressure => 3,
	notify => 4, policy => 4, control => 5, main => 6,
);
# Written by the build, on the include path of every room.
my %generated = map { $_ => 1 } qw(memrescue_config.h);

# include/... is the API; src/<room>/...; src/main.c is a room of its own.
sub room_of
{
	my ($file) = @_;

	return 'include' if $file =~ m{^include/};
	return 'main' if $file eq 'src/main.c';
	return $file =~ m{^src/([^/]+)/} ? $1 : undef;
}

# The file an #include names, relative to $top; undef for one of the kernel's.
sub target_of
{
	my ($top, $file, $name, $quoted) = @_;
	my ($dir) = $file =~ m{^(.*)/};

	for my $base ($quoted ? $dir : (), 'src', 'include', 'include/uapi') {
		my $path = File::Spec->canonpath("$base/$name");
		1 while $path =~ s{[^/.]+/\.\./}{};
		return $path if -f "$top/$path";
	}
	return undef;
}

sub check_line
{
	my ($top, $file, $name, $quoted) = @_;
	my $from = room_of($file);
	my $target = target_of($top, $file, $name, $quoted);

	if (!defined $target) {
		return $quoted && !$generated{$name} ? "\"$name\" is not in the tree" : ();
	}
	my $to = room_of($target);

	return "$target is in no room" unless defined $to && defined $level{$to};
	return () if $to eq $from || $level{$to} < $level{$from};
	return "$from must not include $to ($target)";
}

sub check
{
	my ($top) = @_;
	my @bad;

	for my $file (c_files($top, 'src', 'include')) {
		my $room = room_of($file);
		my $line = 0;

		if (!defined $room || !defined $level{$room}) {
			push @bad, "$file: not in a room that this check knows";
			next;
		}
		for (split /\n/, slurp("$top/$file")) {
			$line++;
			next unless /^\s*#\s*include(?:_next)?\s*(["<])([^">]+)[">]/;
			push @bad, map { "$file:$line: $_" } check_line($top, $file, $2, $1 eq '"');
		}
	}
	return @bad;
}

accepts(\&check, 'includes that run downward',
	'src/compat/mm.h' => '', 'src/hook/hook.h' => "#include \"../compat/mm.h\"\n",
	'include/linux/memrescue.h' => '',
	'src/reaper/queue.c' => "#include <linux/mm.h>\n#include <linux/memrescue.h>\n#include \"queue.h\"\n#include \"hook/hook.h\"\n",
	'src/reaper/queue.h' => "#include \"memrescue_config.h\"\n",
	'src/main.c' => "#include \"reaper/queue.h\"\n#include \"hook/hook.h\"\n");
refuses(\&check, 'an include that runs upward',
	'src/reaper/queue.h' => '', 'src/hook/oom.c' => "#include \"../reaper/queue.h\"\n");
refuses(\&check, 'an upward include in angle brackets',
	'src/reaper/queue.h' => '', 'src/compat/mm.c' => "#include <reaper/queue.h>\n");
refuses(\&check, 'an include of a room of the same level',
	'src/pool/store.h' => '', 'src/reaper/queue.c' => "#include \"../pool/store.h\"\n");
refuses(\&check, 'an API header that looks into src',
	'src/compat/mm.h' => '', 'include/linux/memrescue.h' => "#include \"compat/mm.h\"\n");
refuses(\&check, 'a room that is in no level', 'src/misc/misc.c' => '');
refuses(\&check, 'a header that does not exist', 'src/hook/oom.c' => "#include \"nothing.h\"\n");
tree_passes(\&check, 'no include of src/ or include/ runs upward');
done_testing();
