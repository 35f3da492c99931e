# Extensions dropped and created again: the tables and their rows stay.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('drop');
create_roles($node);

create_database($node, 'source', 'app');
$node->safe_psql('source', 'CREATE EXTENSION syncmaster');
fill_tables($node, 'source');
customize($node, 'source');
my $want = sample_state($node, 'source');
my $full_version = $node->safe_psql('source', 'SELECT syncmaster_full_version()');

sub members
{
	my ($extension) = @_;
	return $node->safe_psql(
		'source', qq{
		SELECT count(*) FROM pg_depend d JOIN pg_extension e
			ON (d.refclassid, d.refobjid) = ('pg_extension'::regclass, e.oid)
		WHERE d.deptype = 'e' AND e.extname = '$extension'});
}
my $members = members('syncmaster');
my $trgm_members = members('pg_trgm');

foreach my $role (undef, 'app')
{
	my $who = $role || 'superuser';

	# Extensions belong to whoever creates them.
	$node->safe_psql('source', 'SET client_min_messages = error;
		DROP EXTENSION syncmaster, pg_trgm CASCADE');
	run_sql($node, 'source', $role, 'CREATE EXTENSION syncmaster');

	# The two extensions do not depend on each other.
	foreach my $behavior ('RESTRICT', 'CASCADE')
	{
		my $name = "$who, DROP EXTENSION syncmaster $behavior";
		my ($rc, undef, $stderr) =
		  run_sql($node, 'source', $role, "DROP EXTENSION syncmaster $behavior");

		# Nothing was dropped along, or psql would tell.
		is("$rc $stderr", '0 ', "$name: quietly");
		is_same_state($node, 'source', $want, $name, without => [qr/^extension syncmaster/]);
		is($node->safe_psql('source',
				q{SELECT count(*) FROM pg_proc WHERE proname ~ '^syncmaster_'}),
			0, "$name: no function is left");

		($rc, undef, $stderr) = run_sql($node, 'source', $role, 'CREATE EXTENSION syncmaster');
		is("$rc $stderr", '0 ', "$name: created again, quietly");
		is_same_state($node, 'source', $want, "$name, created again");
		is(members('syncmaster'), $members, "$name: all members are there");
		is($node->safe_psql('source', 'SELECT syncmaster_full_version()'),
			$full_version, "$name: versions agree");
		nothing_is_member($node, 'source', $name);
	}

	# No object of ours depends on pg_trgm.
	my $name = "$who, DROP EXTENSION pg_trgm";
	foreach my $behavior (qw(RESTRICT CASCADE))
	{
		my ($rc) = run_sql($node, 'source', $role,
			"DROP EXTENSION IF EXISTS pg_trgm $behavior");
		is($rc, 0, "$name $behavior");
		is_same_state($node, 'source', $want, "$name $behavior",
			without => [qr/^extension pg_trgm/]);
	}
	is($node->safe_psql('source', 'SELECT syncmaster_schema_version()'),
		'0013', "$name: the extension goes on");

	# Either of two ways brings it back.
	my ($rc, undef, $stderr);
	foreach my $command (
		'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster',
		"SELECT syncmaster_upgrade('head')")
	{
		$node->safe_psql('source', 'SET client_min_messages = error;
			DROP EXTENSION IF EXISTS pg_trgm CASCADE');
		($rc, undef, $stderr) = run_sql($node, 'source', $role, $command);
		is("$rc $stderr", '0 ', "$who, $command: quietly");
		is_same_state($node, 'source', $want, "$who, $command");
		is(members('pg_trgm'), $trgm_members, "$who, $command: pg_trgm is whole");
		nothing_is_member($node, 'source', "$who, $command");
	}
}

# Without pg_trgm and syncmaster at once.
{
	my $name = 'both extensions at once';
	$node->safe_psql('source', 'SET client_min_messages = error;
		DROP EXTENSION pg_trgm, syncmaster CASCADE');
	is_same_state($node, 'source', $want, $name,
		without => [ qr/^extension/ ]);
	$node->safe_psql('source', 'CREATE EXTENSION syncmaster');
	is_same_state($node, 'source', $want, "$name, created again");
	ids_go_on($node, 'source', $name);
}

# An extension in the schema of the tables goes with the schema only.
{
	create_database($node, 'etl', 'app');
	$node->safe_psql('etl', 'CREATE SCHEMA etl; CREATE EXTENSION syncmaster SCHEMA etl');
	my ($rc, undef, $stderr) = run_sql($node, 'etl', undef, 'DROP SCHEMA etl RESTRICT');
	isnt($rc, 0, 'DROP SCHEMA RESTRICT is refused');
	like($stderr, qr/table etl\."user" depends on schema etl/, '... for the tables');
}

done_testing();
