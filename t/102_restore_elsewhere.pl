# Dumps restored where the extension is of another version, or is not there at
# all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OtherInstallation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('here');
create_roles($node);

# From an older version of the extension, with its older schema --------------

foreach my $case ([ '1.11', '0011' ], [ '1.12', '0012' ])
{
	my ($version, $revision) = @$case;
	my $source = "source_$revision";

	create_database($node, $source, 'app');
	$node->safe_psql($source, "CREATE EXTENSION syncmaster VERSION '$version'");
	fill_tables($node, $source);
	customize($node, $source);
	my $want = sample_state($node, $source);
	my $history = $node->safe_psql($source, 'SELECT * FROM syncmaster_history()');
	my $restored = "restored_$revision";

	foreach my $options ([], [ '-Fd', '-j2' ])
	{
		my $name = "from $version @$options";
		my $dump = dump_database($node, $source, @$options);

		$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $restored");
		create_database($node, $restored, 'app');
		restored_quietly($node, $dump, $restored, $name, @$options ? '-j4' : ());
		is_same_state($node, $restored, $want, $name, without => [qr/^extension syncmaster/]);
		is($node->safe_psql($restored, 'SELECT * FROM syncmaster_history()'),
			$history, "$name: the history is there");
		nothing_is_member($node, $restored, $name);
		ids_go_on($node, $restored, $name);
	}

	like(
		$node->safe_psql($restored, 'SELECT syncmaster_full_version()'),
		qr/^syncmaster\ 1\.13,\ .*\ at\ revision\ $revision,\ .*;\ the\ schema\ is\ behind
			\ the\ extension:\ run\ SELECT\ syncmaster_upgrade\('head'\)$/x,
		"from $version: the difference is reported");
	is($node->safe_psql($restored, "SELECT syncmaster_upgrade('head')"),
		'0013', "from $version: syncmaster_upgrade() upgrades the schema");
	unlike($node->safe_psql($restored, 'SELECT syncmaster_full_version()'),
		qr/;/, "from $version: everything is in order");
	is( $node->safe_psql($restored,
			'SELECT to_revision FROM syncmaster_history() OFFSET 11'),
		"0012\n0013",
		"from $version: the history goes on");

	# What an upgrade on the spot would have made is the measure.
	$node->safe_psql($source, 'ALTER EXTENSION syncmaster UPDATE');
	my $updated = sample_state($node, $source);
	is_same_state($node, $restored, $updated, "from $version, upgraded",
		without => [ qr/^sequence/, qr/^rows of syncmaster_history/ ]);
	nothing_is_member($node, $restored, "from $version, upgraded");
}

# From an older version over a newer one.
{
	my $name = '--clean over a newer version';
	create_database($node, 'older', 'app');
	$node->safe_psql('older', "CREATE EXTENSION syncmaster VERSION '1.11'");
	fill_tables($node, 'older');
	my $older = sample_state($node, 'older');
	my $dump = dump_database($node, 'older', '-Fc');

	create_database($node, 'newer', 'app');
	$node->safe_psql('newer', 'CREATE EXTENSION syncmaster');
	restored_quietly($node, $dump, 'newer', $name, '--clean');
	is_same_state($node, 'newer', $older, $name, without => [qr/^extension syncmaster/]);
	is($node->safe_psql('newer', "SELECT syncmaster_upgrade('head')"),
		'0013', "$name: syncmaster_upgrade()");
	unlike($node->safe_psql('newer', 'SELECT syncmaster_full_version()'),
		qr/;/, "$name: everything is in order");
	ids_go_on($node, 'newer', $name);
}

# A schema that this library does not know yet stays as it is.
{
	create_database($node, 'source', 'app');
	$node->safe_psql('source', 'CREATE EXTENSION syncmaster');
	fill_tables($node, 'source');
	customize($node, 'source');
	grant_services($node, 'source');
	grant_decrypt($node, 'source');
	$node->safe_psql('source', "UPDATE alembic_version SET version_num = '0099'");
	my $want = sample_state($node, 'source');
	my $dump = dump_database($node, 'source');

	create_database($node, 'restored_0099', 'app');
	restored_quietly($node, $dump, 'restored_0099', 'from the future');
	is_same_state($node, 'restored_0099', $want, 'from the future');
	like(
		$node->safe_psql('restored_0099', 'SELECT syncmaster_full_version()'),
		qr/at revision 0099, .*; the schema is newer than the library/,
		'a newer schema is reported');
	$node->safe_psql('source', "UPDATE alembic_version SET version_num = '0013'");
}

# A whole server ---------------------------------------------------------------

my $want = sample_state($node, 'source');
my $history = $node->safe_psql('source', 'SELECT * FROM syncmaster_history()');

{
	my $other = new_server('other');
	my ($rc, $dump, $stderr) = run_command_on($node, 'pg_dumpall');
	is("$rc $stderr", '0 ', 'pg_dumpall: exit code 0, quietly');

	# The only role that is there already.
	my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
	$dump =~ s/^CREATE ROLE $superuser;$//m or die 'no superuser in the dump';
	my $path = PostgreSQL::Test::Utils::tempdir() . '/all.sql';
	append_to_file($path, $dump);

	($rc, $stderr) = restore($other, $path, 'postgres', '-v', 'ON_ERROR_STOP=1');
	my $said = $stderr =~ s/$SampleDatabase::restore_info//g;
	is("$rc $stderr", '0 ', 'restore of pg_dumpall: exit code 0, quietly');
	is($said, 8, '... and once for each database with the extension');
	is_same_state($other, 'source', $want, 'restore of pg_dumpall');
	unlike($other->safe_psql('source', 'SELECT syncmaster_full_version()'),
		qr/;/, 'restore of pg_dumpall: everything is in order');
	nothing_is_member($other, 'source', 'restore of pg_dumpall');
	ids_go_on($other, 'source', 'restore of pg_dumpall');

	# One database, made by the restore.
	foreach my $options ([], ['-Fc'])
	{
		my $name = "@$options --create";
		$dump = dump_database($node, 'source', @$options, @$options ? () : '--create');
		$other->safe_psql('postgres', 'DROP DATABASE source');
		restored_quietly($other, $dump, 'postgres', $name, @$options ? '--create' : ());
		is_same_state($other, 'source', $want, $name);
		ids_go_on($other, 'source', $name);
	}
	$other->stop;
}

# A server without the extension -----------------------------------------------

{
	my ($bindir) = other_installation('without_extension', qr/^syncmaster/);
	my $bare;
	{
		local $ENV{PATH} = "$bindir:$ENV{PATH}";
		$bare = new_server('bare');
	}
	create_roles($bare);
	is( $bare->safe_psql('postgres',
			q{SELECT count(*) FROM pg_available_extensions
			  WHERE name IN ('syncmaster', 'pg_trgm')}),
		'1', 'the other server has pg_trgm, but not the extension');

	my %databases;
	foreach my $case (
		[ 'plain', [], [] ],
		[ '-Fc', ['-Fc'], [] ],
		[ '-Fd -j2, -j4', [ '-Fd', '-j2' ], ['-j4'] ])
	{
		my ($options, $dump_options, $restore_options) = @$case;
		my $name = "server without the extension, $options";
		my $dbname = 'restored' . keys %databases;
		my $dump = dump_database($node, 'source', @$dump_options);

		create_database($bare, $dbname, 'app');
		my (undef, $stderr) = restore($bare, $dump, $dbname, @$restore_options);
		my @errors = $stderr =~ /ERROR:  (.*)/g;
		is(scalar @errors, 4, "$name: four errors") or diag $stderr;
		like($errors[0],
			qr/control file ".*syncmaster\.control"|"syncmaster" is not available/,
			'... at CREATE EXTENSION');
		is($errors[1], 'extension "syncmaster" does not exist',
			'... and at COMMENT ON EXTENSION');
		like(join(" ", sort @errors[2, 3]),
			qr/syncmaster_decrypt\(text\) does not exist.*syncmaster_metrics" does not exist/,
			'... and at the rights on its members');
		is_same_state($bare, $dbname, $want, $name,
			without => [ qr/^extension syncmaster/, qr/^grant on member/ ]);
		is($bare->safe_psql($dbname, 'SELECT count(*) FROM syncmaster_history.migration'),
			13, "$name: the history can be read as a table");
		ids_go_on($bare, $dbname, $name);
		$databases{$dbname} = $options;
	}

	# Without these entries of the dump, there is no error at all.
	{
		my $name = 'server without the extension, its entries left out';
		my $dump = dump_database($node, 'source', '-Fc');

		create_database($bare, 'listed', 'app');
		restored_quietly($bare, $dump, 'listed', $name, '-L',
			list_without_extension($bare, $dump), '-1');
		is_same_state($bare, 'listed', $want, $name,
			without => [ qr/^extension syncmaster/, qr/^grant on member/ ]);
		$databases{listed} = 'entries left out';
	}

	# The package arrives: CREATE EXTENSION takes the databases over.
	$bare->stop;
	$bare->start;
	foreach my $dbname (sort keys %databases)
	{
		my $name = "taken over, $databases{$dbname}";
		my ($rc, undef, $stderr) =
		  run_sql($bare, $dbname, 'app', 'CREATE EXTENSION syncmaster');
		is("$rc $stderr", '0 ', "$name: CREATE EXTENSION, quietly");
		grant_decrypt($bare, $dbname);
		is_same_state($bare, $dbname, $want, $name, without => [qr/^sequence/]);
		unlike($bare->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
			qr/;/, "$name: everything is in order");
		is($bare->safe_psql($dbname, 'SELECT * FROM syncmaster_history()'),
			$history, "$name: the history is there, and nothing new in it");
		nothing_is_member($bare, $dbname, $name);
	}
	$bare->stop;
}

done_testing();
