# A streaming standby, and other places where nothing can be written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $primary = new_server('primary', allows_streaming => 1);
create_roles($primary);
create_database($primary, 'source', 'app');
$primary->safe_psql('source', "CREATE EXTENSION syncmaster VERSION '1.11'");
fill_tables($primary, 'source');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# and one that follows the standby
my $cascade = PostgreSQL::Test::Cluster->new('cascade');
$cascade->init_from_backup($primary, 'backup');
$cascade->enable_streaming($standby);
$cascade->start;

# Whatever only reads, with what it gives.
my @reading = (
	'SELECT syncmaster_schema_version()',
	'SELECT syncmaster_library_version()',
	'SELECT syncmaster_full_version()',
	'SELECT * FROM syncmaster_versions()',
	'SELECT * FROM syncmaster_history()',
	q{SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info'});

# Whatever writes.
my @writing = (
	"syncmaster_upgrade('head')", "syncmaster_upgrade('0011')",
	"syncmaster_downgrade('-1')", "syncmaster_set_owner('app')",
	'syncmaster_create_indexes()', 'syncmaster_drop_indexes()',
	'syncmaster_repair(false)');

sub standby_reads_the_same
{
	my ($when) = @_;

	$primary->wait_for_catchup($standby);
	$standby->wait_for_catchup($cascade, 'replay', $primary->lsn('write'));
	foreach my $query (@reading)
	{
		my $want = $primary->safe_psql('source', $query);
		foreach my $node ($standby, $cascade)
		{
			my ($rc, $stdout, $stderr) = run_sql($node, 'source', 'stranger', $query);
			is("$rc $stdout$stderr", "0 $want\n",
				"$when, " . $node->name . ", anybody: $query");
		}
	}
	return;
}

sub refused
{
	my ($node, $before, $why, $name) = @_;

	foreach my $call (@writing)
	{
		my ($rc, undef, $stderr) = run_sql($node, 'source', undef, "$before SELECT $call");
		my ($function) = $call =~ /^(\w+)/;
		is("$rc $stderr", "1 ERROR:  cannot execute $function() $why\n", "$name: $call");
	}
	return;
}

standby_reads_the_same('before an upgrade');
is($standby->safe_psql('source', 'SELECT syncmaster_schema_version()'),
	'0011', 'the standby is at 0011');
refused($standby, '', 'in a read-only transaction', 'standby');
my ($rc, undef, $stderr) =
  run_sql($standby, 'source', undef, 'ALTER EXTENSION syncmaster UPDATE');
is("$rc $stderr", "1 ERROR:  cannot execute ALTER EXTENSION in a read-only transaction\n",
	'standby: ALTER EXTENSION');

# The upgrade arrives.
$primary->safe_psql('source', 'ALTER EXTENSION syncmaster UPDATE');
standby_reads_the_same('after an upgrade');
is($standby->safe_psql('source', 'SELECT syncmaster_schema_version()'),
	'0013', 'the standby is at 0013');
is( $standby->safe_psql('source',
		q{SELECT count(*) FROM connection WHERE search_vector @@ to_tsquery('simple', 'db7')}),
	$primary->safe_psql('source',
		q{SELECT count(*) FROM connection WHERE search_vector @@ to_tsquery('simple', 'db7')}),
	'the standby searches as the primary does');
is($standby->safe_psql('source', 'SELECT count(*) FROM transfer'),
	95, 'the standby has all rows');

# What was refused on the standby is fine when it is promoted.
$standby->promote;
is($standby->safe_psql('source', "SELECT syncmaster_downgrade('-1')"),
	'0012', 'the promoted standby is downgraded');
is($standby->safe_psql('source', "SELECT syncmaster_upgrade('head')"),
	'0013', '... and upgraded');
$standby->wait_for_catchup($cascade, 'replay', $standby->lsn('write'));
is($cascade->safe_psql('source', q{SELECT syncmaster_schema_version(), count(*) FROM syncmaster_history()}),
	$standby->safe_psql('source', q{SELECT syncmaster_schema_version(), count(*) FROM syncmaster_history()}),
	'... which arrives at the standby that follows it');
$_->stop foreach $cascade, $standby;

# A read-only transaction on the primary.
refused($primary, 'BEGIN READ ONLY;', 'in a read-only transaction', 'read-only transaction');
foreach my $query (@reading)
{
	($rc, undef, $stderr) =
	  run_sql($primary, 'source', 'stranger', "BEGIN READ ONLY; $query");
	is("$rc $stderr", '0 ', "read-only transaction: $query");
}

# Parallel workers can neither write nor take a new snapshot.
my $parallel =
  $primary->safe_psql('source', 'SHOW server_version_num') < 160000
  ? 'force_parallel_mode'
  : 'debug_parallel_query';
foreach my $query (@reading)
{
	my ($rc, $stdout, $stderr) =
	  run_sql($primary, 'source', 'stranger', "SET $parallel = on; $query");
	my $want = $primary->safe_psql('source', $query);
	is("$rc $stdout$stderr", "0 $want\n", "parallel query: $query");
}

done_testing();
