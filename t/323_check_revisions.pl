# syncmaster_check() has nothing to say about a right database: at each revision,
# in a schema of another name, after a dump, for roles of few rights, and about
# what no service notices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('revisions');
create_roles($node);

my $rows = 'SELECT severity, object_type, object_name, problem '
  . 'FROM %s.syncmaster_check()';
my $above_info = "$rows WHERE severity <> 'info'";

sub check_is
{
	my ($database, $schema, $want, $name) = @_;
	return is($node->safe_psql($database, sprintf $above_info, $schema),
		$want, $name);
}

# Every revision, by our own steps ----------------------------------------------

foreach my $schema ('public', 'etl', 'Some schema')
{
	my $name = $schema =~ /(\w+)$/ ? "in_$1" : die;
	my $quoted = qq("$schema");

	create_database($node, $name, 'app');
	$node->safe_psql($name, "CREATE SCHEMA IF NOT EXISTS $quoted AUTHORIZATION app; "
		  . "CREATE EXTENSION syncmaster SCHEMA $quoted");
	fill_tables($node, $name, $quoted);
	check_is($name, $quoted, '', "$schema: nothing at 0013");
	foreach my $revision (reverse 1 .. 12)
	{
		my $id = sprintf '%04d', $revision;
		is( $node->safe_psql($name,
				"SET syncmaster.allow_destroy = on; "
				  . "SELECT $quoted.syncmaster_downgrade('$id')"),
			$id, "$schema: downgrade to $id");
		check_is($name, $quoted, '', "$schema: nothing at $id");
	}
	foreach my $revision (2 .. 13)
	{
		my $id = sprintf '%04d', $revision;
		$node->safe_psql($name, "SELECT $quoted.syncmaster_upgrade('$id')");
		check_is($name, $quoted, '', "$schema: nothing at $id again");
	}
}
is($node->safe_psql('in_public', sprintf $rows, 'public'),
	'', 'public: not even information at head');
is($node->safe_psql('in_etl', sprintf $rows, 'etl'),
	'info|schema|etl|is not searched by default by the tables\' owner',
	'etl: the search_path is for information');
$node->safe_psql('in_etl', 'ALTER DATABASE in_etl SET search_path = etl, public');
is($node->safe_psql('in_etl', sprintf $rows, 'etl'), '', '... until it is set');

# Whoever upgrades tables that differ is told so, and once.
$node->safe_psql('in_public', 'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer');
foreach my $sql (
	'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster',
	q{SELECT syncmaster_downgrade('0011'); ALTER EXTENSION syncmaster UPDATE},
	q{SELECT syncmaster_downgrade('0012'); SELECT syncmaster_upgrade('head')},
	q{SELECT syncmaster_downgrade('0011'); SELECT syncmaster_upgrade('0012')},
	q{SELECT syncmaster_upgrade('head')},
	q{BEGIN; DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster; SELECT syncmaster_upgrade('head'); COMMIT},
	q{SELECT syncmaster_downgrade('0011'); ALTER EXTENSION syncmaster UPDATE TO '1.12'},
	q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster VERSION '1.11'},
	q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster VERSION '1.12'},
	q{ALTER EXTENSION syncmaster UPDATE})
{
	my ($rc, $out, $err) = $node->psql('in_public', $sql);
	my $revision = $sql =~ /'0012'\)$|'1\.1[12]'$/ ? '0012' : '0013';
	is("$rc$err", qq{0psql:<stdin>:1: WARNING:  the tables are not all as revision $revision makes them
DETAIL:  Differences: constraint "run.fk__run__transfer_id__transfer" is missing.
HINT:  SELECT * FROM syncmaster_check() lists all differences, with SQL that repairs them.},
		"$sql: a difference is told");
}
$node->safe_psql('in_public', 'SELECT FROM syncmaster_repair(false)');

# Rows that Celery made before 0009 did: new sequences begin behind them, and one that is
# there already is not set back.
$node->safe_psql('in_public', q{
	SET syncmaster.allow_destroy = on;
	SELECT syncmaster_downgrade('0008');
	SET ROLE app;
	CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE,
		status varchar(50), result bytea, date_done timestamp, traceback text,
		name varchar(155), args bytea, kwargs bytea, worker varchar(155), retries integer,
		queue varchar(155));
	INSERT INTO celery_taskmeta (id, task_id) VALUES (70, 'made by Celery');
	CREATE TABLE celery_tasksetmeta (id integer PRIMARY KEY, taskset_id varchar(155) UNIQUE,
		result bytea, date_done timestamp);
	INSERT INTO celery_tasksetmeta (id) VALUES (5);
	CREATE SEQUENCE taskset_id_sequence START 900});
is(($node->psql('in_public', q{SELECT syncmaster_upgrade('head')}))[2], '',
	'Celery was there first: nothing is behind');
is($node->safe_psql('in_public', q{
	SELECT nextval('task_id_sequence') || ' ' || nextval('taskset_id_sequence')}), '71 900',
	'Celery was there first: ids go on');
is($node->safe_psql('in_public', q{
	DROP EXTENSION syncmaster; DROP SEQUENCE task_id_sequence; CREATE EXTENSION syncmaster;
	SELECT nextval('task_id_sequence')}), '71', 'a sequence that was missing goes on');
is(($node->psql('in_public', 'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster'))[2], '',
	'nothing is told after a repair');

# Without an index that leads to the highest id, and with one in which nulls are last.
$node->safe_psql('postgres', 'CREATE DATABASE no_key TEMPLATE in_public OWNER app');
is($node->safe_psql('no_key', qq{
	SET client_min_messages = error;
	DROP EXTENSION syncmaster;
	ALTER TABLE celery_taskmeta DROP CONSTRAINT celery_taskmeta_pkey, ALTER id DROP NOT NULL;
	INSERT INTO celery_taskmeta (id) VALUES (91), (80), (NULL);
	$_;
	DROP SEQUENCE task_id_sequence;
	CREATE EXTENSION syncmaster;
	DELETE FROM celery_taskmeta WHERE id IS DISTINCT FROM 70;
	SELECT nextval('task_id_sequence');
	ALTER TABLE celery_taskmeta ADD CONSTRAINT celery_taskmeta_pkey PRIMARY KEY (id)}), '92', "ids go on: $_")
  foreach 'SELECT', 'CREATE INDEX ON celery_taskmeta (id)';

# Dump and restore ----------------------------------------------------------------

create_database($node, 'source', 'app');
$node->safe_psql('source', "CREATE EXTENSION syncmaster VERSION '1.11'");
fill_tables($node, 'source');
foreach my $version ('1.11', '1.13')
{
	my $target = 'restored_' . $version =~ tr/./_/r;

	$node->safe_psql('source', "ALTER EXTENSION syncmaster UPDATE TO '$version'");
	check_is('source', 'public', '', "$version: nothing before the dump");
	create_database($node, $target, 'app');
	my $dump = dump_text('source');
	$node->safe_psql($target, $dump);

	# A dump does not name the version, so the default one is installed.
	check_is(
		$target, 'public',
		$version eq '1.11'
		? 'error|revision|alembic_version|is behind the extension'
		: '',
		"$version: after a restore");
}

sub dump_text
{
	my ($database) = @_;
	my ($rc, $stdout, $stderr) = run_command_on($node, 'pg_dump', $database);
	die $stderr if $rc != 0;
	return $stdout;
}

is( $node->safe_psql('restored_1_11',
		q{SELECT expected, actual, fix FROM syncmaster_check()
			WHERE object_type = 'revision'}),
	q{0013|0011|SELECT public.syncmaster_upgrade('head')},
	'the way out is named');
like($node->safe_psql('restored_1_11', 'SELECT syncmaster_full_version()'),
	qr/the schema is behind the extension: run SELECT syncmaster_upgrade/,
	'syncmaster_full_version() says the same');
is($node->safe_psql('restored_1_11', q{SELECT public.syncmaster_upgrade('head')}),
	'0013', 'one call repairs it');
check_is('restored_1_11', 'public', '', '... wholly');

# A database created by SyncMaster 0.2.0 ---------------------------------------------

$node->safe_psql(
	'source', q{
	CREATE DATABASE born TEMPLATE in_public OWNER app});
$node->safe_psql(
	'born', q{
	ALTER TABLE connection ALTER COLUMN type TYPE varchar(23);
	DROP INDEX ix_syncmaster__group_search_vector;
	ALTER TABLE "group" DROP COLUMN search_vector;
	ALTER TABLE "group" ALTER COLUMN name TYPE varchar(256);
	ALTER TABLE "group" ADD COLUMN search_vector tsvector NOT NULL
		GENERATED ALWAYS AS (to_tsvector('russian', coalesce(name, ''))
			|| to_tsvector('simple', coalesce(name, ''))
			|| to_tsvector('simple', translate(coalesce(name, ''), './-_:\\',
				'      '))) STORED;
	SELECT syncmaster_create_indexes()});
is( $node->safe_psql('born',
		q{SELECT severity, object_name, expected, actual FROM syncmaster_check()}),
	"warning|connection.type|character varying(32)|character varying(23)\n"
	  . 'info|group.name|character varying(128)|character varying(256)',
	'of a database created by 0.2.0, the two widths');
is( $node->safe_psql('born',
		'SELECT action, object_name, why FROM syncmaster_repair(false)'),
	'done|connection.type|', 'the narrower one is widened');
is( $node->safe_psql('born',
		q{SELECT severity, object_name, actual FROM syncmaster_check()}),
	'info|group.name|character varying(256)', 'the wider one stays');

# What no service notices ------------------------------------------------------------

my @harmless = (
	[ 'CREATE INDEX mine ON run (ended_at)', 'index|mine|is extra' ],
	[
		'CREATE INDEX mine ON run (lower(status)) WHERE id > 3',
		'index|mine|is extra'
	],
	[ 'ALTER INDEX ix__run__status SET (fillfactor = 70)', '' ],
	[ 'ALTER INDEX idx_transfer_search_vector SET (fastupdate = off)', '' ],
	[ 'ALTER TABLE run SET (fillfactor = 80)', '' ],
	[ 'ALTER TABLE run ALTER COLUMN transfer_dump SET STORAGE external', '' ],
	[ 'ALTER TABLE run REPLICA IDENTITY FULL; CLUSTER run USING pk__run', '' ],
	[ 'ALTER TABLE run ADD COLUMN note text', 'column|run.note|is extra' ],
	[
		'ALTER TABLE run ADD COLUMN note integer NOT NULL DEFAULT 0',
		'column|run.note|is extra'
	],
	[
		'ALTER TABLE run DROP COLUMN log_url, ADD COLUMN log_url varchar(512)',
		'table|run|has its columns in another order'
	],
	[
		'ALTER TABLE "user" ALTER COLUMN is_active SET DEFAULT true',
		'column|user.is_active|has a default'
	],
	[ 'CREATE VIEW mine AS SELECT id FROM run', 'view|mine|is extra' ],
	[ 'CREATE TABLE mine (id int)', 'table|mine|is extra' ],
	[ 'CREATE SEQUENCE mine', 'sequence|mine|is extra' ],
	[ 'CREATE TABLE mine (id serial)', 'table|mine|is extra' ],
	[
		'GRANT SELECT, INSERT ON run TO reader',
		'table|run|is granted to another role'
	],
	[
		'GRANT SELECT (id) ON run TO PUBLIC',
		'table|run|is granted to another role'
	],
	[ q{COMMENT ON TABLE run IS 'x'}, 'comment|run|is extra' ],
	[ q{COMMENT ON COLUMN run.id IS 'x'}, 'comment|run.id|is extra' ],
	[ 'ALTER SEQUENCE run_id_seq CACHE 20', 'sequence|run_id_seq|has a cache' ],
	[
		'DROP INDEX ix_syncmaster__group_search_vector',
		'index|ix_syncmaster__group_search_vector|'
		  . 'is an extra index of the extension, and missing'
	],
	[
		'DROP INDEX ix_syncmaster__group_search_vector; '
		  . 'CREATE INDEX ix_syncmaster__group_search_vector ON "group" (id)',
		'index|ix_syncmaster__group_search_vector|'
		  . q{is not the extension's extra index of that name, or not valid}
	],
	[
		join('; ',
			map { "ALTER TABLE celery_taskmeta DROP COLUMN $_" }
			  qw(name args kwargs worker retries queue)),
		join("\n",
			map {
				"column|celery_taskmeta.$_|"
				  . 'is missing, as Celery without extended results leaves it'
			} qw(name args kwargs worker retries queue))
	],
	[
		q{INSERT INTO run (id, transfer_id, status, type, transfer_dump)
			VALUES (nextval('run_id_seq'), 1, 'CREATED', 'MANUAL', '{}')},
		''
	],
	[ 'TRUNCATE run', '' ],
	[ 'DELETE FROM run', '' ]);

# All tables but the first were made anew on the way up.
$node->safe_psql('in_public', 'TRUNCATE "user" RESTART IDENTITY CASCADE');
fill_tables($node, 'in_public');
foreach my $test (@harmless)
{
	my ($sql, $want) = @$test;

	is( $node->safe_psql('in_public', "BEGIN; $sql; "
			  . 'SELECT severity, object_type, object_name, problem '
			  . 'FROM syncmaster_check(); ROLLBACK'),
		join("\n", map { "info|$_" } split /\n/, $want),
		'information at most: ' . $sql =~ s/\s+/ /gr);
}

# Celery 5.6 makes its indexes on date_done with its tables, before 0013.
$node->safe_psql('in_public', q{SELECT syncmaster_downgrade('0012');
	CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done);
	CREATE INDEX ix_celery_tasksetmeta_date_done
		ON celery_tasksetmeta (date_done)});
is( $node->safe_psql('in_public', sprintf $rows, 'public'),
	'info|extension|syncmaster|is older than the library',
	'indexes that Celery made before 0013');
$node->safe_psql('in_public', q{SELECT syncmaster_upgrade('head')});

# Roles of few rights -----------------------------------------------------------------

my ($rc, $stdout, $stderr) =
  run_sql($node, 'in_public', 'stranger', sprintf $rows, 'public');
is("$rc $stderr", '0 ', 'anybody may check');
is( $stdout,
	join('',
		map {
			"info|sequence|$_|was not compared with the highest id, which you "
			  . "may not read\n"
		} qw(user_id_seq group_id_seq queue_id_seq connection_id_seq
		  transfer_id_seq run_id_seq task_id_sequence taskset_id_sequence)),
	'... and is told what could not be compared');
($rc, $stdout, $stderr) =
  run_sql($node, 'in_public', 'stranger', 'SELECT * FROM syncmaster_repair()');
is("$rc $stderr",
	"1 ERROR:  permission denied for function syncmaster_repair\n",
	'nobody but an administrator may repair');
($rc, $stdout, $stderr) = run_sql($node, 'in_public', 'app', sprintf $rows, 'public');
is("$rc $stdout$stderr", '0 ', 'the owner sees it all');

# What is out of step, or cannot be -----------------------------------------------------

is( $node->safe_psql('in_public', q{BEGIN;
		UPDATE pg_extension SET extversion = '1.99' WHERE extname = 'syncmaster';
		SELECT severity, object_name, problem, actual FROM syncmaster_check();
		ROLLBACK}),
	'error|syncmaster|is newer than the library that the server has loaded|1.99',
	'a library older than the extension');
($rc, $stdout, $stderr) = run_sql($node, 'in_public', undef, q{BEGIN;
	UPDATE pg_extension SET extversion = '1.99' WHERE extname = 'syncmaster';
	SELECT syncmaster_repair(false)});
like($stderr,
	qr/extension "syncmaster" is at version 1\.99, which library version \S+ does not know\nHINT:  Install the package of syncmaster 1\.99 and reconnect, or run ALTER EXTENSION syncmaster UPDATE\./,
	'... does not touch the schema');
($rc, $stdout, $stderr) = run_sql($node, 'in_public', undef, q{BEGIN;
	CREATE FUNCTION f(OUT severity text, OUT object_type text)
		RETURNS SETOF record AS '$libdir/syncmaster', 'syncmaster_check' LANGUAGE c;
	DROP INDEX ix__run__status;
	SELECT f()});
like($stderr,
	qr/the extension's function returns 2 columns, but the library's returns 7\nHINT:  Run ALTER EXTENSION syncmaster UPDATE\./,
	'a library newer than the function');
($rc, $stdout, $stderr) =
  run_sql($node, 'in_public', undef, 'SELECT syncmaster_repair(NULL)');
like($stderr, qr/dry_run must not be null/, 'dry_run must not be null');
create_database($node, 'empty', 'app');
$node->safe_psql('empty', q{SET syncmaster.restoring = on; CREATE EXTENSION syncmaster});
is( $node->safe_psql('empty', sprintf $rows, 'public'),
	'error|schema|public|has no tables of SyncMaster', 'no tables at all');

# Repair says what it does -----------------------------------------------------------

$node->safe_psql('in_public', q{
	CREATE DATABASE broken TEMPLATE in_public OWNER app});
$node->safe_psql('broken', q{
	DROP INDEX ix__run__status;
	ALTER TABLE run ADD CONSTRAINT mine CHECK (id > 0);
	ALTER TABLE transfer ALTER COLUMN resources DROP NOT NULL;
	UPDATE transfer SET resources = NULL WHERE id = 1});
is( $node->safe_psql('broken',
		'SELECT action, object_name, problem, why FROM syncmaster_repair() '
		  . 'ORDER BY action DESC, object_name'),
	"planned|ix__run__status|is missing|\n"
	  . "planned|transfer.resources|allows NULL|\n"
	  . 'left|run.mine|is extra|it was made by somebody who may still want it; '
	  . 'drop it yourself if not',
	'a dry run says what it would do');
is( $node->safe_psql('broken',
		q{SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info'}),
	3, '... and does nothing');
is( $node->safe_psql('broken',
		'SELECT action, object_name, problem, why FROM syncmaster_repair(false) '
		  . 'ORDER BY action, object_name'),
	"done|ix__run__status|is missing|\n"
	  . 'left|run.mine|is extra|it was made by somebody who may still want it; '
	  . "drop it yourself if not\n"
	  . 'left|transfer.resources|allows NULL|column "resources" of relation '
	  . '"transfer" contains null values',
	'repair says what it did and what it left, and why');
is( $node->safe_psql('broken',
		q{SELECT relowner::regrole FROM pg_class WHERE relname = 'ix__run__status'}),
	'app', 'what it makes is of the owner of the tables');

# The owner of the database may repair the tables of another role.  Each
# statement has that role's rights and no more.
$node->safe_psql('postgres', q{
	CREATE DATABASE kept TEMPLATE in_public OWNER writer});
$node->safe_psql('kept', q{
	GRANT EXECUTE ON FUNCTION syncmaster_repair(bool) TO writer;
	GRANT CREATE ON SCHEMA public TO app;
	DROP INDEX ix__run__status;
	SELECT setval('run_id_seq', 1);
	DROP SEQUENCE queue_id_seq CASCADE;
	CREATE SEQUENCE queue_id_seq INCREMENT 5;
	ALTER SEQUENCE queue_id_seq OWNER TO stranger});
($rc, $stdout, $stderr) = run_sql($node, 'kept', 'writer', q{
	SELECT action, object_name, problem, why FROM syncmaster_repair(false)
	WHERE problem <> 'may not be used by a role that it is for'
	ORDER BY 1, 2, 3});
is($stderr, '', 'the owner of the database repairs');
is( $stdout,
	"done|ix__run__status|is missing|\n"
	  . "done|queue.id|has no default|\n"
	  . "done|queue_id_seq|has other parameters|\n"
	  . "done|run_id_seq|is behind the highest id of its table|\n"
	  . 'left|queue_id_seq|has another owner than the other tables|'
	  . 'which role should own them is for you to say; see '
	  . "syncmaster_set_owner()\n"
	  . 'left|queue_id_seq|is behind the highest id of its table|'
	  . "permission denied for sequence queue_id_seq\n"
	  . 'left|queue_id_seq|is not owned by its column|'
	  . "sequence must have same owner as table it is linked to\n",
	'... as far as the rights of its owner go');

# The owner of the tables alone has no business with what belongs to others.
$node->safe_psql('kept', q{
	GRANT EXECUTE ON FUNCTION syncmaster_repair(bool) TO app;
	ALTER SEQUENCE queue_id_seq INCREMENT 7});
($rc, $stdout, $stderr) = run_sql($node, 'kept', 'app', q{
	SELECT action, object_name, why FROM syncmaster_repair(false)
	WHERE problem = 'has other parameters'});
is( $stdout,
	"left|queue_id_seq|"
	  . qq(role "app" may not change "queue_id_seq" of role "stranger"\n),
	'the owner of the tables repairs nothing of another role');

# Somebody holds a lock.
$node->safe_psql('broken', 'DROP INDEX ix__run__type');
my $holder = begin_session($node, 'broken', undef, 'BEGIN; LOCK TABLE run;');
($rc, $stdout, $stderr) = run_sql($node, 'broken', undef,
	q{SET syncmaster.lock_timeout = '100ms'; SELECT * FROM syncmaster_check()});
like($stderr,
	qr/could not lock table "run" within 100 ms\nDETAIL:  It is locked by process \d+/,
	'the check waits no longer than it may, and says for whom');
in_session($holder, 'ROLLBACK; BEGIN; LOCK TABLE run IN ROW EXCLUSIVE MODE;');
($rc, $stdout, $stderr) = run_sql($node, 'broken', undef,
	q{SET syncmaster.lock_timeout = '100ms';
	SELECT * FROM syncmaster_repair(false)});
like($stderr, qr/could not lock table "run" within 100 ms/, 'so does the repair');
end_session($holder);
is( $node->safe_psql('broken',
		'SELECT action, object_name FROM syncmaster_repair(false) '
		  . q{WHERE action = 'done'}),
	'done|ix__run__type', '... and does it later');

done_testing();
