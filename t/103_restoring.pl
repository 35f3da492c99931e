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

# A session in which the extension was made, dropped, and then a dump was read.
{
	my $dbname = new_database();
	my ($rc, undef, $stderr) = run_commands($dbname, 'CREATE EXTENSION syncmaster',
		'DROP EXTENSION syncmaster', 'DROP SCHEMA public, syncmaster_history CASCADE',
		'CREATE SCHEMA public', @like_a_dump, 'CREATE EXTENSION syncmaster');
	is($node->safe_psql($dbname, $tables), 0, 'a dump after DROP EXTENSION: no table is made');
	like($stderr, qr/\Q$info\E\z/, 'a dump after DROP EXTENSION: what is said');
	($rc, undef, $stderr) = run_commands($dbname, @like_a_dump, 'CREATE EXTENSION syncmaster',
		'DROP EXTENSION syncmaster', 'RESET xmloption', 'CREATE EXTENSION syncmaster')
	  if $node->safe_psql($dbname, 'DROP EXTENSION syncmaster') eq '';
	is($node->safe_psql($dbname, $tables), 12, 'CREATE EXTENSION after a dump: tables are made');
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

# A value that lasts is no answer to the question what this session does, in
# either direction.
foreach my $case (
	[ 'off', 0, $like_a_dump, 'a restore is a restore' ],
	[ 'on', 1, '', 'an installation is an installation' ])
{
	my ($value, $makes_tables, $before, $what) = @$case;

	foreach my $where ('DATABASE %s', 'ROLE app IN DATABASE %s', 'ROLE app', 'SYSTEM')
	{
		my $dbname = new_database();
		my $set = sprintf("ALTER $where", $dbname);
		my $name = "$set SET syncmaster.restoring = $value: $what";

		# the library makes the setting known
		$node->safe_psql($dbname,
			"LOAD 'syncmaster'; $set SET syncmaster.restoring = $value");
		$node->reload if $where eq 'SYSTEM';
		my ($rc, undef, $stderr) =
		  run_sql($node, $dbname, 'app', "$before CREATE EXTENSION syncmaster");
		is("$rc $stderr", $makes_tables ? '0 ' : "0 $info", $name);
		is($node->safe_psql($dbname, $tables), $makes_tables ? 12 : 0, '... as the tables show');
		$node->safe_psql($dbname,
			"LOAD 'syncmaster'; $set RESET syncmaster.restoring");
		$node->reload if $where eq 'SYSTEM';
	}
}

# They are named to whoever looks.
{
	my $dbname = new_database();
	$node->safe_psql($dbname, qq{
		CREATE EXTENSION syncmaster;
		ALTER DATABASE $dbname SET syncmaster.restoring = off;
		ALTER ROLE ALL SET syncmaster.allow_destroy = on;
		ALTER ROLE app IN DATABASE $dbname SET syncmaster.guard = off;
		ALTER ROLE app SET syncmaster.lock_timeout = 5;
		ALTER SYSTEM SET syncmaster.guard = sessions});
	$node->reload;
	my $expected = <<"OUT";
warning|syncmaster.allow_destroy is "on" for all roles|A downgrade may drop tables although nobody has asked for it: ALTER ROLE ALL RESET syncmaster.allow_destroy;
warning|syncmaster.restoring is "off" for database "$dbname"|It has no effect, as only a session can say that it restores: ALTER DATABASE $dbname RESET syncmaster.restoring;
info|syncmaster.guard is "off" for role "app" in database "$dbname"|Whoever migrates may not expect it: ALTER ROLE app IN DATABASE $dbname RESET syncmaster.guard;
info|syncmaster.guard is "sessions" for the server|Whoever migrates may not expect it: ALTER SYSTEM RESET syncmaster.guard;
OUT
	chomp $expected;
	foreach my $report (q{preflight('head') WHERE subject}, q{health() WHERE check_name = 'settings' AND subject})
	{
		is($node->safe_psql($dbname,
				"SELECT severity, detail, hint FROM syncmaster_$report = 'setting'"),
			$expected, "$report: what lasts");
	}
	$node->safe_psql($dbname, $_)
	  foreach $expected =~ /: (ALTER [^:]*;)$/mg, 'ALTER ROLE app RESET ALL';
	$node->reload;
	is($node->safe_psql($dbname,
			q{SELECT * FROM syncmaster_preflight('head') WHERE subject = 'setting'}),
		'', '... until it is reset');
}

# In the transaction of a restore, too, an update is one.
foreach my $command ('ALTER EXTENSION syncmaster UPDATE', "SELECT syncmaster_upgrade('head')",
	"DO \$\$BEGIN PERFORM public.syncmaster_upgrade('head'); END\$\$")
{
	my $dbname = new_database();
	my ($rc, undef, $stderr) = run_commands($dbname, 'BEGIN', @like_a_dump,
		q{CREATE EXTENSION syncmaster VERSION '1.12'}, $command, 'COMMIT');
	is("$rc $stderr", "0 $info", "$command in the transaction of a restore: quiet");
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, '... the tables are made');
}
{
	my $dbname = new_database();
	my ($rc, undef, $stderr) = run_sql($node, $dbname, undef,
		"$like_a_dump CREATE EXTENSION syncmaster VERSION '1.12'; SELECT syncmaster_upgrade('head')");
	is("$rc $stderr", "0 $info", 'syncmaster_upgrade() in the same message: quiet');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$in_order, '... the tables are made');
}

# A dump brings such values along, before anything else.
foreach my $format ([], ['-Fc'])
{
	my $source = new_database();
	$node->safe_psql($source, "CREATE EXTENSION syncmaster");
	fill_tables($node, $source);
	$node->safe_psql($source,
		"LOAD 'syncmaster'; ALTER DATABASE $source SET syncmaster.restoring = off");
	my $rows = $node->safe_psql($source, 'SELECT count(*) FROM run');
	my $dump = dump_database($node, $source, '-C', @$format);
	$node->safe_psql('postgres', "DROP DATABASE $source");

	my ($rc, undef, $stderr) = run_command_on($node,
		@$format ? ('pg_restore', '-C', '-d', 'postgres', $dump)
		: ('psql', '-Xq', '-o', File::Spec->devnull, '-v', 'ON_ERROR_STOP=1',
			'-d', 'postgres', '-f', $dump));
	$stderr =~ s/$SampleDatabase::restore_info//;
	is("$rc $stderr", '0 ', "pg_dump -C @$format of a database with restoring = off: restored");
	cmp_ok($rows, '>', 0, '... there are runs');
	is($node->safe_psql($source, 'SELECT count(*) FROM run'), $rows, '... all runs are there');
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = '$source'"),
		1, '... and so is the setting');
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

# Nor does syncmaster.restoring, whoever sets it: no dump updates an extension.
foreach my $set (
	'SET syncmaster.restoring = on;',
	'ALTER DATABASE %s SET syncmaster.restoring = on; -- by its owner')
{
	foreach my $command ('ALTER EXTENSION syncmaster UPDATE', "SELECT syncmaster_upgrade('head')")
	{
		my $dbname = new_database();
		$node->safe_psql($dbname, "CREATE EXTENSION syncmaster VERSION '1.11'");
		if ($set =~ /^ALTER/)
		{
			$node->safe_psql($dbname, "LOAD 'syncmaster'; " . sprintf($set, $dbname));
		}
		my ($rc, undef, $stderr) = run_sql($node, $dbname, undef,
			$set =~ /^ALTER/ ? $command : "$set $command");
		is("$rc $stderr", '0 ', "$set $command: quiet");
		like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
			$in_order, '... the schema is upgraded');
	}
}

my ($rc, undef, $stderr) =
  run_sql($node, 'installed', undef,
	"SELECT syncmaster_library_version(); SET syncmaster.restoring = 'perhaps'");
is( "$rc $stderr", <<'STDERR', 'another value is refused');
1 ERROR:  invalid value for parameter "syncmaster.restoring": "perhaps"
HINT:  Available values: auto, on, off.
STDERR

done_testing();
