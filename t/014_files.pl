# A server that lacks files: pg_trgm's, or some of the extension's scripts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OtherInstallation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my ($bindir, $scripts, $libraries) = other_installation('without_pg_trgm', qr/^pg_trgm/);
my $node;
{
	local $ENV{PATH} = "$bindir:$ENV{PATH}";
	$node = new_server('without_pg_trgm');
}

# The error of a command, and what it leaves of relations.
sub error_of
{
	my ($sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql);
	isnt($rc, 0, "refused: $sql");
	return $stderr;
}

sub relations
{
	return $node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_class WHERE relkind = 'r'
		  AND relnamespace = 'public'::regnamespace});
}

# pg_trgm is not installed on the server
my $stderr = error_of('CREATE EXTENSION syncmaster');
like(
	$stderr,
	qr/ERROR:\s+extension\ "pg_trgm"\ is\ not\ available\ on\ this\ server\n
	   .*HINT:.*postgresql-contrib/sx,
	'a missing pg_trgm is named, with the package that has it');
is(relations(), '0', '... and nothing was made');

# pg_trgm is installed; then a script is not there
chomp(my $sharedir = qx{pg_config --sharedir});
chomp(my $pkglibdir = qx{pg_config --pkglibdir});
OtherInstallation::link_files("$sharedir/extension", $scripts, qr/^(?!pg_trgm)/);
OtherInstallation::link_files($pkglibdir, $libraries, qr/^(?!pg_trgm)/);
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');

# Alembic goes down, so that the steps are read from the scripts
$node->safe_psql('postgres',
	"DROP INDEX ix_celery_taskmeta_date_done, ix_celery_tasksetmeta_date_done;
	 UPDATE alembic_version SET version_num = '0012'");
my $script = "$scripts/syncmaster--1.12--1.13.sql";
my $original = readlink $script;

unlink $script or die $!;
$stderr = error_of("SELECT syncmaster_upgrade('head')");
like(
	$stderr,
	qr/no installed script of extension "syncmaster" takes the schema from revision 0012 to 0013/,
	'a step whose script is missing');
like($stderr, qr/HINT:  Install the package/, '... with the way out');

mkdir $script or die $!;
like(error_of("SELECT syncmaster_upgrade('head')"),
	qr/ERROR:  could not read extension script "\Q$script\E": Is a directory/,
	'a folder in the place of a script');
rmdir $script or die $!;

symlink "$scripts/nowhere", $script or die $!;
like(
	error_of("SELECT syncmaster_upgrade('head')"),
	qr/ERROR:\s+could\ not\ open\ extension\ script\ "\Q$script\E":\ No\ such\ file
	   .*HINT:\s+Install\ the\ package/sx,
	'a dangling link in the place of a script');
unlink $script or die $!;
is($node->safe_psql('postgres', 'SELECT syncmaster_schema_version()'),
	'0012', 'nothing was changed by all that');

# a copy that somebody made beside the scripts
my $copy = "$scripts/syncmaster--1.11.orig.sql";
symlink readlink("$scripts/syncmaster--1.11.sql"), $copy or die $!;
is( $node->safe_psql('postgres',
		q{SELECT string_agg(version || coalesce(' ' || revision, ''), ', ')
		  FROM syncmaster_versions() WHERE version ~ '^1\.11'}),
	'1.11 0011, 1.11.orig',
	'a version that is no number');
unlink $copy or die $!;

symlink $original, $script or die $!;
is($node->safe_psql('postgres', "SELECT syncmaster_upgrade('head')"),
	'0013', 'the package installed again, the upgrade goes on');

$node->stop;
done_testing();
