# Search vectors that an upgrade computes before it locks a table: by several
# processes, while others read and write.  And tables without rows, which are not
# written anew.  What is stored, and what the catalogue says, is what it would be
# without.

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

# What the parser makes most of, at random; words that begin alike; and the limits
# of a vector: 256 positions for a word, none after 16383, 2046 bytes.
$node->safe_psql('template_0011', q{
	SET ROLE app;
	SELECT setseed(0.25);
	CREATE FUNCTION pg_temp.noise(most int) RETURNS text VOLATILE LANGUAGE sql AS $$
		SELECT coalesce(string_agg((ARRAY['a', 'b', 'ab', 'abcdefg', 'abcdefgh', 'abcdefghi',
				'й', 'ща', 'нийник', '1', '-2.5e3', 'www.a.org', 'x@b.org', ' ', ' ', '.', '/',
				'-', '_', ':', '\\\\', '<b>', '&amp;', chr(257), ''''])[1 + floor(25 * random())], ''), '')
		FROM generate_series(1, floor(most * random())::int)
	$$;
	CREATE FUNCTION pg_temp.words(word text, count int) RETURNS text LANGUAGE sql AS $$
		SELECT string_agg(word || CASE WHEN word = 'n' THEN i::text ELSE '' END, ' ')
		FROM generate_series(1, count) i
	$$;
	CREATE TABLE made AS
		SELECT i, left(pg_temp.noise(20), 100) AS name, pg_temp.noise(i % 60) AS a,
			pg_temp.noise(20) AS b, pg_temp.noise(i % 200) AS c, pg_temp.noise(20) AS d
		FROM generate_series(1, 600) i
		UNION ALL
		SELECT 1000 + i, 'w', pg_temp.words('w', 122 + i), NULL, NULL, NULL
		FROM generate_series(1, 8) i
		UNION ALL
		SELECT 1100 + i, 'w w', pg_temp.words('w', i), 'w-w', pg_temp.words('w', 252 + i), 'w'
		FROM generate_series(1, 8) i
		UNION ALL
		SELECT 2000 + i, pg_temp.words('n', 2 + i % 2), pg_temp.words('n', 4088 + i), NULL,
			pg_temp.words('n', 4090), 'n3'
		FROM generate_series(1, 12) i
		UNION ALL
		SELECT 3000 + i, 'limit', repeat('l', 2045 + i), repeat('L', 2047),
			pg_temp.words('n', 17000), ''
		FROM generate_series(1, 2) i;
	INSERT INTO transfer (group_id, name, description, source_connection_id,
			target_connection_id, strategy_params, source_params, target_params,
			transformations, resources, is_scheduled, schedule, queue_id)
		SELECT 1, name || ' ' || i, '', 1, 2, '{}',
			json_build_object('table_name', a, 'directory_path', c),
			json_build_object('table_name', b, 'directory_path', d), '[]', '{}', false, '', 1
		FROM made;
	INSERT INTO connection (group_id, type, name, description, data)
		SELECT 1, 'postgres', name || ' ' || i, '', json_build_object('host', a)
		FROM made;
	DROP TABLE made});

sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template_0011 OWNER app");
	return;
}

# Settings of the session that make an upgrade do as it did before 14.
my $without = 'SET min_parallel_table_scan_size = 1000000';

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
sub start_upgrade
{
	my ($db, $name) = @_;
	my $upgrade = start_psql($node, $db, q{
		SET syncmaster.progress = on;
		SET syncmaster.lock_timeout = '180s';
		SELECT FROM syncmaster_upgrade('head');}, user => 'app', name => 'upgrade');

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
		ORDER BY 1, 2, 3});
}

# That, and the rows with their vectors.
sub vectors_of
{
	my ($db) = @_;
	return catalogue_of($db) . $node->safe_psql($db, q{
		SELECT format('SELECT %L, id, search_vector FROM public.%I ORDER BY id', t, t)
		FROM unnest('{connection,transfer,queue,group}'::text[]) t \gexec});
}

# Does every row have the vector that its columns give now?
sub are_true
{
	my ($db, $name) = @_;
	is( $node->safe_psql($db, q{
			SELECT format('SELECT %L, count(*) FROM public.%I WHERE search_vector IS DISTINCT FROM (%s)',
				c.relname, c.relname, pg_get_expr(adbin, adrelid))
			FROM pg_attrdef d JOIN pg_class c ON c.oid = adrelid
			JOIN pg_attribute a ON (a.attrelid, a.attnum) = (adrelid, adnum)
			WHERE attname = 'search_vector' AND relname <> 'child' ORDER BY 1 \gexec}),
		"connection|0\ngroup|0\nqueue|0\ntransfer|0",
		"$name: every row has its vector");
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

$node->safe_psql('postgres', "CREATE DATABASE $_ OWNER app") foreach qw(empty emptied);
$node->safe_psql($_, q{CREATE EXTENSION syncmaster VERSION '1.11'})
  foreach qw(empty emptied);
fill_tables($node, 'emptied');
$node->safe_psql('emptied', 'DELETE FROM "user"; DELETE FROM queue');
foreach my $db (qw(empty emptied))
{
	my $before = files_of($db);

	upgrade($db, $without);
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
is( $node->safe_psql('plain', q{
		SELECT max(cardinality(positions)), max(positions[cardinality(positions)])
		FROM transfer, unnest(search_vector)}),
	'256|16383', 'plain: limits of a vector are reached');
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

# A word that is too long in lower case only, of which older minor versions make
# a broken vector.
SKIP:
{
	my %vectors;

	my ($refused_locale) = $node->psql('postgres',
		"CREATE DATABASE wide TEMPLATE template0 OWNER app LOCALE 'C.UTF-8'");
	skip 'there is no locale C.UTF-8', 1 if $refused_locale != 0;
	$node->safe_psql('wide', q{
		GRANT CREATE ON SCHEMA public TO app;
		SET ROLE app;
		CREATE EXTENSION syncmaster VERSION '1.11'});
	fill_tables($node, 'wide');
	$node->safe_psql('wide', q{
		INSERT INTO connection (group_id, type, name, description, data)
			SELECT 1 + i % 20, 'postgres', 'wide ' || i, '',
				json_build_object('host', repeat(chr(570), 650 + i))
			FROM generate_series(1, 380) i});
	note($node->safe_psql('wide', q{
		SELECT CASE WHEN to_tsvector('simple', repeat(chr(570), 700)) = '' THEN 'no vector is broken'
			ELSE 'vectors are broken' END}));
	$node->safe_psql('postgres', 'CREATE DATABASE wide_plain TEMPLATE wide OWNER app');
	foreach my $db (qw(wide wide_plain))
	{
		my $said = upgrade($db, $db eq 'wide' ? 'SELECT' : $without);
		is(computed($said), $db eq 'wide' ? 'connection transfer queue group' : '',
			"$db: what is computed before");
		$vectors{$db} = $node->safe_psql($db, q{
			SELECT id, md5(tsvectorsend(search_vector)) FROM connection ORDER BY id});
	}
	is($vectors{wide}, $vectors{wide_plain}, 'wide: the same vectors');
	upgrade('wide', 'SELECT', q{SELECT FROM syncmaster_downgrade('0011')});
}

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

foreach my $case (
	[ 'not_readable', 'app', 'REVOKE SELECT ON transfer FROM app', 'connection queue group' ],
	[ 'row_security', 'postgres', 'ALTER TABLE connection ENABLE ROW LEVEL SECURITY',
		'transfer queue group' ],
	[ 'has_child', 'app', 'CREATE TABLE child () INHERITS (queue)',
		'connection transfer group' ],
	[ 'not_callable', 'postgres',
		'REVOKE EXECUTE ON FUNCTION syncmaster_known_vector(VARIADIC "any") FROM PUBLIC', '' ],
	[ 'audited', 'postgres', q{
		CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION audit()}, '' ],
	[ 'in_use', 'app', q{CREATE VIEW mine AS SELECT syncmaster_known_vector('a'::text)}, '' ],
	[ 'overloaded', 'app', q{
		CREATE FUNCTION syncmaster_known_vector(text, varchar) RETURNS tsvector
		IMMUTABLE LANGUAGE sql AS $$SELECT 'planted'::tsvector$$}, '' ],
	[ 'no_processes', 'postgres',
		'ALTER DATABASE no_processes SET max_parallel_maintenance_workers = 0',
		'connection transfer queue group' ])
{
	my ($db, $role, $sql, $tables) = @$case;
	new_database($db);
	$node->safe_psql($db, "SET ROLE $role; $sql");
	is(computed(upgrade($db, 'SELECT')), $tables, "$db: what is computed before");
	are_true($db, $db);
}

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
is($node->safe_psql('new_child', q{
		SELECT count(*) FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) ~ 'known'}),
	'0', 'new_child: nothing is left of our function');
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

# What the owner of the tables plants: code that runs while his table is
# written.  It gets copies, which nothing wipes; and makes a child.
new_database($_) foreach qw(reads makes);
$node->safe_psql($_, q{
	SELECT syncmaster_create_indexes();
	DROP INDEX ix_syncmaster__user_active_username;
	SET ROLE app;
	CREATE TABLE seen (vector tsvector);
	CREATE TABLE copy AS SELECT name, data FROM connection;
	CREATE FUNCTION look() RETURNS bool LANGUAGE plpgsql AS $$
	DECLARE
		vector tsvector;
	BEGIN
		SELECT public.syncmaster_known_vector('connection'::text, name, data)
		INTO vector FROM public.copy LIMIT 1;
		PERFORM public.syncmaster_create_indexes();
		INSERT INTO public.seen VALUES (vector);
		RETURN true;
	END $$;
	CREATE FUNCTION make() RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TABLE IF NOT EXISTS public.child () INHERITS (public.connection);
		RETURN true;
	END $$}) foreach qw(reads makes);
foreach my $case ([ 'reads', 'look' ], [ 'makes', 'make' ])
{
	my ($db, $function) = @$case;
	$node->safe_psql($db, qq{
		SET ROLE app;
		CREATE FUNCTION planted(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS \$\$
		BEGIN
			IF pg_catalog.current_setting('planted.off', true) IS NULL THEN
				PERFORM public.$function();
			END IF;
			RETURN \$1;
		END \$\$;
		SET planted.off = on;
		CREATE INDEX planted ON connection (planted(name))});
}
$messages = upgrade('reads', 'SELECT');
is(computed($messages), 'connection transfer queue group', 'reads: vectors were computed');
cmp_ok($node->safe_psql('reads', 'SELECT count(*) FROM seen WHERE vector IS NOT NULL'),
	'>', 0, 'reads: planted code got some');
are_true('reads', 'reads');
($rc, $out, my $err) = $node->psql('makes', q{SELECT FROM syncmaster_upgrade('head')});
like($err,
	qr/ERROR:  an object came to depend on function public\.syncmaster_known_vector\("any"\) while table "connection" was changed
HINT:  Drop what calls that function, and run the command again\./,
	'makes: a child that has our function is refused');
is($node->safe_psql('makes', q{SELECT syncmaster_schema_version()}), '0011', 'makes: nothing was done');

# ---------------------------------------------------------------------------
# The function outside of a migration, and after one that failed

new_database('failed');
$service = begin_session($node, 'failed', 'app', 'BEGIN; LOCK TABLE transfer IN SHARE MODE;');
($rc, $out, $err) = $node->psql('failed', q{
	SET syncmaster.progress = on;
	SET syncmaster.lock_timeout = '100ms';
	SELECT FROM syncmaster_upgrade('head');
	SELECT syncmaster_known_vector('connection'::text, name, data) IS NULL FROM connection LIMIT 1;
	SELECT syncmaster_known_vector(1, NULL, name) IS NULL FROM connection LIMIT 1;
	SELECT syncmaster_known_vector(VARIADIC '{a,b}'::text[]) IS NULL},
	on_error_stop => 0);
like($err, qr/table group computed.*could not lock table "transfer" within 100 ms/s,
	'failed: after the vectors are computed');
is($out, "t\nt\nt", 'failed: they are forgotten');
end_session($service);
is(computed(upgrade('failed', 'SELECT')), 'connection transfer queue group', 'failed: again');
are_true('failed', 'failed');

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

$node->stop;

done_testing();
