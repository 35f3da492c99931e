# Retention while the services run: a purge commits its batches one by one, can
# be ended anywhere and goes on, waits for nobody, never takes a run that became
# active, and gives no rights to the owner of the tables.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use IPC::Run;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('purge');
create_roles($node);
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub query { return $node->safe_psql(@_); }

# A database whose tables are of role app, with 1,000 old runs of ten transfers
# and ten young ones.
sub prepare
{
	my ($db) = @_;
	create_database($node, $db);
	query($db, q{
		CREATE EXTENSION syncmaster;
		SELECT syncmaster_set_owner('app');
		INSERT INTO "user" (username, is_superuser, is_active)
			VALUES ('u', false, true);
		INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
		INSERT INTO queue (name, slug, group_id, description)
			VALUES ('q', 'q', 1, '');
		INSERT INTO connection (group_id, type, name, description, data)
			VALUES (1, 'postgres', 'c', '', '{}');
		INSERT INTO transfer (group_id, name, description,
				source_connection_id, target_connection_id, strategy_params,
				source_params, target_params, transformations, resources,
				is_scheduled, schedule, queue_id)
			SELECT 1, 'transfer ' || i, '', 1, 1, '{}', '{}', '{}', '[]', '{}',
				false, '', 1
			FROM generate_series(1, 10) i;
		INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
			SELECT 1 + i % 10, 'FINISHED', 'MANUAL', '{}',
				now() - CASE WHEN i <= 1000 THEN interval '1 year'
						ELSE '1 hour' END
			FROM generate_series(1, 1010) i;
	});
	return;
}

# Start a session in a database, and leave it running.
sub start
{
	my ($db, $sql) = @_;
	return start_psql($node, $db, "\\set VERBOSITY verbose\n$sql;");
}

my $purging = q{query LIKE 'CALL syncmaster_purge%'
	OR query LIKE 'syncmaster_purge_runs()%'};

# ---------------------------------------------------------------------------
# Ended in the middle

prepare('middle');
query('middle', q{
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_catalog.pg_sleep(600);
		RETURN OLD;
	END $$;
	CREATE TRIGGER wait BEFORE DELETE ON run FOR EACH ROW
		WHEN (OLD.id = 555) EXECUTE FUNCTION wait();
});
my $purge = start('middle',
	"CALL syncmaster_purge_runs(interval '90 days', batch_size => 50);");
ok($node->poll_query_until('middle',
		"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE $purging"),
	'the purge is in its twelfth batch');
is(query('middle', 'SELECT count(*), min(id) FROM run'),
	'460|551', 'eleven batches are committed, which others see');
is( query('middle', qq{
		SELECT query FROM pg_stat_activity WHERE $purging}),
	'syncmaster_purge_runs(): table run, about 54 % done, 550 rows deleted',
	'pg_stat_activity tells how far it is');
is( query('middle', qq{
		SELECT string_agg(DISTINCT mode, ' ' ORDER BY mode)
		FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE locktype = 'relation' AND ($purging)}),
	'AccessShareLock RowExclusiveLock RowShareLock',
	'no lock on any relation is above ROW EXCLUSIVE');
is( query('middle', qq{
		SELECT xact_start > backend_start AND xact_start > query_start,
			(SELECT count(*) FROM pg_locks WHERE locktype = 'relation'
			 AND relation = 'run'::regclass AND mode = 'RowExclusiveLock')
		FROM pg_stat_activity WHERE $purging}),
	't|1',
	'the transaction is younger than the command');
query('middle', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump)
		VALUES (1, 'CREATED', 'MANUAL', '{}');
	UPDATE run SET status = 'STARTED' WHERE id = 700;
	UPDATE run SET log_url = 'x' WHERE id = 1005;});
is( query('middle', q{
		SELECT count(*) FROM run WHERE status = 'CREATED'
			OR id = 700 AND status = 'STARTED' OR id = 1005 AND log_url = 'x'}),
	'3', 'the services read and write meanwhile');
query('middle',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $purging");
finish_psql($purge);
like($purge->{err}, qr/ERROR:  57014: canceling statement due to user request/,
	'it can be cancelled');
like($purge->{err},
	qr/purge of table "run", 550 rows deleted in committed batches/,
	'and tells what was committed');
like($purge->{err}, qr/HINT:  Run the command again to go on\./, 'and what to do');
is(query('middle', 'SELECT count(*) FROM run WHERE id <= 1010'),
	'460', 'the batch that was cancelled is as it was');
query('middle', 'DROP TRIGGER wait ON run');
is(query('middle', "CALL syncmaster_purge_runs(interval '90 days')"),
	'449', 'the next call goes on');

# The time of the transaction that calls decides, to the microsecond.
is( query('middle', q{
		DO $$ DECLARE n bigint; BEGIN
			INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
				SELECT 1, 'FINISHED', 'MANUAL', '{}',
					now() - interval '90 days' - i * interval '1 microsecond'
				FROM generate_series(-1, 1) i;
			CALL syncmaster_purge_runs(interval '90 days', deleted => n);
		END $$;
		SELECT count(*) FROM run WHERE status = 'FINISHED' AND created_at < now() - interval '80 days';
		DELETE FROM run WHERE status = 'FINISHED' AND created_at < now() - interval '80 days'}),
	'2', 'a run exactly as old as that stays');
is( query('middle', q{
		SELECT string_agg(status, ' ' ORDER BY id) FROM run
		WHERE id <= 1000 OR id > 1010}),
	'STARTED CREATED',
	'what became active meanwhile stayed');

# ---------------------------------------------------------------------------
# Rows and tables that others hold

prepare('held');
my $holder = start('held', q{
	BEGIN;
	UPDATE run SET status = 'STARTED' WHERE id = 500;
	SELECT id FROM run WHERE id = 501 FOR UPDATE;
	SELECT pg_sleep(600);
});
ok($node->poll_query_until('held',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
	'a session holds two runs');
my ($rc, $out, $err) = $node->psql('held',
	"CALL syncmaster_purge_runs(interval '90 days', 1)");
is("$rc $out", '0 998', 'a purge passes them by');
like($err,
	qr/Rows that other sessions had locked or changed were passed by\. The next call tries/,
	'and says so');
query('held', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);
is(query('held', "CALL syncmaster_purge_runs(interval '90 days')"),
	'2', 'the next call takes them when they are free');

$holder = start('held', q{
	BEGIN;
	SET application_name = 'reindexer';
	LOCK TABLE run IN SHARE MODE;
	SELECT pg_sleep(600);
});
ok($node->poll_query_until('held',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
	'a session holds the table');
($rc, $out, $err) = $node->psql('held', q{
	SET syncmaster.lock_timeout = '200ms';
	CALL syncmaster_purge_runs(interval '90 days');});
like($err, qr/could not lock table "run" within 200 ms/,
	'a purge waits for a table no longer than it may');
like($err, qr/application "reindexer"/, 'and names who holds it');
query('held', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);

# ---------------------------------------------------------------------------
# Changes between the moment when a batch is read and that when it is deleted:
# a trigger waits in between.

sub pause_purges
{
	my ($db) = @_;
	prepare($db);
	query($db, q{
		CREATE SCHEMA pause AUTHORIZATION app;
		SET ROLE app;
		CREATE FUNCTION pause.wait() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			WHILE pg_catalog.current_query() LIKE 'CALL%'
				AND NOT pg_catalog.pg_try_advisory_xact_lock(1) LOOP
				PERFORM pg_catalog.pg_sleep(0.01);
			END LOOP;
			RETURN NULL;
		END $$;
		CREATE TRIGGER pause BEFORE DELETE ON run
			FOR EACH STATEMENT EXECUTE FUNCTION pause.wait();});
	return;
}

# Start a purge that keeps the last run of each transfer, and change runs when it
# has read all of them; returns what it says.
sub purge_while
{
	my ($db, $sql) = @_;
	my $lock = start($db, q{
		SELECT pg_advisory_lock(1);
		SELECT pg_sleep(600);});
	$node->poll_query_until($db,
		"SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory'")
	  or die 'the lock is not held';
	my $session = start($db, "CALL syncmaster_purge_runs('90 days', 1)");
	ok($node->poll_query_until($db,
			"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE $purging"),
		"$db: a purge has read its batch");
	$sql->();
	query($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE wait_event = 'PgSleep' AND query LIKE '%pg_sleep(600)%'});
	finish_psql($lock);
	finish_psql($session);
	return $session;
}

pause_purges('between');
query('between', 'VACUUM run');
$purge = purge_while('between', sub {
	query('between', q{
		UPDATE run SET status = 'STARTED' WHERE id = 11;
		UPDATE run SET type = 'SCHEDULED' WHERE id = 12;
		UPDATE run SET log_url = 'x' WHERE id = 13;
		DELETE FROM run WHERE id BETWEEN 14 AND 20;});
	query('between', 'VACUUM run');
	query('between', q{
		INSERT INTO run (id, transfer_id, status, type, transfer_dump, created_at)
			SELECT 2000 + i, 1, 'FINISHED', 'MANUAL', '{}',
				now() - interval '1 year'
			FROM generate_series(1, 100) i});
});
like($purge->{err},
	qr/deleted 992 rows .*had locked or changed were passed by\. The next call tries/s,
	'it deletes what is still old and not active, and says so');
is( query('between', q{
		SELECT string_agg(id || ' ' || status, ', ' ORDER BY id)
		FROM run WHERE id <= 1000}),
	'11 STARTED', 'a run that became active meanwhile stays');
is(query('between', 'SELECT count(*) FROM run WHERE id > 2000'),
	'100', 'so do those that were not there yet');
is(query('between', "CALL syncmaster_purge_runs(interval '90 days', 1)"),
	'100', 'the next call takes what is old');

pause_purges('locked');
$holder = undef;
$purge = purge_while('locked', sub {
	$holder = start('locked', q{
		BEGIN;
		UPDATE run SET status = 'STARTED' WHERE id = 500;
		SELECT id FROM run WHERE id = 501 FOR KEY SHARE;
		UPDATE run SET type = 'SCHEDULED' WHERE id = 502;
		SELECT pg_advisory_lock(2);
		SELECT pg_sleep(601);});
	$node->poll_query_until('locked', q{
		SELECT count(*) = 1 FROM pg_locks
		WHERE locktype = 'advisory' AND objid = 2}) or die 'runs are not held';
});
is(query('locked', 'SELECT count(*) FROM run WHERE id <= 1000'),
	'3', 'runs that were locked meanwhile stay');
like($purge->{err}, qr/deleted 997 rows .*had locked or changed were passed by/s,
	'and the purge says so');
query('locked', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);

# The second attempt may wait as long as syncmaster.lock_timeout says, not only
# as long as the first: it waits here for somebody who waits for longer
prepare('patient');
query('patient', q{
	CREATE SEQUENCE attempts;
	GRANT ALL ON attempts TO app;
	GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF pg_catalog.current_query() LIKE 'CALL%'
			AND pg_catalog.nextval('public.attempts') = 2 THEN
			PERFORM pg_catalog.pg_advisory_xact_lock(1);
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER wait BEFORE DELETE ON run FOR EACH STATEMENT
		EXECUTE FUNCTION wait();});
$holder = start('patient', q{
	BEGIN;
	SELECT pg_advisory_lock(1);
	SELECT id FROM run WHERE id = 1 FOR UPDATE;
	SELECT pg_sleep(600);});
$node->poll_query_until('patient',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
  or die 'the run is not held';
$purge = start('patient', "CALL syncmaster_purge_runs(interval '90 days')");
ok($node->poll_query_until('patient',
		"SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE $purging"),
	'the second attempt waits');
query('patient', 'SELECT pg_sleep(0.3)');
query('patient', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()});
finish_psql($holder);
finish_psql($purge);
like($purge->{err}, qr/deleted (999|1000) rows/, 'as long as it may');
is(query('patient', 'SELECT last_value FROM attempts'), '2', 'there is no third');

# What others had, or what was not to go when the batch was deleted, was not kept by the
# trigger that keeps another row
prepare('let_go');
query('let_go', q{
	CREATE SCHEMA pause AUTHORIZATION app;
	UPDATE run SET status = 'STARTED' WHERE id = 502;
	SET ROLE app;
	CREATE FUNCTION pause.wait() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_catalog.pg_advisory_xact_lock(1);
		RETURN NULL;
	END $$;
	CREATE TRIGGER pause AFTER DELETE ON run FOR EACH STATEMENT EXECUTE FUNCTION pause.wait();
	CREATE FUNCTION pause.keep() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RETURN CASE WHEN OLD.id <> 4 THEN OLD END; END';
	CREATE TRIGGER keep BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION pause.keep();});
$holder = start_psql($node, 'let_go', q{
	BEGIN;
	SELECT pg_advisory_xact_lock(1);}, hold => 1);
my $writer = start_psql($node, 'let_go', q{
	BEGIN;
	SELECT FROM run WHERE id IN (500, 501) FOR UPDATE;}, hold => 1);
$purge = start('let_go', "CALL syncmaster_purge_runs(interval '90 days')");
ok($node->poll_query_until('let_go',
		"SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE $purging"),
	'a purge has passed by what others had');
finish_psql($writer, 'COMMIT;');
query('let_go', q{UPDATE run SET status = 'FINISHED' WHERE id = 502});
finish_psql($holder, 'COMMIT;');
finish_psql($purge);
like($purge->{err}, qr/ 1 old row of table "run" cannot be deleted\n(?:[A-Z]+: .*\n)*?DETAIL:  id 4: kept by trigger "keep"/,
	'the trigger is said to keep what it keeps, and nothing else');
like($purge->{err}, qr/had locked or changed were passed by/, 'the others were passed by');
is(query('let_go', 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM run WHERE id <= 1000'), '4 500 501 502',
	'and are still there');
query('let_go', q{
	DROP TRIGGER pause ON run;
	CREATE TABLE label (run_id bigint PRIMARY KEY REFERENCES run ON DELETE CASCADE);
	INSERT INTO label VALUES (500), (501);});
$writer = start_psql($node, 'let_go', q{
	BEGIN;
	SELECT FROM label WHERE run_id = 500 FOR UPDATE;}, hold => 1);
($rc, $out, $err) = $node->psql('let_go', q{
	SET syncmaster.lock_timeout = '200ms';
	CALL syncmaster_purge_runs(interval '90 days')});
finish_psql($writer, 'COMMIT;');
like($err, qr/ 1 old row of table "run" cannot be deleted\n(?:[A-Z]+: .*\n)*?DETAIL:  id 4: kept by trigger "keep"/,
	'nor does the trigger keep a row whose label is locked');
like($err, qr/had locked or changed were passed by/, 'which is passed by');
is(query('let_go', 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM run WHERE id <= 1000'), '4 500',
	'and the others go');

# A service that has the label waits for its run, which the purge has locked.
query('let_go', 'CREATE TRIGGER pause BEFORE DELETE ON run FOR EACH STATEMENT EXECUTE FUNCTION pause.wait()');
$holder = start_psql($node, 'let_go', q{
	BEGIN;
	SELECT pg_advisory_xact_lock(1);}, hold => 1);
$writer = begin_session($node, 'let_go', undef, q{SET deadlock_timeout = '1h';
	BEGIN; SELECT FROM label WHERE run_id = 500 FOR UPDATE;});
$purge = start('let_go', q{
	SET deadlock_timeout = '1h'; SET statement_timeout = '30s'; SET syncmaster.lock_timeout = 0;
	CALL syncmaster_purge_runs(interval '90 days');
	SHOW deadlock_timeout});
ok($node->poll_query_until('let_go',
		"SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE $purging"),
	'a purge has locked runs');
in_session($writer, q{UPDATE run SET created_at = now() WHERE id = 500; COMMIT;}, nowait => 1);
ok($node->poll_query_until('let_go', q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE query LIKE 'UPDATE run%' AND wait_event_type = 'Lock'}),
	'a service waits for one');
finish_psql($holder, 'COMMIT;');
finish_psql($purge);
is($purge->{out}, "0\n1h\n", 'the purge gives way in a deadlock, and leaves deadlock_timeout alone');
wait_for_session($writer);
is(end_session($writer), '', 'and the service goes on');

# A row that waits for others because of what goes along with it
prepare('waiting');
query('waiting', q{
	CREATE TABLE label (run_id bigint PRIMARY KEY REFERENCES run ON DELETE CASCADE);
	INSERT INTO label SELECT id FROM run;});
$holder = start('waiting', q{
	BEGIN;
	SELECT run_id FROM label WHERE run_id IN (7, 500) FOR UPDATE;
	SELECT pg_sleep(600);});
$node->poll_query_until('waiting',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
  or die 'labels are not held';
($rc, $out, $err) = $node->psql('waiting', q{
	SET syncmaster.lock_timeout = '200ms';
	CALL syncmaster_purge_runs(interval '90 days')});
is("$rc $out", '0 998', 'a run of which a label is locked is passed by');
like($err, qr/passed by.*went along with those of table "run": public\.label \(998\)/s,
	'which is said, with the labels that went');
query('waiting', 'UPDATE run SET created_at = created_at');
query('waiting', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		SELECT 1, 'FINISHED', 'MANUAL', '{}', now() - interval '1 year'
		FROM generate_series(1, 200) i;
	INSERT INTO label SELECT id FROM run ON CONFLICT DO NOTHING;});
query('waiting', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);
$holder = start('waiting', q{
	BEGIN;
	LOCK TABLE label IN SHARE MODE;
	SELECT pg_sleep(600);});
$node->poll_query_until('waiting',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
  or die 'labels are not held';
($rc, $out, $err) = $node->psql('waiting', q{
	SET syncmaster.lock_timeout = '200ms';
	CALL syncmaster_purge_runs(interval '90 days')});
like($err, qr/ERROR:  canceling statement due to lock timeout/,
	'a purge gives up where all labels are locked');
query('waiting', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);

# What the table has for rows that go
prepare('children');
query('children', q{
	CREATE TABLE label (run_id bigint REFERENCES run ON DELETE CASCADE);
	INSERT INTO label SELECT id FROM run;});
is(query('children', "CALL syncmaster_purge_runs(interval '90 days', 1, 70)"),
	'1000', 'runs with children are purged');
is(query('children', 'SELECT count(*) FROM label'), '10', 'the children go along');

# Since 18, a foreign key may be declared and do nothing.
if (query('children', 'SHOW server_version_num') >= 180000)
{
	prepare('declared');
	query('declared', q{
		CREATE TABLE label (run_id bigint REFERENCES run ON DELETE CASCADE NOT ENFORCED);
		CREATE TABLE hold (run_id bigint REFERENCES run NOT ENFORCED);
		INSERT INTO label SELECT id FROM run; INSERT INTO hold SELECT id FROM run});
	(undef, undef, $err) = $node->psql('declared', "CALL syncmaster_purge_runs(interval '90 days', dry_run => true)");
	unlike($err, qr/label|hold/, 'foreign keys that do nothing are not told');
	is(query('declared', "CALL syncmaster_purge_runs(interval '90 days', 1)"), '1000', 'and do nothing');
	is(query('declared', q{SELECT severity, problem FROM syncmaster_check() WHERE object_name = 'public.hold.hold_run_id_fkey'}),
		'info|refers to table "run"', 'check does not say that one holds rows');
}

# Values that are stored elsewhere go with their row, also from subscribers
prepare('large');
query('large', q{
	ALTER TABLE run ALTER transfer_dump SET STORAGE EXTERNAL;
	UPDATE run SET transfer_dump = to_json(repeat('x', 10000)) WHERE id <= 100;
	CREATE TABLE toast AS SELECT reltoastrelid::regclass::text AS name
		FROM pg_class WHERE oid = 'run'::regclass;});
my $toast = query('large', 'SELECT name FROM toast');
isnt(query('large', "SELECT count(*) FROM $toast"), '0', 'runs have large values');
is(query('large', "CALL syncmaster_purge_runs(interval '90 days', 1)"),
	'1000', 'they are purged');
is(query('large', "SELECT count(*) FROM $toast"), '0', 'with their values');
query('large', q{
	UPDATE run SET created_at = now() - interval '1 year' WHERE id <= 1005;
	CREATE PUBLICATION p FOR TABLE run;
	ALTER TABLE run REPLICA IDENTITY NOTHING;});
($rc, $out, $err) = $node->psql('large', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump)
		SELECT id, 'FINISHED', 'MANUAL', '{}' FROM transfer;
	CALL syncmaster_purge_runs(interval '90 days', 1)});
like($err, qr/cannot delete from table "run" because it does not have a replica identity and publishes deletes/,
	'rows that a subscriber could not find are not deleted');

# ---------------------------------------------------------------------------
# Tables that are not as SyncMaster makes them

prepare($_) foreach qw(no_key no_right generated collated);
query('no_key', 'ALTER TABLE run DROP CONSTRAINT pk__run CASCADE');
($rc, $out, $err) = $node->psql('no_key', "CALL syncmaster_purge_runs(interval '90 days')");
like($err,
	qr/ERROR:  table "public\.run" has no unique index on column "id"\nHINT:  Run SELECT syncmaster_repair\(false\) to put the primary key back, and run the command again\./,
	'an id that may be several rows\' is refused');
query('no_key', 'SELECT syncmaster_repair(false)');
query('no_key', "CALL syncmaster_purge_runs(interval '90 days')");
is(query('no_key', 'SELECT count(*) FROM run'), '10', 'and not after a repair');

query('no_right', 'REVOKE DELETE ON run FROM app');
($rc, $out, $err) = $node->psql('no_right', "CALL syncmaster_purge_runs(interval '90 days')");
like($err, qr/permission denied for table run/, 'an owner without the right deletes nothing');
is(query('no_right', 'SELECT count(*) FROM run'), '1010', 'not a row');

# Read as SQL reads it: a generated column (virtual ones are not stored), and
# a status that is equal to another one
my $version = query('postgres', 'SHOW server_version_num');
my $kind = $version >= 180000 ? 'VIRTUAL' : 'STORED';
query('generated', qq{
	ALTER TABLE run RENAME status TO state;
	ALTER TABLE run ADD status varchar GENERATED ALWAYS AS (upper(state)) $kind;});
query('generated', "CALL syncmaster_purge_runs(interval '90 days')");
is(query('generated', 'SELECT count(*) FROM run'), '10', 'old runs of a generated status go');
query('collated', q{
	CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	ALTER TABLE run ALTER status TYPE varchar COLLATE ci;
	UPDATE run SET status = 'started' WHERE id <= 5;});
query('collated', "CALL syncmaster_purge_runs(interval '90 days')");
is(query('collated', 'SELECT count(*) FROM run WHERE id <= 5'), '5',
	'an active status is one, however it is written');

# ---------------------------------------------------------------------------
# Runs that are started anew in short transactions all the time

prepare('busy');
query('busy', q{
	CREATE TABLE restarted (id bigint);
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		SELECT 1 + i % 10, 'FAILED', 'MANUAL', '{}', now() - interval '1 year'
		FROM generate_series(1, 4000) i;
});
my @services = map {
	start('busy', qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. 400 LOOP
				WITH one AS (
					UPDATE run SET status = 'STARTED'
					WHERE id = ($_ + i * 7919) % 5000 + 1
						AND id NOT BETWEEN 1001 AND 1010 RETURNING id)
				INSERT INTO restarted SELECT id FROM one;
				PERFORM pg_sleep(0.002);
				COMMIT;
			END LOOP;
		END \$\$})
} 1, 2;
ok($node->poll_query_until('busy', 'SELECT count(*) > 20 FROM restarted'),
	'services work');
($rc, $out, $err) = $node->psql('busy',
	"CALL syncmaster_purge_runs(interval '90 days', 1, 40)");
is($rc, 0, 'a purge meanwhile succeeds') or diag $err;
finish_psql($_) foreach @services;
is($_->{err}, '', 'a service meets no error') foreach @services;
is( query('busy', q{
		SELECT count(*) FROM restarted s
		WHERE NOT EXISTS (SELECT FROM run r WHERE r.id = s.id)}),
	'0', 'no run that was started anew is deleted');
query('busy', "CALL syncmaster_purge_runs(interval '90 days')");
is( query('busy', q{
		SELECT count(*) FROM run WHERE id NOT IN (SELECT id FROM restarted)}),
	'10', 'all other old ones are in the end');

# Two purges of the same table at once
query('busy', q{UPDATE run SET status = 'STOPPED'});
query('busy', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		SELECT 1 + i % 10, 'FAILED', 'MANUAL', '{}', now() - interval '1 year'
		FROM generate_series(1, 4000) i});
my @purges = map {
	start('busy',
		"CALL syncmaster_purge_runs(interval '90 days', 3, 25);")
} 1 .. 2;
finish_psql($_) foreach @purges;
unlike($_->{err}, qr/ERROR/, 'purges do not hinder each other') foreach @purges;
query('busy', "CALL syncmaster_purge_runs(interval '90 days', 3)");
is( query('busy', q{
		SELECT min(n), max(n) FROM (SELECT count(*) AS n FROM run
			GROUP BY transfer_id) c}),
	'3|3', 'and leave the last runs of each transfer');

# ---------------------------------------------------------------------------
# Code that the owner of the tables planted

prepare('planted');
query('planted', q{
	GRANT CREATE ON DATABASE planted TO app;
	SET ROLE app;
	CREATE SCHEMA evil;
	CREATE TABLE evil.ran (what text, who text, gained text);
	CREATE FUNCTION evil.fire() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		attempt text;
		gained text := '';
	BEGIN
		FOREACH attempt IN ARRAY ARRAY['ALTER ROLE app SUPERUSER', 'RESET ROLE',
			'SET SESSION AUTHORIZATION DEFAULT', 'COMMIT',
			'COPY (SELECT 1) TO PROGRAM ''true''', 'CREATE TEMP TABLE t ()',
			'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'LISTEN evil']
		LOOP
			BEGIN
				EXECUTE attempt;
				gained := gained || attempt;
			EXCEPTION WHEN OTHERS THEN
				NULL;
			END;
		END LOOP;
		PERFORM pg_catalog.set_config('search_path', 'evil', false),
			pg_catalog.set_config('default_transaction_isolation', 'serializable', false),
			pg_catalog.set_config('evil.here', 'yes', false);
		INSERT INTO evil.ran VALUES (TG_ARGV[0], current_user, gained);
		RETURN OLD;
	END $$;
	CREATE TRIGGER a BEFORE DELETE ON run FOR EACH ROW
		WHEN (OLD.id % 100 = 0) EXECUTE FUNCTION evil.fire('row');
	CREATE TRIGGER b AFTER DELETE ON run
		FOR EACH STATEMENT EXECUTE FUNCTION evil.fire('statement');
	CREATE CONSTRAINT TRIGGER c AFTER DELETE ON run
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (OLD.id % 100 = 0) EXECUTE FUNCTION evil.fire('deferred');
	CREATE FUNCTION evil.less(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO evil.ran VALUES ('operator', current_user, '');
		RETURN true;
	END $$;
	CREATE OPERATOR public.>= (PROCEDURE = evil.less,
		LEFTARG = bigint, RIGHTARG = bigint);
	CREATE FUNCTION evil.policy() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO evil.ran VALUES ('policy', current_user, '');
		RETURN true;
	END $$;
	ALTER TABLE run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY p ON run USING (evil.policy());
});
($rc, $out, $err) = $node->psql('planted',
	"CALL syncmaster_purge_runs(interval '90 days', 1, 300)");
like($err, qr/query would be affected by row-level security policy for table "run"/,
	'no policy hides rows from a purge');
query('planted', 'ALTER TABLE run NO FORCE ROW LEVEL SECURITY');
($rc, $out, $err) = $node->psql('planted', q{
	SET client_min_messages = warning;
	SELECT set_config('search_path', 'public', false) <> '';
	CALL syncmaster_purge_runs(interval '90 days', 1, 300);
	SELECT current_user, current_setting('search_path'),
		current_setting('default_transaction_isolation'),
		coalesce(current_setting('evil.here', true), '') = '';
	SELECT count(*) FROM pg_listening_channels();});
is("$rc $out", "0 t\n1000\n$superuser|public|read committed|t\n0",
	'a superuser purges, and keeps the session as it was') or diag $err;
is( query('planted', q{
		SELECT string_agg(DISTINCT what || ' as ' || who || gained, ', ')
		FROM evil.ran}),
	'deferred as app, row as app, statement as app',
	'what was planted runs as its owner and gains nothing');
is( query('planted', 'SELECT string_agg(rolname, NULL) FROM pg_roles WHERE rolsuper'),
	$superuser, 'there is no new superuser');

# a rule that keeps rows must not keep the purge
query('planted', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		SELECT 1, 'FINISHED', 'MANUAL', '{}', now() - interval '1 year'
		FROM generate_series(1, 100);
	CREATE RULE r AS ON DELETE TO run DO INSTEAD NOTHING});
is(query('planted', "CALL syncmaster_purge_runs(interval '90 days', 0, 10)"),
	'0', 'a rule keeps rows, and the purge ends');

# ---------------------------------------------------------------------------
# Distributed by Citus, as far as a table of its catalogue that knows run, and
# the statements that the server sees, can tell without it

prepare('distributed');
query('distributed', q{
	ALTER TABLE run DROP CONSTRAINT pk__run,
		ADD CONSTRAINT pk__run PRIMARY KEY (id, transfer_id)});
($rc, $out, $err) = $node->psql('distributed', "CALL syncmaster_purge_runs(interval '90 days')");
like($err, qr/has no unique index on column "id"/,
	'a key (id, transfer_id) is refused where run is an ordinary table');
my $key = q{SELECT severity, problem, fix IS NULL FROM syncmaster_check()
	WHERE object_name = 'run.pk__run'};
is(query('distributed', $key), 'error|is another one|f', 'check tells of it');
query('distributed', q{
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('run');
	GRANT SELECT ON pg_catalog.pg_dist_partition TO app;});
is(query('distributed', $key),
	'info|has transfer_id as well, by which Citus distributes the table|t',
	'which is as it has to be where Citus distributes runs by their transfer');
query('distributed', 'ALTER TABLE run RENAME CONSTRAINT pk__run TO run_pkey');
my $constraints = q{SELECT severity, object_name, problem, fix FROM syncmaster_check()
	WHERE object_type = 'constraint'};
my $rename = 'ALTER TABLE public.run RENAME CONSTRAINT run_pkey TO pk__run';
is(query('distributed', $constraints),
	"info|run.pk__run|has transfer_id as well, by which Citus distributes the table|$rename",
	'under another name as well, which can be changed');
query('distributed', $rename);
$holder = start('distributed', q{
	BEGIN;
	SELECT id FROM run WHERE id IN (5, 9) FOR UPDATE;
	SELECT pg_sleep(600);});
$node->poll_query_until('distributed',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
  or die 'runs are not held';
query('postgres', 'ALTER DATABASE distributed SET session_preload_libraries = auto_explain');
my $offset = -s $node->logfile;
my $explained = q{SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;};
is(query('distributed', qq{UPDATE run SET status = 'STARTED' WHERE id = 1005; $explained
		SELECT action FROM syncmaster_end_runs('{1005}', dry_run => false)}),
	'ended', 'a run is ended');
($rc, $out, $err) = $node->psql('distributed', qq{$explained
	CALL syncmaster_purge_runs(interval '90 days', 3)});
is("$rc $out", '0 978', 'locked runs are passed by, one by one') or diag $err;
like($err, qr/20 old rows are among the last 3.*were passed by/s, 'as is said');
my $log = slurp_file($node->logfile, $offset);
like($log, qr/row_number\(\) OVER/, 'the last runs are found in a way that Citus knows');
like($log, qr/UPDATE ONLY public\.run/, 'and runs are ended');
unlike($log, qr/FOR (?:NO KEY )?UPDATE|ARRAY\(SELECT r\.created_at|SELECT unnest/,
	'nothing is asked for that Citus does not know');
query('distributed', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'});
finish_psql($holder);

# ---------------------------------------------------------------------------
# Not here

query('postgres', 'CREATE DATABASE worker TEMPLATE planted');
query('worker', q{
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_local_group (groupid int);
	INSERT INTO pg_catalog.pg_dist_local_group VALUES (1);});
($rc, $out, $err) = $node->psql('worker',
	"CALL syncmaster_purge_runs(interval '90 days')");
like($err, qr/cannot execute syncmaster_purge_runs\(\) on a Citus worker/,
	'a Citus worker refuses');

# ---------------------------------------------------------------------------
# By the clock: the lines of doc/retention.md, with every minute instead of
# every night

SKIP:
{
	my $sharedir = run_simple('pg_config', '--sharedir');
	skip 'pg_cron is not installed for this server', 4
	  unless -e "$sharedir/extension/pg_cron.control";

	my $doc = slurp_file("$FindBin::RealBin/../doc/retention.md");
	my ($lines) = $doc =~ /^```sql\n((?:SELECT cron\.schedule.*\n(?:  .*\n)*)+)```/m;
	my $count = () = $lines =~ /cron\.schedule\(/g;
	is($count, 2, 'the documentation has two lines for pg_cron');
	$lines =~ s/'\d+ \d+ \* \* \*'/'* * * * *'/g;

	prepare('clock');
	query('clock', q{
		INSERT INTO celery_taskmeta (id, task_id, date_done)
		SELECT i, i, now() - i * interval '100 days' FROM generate_series(0, 9) i});
	$node->append_conf('postgresql.conf', join "\n",
		"shared_preload_libraries = 'pg_cron'", "cron.database_name = 'clock'",
		"cron.host = '" . $node->host . "'", '');
	$node->restart;
	my ($setup) = $doc =~ /^```sql\n(CREATE EXTENSION pg_cron;\n.*?)```/ms;
	ok($setup, 'it says how to let the owner of the tables have jobs');
	$setup =~ s/etl_owner/app/g;
	query('clock', "$setup SET ROLE app; $lines");
	ok( $node->poll_query_until('clock', q{
			SELECT count(*) = 2 FROM cron.job_run_details
			WHERE status IN ('succeeded', 'failed')}),
		'pg_cron runs both');
	is( query('clock', q{
			SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM celery_taskmeta),
				(SELECT string_agg(DISTINCT status, ' ') FROM cron.job_run_details)}),
		'100|1|succeeded', 'old rows are gone, the last ten runs of each transfer are kept')
	  or diag query('clock', 'TABLE cron.job_run_details');
}

$node->stop;
done_testing();

sub run_simple
{
	my @command = @_;
	my $output = '';
	IPC::Run::run(\@command, '>', \$output) or die "could not run @command";
	chomp $output;
	return $output;
}
