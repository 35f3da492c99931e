# Citus itself, where it is installed: a coordinator and two workers, each function
# compared with the table of doc/scale-out.md, and the names of constraints.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use FunctionTable;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
plan skip_all => 'Citus is not installed' if !-e "$sharedir/extension/citus.control";

my @nodes = map { PostgreSQL::Test::Cluster->new($_) } qw(coordinator one two);
my ($coordinator, @workers) = @nodes;
foreach my $node (@nodes)
{
	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->append_conf('postgresql.conf', "autovacuum = off\n"
		  . "shared_preload_libraries = 'citus'\n"
		  . "max_prepared_transactions = 50\nmax_connections = 100\n"
		  . "citus.node_conninfo = 'sslmode=disable'\n"
		  . "citus.enable_statistics_collection = off\n"
		  . "citus.enable_create_role_propagation = off\n"
		  . "citus.enable_create_database_propagation = off\n");
	$node->start;
	create_roles($node);
	create_database($node, 'etl', 'app');
	$node->safe_psql('etl', 'CREATE EXTENSION citus');
}
my ($host) = map { $_->host } @nodes;
$coordinator->safe_psql('etl', sprintf "SELECT citus_set_coordinator_host('%s', %d)",
	$host, $coordinator->port);
$coordinator->safe_psql('etl', sprintf "SELECT citus_add_node('%s', %d)", $_->host, $_->port)
  foreach @workers;

# What holds no runs goes to every node.
$coordinator->safe_psql('etl', 'CREATE EXTENSION syncmaster');
fill_small_database($coordinator, 'etl');
$coordinator->safe_psql('etl', qq(SET client_min_messages = error;
	SELECT create_reference_table('"$_"')))
  foreach qw(user group user_group queue connection auth_data transfer);
$coordinator->safe_psql('etl', q(SET client_min_messages = error;
	SET citus.shard_count = 4; SELECT create_distributed_table('run', 'id')));
write_example_keys($_) foreach @workers;
is($workers[0]->safe_psql('etl', 'SELECT count(*) FROM transfer'), 95, 'workers have rows');

# Names of constraints, by which SyncMaster tells its errors apart.
my (undef, undef, $err) = $coordinator->psql('etl', q(\set VERBOSITY verbose
	INSERT INTO "group" (name, description, owner_id) SELECT name, '', 1 FROM "group" LIMIT 1));
like($err, qr/CONSTRAINT NAME:  uq__group__name_\d+/,
	"the name of a constraint ends in its shard's number");
($err) = $coordinator->safe_psql('etl', q(SELECT citus_version()));
note($err);

# Locks on a worker are waited for no longer than those on the coordinator.
my ($transfers) = $coordinator->safe_psql('etl',
	q(SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'transfer'::regclass));
my $on_shards = 'SET citus.override_table_visibility = off;
	SET citus.enable_manual_changes_to_shards = on; BEGIN;';
my $holder = begin_session($workers[0], 'etl', undef,
	"$on_shards LOCK TABLE transfer_$transfers IN ROW EXCLUSIVE MODE;");
foreach my $sql (q(SELECT syncmaster_downgrade('0011')),
	q(ALTER EXTENSION syncmaster UPDATE TO '1.11'))
{
	(undef, undef, $err) = $coordinator->psql('etl', "\\set VERBOSITY verbose
		SET syncmaster.lock_timeout = '1s'; SET statement_timeout = '60s'; $sql");
	like($err, qr/ERROR:  55P03: canceling statement due to lock timeout/,
		"a lock on a worker: $sql");
}
end_session($holder);
my ($shard) = $workers[0]->safe_psql('etl', q(SET citus.override_table_visibility = off;
	SELECT max(relname) FROM pg_class WHERE relname ~ '^run_\d+$' AND relkind = 'r'));
$holder = begin_session($workers[0], 'etl', undef, "$on_shards LOCK TABLE $shard;");
(undef, undef, $err) = $coordinator->psql('etl', "SET syncmaster.lock_timeout = '1s';
	SET statement_timeout = '60s'; SELECT syncmaster_downgrade('base')");
like($err, qr/ERROR:  canceling statement due to lock timeout/, 'so is one that keeps readers out');
end_session($holder);
$coordinator->safe_psql('etl', q(UPDATE run SET created_at = now() - interval '1 year', status = 'FINISHED'));
$holder = begin_session($workers[0], 'etl', undef, "$on_shards SELECT FROM $shard FOR UPDATE;");
(undef, undef, $err) = $coordinator->psql('etl',
	q(SET statement_timeout = '60s'; CALL syncmaster_purge_runs('300 days')));
like($err, qr/deleted \d+ rows? .*\nHINT:  Rows that other sessions had locked/s,
	'a purge passes by rows that are locked on a worker');
end_session($holder);

# Citus refuses DDL in a transaction that has read several shards at a time.
is( $coordinator->safe_psql('etl', q(SET client_min_messages = error; DROP INDEX ix__run__status;
	ALTER TABLE "group" DROP CONSTRAINT uq__group__name;
	SELECT action FROM syncmaster_repair(false))), "done\ndone", 'a repair reads shards, and changes tables');
is( $coordinator->safe_psql('etl', q(SET client_min_messages = error; BEGIN;
	SELECT count(*) > 0 FROM syncmaster_preflight('0011'); SELECT count(*) FROM syncmaster_check();
	SELECT syncmaster_downgrade('0011'); ROLLBACK)), "t\n0\n0011", 'so does a migration behind reports');

is_as_in_table('Citus worker', $workers[0], 'etl', reads => 1);
is_as_in_table('Citus coordinator', $coordinator, 'etl', reads => 1);

# Without the foreign key, Citus would change the shards of run side by side, and then
# refuse what comes after that.
is( $coordinator->safe_psql('etl', q(SET client_min_messages = error;
	ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer;
	GRANT CREATE ON SCHEMA public TO writer; SELECT syncmaster_set_owner('writer');
	SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('run', 'transfer', 'migration'))),
	"\nwriter", 'all is handed over');

$_->stop foreach reverse @nodes;
done_testing();
