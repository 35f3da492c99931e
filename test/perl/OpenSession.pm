# Sessions of psql that stay open, to hold a lock or to wait for one.

package OpenSession;

use strict;
use warnings;

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(begin_session in_session end_session wait_for_session);

my $timeout = $PostgreSQL::Test::Utils::timeout_default // 180;

# Start a session and run SQL in it; with nowait, do not wait for its end.
sub begin_session
{
	my ($node, $db, $role, $sql, %params) = @_;
	my ($in, $out, $err) = ('', '', '');
	local $ENV{PGAPPNAME} = $params{application} // 'holder';
	my @cmd = (
		'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-U', $role, '-d',
		$db);
	my $session = { in => \$in, out => \$out, err => \$err };

	$session->{h} = IPC::Run::start(\@cmd, '<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($timeout));
	in_session($session, $sql, %params);
	return $session;
}

# Run SQL in an open session.  Its end is seen by the word "sent" that follows.
sub in_session
{
	my ($session, $sql, %params) = @_;

	${ $session->{out} } = '';
	${ $session->{in} } .= "$sql\n\\echo sent\n";
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
	$session->{h}->pump until ${ $session->{out} } =~ /^sent$/m;
	return ${ $session->{out} } =~ s/^sent\n\z//mr;
}

# End a session; returns its messages.
sub end_session
{
	my ($session) = @_;
	${ $session->{in} } .= "\\q\n";
	$session->{h}->finish;
	return ${ $session->{err} };
}

1;
