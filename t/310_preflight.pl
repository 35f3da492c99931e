# Everything that blocks an upgrade is found before, and what is
# found as an error does make the upgrade fail.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use OtherInstallation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SmallDisk;
use Test::More;

my $node = new_server('preflight', allows_streaming => 'logical');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->restart;
create_roles($node);
create_database($node, 'source', 'app');
$node->safe_psql('source', <<'SQL');
ALTER SCHEMA public OWNER TO app;
SET ROLE app;
CREATE EXTENSION syncmaster VERSION '1.11';
SQL
fill_tables($node, 'source');
$node->safe_psql('source', "UPDATE run SET status = 'FINISHED'");

my $databases = 0;

sub new_database
{
	my ($sql) = @_;
	my $db = 'checked' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	$node->safe_psql($db, $sql) if defined $sql;
	return $db;
}

sub preflight
{
	my ($db, %params) = @_;
	my $set = $params{set} // '';
	my ($rc, $out, $err) = run_sql($params{node} // $node, $db, $params{role},
		"$set SELECT * FROM syncmaster_preflight()");
	is($err, '', "$db: preflight works");
	return $out;
}

sub upgrade
{
	my ($db, %params) = @_;
	my $set = $params{set} // 'SET syncmaster.lock_timeout = 100;';
	my ($rc, $out, $err) =
	  run_sql($node, $db, $params{role}, "SET syncmaster.progress = off; $set SELECT syncmaster_upgrade('head')");
	return $err;
}

# Go: nothing but what is good to know.
my $db = new_database();
my $out = preflight($db);
unlike($out, qr/^(?!info)/m, 'nothing above info on a right database');
like(
	$out,
	qr/^info\|disk\|rewritten tables in tablespace "pg_default".* take about \d+ kB until the upgrade ends; [^|]* are free\|/m,
	'the disk space that it takes');
is(upgrade($db), '', 'and it can be upgraded');
$out = preflight($db);
is( $out,
	"info|target|schema \"public\" is at revision 0013 already, and nothing is missing|Nothing is to be done.\n",
	'and then there is nothing to do');

# Each makes the upgrade fail: what is done to the database, the row of the
# preflight, the error of the upgrade.
foreach my $case (
	[
		'CREATE VIEW v AS SELECT search_vector FROM transfer',
		qr/^error\|dependency\|rule _RETURN on view public\.v depends on column "search_vector" of table "transfer"\|Drop it before/m,
		qr/cannot drop column search_vector .* because other objects depend on it\n(?:.*\n)*HINT: +Keep the definitions of these objects/
	],
	[
		'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
		 CREATE TRIGGER t AFTER UPDATE OF search_vector ON queue EXECUTE FUNCTION f()',
		qr/^error\|dependency\|trigger t on table public\.queue depends on column "search_vector" of table "queue"\|Drop it before/m,
		qr/cannot drop column search_vector .* because other objects depend/
	],
	[
		'CREATE VIEW v AS SELECT search_vector FROM transfer;
		 CREATE VIEW w AS SELECT * FROM v; CREATE MATERIALIZED VIEW m AS SELECT * FROM w;
		 CREATE FUNCTION f(x v) RETURNS int LANGUAGE sql AS $$SELECT 1$$;
		 CREATE FUNCTION g(x m[]) RETURNS int LANGUAGE sql AS $$SELECT 1$$;
		 CREATE TABLE h (y w)',
		qr/(?=.*^error\|dependency\|column y of table public\.h depends on type public\.w, and with it on column "search_vector" of table "transfer"\|Drop it before)(?=.*^error\|dependency\|function public\.f\(public\.v\) depends on type public\.v, and)(?=.*^error\|dependency\|function public\.g\(public\.m\[\]\) depends on type public\.m\[\], and)(?=.*^error\|dependency\|rule _RETURN on materialized view public\.m depends on view public\.w, and)(?=.*^error\|dependency\|rule _RETURN on view public\.w depends on view public\.v, and)/ms,
		qr/cannot drop column search_vector .* because other objects depend/
	],
	[
		'CREATE POLICY p ON queue USING (search_vector IS NOT NULL)',
		qr/^error\|dependency\|policy p on table public\.queue depends on column "search_vector"/m,
		qr/cannot drop column search_vector/
	],
	[
		'DROP INDEX idx_transfer_search_vector;
		 CREATE INDEX idx_transfer_search_vector ON run (id)',
		qr/^error\|index\|relation "idx_transfer_search_vector" is there already, and is not the index that is to be made: To be made is: CREATE INDEX idx_transfer_search_vector\s/m,
		qr/relation "idx_transfer_search_vector" is there already, and is not the index that is to be made/
	],
	[
		'CREATE TABLE parent (name varchar(128) NOT NULL,
			search_vector tsvector NOT NULL GENERATED ALWAYS AS
				(to_tsvector($$english$$::regconfig, name)) STORED);
		 ALTER TABLE queue INHERIT parent',
		qr/^error\|dependency\|column "search_vector" of table "queue" is inherited from table public\.parent\|ALTER TABLE public\.queue NO INHERIT public\.parent\.$/m,
		qr/cannot drop inherited column "search_vector"/
	],
	[
		'CREATE TABLE snapshots (taken connection[])',
		qr/^error\|dependency\|column "taken" of table public\.snapshots is of the row type of table "connection"\|Drop that column/m,
		qr/cannot alter table "connection" because column "snapshots.taken" uses its row type/
	],
	[
		'CREATE TYPE holding AS (held connection); CREATE DOMAIN kept AS holding;
		 CREATE TABLE snapshots (taken kept)',
		qr/^error\|dependency\|column "taken" of table public\.snapshots is of the row type of table "connection"\|Drop that column/m,
		qr/cannot alter table "connection" because column "snapshots.taken" uses its row type/
	],
	[
		'ALTER TABLE queue DROP COLUMN search_vector',
		qr/^error\|schema\|column "search_vector" of table "public.queue" is missing\|/m,
		qr/column "search_vector" of table "public.queue" is missing/
	],
	[
		'ALTER SCHEMA public OWNER TO CURRENT_USER;
		 GRANT CREATE ON SCHEMA public TO app;
		 REVOKE USAGE ON SCHEMA public FROM app, PUBLIC',
		qr/^error\|rights\|role "app" lacks USAGE on schema "public"\|GRANT USAGE ON SCHEMA public TO app\.$/m,
		qr/role "app" lacks USAGE on schema "public"/
	],
	[
		'DROP TABLE syncmaster_history.migration;
		 CREATE TABLE syncmaster_history.migration (note text)',
		qr/^error\|history\|relation "syncmaster_history\.migration" is not the history table of extension "syncmaster"\|/m,
		qr/relation "syncmaster_history\.migration" is not the history table/
	],
	[
		'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN RETURN NEW; END$$;
		 ALTER FUNCTION f() OWNER TO writer;
		 CREATE TRIGGER t BEFORE INSERT ON syncmaster_history.migration
			FOR EACH ROW EXECUTE FUNCTION f()',
		qr/^error\|trigger\|trigger "t" of table "migration" may run another role's code: /m,
		qr/trigger "t" of table "migration" may run another role's code/
	],
	[
		'CREATE FUNCTION g() RETURNS boolean LANGUAGE sql AS $$SELECT true$$;
		 ALTER FUNCTION g() OWNER TO writer;
		 CREATE TRIGGER t BEFORE UPDATE ON alembic_version FOR EACH ROW
			WHEN (g()) EXECUTE FUNCTION suppress_redundant_updates_trigger()',
		qr/^error\|trigger\|trigger "t" of table "alembic_version" may run another role's code: /m,
		qr/trigger "t" of table "alembic_version" may run another role's code/
	],
	[
		"UPDATE pg_extension SET extversion = '1.99' WHERE extname = 'syncmaster'",
		qr/^error\|library\|extension "syncmaster" is at version 1\.99, which library version 1\.13 does not know\|Install the package of syncmaster 1\.99/m,
		qr/extension "syncmaster" is at version 1\.99, which library version 1\.13 does not know/
	],
	# IF NOT EXISTS would be content with each of these
	(
		map {
			[
				$_,
				qr/^error\|index\|relation "ix_celery_taskmeta_date_done" is there already, and is not the index that is to be made: [^|]*\|Drop it, or give it another name: ALTER TABLE public\.ix_celery_taskmeta_date_done RENAME TO ix_celery_taskmeta_date_done_other\.$/m,
				qr/relation "ix_celery_taskmeta_date_done" is there already, and is not the index that is to be made\n.*HINT:  Drop it, or give it another name/s
			]
		} (
			'CREATE TABLE ix_celery_taskmeta_date_done (id int)',
			'CREATE INDEX ix_celery_taskmeta_date_done ON run (status)',
			'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done DESC)',
			'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done, id)',
			'UPDATE celery_taskmeta SET date_done = NULL;
			 CREATE UNIQUE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done)',
			'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done) WHERE id > 1',
			'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta USING hash (date_done)',
			'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (status)',
		)
	),
	[
		'ALTER TABLE run DROP COLUMN status',
		qr/^error\|schema\|column "status" of table "public.run" is missing\|Add it with type character varying/m,
		qr/column "status" of table "public.run" is missing/
	],
	[
		'ALTER TABLE run ALTER COLUMN status TYPE text; DROP TABLE auth_data',
		qr/^error\|schema\|table "public.auth_data" is missing, although the schema is at revision 0011\|.*\nerror\|schema\|column "status" of table "public.run" is of type text instead of character varying\|/m,
		qr/table "public.auth_data" is missing/
	],
	[
		"UPDATE alembic_version SET version_num = '0099'",
		qr/^error\|alembic_version\|schema "public" is at revision 0099, but this library knows revisions up to 0013\|Install a newer package/m,
		qr/is at revision 0099/
	],
	[
		"UPDATE alembic_version SET version_num = '478240cdad4b'",
		qr/^error\|alembic_version\|schema "public" was made by SyncMaster 0.1.x \(revision 478240cdad4b\): SyncMaster has no migration/m,
		qr/was made by SyncMaster 0.1.x/
	],
	[
		"UPDATE alembic_version SET version_num = '0012'",
		qr/^error\|schema\|the search vectors of "group", "queue", "connection", "transfer" are those of revision 0011, although schema "public" is at revision 0012\|.*"syncmaster-db stamp 0011"/m,
		qr/the search vectors of .* are those of revision 0011/
	],
	[
		"UPDATE alembic_version SET version_num = '0013'",
		qr/^error\|schema\|the search vectors of .* are those of revision 0011, although schema "public" is at revision 0013\|/m,
		qr/the search vectors of .* are those of revision 0011/
	],
	[
		"INSERT INTO alembic_version VALUES ('0012')",
		qr/^error\|alembic_version\|table "public.alembic_version" has more than one row\|/m,
		qr/has more than one row/
	],
	[
		'DELETE FROM alembic_version',
		qr/^error\|schema\|table "public.user" exists, but table "alembic_version" has no row\|/m,
		qr/has no row/
	],
	[
		'REVOKE CREATE ON SCHEMA public FROM PUBLIC, app;
		 ALTER SCHEMA public OWNER TO CURRENT_USER;
		 REVOKE CREATE ON SCHEMA public FROM app',
		qr/^error\|rights\|role "app" lacks CREATE on schema "public": The tables belong to that role.*\|GRANT CREATE ON SCHEMA public TO app/m,
		qr/role "app" lacks CREATE on schema "public"/
	],
	[
		'DROP EXTENSION pg_trgm CASCADE;
		 CREATE FUNCTION similarity(text, text) RETURNS real LANGUAGE sql
			AS $$SELECT 0::real$$',
		qr/^error\|pg_trgm\|function public\.similarity\(text,text\) is there without extension "pg_trgm"\|/m,
		qr/function "similarity" already exists/
	],
	[
		'CREATE TABLE child () INHERITS (connection);
		 ALTER TABLE child OWNER TO writer',
		qr/^error\|child table\|table public\.child inherits from table "connection"\|It is locked/m,
		qr/table "child" is not trusted by role "app"/
	],
	[
		'CREATE RULE r AS ON UPDATE TO alembic_version DO INSTEAD NOTHING',
		qr/^warning\|rule\|rule "r" on table "alembic_version" is not SyncMaster's\|It may keep the revision from being written/m,
		qr/could not write revision 0012/
	],
	[
		'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN RETURN NULL; END$$;
		 CREATE TRIGGER t BEFORE UPDATE ON alembic_version FOR EACH ROW
			EXECUTE FUNCTION f()',
		qr/^warning\|trigger\|trigger "t" on table "alembic_version" is not SyncMaster's\|It runs when the revision is written/m,
		qr/could not write revision 0012/
	],
	[
		'CREATE POLICY p ON alembic_version USING (false);
		 ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY,
			FORCE ROW LEVEL SECURITY',
		qr/^error\|policy\|policy "p" on table "alembic_version" is not SyncMaster's\|It keeps the revision from being written: ALTER TABLE public\.alembic_version NO FORCE/m,
		qr/query would be affected by row-level security policy/
	],
	[
		'CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql
			AS $$BEGIN RAISE \'no DDL today\'; END$$;
		 CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION no()',
		qr/^warning\|event trigger\|event trigger "e" fires on ddl_command_start\|/m,
		qr/no DDL today/
	],
	[
		"BEGIN; LOCK TABLE queue IN SHARE MODE; PREPARE TRANSACTION 'x'",
		qr/^warning\|lock\|table "queue", which needs AccessExclusiveLock, is locked by prepared transaction "x" of user .*\|The upgrade would wait for at most 100 ms, and then fail\.$/m,
		qr/could not lock table "queue" within 100 ms/,
		qr/^warning\|prepared transaction\|transaction "x" of user/m,
	])
{
	my ($sql, $row, $error, $other_row) = @$case;
	my $err;

	# in a transaction that is rolled back, unless it prepares one of its own
	if ($sql =~ /PREPARE/)
	{
		$db = new_database($sql);
		$out = preflight($db, set => 'SET syncmaster.lock_timeout = 100;');
		$err = upgrade($db);
		$node->safe_psql($db, "ROLLBACK PREPARED 'x'");
	}
	else
	{
		(undef, $out, $err) = run_command_on($node, 'psql', '-XAtq', '-v',
			'ON_ERROR_STOP=1', '-d', 'source',
			map { ('-c', $_) } 'BEGIN', 'SET LOCAL client_min_messages = warning', $sql,
			'SELECT * FROM syncmaster_preflight()', q{SELECT syncmaster_upgrade('head')});
	}
	like($out, $row, "found: $sql");
	like($out, $other_row, "found as well: $sql") if defined $other_row;
	like($err, $error, "and it makes the upgrade fail: $sql");
}

# Worth knowing: the upgrade does go through.
$db = new_database(<<'SQL');
CREATE INDEX dba_index ON queue USING gin (search_vector);
CREATE STATISTICS dba_statistics ON name, search_vector FROM queue;
ALTER TABLE queue ADD CONSTRAINT dba_check CHECK (search_vector IS NOT NULL);
CREATE INDEX dba_other ON queue (name);
ALTER INDEX idx_transfer_search_vector SET (fastupdate = off, gin_pending_list_limit = 128);
COMMENT ON INDEX idx_transfer_search_vector IS 'it''s mine';
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER t BEFORE UPDATE ON run FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE r AS ON INSERT TO run DO ALSO NOTHING;
CREATE POLICY p ON "user" USING (true);
ALTER TABLE "user" ADD COLUMN upper_name text
	GENERATED ALWAYS AS (upper(username)) STORED;
CREATE TABLE child () INHERITS (run);
ALTER TABLE child OWNER TO app;
CREATE INDEX ix_syncmaster__run_transfer_id_created_at ON run (id);
CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done);
UPDATE pg_index SET indisvalid = false
	WHERE indexrelid = 'ix_celery_taskmeta_date_done'::regclass;
UPDATE run SET status = 'STARTED' WHERE id < 8;
UPDATE run SET status = 'CREATED' WHERE id > 288;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION two FOR TABLE run, transfer;
SQL
$out = preflight($db, set => "SET statement_timeout = '1h';");
unlike($out, qr/^error/m, 'no error');
foreach my $row (
	qr/^warning\|session\|statement_timeout is 1h\|/m,
	qr/^warning\|run\|runs are active: 2 CREATED, 7 STARTED\|Wait for them to end/m,
	qr/^warning\|dependency\|index (?:public\.)?dba_index depends on column "search_vector" of table "queue"\|It is dropped with that column/m,
	qr/^warning\|dependency\|statistics object (?:public\.)?dba_statistics depends on column "search_vector" of table "queue"\|It is dropped with that column/m,
	qr/^warning\|dependency\|constraint dba_check on table (?:public\.)?queue depends on column "search_vector"/m,
	qr/^warning\|index\|index "idx_transfer_search_vector" of table "transfer" has settings of its own\|They are dropped with column "search_vector"\. After the upgrade: ALTER INDEX public\.idx_transfer_search_vector SET \(fastupdate = 'off', gin_pending_list_limit = '128'\); COMMENT ON INDEX public\.idx_transfer_search_vector IS 'it''s mine'$/m,
	qr/^info\|trigger\|trigger "t" on table "run" is not SyncMaster's\|It stays/m,
	qr/^info\|rule\|rule "r" on table "run" is not SyncMaster's\|It stays/m,
	qr/^info\|policy\|policy "p" on table "user" is not SyncMaster's\|It stays/m,
	qr/^info\|column\|generated column "upper_name" of table "user" is not/m,
	qr/^warning\|child table\|table (?:public\.)?child inherits from table "run"\|/m,
	qr/^warning\|index\|relation "ix_syncmaster__run_transfer_id_created_at" is not the extra index of that name, or is not valid: Expected is: /m,
	qr/^warning\|index\|index "ix_celery_taskmeta_date_done" of table "celery_taskmeta" is not valid\|/m,
	qr/^warning\|publication\|publication "everything" has \d+ of SyncMaster's tables, and public\.alembic_version, syncmaster_history\.migration\|.* BEGIN; DROP PUBLICATION everything; CREATE PUBLICATION everything FOR TABLE /m,
	qr/^info\|publication\|publication "two" has 2 of SyncMaster's tables\|Upgrade the subscriber first/m,
  )
{
	like($out, $row, "found: $row");
}
unlike($out, qr/dba_other|idx_(?!transfer_search_vector)|pg_trgm/, 'what does no harm is not found');
my @order = $out =~ /^(error|warning|info)\|/mg;
is_deeply(
	\@order,
	[
		(grep { $_ eq 'error' } @order), (grep { $_ eq 'warning' } @order),
		(grep { $_ eq 'info' } @order)
	],
	'the worst comes first');
my ($rc, $err);
$err = upgrade($db);
unlike($err, qr/ERROR/, 'the upgrade goes through') or diag $err;
is( $node->safe_psql(
		$db, "SELECT (SELECT count(*) FROM pg_class WHERE relname = 'dba_index'),
			(SELECT count(*) FROM pg_statistic_ext)"),
	'0|0',
	'the index and the statistics are gone, as foretold');

# A revision that the tables are not at.  CREATE EXTENSION and its updates refuse
# it, and say what to do, which is done here; metrics and version do not agree.
$db = new_database(q{UPDATE alembic_version SET version_num = '0013'});
like($node->safe_psql($db, 'SELECT syncmaster_full_version()'),
	qr/; the tables are not at that revision: syncmaster_check\(\) says/,
	'a stamp that is not true: the version says so');
is( $node->safe_psql($db, q{
		SELECT value FROM syncmaster_metrics WHERE name = 'syncmaster_schema_in_step'}),
	0, '... and the metric');
foreach my $sql (
	q{ALTER EXTENSION syncmaster UPDATE},
	q{SELECT syncmaster_downgrade('0012')},
	q{SELECT syncmaster_upgrade_sql('head')},
	q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster})
{
	(undef, undef, my $refusal) = run_sql($node, $db, undef, $sql);
	like($refusal, qr/ERROR:  the search vectors of .* are those of revision 0011, although schema "public" is at revision 0013\nHINT:  .*"syncmaster-db stamp 0011"/,
		"... refused: $sql");
}
$node->safe_psql($db, q{SELECT syncmaster_stamp('0011'); SELECT syncmaster_upgrade('head')});
is(preflight($db), "info|target|schema \"public\" is at revision 0013 already, and nothing is missing|Nothing is to be done.\n",
	'... and the way out leads to head');

# One of the tables alone; and the other way round, which does no harm.
$node->safe_psql($db, q{ALTER TABLE queue RENAME COLUMN search_vector TO new_vector;
	ALTER TABLE queue ADD COLUMN search_vector tsvector
		GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name)) STORED NOT NULL});
my $refusal = upgrade($db);
like($refusal, qr/ERROR:  the search vectors of "queue" are those of revision 0011/,
	'one table of an older revision');
like($refusal, qr/HINT:  "syncmaster-db check" lists SQL/, '... and what to do');
$node->safe_psql($db, q{ALTER TABLE queue DROP COLUMN search_vector;
	ALTER TABLE queue RENAME COLUMN new_vector TO search_vector;
	UPDATE alembic_version SET version_num = '0011'});
like(preflight($db), qr/^warning\|schema\|the search vectors of .* are those of revision 0012, although schema "public" is at revision 0011\|An upgrade makes them again/m,
	'tables of a later revision: a warning');
like(upgrade($db), qr/\A[^\n]*WARNING:  the search vectors of .* are those of revision 0012, .*\nHINT: .*"syncmaster-db stamp 0012" before\.\n\z/,
	'... of the upgrade as well, which goes through');

# What is different, and does not stop the upgrade, is said as stamp would say it.
$node->safe_psql($db, 'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer');
like(preflight($db), qr/^warning\|schema\|constraint "run\.fk__run__transfer_id__transfer" is not as at revision 0013: it is missing\|SELECT \* FROM syncmaster_check\(\)/m,
	'a missing constraint');
my $locker = begin_session($node, $db, 'app', 'BEGIN; LOCK TABLE queue;');
like(preflight($db), qr/^warning\|schema\|the tables were not compared with revision 0013, because table "queue" is locked\|Ask again later\.$/m,
	'... and while a table is locked, that nothing was compared');
end_session($locker);

# An upgrade looks at the tables before it says that it is done: here, with an
# event trigger that changes one when the last step runs.
$db = new_database(q{
	CREATE FUNCTION rename() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
		IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.transfer'::regclass
				AND attname = 'schedule')
		THEN ALTER TABLE public.transfer RENAME COLUMN schedule TO renamed; END IF;
	END$$;
	CREATE EVENT TRIGGER rename ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
		EXECUTE FUNCTION rename()});
$node->safe_psql($db, q{ALTER EVENT TRIGGER rename DISABLE; SELECT syncmaster_upgrade('0012');
	ALTER EVENT TRIGGER rename ENABLE});
foreach my $sql (q{SELECT syncmaster_upgrade('head')}, 'ALTER EXTENSION syncmaster UPDATE')
{
	(undef, undef, my $error) = run_sql($node, $db, undef, $sql);
	like($error, qr/ERROR:  column "schedule" of table "public.transfer" is missing/,
		"the tables are looked at again: $sql");
}

# The same index with other storage, built before by somebody, is welcome.
$db = new_database('CREATE INDEX ix_celery_taskmeta_date_done
	ON celery_taskmeta (date_done) WITH (fillfactor = 70)');
unlike(preflight($db), qr/^(?!info)/m, 'an index of 0013 is there before');
is(upgrade($db), '', 'and it is taken');

# A step that was done, by Alembic perhaps, is no reason to fail: one that a
# DBA has to know of all the same.
$db = new_database();
is(upgrade($db), '', 'upgraded');
$node->safe_psql($db, <<'SQL');
DROP INDEX ix_celery_taskmeta_date_done, ix_celery_tasksetmeta_date_done;
CREATE TABLE ix_celery_taskmeta_date_done ();
SQL
is(preflight($db), '', 'preflight: nothing is in the way');
like(upgrade($db), qr/^(?:psql:\S+ )?WARNING:  relation "ix_celery_taskmeta_date_done" is there already/m,
	'a name that is taken is told');
is( $node->safe_psql($db, q{
		SELECT to_regclass('ix_celery_tasksetmeta_date_done') IS NOT NULL,
			string_agg(object_name, ' ')
		FROM syncmaster_check() WHERE severity <> 'info'}),
	't|ix_celery_taskmeta_date_done', 'the other one is made, and check tells');

# pg_trgm elsewhere, and not at all.
$db = new_database('CREATE SCHEMA ext; ALTER EXTENSION pg_trgm SET SCHEMA ext');
like(
	preflight($db),
	qr/^warning\|pg_trgm\|extension "pg_trgm" is in schema "ext"\|.* = public, ext\.$/m,
	'pg_trgm in a schema of its own');

# A column of the wrong kind in table run does not disturb.
$db = new_database('ALTER TABLE run ALTER COLUMN status TYPE text');
unlike(preflight($db), qr/\|run\|/, 'a status that cannot be read is left out');

# Rows with more text than a search vector can hold.
# In English, as at 0011, most of their words are the same.
$db = new_database(<<'SQL');
CREATE FUNCTION pg_temp.words(count int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(word || suffix, ' ')
	FROM (SELECT translate(md5(i::text), '0123456789', 'ghijklmnop')
		FROM generate_series(1, count) i) w(word), unnest('{ing,ed,s,ingly}'::text[]) suffix
$$;
UPDATE connection SET data = json_build_object('host', pg_temp.words(8000)) WHERE id = 7;
UPDATE connection SET data = json_build_object('host', pg_temp.words(2000)) WHERE id = 8;
UPDATE transfer SET source_params = json_build_object('table_name', host),
	target_params = json_build_object('directory_path', host)
	FROM pg_temp.words(8000) host WHERE id > 84;
SQL
my $long = qr/^error\|search_vector\|table "connection" has rows with more text than a search vector can hold: /m;
$out = preflight($db);
like($out, qr/${long}These have id 7\.\|Shorten what is searched of them \(columns name, data\), or delete them, and run the command again\.$/m,
	'a row with too much text is named');
like($out, qr/^error\|search_vector\|table "transfer" has [^|]*: The first of them have id 85, 86, 87, 88, 89, 90, 91, 92, 93, 94\.\|/m,
	'the first of many are');
unlike($out, qr/[a-p]{32}/, 'none of the text is shown');
like(preflight($db, role => 'stranger'), qr/${long}Their ids are shown to who may read the table\.\|/m,
	'a stranger is not told which');
$node->safe_psql($db, 'GRANT SELECT ON connection TO stranger;
	ALTER TABLE connection ENABLE ROW LEVEL SECURITY');
like(preflight($db, role => 'stranger'), qr/${long}Their ids are shown to/m,
	'nor one whom policies keep from the rows');
like(upgrade($db, role => 'app'), qr/ERROR:  table "connection" has rows with more text than a search vector can hold\nDETAIL:  These have id 7\.\nHINT:  Shorten/,
	'and the upgrade fails with the same words');
# Another error than that a vector is too long says nothing about its length.
($rc, undef, $err) = run_sql($node, $db, undef, q{
	ALTER TABLE connection DROP search_vector, ADD search_vector tsvector;
	UPDATE connection SET data = ('{"host": "\u0000' || repeat('a', 100000) || '"}')::json WHERE id = 8;
	SELECT 1 / (SELECT count(*) FROM connection WHERE length(data::text) > 100000);
	SELECT * FROM syncmaster_preflight()});
like($err, qr/ERROR:  unsupported Unicode escape sequence/,
	'text that cannot be read is not taken for long');
my $holder = begin_session($node, $db, 'app', 'BEGIN; LOCK TABLE connection IN ACCESS EXCLUSIVE MODE;');
like(preflight($db), qr/^warning\|search_vector\|rows with more text than a search vector can hold were not looked for, because table "connection" is locked\|Ask again later\.$/m,
	'a locked table is not waited for');
end_session($holder);

# Many runs without an index are not read.
$db = new_database(<<'SQL');
DROP INDEX ix__run__status;
UPDATE run SET status = 'STARTED' WHERE id < 3;
SQL
like(preflight($db), qr/^warning\|run\|runs are active: 2 STARTED\|/m,
	'a small table is read');
$node->safe_psql($db, <<'SQL');
ALTER TABLE run SET (fillfactor = 10);
ALTER TABLE run ALTER COLUMN transfer_dump SET STORAGE PLAIN;
INSERT INTO run (transfer_id, status, type, transfer_dump)
	SELECT 1, 'FINISHED', 'MANUAL', to_json(repeat('x', 5000))
	FROM generate_series(1, 10100);
SQL
like(
	preflight($db),
	qr/^warning\|run\|active runs were not counted, because no index on status of table "run" helps\|CREATE INDEX CONCURRENTLY ix__run__status ON public\.run \(status\)/m,
	'a large one is not');
is($node->safe_psql($db, q{SELECT hint FROM syncmaster_health() WHERE check_name = 'runs'}),
	'CREATE INDEX CONCURRENTLY ix__run__status ON public.run (status), and ask again.', 'nor by health()');
$node->safe_psql($db, 'CREATE INDEX ix__run__status ON run (status)');
like(preflight($db), qr/^warning\|run\|runs are active: 2 STARTED\|/m,
	'unless there is an index');

# Nothing that the owner of the tables planted in an index runs.
$db = new_database(<<'SQL');
SET ROLE app;
CREATE FUNCTION planted(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> 'app' THEN
		RAISE 'planted code ran as %', current_user;
	END IF;
	RETURN true;
END $$;
DROP INDEX ix__run__status;
CREATE INDEX dba_status ON run (status) WHERE planted(1);
CREATE INDEX dba_expression ON run ((planted(id::int)), status);
UPDATE run SET status = 'STARTED' WHERE id < 3;
SQL
like(
	preflight($db, set => 'SET syncmaster.guard = sessions;'),
	qr/^error\|run\|runs are active: 2 STARTED\|/m,
	'planted code does not run');
($rc, $out, $err) = run_sql($node, $db, undef,
	"SET syncmaster.guard = sessions; SELECT syncmaster_upgrade('head')");
like($err, qr/the database is in use\nDETAIL:  Runs: 2 STARTED\./,
	'nor when the guard looks');

# Other sessions.
my $session = begin_session($node, $db, 'app', 'SELECT 1;',
	application => 'worker 3');
like(
	preflight($db),
	qr/^warning\|session\|process \d+ \(user "app", application "worker 3", idle since [^)]+\) is connected and may write SyncMaster's tables\|If it is a service/m,
	'a session');
in_session($session, 'BEGIN; SELECT 1;');
like(
	preflight($db, set => 'SET syncmaster.guard = sessions;'),
	qr/^error\|session\|process \d+ [^|]* idle in transaction since [^|]*\|It has a transaction open/m,
	'an open transaction, with the guard');
like(
	preflight($db, set => 'SET syncmaster.lock_timeout = 1;'),
	qr/^warning\|transaction\|process \d+ \(user "app", application "worker 3", idle in transaction since [^)]+\) has had a transaction open for \d+ s\|If it uses SyncMaster's tables, the upgrade waits for at most 1 ms, and then fails: /m,
	'a transaction that is older than the upgrade would wait');
unlike(
	preflight($db, set => q{SET syncmaster.lock_timeout = '1h';}),
	qr/^\w+\|transaction\|/m,
	'a younger one is a session like others');
unlike(
	preflight($db, set => 'SET syncmaster.guard = off;
		SET syncmaster.lock_timeout = 1;'),
	qr/^\w+\|transaction\|/m,
	'without a guard, it is one that is older than a minute');
in_session($session, 'LOCK TABLE run IN ACCESS EXCLUSIVE MODE;');
$out = preflight($db);
like(
	$out,
	qr/^warning\|run\|active runs were not counted, because table "run" is locked\|Ask again/m,
	'a locked table of runs is not waited for');
like(
	$out,
	qr/^warning\|lock\|table "run", which needs ShareLock, is locked by process \d+ \(user "app", application "worker 3", idle in transaction/m,
	'a lock');
end_session($session);

$session = begin_session($node, $db, 'stranger', 'SELECT 1;');
like(
	preflight($db),
	qr/^info\|session\|process \d+ \(user "stranger", [^|]* may not write SyncMaster's tables\|/m,
	'a session that can do no harm');
like(
	preflight($db, role => 'app'),
	qr/^info\|session\|process \d+ \(user "stranger", application "holder", state not shown\) is connected/m,
	'a session of which little is shown');
end_session($session);

# Who may not upgrade is told so, and sees the rest.
$db = new_database();
$out = preflight($db, role => 'stranger');
like($out, qr/^error\|rights\|role "stranger" may not migrate the tables of role "app"\|/m,
	'a stranger may not migrate');
like($out, qr/^error\|rights\|role "stranger" may not execute function syncmaster_upgrade\(text\)\|.* GRANT EXECUTE ON ROUTINE public\.syncmaster_upgrade\(text\) TO stranger;$/m,
	'... nor call what upgrades');
like($out, qr/^error\|rights\|role "stranger" may not update extension "syncmaster" of role "app"\|/m,
	'nor update the extension');
like($out, qr/^info\|disk\|.*; that much is free\|/m,
	'and is not told how much disk space there is');
unlike(preflight($db, role => 'app'), qr/^error/m, 'the owner may');

# How many runs are active is told to those who may read that.
$db = new_database("UPDATE run SET status = 'STARTED' WHERE id < 8");
my $active = qr/^warning\|run\|runs are active: 7 STARTED\|/m;
my $hidden =
  qr/^info\|run\|active runs were not counted, as you may not read table "run"\|Ask as the owner of the tables\.$/m;
foreach my $case (
	[ 'stranger', $hidden, 'SELECT', 'no right' ],
	[ 'stranger', $hidden, 'GRANT SELECT (id) ON run TO stranger', 'a right on another column' ],
	[ 'stranger', $active, 'GRANT SELECT (status) ON run TO stranger', 'a right on the column' ],
	[ 'stranger', $active, 'GRANT SELECT ON run TO stranger', 'a right on the table' ],
	[ 'stranger', $hidden, 'ALTER TABLE run ENABLE ROW LEVEL SECURITY', 'row-level security' ],
	[ 'app', $active, 'REVOKE SELECT ON run FROM app', 'the owner' ])
{
	my ($role, $row, $sql, $name) = @$case;
	$node->safe_psql($db, $sql);
	$out = preflight($db, role => $role);
	like($out, $row, "active runs: $name");
	unlike($out, qr/STARTED/, "active runs: $name: no number") if $row eq $hidden;
}

# Of several locks on one table, a later one is the strongest.
{
	my $early = new_database(q{
		TRUNCATE run, transfer, auth_data CASCADE;
		SET syncmaster.allow_destroy = on;
		SELECT syncmaster_downgrade('0004')});
	my $reader = begin_session($node, $early, 'app', 'BEGIN; SELECT count(*) FROM connection;');
	like(preflight($early),
		qr/^warning\|lock\|table "connection", which needs AccessExclusiveLock, is locked by/m,
		'the strongest lock that is needed');
	end_session($reader);
}

# A read-only session, and a standby.
like(
	preflight($db, set => 'SET default_transaction_read_only = on;'),
	qr/^error\|session\|transactions of this session are read-only\|/m,
	'a read-only session');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('preflight_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(preflight($db, node => $standby),
	qr/^error\|server\|this server is a standby\|Upgrades run on the primary/m,
	'a standby says where upgrades run');
like(preflight($db), qr/^info\|standby\|standby "preflight_standby" is connected\|/m,
	'the primary knows of it');

# A subscriber.
$node->safe_psql('postgres', 'CREATE DATABASE subscriber TEMPLATE source');
$node->safe_psql('subscriber', <<'SQL');
CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p
	WITH (connect = false);
INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)
	SELECT s.oid, c.oid, 'r' FROM pg_subscription s, pg_class c
	WHERE c.oid IN ('run'::regclass, 'alembic_version'::regclass);
SQL
like(preflight('subscriber', role => 'stranger'),
	qr/^warning\|subscription\|subscription s has 1 of SyncMaster's tables, and public\.alembic_version\|Each database has its own revision and history\. Take these out of the publication/m,
	'a subscription');

# A worker of Citus has this table.
$db = new_database(<<'SQL');
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_local_group (groupid int);
INSERT INTO pg_catalog.pg_dist_local_group VALUES (1);
SQL
like(preflight($db), qr/^error\|server\|this server is a Citus worker\|/m,
	'a Citus worker');

# An installation that lacks pg_trgm's files, and then one whose scripts are
# another package's.
{
	my ($bindir, $scripts) =
	  other_installation('other', qr/^(?:pg_trgm|syncmaster\.control)/);
	chomp(my $sharedir = qx{pg_config --sharedir});
	my $control = slurp_file("$sharedir/extension/syncmaster.control");
	local $ENV{PATH} = "$bindir:$ENV{PATH}";
	my $other = new_server('preflight_other');

	append_to_file("$scripts/syncmaster.control", $control);
	$other->safe_psql('postgres',
		'SET syncmaster.restoring = on; CREATE EXTENSION syncmaster');
	like(
		preflight('postgres', node => $other),
		qr/^error\|pg_trgm\|extension "pg_trgm" is not available on this server: SyncMaster's search for users needs it\.\|Install PostgreSQL's contrib modules/m,
		'pg_trgm is not installed');
	($rc, $out, $err) =
	  run_sql($other, 'postgres', undef, q{SELECT syncmaster_upgrade('head')});
	like($err, qr/extension "pg_trgm" is not available on this server/,
		'and that makes the upgrade fail');

	unlink "$scripts/syncmaster.control";
	append_to_file("$scripts/syncmaster.control",
		$control =~ s/^default_version.*$/default_version = '1.14'/mr);
	like(
		preflight('postgres', node => $other),
		qr/^error\|library\|the loaded library is 1\.13, but the installed scripts make 1\.14\|Reconnect, or restart the server/m,
		'library and scripts are of different packages');
	$other->stop;
}

# Disks that are too small, for the tables and for the WAL.
SKIP:
{
	my $disk = small_disk('preflight');
	skip '$SMALL_DISKS does not name a folder of small disks', 20
	  unless defined $disk;

	# the WAL in small segments, so that it leaves room for the tables
	my $small = PostgreSQL::Test::Cluster->new('preflight_disk');
	$small->init(extra => [
		'--encoding=UTF8', '--no-locale', '--wal-segsize=1',
		"--waldir=$disk/wal" ]);
	$small->append_conf('postgresql.conf', "autovacuum = off\n"
		. "min_wal_size = 2MB\nmax_wal_size = 4MB\nwal_keep_size = 0\n");
	$small->start;
	mkdir "$disk/tables" or die "could not make $disk/tables: $!";
	$small->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/tables'");
	create_roles($small);
	create_database($small, 'elsewhere', 'app');
	$small->safe_psql('elsewhere', 'ALTER SCHEMA public OWNER TO app;
		SET ROLE app; CREATE EXTENSION syncmaster VERSION $$1.11$$');
	fill_tables($small, 'elsewhere');
	$small->safe_psql('elsewhere', q{
		UPDATE run SET status = 'FINISHED';
		INSERT INTO connection (group_id, type, name, description, data)
		SELECT 1, 'postgres', 'big_' || i, '',
			json_build_object('host', (SELECT string_agg(md5((i * 100 + j)::text), '.')
				FROM generate_series(1, 40) j))
		FROM generate_series(1, 350) i});
	$small->safe_psql('postgres', 'CREATE DATABASE here TEMPLATE elsewhere');
	$small->safe_psql('here', $_) foreach (
		'ALTER TABLE connection SET TABLESPACE small',
		'ALTER INDEX idx_connection_search_vector SET TABLESPACE small');
	# nothing is left to be written that would set off a checkpoint: not even hints,
	# which are in the WAL where pages have checksums
	$small->safe_psql($_, 'VACUUM') foreach qw(elsewhere here);
	$small->safe_psql('postgres', 'CHECKPOINT');
	my $here = $small->safe_psql('here', q{SELECT pg_total_relation_size('connection')});
	my $all = $small->safe_psql('here', q{
		SELECT sum(pg_total_relation_size(c)) FROM unnest(
			'{connection,transfer,queue,"group"}'::regclass[]) c});
	cmp_ok($here, '>', 2 << 20, 'the table is of some size');

	# The WAL alone, on a file system of its own.
	leave_free($disk, $all + (1 << 20));
	unlike(preflight('elsewhere', node => $small), qr/^(?!info)/m,
		'there is room for the WAL');
	like(preflight('elsewhere', node => $small),
		qr/^info\|disk\|rewritten tables in the WAL take about \d+ [kM]B until the upgrade ends; \d+ [kM]B are free\|Nothing is to be done/m,
		'and how much');
	leave_free($disk, $all - (1 << 20));
	like(preflight('elsewhere', node => $small),
		qr/^warning\|disk\|rewritten tables in the WAL take about \d+ [kM]B until the upgrade ends; \d+ [kM]B are free\|Free or add disk space/m,
		'there is too little room for the WAL');
	like(preflight('elsewhere', node => $small),
		qr/^info\|disk\|rewritten tables in tablespace "pg_default" take/m,
		'but enough for the tables');

	# Tables and WAL on one.
	leave_free($disk, $here + $all + (1 << 20));
	unlike(preflight('here', node => $small), qr/^(?!info|warning\|index\|)/m,
		'there is room for both');
	leave_free($disk, $here + $all - (1 << 20));
	like(preflight('here', node => $small),
		qr/^warning\|disk\|rewritten tables in tablespace "small", and WAL, take about \d+ [kM]B until the upgrade ends; \d+ [kM]B are free\|Free or add/m,
		'there is too little room for both');
	leave_free($disk, $here - (1 << 20));
	like(preflight('here', node => $small),
		qr/^error\|disk\|rewritten tables in tablespace "small" take about \d+ [kM]B until the upgrade ends; \d+ [kM]B are free\|Free or add/m,
		'there is too little room for the tables');
	like(preflight('here', node => $small, role => 'stranger'),
		qr/^error\|disk\|rewritten tables in tablespace "small" take about \d+ [kM]B until the upgrade ends; less may be free\|Free or add/m,
		'which everybody may know, but not how much there is');
	leave_free($disk);
	unlike(preflight('here', node => $small), qr/^(?!info|warning\|index\|)/m,
		'there is room again');
	$small->stop;
}

# Targets.
($rc, $out, $err) = run_sql($node, $db, undef,
	"SELECT syncmaster_preflight('0099')");
like($err, qr/invalid target "0099"/, 'an invalid target');

$standby->stop;
done_testing();
