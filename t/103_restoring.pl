# How a restore is told from an installation, and how to say it oneself.

use strict;
use warnings;

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('restoring');
create_roles($node);

my $info = <<'STDERR';
INFO:  a restore is under way: the tables are left to it
HINT:  If none is, run SELECT syncmaster_upgrade('head').
STDERR
my $like_a_dump = 'SET xmloption = content; SET row_security = off;';
my $tables = q{SELECT count(*) FROM pg_class
	WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace};
my $in_order = qr/ at revision 0013, [^;]*$/;
my $databases = 0;

sub new_database
{
	my $dbname = 'db' . ++$databases;
	create_database($node, $dbname, 'app');
	return $dbname;
}

# One session, each command a transaction of its own.
sub run_commands
{
	my ($dbname, @commands) = @_;
	return run_command_on($node, 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d',
		$dbname, map { ('-c', $_) } @commands);
}

# What a normal installation is.
create_database($node, 'installed', 'app');
$node->safe_psql('installed', 'CREATE EXTENSION syncmaster');
my $want = sample_state($node, 'installed');
my @times = (qr/^rows of syncmaster_history/);

# Create the extension after some other commands: it makes the tables, or leaves
# them to a restore; afterwards one call in the same session makes them.
my @like_a_dump = ('SET xmloption = content', 'SET row_security = off');
foreach my $case (
	[ 1 ],
	[ 1, 'SET xmloption = content' ],
	[ 1, 'SET row_security = on' ],
	[ 0, @like_a_dump ],
	[ 0, 'BEGIN', @like_a_dump ],
	[ 0, q{SELECT set_config('xmloption', 'content', false)}, 'SET row_security = on' ],
	[ 1, @like_a_dump, 'RESET row_security' ],
	[ 1, @like_a_dump, 'DISCARD ALL' ],
	[ 0, 'SET syncmaster.restoring = on' ],
	[ 1, 'SET syncmaster.restoring = auto' ],
	[ 1, 'SET syncmaster.restoring = off' ],
	[ 0, @like_a_dump, 'SET syncmaster.restoring = on' ],
	[ 0, @like_a_dump, 'SET syncmaster.restoring = auto' ],
	[ 1, @like_a_dump, 'SET syncmaster.restoring = off' ],
	[ 1, 'BEGIN', @like_a_dump, 'SET LOCAL syncmaster.restoring = off' ])
{
	my ($makes_tables, @before) = @$case;
	my $name = 'after ' . (join('; ', @before) || 'nothing');
	my @commands = (@before, 'CREATE EXTENSION syncmaster');
	push @commands, 'COMMIT' if grep { $_ eq 'BEGIN' } @before;
	my $dbname = new_database();

	my ($rc, undef, $stderr) = run_commands($dbname, @commands);
	is("$rc $stderr", $makes_tables ? '0 ' : "0 $info", "$name: what is said");
	if (!$makes_tables)
	{
		is($node->safe_psql($dbname, $tables), 0, "$name: no table is made");
		like(
			$node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
			qr/ at no revision, .*; there is no schema: run SELECT syncmaster_upgrade\('head'\)$/,
			"$name: ... which is reported");

		$node->safe_psql($dbname, 'DROP EXTENSION syncmaster');
		($rc, undef, $stderr) =
		  run_commands($dbname, @commands, "SELECT syncmaster_upgrade('head')");
		is("$rc $stderr", "0 $info", "$name: syncmaster_upgrade() makes them, quietly");
	}
	is_same_state($node, $dbname, $want, $name, without => \@times);
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, "$name: everything is in order");
	nothing_is_member($node, $dbname, $name);
}

# The settings may come from elsewhere than the session.
{
	my $dbname = new_database();
	local $ENV{PGOPTIONS} = '-c xmloption=content -c row_security=on';
	my ($rc, undef, $stderr) = run_sql($node, $dbname, undef, 'CREATE EXTENSION syncmaster');
	is("$rc $stderr", '0 ', 'settings of the connection are no restore');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, '... the tables are made');

	$dbname = new_database();
	$ENV{PGOPTIONS} = '-c syncmaster.restoring=on';
	($rc, undef, $stderr) = run_sql($node, $dbname, undef, 'CREATE EXTENSION syncmaster');
	is("$rc $stderr", "0 $info", 'syncmaster.restoring from the connection holds');
	is($node->safe_psql($dbname, $tables), 0, '... no table is made');
}
{
	my $dbname = new_database();
	$node->safe_psql($dbname, "ALTER DATABASE $dbname SET syncmaster.restoring = off");
	my ($rc, undef, $stderr) =
	  run_sql($node, $dbname, undef, "$like_a_dump CREATE EXTENSION syncmaster");
	is("$rc $stderr", '0 ', 'syncmaster.restoring of the database holds');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, '... the tables are made');
}

# In the session in which a dump was read, an update is an update.
foreach my $command ('ALTER EXTENSION syncmaster UPDATE', "SELECT syncmaster_upgrade('head')")
{
	my $dbname = new_database();
	my $source = new_database();
	$node->safe_psql($source, "CREATE EXTENSION syncmaster VERSION '1.11'");
	my $dump = dump_database($node, $source);

	$node->safe_psql($dbname, "CREATE EXTENSION syncmaster VERSION '1.11'");
	my ($rc, undef, $stderr) =
	  run_sql($node, $dbname, undef, "$like_a_dump $command");
	is("$rc $stderr", '0 ', "$command with the settings of a dump: quiet");
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, '... the schema is upgraded');
	($rc, undef, $stderr) =
	  run_sql($node, $dbname, undef, "$like_a_dump SELECT syncmaster_downgrade('-1')");
	is($node->safe_psql($dbname, 'SELECT syncmaster_schema_version()'),
		'0012', '... and downgraded');

	my $restored = new_database();
	($rc, undef, $stderr) = run_command_on($node, 'psql', '-Xq', '-o',
		File::Spec->devnull, '-v', 'ON_ERROR_STOP=1', '-d', $restored, '-f',
		$dump, '-c', "SET search_path = public; $command");
	$stderr =~ s/$SampleDatabase::restore_info//;
	is("$rc $stderr", '0 ', "$command after a dump was read: quiet");
	my $version = $node->safe_psql($restored, 'SELECT syncmaster_full_version()');
	like($version, $command =~ /^ALTER/ ? qr/; the schema is behind/ : $in_order,
		'... what is to be done was done, or is reported');
}

# syncmaster.restoring = on holds for updates as well, but not for a call that
# asks for a migration.
{
	my $dbname = new_database();
	$node->safe_psql($dbname, "CREATE EXTENSION syncmaster VERSION '1.11'");
	my ($rc, undef, $stderr) = run_sql($node, $dbname, undef,
		'SET syncmaster.restoring = on; ALTER EXTENSION syncmaster UPDATE');
	is("$rc $stderr", "0 $info", 'ALTER EXTENSION UPDATE leaves the tables to a restore');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		qr/at revision 0011, .*; the schema is behind the extension/, '... and says so');
	$node->safe_psql($dbname, 'DROP EXTENSION syncmaster');
	$node->safe_psql($dbname, "SET syncmaster.restoring = on; CREATE EXTENSION syncmaster VERSION '1.12'");
	is( $node->safe_psql($dbname,
			"SET syncmaster.restoring = on; SELECT syncmaster_upgrade('head')"),
		'0013', 'syncmaster_upgrade() upgrades all the same');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'), $in_order,
		'... everything is in order');
}

my ($rc, undef, $stderr) =
  run_sql($node, 'installed', undef,
	"SELECT syncmaster_library_version(); SET syncmaster.restoring = 'perhaps'");
is( "$rc $stderr", <<'STDERR', 'another value is refused');
1 ERROR:  invalid value for parameter "syncmaster.restoring": "perhaps"
HINT:  Available values: auto, on, off.
STDERR

done_testing();
