# A proxy between a client and a server that cuts the connection at a statement, or holds
# it back.

package CuttingProxy;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(_exit);
use PostgreSQL::Test::Utils;

# Start it; clients connect to "port" of this computer.
sub new
{
	my ($class, $node) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
	  or die "could not listen: $!";
	my $self = bless {
		port => $listener->sockport,
		folder => PostgreSQL::Test::Utils::tempdir(),
		socket => $node->host . '/.s.PGSQL.' . $node->port
	}, $class;

	$self->{pid} = fork // die "could not fork: $!";
	if ($self->{pid} == 0)
	{
		local $SIG{PIPE} = 'IGNORE';
		while (my $client = $listener->accept)
		{
			$self->serve($client);
		}
		_exit(0);
	}
	close $listener;
	return $self;
}

# What happens to the next connections: "cut" and a number cuts it before that statement
# reaches the server, "answer" and a number before its answer reaches the client; "hold"
# and a pattern waits at a statement until release().
sub rule
{
	my ($self, $what, $which) = @_;
	unlink map { "$self->{folder}/$_" } qw(rule holding release count);
	append_to_file("$self->{folder}/rule", "$what $which") if defined $what;
	return;
}

# How many statements the last connection has sent.
sub count
{
	my ($self) = @_;
	return -s "$self->{folder}/count" // 0;
}

sub wait_until_held
{
	my ($self) = @_;
	foreach my $try (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if -e "$self->{folder}/holding";
		select undef, undef, undef, 0.1;
	}
	die 'nothing is held back';
}

sub release
{
	my ($self) = @_;
	append_to_file("$self->{folder}/release", '');
	return;
}

sub serve
{
	my ($self, $client) = @_;
	my $server = IO::Socket::UNIX->new(Peer => $self->{socket}) or return;
	my ($what, $which) = -e "$self->{folder}/rule" ? split / /, slurp_file("$self->{folder}/rule"), 2 : ('', '');
	my $select = IO::Select->new($client, $server);
	my ($from_client, $statements, $started, $cut) = ('', 0, 0, 0);

	while (my @ready = $select->can_read)
	{
		foreach my $handle (@ready)
		{
			return if !sysread $handle, my $data, 65536;
			if ($handle == $server)
			{
				return if $cut;
				syswrite $client, $data;
				next;
			}

			# Message by message; the first one has no type.
			$from_client .= $data;
			while (length $from_client >= ($started ? 5 : 4))
			{
				my $length = unpack('N', substr $from_client, $started ? 1 : 0, 4) + ($started ? 1 : 0);
				last if length $from_client < $length;
				my $message = substr $from_client, 0, $length, '';
				if ($started && $message =~ /^Q/)
				{
					append_to_file("$self->{folder}/count", '.');
					$statements++;
					return if $what eq 'cut' && $statements == $which;
					$cut = 1 if $what eq 'answer' && $statements == $which;
					if ($what eq 'hold' && $message =~ /$which/)
					{
						append_to_file("$self->{folder}/holding", '');
						until (-e "$self->{folder}/release") { select undef, undef, undef, 0.02 }
					}
				}
				$started = 1;
				syswrite $server, $message;
			}
		}
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;
	return if !$self->{pid};
	local $?;
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

1;
