# What the functions say about versions, who may call which, and whose things are
# after syncmaster_set_owner().

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncmasterCatalog;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('functions');
$node->init;
$node->append_conf('postgresql.conf',
	"fsync = off\nautovacuum = off\nsyncmaster.create_indexes = off");
$node->start;
$node->safe_psql('postgres', q(
	CREATE ROLE dba LOGIN; CREATE ROLE app LOGIN; CREATE ROLE next LOGIN;
	CREATE ROLE stranger LOGIN; CREATE ROLE grantee LOGIN));

my $superuser = $node->safe_psql('postgres', 'SELECT user');
my $database;

# A database of dba's, who is no superuser.
sub new_database
{
	($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER dba");
	$node->safe_psql($database, 'ALTER SCHEMA public OWNER TO dba; '
		  . 'REVOKE CREATE ON SCHEMA public FROM PUBLIC');
	return;
}

sub query
{
	my ($sql, $role) = @_;
	return $node->safe_psql($database, $sql,
		extra_params => [ '-U', $role // $superuser ]);
}

sub query_is
{
	my ($role, $sql, $expected, $name) = @_;
	my ($rc, $stdout, $stderr) =
	  $node->psql($database, $sql, extra_params => [ '-U', $role ]);
	is($stdout, $expected, $name) or diag($stderr);
	return;
}

# The command fails with this message, and changes nothing.
sub refused
{
	my ($role, $sql, $message, $name) = @_;
	my $before = state();
	my ($rc, $stdout, $stderr) =
	  $node->psql($database, $sql, extra_params => [ '-U', $role ]);

	like($stderr, $message, $name);
	is(state(), $before, "$name: nothing has changed");
	return;
}

# Revision, version, and every relation with its owner and grants.
sub state
{
	return query(q(
		SELECT coalesce(syncmaster_schema_version(), 'none'), extversion
		FROM pg_extension WHERE extname = 'syncmaster';
		SELECT relname, relkind, relowner::regrole, relacl
		FROM pg_class
		WHERE relnamespace IN (
			SELECT oid FROM pg_namespace
			WHERE nspname IN ('public', 'syncmaster_history'))
		ORDER BY relname COLLATE "C"));
}

# Owners of the tables and sequences in a schema.
sub owners
{
	my ($schema) = @_;
	return query("SELECT string_agg(DISTINCT relowner::regrole::text, ' ') "
		  . "FROM pg_class WHERE relnamespace = '$schema'::regnamespace "
		  . "AND relkind IN ('r', 'S')");
}

# Versions -----------------------------------------------------------------------

new_database('versions');
my $history = 'SELECT from_revision, to_revision, applied_by, schema_name '
  . 'FROM syncmaster_history()';

query(q(CREATE EXTENSION syncmaster VERSION '1.11'), 'dba');
query_is(
	'stranger',
	'SELECT version, revision, installed, is_default FROM syncmaster_versions()',
	"1.11|0011|t|f\n1.12|0012|f|f\n1.13|0013|f|t",
	'versions: 1.11 is installed, 1.13 the default');
query_is('stranger', 'SELECT syncmaster_schema_version()', '0011',
	'everybody may ask for the revision');
like(
	query('SELECT syncmaster_full_version()', 'stranger'),
	qr/^syncmaster\ 1\.11,\ library\ 1\.13,\ schema\ "public"\ at\ revision\ 0011,
		\ PostgreSQL\ [^;]+;\ the\ extension\ is\ not\ at\ the\ library's\ version:
		\ run\ ALTER\ EXTENSION\ syncmaster\ UPDATE$/x,
	'everybody may ask for the full version');
is( query($history, 'stranger'),
	join("\n",
		'|0001|dba|public',
		map { sprintf '%04d|%04d|dba|public', $_ - 1, $_ } 2 .. 11),
	'everybody may read the history: one entry a revision');

query('ALTER EXTENSION syncmaster UPDATE', 'dba');
query_is(
	'stranger',
	'SELECT version, installed FROM syncmaster_versions() WHERE installed',
	'1.13|t', 'versions: now 1.13 is installed');
query(q(SELECT syncmaster_downgrade('1.12')));
is( query("$history OFFSET 11"),
	"0011|0012|dba|public\n0012|0013|dba|public\n0013|0012|$superuser|public",
	'the history goes on, up and down, with who did it');
is( query('SELECT count(*) FROM syncmaster_history() '
		  . "WHERE library_version <> '1.13' OR duration < '0' "
		  . "OR applied_at NOT BETWEEN now() - interval '1 hour' AND now()"),
	0, 'the history has plausible times');

# What is out of step, each with what to do about it.
my %out_of_step = (
	q(UPDATE alembic_version SET version_num = '0011') =>
	  'at revision 0011.*; the schema is behind the extension: run SELECT',
	q(UPDATE alembic_version SET version_num = '0013') =>
	  'at revision 0013.*; the schema is ahead of the extension: run ALTER',
	q(UPDATE alembic_version SET version_num = '0099') =>
	  'at revision 0099.*; the schema is newer than the library: install',
	q(UPDATE alembic_version SET version_num = 'abc') =>
	  'at revision abc.*; the schema is newer than the library: install',
	q(UPDATE alembic_version SET version_num = '0000') =>
	  'at revision 0000.*; table alembic_version does not name a revision',
	q(UPDATE alembic_version SET version_num = '478240cdad4b') =>
	  'at revision 478240cdad4b.*; table alembic_version does not name',
	'DELETE FROM alembic_version' =>
	  'at no revision.*; there are tables without a revision: write it',
	q(INSERT INTO alembic_version VALUES ('0013')) =>
	  'at more than one revision.*; table alembic_version does not name',
	'ALTER TABLE alembic_version RENAME version_num TO v' =>
	  'at unreadable alembic_version.*; table alembic_version does not name',
	'DROP TABLE alembic_version' =>
	  'at no revision.*; there are tables without a revision: write it');
foreach my $sql (sort keys %out_of_step)
{
	like(query("BEGIN; $sql; SELECT syncmaster_full_version(); ROLLBACK"),
		qr/$out_of_step{$sql}/s, "full version after: $sql");
}

# Who may migrate ------------------------------------------------------------------

new_database('rights');
query('CREATE EXTENSION syncmaster', 'dba');
my @for_administrators = (
	q(syncmaster_upgrade('head')), q(syncmaster_downgrade('-1')),
	q(syncmaster_set_owner('stranger')), 'syncmaster_create_indexes()',
	'syncmaster_drop_indexes()');
foreach my $call (@for_administrators)
{
	my ($function) = $call =~ /(\w+)/;
	refused('stranger', "SELECT $call",
		qr/permission denied for function $function/, "a stranger's $call");
}
refused(
	'stranger',
	q(ALTER EXTENSION syncmaster UPDATE TO '1.12'),
	qr/must be owner of extension syncmaster/,
	"a stranger's ALTER EXTENSION");

# The right to call is not the right to the tables.
query('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO grantee');
foreach my $call (@for_administrators)
{
	refused('grantee', "SELECT $call",
		qr/role "grantee" may not migrate the tables of role "dba"/,
		"$call by one who may only call it");
}
query_is('dba', q(SELECT syncmaster_downgrade('-1')),
	'0012', q(the database's owner may downgrade));
query_is('dba', q(SELECT syncmaster_upgrade('head')), '0013', '... and upgrade');
query_is('dba', 'SELECT count(*) FROM syncmaster_create_indexes()',
	7, '... and build the extra indexes');
query_is('dba', 'SELECT count(*) FROM syncmaster_drop_indexes()',
	7, '... and drop them');

# syncmaster_set_owner() -------------------------------------------------------------

query('GRANT SELECT ON "user" TO grantee; '
	  . 'GRANT USAGE ON SEQUENCE task_id_sequence TO grantee');
refused(
	'dba',
	q(SELECT syncmaster_set_owner('app')),
	qr/role "app" lacks CREATE on schema "public"/,
	'a new owner without CREATE on the schema');
query('GRANT CREATE ON SCHEMA public TO app, next', 'dba');
refused(
	'dba',
	q(SELECT syncmaster_set_owner('app')),
	qr/must be (?:member of|able to SET ROLE) (?:role )?"app"/,
	'a new owner whom the caller may not act as');
query('GRANT app, next TO dba');
query(q(SELECT syncmaster_set_owner('app')), 'dba');
is(owners('public'), 'app', 'set_owner: all tables and sequences are theirs');
is(owners('syncmaster_history'), 'app', 'set_owner: and the history');
is( query('SELECT nspowner::regrole FROM pg_namespace '
		  . q(WHERE nspname = 'syncmaster_history')),
	'app', 'set_owner: and its schema');
query_is('grantee', 'SELECT count(*) FROM "user"', 0,
	'set_owner: grants on tables stay');
query_is('grantee', q(SELECT nextval('task_id_sequence')), 1,
	'set_owner: grants on sequences stay');
my $state = state();
query(q(SELECT syncmaster_set_owner('app')));
is(state(), $state, 'set_owner: the second time it changes nothing');
follow(
	$node,
	$database,
	{ name => 'set_owner' },
	{ name => 'the schema is as before', sql => 'SELECT', facts => 'rev-0013' },
	{
		name => 'what upgrades make is theirs, too',
		sql => 'SET syncmaster.allow_destroy = on; '
		  . q(SELECT syncmaster_downgrade('0003'); )
		  . q(SELECT syncmaster_upgrade('head')),
		facts => 'rev-0013'
	});
is(owners('public'), 'app', 'set_owner: after a downgrade and an upgrade');

# The tables' owner may move the schema, but not the extension.
query('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO app');
refused(
	'app',
	q(SELECT syncmaster_downgrade('0012')),
	qr/must be owner of extension syncmaster/,
	q(a downgrade of the extension by the tables' owner));
query(q(UPDATE alembic_version SET version_num = '0012';
		DROP INDEX ix_celery_taskmeta_date_done, ix_celery_tasksetmeta_date_done),
	'app');
query_is('app', q(SELECT syncmaster_upgrade('head')),
	'0013', q(an upgrade of the schema alone by the tables' owner));
is(query("$history ORDER BY applied_at DESC LIMIT 1"),
	'0012|0013|app|public', '... is in the history');
refused(
	'app',
	q(SELECT syncmaster_set_owner('next')),
	qr/must be (?:member of|able to SET ROLE) (?:role )?"next"/,
	'the owner cannot give the tables to whom they may not act as');
query(q(SELECT syncmaster_set_owner('next')), 'dba');
is(owners('public'), 'next', 'set_owner: from one role to another');
refused(
	'app',
	q(SELECT syncmaster_upgrade('head')),
	qr/permission denied for function syncmaster_upgrade/,
	'the former owner has no business with them');

# A worker of a Citus cluster --------------------------------------------------------

sub set_group
{
	my ($group) = @_;
	query('SET allow_system_table_mods = on; '
		  . 'CREATE TABLE IF NOT EXISTS pg_catalog.pg_dist_local_group '
		  . '(groupid int PRIMARY KEY); DELETE FROM pg_dist_local_group; '
		  . "INSERT INTO pg_dist_local_group VALUES ($group)");
	return;
}

sub relations
{
	return query('SELECT count(*) FROM pg_class WHERE relnamespace IN '
		  . q[(SELECT oid FROM pg_namespace WHERE nspname IN ('public', ]
		  . q['syncmaster_history')) AND relkind IN ('r', 'S')]);
}

new_database('citus');
set_group(3);
query('CREATE EXTENSION pg_trgm');
foreach my $command (
	q(CREATE EXTENSION syncmaster VERSION '1.11'),
	'ALTER EXTENSION syncmaster UPDATE',
	q(ALTER EXTENSION syncmaster UPDATE TO '1.11'),
	q(ALTER EXTENSION syncmaster UPDATE TO '1.13'))
{
	query($command);
	is(relations(), 0, "Citus worker: $command makes no relation");
}
is(query('SELECT syncmaster_schema_version() IS NULL'),
	't', 'Citus worker: reading functions work');
foreach my $call (@for_administrators)
{
	my ($function) = $call =~ /(\w+)/;
	refused($superuser, "SELECT $call",
		qr/cannot execute $function\(\) on a Citus worker/,
		"Citus worker: $call");
}

# The same tables on a worker that has them: nothing moves.
set_group(0);
query(q(SELECT syncmaster_upgrade('head')));
set_group(3);
query(q(ALTER EXTENSION syncmaster UPDATE TO '1.11'));
follow(
	$node,
	$database,
	{ name => 'Citus worker' },
	{
		name => 'a downgrade leaves the schema alone',
		sql => 'SELECT',
		facts => 'rev-0013',
		version => '1.11'
	},
	{
		name => 'so does an upgrade',
		sql => 'ALTER EXTENSION syncmaster UPDATE',
		facts => 'rev-0013',
		version => '1.13'
	});
set_group(0);
query(q(ALTER EXTENSION syncmaster UPDATE TO '1.11'));
follow(
	$node,
	$database,
	{ name => 'Citus coordinator' },
	{
		name => 'a downgrade is done',
		sql => 'SELECT',
		facts => 'rev-0011',
		version => '1.11'
	},
	{
		name => 'so is an upgrade',
		sql => 'ALTER EXTENSION syncmaster UPDATE',
		facts => 'rev-0013',
		version => '1.13'
	});

# An owner of the database who may make nothing in the schema ------------------------

new_database('places');
query('ALTER SCHEMA public OWNER TO ' . $superuser . '; REVOKE ALL ON SCHEMA public FROM dba, PUBLIC');
my (undef, undef, $refusal) = $node->psql('places', 'CREATE EXTENSION syncmaster SCHEMA public',
	extra_params => [ '-U', 'dba' ]);
like($refusal, qr/ERROR:  role "dba" lacks USAGE, CREATE on schema "public"/,
	'an owner of the database who may make nothing in the schema');
my ($needed) = $refusal =~ /HINT:  (GRANT .*), and run the command again/;
query($needed);
query('CREATE EXTENSION syncmaster SCHEMA public', 'dba');
is(query('SELECT tableowner FROM pg_tables WHERE tablename = \'run\''),
	'dba', '... and after what the hint says');

# A schema other than public: what is said is followed to the letter -----------------

new_database('etl');
query(q(CREATE SCHEMA etl; CREATE SCHEMA "E t"; CREATE ROLE etl_owner LOGIN; CREATE ROLE etl_service));
foreach my $schema ('etl', '"E t"')
{
	my (undef, undef, $said) =
	  $node->psql('etl', "CREATE EXTENSION syncmaster SCHEMA $schema");
	my ($commands) = $said =~ /HINT:  To give them to the database's owner: (.*;)$/m;
	like($commands, qr/^GRANT USAGE, CREATE ON SCHEMA \Q$schema\E TO dba; SELECT /,
		"$schema: the hint of CREATE EXTENSION asks for USAGE and CREATE");
	query($commands);
	(undef, undef, $said) = $node->psql('etl', qq(SELECT $schema.syncmaster_set_owner('etl_owner')));
	like($said, qr/ERROR:  role "etl_owner" lacks USAGE, CREATE on schema/,
		"$schema: set_owner asks for both");
	my ($grant) = $said =~ /HINT:  (GRANT .*), and run the command again/;
	query($grant);
	query(qq(SELECT $schema.syncmaster_set_owner('etl_owner')));
	foreach my $sql (
		qq(SELECT $schema.syncmaster_grant('etl_service', 'worker')),
		qq(SELECT $schema.syncmaster_revoke('etl_service', 'worker')),
		qq(CALL $schema.syncmaster_purge_runs('1 day', 0, 10, false, NULL)),
		qq(SELECT $schema.syncmaster_drop_indexes()),
		qq(SELECT $schema.syncmaster_create_indexes()),
		qq(SELECT $schema.syncmaster_downgrade('0011')),
		qq(SELECT $schema.syncmaster_upgrade('head')))
	{
		my ($ret, undef, $problem) = $node->psql('etl', $sql);
		is($ret, 0, "$schema: $sql") or diag $problem;
	}
	query(qq(DROP EXTENSION syncmaster; DROP SCHEMA $schema CASCADE));
	query('DROP SCHEMA syncmaster_history CASCADE');
}

$node->stop;

done_testing();
