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
	ALTER SYSTEM SET synchronous_standby_names = 'nobody'});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{
	SELECT current_setting('synchronous_standby_names') = 'nobody'})
  or die 'the setting is not in force';

my $call = q{CALL syncmaster_purge_task_results(interval '90 days', 50)};
my $purging = q{query LIKE 'CALL syncmaster_purge%'
	OR query LIKE 'syncmaster_purge_task_results()%'};
my $purge = start_psql($node, 'standby', "\\set VERBOSITY verbose\n$call;");
ok($node->poll_query_until('standby',
		"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE $purging"),
	'a purge waits for a standby');
$node->safe_psql('standby',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $purging");
ok($node->poll_query_until('standby', "SELECT count(*) = 0
		FROM pg_stat_activity WHERE $purging AND pid <> pg_backend_pid()"),
	'it ends when it is cancelled');
$node->safe_psql('standby', "SELECT pg_terminate_backend(pid)
	FROM pg_stat_activity WHERE $purging AND pid <> pg_backend_pid()");
my (undef, undef, $err) = finish_psql($purge);
like($err,
	qr/ERROR:  57014: no synchronous standby has confirmed the last batch, which is committed here/,
	'with an error');
like($err, qr/DETAIL:  Somebody cancelled the wait for the standby, or changed/, 'why');
like($err, qr/purge of table "celery_taskmeta", 50 rows deleted in committed batches/,
	'and tells what was committed');
is($node->safe_psql('standby', 'SELECT count(*) FROM celery_taskmeta'),
	'950', 'nothing more is deleted');

$node->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{
	SELECT current_setting('synchronous_standby_names') = ''})
  or die 'the setting is in force';
is($node->safe_psql('standby', $call), '950', 'the next call goes on');

$node->stop;
done_testing();
