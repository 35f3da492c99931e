# bin/syncmaster-db and the place where it works: it is named, and the command
# stops where services and Alembic may work in another one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('place');
$node->init;
$node->append_conf('postgresql.conf', qq(
fsync = off
autovacuum = off
log_statement = all
syncmaster.create_indexes = off
));
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN');

my $head = '0013';

sub new_database
{
	my ($name, $sql) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$name" OWNER app});
	$node->safe_psql($name, 'ALTER SCHEMA public OWNER TO app;' . ($sql // ''));
	return $name;
}

sub url
{
	my ($database, $role) = @_;
	return sprintf 'postgresql+asyncpg://%s@/%s?host=%s&port=%d', $role,
	  $database, $node->host =~ s/\//%2F/gr, $node->port;
}

# Whoever the tests are run by is the superuser.
sub node_user
{
	return scalar getpwuid $<;
}

sub ours
{
	my ($database, $role, @arguments) = @_;
	my $env = ref $arguments[0] ? shift @arguments : {};
	return command_line(url => url($database, $role), args => \@arguments, env => $env);
}

sub ends
{
	my ($name, $run, $status, $out, $err) = @_;
	is($run->{status}, $status, "$name: exit status") or diag($run->{err});
	ref $out ? like($run->{out}, $out, "$name: output") : is($run->{out}, $out, "$name: output");
	defined $err ? like($run->{err}, $err, "$name: errors") : is($run->{err}, '', "$name: no errors");
	return;
}

sub tables
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT string_agg(schemaname || ':' || n, ' ' ORDER BY schemaname)
		FROM (SELECT schemaname, count(*) AS n FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'syncmaster_history')
		GROUP BY schemaname) t});
}

# An address without a database, which would be the one of the user's name --------

my $user = node_user();
my $before = tables('postgres');
foreach my $case ([ '', "postgresql://$user\@/?host=" ], [ 'a slash', "postgresql://$user\@localhost/" ],
	[ 'no slash', "postgresql://$user\@localhost" ])
{
	my ($name, $url) = @$case;
	$url .= $node->host =~ s/\//%2F/gr if $url =~ /=$/;
	ends("no database, $name", command_line(url => $url, args => ['upgrade']), 2, '',
		qr/SYNCMASTER__DATABASE__URL names no database/);
}
is(tables('postgres'), $before, 'no database: no tables anywhere');
new_database('given');
ends('no database, but PGDATABASE',
	command_line(url => url('', $user), args => ['current'], env => { PGDATABASE => 'given' }), 0, '');

# What is not there, and names in codes ---------------------------------------------

ends('a database that does not exist', ours('nowhere', $user, 'upgrade'), 3, '',
	qr/database "nowhere" does not exist\n.*create it first.*createdb\n.*no connection to database "nowhere" on .*by SYNCMASTER__DATABASE__URL/s);
new_database('a b%c');
my $run = ours('a%20b%25c', $user, 'upgrade');
ends('a name in codes', $run, 0, "upgrade base -> $head (head)\n");
is($run->{place}, sprintf('schema public of database "a b%%c" on %s:%d as %s, by SYNCMASTER__DATABASE__URL',
		$node->host, $node->port, $user), 'a name in codes: the place is told');
$node->safe_psql('postgres', 'CREATE DATABASE "a%20b%25c"');
ends('a name in codes, and a database of that name', ours('a%20b%25c', $user, 'current'), 1, '',
	qr/there are two databases, "a b%c" and "a%20b%25c"/);

is(ours('given', $user, '-q', 'current')->{place}, '', 'the place is not told with --quiet');

# A psql that is too old.
my $old = $node->basedir . '/old';
mkdir $old or die;
my ($program) = grep { -x } map { "$_/syncmaster-db" } split /:/, $ENV{PATH};
write_file("$old/syncmaster-db", slurp_file($program));
foreach my $version ('psql (PostgreSQL) 12.22 (Debian 12.22-1)', 'psql (PostgreSQL) 9.6.24', '')
{
	write_file("$old/psql", "#!/bin/sh\necho '$version'\n");
	chmod 0755, "$old/psql", "$old/syncmaster-db" or die;
	$run = command_line(url => url('given', $user), args => ["$old/syncmaster-db", 'upgrade'],
		wrapper => [ 'sh', '-c', 'shift; exec "$@"', 'sh' ]);
	ends("psql is '$version'", $run, 1, '', qr/is not psql 13 or later/);
}
is(tables('given') // '', '', 'psql is too old: nothing happened');

# The tables in a schema of the services' role, the caller somebody else ------------

new_database('etl', 'CREATE SCHEMA AUTHORIZATION app');
ends('the owner makes them', ours('etl', 'app', 'upgrade', '0011'), 0, "upgrade base -> 0011\n");
$node->safe_psql('etl', 'DROP EXTENSION syncmaster');
foreach my $command ([ 'upgrade' ], ['current'], ['check'], ['preflight'], [ 'stamp', '0011' ],
	[ 'downgrade', 'base', '--allow-destroy' ])
{
	ends("tables elsewhere: @$command", ours('etl', $user, @$command), 1, '',
		qr/tables of SyncMaster are in schema app of database etl, and new ones would be in schema public: say by --schema/);
}
is(tables('etl'), 'app:12', 'tables elsewhere: no others were made');
ends('tables elsewhere: --schema', ours('etl', $user, '--schema', 'app', 'upgrade'), 0, "upgrade 0011 -> $head (head)\n");
is(tables('etl'), 'app:12', 'tables elsewhere: taken over');
ends('tables elsewhere: search_path finds nothing', ours('etl', $user, 'current'), 0, "$head (head)\n");
ends('tables elsewhere: two at a time', ours('etl', $user, '--schema=public', 'upgrade'), 1, '',
	qr/the extension is in schema app of database etl, and can be in a database once: schema public/);
ends('tables elsewhere: a schema that is not there', ours('given', $user, '--schema=nope', 'upgrade'), 1, '',
	qr/there is no schema nope in database given/);

# A search_path that begins with the server's own schema.
new_database('reserved');
my $reserved = { PGOPTIONS => '-c search_path=pg_catalog,public' };
foreach my $command ([ 'upgrade' ], [ 'stamp', '0011' ])
{
	ends("pg_catalog first: @$command", ours('reserved', $user, $reserved, @$command), 1, '',
		qr/^syncmaster-db: schema pg_catalog is reserved for the server: say by --schema where the tables are to be$/m);
}
ends('pg_catalog first: --schema', ours('reserved', $user, $reserved, '--schema', 'public', 'upgrade'), 0,
	"upgrade base -> $head (head)\n");
ends('pg_catalog first: once the extension is there', ours('reserved', $user, $reserved, 'current'), 0, "$head (head)\n");

# Somebody else's alembic_version and "user" are no reason.
new_database('foreign_tables', q{CREATE SCHEMA f; CREATE TABLE f.alembic_version (version_num varchar(32));
	CREATE TABLE f."user" (id int, username text, is_superuser bool)});
$run = ours('foreign_tables', $user, 'upgrade');
ends("another application's", $run, 0, "upgrade base -> $head (head)\n");
new_database('wanted');
new_database('second', 'CREATE SCHEMA AUTHORIZATION app');
ours('second', 'app', 'upgrade', '0011');
$node->safe_psql('second', 'DROP EXTENSION syncmaster');
ends('new ones are wanted', ours('second', $user, '--schema', 'public', 'upgrade'), 0,
	"upgrade base -> $head (head)\n", qr/^syncmaster-db: warning: there are tables of SyncMaster in schema app as well$/m);
is(tables('second'), 'app:12 public:12', 'new ones are wanted: made');

# The extension in one schema, search_path on another --------------------------------

new_database('two', 'CREATE SCHEMA a AUTHORIZATION app; CREATE SCHEMA b AUTHORIZATION app');
my $b = { PGOPTIONS => '-c search_path=b' };
my $a = { PGOPTIONS => '-c search_path=a,b' };
ours('two', 'app', $b, 'upgrade', '0012');
$node->safe_psql('two', 'DROP EXTENSION syncmaster');
ends('two: the other one', ours('two', 'app', $a, '--schema', 'a', 'upgrade', '0012'), 0,
	"upgrade base -> 0012\n", qr/schema b as well/);
my $state = $node->safe_psql('two', 'SELECT version_num FROM a.alembic_version UNION ALL SELECT version_num FROM b.alembic_version');
foreach my $command (['upgrade'], [ 'downgrade', 'base', '--allow-destroy' ], [ 'downgrade', '-1' ],
	[ 'superusers', 'add', 'eve' ], ['current'], ['check'], ['preflight'], ['plan'], ['health'],
	[ 'purge-runs', '1 day' ], [ 'purge-partitions', '1 day' ], [ 'purge-results', '1 day' ], [ 'grant', 'other', 'server' ],
	[ 'revoke', 'other', 'server' ], ['privileges'], [ 'stamp', '0012' ], [ 'upgrade', '--sql' ],
	['rotate-credentials'], ['verify-credentials'], [ 'superusers', 'list' ])
{
	ends("two: @$command", ours('two', 'app', $b, @$command), 1, '',
		qr/\Asyncmaster-db: search_path leads services and Alembic to the tables of SyncMaster in schema b of database two, but the extension is in schema a: to work there, add --schema a\n\z/);
}
is($node->safe_psql('two', 'SELECT version_num FROM a.alembic_version UNION ALL SELECT version_num FROM b.alembic_version'),
	$state, 'two: nothing happened');
is($node->safe_psql('two', 'SELECT count(*) FROM a."user"'), 0, 'two: nobody was promoted');
ends('two: only "user" is elsewhere', ours('two', 'app', { PGOPTIONS => '-c search_path=c,b' }, 'current'), 1, '', qr/schema b/);
ends('two: search_path finds both', ours('two', 'app', $a, 'current'), 0, "0012\n", qr/schema b as well/);
ends('two: --schema', ours('two', 'app', $b, '--schema', 'a', '-q', 'superusers', 'add', 'eve'), 0, "eve: created\n");
ends('two: --schema of the other one', ours('two', 'app', $b, '--schema', 'b', 'upgrade'), 1, '',
	qr/the extension is in schema a of database two/);
ends('two: a role without rights', ours('two', 'other', { PGOPTIONS => '-c search_path=a' }, 'current'), 1, '',
	qr/role other may not use schema a of database two, where the extension is: GRANT USAGE ON SCHEMA a TO other, unless another database is meant/);
$node->safe_psql('two', 'GRANT USAGE ON SCHEMA b TO other');
ends('two: a role without rights, led elsewhere', ours('two', 'other', $b, 'upgrade'), 1, '',
	qr/schema b of database two, but the extension is in schema a/);

# What destroys says where, and allows it for itself alone ---------------------------

my @allow = (PGOPTIONS => '-c syncmaster.allow_destroy=on -c search_path=a');
$run = ours('two', $user, {@allow}, 'downgrade', 'base');
ends('allow_destroy of the session does not count', $run, 1, '',
	qr/would drop tables.*^HINT:  To drop tables of schema a of database two, add --allow-destroy\./ms);
unlike($run->{err}, qr/syncmaster\.allow_destroy|alembic stamp/, 'the hint is in words of the program');
ends('--allow-destroy', ours('two', $user, { PGOPTIONS => '-c search_path=a' }, 'downgrade', 'base', '--allow-destroy'),
	0, "downgrade 0012 -> base\n", qr/schema b as well/);
my @set = slurp_file($node->logfile) =~ /statement: (.*syncmaster\.allow_destroy.*)/g;
cmp_ok(scalar @set, '>=', 2, 'allow_destroy is set');
is(scalar(grep { !/^SET LOCAL syncmaster\.allow_destroy = (on|off);$/ } @set), 0, 'for one transaction only');
my @sets = grep { !/^SET LOCAL / } slurp_file($node->logfile) =~ /statement: (SET .*)/g;
is(join("\n", @sets), '', 'no setting stays in the session');

# A plain CREATE EXTENSION at the same time -------------------------------------------

new_database('race');
foreach my $command ([ 'upgrade' ], ['check'], [ 'upgrade', '0012' ], ['preflight'], [ 'stamp', '0012' ])
{
	my $creator = begin_session($node, 'race', $user, 'BEGIN; CREATE EXTENSION syncmaster;');
	my $waiter = start_command_line(url => url('race', $user), args => $command);
	$node->poll_query_until('race', q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE application_name = 'syncmaster-db' AND wait_event_type = 'Lock'})
	  or die 'it does not wait';
	in_session($creator, 'COMMIT;');
	end_session($creator);
	ends("CREATE EXTENSION meanwhile: @$command", finish_command_line($waiter), 5, '',
		qr/somebody else created the extension meanwhile: try again/);
	$node->safe_psql('race', 'DROP EXTENSION syncmaster; DROP SCHEMA public CASCADE;
		DROP SCHEMA syncmaster_history CASCADE; CREATE SCHEMA public');
}
$node->safe_psql('race', 'CREATE EXTENSION syncmaster VERSION \'1.11\'');
foreach my $case ([ 'ROLLBACK', "upgrade 0011 -> $head (head)\n" ], [ 'COMMIT', "upgrade 0011 -> $head (head)\n" ])
{
	my ($end, $out) = @$case;
	my $alter = begin_session($node, 'race', $user, "BEGIN; ALTER EXTENSION syncmaster UPDATE TO '1.12';");
	my $waiter = start_command_line(url => url('race', $user), args => ['upgrade']);
	$node->poll_query_until('race', q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE application_name = 'syncmaster-db' AND wait_event_type = 'Lock'})
	  or die 'it does not wait';
	in_session($alter, "$end;");
	end_session($alter);
	ends("ALTER EXTENSION meanwhile, $end", finish_command_line($waiter), 0, $out);
	$node->safe_psql('race', "SELECT syncmaster_downgrade('0011')");
}

$node->stop;
done_testing();
