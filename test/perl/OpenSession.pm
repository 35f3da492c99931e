# Sessions of psql that stay open, to hold a lock or to wait for one.

package OpenSession;

use strict;
use warnings;

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(begin_session in_session end_session wait_for_session
  start_psql finish_psql);

my $timeout = $PostgreSQL::Test::Utils::timeout_default // 180;

# psql that reads what is sent to it.
sub open_psql
{
	my ($node, $db, %params) = @_;
	my $session = { in => '', out => '', err => '' };
	local $ENV{PGAPPNAME} = $params{application};
	my @cmd = (
		'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-d', $db,
		defined $params{role} ? ('-U', $params{role}) : (),
		@{ $params{options} // [] });

	$session->{h} = IPC::Run::start(
		\@cmd, '<', \$session->{in}, '>', \$session->{out}, '2>',
		\$session->{err}, IPC::Run::timeout($timeout));
	return $session;
}

# Start a session and run SQL in it; with nowait, do not wait for its end.
sub begin_session
{
	my ($node, $db, $role, $sql, %params) = @_;
	my $session = open_psql($node, $db, role => $role,
		application => $params{application} // 'holder');

	in_session($session, $sql, %params);
	return $session;
}

# Run SQL in an open session.  Its end is seen by the word "sent" that follows.
sub in_session
{
	my ($session, $sql, %params) = @_;

	$session->{out} = '';
	$session->{in} .= "$sql\n\\echo sent\n";
	if ($params{nowait})
	{
		$session->{h}->pump_nb;
		return;
	}
	return wait_for_session($session);
}

# Wait for what was sent; returns what it printed.
sub wait_for_session
{
	my ($session) = @_;
	$session->{h}->pump until $session->{out} =~ /^sent$/m;
	return $session->{out} =~ s/^sent\n\z//mr;
}

# End a session; returns its messages.
sub end_session
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	$session->{h}->finish;
	return $session->{err};
}

# Start a session that ends with its commands, the first error, or the loss of the
# connection.  "hold" waits until they are done, and lets it wait for finish_psql().
sub start_psql
{
	my ($node, $db, $sql, %params) = @_;
	my $session = open_psql($node, $db, role => $params{user},
		application => $params{name} // 'test',
		options => [ '-v', 'ON_ERROR_STOP=1', '-f', '-' ]);

	if ($params{hold})
	{
		in_session($session, $sql);
	}
	else
	{
		$session->{in} .= "$sql\n";
		$session->{h}->pump_nb;
	}
	return $session;
}

# Let it end, and return its exit status, its output and its errors.
sub finish_psql
{
	my ($session, $sql) = @_;

	$session->{in} .= "$sql\n" if defined $sql;
	$session->{h}->finish;
	return ($session->{h}->result(0), $session->{out}, $session->{err});
}

1;
