# bin/syncmaster-db, as installed, run with a given environment.

package CommandLine;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(command_line finish_command_line on_terminal processes_of
  signal_command_line start_command_line write_file);

my $timeout = $PostgreSQL::Test::Utils::timeout_default // 180;

# Only what the caller gives names a database, and messages are in English.
sub environment
{
	my (%run) = @_;
	my %env = map { $_ => $ENV{$_} }
	  grep { !/^PG(?!CTLTIMEOUT|_)|^SYNCMASTER_/i } keys %ENV;

	$env{LC_ALL} = 'C';
	$env{SYNCMASTER__DATABASE__URL} = $run{url} if defined $run{url};
	return (%env, %{ $run{env} // {} });
}

# Start it, in the shell or by the command (wrapper) that is given, if any.
sub start_command_line
{
	my (%run) = @_;
	my ($program) = grep { -x } map { "$_/syncmaster-db" } split /:/, $ENV{PATH};
	die 'syncmaster-db is not installed' if !defined $program;
	my @shell = $run{wrapper} ? @{ $run{wrapper} } : split / /, $run{shell} // '';
	my $self = { in => '', out => '', err => '' };

	# A signal that is ignored from the beginning stays so in a shell, and the
	# tests may run in the background.
	local @SIG{qw(HUP INT TERM)} = ('DEFAULT') x 3;
	local %ENV = environment(%run);
	my @redirect =
	  $run{terminal}
	  ? ('<pty<', \$self->{in}, '>pty>', \$self->{out})
	  : ('<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
	$self->{h} = IPC::Run::start([ @shell, $program, @{ $run{args} } ],
		@redirect, IPC::Run::timeout($timeout));
	return $self;
}

sub finish_command_line
{
	my ($self) = @_;
	$self->{h}->finish;
	$self->{status} = $self->{h}->result(0);
	# Where it works is told each time, which a test asks for by name.
	$self->{place} =
	  $self->{err} =~ s/^syncmaster-db: (schema \S.* of database .* by .*)\n//m ? $1 : '';
	return $self;
}

sub command_line
{
	return finish_command_line(start_command_line(@_));
}

# What it prints on a terminal.
sub on_terminal
{
	my $self = command_line(@_, terminal => 1);
	return $self->{out} =~ s/\r//gr;
}

sub process_id
{
	my ($self) = @_;
	return $self->{h}{KIDS}[0]{PID};
}

sub signal_command_line
{
	my ($self, $signal) = @_;
	kill $signal, process_id($self) or die "could not send SIG$signal: $!";
	return;
}

# The command lines of it and of all that it started.
sub processes_of
{
	my ($self) = @_;
	my @found;
	my @parents = (process_id($self));

	while (defined(my $parent = shift @parents))
	{
		push @found, slurp_file("/proc/$parent/cmdline") =~ tr/\0/ /r;
		foreach my $stat (glob '/proc/[0-9]*/stat')
		{
			open my $fh, '<', $stat or next;
			my $line = <$fh>;
			close $fh;
			push @parents, $1
			  if defined $line && $line =~ /^(\d+) \(.*\) \S $parent /;
		}
	}
	return @found;
}

sub write_file
{
	my ($path, $text) = @_;
	open my $fh, '>', $path or die "could not write $path: $!";
	print $fh $text;
	close $fh or die "could not write $path: $!";
	return $path;
}

1;
