# Tables of SyncMaster in another schema than the extension's: a second set is not
# made by mistake, the other one is named for as long as it is there, and what is
# said to do about it works.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('place');
create_roles($node);
create_database($node, 'db', 'app');

sub tables_of
{
	my ($schema) = @_;
	return $node->safe_psql('db', qq{
		SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'S')
		AND relnamespace = to_regnamespace('$schema')});
}

# What Alembic made for a role with a schema of its own; a superuser's session
# searches public.  Another application's table of revisions is no obstacle.
$node->safe_psql('db', q{
	CREATE SCHEMA app AUTHORIZATION app;
	CREATE SCHEMA other;
	CREATE TABLE other.alembic_version (version_num varchar(32));
	CREATE TABLE other."user" (id int);
	CREATE EXTENSION syncmaster SCHEMA app VERSION '1.11';
	DROP EXTENSION syncmaster});
fill_tables($node, 'db', 'app');

my $there = q(SyncMaster's tables are in schema "app" of role "app"; a second set would be made in schema "public");
my ($rc, $out, $err);
foreach my $sql (
	'CREATE EXTENSION syncmaster',
	'CREATE EXTENSION IF NOT EXISTS syncmaster CASCADE',
	'SELECT 1; CREATE EXTENSION syncmaster',
	q{DO $$BEGIN EXECUTE 'CREATE EXTENSION syncmaster SCHEMA public'; END$$})
{
	($rc, $out, $err) = run_sql($node, 'db', undef, $sql);
	like($err, qr/^ERROR:  \Q$there\E\nHINT:  To use those, CREATE EXTENSION syncmaster SCHEMA app\. /m,
		"refused: $sql");
	is(tables_of('public'), 0, '... and nothing is made');
}

# If it is meant; then it is named everywhere.
($rc, $out, $err) = run_sql($node, 'db', undef, 'CREATE EXTENSION syncmaster WITH SCHEMA public');
is($rc, 0, 'with SCHEMA it is meant');
like($err, qr/^WARNING:  \Q$there\E$/m, '... and a warning is given');
my $is_named = sub {
	my ($severity, $when) = @_;
	like($node->safe_psql('db', 'SELECT syncmaster_full_version()'),
		qr/; there are tables of SyncMaster in schema "app" of role "app" as well$/,
		"$when: the version names the other set");
	like($node->safe_psql('db', 'SELECT * FROM syncmaster_check()'),
		qr/^$severity\|schema\|app\|has tables of SyncMaster, which the extension does not reach\|public\|app\|/m,
		"$when: check names it");
	like($node->safe_psql('db', 'SELECT * FROM syncmaster_health()'),
		qr/^$severity\|schema\|app\|has tables of SyncMaster, which the extension does not reach\|If these are meant: DROP EXTENSION syncmaster; /m,
		"$when: health names it");
};
$is_named->('warning', 'unused');

# Two that were meant: with rows in both, what is said drops nothing.
my $fix = q{SELECT fix FROM syncmaster_check() WHERE object_name = 'app'};
$node->safe_psql('db', q{
	INSERT INTO public."user" (username, is_superuser, is_active) VALUES ('a', true, true)});
$is_named->('info', 'used');
is( $node->safe_psql('db', $fix),
	'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster SCHEMA app',
	'used: no table is dropped');
$node->safe_psql('db', 'TRUNCATE "user" CASCADE');

# Destructive messages say where; roles without rights learn what may be meant.
($rc, $out, $err) = run_sql($node, 'db', undef, q{SELECT syncmaster_downgrade('base')});
like($err, qr/^ERROR:  a downgrade to base would drop tables of schema "public" in database "db"$/m,
	'a downgrade says where');
$node->safe_psql('db', q{GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO writer});
($rc, $out, $err) = run_sql($node, 'db', 'writer', q{SELECT syncmaster_upgrade('head')});
like($err, qr/^ERROR:  role "writer" may not migrate .*\nDETAIL:  The extension is in schema "public" of database "db", and does not reach the tables of SyncMaster in schema "app" of role "app", which may be meant\.$/m,
	'a role without rights is told of the other set');

# One that was downgraded to base may come again; preflight says the same.
$node->safe_psql('db', q{BEGIN; SET LOCAL syncmaster.allow_destroy = on;
	SELECT syncmaster_downgrade('base'); DROP EXTENSION syncmaster; COMMIT;
	CREATE EXTENSION pg_trgm SCHEMA app});
($rc, $out, $err) = run_sql($node, 'db', undef, 'CREATE EXTENSION syncmaster VERSION \'1.11\'');
is($rc, 0, 'after a downgrade to base');
like($err, qr/^WARNING:  \Q$there\E$/m, '... with a warning');

# The way out, as check says it.
my $sql = $node->safe_psql('db', $fix);
like($sql, qr/; DROP TABLE public\.alembic_version, /, 'unused: the tables are dropped');
$node->safe_psql('db', $sql);
is(tables_of('public'), 0, 'nothing is left in public');
is($node->safe_psql('db', 'SELECT app.syncmaster_schema_version(), count(*) FROM app."user"'),
	'0013|35', 'the right tables are taken over, with their rows');
unlike($node->safe_psql('db', 'SELECT app.syncmaster_full_version()'),
	qr/as well/, 'and there is no other set any more');

# Functions alone, as after a restore: an upgrade there warns, and so does preflight.
$node->safe_psql('db', q{
	DROP EXTENSION syncmaster;
	SET syncmaster.restoring = on;
	CREATE EXTENSION syncmaster SCHEMA public});
like($node->safe_psql('db', 'SELECT * FROM syncmaster_preflight()'),
	qr/^warning\|schema\|\Q$there\E\|To use those, /m, 'preflight says it before');
($rc, $out, $err) = run_sql($node, 'db', undef, q{SELECT syncmaster_upgrade('head')});
is($rc, 0, 'an upgrade where the extension is');
like($err, qr/^WARNING:  \Q$there\E$/m, '... warns');

# Schemas of the server's own, as a search_path that begins with one names them.
my $reserved = sub {
	my ($schema) = @_;
	return qr/^ERROR:  schema "$schema" is reserved for the server\nDETAIL:  .*\nHINT:  DROP EXTENSION syncmaster, if it is there, and say which schema is meant: CREATE EXTENSION syncmaster SCHEMA public\.$/m;
};
create_database($node, 'reserved');
foreach my $case (
	[ 'pg_catalog', q{SET search_path = pg_catalog, public; CREATE EXTENSION syncmaster} ],
	[ 'pg_catalog', q{SET search_path = pg_catalog, public; SET syncmaster.restoring = on; CREATE EXTENSION syncmaster} ],
	[ 'information_schema', q{SET search_path = information_schema; CREATE EXTENSION syncmaster} ],
	[ 'pg_toast', q{CREATE EXTENSION syncmaster SCHEMA pg_toast} ])
{
	my ($schema, $sql) = @$case;
	($rc, $out, $err) = run_sql($node, 'reserved', undef, $sql);
	like($err, $reserved->($schema), "refused: $sql");
}
($rc, $out, $err) = run_sql($node, 'reserved', undef,
	q{SET search_path = pg_catalog, public; CREATE EXTENSION syncmaster SCHEMA public});
is($rc, 0, 'the way out works');

$node->stop;
done_testing();
