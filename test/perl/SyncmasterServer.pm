# SyncMaster's server, run for a test and talked to over HTTP.

package SyncmasterServer;

use strict;
use warnings;

use Exporter 'import';
use File::Spec;
use HTTP::Tiny;
use JSON::PP;
use POSIX qw(_exit);
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  log_in
  request
  request_is
  start_server
  stop_server
);

my $server_pid;

# Start the server, in a folder of its own: it looks for files in the current one.
# More variables of its environment may follow.
sub start_server
{
	my ($node, $python, $database, $role, %more) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $broker_port = PostgreSQL::Test::Cluster::get_free_port();
	my $log = File::Spec->rel2abs(
		"$PostgreSQL::Test::Utils::log_path/server_$database.log");
	my $folder = PostgreSQL::Test::Utils::tempdir();

	$server_pid = fork // die "could not fork: $!";
	if ($server_pid == 0)
	{
		my %environment =
		  (syncmaster_environment($node, $database, $role, $broker_port), %more);
		@ENV{ keys %environment } = values %environment;
		if (chdir($folder)
			&& open(STDOUT, '>', $log)
			&& open(STDERR, '>&', \*STDOUT))
		{
			exec $python, '-m', 'syncmaster.server', '--host', '127.0.0.1',
			  '--port', $port;
		}
		_exit(127);
	}

	my $http = HTTP::Tiny->new(timeout => 60, no_proxy => ['127.0.0.1']);
	my $base = "http://127.0.0.1:$port";
	foreach my $i (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		last if $http->get("$base/monitoring/ping")->{success};
		if (waitpid($server_pid, 1) == $server_pid)
		{
			$server_pid = undef;
			BAIL_OUT("the server did not start: " . slurp_file($log));
		}
		usleep(100_000);
	}
	return {
		name => $database,
		http => $http,
		base => "$base/v1",
		log => $log
	};
}

sub stop_server
{
	return if !defined $server_pid;
	kill 'TERM', $server_pid;
	waitpid $server_pid, 0;
	$server_pid = undef;
	return;
}

END
{
	my $status = $?;
	stop_server();
	$? = $status;
}

# Log in, as the server's provider for tests allows, and act as that user from
# now on.  Whoever does so first becomes a user.
sub log_in
{
	my ($server, $username) = @_;
	my $login = $server->{http}->post_form(
		"$server->{base}/auth/token",
		{
			grant_type => 'password',
			username => $username,
			password => 'any'
		});
	is($login->{status}, 200, "$server->{name}: log in as $username")
	  or diag($login->{content});
	$server->{token} =
	    $login->{success}
	  ? decode_json($login->{content})->{access_token}
	  : undef;
	return;
}

# One request; returns its status and what the answer holds.
sub request
{
	my ($server, $method, $path, $content) = @_;
	my %options;

	$options{headers}{Authorization} = "Bearer $server->{token}"
	  if defined $server->{token};
	if (defined $content)
	{
		$options{headers}{'Content-Type'} = 'application/json';
		$options{content} = encode_json($content);
	}
	my $answer =
	  $server->{http}->request($method, "$server->{base}$path", \%options);
	my $body = $answer->{content} // '';
	return ($answer->{status},
		$body =~ /^\s*[\[{]/ ? decode_json($body) : $body);
}

# The same as a test of its status.
sub request_is
{
	my ($server, $status, $name, $method, $path, $content) = @_;
	my ($got, $body) = request($server, $method, $path, $content);

	is($got, $status, "$server->{name}: $name")
	  or diag(ref $body ? encode_json($body) : $body);
	return $body;
}

1;
