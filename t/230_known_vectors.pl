# Search vectors that an upgrade computes before it locks a table: by several
# processes, while others read and write.  And tables without rows, which are not
# written anew.  What is stored, and what the catalogue says, is what it would be
# with syncmaster.precompute_vectors = off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SchemaState;
use Test::More;

my $node = new_server('vectors');
my $can_compute = $node->safe_psql('postgres', 'SHOW server_version_num') >= 140000;

# Tables are worth several processes however small they are.
$node->append_conf('postgresql.conf', <<'CONF');
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
CONF
$node->reload;
create_roles($node);

# A database at revision 0011, with rows, owned by role app.
$node->safe_psql('postgres', 'CREATE DATABASE template_0011 OWNER app');
$node->safe_psql('template_0011', q{
	GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE EXTENSION syncmaster VERSION '1.11'});
fill_tables($node, 'template_0011');
# NULL, and what is stored out of line
$node->safe_psql('template_0011', q{
	UPDATE connection SET data = '{"port": 1}' WHERE id % 7 = 0;
	UPDATE transfer SET source_params = json_build_object('directory_path',
		(SELECT string_agg('/dir-' || i || '.' || md5(i::text), ' ') FROM generate_series(1, 300) i))
	WHERE id % 9 = 0;
	VACUUM});

# What the parser makes most of, at random; a column that is gone, one with a value
# that no row has stored, and one that is generated.
$node->safe_psql('template_0011', q{
	SET ROLE app;
	SELECT setseed(0.25);
	CREATE FUNCTION pg_temp.noise(most int) RETURNS text VOLATILE LANGUAGE sql AS $$
		SELECT coalesce(string_agg((ARRAY['a', 'b', 'ab', 'abcdefg', 'abcdefgh', 'abcdefghi',
				'й', 'ща', 'нийник', '1', '-2.5e3', 'www.a.org', 'x@b.org', ' ', ' ', '.', '/',
				'-', '_', ':', '\\\\', '<b>', '&amp;', chr(257), ''''])[1 + floor(25 * random())], ''), '')
		FROM generate_series(1, floor(most * random())::int)
	$$;
	INSERT INTO transfer (group_id, name, description, source_connection_id,
			target_connection_id, strategy_params, source_params, target_params,
			transformations, resources, is_scheduled, schedule, queue_id)
		SELECT 1, left(pg_temp.noise(20), 100) || ' ' || i, '', 1, 2, '{}',
			json_build_object('table_name', pg_temp.noise(i % 60), 'directory_path', pg_temp.noise(i % 200)),
			json_build_object('table_name', pg_temp.noise(20), 'directory_path', pg_temp.noise(20)),
			'[]', '{}', false, '', 1
		FROM generate_series(1, 300) i;
	ALTER TABLE transfer ADD gone text DEFAULT 'gone', ADD kept text DEFAULT 'kept',
		ADD length int GENERATED ALWAYS AS (length(name)) STORED;
	ALTER TABLE transfer DROP gone;
	DELETE FROM transfer WHERE id % 11 = 0});

sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template_0011 OWNER app");
	return;
}

# ALTER TABLE does it all.
my $without = 'SET syncmaster.precompute_vectors = off';

sub upgrade
{
	my ($db, $settings, $command) = @_;
	$command //= q{SELECT FROM syncmaster_upgrade('head')};
	my ($rc, $out, $err) = $node->psql($db,
		"SET syncmaster.progress = on; $settings; $command");

	is($rc, 0, "$db: done") or diag($err);
	return $err;
}

# Start one that will wait for somebody's lock, and wait until it does.
# Without the guard, no lock is tried before vectors are computed.
sub start_upgrade
{
	my ($db, $name) = @_;
	my $upgrade = start_psql($node, $db, q{
		SET syncmaster.progress = on;
		SET syncmaster.guard = off;
		SET lock_timeout = '180s';
		ALTER EXTENSION syncmaster UPDATE;}, user => 'app', name => 'upgrade');

	ok( $node->poll_query_until($db, q{
			SELECT EXISTS (SELECT FROM pg_stat_activity
				WHERE application_name = 'upgrade' AND wait_event_type = 'Lock')}),
		$name);
	return $upgrade;
}

sub computed
{
	my ($messages) = @_;
	return join ' ', $messages =~ /[1-9]\d* search vectors of table (\S+) computed/g;
}

# All that the catalogue says of the vectors.
sub catalogue_of
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull,
			attgenerated, atthasdef, atthasmissing, attisdropped, attstorage, attlen
		FROM pg_attribute WHERE attrelid IN ('connection'::regclass,
			'transfer'::regclass, 'queue'::regclass, '"group"'::regclass)
		ORDER BY attrelid::regclass::text, attnum;
		SELECT adrelid::regclass, adnum, pg_get_expr(adbin, adrelid),
			regexp_replace(adbin::text, ':location -?[0-9]+', '', 'g')
		FROM pg_attrdef JOIN pg_attribute a ON (a.attrelid, a.attnum) = (adrelid, adnum)
		WHERE attgenerated <> '' ORDER BY adrelid::regclass::text, adnum;
		SELECT pg_describe_object(classid, objid, objsubid),
			pg_describe_object(refclassid, refobjid, refobjsubid), deptype
		FROM pg_depend d
		WHERE classid = 'pg_attrdef'::regclass OR
			classid = 'pg_class'::regclass AND objsubid > 0
		ORDER BY 1, 2, 3;
		SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated
		FROM pg_constraint WHERE conrelid IN ('connection'::regclass,
			'transfer'::regclass, 'queue'::regclass, '"group"'::regclass)
		ORDER BY conrelid::regclass::text, conname});
}

# That, and the rows with their vectors.
sub vectors_of
{
	my ($db) = @_;
	return catalogue_of($db) . $node->safe_psql($db, q{
		SELECT format('SELECT %L, t.* FROM public.%I t ORDER BY id', t, t)
		FROM unnest('{connection,transfer,queue,group}'::text[]) t \gexec});
}

# Does every row have the vector that its columns give now?
my $wrong_rows = q{
	SELECT format('SELECT %L, count(*) FROM public.%I WHERE search_vector IS DISTINCT FROM (%s)',
		c.relname, c.relname, pg_get_expr(adbin, adrelid))
	FROM pg_attrdef d JOIN pg_class c ON c.oid = adrelid
	JOIN pg_attribute a ON (a.attrelid, a.attnum) = (adrelid, adnum)
	WHERE attname = 'search_vector' AND relname <> 'child' ORDER BY 1 \gexec
};
my $no_row = "connection|0\ngroup|0\nqueue|0\ntransfer|0";

sub are_true
{
	my ($db, $name) = @_;
	is($node->safe_psql($db, $wrong_rows), $no_row, "$name: every row has its vector");
	return;
}

# ---------------------------------------------------------------------------
# Tables without rows, and tables that had some

sub files_of
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT relname, pg_relation_filenode(oid) FROM pg_class
		WHERE relname IN ('connection', 'transfer', 'queue', 'group') ORDER BY 1});
}

$node->safe_psql('postgres', 'CREATE DATABASE empty OWNER app');
$node->safe_psql('empty', q{CREATE EXTENSION syncmaster VERSION '1.11'});
$node->safe_psql('postgres', 'CREATE DATABASE emptied TEMPLATE empty OWNER app');
fill_tables($node, 'emptied');
$node->safe_psql('emptied', 'DELETE FROM "user"; DELETE FROM queue');
foreach my $db (qw(empty emptied))
{
	my $before = files_of($db);

	upgrade($db, 'SELECT');
	if ($db eq 'empty')
	{
		is(files_of($db), $before, "$db: no table is written anew");
	}
	else
	{
		isnt(files_of($db), $before, "$db: tables are written anew");
	}
	$node->safe_psql($db, q{TRUNCATE "user", celery_taskmeta, celery_tasksetmeta,
		apscheduler_jobs RESTART IDENTITY CASCADE});
	fill_tables($node, $db);
	are_true($db, $db);
}
cmp_ok(length vectors_of('empty'), '>', 10000, 'empty: there is something to compare');
same_state(catalogue_of('empty'), catalogue_of('emptied'), 'empty: the same catalogue');
is($node->safe_psql('empty', q{SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info'}),
	'0', 'empty: the schema is right');
my ($code, undef, $refused) = $node->psql('empty', q{UPDATE transfer SET search_vector = ''});
like($refused, qr/column "search_vector" can only be updated to DEFAULT/,
	'empty: the column is generated');

if (!$can_compute)
{
	note('PostgreSQL 13 computes vectors when it writes the table');
	$node->stop;
	done_testing();
	exit;
}

# ---------------------------------------------------------------------------
# Computed before or not: the same

new_database($_) foreach qw(plain known);
is(computed(upgrade('plain', $without)), '', 'plain: nothing is computed before');
my $log = -s $node->logfile;
my $messages = upgrade('known', q{
	LOAD 'auto_explain';
	SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_analyze = on});
is(computed($messages), 'connection transfer queue group',
	'known: those of all tables are computed before');
like(
	$messages,
	qr/table group computed.*alter table connection/s,
	'known: and before the first table is changed');
SKIP:
{
	skip 'there is only one processor', 1 if `getconf _NPROCESSORS_ONLN` == 1;
	like(slurp_file($node->logfile, $log),
		qr/FROM ONLY public\.transfer\n.*Workers Launched: [1-9]/s,
		'known: by several processes');
}
my $plain = vectors_of('plain');
cmp_ok(length $plain, '>', 10000, 'plain: there is something to compare');
is(vectors_of('known'), $plain, 'known: the same rows and the same catalogue');
are_true('known', 'known');
is($node->safe_psql('known', q{SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info'}),
	'0', 'known: the schema is right');

# The other way, and up again: what was computed for one step is not taken for
# another's.
foreach my $db (qw(plain known))
{
	my $settings = $db eq 'plain' ? $without : 'SELECT';
	my $said = upgrade($db, $settings, q{SELECT FROM syncmaster_downgrade('0011')});
	is(computed($said), $db eq 'plain' ? '' : 'connection transfer queue group',
		"$db: downgraded");
}
is(vectors_of('known'), vectors_of('plain'), 'known: the same after a downgrade');
upgrade('plain', $without);
upgrade('known', 'SELECT');
is(vectors_of('known'), vectors_of('plain'), 'known: the same after another upgrade');

# Nothing of ours is left to depend on.
$node->safe_psql('known', 'DROP EXTENSION syncmaster');
are_true('known', 'known, without the extension');

# ---------------------------------------------------------------------------
# What changes between computing and writing

new_database('busy');
my $service = begin_session($node, 'busy', 'app', q{
	BEGIN;
	UPDATE transfer SET name = 'changed meanwhile ' || id WHERE id % 2 = 0;
	UPDATE connection SET data = '{"host": "moved.example.org"}' WHERE id < 10;
	DELETE FROM transfer WHERE id = 3;
	INSERT INTO connection (group_id, type, name, description, data)
		VALUES (1, 'postgres', 'made meanwhile', '', '{"host": "new.example.org"}');});
my $upgrade = start_upgrade('busy', 'busy: the upgrade waits for a service');
is($node->safe_psql('busy', q{
		SELECT coalesce(string_agg(DISTINCT mode, ' '), '') FROM pg_locks l
		JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'upgrade' AND granted
			AND relation = 'transfer'::regclass}),
	'',
	'busy: so far it keeps no lock');
in_session($service, 'COMMIT;');
end_session($service);
(my $rc, my $out, $messages) = finish_psql($upgrade);
is($rc, 0, 'busy: done') or diag($messages);
is(computed($messages), 'connection transfer queue group', 'busy: vectors were computed');
are_true('busy', 'busy');
is($node->safe_psql('busy', q{
		SELECT count(*) FROM connection WHERE search_vector @@ 'made' OR
			search_vector @@ '''moved.example.org'''}),
	'10', 'busy: what came meanwhile is found');

# ---------------------------------------------------------------------------
# Where a query of the owner's would not do, or be another's

new_database('cases');
foreach my $case (
	[ 'not readable', 'REVOKE SELECT ON transfer FROM app', 'connection queue group' ],
	[ 'row security', 'ALTER TABLE connection ENABLE ROW LEVEL SECURITY', 'transfer queue group' ],
	[ 'has a child', 'SET ROLE app; CREATE TABLE child () INHERITS (queue)', 'connection transfer group' ],
	(
		# rows are written as a heap's: an access method of another name may differ
		$node->safe_psql('postgres', 'SHOW server_version_num') >= 150000
		? [ 'another access method', q{
			CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
			ALTER TABLE transfer SET ACCESS METHOD heap2}, 'connection queue group' ]
		: ()
	),
	[ 'no processes', 'SET max_parallel_maintenance_workers = 0', 'connection transfer queue group' ],
	[ 'too small', 'SET min_parallel_table_scan_size = 1000000', '' ],
	[ 'little memory', 'SET maintenance_work_mem = 1024', 'connection' ],
	[ 'the default of memory', 'RESET maintenance_work_mem', 'connection transfer queue group' ],
	map {
		[ "event trigger on $_", qq{
			CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
			CREATE EVENT TRIGGER audit ON $_ EXECUTE FUNCTION audit()}, '' ]
	} qw(ddl_command_start ddl_command_end sql_drop table_rewrite))
{
	my ($name, $sql, $tables) = @$case;
	my ($status, $rows, $said) = $node->psql('cases', qq{
		SET syncmaster.progress = on;
		BEGIN;
		$sql;
		RESET ROLE;
		SELECT FROM syncmaster_upgrade('head');
		$wrong_rows;
		ROLLBACK});

	is($status, 0, "$name: done") or diag($said);
	is(computed($said), $tables, "$name: what is computed before");
	is($rows, $no_row, "$name: every row has its vector");
}

# How much memory an index is built with: more than the server's default, but what was
# set anywhere, even if it is the same.
new_database('memory');
$node->safe_psql('memory', q{
	CREATE FUNCTION say_memory() RETURNS event_trigger LANGUAGE plpgsql
		AS $$ BEGIN RAISE WARNING 'memory %', current_setting('maintenance_work_mem'); END $$;
	CREATE EVENT TRIGGER say_memory ON ddl_command_start WHEN tag IN ('CREATE INDEX')
		EXECUTE FUNCTION say_memory();
	CREATE ROLE careful SUPERUSER LOGIN;
	ALTER ROLE careful SET maintenance_work_mem = '64MB'});
sub memory
{
	my ($sql, @options) = @_;
	my ($status, $rows, $said) = $node->psql('memory',
		"$sql; BEGIN; SELECT FROM syncmaster_upgrade('head'); ROLLBACK", @options);
	my %seen = map { $_ => 1 } $said =~ /WARNING:  memory (\w+)/g;
	return join ' ', sort keys %seen;
}
foreach my $case (
	[ '', '256MB' ],
	[ q{SET maintenance_work_mem = '64MB'}, '64MB' ],
	[ q{SET maintenance_work_mem = '63MB'}, '63MB' ],
	[ q{SET maintenance_work_mem = '1GB'}, '1GB' ],
	[ q{SET maintenance_work_mem = '64MB'; RESET maintenance_work_mem}, '256MB' ])
{
	my ($sql, $memory) = @$case;
	is(memory($sql), $memory, "memory of an index after \"$sql\"");
}
is(memory('', connstr => $node->connstr('memory') . ' user=careful'), '64MB', 'memory of an index, set for the role');
$node->safe_psql('postgres', q{ALTER DATABASE memory SET maintenance_work_mem = '64MB'});
is(memory(''), '64MB', '... set for the database');
$node->safe_psql('postgres', 'ALTER DATABASE memory RESET maintenance_work_mem');
$node->append_conf('postgresql.conf', q{maintenance_work_mem = '64MB'});
$node->reload;
is(memory(''), '64MB', '... set in postgresql.conf');
$node->append_conf('postgresql.conf', q{maintenance_work_mem = '256MB'});
$node->reload;

# What comes to be between computing and writing
new_database('new_child');
$service = begin_session($node, 'new_child', 'app', q{
	BEGIN;
	LOCK TABLE connection IN ROW EXCLUSIVE MODE;});
$upgrade = start_upgrade('new_child', 'new_child: the upgrade waits for a service');
in_session($service, q{
	CREATE TABLE child () INHERITS (queue);
	COMMIT;});
end_session($service);
($rc, $out, $messages) = finish_psql($upgrade);
is($rc, 0, 'new_child: done') or diag($messages);
is(computed($messages), 'connection transfer queue group', 'new_child: vectors were computed');
are_true('new_child', 'new_child');
# the last one that waits is not a DBA
new_database('dba');
$service = begin_session($node, 'dba', 'app', q{
	BEGIN;
	SELECT count(*) FROM connection;});
$upgrade = start_upgrade('dba', 'dba: the upgrade waits for a reader');
in_session($service, 'ALTER TABLE transfer ADD COLUMN note text; COMMIT;');
is(end_session($service), '', 'dba: who changes another table then is not in its way');
($rc, $out, $messages) = finish_psql($upgrade);
is($rc, 0, 'dba: done') or diag($messages);
are_true('dba', 'dba');

# What moves the rows, or changes what they are, between computing and writing: a
# TID stands for another row then, or for other values.
foreach my $case (
	[ 'moved', 'CREATE INDEX by_hash ON transfer (md5(name))',
		'CLUSTER transfer USING by_hash; DROP INDEX by_hash' ],
	[ 'replaced', 'SELECT', q{
		ALTER TABLE transfer DROP search_vector, DROP source_params,
			ADD source_params json NOT NULL DEFAULT '{"table_name": "elsewhere"}',
			ADD search_vector tsvector} ])
{
	my ($db, $before, $meanwhile) = @$case;
	new_database($db);
	$node->safe_psql($db, "SET ROLE app; $before");
	$service = begin_session($node, $db, 'app', 'BEGIN; LOCK TABLE connection IN ROW EXCLUSIVE MODE;');
	$upgrade = start_upgrade($db, "$db: the upgrade waits for a service");
	$node->safe_psql($db, $meanwhile);
	in_session($service, 'COMMIT;');
	end_session($service);
	($rc, $out, $messages) = finish_psql($upgrade);
	is($rc, 0, "$db: done") or diag($messages);
	is(computed($messages), 'connection transfer queue group', "$db: vectors were computed");
	are_true($db, $db);
}

# A table whose row type is stored elsewhere cannot be written anew.
new_database('row_type');
$node->safe_psql('row_type', 'SET ROLE app; CREATE TABLE snapshots (taken connection[])');
($rc, $out, my $err) = $node->psql('row_type', q{SELECT FROM syncmaster_upgrade('head')});
like($err, qr/cannot alter table "connection" because column "snapshots.taken" uses its row type/,
	'row_type: refused');

# What the owner of the tables plants: code that runs while his indexes are built
# anew.  It has his rights, and whatever it makes is like the table.
new_database('makes');
$node->safe_psql('makes', q{
	SET ROLE app;
	CREATE FUNCTION make() RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TABLE IF NOT EXISTS public.child () INHERITS (public.connection);
		EXECUTE format('COMMENT ON TABLE public.child IS %L', current_user);
		RETURN true;
	END $$;
	CREATE FUNCTION planted(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF pg_catalog.current_setting('planted.off', true) IS NULL THEN
			PERFORM public.make();
		END IF;
		RETURN $1;
	END $$;
	SET planted.off = on;
	CREATE INDEX planted ON connection (planted(name))});
upgrade('makes', 'SELECT');
is( $node->safe_psql('makes', q{
		SELECT obj_description('child'::regclass), attnotnull, pg_get_expr(adbin, adrelid) =
			(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum)
			WHERE attrelid = 'connection'::regclass AND attname = 'search_vector')
		FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum)
		WHERE attrelid = 'child'::regclass AND attname = 'search_vector'}),
	'app|t|t', 'makes: planted code ran as the owner, and its table has the same column');
are_true('makes', 'makes');

# ---------------------------------------------------------------------------
# After an upgrade that failed

new_database('failed');
my $functions = $node->safe_psql('failed', 'SELECT count(*), max(oid) FROM pg_proc');
my $before = catalogue_of('failed');
$service = begin_session($node, 'failed', 'app', 'BEGIN; LOCK TABLE transfer IN SHARE MODE;');
($rc, $out, $err) = $node->psql('failed', q{
	SET syncmaster.progress = on;
	SET syncmaster.guard = off;
	SET lock_timeout = '100ms';
	ALTER EXTENSION syncmaster UPDATE});
like($err, qr/table group computed.*canceling statement due to lock timeout/s,
	'failed: after the vectors are computed');
end_session($service);
is(catalogue_of('failed'), $before, 'failed: nothing is left in the catalogues');
is(computed(upgrade('failed', 'SELECT')), 'connection transfer queue group', 'failed: again');
are_true('failed', 'failed');
is($node->safe_psql('failed', 'SELECT count(*), max(oid) FROM pg_proc'),
	$functions, 'failed: nor does an upgrade leave a function');

# Somebody makes another column of it, which is passed in another way, while the
# upgrade waits to read the table.
new_database('retyped');
$service = begin_session($node, 'retyped', 'app', q{
	BEGIN;
	DELETE FROM connection;
	ALTER TABLE connection DROP COLUMN search_vector, ALTER name TYPE "char";
	ALTER TABLE connection ADD search_vector tsvector NOT NULL
		GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name::text)) STORED;
	INSERT INTO connection (group_id, type, name, description, data)
		SELECT i, 'postgres', 'x', '', '{}' FROM generate_series(1, 20) i;});
$upgrade = start_upgrade('retyped', 'retyped: the upgrade waits');
is( $node->safe_psql('retyped', q{
		SELECT relation::regclass, mode FROM pg_locks l JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'upgrade' AND NOT granted}),
	'connection|AccessShareLock', 'retyped: to read the table');
in_session($service, 'COMMIT;');
end_session($service);
($rc, $out, $messages) = finish_psql($upgrade);
isnt($rc, 0, 'retyped: the upgrade ends');
like(
	$messages,
	qr/ERROR:  column "name" of table "public\.connection" is of type "char" instead of character varying/,
	'retyped: with an error');
is($node->safe_psql('retyped', 'SELECT count(*) FROM connection'), '20', 'retyped: the server lives');

# ---------------------------------------------------------------------------
# A row with more text than a vector can hold: the server's error would not say
# which one.  The words have one stem in English, and many in 0012.

new_database('long');
$node->safe_psql('long', q{
	SET ROLE app;
	ALTER TABLE transfer DISABLE TRIGGER USER;
	UPDATE transfer SET source_params = json_build_object('directory_path', (
		SELECT string_agg(word || suffix, ' ')
		FROM (SELECT translate(md5(i::text), '0123456789', 'ghijklmnop')
			FROM generate_series(1, 8000) i) w(word), unnest('{ing,ed,s,ingly}'::text[]) suffix))
	WHERE id IN (50, 70)});
foreach my $settings ('SELECT', $without)
{
	($rc, $out, $err) = $node->psql('long', "$settings; SELECT FROM syncmaster_upgrade('head')");
	like(
		$err,
		qr/ERROR:  table "transfer" has rows with more text than a search vector can hold
DETAIL:  These have id 50, 70\.
HINT:  Shorten what is searched of them \(columns name, source_params, target_params\), or delete them, and run the command again\./,
		"long: the rows are named ($settings)");
	unlike($err, qr/SQL statement "ALTER TABLE|[a-p]{32}/, 'long: without the statement, and without the text');
}
like($node->safe_psql('long', 'SELECT * FROM syncmaster_preflight()'),
	qr/^error\|search_vector\|table "transfer" has rows with more text than a search vector can hold: These have id 50, 70\.\|Shorten/m,
	'long: as foretold');
$node->safe_psql('long', q{UPDATE transfer SET source_params = '{}' WHERE id IN (50, 70)});
upgrade('long', 'SELECT');
are_true('long', 'long');

$node->stop;

done_testing();
