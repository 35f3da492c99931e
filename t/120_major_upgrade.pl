# From an older major of PostgreSQL, by pg_upgrade and by dump and restore.
#
# PG_OLD_BINDIR names the folder with the older server's programs; the extension
# must be installed there as well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $old_bindir = $ENV{PG_OLD_BINDIR};
plan skip_all => 'PG_OLD_BINDIR does not name the programs of an older PostgreSQL'
  unless defined $old_bindir && -x "$old_bindir/pg_ctl";

# Majors write some definitions in different ways.
my @without = (qr/^view/, qr/^constraint .* NOT NULL/);

my $old;
{
	local $ENV{PATH} = "$old_bindir:$ENV{PATH}";
	$old = new_server('old');
}

create_roles($old);
my %version = (source_0011 => '1.11', source_0013 => '1.13');
my (%want, %history);
foreach my $dbname (sort keys %version)
{
	create_database($old, $dbname, 'app');
	my ($rc, undef, $stderr) = run_sql($old, $dbname, 'app',
		"CREATE EXTENSION syncmaster VERSION '$version{$dbname}'");
	is("$rc $stderr", '0 ', "$dbname: CREATE EXTENSION, quietly");
	fill_tables($old, $dbname);
	customize($old, $dbname, 'app');
	$want{$dbname} = sample_state($old, $dbname);
	$history{$dbname} = $old->safe_psql($dbname, 'SELECT * FROM syncmaster_history()');
}

# Newer servers have checksums unless told otherwise; pg_upgrade wants both
# servers to be alike.
my ($major) = qx{initdb --version} =~ /(\d+)/;
my $new = new_server('new',
	extra => [ '--encoding=UTF8', '--no-locale', $major >= 18 ? '--no-data-checksums' : () ]);

# Dump and restore, with the newer programs.
create_roles($new);
foreach my $dbname (sort keys %version)
{
	my $name = "$dbname, dump and restore";
	my $dump = dump_database($old, $dbname, '-Fd', '-j2');

	create_database($new, $dbname, 'app');
	restored_quietly($new, $dump, $dbname, $name, '-j2');
	is_same_state($new, $dbname, $want{$dbname}, $name,
		without => [ @without, qr/^extension/ ]);
	$new->safe_psql($dbname, "SELECT syncmaster_upgrade('head')");
	unlike($new->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		qr/;/, "$name: everything is in order after syncmaster_upgrade()");
	ids_go_on($new, $dbname, $name);
	$new->safe_psql('postgres', "DROP DATABASE $dbname");
}
$new->safe_psql('postgres', 'DROP ROLE app, reader, writer, stranger');

# pg_upgrade
$old->stop;
$new->stop;
chdir PostgreSQL::Test::Utils::tempdir() or die "could not change directory: $!";
my ($rc, $stdout, $stderr) = run_command_on($new, 'pg_upgrade', '--no-sync',
	'-b', $old_bindir, '-B', scalar qx{pg_config --bindir} =~ s/\n//r,
	'-d', $old->data_dir, '-D', $new->data_dir,
	'-p', $old->port, '-P', $new->port, '-s', $new->host);
is("$rc $stderr", '0 ', 'pg_upgrade: exit code 0') or diag $stdout;
$new->start;
foreach my $dbname (sort keys %version)
{
	my $name = "$dbname, pg_upgrade";

	is_same_state($new, $dbname, $want{$dbname}, $name, without => \@without);
	is($new->safe_psql($dbname, 'SELECT * FROM syncmaster_history()'),
		$history{$dbname}, "$name: the history is there");
	nothing_is_member($new, $dbname, $name);
	unlike(slurp_file(dump_database($new, $dbname, '-s')),
		qr/^.* FUNCTION \S*syncmaster_/m, "$name: no function is in a dump");
	ids_go_on($new, $dbname, $name);

	# pg_upgrade gives extensions to the superuser, but keeps the grants.
	($rc, undef, $stderr) =
	  run_sql($new, $dbname, undef, 'ALTER EXTENSION syncmaster UPDATE');
	is($rc, 0, "$name: ALTER EXTENSION UPDATE") or diag $stderr;
	(undef, $stdout, $stderr) =
	  run_sql($new, $dbname, 'app', "SELECT syncmaster_upgrade('head')");
	is("$stdout$stderr", "0013\n", "$name: the owner of the tables may migrate them");
	unlike($new->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		qr/;/, "$name: everything is in order");
}

done_testing();
