# A synchronous standby that hangs: who cancels a purge ends only the wait of one
# commit, and the purge has to notice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('standby', allows_streaming => 1);
$node->safe_psql('postgres', 'CREATE DATABASE standby');
$node->safe_psql('standby', q{
	CREATE EXTENSION syncmaster;
	INSERT INTO celery_taskmeta (id, task_id, date_done)
		SELECT i, i, now() - interval '1 year' FROM generate_series(1, 1000) i;
	ALTER TABLE run RENAME TO walk;
	CREATE TABLE run (LIKE walk INCLUDING DEFAULTS) PARTITION BY RANGE (id);
	ALTER TABLE run ADD PRIMARY KEY (id);
	CREATE TABLE run_1 PARTITION OF run FOR VALUES FROM (1) TO (11);
	CREATE TABLE run_2 PARTITION OF run FOR VALUES FROM (11) TO (21);
	CREATE TABLE run_3 PARTITION OF run FOR VALUES FROM (21) TO (100);
	INSERT INTO run (id, transfer_id, status, type, transfer_dump, created_at)
		SELECT i, 1, 'FINISHED', 'MANUAL', '{}', now() - interval '1 year'
		FROM generate_series(1, 21) i;
	ALTER SYSTEM SET synchronous_standby_names = 'nobody'});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{
	SELECT current_setting('synchronous_standby_names') = 'nobody'})
  or die 'the setting is not in force';

# Cancel a purge when it waits for the standby; returns what it says.
sub cancel_purge
{
	my ($call) = @_;
	my $purging = q{(query LIKE 'CALL syncmaster_purge%' OR query LIKE 'syncmaster_purge%')};
	my $purge = start_psql($node, 'standby', "\\set VERBOSITY verbose\n$call;");

	ok($node->poll_query_until('standby',
			"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE $purging"),
		"$call waits for a standby");
	$node->safe_psql('standby',
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $purging");
	ok($node->poll_query_until('standby', "SELECT count(*) = 0
			FROM pg_stat_activity WHERE $purging AND pid <> pg_backend_pid()"),
		'it ends when it is cancelled');
	$node->safe_psql('standby', "SELECT pg_terminate_backend(pid)
		FROM pg_stat_activity WHERE $purging AND pid <> pg_backend_pid()");
	my (undef, undef, $err) = finish_psql($purge);
	like($err,
		qr/ERROR:  57014: no synchronous standby has confirmed the last transaction, which is committed here/,
		'with an error');
	return $err;
}

my $call = q{CALL syncmaster_purge_task_results(interval '90 days', 50)};
my $err = cancel_purge($call);
like($err, qr/DETAIL:  Somebody cancelled the wait for the standby, or changed/, 'why');
like($err, qr/purge of table "celery_taskmeta", 50 rows deleted in committed batches/,
	'and tells what was committed');
is($node->safe_psql('standby', 'SELECT count(*) FROM celery_taskmeta'),
	'950', 'nothing more is deleted');
my $drop = q{CALL syncmaster_purge_partitions(interval '90 days')};
cancel_purge($drop);
is($node->safe_psql('standby', "SELECT to_regclass('run_1') IS NULL, to_regclass('run_2')"),
	't|run_2', 'no second partition is dropped');

$node->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{
	SELECT current_setting('synchronous_standby_names') = ''})
  or die 'the setting is in force';
is($node->safe_psql('standby', $_->[0]), $_->[1], 'the next call goes on')
  foreach [ $call, 950 ], [ $drop, 1 ];

$node->stop;
done_testing();
