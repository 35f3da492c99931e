# SyncMaster itself, as far as tests use it: its migrations and its server.  It is
# installed in the virtual environment that $SYNCMASTER_VENV names.

package SyncMasterEnv;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec;
use IPC::Open2;
use JSON::PP;
use Test::More;

our @EXPORT = qw(
  database_url
  encryption_key
  python_of
  require_syncmaster
  syncmaster_environment
);

# Any will do.
my $encryption_key = 'UBgPTioFrtH2unlC4XFDiGf5sYfzbdSf_VgiUSaQc94=';

# Skip the whole test unless SyncMaster is installed; return its Python.
sub require_syncmaster
{
	my ($variable) = @_;
	$variable //= 'SYNCMASTER_VENV';
	my $python = python_of($variable);

	plan skip_all => "\$$variable does not name a virtual environment with "
	  . 'data-syncmaster'
	  if !defined $python;
	return $python;
}

# The Python of the environment that a variable names, or nothing.
sub python_of
{
	my ($variable) = @_;
	my $venv = $ENV{$variable} // '';

	return if $venv eq '';
	my $python = File::Spec->catfile($venv, 'bin', 'python');
	return -x $python ? $python : undef;
}

sub encryption_key
{
	return $encryption_key;
}

sub database_url
{
	my ($node, $database, $role) = @_;
	return sprintf 'postgresql+asyncpg://%s@/%s?host=%s&port=%d', $role,
	  $database, $node->host, $node->port;
}

# What SyncMaster's services read from their environment.  Nobody listens at the
# broker's port.
sub syncmaster_environment
{
	my ($node, $database, $role, $broker_port) = @_;
	return (
		SYNCMASTER__DATABASE__URL => database_url($node, $database, $role),
		SYNCMASTER__BROKER__URL =>
		  "amqp://guest:guest\@127.0.0.1:$broker_port/",
		SYNCMASTER__ENCRYPTION__SECRET_KEY => $encryption_key,
		SYNCMASTER__SERVER__SESSION__SECRET_KEY => 'session',
		SYNCMASTER__SERVER__STATIC_FILES__ENABLED => 'false',
		SYNCMASTER__AUTH__ACCESS_TOKEN__SECRET_KEY => 'token');
}

# A process that runs Alembic's commands on the databases of a server.
sub new
{
	my ($class, $node, $role, $variable) = @_;
	my $script =
	  File::Spec->catfile(dirname(__FILE__), '..', 'python',
		'alembic_session.py');
	my $python = python_of($variable // 'SYNCMASTER_VENV');

	# The migrations of 0.2.0 want to know all of the server's settings.
	my %environment = syncmaster_environment($node, 'postgres', $role, 1);
	local @ENV{ keys %environment } = values %environment;
	my $pid = open2(my $out, my $in, $python, $script);
	return bless {
		node => $node,
		role => $role,
		pid => $pid,
		in => $in,
		out => $out
	}, $class;
}

# Run one command; returns whether it succeeded and what it printed.
sub alembic
{
	my ($self, $database, @arguments) = @_;
	my $in = $self->{in};
	my $out = $self->{out};

	print $in encode_json(
		[ database_url($self->{node}, $database, $self->{role}), @arguments ]),
	  "\n";
	$in->flush;
	my $line = <$out>;
	die 'Alembic ended' if !defined $line;
	my $reply = decode_json($line);
	return ($reply->{ok} ? 1 : 0, $reply->{output});
}

# The same as a test that it succeeds.
sub alembic_ok
{
	my ($self, $name, $database, @arguments) = @_;
	my ($ok, $output) = $self->alembic($database, @arguments);

	ok($ok, $name) or diag($output);
	return $output;
}

sub finish
{
	my ($self) = @_;
	close $self->{in};
	waitpid $self->{pid}, 0;
	return;
}

1;
