# Search vectors that an upgrade computes before it locks a table: by several
# processes, while others read and write.  What is stored, and what the
# catalogue says, is what it would be without.

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
if ($node->safe_psql('postgres', 'SHOW server_version_num') < 140000)
{
	$node->stop;
	plan skip_all => 'PostgreSQL 13 computes them when it writes the table';
}
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

sub computed
{
	my ($messages) = @_;
	return join ' ', $messages =~ /search vectors of table (\S+) computed/g;
}

# The rows with their vectors, what generates these, and all that the catalogue
# says of either.
sub vectors_of
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT format('SELECT %L, id, search_vector FROM public.%I ORDER BY id', t, t)
		FROM unnest('{connection,transfer,queue,group}'::text[]) t \gexec
		SELECT adrelid::regclass, adnum, pg_get_expr(adbin, adrelid),
			regexp_replace(adbin::text, ':location -?[0-9]+', '', 'g')
		FROM pg_attrdef ORDER BY adrelid::regclass::text, adnum;
		SELECT pg_describe_object(classid, objid, objsubid),
			pg_describe_object(refclassid, refobjid, refobjsubid), deptype
		FROM pg_depend d
		WHERE classid = 'pg_attrdef'::regclass OR
			classid = 'pg_class'::regclass AND objsubid > 0
		ORDER BY 1, 2, 3});
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
like(slurp_file($node->logfile, $log),
	qr/FROM ONLY public\.transfer\n.*Workers Launched: [1-9]/s,
	'known: by several processes');
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
my $upgrade = start_psql($node, 'busy', q{
	SET syncmaster.progress = on;
	SET syncmaster.lock_timeout = '180s';
	SELECT FROM syncmaster_upgrade('head');}, user => 'app', name => 'upgrade');
ok( $node->poll_query_until('busy', q{
		SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE application_name = 'upgrade' AND wait_event_type = 'Lock')}),
	'busy: the upgrade waits for a service');
is($node->safe_psql('busy', q{
		SELECT string_agg(DISTINCT mode, ' ') FROM pg_locks l
		JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'upgrade' AND granted
			AND relation = 'transfer'::regclass}),
	'AccessShareLock',
	'busy: so far nobody is kept from a table');
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

# ---------------------------------------------------------------------------
# The function outside of a migration, and after one that failed

new_database('failed');
$service = begin_session($node, 'failed', 'app', 'BEGIN; LOCK TABLE transfer IN SHARE MODE;');
($rc, $out, my $err) = $node->psql('failed', q{
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

$node->stop;

done_testing();
