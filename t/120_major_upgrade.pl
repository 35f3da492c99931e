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

# Majors write some definitions in different ways, and from 17 on, an owner has one
# privilege more.
my @without = (qr/^view/, qr/^constraint .* NOT NULL/, qr/: MAINTAIN to (\w+) by \g1$/);

# Without checksums, which newer servers have unless told otherwise: pg_upgrade wants both
# servers to be alike.
sub create_server
{
	my ($name) = @_;
	my ($major) = qx{initdb --version} =~ /(\d+)/;
	return new_server($name,
		extra => [ '--encoding=UTF8', '--no-locale', $major >= 18 ? '--no-data-checksums' : () ]);
}

my $old;
{
	local $ENV{PATH} = "$old_bindir:$ENV{PATH}";
	$old = create_server('old');
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

# Dump and restore, with the newer programs.
my $new = create_server('restored');
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
}
$new->stop;

# pg_upgrade copies the older server's files, then it makes links to them, after which the
# older server is no more.
$old->stop;
chdir PostgreSQL::Test::Utils::tempdir() or die "could not change directory: $!";
foreach my $mode ('copy', 'link')
{
	$new = create_server($mode);
	$new->stop;
	my ($rc, $stdout, $stderr) = run_command_on($new, 'pg_upgrade', '--no-sync',
		$mode eq 'link' ? '--link' : (),
		'-b', $old_bindir, '-B', scalar qx{pg_config --bindir} =~ s/\n//r,
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-p', $old->port, '-P', $new->port, '-s', $new->host);
	is("$rc $stderr", '0 ', "pg_upgrade, $mode: exit code 0") or diag $stdout;
	$new->start;
	foreach my $dbname (sort keys %version)
	{
		my $name = "$dbname, pg_upgrade, $mode";

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
	$new->stop;
}

done_testing();
