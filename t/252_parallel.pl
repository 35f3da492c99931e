# How functions are marked for parallel queries, and that it is true: while a query
# has a Gather node at work, even its leader may not start a subtransaction (before
# 17), take a snapshot of its own or write, and every wait for a lock with a limit
# needs a subtransaction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use FunctionCalls;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('parallel');
write_keys($node, 'one.key', $KEY{one});
create_roles($node);
create_database($node, 'app');
$node->safe_psql('app', 'CREATE EXTENSION syncmaster');
fill_tables($node, 'app');
$node->safe_psql('app', q(
	CREATE TABLE big AS SELECT generate_series(1, 1000) AS id;
	ANALYZE big));

# Wherever it waits for a lock with a limit, writes, or looks at what this
# command has written: unsafe.
my %marking = (
	s => [qw(schema_version library_version full_version tsquery generate_key
		  encrypt decrypt)],
	r => [qw(versions history privileges)]);
is( $node->safe_psql(
		'app', q(
		SELECT string_agg(p.proname || '=' || p.proparallel::text, ' '
						  ORDER BY p.proname COLLATE "C")
		FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
		  AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')
		  AND p.proparallel <> 'u')),
	join(' ', sort map {
		my $mark = $_;
		map { "syncmaster_$_=$mark" } @{ $marking{$mark} }
	} keys %marking),
	'all others are marked as unsafe');

# What a setting, a table or another release of the library can change is not
# IMMUTABLE, or an index keeps what it was.
is( $node->safe_psql(
		'app', q(
		SELECT p.oid::regprocedure
		FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
		  AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')
		  AND p.provolatile = 'i')),
	'syncmaster_tsquery(text)',
	'one function depends on its argument alone');

my $forced =
  $node->safe_psql('app', 'SHOW server_version_num') < 160000
  ? 'force_parallel_mode'
  : 'debug_parallel_query';
my $settings = join ' ', map { "SET $_;" } "$forced = on",
  'parallel_setup_cost = 0', 'parallel_tuple_cost = 0',
  'min_parallel_table_scan_size = 0', q(syncmaster.secret_key_file = 'one.key'),
  q(syncmaster.lock_timeout = '50ms'), q(lock_timeout = '100ms');

# Calls of those that read, and whether a query with one may use workers.
my $token = $node->safe_psql('app', "$settings "
	  . q(SELECT syncmaster_encrypt('{}')));
my %calls = (
	'syncmaster_schema_version()' => 1,
	'syncmaster_library_version()' => 1,
	'syncmaster_full_version()' => 1,
	q(syncmaster_tsquery('a b')) => 1,
	'syncmaster_generate_key()' => 1,
	q(syncmaster_encrypt('{}')) => 1,
	"syncmaster_decrypt('$token')" => 1,
	'syncmaster_versions()' => 1,
	'syncmaster_history()' => 1,
	'syncmaster_privileges()' => 1,
	'syncmaster_read_metrics()' => 0,
	'syncmaster_superusers()' => 0,
	'syncmaster_verify_credentials()' => 0,
	q(syncmaster_upgrade_plan('head')) => 0,
	q(syncmaster_upgrade_sql('head')) => 0,
	q(syncmaster_preflight('head')) => 0,
	'syncmaster_check()' => 0,
	'syncmaster_health()' => 0);

sub query_of
{
	my ($call) = @_;
	return "SELECT (SELECT count(*) FROM big), count(*) FROM $call";
}

foreach my $call (sort keys %calls)
{
	my $plan = $node->safe_psql('app',
		"$settings EXPLAIN (COSTS off) " . query_of($call));
	is($plan =~ /Gather/ ? 1 : 0,
		$calls{$call}, "$call: whether a query with it uses workers");
	my ($rc, $out, $err) =
	  $node->psql('app', $settings . query_of($call));
	is($err, '', "$call: works beside workers");
}

# A lock on each of the tables that they read, one after the other: those that may
# run beside workers answer or give up, but never find that they may not even wait.
my @beside_workers = grep { $calls{$_} } sort keys %calls;
foreach my $table (qw(alembic_version "user" auth_data transfer
	syncmaster_history.migration))
{
	my $holder = begin_session($node, 'app', $ENV{PGUSER} // getpwuid($<),
		"BEGIN; LOCK TABLE $table");
	my ($rc, $out, $err) = $node->psql('app',
		"$settings \\set VERBOSITY sqlstate\n"
		  . join('', map { query_of($_) . ";\n" } @beside_workers),
		on_error_stop => 0);
	unlike($err, qr/(?!55P03)\b[0-9A-Z]{5}$/m,
		"beside a lock on $table, all give an answer or give up");
	in_session($holder, 'ROLLBACK');
	end_session($holder);
}

# Functions that somebody marked as safe, although what they call is not: they answer
# or are refused, in a worker and beside workers.
$node->safe_psql('app', q(
	CREATE FUNCTION in_worker(call text) RETURNS int PARALLEL SAFE LANGUAGE plpgsql
		AS $$BEGIN EXECUTE call; RETURN 1; END$$;
	CREATE FUNCTION beside_workers(call text) RETURNS int PARALLEL RESTRICTED
		LANGUAGE plpgsql AS $$BEGIN EXECUTE call; RETURN 1; END$$));
foreach my $call (function_calls($node, 'app'))
{
	my ($name, undef, undef, $sql) = @$call;
	my $query = (split /;\s*/, $sql)[-1];
	next if $query !~ /^SELECT/;
	foreach my $function (qw(in_worker beside_workers))
	{
		my (undef, undef, $err) = $node->psql('app',
			"$settings \\set VERBOSITY verbose\n"
			  . "SELECT $function(\$call\$$query\$call\$) FROM big WHERE id = 1");
		unlike($err, qr/ERROR:  XX|server closed/, "$name(), marked as safe: $function");
		unlike($err, qr/ERROR:  (?!25000|42501|22|55)/, '... answers or is refused');
	}
}

$node->stop;
done_testing();
