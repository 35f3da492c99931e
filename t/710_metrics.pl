# The view syncmaster_metrics: its numbers are true, it costs little on a large
# table, it waits for nobody, runs nobody's code, and shows nothing to those who
# have not the one right to read it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use JSON::PP;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('metrics', allows_streaming => 1);
create_roles($node);

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub query { return $node->safe_psql(@_); }

# All metrics as a hash, "name label=value ..." to value.  Whoever would wait for
# a lock fails.
sub metrics
{
	my ($server, $db, $role) = @_;
	my ($rc, $stdout, $stderr) = run_sql($server, $db, $role // 'monitor', q{
		SET lock_timeout = '1ms';
		SELECT json_object_agg(concat_ws(' ', name, (
				SELECT string_agg(key || '=' || value, ' ' ORDER BY key)
				FROM jsonb_each_text(labels))), value)
		FROM syncmaster_metrics});

	is("$rc $stderr", '0 ', 'the view can be read') or return {};
	return decode_json($stdout);
}

# Those whose name or table matches.
sub names
{
	my ($metrics, $pattern) = @_;
	return join ' ', sort grep { $_ =~ $pattern } keys %$metrics;
}

# A database whose tables are of "app"; "monitor" may read the view.
sub prepare
{
	my ($db) = @_;
	create_database($node, $db, 'app');
	query($db, q{
		CREATE EXTENSION syncmaster;
		SELECT syncmaster_set_owner('app');
		GRANT SELECT ON syncmaster_metrics TO monitor;
	});
	return;
}

# ---------------------------------------------------------------------------
# True numbers

prepare('sample');
fill_tables($node, 'sample');
query('sample', 'ANALYZE');
my $metrics = metrics($node, 'sample');
my $counts = decode_json(query('sample', q{
	SELECT json_object_agg(relname, (xpath('/row/n/text()', query_to_xml(
		format('SELECT count(*) AS n FROM %I', relname), false, true, '')))[1]::text::int)
	FROM pg_class
	WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
		AND relname <> 'alembic_version'}));
is(scalar keys %$counts, 11, 'eleven tables');
foreach my $table (sort keys %$counts)
{
	is($metrics->{"syncmaster_table_rows table=$table"},
		$counts->{$table}, "rows of table $table");
	is($metrics->{"syncmaster_table_readable table=$table"},
		1, "table $table is readable");
	cmp_ok(
		$metrics->{"syncmaster_table_size_bytes table=$table"},
		'>=',
		query('sample', qq{SELECT pg_relation_size('"$table"')}),
		"size of table $table");
}
foreach my $status (qw(CREATED STARTED SEND_STOP_SIGNAL))
{
	is( $metrics->{"syncmaster_active_runs status=$status"},
		query('sample', "SELECT count(*) FROM run WHERE status = '$status'"),
		"active runs, $status");
}
is($metrics->{'syncmaster_next_job_timestamp_seconds'},
	1750000001.1, 'next job');
is( $metrics->{'syncmaster_schema_info extension_version=1.13'
		  . ' library_version=1.13 revision=0013 schema=public'},
	1, 'versions');
is($metrics->{syncmaster_schema_in_step}, 1, 'all at one version');

# What the server counts arrives a moment later.
ok($node->poll_query_until('sample', q{
		SELECT value = 300 FROM syncmaster_metrics
		WHERE name = 'syncmaster_table_rows_inserted_total'
		  AND labels ->> 'table' = 'run'}),
	'rows inserted into table run');
is( query('sample', q{
		SELECT value FROM syncmaster_metrics
		WHERE name = 'syncmaster_table_rows_deleted_total'
		  AND labels ->> 'table' = 'celery_taskmeta'}),
	5, 'rows deleted from table celery_taskmeta');

# ---------------------------------------------------------------------------
# Who may

foreach my $what ('syncmaster_metrics', 'syncmaster_read_metrics()',
	'syncmaster_read_metrics(true)')
{
	my ($rc, $stdout, $stderr) =
	  run_sql($node, 'sample', 'stranger', "SELECT * FROM $what");
	is("$rc $stdout$stderr",
		"1 ERROR:  permission denied for view syncmaster_metrics\n",
		"without a right: $what");
}
is( query('sample', q{
		SELECT string_agg(relname, ' ') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
		  AND has_table_privilege('monitor', oid, 'SELECT')
		  AND relname <> 'alembic_version'}),
	'syncmaster_metrics',
	'"monitor" has a right on the view alone');
unlike(join(' ', %$metrics), qr/example\.com|schema\.table|перенос|[0-9a-f]{32}/,
	'nothing of the content of a table comes out');

create_database($node, 'private', 'app');
query('private', q{
	ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
	CREATE EXTENSION syncmaster;
	GRANT SELECT ON syncmaster_metrics TO monitor;
	ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC});
is(metrics($node, 'private')->{syncmaster_schema_in_step},
	1, 'functions need not be executable by default');
my $executable = q{
	SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
	WHERE proname LIKE 'syncmaster%'
	  AND has_function_privilege('stranger', oid, 'EXECUTE')};
is( query('private', $executable),
	query('sample', $executable),
	'... whoever may call what');

# ---------------------------------------------------------------------------
# Nobody's code runs

query('sample', q{
	SET ROLE app;
	CREATE FUNCTION planted(anyelement) RETURNS anyelement IMMUTABLE
	LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''planted code ran''; RETURN $1; END';
	SET client_min_messages = error;
	CREATE INDEX planted_first ON run (planted(id));
	CREATE INDEX planted_partial ON run (status) WHERE planted(id) > 0;
	CREATE INDEX planted_jobs ON apscheduler_jobs (planted(next_run_time));
	ALTER TABLE run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY planted ON run USING (planted(true));
	CREATE TABLE public.shadow (n int);
	CREATE FUNCTION public.jsonb_in(text) RETURNS jsonb LANGUAGE sql
		AS $$ SELECT planted('{}'::jsonb) $$;
});
my $log_end = -s $node->logfile;
is_deeply(
	[ map { $metrics->{$_} } sort grep { /runs|readable/ } keys %$metrics ],
	[ do { my $m = metrics($node, 'sample');
		map { $m->{$_} } sort grep { /runs|readable/ } keys %$m } ],
	'planted code and policies change nothing');
unlike(slurp_file($node->logfile, $log_end), qr/planted code ran/,
	'planted code does not run');
query('sample', q{
	DROP FUNCTION planted CASCADE;
	ALTER TABLE run DISABLE ROW LEVEL SECURITY});

# ---------------------------------------------------------------------------
# Locked tables, as in an upgrade

sub with_lock
{
	my ($db, $sql, $test) = @_;
	my $session = begin_session($node, $db, $superuser, "BEGIN; $sql;");

	$test->();
	end_session($session);
	return;
}

with_lock('sample', 'LOCK TABLE run, apscheduler_jobs, celery_taskmeta IN ACCESS EXCLUSIVE MODE',
	sub {
		my $m = metrics($node, 'sample');
		is($m->{'syncmaster_table_readable table=run'},
			0, 'a locked table is not readable');
		is($m->{'syncmaster_table_readable table=transfer'},
			1, '... others are');
		is(names($m, qr/_runs|next_job|size.*run|rows.*celery_taskmeta/),
			'', '... and what is in it is left out');
	});
with_lock('sample', 'LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE',
	sub {
		is(names(metrics($node, 'sample'), qr/schema/),
			'', 'a locked revision is left out');
	});
with_lock('sample', 'REINDEX INDEX ix__run__status',
	sub {
		my $m = metrics($node, 'sample');
		is(names($m, qr/size.*run/),
			'', 'what a locked index belongs to is left out');
		is($m->{'syncmaster_active_runs status=STARTED'},
			$metrics->{'syncmaster_active_runs status=STARTED'},
			'... a small table is read instead of it');
		is($m->{'syncmaster_table_readable table=run'},
			1, '... and nothing else');
		ok(exists $m->{'syncmaster_recent_runs status=FAILED'},
			'... other indexes are used');
	});
prepare('old');
query('old', "SELECT syncmaster_downgrade('0011')");
fill_tables($node, 'old');
with_lock('old', 'ALTER EXTENSION syncmaster UPDATE',
	sub {
		my $m = metrics($node, 'old');
		is($m->{'syncmaster_table_readable table=transfer'},
			0, 'an upgrade has a table');
		is($m->{'syncmaster_active_runs status=STARTED'},
			query('old', q{SELECT count(*) FROM run WHERE status = 'STARTED'}),
			'and leaves the runs to the metrics');
		like(names($m, qr/schema_info/), qr/revision=0011/,
			'the revision is the committed one');
	});

# ---------------------------------------------------------------------------
# A standby

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('metrics_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my %want = %{ metrics($node, 'sample') };
delete @want{ grep { /_total/ } keys %want };
is_deeply(metrics($standby, 'sample'),
	\%want, 'a standby has the same metrics, but for the counters');
query('old', q{
	ALTER TABLE celery_taskmeta SET UNLOGGED;
	ALTER TABLE alembic_version SET UNLOGGED});
$node->wait_for_catchup($standby);
my $unlogged = metrics($standby, 'old');
is($unlogged->{'syncmaster_table_readable table=celery_taskmeta'},
	0, 'a standby has nothing of a table that is not logged');
is($unlogged->{'syncmaster_table_readable table=run'},
	1, '... and all of the others');

# ---------------------------------------------------------------------------
# The cost on a large table

prepare('large');
fill_tables($node, 'large');
query('large', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at,
			started_at, ended_at)
		SELECT 1 + i % 95, CASE WHEN i % 10 = 0 THEN 'FAILED' ELSE 'FINISHED' END,
			'SCHEDULED', json_build_object('pad', repeat(md5(i::text), 30)),
			t, t, t
		FROM (SELECT i, now() - interval '10 minutes' * (30000 - i) AS t
			FROM generate_series(1, 30000) i) r;
});
query('large', 'VACUUM ANALYZE');

# Buffers that one reading of the view touches, and how often table run was read
# from end to end.
sub cost
{
	my ($server, $db) = @_;
	my $plan = decode_json($server->safe_psql($db, q{
		SELECT count(*) FROM syncmaster_metrics \g /dev/null
		EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)
			SELECT * FROM syncmaster_metrics}));
	my $node = $plan->[0]{Plan};
	return $node->{'Shared Hit Blocks'} + $node->{'Shared Read Blocks'};
}
my $pages = query('large', q{SELECT pg_relation_size('run') / 8192});
cmp_ok($pages, '>', 4000, 'the table of runs is large');
my $scans = query('large',
	q{SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'run'});
my $buffers = cost($node, 'large');
note "$pages pages, $buffers buffers";
cmp_ok($buffers, '<', 1500, 'the view reads a bounded part of it');
query('large', q{SET enable_indexonlyscan = off; SET enable_indexscan = off;
	SET enable_bitmapscan = off; SELECT count(*) FROM run});
ok($node->poll_query_until('large', qq{
		SELECT seq_scan > $scans FROM pg_stat_user_tables WHERE relname = 'run'}),
	'a query of the table is counted');
is( query('large',
		q{SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'run'}),
	$scans + 1,
	'... the view had not read it from end to end');

# Entries that runs leave behind while nobody may remove them: a transaction that
# began before keeps them, and the view passes by no more than it may.
my $old = begin_session($node, 'large', $superuser,
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue;');
query('large', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump)
		SELECT 1, 'CREATED', 'MANUAL', '{}' FROM generate_series(1, 25000)});
query('large', q{UPDATE run SET status = 'FINISHED' WHERE status = 'CREATED'});
query('large', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump)
		SELECT 1, 'CREATED', 'MANUAL', '{}' FROM generate_series(1, 3)});
$buffers = cost($node, 'large');
note "$buffers buffers with 25000 dead entries";
cmp_ok($buffers, '>', 1500, 'dead entries cost something');
cmp_ok($buffers, '<', 4000, '... but no more than they may');
is(metrics($node, 'large')->{'syncmaster_active_runs status=CREATED'},
	3, 'new runs are found nevertheless');
is(metrics($node, 'large')->{'syncmaster_active_runs_complete status=CREATED'},
	0, '... and it is told that others may be behind them');
is(metrics($node, 'large')->{'syncmaster_active_runs_complete status=STARTED'},
	1, '... of that status');
query('large', 'DELETE FROM run WHERE id <= 2000');
is( names(metrics($node, 'large'), qr/oldest_row.*run/),
	'', 'an oldest row behind too many dead entries is not looked for');
is( query('large', q{SELECT check_name FROM syncmaster_health()
		WHERE check_name = 'growth' AND subject = 'run'}),
	'growth', '... but by syncmaster_health()');
$node->wait_for_catchup($standby);
cmp_ok(cost($standby, 'large'), '<', 4000, 'also on a standby');
is(metrics($standby, 'large')->{'syncmaster_active_runs status=CREATED'},
	3, '... where new runs are found, too');
end_session($old);
query('large', 'VACUUM run');
cmp_ok(cost($node, 'large'), '<', 1500, 'after VACUUM it is as before');
is(metrics($node, 'large')->{'syncmaster_active_runs_complete status=CREATED'},
	1, '... and all are counted');

# More active runs than are looked at: the limit is shown.
query('large', q{
	INSERT INTO run (transfer_id, status, type, transfer_dump)
		SELECT 1, 'CREATED', 'MANUAL', '{}' FROM generate_series(1, 5001)});
is(metrics($node, 'large')->{'syncmaster_active_runs status=CREATED'},
	5000, 'more active runs than are counted');
is(metrics($node, 'large')->{'syncmaster_active_runs_complete status=CREATED'},
	0, '... which is told');

# What may be seen of the newest runs: a thousand of them.
is( metrics($node, 'large')->{'syncmaster_recent_runs status=FINISHED'}
	  + metrics($node, 'large')->{'syncmaster_recent_runs status=CREATED'},
	1000,
	'of more runs in an hour than are looked at, as many count');

$standby->stop;
$node->stop;
done_testing();
