# Every wait of a migration ends with syncmaster.lock_timeout, also where
# PostgreSQL's own functions lock a table to describe it, and the error names
# those who are in the way, also those who wait themselves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('waits');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');

sub pid_of
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
}

# The command fails long before the server would end it.
sub gives_up
{
	my ($name, $sql, @patterns) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', qq{
		SET client_min_messages = error;
		SET statement_timeout = '60s';
		SET syncmaster.lock_timeout = '200ms';
		$sql});

	isnt($rc, 0, "$name: refused");
	like($err, $_, "$name: error") foreach @patterns;
	return;
}

# ---------------------------------------------------------------------------
# A table that is locked altogether: even to look at it has to wait

my $admin = start_psql($node, 'postgres', 'BEGIN; LOCK TABLE "user";',
	name => 'admin', hold => 1);
my $pid = pid_of('admin');

# Those who only look do not wait.
like(
	$node->safe_psql('postgres', q{
		SET statement_timeout = '100s';
		SET syncmaster.lock_timeout = '110s';
		SELECT detail FROM syncmaster_preflight();
		SELECT count(*) FROM syncmaster_upgrade_plan()}),
	qr/^extra index "ix_syncmaster__user_active_username" was not looked at, because table "user" is locked$/m,
	'preflight and plan do not wait for a table');
is( $node->safe_psql('postgres', q{
		BEGIN; SELECT FROM syncmaster_upgrade_plan();
		SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'transfer'::regclass}),
	'0', '... nor keep its lock');

foreach my $sql (
	'SELECT syncmaster_create_indexes()',
	'SELECT syncmaster_drop_indexes()',
	q{SELECT syncmaster_upgrade('head')},
	q{SELECT syncmaster_downgrade('base')})
{
	gives_up($sql, $sql,
		qr/could not lock table "user" within 200 ms\nDETAIL:  It is locked by process $pid /
	);
}
finish_psql($admin, 'ROLLBACK;');

# ---------------------------------------------------------------------------
# A reader would not be in the way of building an index, but of somebody who is
# before us in the queue

$node->safe_psql('postgres', 'SELECT count(*) FROM syncmaster_drop_indexes()');
my $reader = start_psql($node, 'postgres',
	'BEGIN; SELECT count(*) FROM transfer;', name => 'reader', hold => 1);
my $waiter = start_psql($node, 'postgres', 'BEGIN; LOCK TABLE transfer; COMMIT;',
	name => 'waiter');
$node->poll_query_until('postgres', q{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE application_name = 'waiter' AND wait_event_type = 'Lock'})
  or die 'nobody waits';
my ($reader_pid, $waiter_pid) = map { pid_of($_) } qw(reader waiter);

gives_up(
	'behind a waiting session',
	'SELECT syncmaster_create_indexes()',
	qr/could not lock table "transfer" within 200 ms/,
	qr/process $reader_pid \(user "[^"]+", application "reader", idle in transaction since/,
	qr/process $waiter_pid \(user "[^"]+", application "waiter", waiting since/);
finish_psql($reader, 'ROLLBACK;');
finish_psql($waiter);

# ---------------------------------------------------------------------------
# Dropping a table locks those that its foreign keys refer to

$reader = start_psql($node, 'postgres',
	'BEGIN; SELECT count(*) FROM queue;', name => 'reader', hold => 1);
$pid = pid_of('reader');
gives_up(
	'a table that a dropped one refers to',
	q{SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('0006')},
	qr/could not lock table "queue" within 200 ms\nDETAIL:  It is locked by process $pid /);
finish_psql($reader, 'ROLLBACK;');

# ---------------------------------------------------------------------------
# What was waited for has become another table meanwhile, or none

foreach my $end ('CREATE TABLE alembic_version (LIKE kept INCLUDING ALL); '
	. 'INSERT INTO alembic_version TABLE kept; COMMIT;', 'COMMIT;')
{
	my $dropper = start_psql($node, 'postgres',
		'CREATE TABLE IF NOT EXISTS kept AS TABLE alembic_version; '
		  . 'BEGIN; DROP TABLE alembic_version;',
		name => 'dropper', hold => 1);
	my $checker = start_psql($node, 'postgres',
		'SELECT count(*) > 0 FROM syncmaster_check();', name => 'checker');

	$node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'checker' AND wait_event_type = 'Lock'})
	  or die 'the check does not wait';
	finish_psql($dropper, $end);
	my ($rc, $out, $err) = finish_psql($checker);
	like("$out$err", qr/^t$|ERROR:  table "alembic_version" was dropped by another session/m,
		'a check beside DROP TABLE answers, whatever comes after it');
}
$node->safe_psql('postgres',
	'CREATE TABLE alembic_version (LIKE kept INCLUDING ALL);
	 INSERT INTO alembic_version TABLE kept; DROP TABLE kept');

is($node->safe_psql('postgres',
		'SELECT count(*) FROM syncmaster_create_indexes()'),
	'7', 'the next try succeeds');

# ---------------------------------------------------------------------------
# A service has one table, and then wants one that comes before it: both get through,
# as the migration gives back what it has when it cannot have the rest.  A service that
# has waited for deadlock_timeout before would not look for the deadlock again.

sub begin_deadlock
{
	my ($sql, $kept) = @_;
	my $service = start_psql($node, 'postgres',
		'BEGIN; SELECT count(*) FROM "group";', name => 'service', hold => 1);
	my $migration = start_psql($node, 'postgres', $sql, name => 'migration');

	$node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_stat_activity a JOIN pg_locks l USING (pid)
		WHERE application_name = 'migration' AND NOT granted AND relation = '"group"'::regclass
		AND clock_timestamp() - query_start > 2 * current_setting('deadlock_timeout')::interval
		AND (SELECT count(*) FROM pg_locks k WHERE k.pid = a.pid AND k.granted
			AND k.relation = 'connection'::regclass) = } . ($kept // 0))
	  or die 'the migration does not wait, or not with what it may have locked';
	return ($service, $migration);
}

foreach my $sql (q{SELECT syncmaster_downgrade('0011');}, q{SELECT syncmaster_upgrade('head');},
	q{SELECT syncmaster_set_owner('other');})
{
	$node->safe_psql('postgres', 'CREATE ROLE other; GRANT USAGE, CREATE ON SCHEMA public TO other')
	  if $sql =~ /set_owner/;
	my ($service, $migration) = begin_deadlock($sql);
	my ($rc, $out, $err) = finish_psql($service, 'SELECT count(*) FROM connection; COMMIT;');
	is($err, '', "no deadlock, $sql the service goes on");
	($rc, $out, $err) = finish_psql($migration);
	is($rc, 0, "no deadlock, $sql the migration as well") or diag($err);
}

# What the transaction had locked before is not given back: it is the migration that ends.
$node->safe_psql('postgres', q{SELECT syncmaster_downgrade('0011')});
my ($service, $migration) = begin_deadlock(
	q{BEGIN; LOCK TABLE connection; SELECT syncmaster_upgrade('head');}, 1);
my ($rc, $out, $err) = finish_psql($service, 'SELECT count(*) FROM connection; COMMIT;');
is($err, '', 'a deadlock with an earlier lock: the service goes on');
($rc, $out, $err) = finish_psql($migration);
like($err, qr/ERROR:  could not lock table "group" without a deadlock\nDETAIL:  .*\nHINT:  Nothing was changed\. Run the command again/,
	'a deadlock with an earlier lock: the migration gives up');
is($node->safe_psql('postgres', q{SELECT syncmaster_upgrade('head')}), '0013', '... and the next try succeeds');

# To look at a search vector may mean to wait; the lock is given back after it.
my @holders = map { start_psql($node, 'postgres', "BEGIN; LOCK TABLE $_;", name => $_, hold => 1) }
  qw(connection transfer);
$migration = start_psql($node, 'postgres', q{SELECT syncmaster_upgrade('head');}, name => 'migration');
foreach my $table (qw(connection transfer))
{
	$node->poll_query_until('postgres', qq{
		SELECT array_agg(relation::regclass::text || granted) = '{${table}false}' FROM pg_locks
		WHERE relation IN ('connection'::regclass, 'transfer'::regclass) AND pid =
			(SELECT pid FROM pg_stat_activity WHERE application_name = 'migration')})
	  or die "does not wait for $table alone";
	finish_psql(shift @holders, 'COMMIT;');
}
($rc, $out, $err) = finish_psql($migration);
like($out, qr{^0013$}m, 'a look at search vectors waits for one after the other');
unlike($err, qr/own a lock/, '... and gives back what it has');

# Whoever has a table of a later step, or of an extra index, stops the upgrade before it
# writes anything anew.
$node->safe_psql('postgres', q{
	SELECT count(*) FROM syncmaster_drop_indexes(); SELECT syncmaster_downgrade('0011')});
my $writer = start_psql($node, 'postgres', q{BEGIN; LOCK TABLE "user" IN ROW EXCLUSIVE MODE;},
	name => 'writer', hold => 1);
my $progress = 'SET syncmaster.progress = on; SET client_min_messages = info; ';
foreach my $command (
	q{SELECT syncmaster_upgrade('head')},
	'ALTER EXTENSION syncmaster UPDATE',
	q{ALTER EXTENSION syncmaster UPDATE TO '1.13'},
	'BEGIN; DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster; COMMIT')
{
	($rc, $out, $err) = $node->psql('postgres', "$progress SET syncmaster.lock_timeout = '200ms'; $command");
	like($err, qr/ERROR:  could not lock table "user" within 200 ms/, "$command: refused for a writer of a later table");
	unlike($err, qr/alter table/, '... before the first step');
}
# What no step needs up to the target is not waited for.
($rc, $out, $err) = $node->psql('postgres',
	qq{BEGIN; SET syncmaster.lock_timeout = '200ms'; ALTER EXTENSION syncmaster UPDATE TO '1.12'; ROLLBACK});
is($rc, 0, '... but not where the command ends before') or diag($err);
finish_psql($writer, 'COMMIT;');
($rc, $out, $err) = $node->psql('postgres', "$progress SELECT syncmaster_upgrade('head')");
like($err, qr/alter table/, 'a step that is run is told');

# A process that had to stand still finds two reasons at once for the end of its wait, of
# which the server reports that of the lock; the migration must not go on.
my $holder = start_psql($node, 'postgres', 'BEGIN; SELECT count(*) FROM queue;', name => 'holder', hold => 1);
$migration = start_psql($node, 'postgres',
	q{SET statement_timeout = '6s'; SELECT syncmaster_downgrade('0011');}, name => 'migration');
$node->poll_query_until('postgres', q{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE application_name = 'migration' AND wait_event_type = 'Lock'}) or die 'does not wait';
$pid = pid_of('migration');
kill 'STOP', $pid;
$node->poll_query_until('postgres', qq{
	SELECT clock_timestamp() - query_start > '6.5s' FROM pg_stat_activity WHERE pid = $pid})
  or die 'no time passes';
kill 'CONT', $pid;
($rc, $out, $err) = finish_psql($migration);
like($err, qr/ERROR:  canceling statement due to statement timeout/, 'a statement timeout in a wait: heeded');
finish_psql($holder, 'COMMIT;');

# A limit that a function sets for itself has not begun to run, although the one of an
# earlier statement is over.
$node->safe_psql('postgres', q{
	CREATE FUNCTION down() RETURNS text LANGUAGE sql SET statement_timeout = '1h'
		AS $$ SELECT syncmaster_downgrade('0011') $$});
($service, $migration) = begin_deadlock(
	q{SET statement_timeout = '1s'; SELECT 1; RESET statement_timeout; SELECT pg_sleep(1.1); SELECT down();});
finish_psql($service, 'COMMIT;');
($rc, $out, $err) = finish_psql($migration);
is($rc, 0, 'a function may set statement_timeout') or diag($err);
is($node->safe_psql('postgres', q{SELECT syncmaster_upgrade('head')}), '0013', '... and what it has moved can be moved back');

$node->stop;
done_testing();
