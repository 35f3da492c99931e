# The extra indexes earn their keep, for what the real services do: buffers and
# records of WAL, with and without them, on the benchmark's data set at 1 %.
# Time is for the benchmark to measure.  Needs SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

require_syncmaster();

my $node = PostgreSQL::Test::Cluster->new('bench');
$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
autovacuum = off
shared_preload_libraries = 'pg_stat_statements'
CONF
$node->start;

my $writes = 30;

# Returns the folder of results.
sub run_benchmark
{
	my ($name, @options) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');

	command_ok(
		[
			"$FindBin::RealBin/../bench/run", 'queries',
			'--scale', '0.01',
			'--rounds', '1',
			'--output', $folder,
			@options
		],
		$name);
	return $folder;
}

my $folder = run_benchmark('the benchmark runs', '--writes', $writes);
like(slurp_file("$folder/buffers.svg"),
	qr/^<svg .*<\/svg>\n\z/s, 'a plot is drawn');

# Fields are quoted only where they have to be.
sub read_csv
{
	my ($path) = @_;
	my ($header, @lines) = split /\n/, slurp_file($path);
	my @names = split /,/, $header;

	return map {
		my @fields = /\G(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/g;
		my %row;
		foreach my $i (0 .. $#names)
		{
			$row{ $names[$i] } = $fields[ 2 * $i ] // $fields[ 2 * $i + 1 ];
		}
		\%row;
	} @lines;
}

my @results = read_csv("$folder/queries.csv");
cmp_ok(scalar @results, '>', 150, 'statements were counted');

# No statement of the services that reads or deletes needs 5 % more than without
# the extra indexes; the depth of an index may make a few buffers of difference.
my @worse = grep {
	$_->{kind} ne 'write'
	  && 0.95 * $_->{ours_buffers} > $_->{upstream_buffers}
	  && $_->{ours_buffers} > $_->{upstream_buffers} + 3
} @results;
is_deeply(
	[
		map {
			"$_->{operation}: $_->{statement}, $_->{upstream_buffers} -> "
			  . $_->{ours_buffers}
		} @worse
	],
	[],
	'no statement needs more buffers');

# What each of the indexes is for.  At 1 % most tables are small enough for the
# planner to scan them; the rest is in bench/README.md.
foreach my $gain (
	[ 'scheduler: poll, nothing changed', 'SELECT transfer', 50 ],
	[ 'delete an empty queue', 'DELETE queue', 20 ],
	[ 'runs of the hottest transfer', 'SELECT run', 10 ],
	[ 'runs of the hottest transfer', 'count of run', 50 ],
	[ 'connections of a small group', 'count of connection', 3 ],
	[ 'transfers of a small group', 'count of transfer', 3 ],
	[ 'users', 'count of user', 1.5 ])
{
	my ($operation, $statement, $times) = @$gain;
	my ($row) =
	  grep { $_->{operation} eq $operation && $_->{statement} eq $statement }
	  @results;
	cmp_ok($row->{upstream_buffers} / $row->{ours_buffers},
		'>=', $times, "$operation: $statement needs fewer buffers");
}

# An extra index costs a record of WAL for each row.  Counted is all that a row
# causes: also its commit, and the merge into the index for text search.
sub wal_ratio
{
	my ($operation) = @_;
	my %records = (ours => $writes, upstream => $writes);

	foreach my $row (grep { $_->{operation} eq $operation } @results)
	{
		$records{$_} += $row->{"${_}_wal_records"} foreach keys %records;
	}
	return $records{ours} / $records{upstream};
}
foreach my $limit (
	[ 'create a connection', 1.2 ],
	[ 'change a connection', 1.2 ],
	[ 'a run, from start to end', 1.2 ],
	[ 'a run that is stopped', 1.2 ],
	[ 'create a transfer', 1.2 ])
{
	my ($operation, $most) = @$limit;
	my $ratio = wal_ratio($operation);
	cmp_ok($ratio, '<=', $most, "$operation: records of WAL");
	cmp_ok($ratio, '>', 1, "$operation: the extra indexes were written");
}

# One database, before and after: the same, as far as it goes.
my %in_place = map { ("$_->{operation}: $_->{query}" => $_) }
  read_csv(run_benchmark('the benchmark runs in place', '--in-place') . '/queries.csv');
my @others = grep {
	my $other = $in_place{"$_->{operation}: $_->{query}"};
	$_->{kind} ne 'write'
	  && !( $other
		&& abs($other->{upstream_buffers} - $_->{upstream_buffers}) <= 3
		&& abs($other->{ours_buffers} - $_->{ours_buffers}) <= 3)
} @results;
is_deeply([ map { "$_->{operation}: $_->{statement}" } @others ],
	[], 'in place: the same buffers');
is(scalar keys %in_place, scalar(grep { $_->{kind} ne 'write' } @results),
	'in place: as many statements');

$node->stop;

done_testing();
