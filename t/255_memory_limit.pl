# An upgrade, a downgrade, a check, a rotation and a purge within limited memory: what they
# need has a bound, however large the tables are.
#
# SYNCMASTER_SCALE is that of bench/data.sql (1: 200,000 transfers and as many connections),
# SYNCMASTER_RUNS how many runs there are, and SYNCMASTER_MEMORY how many megabytes each
# process of the server may have besides shared memory (doc/reliability.md has what larger
# ones gave).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $scale = $ENV{SYNCMASTER_SCALE} // 0.02;
my $runs = $ENV{SYNCMASTER_RUNS} // int(10_000 * $scale);
my $megabytes = $ENV{SYNCMASTER_MEMORY} // 64;
my $data = "$FindBin::RealBin/../bench/data.sql";
plan skip_all => 'the data of the benchmark is not here' if !-f $data;

my $node = new_server('limit');
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
shared_buffers = 32MB
min_parallel_table_scan_size = 0
max_wal_size = 4GB
log_statement = none
CONF
write_keys($node, 'old.key', $KEY{one});
write_keys($node, 'new.key', $KEY{two});
$node->append_conf('postgresql.conf',
	"syncmaster.secret_key_file = 'new.key'\nsyncmaster.previous_secret_key_file = 'old.key'\n");
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE large TEMPLATE template0');
$node->safe_psql('large', q(CREATE EXTENSION syncmaster VERSION '1.11'));
my $token = $node->safe_psql('postgres', q(
	CREATE EXTENSION syncmaster;
	SET syncmaster.secret_key_file = 'old.key';
	SELECT syncmaster_encrypt('{"type": "basic"}')));
my ($status) = run_command_on($node, 'psql', '-Xq', '-d', 'large',
	'-v', "scale=$scale", '-v', "runs=$runs", '-v', "token=$token", '-f', $data);
is($status, 0, 'the data set is there');

# Long texts of few words: their search vectors are large, the indexes on these are not.
$node->safe_psql('postgres', 'CREATE DATABASE words TEMPLATE large');
$node->safe_psql('words', q(
	UPDATE transfer SET source_params = json_build_object('table_name',
		(SELECT string_agg('word' || w, ' ') FROM generate_series(1, 20) w, generate_series(1, 250)))
	WHERE id IN (SELECT id FROM transfer ORDER BY id LIMIT 1800)));

# Every process inherits the limit.
$node->stop;
is(system('sh', '-c', 'ulimit -d "$1"; shift; exec "$@"', 'sh', $megabytes * 1024,
		'pg_ctl', '-s', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start'),
	0, 'the server starts within the limit');
$node->_update_pid(1);

# The server itself allows no text of 1 GB.
my $too_much = $megabytes < 1024 ? $megabytes : 1023;
my (undef, undef, $err) = $node->psql('large', "SELECT length(repeat('x', $too_much * 1024 * 1024))");
like($err, qr/out of memory/, 'which is in force');

sub session_memory
{
	my ($name, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('large', "SET client_min_messages = warning; SET syncmaster.lock_timeout = 0;\n$sql;\n"
		  . q(SELECT substring(pg_read_file('/proc/self/status', 0, 10000) FROM 'RssAnon:\s*(\d+ kB)')), on_error_stop => 1, timeout => 86400);
	is($rc, 0, "$name within $megabytes MB") or diag($err);
	note("$name: " . (split /\n/, $out)[-1] . ' at the end');
	return;
}

session_memory('upgrade', q(SELECT syncmaster_upgrade('head')));
is($node->safe_psql('large', q(SELECT syncmaster_schema_version(), count(*) = count(search_vector) FROM transfer)), '0013|t', 'all rows have their vector');
session_memory('check', 'SELECT count(*) FROM syncmaster_check()');
session_memory('health', 'SELECT count(*) FROM syncmaster_health()');
session_memory('rotation', 'SELECT * FROM syncmaster_rotate_credentials(false)');
is($node->safe_psql('large', "SELECT count(*) FROM auth_data WHERE value = '$token'"), '0', 'all credentials have the new key');
session_memory('purge of runs', q(CALL syncmaster_purge_runs('90 days', 1)));
session_memory('purge of results', q(CALL syncmaster_purge_task_results('90 days')));
session_memory('downgrade', q(SELECT syncmaster_downgrade('0011')));

# An upgrade can do without vectors that are computed before the lock, as 14 and later do.
SKIP:
{
	skip 'PostgreSQL 13 computes no vectors before', 4
	  if $node->safe_psql('postgres', 'SHOW server_version_num') < 140000;
	my $session = begin_session($node, 'words', 'postgres', q(
		SET client_min_messages = warning;
		SET syncmaster.lock_timeout = 0;
		SET max_parallel_maintenance_workers = 0;
		SET maintenance_work_mem = '1GB';
		SELECT pg_backend_pid() || ' ' || substring(pg_read_file('/proc/self/status', 0, 10000) FROM 'VmData:\s*(\d+) kB');));
	my ($pid, $kilobytes) = split ' ', $session->{out};

	is(system('prlimit', "--pid=$pid", '--data=' . ($kilobytes + 14 * 1024) * 1024),
		0, 'a session has 14 MB more than it had at its start');
	is(in_session($session, "SELECT syncmaster_upgrade('head');"),
		"0013\n", 'it upgrades a database whose search vectors need more')
	  or diag($session->{err});
	like($session->{err},
		qr/WARNING:  out of memory while search vectors of table "transfer" were computed\n.*while the table is locked.*maintenance_work_mem/s,
		'and says that it has not computed them before');
	end_session($session);
	is($node->safe_psql('words', 'SELECT count(*) = count(search_vector) FROM transfer'), 't', 'all rows have their vector');
}

$node->stop;
done_testing();
