# Tables whose rows Citus has put elsewhere: whoever reads a table directly asks
# first.  Citus itself is not needed for that.  A row in its catalogue says that a
# table is a shell, in which stale rows are left, and a child stands in for the
# shards: SQL finds its rows, and who reads the shell does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('distributed');
create_roles($node);
create_database($node, 'source', 'app');
$node->safe_psql('source', <<'SQL');
ALTER SCHEMA public OWNER TO app;
SET ROLE app;
CREATE EXTENSION syncmaster VERSION '1.11';
SQL
fill_tables($node, 'source');
$node->safe_psql('source', <<'SQL');
UPDATE run SET status = 'FINISHED';
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC;
SQL

sub new_database
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	return $db;
}

# Let run be a shell with one row that is stale.
sub distribute_run
{
	my ($db) = @_;
	$node->safe_psql($db, <<'SQL');
SET allow_system_table_mods = on;
INSERT INTO pg_catalog.pg_dist_partition VALUES ('run');
SET ROLE app;
CREATE TABLE run_102008 (PRIMARY KEY (id)) INHERITS (run);
INSERT INTO run_102008 SELECT * FROM ONLY run WHERE id > (SELECT min(id) FROM run);
DELETE FROM ONLY run WHERE id > (SELECT min(id) FROM ONLY run);
SQL
	return;
}

sub errors_of
{
	my ($db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql");
	return $err;
}

# What a downgrade would lose --------------------------------------------------

my $db = new_database('shards');
distribute_run($db);
my $rows = $node->safe_psql($db, 'SELECT count(*) FROM run');
cmp_ok($rows, '>', 1, 'there are rows in the shard');
like(errors_of($db, "SELECT syncmaster_downgrade('base')"), qr/\brun \($rows rows\)/,
	'a downgrade counts the rows of the shards');

# Active runs ------------------------------------------------------------------

$node->safe_psql($db, q{UPDATE run_102008 SET status = 'STARTED'
	WHERE id = (SELECT max(id) FROM run_102008)});
my $preflight = q{SELECT severity, subject, detail, hint FROM syncmaster_preflight('head')};
like($node->safe_psql($db, $preflight), qr/^warning\|run\|runs are active: 1 STARTED\|/m,
	'preflight counts active runs of the shards');
my $guarded = 'SET syncmaster.guard = sessions';
like(errors_of($db, "$guarded; SELECT syncmaster_upgrade('head')"), qr/55006: .*Runs: 1 STARTED\./s,
	'so does the guard');

# Reading needs no language that is the superuser's to give.
$node->safe_psql($db, 'REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC');
like($node->safe_psql($db, $preflight), qr/^warning\|run\|runs are active: 1 STARTED\|/m,
	'also where their owner may not use PL/pgSQL');
$node->safe_psql($db, 'GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC');

# Where they cannot be counted, nobody takes that for none.
$node->safe_psql($db, 'SET ROLE app;
	ALTER TABLE run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
like($node->safe_psql($db, $preflight),
	qr/^warning\|run\|active runs were not counted, because table "run" cannot be read: query would be affected by row-level security/m,
	'preflight says why active runs were not counted');
like($node->safe_psql($db, "$guarded; $preflight"), qr/^error\|run\|active runs were not counted/m,
	'which is an error where the guard would refuse');
like(errors_of($db, "$guarded; SELECT syncmaster_upgrade('head')"),
	qr/55006: .*Runs: not known, as the table cannot be read: query would be/s,
	'and it does');
is( $node->safe_psql($db, q{SELECT severity, problem, actual FROM syncmaster_check()
		WHERE object_name = 'run_id_seq'}),
	'info|was not compared with the highest id, which Citus could not tell|'
	  . 'query would be affected by row-level security policy for table "run"',
	'check says why it knows of no highest id');
$node->safe_psql($db, q{SET ROLE app;
	ALTER TABLE run DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
	UPDATE run_102008 SET status = 'FINISHED'});

# How long a lock on another node is waited for: Citus passes on SET LOCAL ---------

$node->safe_psql($db, q{SET ROLE app;
	CREATE FUNCTION limits() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		RAISE NOTICE 'limits: % %', current_setting('citus.propagate_set_commands'),
			current_setting('lock_timeout');
		RETURN CASE WHEN TG_OP = 'UPDATE' THEN new END; END$$;
	UPDATE ONLY run SET created_at = now() - interval '100 days';
	CREATE TRIGGER limits BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION limits();
	CREATE TRIGGER limits BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION limits()});
my $settings = q{DO $$BEGIN RAISE NOTICE 'after: % %',
	current_setting('citus.propagate_set_commands'), current_setting('lock_timeout'); END$$};
my $add = q{SELECT * FROM syncmaster_add_superusers((SELECT username FROM "user"
		WHERE NOT is_superuser LIMIT 1))};
like(errors_of($db, qq{SET citus.propagate_set_commands = 'none'; $add}),
	qr/NOTICE:  00000: limits: none 10s\n/, 'Citus is told nothing about a table of this node');
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('"user"')});
foreach my $call (
	[ $add, '10s' ],
	[ q{CALL syncmaster_purge_runs('99 days')}, '100ms' ])
{
	like(errors_of($db, qq{SET citus.propagate_set_commands = 'none'; SET lock_timeout = '1h';
			$call->[0]; $settings}),
		qr/NOTICE:  00000: limits: local $call->[1]\n.*NOTICE:  00000: after: none 1h\n/s,
		"a lock on another node is waited for as long as one here: $call->[0]");
}
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	DELETE FROM pg_catalog.pg_dist_partition WHERE logicalrelid = '"user"'::regclass;
	SET ROLE app; DROP FUNCTION limits CASCADE});

# Connections that Citus keeps open between its nodes --------------------------

my $internal = begin_session($node, $db, 'app', 'SELECT 1;',
	application => 'citus_internal gpid=10000000001');
like($node->safe_psql($db, $preflight),
	qr/^info\|session\|.*"citus_internal gpid=10000000001".* is Citus's, between its nodes\|/m,
	'preflight tells connections of Citus from services');
in_session($internal, 'BEGIN; SELECT count(*) FROM run;');
like(errors_of($db, "$guarded; SELECT syncmaster_upgrade('head')"),
	qr/55006: .*Sessions: .*citus_internal/s, 'the guard heeds one that is in a transaction');
in_session($internal, 'COMMIT;');
is($node->safe_psql($db, "$guarded; BEGIN; SELECT syncmaster_upgrade('head'); ROLLBACK"),
	'0013', 'and passes by one that is idle');
$node->safe_psql($db, 'SET allow_system_table_mods = on;
	ALTER TABLE pg_catalog.pg_dist_partition RENAME TO pg_dist_other');
like(errors_of($db, "$guarded; SELECT syncmaster_upgrade('head')"),
	qr/55006: .*Sessions: .*citus_internal/s, 'the name alone is nothing without Citus');
$node->safe_psql($db, 'SET allow_system_table_mods = on;
	ALTER TABLE pg_catalog.pg_dist_other RENAME TO pg_dist_partition');
end_session($internal);

# Sequences --------------------------------------------------------------------

my $behind = q{SELECT problem, expected, fix IS NOT NULL FROM syncmaster_check()
	WHERE object_name = 'run_id_seq' AND severity = 'error'};
is($node->safe_psql($db, $behind), '', 'a sequence past the ids of the shards is right');
my $highest = $node->safe_psql($db, 'SELECT max(id) FROM run');
$node->safe_psql($db, q{SELECT setval('run_id_seq', (SELECT max(id) FROM ONLY run))});
is($node->safe_psql($db, $behind), "is behind the highest id of its table|> $highest|t",
	'one that is past the stale rows only is behind');

# On a worker, sequences count elsewhere.
$node->safe_psql($db, 'UPDATE run_102008 SET id = 281474976710657 WHERE id = '
	  . '(SELECT max(id) FROM run_102008)');
$highest = $node->safe_psql($db, 'SELECT max(id) FROM run WHERE id < 281474976710656');
is($node->safe_psql($db, $behind), "is behind the highest id of its table|> $highest|t",
	'ids of workers do not count');
$node->safe_psql($db, 'SELECT * FROM syncmaster_repair(false)');
is($node->safe_psql($db, q{SELECT last_value FROM run_id_seq}), $highest,
	'a repair sets the sequence to the highest of the others');

# Health, and texts for search vectors -----------------------------------------

is( $node->safe_psql($db, q{SELECT DISTINCT severity, detail FROM syncmaster_health()
		WHERE detail LIKE '%distributed%'}),
	'info|was not looked at: table "run" is distributed by Citus',
	'health says of a table that it is distributed, and does not warn');
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('transfer')});
like($node->safe_psql($db, $preflight),
	qr/^warning\|search_vector\|rows with more text than a search vector can hold were not looked for, because table "transfer" is distributed by Citus\|/m,
	'preflight says that it did not look for long texts');

like(errors_of($db, q{SET syncmaster.progress = on; SET min_parallel_table_scan_size = 0;
		BEGIN; SELECT syncmaster_upgrade('0012'); ROLLBACK}),
	qr/\A(?=.*vectors of table group computed)(?!.*vectors of table transfer computed).*alter table transfer/s,
	'a distributed table is altered by one statement, with nothing computed before');

# The plan, and what preflight says of other nodes -------------------------------

is( $node->safe_psql($db, q{SELECT bool_and(table_rows IS NULL), bool_and(table_bytes IS NULL),
		bool_and(action LIKE '%, on all nodes of Citus') FROM syncmaster_upgrade_plan('0012')
		WHERE table_name = 'transfer' AND lock_mode IS NOT NULL}), 't|t|t',
	'the plan says that a table is distributed, and not how large the shell is');
like($node->safe_psql($db, $preflight),
	qr/^warning\|lock\|tables that the upgrade locks are distributed by Citus: transfer, run\|/m,
	'preflight says of which tables it does not see all locks');
unlike($node->safe_psql($db, $preflight), qr/cannot log in|workers of Citus/, 'and nothing of others');

$node->safe_psql('postgres', 'ALTER ROLE app NOLOGIN');
like($node->safe_psql($db, $preflight),
	qr/^warning\|rights\|role "app" owns tables that are distributed by Citus, and cannot log in\|/m,
	'preflight names an owner that cannot log in');
$node->safe_psql('postgres', 'ALTER ROLE app LOGIN');

# DDL that Citus does not repeat would change the shell alone.
my $kept = 'SET citus.enable_ddl_propagation = off';
my $kept_error = qr/ERROR:  55000: table "transfer" is distributed by Citus, and citus\.enable_ddl_propagation is off\nDETAIL:  .*not its shards\.\nHINT:  SET citus\.enable_ddl_propagation = on/;
like(errors_of($db, "$kept; $_"), $kept_error, "without propagation: $_")
  foreach q{SELECT syncmaster_upgrade('head')}, q{ALTER EXTENSION syncmaster UPDATE},
  q{SELECT syncmaster_downgrade('base')}, q{SELECT syncmaster_drop_indexes()},
  q{SELECT syncmaster_create_indexes()}, q{SELECT syncmaster_set_owner('reader')},
  q{SELECT * FROM syncmaster_repair(false)}, q{SELECT syncmaster_grant('reader', 'monitor')},
  q{SELECT syncmaster_revoke('reader', 'monitor')};
like($node->safe_psql($db, "$kept; $preflight"),
	qr/^error\|server\|table "transfer" is distributed by Citus, and citus\.enable_ddl_propagation is off: /m,
	'so says preflight');
unlike($node->safe_psql($db, "SET citus.enable_ddl_propagation = on; $preflight"), qr/propagation/,
	'but not where Citus repeats it');

# Citus came after the extension, which no worker has then.
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_node (nodename text, nodeport int, groupid int, isactive bool);
	INSERT INTO pg_dist_node VALUES ('zero', 5432, 0, true), ('one', 5432, 1, true),
		('two', 5433, 2, true), ('three', 5432, 3, false);
	CREATE TABLE pg_catalog.pg_dist_object (classid oid, objid oid);
	GRANT SELECT ON pg_catalog.pg_dist_node, pg_catalog.pg_dist_object TO PUBLIC});
like($node->safe_psql($db, $preflight),
	qr/^error\|server\|workers of Citus do not have the extension: one:5432, two:5433\|.*DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster SCHEMA public;/m,
	'preflight says that workers do not have the extension');
$node->safe_psql($db, q{INSERT INTO pg_dist_object
	SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE extname = 'syncmaster'});
unlike($node->safe_psql($db, $preflight), qr/workers of Citus/, 'and nothing where they do');

# Grants -----------------------------------------------------------------------

# Citus runs GRANT as the owner of the schema, who may be nobody that can log in.
$node->safe_psql($db, q{CREATE ROLE keeper; ALTER SCHEMA public OWNER TO keeper;
	GRANT USAGE ON SCHEMA public TO PUBLIC; CREATE ROLE service;
	SELECT syncmaster_grant('service', 'monitor')});
is($node->safe_psql($db, q{SELECT nspacl::text LIKE '%service=%' FROM pg_namespace WHERE nspname = 'public'}),
	'f', 'usage that everybody has is not granted again');
$node->safe_psql($db, 'SELECT * FROM syncmaster_repair(false)');
is($node->safe_psql($db, q{SELECT nspacl::text LIKE '%service=%' FROM pg_namespace WHERE nspname = 'public'}),
	'f', '... nor by what extends the services\' rights');
$node->safe_psql($db, q{ALTER ROLE keeper LOGIN; CREATE ROLE service2;
	SELECT syncmaster_grant('service2', 'monitor')});
is($node->safe_psql($db, q{SELECT nspacl::text LIKE '%service2=%' FROM pg_namespace WHERE nspname = 'public'}),
	't', 'but where the owner can log in');
$node->safe_psql($db, 'ALTER SCHEMA public OWNER TO app');

# A worker ---------------------------------------------------------------------

$node->safe_psql($db, 'SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_local_group (groupid int);
	INSERT INTO pg_dist_local_group VALUES (2)');
like($node->safe_psql($db, 'SELECT syncmaster_full_version()'),
	qr/; this server is a Citus worker: the coordinator says what is out of step$/,
	'full version on a worker');
is($node->safe_psql($db, 'SELECT severity, object_type, problem, fix IS NULL FROM syncmaster_check()'),
	'info|schema|was not compared, as this server is a Citus worker: ask the coordinator|t',
	'check on a worker');
is($node->safe_psql($db, 'SELECT severity, detail, hint FROM syncmaster_health()'),
	'info|was not looked at: this server is a Citus worker|Ask on the coordinator.',
	'health on a worker');

like(errors_of($db, "SELECT $_('head')"),
	qr/55000: cannot execute $_\(\) on a Citus worker\nHINT:  Run it on the coordinator/, "$_() on a worker")
  foreach qw(syncmaster_upgrade_plan syncmaster_upgrade_sql);

# Tables that must not be distributed ------------------------------------------

$db = new_database('reference');
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	INSERT INTO pg_catalog.pg_dist_partition
		VALUES ('alembic_version'), ('syncmaster_history.migration')});
my $way_out = qr/55000: table "public.alembic_version" is distributed by Citus\nHINT:  .*SELECT pg_catalog.undistribute_table\('public.alembic_version'\)/;
foreach my $call (
	'syncmaster_schema_version()', q{syncmaster_upgrade('head')},
	q{syncmaster_downgrade('base')}, q{syncmaster_stamp('0011', true)})
{
	like(errors_of($db, "SELECT $call"), $way_out, "alembic_version is distributed: $call");
}
like($node->safe_psql($db, $preflight),
	qr/^error\|alembic_version\|table "public.alembic_version" is distributed by Citus\|.*undistribute_table/m,
	'alembic_version is distributed: preflight');
is( $node->safe_psql($db, q{SELECT severity, problem, fix FROM syncmaster_check()
		WHERE object_type = 'revision'}),
	q{error|is distributed by Citus|SELECT pg_catalog.undistribute_table('public.alembic_version')},
	'alembic_version is distributed: check');
like($node->safe_psql($db, 'SELECT syncmaster_full_version()'),
	qr/distributed alembic_version.*; make it an ordinary table again: SELECT pg_catalog.undistribute_table\('public.alembic_version'\)/,
	'alembic_version is distributed: full version');
like(errors_of($db, 'SELECT * FROM syncmaster_history()'),
	qr/55000: table "migration" is distributed by Citus\nHINT:  .*undistribute_table\('syncmaster_history.migration'\)/,
	'the history is distributed');

# Of a schema that is distributed as a whole, Citus gives back all tables or none.
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid, colocationid int);
	INSERT INTO pg_catalog.pg_dist_schema VALUES ('public'::regnamespace, 1)});
like(errors_of($db, 'SELECT syncmaster_schema_version()'),
	qr/HINT:  .*: SELECT pg_catalog.citus_schema_undistribute\('public'\)\./,
	'the schema of alembic_version is distributed');
is($node->safe_psql($db, q{SELECT fix FROM syncmaster_check() WHERE object_type = 'revision'}),
	q{SELECT pg_catalog.citus_schema_undistribute('public')},
	'the schema of alembic_version is distributed: check');

# Tables that are not in use ---------------------------------------------------

$db = new_database('twice');
$node->safe_psql($db, 'DROP EXTENSION syncmaster; CREATE SCHEMA second AUTHORIZATION app');
$node->safe_psql($db, 'CREATE EXTENSION syncmaster SCHEMA second');
my $drop = q{SELECT fix ~ 'DROP TABLE .*second\.run' FROM second.syncmaster_check()
	WHERE object_name = 'public'};
is($node->safe_psql($db, $drop), 't', 'check offers to drop tables that were never used');
$node->safe_psql($db, q{SET allow_system_table_mods = on;
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('second.run')});
is($node->safe_psql($db, $drop), 'f', 'but not those whose rows may be on other nodes');

$node->stop;
done_testing();
