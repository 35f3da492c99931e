# The same without a superuser: one role owns database, extension and tables,
# dumps and restores.  And a role that may only read dumps.

use strict;
use warnings;

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('owner');
create_roles($node);

my @by_app = ('-U', 'app');

# Fill a database in which "app" installed the extension into a schema.
sub make_source
{
	my ($dbname, $schema) = @_;

	create_database($node, $dbname, 'app');
	my ($rc, undef, $stderr) = run_sql($node, $dbname, 'app',
		$schema eq 'public'
		? 'CREATE EXTENSION syncmaster'
		: "CREATE SCHEMA $schema; CREATE EXTENSION syncmaster SCHEMA $schema");
	is("$rc $stderr", '0 ', "$dbname: the database's owner installs, quietly");
	fill_tables($node, $dbname, $schema);
	return;
}

sub all_is_there
{
	my ($dbname, $name, $source, $want, $schema, %params) = @_;

	is_same_state($node, $dbname, $want, $name, %params);
	foreach my $query (
		"SELECT $schema.syncmaster_full_version()",
		"SELECT * FROM $schema.syncmaster_history()")
	{
		is($node->safe_psql($dbname, $query),
			$node->safe_psql($source, $query), "$name: $query");
	}
	nothing_is_member($node, $dbname, $name);
	ids_go_on($node, $dbname, $name, $schema);
	return;
}

make_source('source', 'public');
customize($node, 'source', 'app');
grant_services($node, 'source');
my $want = sample_state($node, 'source');

is( $node->safe_psql('source', q{
		SELECT DISTINCT relowner::regrole FROM pg_class
		WHERE relnamespace IN ('public'::regnamespace, 'syncmaster_history'::regnamespace)
		AND relkind <> 'v'
		UNION SELECT extowner::regrole FROM pg_extension WHERE extname <> 'plpgsql'
		UNION SELECT nspowner::regrole FROM pg_namespace
		WHERE nspname = 'syncmaster_history'}),
	'app', 'everything is the owner\'s');

# The extension is in a dump with its name only, not with its functions.
unlike(slurp_file(dump_database($node, 'source', '-s')),
	qr/^.* FUNCTION \S*syncmaster_/m, 'no function of the extension is in a dump');

my $databases = 0;
foreach my $case (
	[ 'plain', [], [] ],
	[ 'plain, -1', [], ['-1'] ],
	[ '-Fc', ['-Fc'], [] ],
	[ '-Fd -j2, -j4', [ '-Fd', '-j2' ], ['-j4'] ],
	[ '-Fc, -1', ['-Fc'], ['-1'] ],
	[ '--enable-row-security', [ '-Fc', '--enable-row-security' ], ['--enable-row-security'] ],
	[ '--no-owner --no-privileges', [ '-Fc', '-O', '-x' ], [], qr/^grant on/ ])
{
	my ($name, $dump_options, $restore_options, @without) = @$case;
	my $dbname = 'restored' . ++$databases;
	my $dump = dump_database($node, 'source', @by_app, @$dump_options);

	create_database($node, $dbname, 'app');
	restored_quietly($node, $dump, $dbname, $name, @by_app, @$restore_options);
	all_is_there($dbname, $name, 'source', $want, 'public', without => \@without);
}

# A dump without privileges takes from readers the right to dump, until they have
# it again.
{
	my $dbname = "restored$databases";

	# The DBA's policy keeps readers from dumping all of one table.
	my @pg_dump = ('pg_dump', '-U', 'reader', '-T', 'auth_data', '-f',
		File::Spec->devnull, $dbname);

	$node->safe_psql($dbname, <<'SQL');
GRANT USAGE ON SCHEMA dba TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, dba TO reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader;
SQL
	my ($rc, undef, $stderr) = run_command_on($node, @pg_dump);
	like($stderr, qr/ERROR:  permission denied for schema syncmaster_history/,
		'--no-privileges: readers lack rights on the history');
	$node->safe_psql($dbname, <<'SQL');
GRANT USAGE ON SCHEMA syncmaster_history TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA syncmaster_history TO PUBLIC;
SQL
	($rc, undef, $stderr) = run_command_on($node, @pg_dump);
	is("$rc $stderr", '0 ', '--no-privileges: with these rights they can dump');
}

# Over itself.
foreach my $options (['--clean'], [ '--clean', '--if-exists' ])
{
	my $name = "@$options over itself";
	my $dump = dump_database($node, 'source', @by_app, '-Fc');

	$node->safe_psql('restored1', 'DELETE FROM run');
	restored_quietly($node, $dump, 'restored1', $name, @by_app, @$options);
	all_is_there('restored1', $name, 'source', $want, 'public');
}

# A superuser's dump of the same, restored by the owner, and the reverse, and by
# a superuser as the owner.
foreach my $case (
	[ 'a superuser dumps, app restores', [], \@by_app ],
	[ 'app dumps, a superuser restores', \@by_app, [] ],
	[ 'a superuser dumps, and restores as app', [], ['--role=app'] ])
{
	my ($name, $dumped_by, $restored_by) = @$case;
	my $dbname = 'restored' . ++$databases;
	my $dump = dump_database($node, 'source', '-Fc', @$dumped_by);

	create_database($node, $dbname, 'app');
	restored_quietly($node, $dump, $dbname, $name, @$restored_by);
	all_is_there($dbname, $name, 'source', $want, 'public');
}

# Schema and data apart; the owner cannot disable the triggers of foreign keys,
# and need not.
{
	my $dbname = 'restored' . ++$databases;
	my $schema = dump_database($node, 'source', @by_app, '-s');
	my $data = dump_database($node, 'source', @by_app, '-a');

	create_database($node, $dbname, 'app');
	restored_quietly($node, $schema, $dbname, 'schema', @by_app);
	my ($rc, $stderr) =
	  restore($node, $data, $dbname, @by_app, '-v', 'ON_ERROR_STOP=1');
	is("$rc $stderr", '0 ', 'data: restored, quietly');
	all_is_there($dbname, 'schema, then data', 'source', $want, 'public');
}

# Where the owner may not create extensions, a superuser does it beforehand, and
# says that the tables are to come.
{
	my $dbname = 'restored' . ++$databases;
	my $name = 'extensions there already';
	my $dump = dump_database($node, 'source', @by_app, '-Fc');

	create_database($node, $dbname, 'app');
	my ($rc, undef, $stderr) = run_sql($node, $dbname, undef,
		'SET syncmaster.restoring = on; CREATE EXTENSION pg_trgm; CREATE EXTENSION syncmaster');
	is($rc, 0, "$name: created") or diag $stderr;
	restored_quietly($node, $dump, $dbname, $name, @by_app, '--no-comments', '-j2');
	is($node->safe_psql($dbname, "SELECT syncmaster_upgrade('head')"),
		'0013', "$name: syncmaster_upgrade() gives the monitor its right");
	all_is_there($dbname, $name, 'source', $want, 'public', without => [qr/^comment/]);
}

# Rights that a superuser granted on the extension's functions: the owner has to
# leave them out, in the recipe's way.
{
	grant_decrypt($node, 'source');
	my $want = sample_state($node, 'source');
	my $dump = dump_database($node, 'source', @by_app, '-Fc');

	foreach my $there (0, 1)
	{
		my $name = 'rights on functions' . ($there ? ', extensions there already' : '');
		my $dbname = 'restored' . ++$databases;

		create_database($node, $dbname, 'app');
		my ($rc, $stderr) = restore($node, $dump, $dbname, @by_app, '-1');
		like($stderr, qr/permission denied for function syncmaster_decrypt/,
			"$name: the owner cannot restore them");
		is( (run_sql($node, $dbname, $there ? undef : 'app',
				'SET syncmaster.restoring = on; CREATE EXTENSION pg_trgm; CREATE EXTENSION syncmaster'))[0],
			0, "$name: extensions are created");
		restored_quietly($node, $dump, $dbname, $name, @by_app, '--no-comments', '-1', '-L',
			list_without_extension($node, $dump));
		$node->safe_psql($dbname, "SELECT syncmaster_upgrade('head')");
		grant_decrypt($node, $dbname);
		all_is_there($dbname, $name, 'source', $want, 'public', without => [qr/^comment/]);
	}
}

# A schema of its own, whose name needs quotes.
my $etl = '"Sync etl"';
{
	make_source('source_etl', $etl);
	my $want_etl = sample_state($node, 'source_etl');

	foreach my $case ([ [], [] ], [ [ '-Fd', '-j2' ], ['-j4'] ])
	{
		my ($dump_options, $restore_options) = @$case;
		my $name = "schema etl @$dump_options";
		my $dbname = 'restored' . ++$databases;
		my $dump = dump_database($node, 'source_etl', @by_app, @$dump_options);

		create_database($node, $dbname, 'app');
		restored_quietly($node, $dump, $dbname, $name, @by_app, @$restore_options);
		all_is_there($dbname, $name, 'source_etl', $want_etl, $etl);
	}
}

# With --create, the database's settings are all that is refused.
{
	my $set = q{SET ROLE app; SELECT syncmaster_library_version();
		ALTER DATABASE own SET syncmaster.health_retention = '92d';
		ALTER DATABASE own SET search_path = public, dba};
	my $settings = q{SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = 'own'};

	$node->safe_psql('postgres', 'ALTER ROLE app CREATEDB');
	make_source('own', 'public');
	$node->safe_psql('own', $set);
	my $want_settings = $node->safe_psql('postgres', $settings);
	my $want_own = sample_state($node, 'own');
	my $dump = dump_database($node, 'own', @by_app, '-Fc');

	$node->safe_psql('postgres', 'DROP DATABASE own');
	my ($rc, $stderr) = restore($node, $dump, 'postgres', @by_app, '--create');
	my @errors = $stderr =~ /ERROR:  (.*)/g;
	is("@errors", 'permission denied to set parameter "syncmaster.health_retention"',
		'--create by the owner: what is refused');
	is_same_state($node, 'own', $want_own, '--create by the owner');
	is($node->safe_psql('postgres', $settings), '', 'which is of all settings at once');
	$node->safe_psql('own', $set);
	is($node->safe_psql('postgres', $settings), $want_settings, 'they can be made again');
	$node->safe_psql('postgres', 'ALTER ROLE app NOCREATEDB');
}

# Whoever may read the application's tables can dump the database: nothing of
# the extension's own blocks it.
{
	my $dbname = 'restored' . ++$databases;

	$node->safe_psql('source_etl', <<SQL);
GRANT USAGE ON SCHEMA $etl TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA $etl TO reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA $etl TO reader;
SQL
	my $want_etl = sample_state($node, 'source_etl');
	my $dump = dump_database($node, 'source_etl', '-U', 'reader');

	create_database($node, $dbname, 'app');
	restored_quietly($node, $dump, $dbname, 'dump by a reader', @by_app);
	all_is_there($dbname, 'dump by a reader', 'source_etl', $want_etl, $etl);

	# A role without these rights is stopped by the application's tables alone.
	my ($rc, undef, $stderr) = run_command_on($node, 'pg_dump', '-U', 'stranger',
		'-f', File::Spec->devnull, 'source_etl');
	is($rc, 1, 'a stranger cannot dump');
	unlike(join('', $stderr =~ /ERROR: .*/g),
		qr/syncmaster_history|migration/, '... which is not for the history');
	$dump = dump_database($node, 'source_etl', '-U', 'stranger', '-n',
		'syncmaster_history');
	like(slurp_file($dump),
		qr/^COPY syncmaster_history\.migration .*\n.*\tSync etl\t\\N\t0001\tapp\t/m,
		'a stranger can dump the history');
}

done_testing();
