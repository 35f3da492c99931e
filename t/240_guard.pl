# What a migration insists on before it starts, in which order it locks, and what
# others see of it meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('guard');
create_roles($node);
create_database($node, 'source', 'app');
$node->safe_psql('source', <<'SQL');
ALTER SCHEMA public OWNER TO app;
SET ROLE app;
CREATE EXTENSION syncmaster VERSION '1.11';
SQL
fill_tables($node, 'source');
$node->safe_psql('source', "UPDATE run SET status = 'FINISHED'");

my $databases = 0;

sub new_database
{
	my $db = 'guarded' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	return $db;
}

sub revision
{
	my ($db) = @_;
	return $node->safe_psql($db, 'SELECT syncmaster_schema_version()');
}

# A client that has gone may still be seen for a moment.
sub alone
{
	my ($db) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$db'");
}

my $upgrade = "SELECT syncmaster_upgrade('head')";
my ($rc, $out, $err);

# locks: the default.  Who is connected does not matter; who holds a lock does.
my $db = new_database();
my $other = begin_session($node, $db, 'app', 'SELECT 1;');
($rc, $out, $err) = run_sql($node, $db, undef, $upgrade);
is($out, "0013\n", 'locks: an idle session does not hinder');
is( $node->safe_psql(
		$db, "SELECT syncmaster_library_version() \\g /dev/null
			SHOW syncmaster.guard"),
	'locks',
	'locks: it is the default');
end_session($other);

$db = new_database();
$other = begin_session($node, $db, 'app', 'BEGIN; SELECT count(*) FROM queue;',
	application => 'worker 7');
($rc, $out, $err) =
  run_sql($node, $db, undef, "SET syncmaster.lock_timeout = 100; $upgrade");
like($err, qr/could not lock table "queue" within 100 ms/,
	'locks: a lock that is held hinders');
like($err, qr/user "app", application "worker 7", idle in transaction since/,
	'locks: the holder is named');
is(revision($db), '0011', 'locks: nothing was changed');
end_session($other);

# sessions: everybody else has to be gone, once, before the first change.
$db = new_database();
# The sessions of commands before end a moment later than their client.
my $guarded = q{
	DO $$BEGIN
		WHILE EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()
				AND application_name = current_setting('application_name')) LOOP
			PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01);
		END LOOP;
		PERFORM pg_stat_clear_snapshot();
	END$$;
	SET syncmaster.guard = sessions};
$other = begin_session($node, $db, 'app', 'SELECT 1;', application => 'server 1');
foreach my $command ($upgrade, 'ALTER EXTENSION syncmaster UPDATE',
	'SELECT syncmaster_create_indexes()',
	"SELECT syncmaster_set_owner('writer')")
{
	($rc, $out, $err) = run_sql($node, $db, undef,
		"GRANT CREATE ON SCHEMA public TO writer; $guarded; $command");
	like($err, qr/ERROR:  the database is in use/, "sessions: $command refused");
	like($err,
		qr/DETAIL:  Sessions: process \d+ \(user "app", application "server 1", idle since [^)]+\)\.$/m,
		"sessions: $command says who");
	like($err, qr/HINT:  Nothing was changed\. Wait for active runs/,
		"sessions: $command says what to do");
}
is(revision($db), '0011', 'sessions: nothing was changed');
($rc, $out, $err) = run_sql($node, $db, undef,
	"$guarded; SELECT syncmaster_upgrade('0011')");
is("$out$err", "0011\n", 'sessions: what changes nothing is allowed');

# a role that may not see other sessions' state
($rc, $out, $err) = run_sql($node, $db, 'app', "RESET ROLE; $guarded; $upgrade");
like($err, qr/Sessions: process \d+ \(user "app"/,
	'sessions: the owner of the tables is told');
end_session($other);
alone($db);

my @others = map { begin_session($node, $db, 'app', 'SELECT 1;') } 1 .. 12;
($rc, $out, $err) = run_sql($node, $db, undef, "$guarded; $upgrade");
like($err, qr/ and 2 more\.$/m, 'sessions: no more than ten are named');
is(() = $err =~ /process \d+/g, 10, 'sessions: ten are named');
end_session($_) foreach @others;
alone($db);

foreach my $index ('with', 'without')
{
	$node->safe_psql($db, 'DROP INDEX ix__run__status') if $index eq 'without';
	$node->safe_psql($db, <<'SQL');
UPDATE run SET status = 'CREATED' WHERE id IN (1, 2, 3);
UPDATE run SET status = 'STARTED' WHERE id = 4;
UPDATE run SET status = 'SEND_STOP_SIGNAL' WHERE id = 5;
SQL
	alone($db);
	($rc, $out, $err) = run_sql($node, $db, undef, "$guarded; $upgrade");
	like(
		$err,
		qr/^DETAIL:  Runs: 3 CREATED, 1 STARTED, 1 SEND_STOP_SIGNAL\.$/m,
		"sessions: active runs hinder, $index an index");
	$node->safe_psql($db, "UPDATE run SET status = 'STOPPED'");
}
alone($db);
($rc, $out, $err) = run_sql($node, $db, undef, "$guarded; $upgrade");
is("$out$err", "0013\n", 'sessions: alone, it goes');

# off: the session's own lock_timeout, or none.
$db = new_database();
$other = begin_session($node, $db, 'app', 'BEGIN; SELECT count(*) FROM queue;');
my $off = 'SET syncmaster.guard = off; SET syncmaster.lock_timeout = 1';
($rc, $out, $err) =
  run_sql($node, $db, undef, "$off; SET lock_timeout = 100; $upgrade");
like($err, qr/ERROR:  canceling statement due to lock timeout/,
	'off: lock_timeout rules');
is(revision($db), '0011', 'off: nothing was changed');
my $waiting = begin_session(
	$node, $db, $node->safe_psql('postgres', 'SELECT current_user'),
	"$off; $upgrade;",
	nowait => 1,
	application => 'upgrade');
ok( $node->poll_query_until(
		$db, "SELECT wait_event_type = 'Lock' AND
			clock_timestamp() - query_start > '20 ms'
			FROM pg_stat_activity WHERE application_name = 'upgrade'"),
	'off: the upgrade waits past syncmaster.lock_timeout');
end_session($other);
is(wait_for_session($waiting), "0013\n", 'off: and goes on when it may');
end_session($waiting);

($rc, $out, $err) = run_sql($node, $db, undef,
	'SELECT syncmaster_library_version(); SET syncmaster.guard = maybe');
like($err, qr/invalid value for parameter "syncmaster.guard": "maybe"/,
	'no other guard');

# Whoever updates all extensions leaves the tables alone where the database says so, by
# the commands of the documents.
$db = new_database();
my ($brake) = slurp_file("$FindBin::RealBin/../doc/operations.md") =~
  /^```sql\n(SELECT syncmaster_library_version\(\);\nALTER DATABASE syncmaster .*?)```/ms or die 'no brake';
my $all_extensions = q{DO $$
	DECLARE extension name;
	BEGIN
		FOR extension IN SELECT name FROM pg_available_extensions
			WHERE installed_version <> default_version LOOP
			EXECUTE format('ALTER EXTENSION %I UPDATE', extension);
		END LOOP;
	END $$};
$node->safe_psql($db, $brake =~ s/DATABASE syncmaster/DATABASE $db/r, extra_params => [ '-U', 'app' ]);
($rc, $out, $err) = run_sql($node, $db, 'app', $all_extensions);
is($rc, 0, 'the brake: all extensions are updated');
like($err, qr/\AWARNING:  the tables are left at their revision, as syncmaster\.update_migrates is off\nHINT:  Run SELECT syncmaster_upgrade\('head'\) when SyncMaster is upgraded\.\n/,
	'the brake: with one warning');
is($node->safe_psql($db, q{SELECT extversion FROM pg_extension WHERE extname = 'syncmaster'}) . ' ' . revision($db),
	'1.13 0011', 'the brake: the functions are new, the tables are not');
($rc, $out, $err) = run_sql($node, $db, 'app', $upgrade);
is("$out$err", "0013\n", 'the brake: an upgrade by SyncMaster\'s own function migrates');
foreach my $call (q{downgrade('0011')}, q{upgrade('0012')})
{
	($rc, $out, $err) = run_sql($node, $db, 'app', "SELECT syncmaster_$call");
	is("$out$err", ($call =~ /(\d+)/)[0] . "\n", "the brake: so does $call where the versions agree");
}
($rc, $out, $err) = run_sql($node, $db, 'app', q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster});
is("$err" . revision($db), '0013', 'the brake: CREATE EXTENSION migrates');
$db = new_database();
$node->safe_psql($db, $all_extensions, extra_params => [ '-U', 'app' ]);
is(revision($db), '0013', 'without the brake they are migrated');

# The tables of a step are locked together, and others when they are wanted.  An
# event trigger stops the upgrade where a table's rows are about to be written.
$db = new_database();
$node->safe_psql($db, <<'SQL');
CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_lock_shared(pg_event_trigger_table_rewrite_oid()::bigint);
END $$;
CREATE EVENT TRIGGER stop ON table_rewrite EXECUTE FUNCTION stop();
SQL
my @tables = qw(connection transfer queue group);
my %gate = map {
	$_ => begin_session($node, $db, 'app',
		"SELECT pg_advisory_lock('\"$_\"'::regclass::oid::bigint);")
} @tables;
$waiting = begin_session(
	$node, $db, $node->safe_psql('postgres', 'SELECT current_user'),
	"SET syncmaster.progress = on; $upgrade;",
	nowait => 1,
	application => 'upgrade');
foreach my $table (@tables)
{
	ok( $node->poll_query_until(
			$db, "SELECT count(*) = 1 FROM pg_stat_activity a
				JOIN pg_locks l USING (pid)
				WHERE a.application_name = 'upgrade'
				AND l.locktype = 'advisory' AND NOT l.granted
				AND l.objid = '\"$table\"'::regclass"),
		"$table: the upgrade has come to it");
	like(
		$node->safe_psql(
			$db, "SELECT query FROM pg_stat_activity
				WHERE application_name = 'upgrade'"),
		qr/^syncmaster 0011 -> 0012: ALTER TABLE public\."?$table"?\s/,
		"$table: pg_stat_activity says so");
	is( $node->safe_psql(
			$db, "SELECT string_agg(DISTINCT c.relname, ' '
					ORDER BY c.relname)
				FROM pg_stat_activity a JOIN pg_locks l USING (pid)
				JOIN pg_class c ON c.oid = l.relation
				WHERE a.application_name = 'upgrade' AND c.relkind = 'r'
				AND c.relnamespace = 'public'::regnamespace
				AND c.relname <> 'alembic_version'"),
		join(' ', sort @tables),
		"$table: the tables of the step are locked, and no other");
	end_session($gate{$table});
}
is(wait_for_session($waiting), "0013\n", 'it gets through');

# The session that upgrades is told as well.
$err = end_session($waiting);
like($err,
	qr/^INFO:  syncmaster 0011 -> 0012: alter table connection, drop column search_vector [^\n]*, add column search_vector in \d+ ms$/m,
	'progress: each statement');
like($err, qr/^INFO:  revision $_ applied in \d+ ms$/m, "progress: $_")
  foreach qw(0012 0013);
like($err,
	qr/^INFO:  syncmaster: create index ix_syncmaster__run_transfer_id_created_at in \d+ ms$/m,
	'progress: extra indexes');
($rc, $out, $err) = run_sql($node, $db, undef,
	"SET syncmaster.progress = on; SELECT syncmaster_downgrade('0012')");
like($err, qr/^INFO:  revision 0013 taken back in \d+ ms$/m,
	'progress: a downgrade');
($rc, $out, $err) = run_sql($node, $db, undef,
	"SET syncmaster.progress = off; $upgrade");
is($err, '', 'progress: off');

# auto tells what takes a second.
$node->safe_psql($db, <<'SQL');
CREATE OR REPLACE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_event_trigger_table_rewrite_oid() = 'public.connection'::regclass THEN
		PERFORM pg_sleep(1.1);
	END IF;
END $$;
SELECT syncmaster_downgrade('0011');
SQL
($rc, $out, $err) = run_sql($node, $db, undef, $upgrade);
like($err, qr/alter table connection.* in [1-9]\d{3,} ms$/m,
	'progress: auto tells of a slow statement');
like($err, qr/^INFO:  revision 0012 applied in [1-9]\d{3,} ms$/m,
	'progress: auto tells of a slow step');
unlike($err, qr/ in \d{1,3} ms$/m, 'progress: auto tells of nothing else');

done_testing();
