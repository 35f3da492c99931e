# From PostgreSQL 18 on the extension's files may be below a folder that is not the
# server's: settings name the places of control files and libraries.  The steps that
# the library reads from scripts have to come from there as well.

use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my ($major) = `$pg_config --version` =~ /(\d+)/;
plan skip_all => "PostgreSQL $major has no extension_control_path"
  if $major < 18;

# The same command as in packaging/dist.
my $dir = PostgreSQL::Test::Utils::tempdir();
chdir "$FindBin::RealBin/.." or die "could not change directory: $!";
system_or_bail('make', '-s', "PG_CONFIG=$pg_config", 'with_llvm=no',
	"DESTDIR=$dir", 'datadir=/share', 'bindir=/bin', 'pkglibdir=/lib',
	'docdir=/share/doc', 'install');
ok(-f "$dir/share/extension/syncmaster.control", 'control file installed');
ok(-f "$dir/lib/syncmaster.so", 'library installed');

# The server's own folders have the extension too: these files shall be different.
sub edit
{
	my ($file, $from, $to) = @_;
	my $text = slurp_file("$dir/share/extension/$file");

	like($text, qr/$from/, "$file: as expected");
	$text =~ s/$from/$to/g;
	open my $fh, '>', "$dir/share/extension/$file" or die "could not open: $!";
	print $fh $text;
	close $fh;
	return;
}
edit('syncmaster.control', 'database of SyncMaster', 'elsewhere');
edit('syncmaster--1.12--1.13.sql', 'ix_celery_taskmeta_date_done', 'ix_elsewhere');

my $node = PostgreSQL::Test::Cluster->new('layout');
$node->init;
$node->append_conf('postgresql.conf', qq(
extension_control_path = '$dir/share:\$system'
dynamic_library_path = '$dir/lib:\$libdir'
));
$node->start;

like(
	$node->safe_psql('postgres',
		q{SELECT comment FROM pg_available_extensions WHERE name = 'syncmaster'}),
	qr/elsewhere/, 'the server finds the control file');
$node->safe_psql('postgres', q{CREATE EXTENSION syncmaster VERSION '1.12'});
is( $node->safe_psql(
		'postgres', qq{
		SELECT DISTINCT split_part(line, ' ', -1)
		FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), '\\n') line,
			syncmaster_library_version()
		WHERE line ~ 'syncmaster\\.so'}),
	"$dir/lib/syncmaster.so",
	'the library comes from there');
is( $node->safe_psql('postgres', 'SELECT max(version) FROM syncmaster_versions()'),
	'1.13', 'its versions are known');
like($node->safe_psql('postgres', 'SELECT syncmaster_upgrade_sql()'),
	qr/ix_elsewhere/, 'so does a step that the library reads');

# Alembic's turn: the schema is behind the extension's version.
$node->safe_psql('postgres', q{
	SELECT syncmaster_upgrade('head');
	DROP INDEX ix_celery_tasksetmeta_date_done;
	DROP INDEX ix_elsewhere;
	UPDATE alembic_version SET version_num = '0012'});
is( $node->safe_psql('postgres',
		q{SELECT syncmaster_upgrade('head'), to_regclass('ix_elsewhere') IS NOT NULL}),
	'0013|t', 'an upgrade without a new version runs it');

# The first folder with a control file counts.
$node->append_conf('postgresql.conf',
	qq(extension_control_path = '\$system:$dir/share'\n));
$node->restart;
unlike(
	$node->safe_psql('postgres',
		q{SELECT syncmaster_downgrade('0012'); SELECT syncmaster_upgrade_sql()}),
	qr/ix_elsewhere/, 'after the server\'s own folder, it does not count');

$node->stop;

done_testing();
