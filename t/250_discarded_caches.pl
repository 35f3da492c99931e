# Each function once on small tables, with debug_discard_caches: whatever was read
# from a cache is thrown away, and overwritten, as soon as the server may do so.
# What is still used then is garbage.  A server that was not built for that runs
# the same without it, so that a new function without an example fails everywhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('discarded');

# Older servers have it as a macro.
my $discard =
  $node->safe_psql('postgres', q(
	SELECT CASE WHEN current_setting('debug_assertions')::bool
				 AND current_setting('server_version_num')::int >= 140000
		   THEN 'SET debug_discard_caches = 1;' ELSE '' END));
note('caches are ' . ($discard ? 'discarded' : 'kept'));

create_small_database($node);

# Takes minutes, in which a server process does little but read catalogues: so two of
# them do half of it each, in databases of their own.
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
$node->safe_psql('postgres', 'CREATE DATABASE small2 TEMPLATE small');
my @lanes = map { { database => $_, sql => $key_settings } } qw(small small2);
my $turn = 0;
foreach my $call (function_calls($node))
{
	my ($name, $kind, $all, $sql) = @$call;

	# What comes before the call is called for itself elsewhere, or is PostgreSQL's.
	my $before = substr $all, 0, length($all) - length $sql;
	($before, $sql) = ("BEGIN; $before", "$sql; ROLLBACK") if $kind ne 'p';
	my $lane = $lanes[ $turn++ % @lanes ];
	push @{ $lane->{names} }, $name;
	$lane->{sql} .= "\n\\warn begin $name\n$before $discard $sql;\n\\warn end\n";
}
foreach my $lane (@lanes)
{
	# Files, not pipes: both go on while one of them is waited for.
	my $file = $node->basedir . "/$lane->{database}";
	append_to_file("$file.sql", $lane->{sql});
	$lane->{errors} = "$file.err";
	$lane->{h} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-h', $node->host, '-p',
			$node->port, '-d', $lane->{database}, '-f', "$file.sql"
		],
		'<', '/dev/null', '>', "$file.out", '2>', $lane->{errors});
}
foreach my $lane (@lanes)
{
	$lane->{h}->finish;
	$lane->{err} = slurp_file($lane->{errors}) =~ s/^psql:[^ ]*: //mgr;
	foreach my $name (@{ $lane->{names} })
	{
		my ($messages) = $lane->{err} =~ /^begin $name\n(.*?)^end$/ms;
		unlike($messages // 'ERROR: it did not end',
			qr/ERROR:|FATAL:|PANIC:/, "$name()");
	}
}

# The message about a trigger that is refused names it after the look-ups.
my ($rc, $out, $err) = $node->psql('small', q(
	GRANT TRIGGER ON "user" TO stranger; GRANT CREATE ON SCHEMA public TO stranger;
	BEGIN; SET LOCAL ROLE stranger;
	CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN RETURN new; END';
	CREATE TRIGGER planted_trigger BEFORE UPDATE ON "user"
		FOR EACH ROW EXECUTE FUNCTION planted();
	RESET ROLE;) . " $discard SELECT * FROM syncmaster_add_superusers('user_3')");
like($err, qr/trigger "planted_trigger" of table "user" may run/,
	'a refused trigger has its name');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'),
	$started, 'the server has not crashed');

$node->stop;
done_testing();
