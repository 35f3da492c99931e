# The rule of trust: nothing runs with a role's rights that another role, who
# lacks them, could have planted.  Each attempt is refused, has no effect, and is
# listed beforehand.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('trust');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN;
	CREATE ROLE dba LOGIN;
	CREATE ROLE mallory LOGIN});

sub query { return $node->safe_psql(@_); }

# Run as a role; returns what psql printed.
sub run_as
{
	my ($role, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql(
		$db, $sql,
		on_error_stop => 1,
		extra_params => [ '-U', $role ]);
	return ($rc, $out, $err);
}

# Nobody has become a superuser; whoever has is put back.
sub nobody_gained
{
	my ($name) = @_;
	is( query('postgres', q{
			SELECT string_agg(rolname, ' ' ORDER BY rolname)
			FROM pg_roles WHERE rolsuper}),
		$superuser,
		"$name: nobody gains rights");
	query('postgres', "ALTER ROLE $_ NOSUPERUSER") foreach qw(app dba mallory);
	return;
}

# ---------------------------------------------------------------------------
# alembic_version made by somebody first: new tables would be his

{
	query('postgres', 'CREATE DATABASE first');
	query('first', 'GRANT CREATE ON SCHEMA public TO mallory');
	is((run_as('mallory', 'first',
			'CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)'))[0],
		0, 'alembic_version is planted');
	my ($rc, $out, $err) =
	  run_as($superuser, 'first', 'CREATE EXTENSION syncmaster');
	like($err,
		qr/table "public\.alembic_version" belongs to role "mallory", who would get all of SyncMaster's tables/,
		'a planted alembic_version: refused');
	is( query('first', q{SELECT count(*) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
		'1', 'a planted alembic_version: nothing is made');
	nobody_gained('a planted alembic_version');
	query('first', 'DROP TABLE alembic_version; CREATE EXTENSION syncmaster');
	is( query('first', q{SELECT DISTINCT relowner::regrole FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
		$superuser, 'without it, the tables are the owner\'s of the database');
}

done_testing();
