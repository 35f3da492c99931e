# RabbitMQ, as SyncMaster's services need it: run for a test, on the loopback
# interface alone.  $RABBITMQ names the root of a tree that has it and Erlang, which
# is "/" where Debian's package rabbitmq-server is installed.

package Broker;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use IPC::Run;
use POSIX qw(_exit);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(broker_url require_broker start_broker stop_broker
  wait_for_broker);

my ($root, $program, $folder, $pid, %ports);

# Skip the whole test unless RabbitMQ is there.
sub require_broker
{
	$root = ($ENV{RABBITMQ} // '') eq '' ? '/' : $ENV{RABBITMQ};
	($program) = glob "$root/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server";
	plan skip_all => 'RabbitMQ is not installed; $RABBITMQ may name a folder with it'
	  if !defined $program;
	return;
}

sub broker_url
{
	return "amqp://guest:guest\@127.0.0.1:$ports{broker}/";
}

# What Erlang's programs need to know.
sub environment
{
	return (
		HOME => $folder,
		PATH => "$root/usr/lib/erlang/bin:/usr/bin:/bin",
		LD_LIBRARY_PATH => "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu",
		ERL_EPMD_PORT => $ports{epmd},
		ERL_EPMD_ADDRESS => '127.0.0.1',
		RABBITMQ_NODENAME => 'syncmaster@localhost',
		RABBITMQ_CONFIG_FILE => "$folder/rabbitmq.conf",
		RABBITMQ_ENABLED_PLUGINS_FILE => "$folder/plugins",
		RABBITMQ_MNESIA_BASE => "$folder/mnesia",
		RABBITMQ_LOG_BASE => "$folder/log",
		RABBITMQ_LOGS => "$folder/broker.log",
		RABBITMQ_PID_FILE => "$folder/pid",
		RABBITMQ_DIST_PORT => $ports{nodes},
		RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS =>
		  '-kernel inet_dist_use_interface {127,0,0,1}');
}

# Begin to start it, which takes some seconds.
sub start_broker
{
	$folder = PostgreSQL::Test::Utils::tempdir();
	%ports = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(broker nodes epmd);
	append_to_file("$folder/rabbitmq.conf", "listeners.tcp.1 = 127.0.0.1:$ports{broker}\n");
	$pid = fork // die "could not fork: $!";
	if ($pid == 0)
	{
		my %environment = environment();
		%ENV = %environment;
		setpgrp;
		if (chdir($folder)
			&& open(STDIN, '<', '/dev/null')
			&& open(STDOUT, '>', "$folder/output")
			&& open(STDERR, '>&', \*STDOUT))
		{
			exec 'sh', $program;
		}
		_exit(127);
	}
	return;
}

# Wait until it takes connections.
sub wait_for_broker
{
	foreach my $i (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports{broker});
		last if waitpid($pid, 1) == $pid;
		usleep(100_000);
	}
	die 'the broker did not start: ' . slurp_file("$folder/output");
}

# End it, and the daemon in which its node is registered.
sub stop_broker
{
	return if !defined $pid;
	kill '-TERM', $pid;
	waitpid $pid, 0;
	undef $pid;

	# which may be told a little later that the node is gone
	local %ENV = environment();
	foreach my $i (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $output = '';
		IPC::Run::run([ "$root/usr/lib/erlang/bin/epmd", '-kill' ], '>', \$output, '2>&1');
		return if $output !~ /living nodes/;
		usleep(100_000);
	}
	return;
}

END
{
	my $status = $?;
	stop_broker();
	$? = $status;
}

1;
