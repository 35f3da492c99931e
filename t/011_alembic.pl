# The extension and the real Alembic of SyncMaster take turns on one database:
# taking over what Alembic made, at every revision and with rows in every table,
# and giving it back.  Needs SyncMaster in $SYNCMASTER_VENV; if $SYNCMASTER_VENV_020
# has SyncMaster 0.2.0, what that made is taken over as well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncmasterCatalog;
use SyncMasterEnv;
use SyncmasterRows;
use Test::More;

require_syncmaster();

my $node = PostgreSQL::Test::Cluster->new('alembic');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
fsync = off
autovacuum = off
syncmaster.create_indexes = off
));
$node->start;
$node->safe_psql('postgres',
	'CREATE ROLE app LOGIN; CREATE ROLE reader; CREATE ROLE writer');

my $alembic = SyncMasterEnv->new($node, 'app');

sub new_database
{
	my ($name, $template) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER app"
		  . (defined $template ? " TEMPLATE $template" : ''));
	$node->safe_psql($name, 'ALTER SCHEMA public OWNER TO app')
	  if !defined $template;
	return $name;
}

sub catalog_is
{
	my ($database, $facts, $name, $version) = @_;
	follow(
		$node,
		$database,
		{ name => $name },
		{
			name => "as at $facts",
			sql => 'SELECT',
			facts => $facts,
			version => $version
		});
	return;
}

# Alembic finds the schema right, and nothing to do.
sub alembic_is_content
{
	my ($database, $name) = @_;

	like($alembic->alembic_ok("$name: alembic current", $database, 'current'),
		qr/^0013 \(head\)$/m, "$name: alembic is at head");
	unlike(
		$alembic->alembic_ok(
			"$name: alembic upgrade head", $database, 'upgrade', 'head'),
		qr/Running/, "$name: alembic has nothing to upgrade");
	like($alembic->alembic_ok("$name: alembic check", $database, 'check'),
		qr/^No new upgrade operations detected\.$/m,
		"$name: alembic finds no difference");
	return;
}

# Revision by revision, with rows, into databases rev_0001 ... rev_0013 ---------

new_database('chain');
foreach my $n (1 .. 13)
{
	my $id = sprintf '%04d', $n;

	$alembic->alembic_ok("alembic upgrade $id", 'chain', 'upgrade', $id);
	catalog_is('chain', "rev-$id", 'made by Alembic');
	$node->safe_psql('chain', rows_sql($n), extra_params => [ '-U', 'app' ]);
	new_database("rev_$id", 'chain');
}

# Taken over at every revision -------------------------------------------------

foreach my $n (1 .. 13)
{
	my $id = sprintf '%04d', $n;
	my $database = "rev_$id";
	my $name = "taken over at $id";
	my $role = $n % 2 ? 'app' : $node->safe_psql('postgres', 'SELECT user');

	$node->safe_psql($database, marks_sql($n));
	my $rows = dump_rows($node, $database);
	my $state = dump_state($node, $database);

	new_database("alembic_$id", $database);
	$alembic->alembic_ok("$name: alembic alone, upgrade head",
		"alembic_$id", 'upgrade', 'head');

	follow(
		$node,
		$database,
		{ name => $name, role => $role },
		{
			name => "CREATE EXTENSION by $role",
			sql => 'CREATE EXTENSION syncmaster',
			version => '1.13'
		});
	ok($rows eq dump_rows($node, $database), "$name: every row is equal");
	is(dump_state($node, $database, $state),
		$state, "$name: owners, grants, sequences, marks are as before");
	ok( dump_rows($node, $database, 1) eq
		  dump_rows($node, "alembic_$id", 1),
		"$name: rows and search_vector are as Alembic leaves them");
	is(new_ids($node, $database),
		new_ids($node, "alembic_$id"), "$name: new rows get the same ids");
	is($node->safe_psql($database, remove_marks_sql($n)),
		'', "$name: marks removed");
	catalog_is($database, 'rev-0013', $name, '1.13');
	alembic_is_content($database, $name);
}

# Made by SyncMaster 0.2.0, with the columns that its migrations made then.
SKIP:
{
	skip '$SYNCMASTER_VENV_020 does not name a virtual environment', 1
	  if !defined python_of('SYNCMASTER_VENV_020');

	my $old = SyncMasterEnv->new($node, 'app', 'SYNCMASTER_VENV_020');
	my $name = 'made by SyncMaster 0.2.0';

	new_database('v020');
	$old->alembic_ok("$name: alembic upgrade head", 'v020', 'upgrade', 'head');
	$old->finish;
	$node->safe_psql('v020', rows_sql($_), extra_params => [ '-U', 'app' ])
	  foreach 1 .. 11;
	$node->safe_psql(
		'v020',
		q{INSERT INTO "group" (name, description, owner_id)
			VALUES (repeat('x', 256), '', 1)},
		extra_params => [ '-U', 'app' ]);
	catalog_is('v020', 'release-0.2.0', $name);

	my $rows = dump_rows($node, 'v020');
	my $state = dump_state($node, 'v020');
	new_database('alembic_v020', 'v020');
	$alembic->alembic_ok("$name: alembic alone, upgrade head",
		'alembic_v020', 'upgrade', 'head');
	my ($said) = follow(
		$node, 'v020',
		{ name => $name },
		{
			name => 'CREATE EXTENSION',
			sql => 'CREATE EXTENSION syncmaster',
			facts => 'release-0.2.0-upgraded-to-0013',
			version => '1.13'
		});
	is(() = $said =~ /WARNING: +column/g, 2, "$name: both differences are said");
	ok($rows eq dump_rows($node, 'v020'), "$name: every row is equal");
	is(dump_state($node, 'v020', $state),
		$state, "$name: owners, grants and sequences are as before");
	ok(dump_rows($node, 'v020', 1) eq dump_rows($node, 'alembic_v020', 1),
		"$name: rows and search_vector are as Alembic leaves them");
	is(new_ids($node, 'v020'), new_ids($node, 'alembic_v020'),
		"$name: new rows get the same ids");
	like($alembic->alembic_ok("$name: alembic current", 'v020', 'current'),
		qr/^0013 \(head\)$/m, "$name: alembic is at head");
}

# Turns --------------------------------------------------------------------------

my $turns = new_database('turns', 'chain');
my $rows = dump_rows($node, $turns, 1);

sub sql_ok
{
	my ($name, $sql, $facts, $version) = @_;
	follow($node, $turns, { name => 'turns' },
		{ name => $name, sql => $sql, facts => $facts, version => $version });
	return;
}

sub turn
{
	my ($facts, $version, @arguments) = @_;
	$alembic->alembic_ok("turns: alembic @arguments", $turns, @arguments);
	catalog_is($turns, $facts, "turns: after alembic @arguments", $version);
	return;
}

sub full_version_like
{
	my ($pattern, $name) = @_;
	like($node->safe_psql($turns, 'SELECT syncmaster_full_version()'),
		$pattern, "turns: $name");
	return;
}

sql_ok('CREATE EXTENSION', 'CREATE EXTENSION syncmaster', 'rev-0013', '1.13');
turn('rev-0012', '1.13', 'downgrade', '-1');
full_version_like(qr/the schema is behind the extension: run SELECT sync/,
	'the extension sees that Alembic went down');
sql_ok(q{syncmaster_upgrade('head')}, q{SELECT syncmaster_upgrade('head')},
	'rev-0013', '1.13');
turn('rev-0010', '1.13', 'downgrade', '-3');
sql_ok(q{syncmaster_upgrade('head')}, q{SELECT syncmaster_upgrade('head')},
	'rev-0013', '1.13');
$node->safe_psql($turns, rows_sql(11));

sql_ok('ALTER EXTENSION UPDATE TO 1.12',
	q{ALTER EXTENSION syncmaster UPDATE TO '1.12'}, 'rev-0012', '1.12');
turn('rev-0011', '1.12', 'downgrade', '-1');
sql_ok('ALTER EXTENSION UPDATE, two revisions',
	'ALTER EXTENSION syncmaster UPDATE', 'rev-0013', '1.13');
sql_ok('ALTER EXTENSION UPDATE TO 1.11',
	q{ALTER EXTENSION syncmaster UPDATE TO '1.11'}, 'rev-0011', '1.11');
turn('rev-0013', '1.11', 'upgrade', 'head');
full_version_like(qr/the schema is ahead of the extension: run ALTER EXTENSION/,
	'the extension sees that Alembic went up');
sql_ok('ALTER EXTENSION UPDATE, nothing left to do',
	'ALTER EXTENSION syncmaster UPDATE', 'rev-0013', '1.13');
full_version_like(qr/^[^;]*$/, 'all agree again');

sql_ok(q{syncmaster_downgrade('0011')}, q{SELECT syncmaster_downgrade('0011')},
	'rev-0011', '1.11');
turn('rev-0012', '1.11', 'upgrade', '+1');
sql_ok(q{syncmaster_upgrade('head')}, q{SELECT syncmaster_upgrade('head')},
	'rev-0013', '1.13');
ok($rows eq dump_rows($node, $turns, 1), 'turns: every row is equal');
alembic_is_content($turns, 'turns');

# Leaving, and coming back.
sql_ok('DROP EXTENSION', 'DROP EXTENSION syncmaster CASCADE', 'rev-0013');
ok($rows eq dump_rows($node, $turns, 1), 'turns: DROP EXTENSION loses no row');
turn('rev-0012', undef, 'downgrade', '-1');
turn('rev-0013', undef, 'upgrade', 'head');
ok($rows eq dump_rows($node, $turns, 1), 'turns: Alembic goes on');
sql_ok('CREATE EXTENSION', 'CREATE EXTENSION syncmaster', 'rev-0013', '1.13');
ok($rows eq dump_rows($node, $turns, 1), 'turns: the extension is back');
turn('base', '1.13', 'downgrade', 'base');
full_version_like(qr/there is no schema: run SELECT syncmaster_upgrade/,
	'the extension sees that the tables are gone');
turn('rev-0005', '1.13', 'upgrade', '0005');
sql_ok(q{syncmaster_upgrade('head')}, q{SELECT syncmaster_upgrade('head')},
	'rev-0013', '1.13');
sql_ok(
	q{syncmaster_downgrade('base')},
	q{SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('base')},
	'base', '1.11');
turn('rev-0013', '1.11', 'upgrade', 'head');
sql_ok(q{syncmaster_upgrade('head')}, q{SELECT syncmaster_upgrade('head')},
	'rev-0013', '1.13');
sql_ok(
	q{syncmaster_downgrade('0003'), then DROP EXTENSION},
	q{SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('0003');
	  DROP EXTENSION syncmaster},
	'rev-0003');
turn('rev-0013', undef, 'upgrade', 'head');

# A database that Alembic sees for the first time ---------------------------------

$turns = new_database('fresh');
sql_ok('CREATE EXTENSION on an empty database', 'CREATE EXTENSION syncmaster',
	'rev-0013', '1.13');
alembic_is_content($turns, 'fresh');
turn('base', '1.13', 'downgrade', 'base');
turn('rev-0013', '1.13', 'upgrade', 'head');
alembic_is_content($turns, 'fresh, after Alembic made it again');

# The extra indexes are the only thing that Alembic finds.  Its downgrade drops
# them along with their tables and columns.
$turns = new_database('extra');
sql_ok('with the extra indexes',
	'SET syncmaster.create_indexes = on; CREATE EXTENSION syncmaster');
my ($ok, $output) = $alembic->alembic($turns, 'check');
my @found = $output =~ /^INFO +\[alembic\.autogenerate\S+ Detected (.*)$/mg;
is($ok, 0, 'extra indexes: alembic check finds something');
is_deeply(
	[ sort @found ],
	[
		sort split /\n/,
		$node->safe_psql(
			$turns, q{
			SELECT format('removed index ''%s'' on ''%s''', indexname, tablename)
			FROM pg_indexes WHERE indexname ~ '^ix_syncmaster__'})
	],
	'extra indexes: alembic check finds them all, and nothing else');
$alembic->alembic_ok('extra indexes: alembic downgrade 0011',
	$turns, 'downgrade', '0011');
$alembic->alembic_ok('extra indexes: alembic downgrade base',
	$turns, 'downgrade', 'base');

# Targets --------------------------------------------------------------------------

# Alembic's words mean the same to syncmaster_upgrade() and syncmaster_downgrade():
# what it refuses, they refuse, and what it accepts takes the schema to the same
# revision.
my @targets = (
	'head', 'heads', 'HEAD', 'base', '', ' ',
	'+1', '+2', '+99', '-1', '-2', '-7', '-8', '+0', '-0', '+', '-', '+x',
	'0001', '0007', '0008', '0013', '0014', '0099', '0005 ', "0001'",
	'1', '13', '001', '00', 'abcd', '478240cdad4b', '0001:0003',
	'0005+2', '0005+3', '0005-2', '0005-6', '0005+', '0013+1',
	'head-1', 'head-99', 'head+1', 'heads-1', 'base+1', 'base+2');

sub compare_targets
{
	my ($start, $direction, @list) = @_;
	my $scratch = "start_$start";
	my $copies = 0;

	new_database($scratch);
	$alembic->alembic_ok("targets: start at $start",
		$scratch, 'upgrade', $start)
	  if $start ne 'base';
	my $ours = new_database("ours_$start", $scratch);
	$node->safe_psql($ours,
		'SET syncmaster.restoring = on; CREATE EXTENSION syncmaster');

	my $current = new_database("${scratch}_" . $copies++, $scratch);
	foreach my $target (@list)
	{
		my ($done, $said) = $alembic->alembic($current, $direction, '--', $target);
		my $theirs = 'refused';
		if ($done)
		{
			$theirs = $node->safe_psql($current,
				'SELECT version_num FROM alembic_version');
			if ($theirs ne ($start eq 'base' ? '' : $start))
			{
				$node->safe_psql('postgres', "DROP DATABASE $current");
				$current = new_database("${scratch}_" . $copies++, $scratch);
			}
			$theirs = 'base' if $theirs eq '';
		}
		my ($rc, $stdout, $stderr) = $node->psql($ours,
			    'BEGIN; SET LOCAL syncmaster.allow_destroy = on; '
			  . "SELECT syncmaster_${direction}("
			  . quote_literal($target)
			  . '); ROLLBACK');
		is( $rc == 0 ? $stdout : 'refused',
			$theirs,
			"targets: at $start, $direction " . quote_literal($target))
		  or diag("Alembic: $said\nsyncmaster: $stderr");
	}
	$node->safe_psql('postgres', "DROP DATABASE $_")
	  foreach $current, $scratch, $ours;
	return;
}

compare_targets('0007', 'upgrade', @targets);
compare_targets('0007', 'downgrade', @targets);
compare_targets('0013', 'upgrade', 'head', '+1', '-1', '0013', '0012', 'base');
compare_targets('0013', 'downgrade', 'head', '0013', '0012', 'head-1', '-14');
compare_targets('base', 'upgrade', 'head', '+1', '0001', 'base', '-1', '+14');
compare_targets('base', 'downgrade', 'base', '-1', '0001', 'head', 'head-13');

# A version of the extension is a target for it only.  And where Alembic answers
# by an accident, it has an answer: Alembic stops at an assertion for the first
# target, and takes the second for head.
my $versions = new_database('versions', 'chain');
$node->safe_psql($versions, 'CREATE EXTENSION syncmaster');
($ok, $output) = $alembic->alembic($versions, 'downgrade', '1.12');
like($output, qr/Can't locate revision identified by '1\.12'/,
	'Alembic does not know versions of the extension');
is($node->safe_psql($versions, q(SELECT syncmaster_downgrade('1.12'))),
	'0012', 'syncmaster_downgrade() does');
is($node->safe_psql($versions, q(SELECT syncmaster_upgrade('0005-5'))),
	'0012', 'an upgrade to base, by steps, does nothing');
my ($rc, $stdout, $stderr) =
  $node->psql($versions, q(SELECT syncmaster_upgrade('base-1')));
like($stderr, qr/invalid target "base-1"/, 'below base there is nothing');

$alembic->finish;
$node->stop;

done_testing();
