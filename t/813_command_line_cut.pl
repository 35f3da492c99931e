# bin/syncmaster-db, whose connection is cut in each of its commands, before a statement
# reaches the server and before its answer comes, and which gets signals while it commits:
# its exit status and what it says are true.
#
# SYNCMASTER_CUTS=all cuts at each statement, not only at some.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use Credentials;
use CuttingProxy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('cut');
$node->append_conf('postgresql.conf', q(
	fsync = off
	syncmaster.secret_key_file = 'two.key'
	syncmaster.previous_secret_key_file = 'one.key'
));
write_keys($node, 'one.key', $KEY{one});
write_keys($node, 'two.key', $KEY{two});
$node->restart;
create_roles($node);
create_database($node, 'app');
$node->safe_psql('app', 'CREATE EXTENSION syncmaster');
fill_tables($node, 'app');
my $token = $node->safe_psql('app', q(SET syncmaster.secret_key_file = 'one.key'; SELECT syncmaster_encrypt('{}')));
$node->safe_psql('app', "UPDATE auth_data SET value = '$token'");

my $proxy = CuttingProxy->new($node);
my %env = (
	PGHOST => '127.0.0.1', PGPORT => $proxy->{port}, PGSSLMODE => 'disable',
	PGGSSENCMODE => 'disable', PGUSER => scalar getpwuid($<), PGDATABASE => 'app');

# The command, what is asked for its work, and what undoes it.
my $revision = 'SELECT syncmaster_schema_version()';
my $nothing = 'SELECT count(*) FROM "user"';
my @commands = (
	[ [ 'upgrade', '-q' ], $revision, q(SELECT syncmaster_downgrade('0012')) ],
	[ [ 'downgrade', '-1' ], $revision, q(SELECT syncmaster_upgrade('head')) ],
	[ [ 'stamp', '0012' ], $revision, q(UPDATE alembic_version SET version_num = '0013') ],
	[ [ 'rotate-credentials' ], 'SELECT status, credentials FROM syncmaster_verify_credentials() WHERE credentials > 0',
		"UPDATE auth_data SET value = '$token'" ],
	[ [ 'end-runs', '--older-than', '0 s' ], q(SELECT count(*) FROM run WHERE status = 'STARTED'), q(UPDATE run SET status = 'STARTED', ended_at = NULL
		WHERE id % 3 > 0) ],
	[ [ 'grant', 'writer', 'worker' ], q(SELECT count(*) FROM syncmaster_privileges() p WHERE p::text ~ 'writer'),
		q(SELECT count(*) FROM syncmaster_revoke('writer', 'worker')) ],
	[ [ 'superusers', 'add', 'user_3' ], 'SELECT username FROM syncmaster_superusers() ORDER BY 1',
		q(SELECT count(*) FROM syncmaster_remove_superusers('user_3')) ],
	map { [ $_, $nothing ] } ['current'], ['check'], ['plan'], ['preflight'], ['health'], ['verify-credentials'], ['privileges'],
	[ 'superusers', 'list' ], [ 'upgrade', '--sql', 'head' ],
	[ 'purge-runs', '1000 days' ], [ 'purge-partitions', '1000 days' ], [ 'purge-results', '1000 days' ]);

my %said;
foreach my $case (@commands)
{
	my ($arguments, $look, $undo) = @$case;
	my $name = "@$arguments";
	my $start = sub { $node->safe_psql('app', "SET client_min_messages = error; $undo") if defined $undo; return };

	# What it does and prints when nothing happens.
	$start->();
	my $before = $node->safe_psql('app', $look);
	$proxy->rule(undef);
	my $whole = command_line(args => $arguments, env => \%env);
	my $after = $node->safe_psql('app', $look);
	my $count = $proxy->count;
	like($whole->{status}, qr/^[04]$/, "$name: through the proxy") or diag($whole->{err});
	isnt($before, $after, "$name: something is done") if defined $undo;
	cmp_ok($count, '>', 2, "$name: statements");

	my %at = map { $_ => 1 } ($ENV{SYNCMASTER_CUTS} // '') eq 'all' ? (1 .. $count)
	  : !defined $undo ? ($count)
	  : $arguments->[0] =~ /grade$/ ? (int($count / 2), $count - 1, $count)
	  : ($count - 1, $count);
	foreach my $at (sort { $a <=> $b } keys %at)
	{
		foreach my $what ('cut', 'answer')
		{
			my $title = "$name, $what $at of $count";
			$start->();
			$proxy->rule($what, $at);
			my $run = command_line(args => $arguments, env => \%env);
			$node->poll_query_until('app', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'syncmaster-db'))
			  or die 'its session does not end';
			my $now = $node->safe_psql('app', $look);
			if ($run->{status} =~ /^[04]$/)
			{
				is("$now\n$run->{status} $run->{out}", "$after\n$whole->{status} $whole->{out}", "$title: all is done and printed");
				$said{done}++;
			}
			elsif ($run->{err} =~ /ended while it committed/)
			{
				ok($now eq $before || $now eq $after, "$title: it may be done") or diag("$now\n$run->{err}");
				$said{ $now eq $before ? 'not committed' : 'committed' }++ if defined $undo;
				is($run->{status}, 3, "$title: exit status of a lost connection");
			}
			else
			{
				is($now, $before, "$title: nothing is done") or diag($run->{err});
				is($run->{status}, 3, "$title: exit status of a lost connection") or diag($run->{err});
				unlike($run->{err}, qr/^\z/, "$title: it says something");
				$said{'not done'}++;
			}
		}
	}
}
cmp_ok($said{$_} // 0, '>', 0, "it was cut where it was $_: " . ($said{$_} // 0) . ' times') foreach 'not done', 'committed', 'not committed';

# A signal while COMMIT is on its way: the first is too late, and it ends as it is; a second
# one is an order to go, and it says that it does not know.
foreach my $case ([ 'INT', 130 ], [ 'TERM', 143 ], [ 'HUP', 129 ])
{
	my ($signal, $status) = @$case;
	foreach my $times (1, 2)
	{
		my $title = "$times SIG$signal while it commits";
		$node->safe_psql('app', q(SET client_min_messages = error; SELECT syncmaster_upgrade('head'); SELECT syncmaster_downgrade('0012')));
		$proxy->rule('hold', '^Q....COMMIT');
		my $victim = start_command_line(args => ['upgrade'], env => \%env);
		$proxy->wait_until_held;
		signal_command_line($victim, $signal);
		if ($times == 2)
		{
			# until the shell has seen the first
			select undef, undef, undef, 0.2;
			signal_command_line($victim, $signal);
		}
		$proxy->release if $times == 1;
		my $run = finish_command_line($victim);
		$proxy->release;
		$node->poll_query_until('app', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'syncmaster-db'))
		  or die 'its session does not end';
		if ($times == 1)
		{
			is("$run->{status} $run->{out}", "0 upgrade 0012 -> 0013 (head)\n", "$title: it is done, and says so") or diag($run->{err});
			is($node->safe_psql('app', $revision), '0013', "$title: and so it is");
		}
		else
		{
			is($run->{status}, $status, "$title: exit status") or diag($run->{err});
			like($run->{err}, qr/ended while it committed, so look/, "$title: it says that it does not know");
			is($run->{out}, '', "$title: and prints no result");
		}
	}
}

undef $proxy;
$node->stop;
done_testing();
