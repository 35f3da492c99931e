# What a DBA has given to a column that a migration drops and makes anew: the
# new column has it too, upwards and downwards, whoever runs the statements.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SchemaState;
use Test::More;

my $node = new_server('kept');
my $has_compression = $node->safe_psql('postgres', 'SHOW server_version_num') >= 140000;

$node->append_conf('postgresql.conf', 'min_parallel_table_scan_size = 0');
$node->reload;
create_roles($node);
$node->safe_psql('postgres', q{CREATE ROLE "o'brien"; CREATE DATABASE source OWNER app});
$node->safe_psql('source', q{
	GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE EXTENSION syncmaster VERSION '1.11'});
fill_tables($node, 'source');
my $compression = $has_compression ? 'ALTER search_vector SET COMPRESSION pglz,' : '';
$node->safe_psql('source', qq{
	SET ROLE app;
	INSERT INTO connection (group_id, type, name, description, data)
		SELECT 1, 'postgres', 'long', '', json_build_object('host',
			(SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 200) i));
	ALTER TABLE connection
		ALTER search_vector SET STORAGE EXTERNAL, $compression
		ALTER search_vector SET STATISTICS 500,
		ALTER search_vector SET (n_distinct = -0.5, n_distinct_inherited = 7);
	COMMENT ON COLUMN connection.search_vector IS 'what ''people'' look \\for';
	GRANT UPDATE (search_vector) ON connection TO "o'brien";
	GRANT SELECT (search_vector) ON connection TO writer WITH GRANT OPTION;
	GRANT SELECT (search_vector) ON transfer TO PUBLIC;
	ALTER TABLE transfer ALTER search_vector SET STATISTICS 0;
	CREATE TABLE child () INHERITS (queue);
	ALTER TABLE queue ALTER search_vector SET STATISTICS 300, ALTER search_vector SET STORAGE MAIN;
	ALTER TABLE child ALTER search_vector SET STATISTICS 200, ALTER search_vector SET STORAGE EXTENDED;
	GRANT SELECT (search_vector) ON child TO reader;
	RESET ROLE;
	SET ROLE writer;
	GRANT SELECT (search_vector) ON connection TO stranger WITH GRANT OPTION;
	RESET ROLE;
	SET ROLE stranger;
	GRANT SELECT (search_vector) ON connection TO reader});

# Of the columns, but for what a migration means to change.
sub properties
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT attrelid::regclass, attstorage, to_jsonb(a) ->> 'attcompression',
			nullif(attstattarget, -1),
			(SELECT array_agg(o) FROM unnest(attoptions) o WHERE o !~ '^pg_'),
			col_description(attrelid, attnum),
			(SELECT array_agg(format('%s %s %s %s', g.grantor::regrole, g.grantee::regrole,
				privilege_type, is_grantable) ORDER BY 1) FROM aclexplode(attacl) g)
		FROM pg_attribute a WHERE attname = 'search_vector' AND attrelid IN (
			'connection'::regclass, 'transfer'::regclass, 'queue'::regclass,
			'"group"'::regclass, 'child'::regclass)
		ORDER BY attrelid::regclass::text});
}

my $before = properties('source');
like($before, qr/^connection\|e\|p?\|500\|\{n_distinct=-0\.5,n_distinct_inherited=7\}\|what 'people' look \\for\|\{.*stranger reader SELECT f.*\}$/m,
	'there is something to keep');

# The plan tells, and the statements for psql do the same.
is( $node->safe_psql('source', q{
		SELECT object_name, substring(action FROM 'add column.*') FROM syncmaster_upgrade_plan()
		WHERE object_type = 'table' AND action ~ 'keep its' ORDER BY 1}),
	join("\n",
		'connection|add column search_vector, keep its storage, '
		  . ($has_compression ? 'compression, ' : '')
		  . 'statistics target, options, comment, privileges',
		'queue|add column search_vector, keep its storage, statistics target, privileges',
		'transfer|add column search_vector, keep its statistics target, privileges'),
	'the plan says what is kept');

foreach my $case (
	[ 'computed', 'SET syncmaster.precompute_vectors = on', q{SELECT FROM syncmaster_upgrade('head')} ],
	[ 'altered', 'SET syncmaster.precompute_vectors = off', q{SELECT FROM syncmaster_upgrade('head')} ],
	[ 'by_hand', 'SELECT', q{SELECT syncmaster_upgrade_sql() \gexec} ])
{
	my ($db, $settings, $upgrade) = @$case;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	if ($db eq 'by_hand')
	{
		$node->safe_psql($db, $node->safe_psql($db, 'SELECT syncmaster_upgrade_sql()'));
	}
	else
	{
		$node->safe_psql($db, "$settings; $upgrade");
	}
	same_state(properties($db), $before, "$db: the same after the upgrade");
	is($node->safe_psql($db, 'SELECT version_num FROM alembic_version'), '0013', "$db: which is done");
	is($node->safe_psql($db, q{
			SELECT count(*) FROM connection
			WHERE name = 'long' AND pg_column_size(search_vector) >= 200 * 32}),
		'1', "$db: and rows are stored as the column says");
	$node->safe_psql($db, "$settings; SELECT FROM syncmaster_downgrade('0011')");
	same_state(properties($db), $before, "$db: the same after the downgrade");
}
is($node->safe_psql('source', q{SET syncmaster.restoring = off; SELECT count(*) FROM syncmaster_check() WHERE severity = 'error'}),
	'0', 'none of it is an error');

# Who granted may have lost the schema: the privilege stays.
$node->safe_psql('source', q{
	GRANT USAGE ON SCHEMA public TO app;
	REVOKE USAGE ON SCHEMA public FROM PUBLIC;
	SELECT FROM syncmaster_upgrade('head')});
like(properties('source'), qr/^connection\|.*"app reader SELECT f"/m,
	'what was granted by who cannot see the schema is granted by the owner');
like(properties('source'), qr/^connection\|.*"app stranger SELECT t"/m, 'all of it');

$node->stop;

done_testing();
