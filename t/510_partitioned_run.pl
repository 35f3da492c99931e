# A run that a DBA has partitioned by ranges of its id: all works as on the
# ordinary table, partitions included, but a step that would change it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use FunctionCalls;
use FunctionTable;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('partitions');
create_roles($node);
create_database($node, 'source', 'app');
my $recipe = slurp_file("$FindBin::RealBin/../doc/retention.md");
my ($convert) = $recipe =~ /<!-- partition run -->\s*```sql\n(.*?)```/s or die 'no recipe';
my ($restore) = $recipe =~ /<!-- make run ordinary -->\s*```sql\n(.*?)```/s or die 'no way back';
s/10000000\b/100/g, s/11000000\b/200/g, s/12000000\b/300/g foreach $convert, $restore;

sub query { return $node->safe_psql(@_); }

sub errors_of
{
	my ($db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql");
	return $err;
}

# Wait until somebody waits for a lock on the table.
sub wait_for_lock
{
	my ($db, $table) = @_;
	$node->poll_query_until($db, qq{SELECT count(*) > 0 FROM pg_locks
		WHERE relation = '$table'::regclass AND NOT granted})
	  or die "nobody waits for $table";
	return;
}

# The tables are app's.  Of four transfers there are 240 old runs, in three
# partitions, and an empty partition for those to come.
query('source', q{ALTER SCHEMA public OWNER TO app; SET ROLE app;
	CREATE EXTENSION syncmaster VERSION '1.11'});
fill_tables($node, 'source');
query('source', qq{SET ROLE app;
	SELECT syncmaster_grant('worker', 'worker');
	DELETE FROM run;
	ALTER SEQUENCE run_id_seq RESTART;
	$convert
	CREATE TABLE run_p300 PARTITION OF run FOR VALUES FROM (300) TO (400);
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		SELECT 1 + i % 4, 'FINISHED', 'MANUAL', '{}',
			date_trunc('day', now()) - interval '1 year' + i * interval '1 day'
		FROM generate_series(1, 240) i});

sub new_database
{
	my ($db) = @_;
	query('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	return $db;
}

my $check = q{SELECT severity, object_type, object_name, problem FROM syncmaster_check()
	WHERE object_type <> 'extension'};
my $preflight = q{SELECT severity, subject, detail FROM syncmaster_preflight('head')};

# ---------------------------------------------------------------------------
# The schema

my $db = new_database('upgraded');
is(query($db, 'SELECT tableoid::regclass, count(*) FROM run GROUP BY 1 ORDER BY 1'),
	"run_p0|99\nrun_p100|100\nrun_p200|41", 'runs are in partitions');
is(query($db, $check), '', 'check finds nothing at 0011');
query($db, 'DROP INDEX ix_syncmaster__run_transfer_id_created_at');
unlike(query($db, $preflight), qr/^(?:error|warning)\|(?!session|transaction)/m,
	'nothing is in the way of an upgrade');
is( query($db, q{SELECT object_name, action, lock_mode, table_bytes > 0, beforehand
		FROM syncmaster_upgrade_plan('head') WHERE table_name LIKE 'run%'}),
	join("\n",
		'ix_syncmaster__run_transfer_id_created_at|create index|ShareLock|t|',
		map { "$_|partition of run|ShareLock|t|" } qw(run_p0 run_p100 run_p200 run_p300)),
	'the plan names the partitions, and builds nothing beforehand');
query($db, 'SET ROLE app; SELECT syncmaster_upgrade($$head$$)');
is(query($db, $check), '', 'check finds nothing at 0013');
is(query($db, q{SELECT syncmaster_downgrade('0011'); SELECT syncmaster_upgrade('head')}),
	"0011\n0013", 'down and up again');

# The extra index is one of many, and none is left.
my $indexes = q{SELECT count(*) FROM pg_index i WHERE i.indkey::text = (
	SELECT string_agg(attnum::text, ' ' ORDER BY attname DESC) FROM pg_attribute
	WHERE attrelid = 'run'::regclass AND attname IN ('transfer_id', 'created_at'))
	AND i.indisvalid};
is(query($db, $indexes), '5', 'the extra index has a part for each partition');
like(query($db, 'SELECT syncmaster_drop_indexes()'), qr/run_transfer_id_created_at/,
	'syncmaster_drop_indexes() drops it');
is(query($db, $indexes), '0', 'with all parts');
like(query($db, 'SELECT syncmaster_create_indexes()'), qr/run_transfer_id_created_at/,
	'syncmaster_create_indexes() builds it');
is(query($db, $indexes), '5', 'with all parts again');

# What a partition lacks, and what has been added to one.
query($db, q{DROP INDEX ix__run__status;
	CREATE INDEX ix__run__status ON ONLY run (status);
	CREATE UNIQUE INDEX single ON run_p200 (transfer_id, id);
	CREATE TABLE note (run_id bigint REFERENCES run_p100);
	CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER stay BEFORE DELETE ON run_p200 FOR EACH ROW EXECUTE FUNCTION stay();
	CREATE TRIGGER everywhere AFTER DELETE ON run FOR EACH ROW EXECUTE FUNCTION stay();
	ALTER TABLE run_p0 SET UNLOGGED});
is( query($db, "$check AND severity <> 'info'"),
	join("\n", 'error|table|run_p0|is unlogged, so that a crash empties it',
		'warning|index|ix__run__status|is not valid',
		'warning|trigger|run.everywhere|is extra',
		'warning|constraint|public.note.note_run_id_fkey|keeps rows of table "run_p100" from being deleted',
		'warning|trigger|run_p200.stay|is extra',
		'warning|index|single|is extra'),
	'check looks at the partitions');
like(errors_of($db, q{CALL syncmaster_purge_runs('90 days', dry_run => true)}),
	qr/rows of table "run" may be held by foreign key "note_run_id_fkey" of table "public.note", trigger "everywhere", trigger "stay"\n/,
	'so does a dry run of a purge');
query($db, q{DROP TABLE note; DROP INDEX single; DROP TRIGGER stay ON run_p200;
	DROP TRIGGER everywhere ON run; SELECT * FROM syncmaster_repair(false)});
is(query($db, $check), '', 'a repair builds what is missing, and logs');

# The sequence is past the ids of all partitions.
query($db, q{SELECT setval('run_id_seq', 150)});
is(query($db, $check), 'error|sequence|run_id_seq|is behind the highest id of its table',
	'the highest id is looked for in all partitions');
query($db, q{SELECT * FROM syncmaster_repair(false)});
is(query($db, 'SELECT last_value FROM run_id_seq'), '240', 'a repair sets the sequence');

# ---------------------------------------------------------------------------
# Active runs, health and metrics; one partition has its columns in another order, and
# partitions of its own

my $columns = query($db, q{SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),
		CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY attname DESC)
	FROM pg_attribute WHERE attrelid = 'run'::regclass AND attnum > 0});
query($db, qq{SET ROLE app;
	CREATE TABLE run_p400 ($columns) PARTITION BY HASH (id);
	CREATE TABLE run_p400_all PARTITION OF run_p400 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	ALTER TABLE run ATTACH PARTITION run_p400 FOR VALUES FROM (400) TO (500)});
query($db, q{UPDATE run SET status = 'STARTED', started_at = created_at WHERE id IN (7, 150);
	INSERT INTO run (id, transfer_id, status, type, transfer_dump) VALUES
		(401, 1, 'STARTED', 'MANUAL', '{}'), (402, 1, 'FAILED', 'MANUAL', '{}');
	SELECT setval('run_id_seq', 402)});
like(query($db, $preflight), qr/^warning\|run\|runs are active: 3 STARTED$/m,
	'preflight counts active runs of all partitions');
like(errors_of($db, q{GRANT CREATE ON SCHEMA public TO reader; SET syncmaster.guard = sessions; SELECT syncmaster_set_owner('reader')}),
	qr/55006: .*Runs: 3 STARTED\./s, 'so does the guard');
like(query($db, q{SELECT detail FROM syncmaster_health() WHERE subject = 'run'}),
	qr/^2 runs are STARTED .*: 7, 150\nhas rows in .*, the oldest of /m,
	'health looks at all partitions');
is( query($db, q{SELECT name, labels ->> 'status', value FROM syncmaster_metrics
		WHERE labels ->> 'status' IN ('STARTED', 'FAILED') AND name NOT LIKE '%seconds'}),
	join("\n", 'syncmaster_active_runs|STARTED|3', 'syncmaster_active_runs_complete|STARTED|1',
		'syncmaster_recent_runs|STARTED|1', 'syncmaster_recent_runs|FAILED|1'),
	'so do metrics');
is( query($db, q{SELECT value = extract(epoch FROM (SELECT min(created_at) FROM run WHERE status = 'FINISHED'))
		FROM syncmaster_metrics WHERE name = 'syncmaster_table_oldest_row_timestamp_seconds'
		AND labels ->> 'table' = 'run'}), 't', 'the oldest row is that of all partitions');

# Whoever holds a lock on one partition is not waited for.
my $session = begin_session($node, $db, 'app', 'BEGIN; LOCK TABLE run_p100;');
like(query($db, q{SELECT detail FROM syncmaster_health() WHERE subject = 'run'}),
	qr/^was not looked at: table "run" is locked$/m,
	'health does not wait for a partition that is locked');
like(errors_of($db, q{SET syncmaster.lock_timeout = 100; SELECT * FROM syncmaster_check()}),
	qr/55P03: could not lock table "run_p100" within 100 ms/,
	'check waits no longer than syncmaster.lock_timeout');
like(errors_of($db, q{SET syncmaster.lock_timeout = 100; SELECT syncmaster_drop_indexes()}),
	qr/55P03: could not lock table "run_p100" within 100 ms/, 'nor does the engine');
like(errors_of($db, q{SET syncmaster.lock_timeout = 100; SET statement_timeout = '60s';
		SELECT syncmaster_downgrade('base')}),
	qr/55P03: canceling statement due to lock timeout/, 'nor who counts what would be lost');
end_session($session);

# ---------------------------------------------------------------------------
# Purge in batches, and ends of runs

is(query($db, q{SELECT action FROM syncmaster_end_runs('{7, 150}', dry_run => false)}),
	"ended\nended", 'runs of two partitions are ended');
is(query($db, q{CALL syncmaster_purge_runs('200 days', keep_last => 30, batch_size => 70)}),
	query('source', q{SELECT count(*) FROM (SELECT created_at, row_number() OVER (
		PARTITION BY transfer_id ORDER BY created_at DESC, id DESC) n FROM (
		SELECT transfer_id, created_at, id FROM run UNION ALL
		VALUES (1, now(), 401), (1, now(), 402)) r) r
		WHERE n > 30 AND created_at < now() - interval '200 days'}),
	'a purge keeps the last runs of all partitions');

# ---------------------------------------------------------------------------
# Purge of whole partitions

my $dropped = new_database('dropped');
query($dropped, q{SELECT syncmaster_upgrade('head');
	UPDATE run SET status = 'STARTED' WHERE id = 50;
	SET ROLE app; CREATE TABLE run_default PARTITION OF run DEFAULT});
my $purge = q{CALL syncmaster_purge_partitions('30 days')};
sub purge
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql($dropped, "\\set VERBOSITY verbose\n$sql");
	return "$out|" . join ' ', grep { defined } $err =~
	  /"(\w+)" is (?:dropped|detached), with |"(\w+)" would be dropped, with |"(\w+)" was passed by, because others are at work on table "run"/g;
}
unlike(errors_of($dropped, q{CALL syncmaster_purge_partitions('30 days', dry_run => true)}),
	qr/published/, 'without a publication there are no subscribers');
is(purge($purge), '1|run_p100', 'a partition without active runs is dropped');
is(purge($purge), '0|', 'but not one that new runs may go to, and none twice');
query($dropped, q{UPDATE run SET status = 'PAUSED' WHERE id = 50});
is(purge($purge), '0|', 'nor one with a run in an unknown status');
query($dropped, q{UPDATE run SET status = 'FAILED', created_at = now() WHERE id = 50});
is(purge($purge), '0|', 'nor one with a young run');
query($dropped, q{UPDATE run SET created_at = now() - interval '1 year' WHERE id = 50});
is(purge(q{CALL syncmaster_purge_partitions('30 days', 11)}), '0|', 'nor one with last runs');
is(purge(q{CALL syncmaster_purge_partitions('30 days', 10, true)}), '1|run_p0', 'a dry run says which');
foreach my $case ([ 'would be dropped: 1', 10 ], [ 'would be dropped: 0', 11 ],
	[ 'would be detached: 1', 10, '--detach' ])
{
	my ($out, $keep, @detach) = @$case;
	my $run = command_line(
		args => [ 'purge-partitions', '30 days', '--dry-run', '--keep-last', $keep, @detach ],
		env => { PGHOST => $node->host, PGPORT => $node->port, PGUSER => scalar getpwuid($<), PGDATABASE => $dropped });
	is("$run->{status} $run->{out}", "0 $out\n", "syncmaster-db purge-partitions --keep-last $keep @detach")
	  or diag($run->{err});
}
query($dropped, q{CREATE TABLE note (run_id bigint REFERENCES run ON DELETE CASCADE)});
like(errors_of($dropped, $purge),
	qr/55000: partitions are not dropped, because something depends on single runs: table "public.note"/,
	'nothing is dropped where rows go along');
query($dropped, 'DROP TABLE note');

# A trigger that only the partition has enabled keeps its rows.
my $enabled = new_database('enabled');
query($enabled, q{SELECT syncmaster_upgrade('head'); SET ROLE app;
	CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER hold BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION hold();
	RESET ROLE;
	ALTER TABLE run DISABLE TRIGGER hold;
	ALTER TABLE run_p0 ENABLE TRIGGER hold});
like(errors_of($enabled, $purge),
	qr/55000: partitions are not dropped, because something depends on single runs: trigger "hold"\n/,
	'nothing is dropped where a partition has its trigger enabled');
is(query($enabled, q{SELECT to_regclass('run_p0')}), 'run_p0', 'which is there');
like(errors_of($enabled, q{CALL syncmaster_purge_runs('30 days', dry_run => true)}),
	qr/rows of table "run" may be held by trigger "hold"\n/, 'a dry run of a purge names it');
like(errors_of($enabled, q{CALL syncmaster_purge_runs('300 days')}),
	qr/old rows of table "run" cannot be deleted\nDETAIL:  id 1, .*: kept by trigger "hold"\n/,
	'so does a purge');
is( query($enabled, q{SELECT severity, object_name, problem, fix FROM syncmaster_check()
		WHERE object_type = 'trigger' ORDER BY severity}),
	join("\n", 'info|run.hold|is extra, and disabled|DROP TRIGGER hold ON public.run',
		'warning|run_p0.hold|is extra|ALTER TABLE public.run_p0 DISABLE TRIGGER hold'),
	'and check');

# A trigger that comes while a purge waits for the partition
query($enabled, 'DROP TRIGGER hold ON run');
my $holding = begin_session($node, $enabled, 'app', q{BEGIN;
	CREATE TRIGGER hold BEFORE DELETE ON run_p0 FOR EACH ROW EXECUTE FUNCTION hold();});
my $waiting = start_psql($node, $enabled, "\\set VERBOSITY verbose\n$purge;");
wait_for_lock($enabled, 'run_p0');
in_session($holding, 'COMMIT;');
end_session($holding);
like((finish_psql($waiting))[2], qr/55000: partitions are not dropped, .*: trigger "hold"\n/,
	'a trigger that comes meanwhile is heeded');
is(query($enabled, q{SELECT to_regclass('run_p0')}), 'run_p0', 'and keeps its rows');

# A lock on a later partition is not waited for without an end.
query($enabled, 'DROP TRIGGER hold ON run_p0');
my $locker = begin_session($node, $enabled, 'app', 'BEGIN; LOCK TABLE run_p200;');
like(errors_of($enabled, qq{SET statement_timeout = '20s'; SET syncmaster.lock_timeout = 100;
		CALL syncmaster_purge_partitions('30 days', dry_run => true)}),
	qr/55P03: canceling statement due to lock timeout/, 'nor by a dry run');
my $growth = q{SET statement_timeout = '20s'; SET syncmaster.health_retention = '30d';
	SELECT syncmaster_health()};
is(errors_of($enabled, $growth), '', 'nor by health');
end_session($locker);

# What is in the way of one partition does not keep the next one.
query($enabled, q{SET ROLE app; CREATE VIEW first AS SELECT * FROM run_p0});
$locker = begin_session($node, $enabled, 'app', 'BEGIN; LOCK TABLE run_p100 IN SHARE MODE;');
my $passing = q{SET syncmaster.lock_timeout = 100; CALL syncmaster_purge_partitions('30 days')};
like(errors_of($enabled, $passing),
	qr/WARNING:  01000: partition "run_p0" was passed by, because other objects depend on it\nDETAIL:  view (?:public\.)?first depends on table (?:public\.)?run_p0\nHINT:  Drop or change these objects\..*NOTICE:  00000: partition "run_p100" was passed by, because others are at work/s,
	'partitions are passed by');
end_session($locker);
query($enabled, q{SET client_min_messages = error; CREATE PUBLICATION shared FOR TABLE run;
	CREATE PUBLICATION part FOR TABLE run_p100;
	CREATE PUBLICATION additions FOR TABLE run WITH (publish = 'insert')});
my $published = qr/^.*WARNING:  01000: subscribers keep the runs of partitions, as table "(.*)" is published by (.*)/m;
is(join(', ', errors_of($enabled, q{CALL syncmaster_purge_partitions('30 days', dry_run => true)}) =~ /$published/g),
	'run, shared, run_p100, part',
	'each publication that passes on deletions is named once');
my $passed = errors_of($enabled, $passing);
like($passed, qr/"run_p0" was passed by, because other.*"run_p100" is dropped, with 100 rows/s,
	'and others are dropped');
is(join(', ', $passed =~ /$published/g),
	'run_p100, part, run, shared',
	'a publication is named that had nothing but the partition');
is(query($enabled, q{SELECT to_regclass('run_p0'), to_regclass('run_p100')}), 'run_p0|', 'which keeps one');

# Row security that the owner of a partition is subject to keeps that partition.
my $secured = new_database('secured');
query($secured, q{SELECT syncmaster_upgrade('head'); SET ROLE app;
	ALTER TABLE run_p0 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY few ON run_p0 USING (id < 5);
	UPDATE run SET status = 'STARTED' WHERE id = 50});
is(query($secured, q{SELECT severity, object_type, object_name, problem FROM syncmaster_check()
		WHERE object_name ~ 'run_p0'}),
	"warning|table|run_p0|has row security enabled\nwarning|table|run_p0|has row security forced\n"
	  . 'warning|policy|run_p0.few|is extra', 'check tells of row security on a partition');
like(errors_of($secured, q{CALL syncmaster_purge_partitions('30 days')}),
	qr/WARNING:  42501: partition "run_p0" was passed by, because row security may hide its runs from its owner\nHINT:  ALTER TABLE public\.run_p0 NO FORCE ROW LEVEL SECURITY\..*"run_p100" is dropped, with 100 rows/s,
	'a partition whose rows are hidden is passed by, and others are dropped');
is(query($secured, 'SELECT count(*) FROM run'), '140', 'the partition has its rows');

# A foreign key that does nothing keeps partitions all the same.
if (query($secured, 'SHOW server_version_num') >= 180000)
{
	query($secured, 'CREATE TABLE declared (run_id bigint REFERENCES run ON DELETE CASCADE NOT ENFORCED)');
	like(errors_of($secured, q{CALL syncmaster_purge_partitions('30 days', detach => true)}),
		qr/55000: partitions are not dropped, because something depends on single runs: foreign key "declared_run_id_fkey" of table "public.declared"/,
		'partitions stay where a foreign key is declared');
	query($secured, 'DROP TABLE declared');
}

# Nor does one go with runs in a status that this release does not know.
query($secured, q{ALTER TABLE run_p0 NO FORCE ROW LEVEL SECURITY;
	UPDATE run SET status = 'FINISHED' WHERE id = 50; UPDATE run SET status = 'PAUSED' WHERE id = 98});
my $unknown = qr/NOTICE:  00000: partition "run_p0" stays, because the status of a run is not known: 'PAUSED'\nHINT:  .*Only partitions whose runs are in these statuses go: 'FAILED', 'STOPPED', 'FINISHED'\./;
like(errors_of($secured, q{CALL syncmaster_purge_partitions('30 days')}), $unknown,
	'a partition with a run in an unknown status stays');
query($secured, q{UPDATE run SET status = 'PAUSED' WHERE id = 99});
like(errors_of($secured, q{CALL syncmaster_purge_partitions('30 days', dry_run => true)}), $unknown,
	'and so if it is the last one');
unlike(errors_of($secured, q{CALL syncmaster_purge_partitions('10 years', dry_run => true)}), qr/stays/,
	'which is not told of a partition that is not old');
is(query($secured, 'SELECT count(*) FROM run'), '140', 'the partition is there');

# A partition with partitions of its own is dropped with all of them.
my $nested = new_database('nested');
query($nested, q{SELECT syncmaster_upgrade('head'); SET ROLE app;
	ALTER TABLE run DETACH PARTITION run_p0;
	CREATE TABLE run_s PARTITION OF run FOR VALUES FROM (0) TO (100) PARTITION BY LIST (id);
	CREATE TABLE run_s1 PARTITION OF run_s FOR VALUES IN (1);
	CREATE TABLE run_s2 PARTITION OF run_s DEFAULT PARTITION BY HASH (id);
	CREATE TABLE run_s3 PARTITION OF run_s2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	INSERT INTO run SELECT * FROM run_p0;
	DROP TABLE run_p0;
	UPDATE run SET status = 'STARTED' WHERE id IN (50, 100);
	CREATE PUBLICATION part FOR TABLE run_s3});
$purge = q{CALL syncmaster_purge_partitions('30 days')};
is(query($nested, $purge), '0', 'a partition stays that has an active run in a partition of its own');
query($nested, q{UPDATE run SET status = 'FINISHED' WHERE id = 50});
$locker = begin_session($node, $nested, 'app',
	q{BEGIN; UPDATE run_s3 SET status = 'STARTED' WHERE id = 50;});
like(errors_of($nested, $passing), qr/"run_s" was passed by, because others are at work/,
	'and so does one that is written to');
end_session($locker);
like(errors_of($nested, $purge),
	qr/"run_s" is dropped, with 99 rows\n.*as table "run_s3" is published by part\n/s,
	'it is dropped when all its runs are old');
is( query($nested, q{SELECT count(*) FROM pg_class WHERE relname ~ '^run_s\d?$';
		SELECT min(id), count(*) FROM run}), "0\n100|141", 'with all partitions, and nothing else');

# A reader keeps the table, and a writer the partition.
my $reader = begin_session($node, $dropped, 'app', 'BEGIN; SELECT count(*) FROM run;');
is(purge($purge), '0|run_p0', 'a partition is passed by while the table is read');
end_session($reader);
$reader = begin_session($node, $dropped, 'app', q{BEGIN; UPDATE run SET status = 'STARTED' WHERE id = 50;});
is(purge("SET syncmaster.lock_timeout = 100; $purge"), '0|run_p0', 'a writer is not run over');
end_session($reader);
$purge = q{CALL syncmaster_purge_partitions('30 days', detach => true)};
like(errors_of($dropped, q{CALL syncmaster_purge_partitions('30 days', 0, true, true)}),
	qr/NOTICE:  00000: partition "run_p0" would be detached, with 99 rows\n/,
	'a dry run says what would be done');
is(purge($purge), '1|run_p0', 'and the partition goes when both are done, here with its rows');
is(query($dropped, q{SELECT count(*), min(id), max(id) FROM run_p0}), '99|1|99',
	'a partition that is detached has its rows');
is(query($dropped, 'SELECT min(id), count(*) FROM run'), '200|41', 'all other runs are there');
is(query($dropped, "$check AND severity <> 'info'"), '', 'and check finds nothing');
like(errors_of($dropped, $_->[0]), $_->[1], $_->[0])
  foreach [ q{CALL syncmaster_purge_partitions(NULL)}, qr/22004: older_than must not be null/ ],
  [ q{CALL syncmaster_purge_partitions('1 day', -1)}, qr/22023: keep_last is out of range/ ];
query($dropped, "SET ROLE app; $restore");
like(errors_of($dropped, $purge), qr/NOTICE:  00000: table "run" has no partitions\n/,
	'an ordinary table has none');
query($dropped, q{SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('run')});
like(errors_of($dropped, $purge),
	qr/0A000: partitions of table "public.run", which is distributed by Citus, are not dropped/,
	'those of Citus are left alone');

# Others detach, rename or make partitions while a purge is at work.
my $raced = new_database('raced');
my $writer = begin_session($node, $raced, 'app', 'BEGIN; LOCK TABLE run_p0 IN ROW EXCLUSIVE MODE;');
my $purging = start_psql($node, $raced, q{CALL syncmaster_purge_partitions('30 days');});
wait_for_lock($raced, 'run_p0');
my $detaching = begin_session($node, $raced, 'app', q{BEGIN;
	ALTER TABLE run DETACH PARTITION run_p100;
	ALTER TABLE run_p100 RENAME TO archive;
	CREATE TABLE run_p100 ();
	COMMIT;}, nowait => 1);
wait_for_lock($raced, 'run');
end_session($writer);
is((finish_psql($purging))[1], "1\n", 'a purge that waited goes on');
wait_for_session($detaching);
end_session($detaching);
is( query($raced, q{SELECT to_regclass('run_p0') IS NULL, to_regclass('run_p100') IS NOT NULL,
		(SELECT count(*) FROM archive)}), 't|t|100',
	'and leaves a partition that was detached, and what has its name');
query($raced, q{DROP TABLE run_p100; ALTER TABLE run ATTACH PARTITION archive
	FOR VALUES FROM (100) TO (200)});

# DETACH ... CONCURRENTLY that was interrupted
if (query($raced, 'SHOW server_version_num') >= 140000)
{
	my $snapshot = begin_session($node, $raced, 'app', 'BEGIN; SELECT count(*) FROM run;');
	like(errors_of($raced, q{SET lock_timeout = 100; ALTER TABLE run DETACH PARTITION archive CONCURRENTLY}),
		qr/55P03/, 'a partition is being detached');
	end_session($snapshot);
	is(query($raced, q{SELECT count(*) FROM run}), '41', 'its runs are not there any more');
	is(query($raced, q{CALL syncmaster_purge_partitions('30 days', dry_run => true)}), '0',
		'it is not dropped');
	is(query($raced, "$check AND severity <> 'info'"), '', 'check looks at the others');
	query($raced, 'ALTER TABLE run DETACH PARTITION archive FINALIZE');

	# the same of a partition of a partition, which would be dropped with that
	query($raced, q{SET ROLE app;
		CREATE TABLE run_s PARTITION OF run FOR VALUES FROM (0) TO (200) PARTITION BY RANGE (id);
		CREATE TABLE run_s2 PARTITION OF run_s FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
		ALTER TABLE run_s2 ATTACH PARTITION archive FOR VALUES FROM (100) TO (200)});
	$snapshot = begin_session($node, $raced, 'app', 'BEGIN; SELECT count(*) FROM run;');
	like(errors_of($raced, q{SET lock_timeout = 100; ALTER TABLE run_s2 DETACH PARTITION archive CONCURRENTLY}),
		qr/55P03/, 'a partition of a partition is being detached');
	end_session($snapshot);
	foreach my $options (q{dry_run => true}, 'detach => true', q{keep_last => 0})
	{
		like(errors_of($raced, "CALL syncmaster_purge_partitions('30 days', $options)"),
			qr/WARNING:  55000: partition "run_s" was passed by, because the detaching of its partition "public.archive" was interrupted\nHINT:  Run ALTER TABLE \.\.\. DETACH PARTITION \.\.\. FINALIZE for it/,
			"a partition whose partition is half detached is passed by with $options");
	}
	query($raced, 'ALTER TABLE run_s2 DETACH PARTITION archive FINALIZE');
	is(query($raced, q{CALL syncmaster_purge_partitions('30 days'); SELECT count(*) FROM archive}),
		"1\n100", 'when it is detached, the other goes without its rows');
}

# ---------------------------------------------------------------------------
# pg_partman makes partitions, and a purge drops them

SKIP:
{
	my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
	skip 'pg_partman is not installed', 9 if !-e "$sharedir/extension/pg_partman.control";
	my ($as_superuser, $as_owner, $maintenance) = $recipe =~
	  /partman, as a superuser.*?```sql\n(.*?)```.*?partman, as the owner.*?```sql\n(.*?)```.*?cron\.schedule\('partitions', '[^']*', \$\$(.*?)\$\$\)/s
	  or die 'no recipe for pg_partman';
	my $managed = new_database('managed');

	$as_superuser =~ s/etl_owner/app/g;
	query($managed, $as_superuser);
	s/1000000\b/100/g, s/10000000\b/100/g foreach $as_owner;
	$as_owner =~ s/'native'/'range'/
	  if query($managed, q{SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'}) !~ /^4/;
	query($managed, "SET ROLE app; $as_owner");
	my $bounds = q{SELECT string_agg(substring(pg_get_expr(relpartbound, oid) from 'TO \(''(\d+)'), ' '
		ORDER BY length(relname), relname) FROM pg_class WHERE relispartition AND relkind = 'r'};
	like(query($managed, $bounds), qr/^100 200 300 400 500 600\b/, 'pg_partman takes over and makes partitions');
	is(query($managed, q{SELECT syncmaster_upgrade('head')}), '0013', 'which are no obstacle');
	is(query($managed, "$check AND severity <> 'info'"), '', 'check finds nothing');
	query($managed, q{INSERT INTO run (id, transfer_id, status, type, transfer_dump)
		SELECT i, 1, 'FINISHED', 'MANUAL', '{}' FROM generate_series(241, 450) i});
	query($managed, "SET ROLE app; $maintenance");
	like(query($managed, $bounds), qr/^100 200 .* 800 900$/, 'its maintenance makes more');
	is(query($managed, q{CALL syncmaster_purge_partitions('30 days')}), '2', 'a purge drops its partitions');
	query($managed, q{INSERT INTO run (id, transfer_id, status, type, transfer_dump)
		VALUES (799, 1, 'FINISHED', 'MANUAL', '{}')});
	query($managed, "SET ROLE app; $maintenance");
	like(query($managed, $bounds), qr/^300 400 .* 1100 1200$/,
		'after which maintenance goes on');
	query($managed, q{SELECT * FROM syncmaster_repair(false)});
	is(query($managed, $check), '', 'and check finds nothing');
	query($managed, q{CREATE ROLE heir LOGIN; GRANT ALL ON SCHEMA public TO heir;
		SELECT syncmaster_set_owner('heir')});
	is(query($managed, q{SELECT count(*) FROM pg_class WHERE relname ~ '^run_' AND relkind = 'r'
			AND relowner <> 'heir'::regrole}), '0', 'all are handed over, the default one as well');
	query($managed, "DELETE FROM partman.part_config; SET ROLE heir; $restore");
	is(query($managed, "$check AND severity <> 'info'"), '', 'and the way back is open');
}

# ---------------------------------------------------------------------------
# Owners

like(query($db, q{GRANT CREATE ON SCHEMA public TO writer; SELECT syncmaster_set_owner('writer');
		SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname ~ '^run' AND relkind IN ('r', 'p', 'S')}),
	qr/^writer$/m, 'partitions go along with the table');
query($db, 'ALTER TABLE run_p100 OWNER TO stranger');
my $distrusted = qr/55000: table "run_p100" is not trusted by role "writer"\nDETAIL:  It belongs to role "stranger"/;
like(errors_of($db, $_), $distrusted, "a stranger's partition: $_")
  foreach q{CALL syncmaster_purge_runs('90 days')}, q{SELECT syncmaster_end_runs('{1}')};
like(errors_of($db, q{SELECT syncmaster_set_owner('app')}),
	qr/55000: table "run_p100" is not trusted by role "app"/, "a stranger's partition is not taken over");
is( query($db, "$check AND severity <> 'info'"),
	"warning|table|run_p100|has another owner than the other tables\n"
	  . q{warning|table|run_p100.run_p100|may run another role's code}, 'check tells of it');
like(query($db, $preflight), qr/^warning\|table\|table "run_p100" is not trusted by role "writer"/m,
	'so does preflight');

# ---------------------------------------------------------------------------
# Steps that change the table, and other partitions

$db = new_database('steps');
like(errors_of($db, q{SELECT syncmaster_downgrade('base')}), qr/run \(240 rows\)/,
	'a downgrade counts the rows of all partitions');
like(errors_of($db, q{BEGIN; SET LOCAL syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('base')}),
	qr/0A000: table "run", which is to be changed, is partitioned\nDETAIL:  The step would drop table\.\nHINT:  Make it an ordinary table.*doc\/retention\.md/,
	'a step that changes a partitioned table is refused');
is(query($db, 'SELECT syncmaster_schema_version(), count(*) FROM run'), '0011|240', 'and nothing is lost');

# Each function, as the table of doc/scale-out.md says
create_database($node, 'small');
query('small', 'CREATE EXTENSION syncmaster');
fill_small_database($node, 'small');
query('small', "$convert ALTER SEQUENCE run_id_seq RESTART 101");
is_as_in_table('partitioned `run`', $node, 'small');

# dump and restore
query('postgres', 'CREATE DATABASE restored OWNER app');
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/dump";
foreach my $command ([ 'pg_dump', '-Fc', '-f', $dump, $db ], [ 'pg_restore', '-d', 'restored', $dump ])
{
	my ($rc, $out, $err) = run_command_on($node, @$command);
	is($rc, 0, "$command->[0] succeeds") or diag $err;
}
is(query('restored', 'SELECT tableoid::regclass, count(*) FROM run GROUP BY 1 ORDER BY 1'),
	"run_p0|99\nrun_p100|100\nrun_p200|41", 'a restore has the partitions');
is(query('restored', q{SELECT syncmaster_upgrade('head')}), '0013', 'and can be upgraded');
is(query('restored', $check), '', 'check finds nothing after that');

# The way back
query($db, "SET ROLE app; $restore");
is(query($db, $check), '', 'check finds nothing with the ordinary table again');
is(query($db, q{SELECT relkind, (SELECT count(*) FROM run) FROM pg_class WHERE oid = 'run'::regclass}),
	'r|240', 'which has all rows');

# A narrower key
query($db, q{ALTER TABLE run RENAME TO other;
	CREATE TABLE run (LIKE other INCLUDING DEFAULTS);
	ALTER TABLE run ALTER id TYPE integer;
	ALTER TABLE run RENAME TO narrow;
	CREATE TABLE run (LIKE narrow INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	DROP TABLE narrow});
is(query($db, q{SELECT problem, fix FROM syncmaster_check() WHERE problem ~ 'narrower'}),
	'is of a narrower type: its type cannot change while the partition key uses it|',
	'check gives no SQL that changes the type of the key');
query($db, 'DROP TABLE run; ALTER TABLE other RENAME TO run');

# Another key
query($db, 'ALTER TABLE run RENAME TO other');
foreach my $key ('RANGE (created_at)', 'RANGE (id, created_at)', 'LIST (id)', 'HASH (id)', 'RANGE ((id + 1))')
{
	query($db, "CREATE TABLE run (LIKE other INCLUDING DEFAULTS) PARTITION BY $key");
	like(errors_of($db, q{SELECT syncmaster_upgrade('head')}),
		qr/42809: table "public.run" is partitioned, but not by ranges of column "id"\nHINT:  Partition it in that way/,
		"a table partitioned by $key is refused");
	like(query($db, $check), qr/^error\|table\|run\|is not an ordinary table$/m, 'and check says so');
	query($db, 'DROP TABLE run');
}

$node->stop;
done_testing();
