# Functions called over and over in one session: the memory of its process does not grow.
#
# SYNCMASTER_REPEATS says how often each is called, and SYNCMASTER_SECONDS how long at
# most once it was called ten times (doc/reliability.md has what longer runs gave).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $repeats = $ENV{SYNCMASTER_REPEATS} // 40;
my $seconds = $ENV{SYNCMASTER_SECONDS} // 0.5;

# What may be taken for good by a call, on average, and once.  Memory that is not freed
# takes more.  Of the process, whose memory malloc() gives back only when a whole piece
# of it is free, a few megabytes say nothing.
my $bytes_a_call = 64;
my $bytes_once = 32 * 1024;
my $process_kb_once = 4096;

my $node = new_server('memory');
$node->append_conf('postgresql.conf', "fsync = off\nlog_statement = none\n");
$node->restart;
create_small_database($node);
$node->safe_psql('small', <<'SQL');
CREATE SCHEMA memory;
CREATE TABLE memory.used (name text, step int, calls bigint, bytes bigint, process_kb bigint);

-- Memory of the session: what its contexts hold (from 14 on), without the server's caches,
-- which the library puts nothing into and which grow with each ALTER TABLE, by leaps where
-- a hash table doubles; and what the process has.
CREATE FUNCTION memory.bytes() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	IF to_regclass('pg_backend_memory_contexts') IS NOT NULL THEN
		EXECUTE 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name <> ''CacheMemoryContext''' INTO result;
	END IF;
	RETURN result;
END $$;
CREATE FUNCTION memory.process_kb() RETURNS bigint LANGUAGE sql AS $$
	SELECT substring(pg_read_file('/proc/self/status', 0, 10000) FROM 'RssAnon:\s*(\d+)')::bigint $$;

-- Each call is undone.
CREATE PROCEDURE memory.repeat(sql text, n bigint, seconds float8, INOUT calls bigint DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + seconds * interval '1 second';
BEGIN
	WHILE calls < n AND (calls < 5 OR clock_timestamp() < until) LOOP
		BEGIN
			EXECUTE sql;
			RAISE EXCEPTION USING ERRCODE = 'ZZ000';
		EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
			NULL;
		END;
		COMMIT;
		calls := calls + 1;
	END LOOP;
END $$;

-- The same twice: the first half fills the caches.
CREATE PROCEDURE memory.measure(name text, sql text, n bigint, seconds float8) LANGUAGE plpgsql AS $$
DECLARE
	calls bigint;
BEGIN
	FOR step IN 1 .. 2 LOOP
		calls := 0;
		CALL memory.repeat(sql, n / 2, seconds / 2, calls);
		INSERT INTO memory.used VALUES (name, step, calls, memory.bytes(), memory.process_kb());
		COMMIT;
	END LOOP;
END $$;
SQL

my $script = "$key_settings SET client_min_messages = error; SET log_min_messages = fatal;\n";
foreach my $call (function_calls($node))
{
	my ($name, $kind, $sql) = @$call;
	# PL/pgSQL keeps what it compiled for a trigger that is gone.
	$sql =~ s/CREATE FUNCTION note.*EXECUTE FUNCTION note\(\);//s;
	if ($kind ne 'p')
	{
		$script .= "CALL memory.measure('$name', \$sql\$$sql\$sql\$, $repeats, $seconds);\n";
		next;
	}

	# What commits by itself is called by the client.
	my $n = $repeats / 2 > 1000 ? 1000 : int($repeats / 2);
	foreach my $step (1, 2)
	{
		$script .= "$sql;\n" x $n
		  . "INSERT INTO memory.used VALUES ('$name', $step, $n, memory.bytes(), memory.process_kb());\n";
	}
}
my ($rc, $out, $err) = $node->psql('small', $script, on_error_stop => 1, timeout => 86400);
is($rc, 0, 'all calls end well') or diag($err);
my $total = 0;
foreach my $line (split /\n/, $node->safe_psql('small', q(
	SELECT name, first.calls + second.calls, second.calls, second.bytes - first.bytes, second.process_kb - first.process_kb
	FROM memory.used first JOIN memory.used second USING (name) WHERE (first.step, second.step) = (1, 2) ORDER BY name)))
{
	my ($name, $all, $calls, $bytes, $process_kb) = split /\|/, $line;
	$total += $all;
	note("$name: $all calls, grew by " . ($bytes eq '' ? '?' : $bytes) . " bytes in contexts, $process_kb kB in the process, in $calls of them");
	cmp_ok($bytes, '<=', $bytes_once + $calls * $bytes_a_call, "$name() keeps no memory of contexts") if $bytes ne '';
	cmp_ok($process_kb, '<=', $process_kb_once + $calls * $bytes_a_call / 1024, "$name() keeps no memory of the process");
}
cmp_ok($total, '>', $repeats, 'functions were called');
note("$total calls");

$node->stop;
done_testing();
