# Upgrades and downgrades that are killed, cancelled, starved of disk or of
# locks, or that meet each other or Alembic.  Afterwards everything is as before
# or as after, never between, and the next try succeeds.

use strict;
use warnings;

use Time::HiRes qw(usleep);

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use SmallDisk;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('faults');

# Small segments, for the limit on the size of files below.
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', q{
	listen_addresses = '127.0.0.1'
	restart_after_crash = on
	max_prepared_transactions = 10
	autovacuum = off
	min_wal_size = 2MB
	max_wal_size = 64MB
	log_statement = none
	# the comparison of rows must not write to a full disk
	work_mem = '64MB'
});
$node->start;

sub query { return $node->safe_psql(@_); }

# ---------------------------------------------------------------------------
# Databases to start from, and what they become when nothing happens

# The engine can be made to wait at the end of any step: the history's trigger
# waits for a lock, at the revision that the session names.
my $gate = q{
	CREATE SCHEMA gate;
	CREATE FUNCTION gate.wait() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF coalesce(NEW.to_revision, 'base') = current_setting('gate.at', true) THEN
				PERFORM pg_advisory_xact_lock(4711);
			END IF;
			RETURN NEW;
		END $$;
	CREATE TRIGGER gate BEFORE INSERT ON syncmaster_history.migration
		FOR EACH ROW EXECUTE FUNCTION gate.wait();
};
my $quiet = 'SET client_min_messages = error; SET syncmaster.lock_timeout = 0;';
my $to_base = "SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('base');";

query('postgres', 'CREATE DATABASE at11');
query('at11', "CREATE EXTENSION syncmaster VERSION '1.11'; $gate");
load_rows($node, 'at11');

query('postgres', 'CREATE DATABASE empty TEMPLATE at11');
query('empty', "$to_base DROP EXTENSION syncmaster; DELETE FROM syncmaster_history.migration");

my %up = (
	at11 => 'ALTER EXTENSION syncmaster UPDATE;',
	empty => 'CREATE EXTENSION syncmaster;');
my %after;
foreach my $db (sort keys %up)
{
	query('postgres', "CREATE DATABASE clean TEMPLATE $db");
	query('clean', "$quiet $up{$db}");
	$after{$db} = state_of($node, 'clean');
	if ($db eq 'at11')
	{
		query('postgres', 'CREATE DATABASE at13 TEMPLATE clean');
		query('clean', "$quiet $to_base");
		$after{at13} = state_of($node, 'clean');
		$up{at13} = $to_base;
	}
	query('postgres', 'DROP DATABASE clean');
}
my %before = map { $_ => state_of($node, $_) } keys %up;

# ---------------------------------------------------------------------------
# Helpers

# Hold a lock, or whatever else the statement takes, without a session that
# could be killed.
sub block
{
	my ($db, $sql) = @_;
	query($db, "BEGIN; $sql; PREPARE TRANSACTION 'blocker'");
	return;
}

sub unblock
{
	my ($db) = @_;
	query($db, "ROLLBACK PREPARED 'blocker'");
	return;
}

my $close_gate = 'SELECT pg_advisory_xact_lock(4711)';

# Wait until a session of this name waits for a lock, and return its process.
sub waiting
{
	my ($name, $type) = @_;
	my $condition = "application_name = '$name' AND wait_event_type = 'Lock'";

	$condition .= " AND wait_event = '$type'" if defined $type;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE $condition")
	  or die "$name does not wait";
	return query('postgres', "SELECT pid FROM pg_stat_activity WHERE $condition");
}

# After a crash, as the log has it from a place on: at first a server that lost
# a process still takes connections.
sub wait_for_recovery
{
	my ($from) = @_;
	foreach my $try (1 .. 1800)
	{
		return
		  if slurp_file($node->logfile, $from) =~
		  /database system is ready to accept connections/;
		usleep(100_000);
	}
	die 'the server does not come back';
}

# After a fault: as before, and then the same command gets through.
sub unharmed
{
	my ($name, $db) = @_;
	return same_state(state_of($node, $db), $before{$db},
		"$name: everything is as before");
}

# Run the command again in a database that went through a fault.
sub next_try
{
	my ($name, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, "$quiet " . ($sql // $up{$db}));
	is($rc, 0, "$name: the next try succeeds") or diag $err;
	same_state(state_of($node, $db), $after{$db}, "$name: everything is as after");
	return;
}

# Databases that need no repetition of what made them.
my $copies = 0;
sub copy_of
{
	my ($template) = @_;
	my $db = 'copy_' . ++$copies;
	query('postgres', "CREATE DATABASE $db TEMPLATE $template");
	$before{$db} = $before{$template};
	$after{$db} = $after{$template};
	$up{$db} = $up{$template};
	return $db;
}

# ---------------------------------------------------------------------------
# kill -9 in the middle of each step

sub kill_backend
{
	my ($pid) = @_;
	kill 'KILL', $pid or die "could not kill $pid: $!";
	return;
}

# Whether a process has ended, and only its entry is left until somebody
# collects it.
sub is_zombie
{
	my ($pid) = @_;
	open my $stat, '<', "/proc/$pid/stat" or return 0;
	return <$stat> =~ /\) Z / ? 1 : 0;
}

# The orphaned processes need a moment to notice.
sub kill_postmaster
{
	my $pid = $node->{_pid};
	my @lock_files = ($node->data_dir . '/postmaster.pid',
		sprintf('%s/.s.PGSQL.%d.lock', $node->host, $node->port));

	$node->kill9;
	foreach my $try (1 .. 100)
	{
		# Where no init process collects orphans, the next server takes the
		# dead one for a live one.
		unlink @lock_files if is_zombie($pid);
		return if $node->start(fail_ok => 1);

		# some majors take the file that the killed one left for its
		$node->{_pid} = undef;
		select undef, undef, undef, 0.1;
	}
	die 'the server does not start again';
}

sub kill_at
{
	my ($db, $name, $wait_event, $setting, $kill) = @_;
	my $psql = start_psql($node, $db, "$quiet $setting $up{$db}",
		name => 'victim');
	my $pid = waiting('victim', $wait_event);
	my $log_end = -s $node->logfile;
	my ($rc, $out, $err);

	$kill->($pid);
	($rc, $out, $err) = finish_psql($psql);
	isnt($rc, 0, "$name: killed");
	wait_for_recovery($log_end);
	unharmed($name, $db);
	return;
}

my %steps = (
	empty => [ map { sprintf '%04d', $_ } 1 .. 13 ],
	at11 => [ '0012', '0013' ],
	at13 => [ (map { sprintf '%04d', $_ } reverse 1 .. 12), 'base' ]);
foreach my $db (qw(empty at11 at13))
{
	my $copy = copy_of($db);
	block($copy, $close_gate);
	kill_at($copy, "$db, backend killed at $_", 'advisory',
		"SET gate.at = '$_';", \&kill_backend)
	  foreach @{ $steps{$db} };
	kill_at($copy, "$db, postmaster killed at $_", 'advisory',
		"SET gate.at = '$_';", sub { kill_postmaster() })
	  foreach @{ $steps{$db} };
	unblock($copy);
	next_try("$db, after kills", $copy);
}

# While it waits for a table in the middle of a step's statements.
{
	my $copy = copy_of('at11');
	# without the guard, no lock is tried before it is needed
	local $up{$copy} = q(SET syncmaster.guard = off; ALTER EXTENSION syncmaster UPDATE;);
	foreach my $lock ('alembic_version IN ROW EXCLUSIVE MODE',
		'connection IN ACCESS SHARE MODE',
		'"group" IN ACCESS SHARE MODE',
		'celery_tasksetmeta IN ROW EXCLUSIVE MODE',
		'syncmaster_history.migration IN EXCLUSIVE MODE')
	{
		block($copy, "LOCK TABLE $lock");
		kill_at($copy, "killed while it waits for $lock", 'relation', '',
			\&kill_backend);
		unblock($copy);
	}
	next_try('after kills at locks', $copy);
}

# ---------------------------------------------------------------------------
# Cancel, timeouts, and locks that others hold

{
	my $copy = copy_of('at11');

	block($copy, 'LOCK TABLE "group" IN ACCESS SHARE MODE');
	my $psql = start_psql($node, $copy, "$quiet $up{$copy}", name => 'victim');
	my $pid = waiting('victim', 'relation');
	like( query('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $pid"),
		qr/^syncmaster 0011 -> 0013: LOCK TABLE/,
		'pg_stat_activity shows that all locks are tried');
	query('postgres', "SELECT pg_cancel_backend($pid)");
	my ($rc, $out, $err) = finish_psql($psql);
	like($err, qr/canceling statement due to user request/, 'cancel: error');
	unharmed('cancel', $copy);

	($rc, $out, $err) = $node->psql($copy,
		"$quiet SET statement_timeout = '500ms'; $up{$copy}");
	like($err, qr/canceling statement due to statement timeout/,
		'statement_timeout: error');
	unharmed('statement_timeout', $copy);

	($rc, $out, $err) = $node->psql($copy,
		"$quiet SET syncmaster.lock_timeout = '200ms'; $up{$copy}");
	like($err, qr/could not lock table "group" within 200 ms/,
		'prepared transaction: error');
	like($err, qr/DETAIL:  It is locked by prepared transaction "blocker" of user/,
		'prepared transaction: named');
	unharmed('prepared transaction', $copy);
	unblock($copy);

	# A command that was to be one of several.
	($rc, $out, $err) = $node->psql($copy, qq{
		$quiet
		BEGIN;
		$up{$copy}
		SELECT 1 / 0;
		COMMIT;});
	unharmed('error later in the transaction', $copy);
	($rc, $out, $err) = $node->psql($copy, qq{
		$quiet
		BEGIN;
		SAVEPOINT s;
		$up{$copy}
		ROLLBACK TO s;
		COMMIT;});
	is($rc, 0, 'rolled back to a savepoint');
	unharmed('savepoint', $copy);

	# Each lock of the way is waited for no longer than said, and the holder is
	# named.
	foreach my $holder (
		[ 'reader', 'connection', 'SELECT count(*) FROM connection' ],
		[ 'writer', 'celery_taskmeta',
			"UPDATE celery_taskmeta SET status = 'x'" ],
		[ 'writer', 'transfer', "UPDATE transfer SET description = 'x'" ],
		[ 'admin', 'alembic_version',
			'LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE' ],
		[ 'admin', 'migration',
			'LOCK TABLE syncmaster_history.migration IN ACCESS EXCLUSIVE MODE' ])
	{
		my ($name, $table, $sql) = @$holder;
		my $psql = start_psql($node, $copy, "BEGIN; $sql;",
			name => $name, hold => 1);
		my $pid = query('postgres',
			"SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");

		($rc, $out, $err) = $node->psql($copy, qq{
			$quiet
			SET statement_timeout = '30s';
			SET syncmaster.lock_timeout = '200ms';
			$up{$copy}});
		like($err, qr/could not lock table "$table" within 200 ms/,
			"$name of $table: error");
		like($err, qr/DETAIL:  It is locked by process $pid \(user "[^"]+", application "$name", idle in transaction since \d{4}-/,
			"$name of $table: named");
		like($err, qr/HINT:  Nothing was changed\. Wait for those sessions or end them/,
			"$name of $table: hint");
		finish_psql($psql, 'ROLLBACK;');
		unharmed("$name of $table", $copy);
	}

	# A holder who lets go in time, and one who takes the table with him.
	$psql = start_psql($node, $copy, 'BEGIN; DROP TABLE celery_tasksetmeta;',
		name => 'dropper', hold => 1);
	my $upgrade = start_psql($node, $copy, "$quiet $up{$copy}", name => 'upgrade');
	waiting('upgrade', 'relation');
	finish_psql($psql, 'COMMIT;');
	($rc, $out, $err) = finish_psql($upgrade);
	like($err, qr/table "celery_tasksetmeta" was dropped by another session meanwhile/,
		'a table is dropped meanwhile') or diag "$rc $out $err";

	$copy = copy_of('at11');
	$psql = start_psql($node, $copy, 'BEGIN; SELECT count(*) FROM connection;',
		name => 'reader', hold => 1);
	$upgrade = start_psql($node, $copy, "$quiet $up{$copy}", name => 'upgrade');
	waiting('upgrade', 'relation');
	finish_psql($psql, 'COMMIT;');
	($rc, $out, $err) = finish_psql($upgrade);
	is($rc, 0, 'the reader lets go in time') or diag $err;
	same_state(state_of($node, $copy), $after{$copy}, 'and all is as after');
}

# ---------------------------------------------------------------------------
# Two at the same time

# Start one that stops at the gate, and then another, which has to wait for it.
# How the first ends decides about the second.
sub two_at_once
{
	my ($name, $db, $first, $at, $second, $end_of_first) = @_;
	my $copy = copy_of($db);
	my ($one, $two);

	block($copy, $close_gate);
	$one = start_psql($node, $copy, "$quiet SET gate.at = '$at'; $first",
		name => 'first');
	my $pid = waiting('first', 'advisory');
	$two = start_psql($node, $copy, "$quiet $second", name => 'second');
	waiting('second');
	query('postgres', "SELECT pg_terminate_backend($pid)")
	  if $end_of_first eq 'terminated';
	unblock($copy) if $end_of_first eq 'done';

	my ($rc1, $out1, $err1) = finish_psql($one);
	my ($rc2, $out2, $err2) = finish_psql($two);
	unblock($copy) if $end_of_first ne 'done';
	is($rc1 == 0, $end_of_first eq 'done', "$name: the first is $end_of_first")
	  or diag $err1;
	same_state(state_of($node, $copy), $after{$copy}, "$name: all is as after");
	return ($rc2, $out2, $err2, $copy);
}

{
	my ($rc, $out, $err, $copy);
	my $update = 'ALTER EXTENSION syncmaster UPDATE;';
	my $upgrade = q{SELECT syncmaster_upgrade('head');};

	($rc, $out, $err) = two_at_once('two ALTER EXTENSION', 'at11',
		$update, '0012', $update, 'done');
	ok($rc == 0 || $err =~ /tuple concurrently updated/,
		'two ALTER EXTENSION: the second finds it done, or is told')
	  or diag $err;
	note $err;
	($rc, $out, $err) = two_at_once('two ALTER EXTENSION, one ended', 'at11',
		$update, '0013', $update, 'terminated');
	is($rc, 0, 'two ALTER EXTENSION, one ended: the second gets through')
	  or diag $err;

	($rc, $out, $err) = two_at_once('two syncmaster_upgrade()', 'at11',
		$upgrade, '0012', $upgrade, 'done');
	is($rc, 0, 'two syncmaster_upgrade(): the second finds it done')
	  or diag $err;
	is($out, "0013\n", 'two syncmaster_upgrade(): and says so');
	($rc, $out, $err) = two_at_once('two syncmaster_upgrade(), one ended', 'at11',
		$upgrade, '0013', $upgrade, 'terminated');
	is($out, "0013\n", 'two syncmaster_upgrade(), one ended: the second does it')
	  or diag $err;

	foreach my $create ('CREATE EXTENSION syncmaster;',
		'CREATE EXTENSION IF NOT EXISTS syncmaster;')
	{
		($rc, $out, $err) = two_at_once("two $create", 'empty',
			$create, '0005', $create, 'done');
		like($err, qr/duplicate key value violates unique constraint "pg_extension_name_index"/,
			"two $create the second is told");
		($rc, $out, $err) = two_at_once("two $create one ended", 'empty',
			$create, '0005', $create, 'terminated');
		is($rc, 0, "two $create one ended: the second gets through")
		  or diag $err;
	}

	# An upgrade is never the other way, whoever comes first.
	($rc, $out, $err) = two_at_once('ALTER EXTENSION and syncmaster_upgrade()',
		'at11', $update, '0012', $upgrade, 'done');
	is($out, "0013\n", 'ALTER EXTENSION and syncmaster_upgrade(): finds it done')
	  or diag $err;
	($rc, $out, $err) = two_at_once('syncmaster_upgrade() and ALTER EXTENSION',
		'at11', $upgrade, '0012', $update, 'done');
	note "$rc $err";
	my $down = q{SELECT syncmaster_downgrade('0011');};
	my $copy_down = copy_of('at13');
	block($copy_down, $close_gate);
	my $one = start_psql($node, $copy_down, "$quiet SET gate.at = '0012'; $down",
		name => 'first');
	waiting('first', 'advisory');
	my $two = start_psql($node, $copy_down, "$quiet $upgrade", name => 'second');
	waiting('second');
	unblock($copy_down);
	is((finish_psql($one))[1], "0011\n", 'a downgrade before an upgrade');
	is((finish_psql($two))[1], "0013\n", 'an upgrade after a downgrade');
}

# ---------------------------------------------------------------------------
# An error in the last of three steps

{
	my $copy = copy_of('at11');

	query($copy, "$quiet SET syncmaster.allow_destroy = on;
		SELECT syncmaster_downgrade('0010');
		ALTER TABLE celery_tasksetmeta RENAME COLUMN date_done TO done_at");
	$before{$copy} = state_of($node, $copy);
	foreach my $sql ($up{$copy}, q{SELECT syncmaster_upgrade('head')})
	{
		my ($rc, $out, $err) = $node->psql($copy, "$quiet $sql");
		isnt($rc, 0, "$sql with a column missing: fails");
		unharmed($sql, $copy);
	}
	query($copy, 'ALTER TABLE celery_tasksetmeta RENAME COLUMN done_at TO date_done');

	# The third step fails at its very end, after all have done their work.
	query($copy, q{
		CREATE FUNCTION gate.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF NEW.to_revision = '0013' THEN
					RAISE 'refused at %', NEW.to_revision;
				END IF;
				RETURN NEW;
			END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON syncmaster_history.migration
			FOR EACH ROW EXECUTE FUNCTION gate.refuse();
	});
	$before{$copy} = state_of($node, $copy);
	foreach my $sql ($up{$copy}, q{SELECT syncmaster_upgrade('head')})
	{
		my ($rc, $out, $err) = $node->psql($copy, "$quiet $sql");
		like($err, qr/refused at 0013/, "$sql fails in the third step");
		unharmed("$sql failed in the third step", $copy);
	}
	query($copy, 'DROP TRIGGER refuse ON syncmaster_history.migration');
	my ($rc, $out, $err) = $node->psql($copy, "$quiet $up{$copy}");
	is($rc, 0, 'the three steps get through') or diag $err;
	is( query($copy, q{
			SELECT extversion, syncmaster_schema_version()
			FROM pg_extension WHERE extname = 'syncmaster'}),
		'1.13|0013', 'version and schema agree');

	# A table that only revision 0013 looks at is made before it is needed.
	$copy = copy_of('at11');
	query($copy, 'DROP TABLE celery_tasksetmeta');
	($rc, $out, $err) = $node->psql($copy, "$quiet $up{$copy}");
	is($rc, 0, 'a table of Celery\'s is missing: upgraded') or diag $err;
	is( query($copy, q{
			SELECT syncmaster_schema_version(),
			to_regclass('ix_celery_tasksetmeta_date_done') IS NOT NULL}),
		'0013|t', 'a table of Celery\'s is missing: made, with its index');
}

# ---------------------------------------------------------------------------
# Alembic at the same time

SKIP:
{
	my $venv = $ENV{SYNCMASTER_VENV};
	skip 'SYNCMASTER_VENV does not name an environment with SyncMaster', 10
	  unless defined $venv && -x "$venv/bin/python";

	local $ENV{PYTHONWARNINGS} = 'ignore';
	my $user = query('postgres', 'SELECT current_user');
	my $alembic = sub {
		my ($db, @arguments) = @_;
		my %alembic = (out => '', err => '');
		local $ENV{SYNCMASTER__DATABASE__URL} =
		  "postgresql+asyncpg://$user\@127.0.0.1:" . $node->port . "/$db";
		local $ENV{PGAPPNAME} = 'alembic';
		$alembic{handle} = IPC::Run::start(
			[ "$venv/bin/python", '-m', 'syncmaster.db.migrations', @arguments ],
			'<', \undef, '>', \$alembic{out}, '2>', \$alembic{err},

			# not here, where syncmaster.so would be taken for the package
			init => sub { chdir $node->data_dir or die "chdir: $!" },
			IPC::Run::timeout(180));
		return \%alembic;
	};
	my $alembic_waits = sub {
		my ($db) = @_;
		$node->poll_query_until('postgres', qq{
			SELECT count(*) = 1 FROM pg_stat_activity
			WHERE datname = '$db' AND wait_event_type = 'Lock'
			  AND application_name NOT IN ('first', 'second')})
		  or die 'Alembic does not wait';
		return;
	};

	# Alembic first: it has rewritten the tables, and waits before 0013.
	foreach my $patience ('200ms', '0')
	{
		my $name = "Alembic first, lock_timeout $patience";
		my $copy = copy_of('at11');
		block($copy, 'LOCK TABLE celery_taskmeta IN ROW EXCLUSIVE MODE');
		my $other = $alembic->($copy, 'upgrade', 'head');
		$alembic_waits->($copy);
		my $ours = start_psql($node, $copy,
			"$quiet SET syncmaster.lock_timeout = '$patience'; $up{$copy}",
			name => 'second');
		my ($rc, $out, $err);
		if ($patience eq '0')
		{
			waiting('second');
		}
		else
		{
			($rc, $out, $err) = finish_psql($ours);
			like($err, qr/could not lock table "(?:alembic_version|group)".*It is locked by process/s,
				"$name: refused, with who is in the way");
		}
		is( query($copy, q{
				SELECT extversion, syncmaster_schema_version()
				FROM pg_extension WHERE extname = 'syncmaster'}),
			'1.11|0011', "$name: nothing is done yet");
		unblock($copy);
		$other->{handle}->finish;
		is($other->{handle}->result(0), 0, "$name: Alembic ends well")
		  or diag $other->{err};
		if ($patience eq '0')
		{
			($rc, $out, $err) = finish_psql($ours);
			is($rc, 0, "$name: finds the steps done") or diag $err;
		}
		($rc, $out, $err) = $node->psql($copy, "$quiet $up{$copy}");
		is($rc, 0, "$name: the next try succeeds") or diag $err;
		is( query($copy, q{
				SELECT extversion, syncmaster_schema_version()
				FROM pg_extension WHERE extname = 'syncmaster'}),
			'1.13|0013', "$name: version and schema agree");
	}

	# The extension first.
	my $copy = copy_of('at11');
	block($copy, $close_gate);
	my $ours = start_psql($node, $copy, "$quiet SET gate.at = '0012'; $up{$copy}",
		name => 'first');
	waiting('first', 'advisory');
	my $other = $alembic->($copy, 'upgrade', 'head');
	$alembic_waits->($copy);
	unblock($copy);
	my ($rc, $out, $err) = finish_psql($ours);
	is($rc, 0, 'Alembic second: the extension gets through') or diag $err;
	$other->{handle}->finish;
	note 'Alembic ended with ', $other->{handle}->result(0), "\n", $other->{err};
	same_state(state_of($node, $copy), $after{$copy},
		'Alembic second: all is as after');
	$other = $alembic->($copy, 'upgrade', 'head');
	$other->{handle}->finish;
	is($other->{handle}->result(0), 0, 'Alembic second: its next try succeeds')
	  or diag $other->{err};
	same_state(state_of($node, $copy), $after{$copy},
		'Alembic second: and finds nothing to do');
}

# ---------------------------------------------------------------------------
# A full disk: files may not grow past a limit, which the rewritten table needs

my $many_rows = q{
	INSERT INTO connection (group_id, type, name, description, data)
	SELECT 1, 'postgres', 'big_' || i, '',
		   json_build_object('host', (
				SELECT string_agg(md5((i * 100 + j)::text), '.')
				FROM generate_series(1, 25) j))
	FROM generate_series(1, 1200) i};

{
	query('postgres', 'CREATE DATABASE big TEMPLATE at11');
	query('big', $many_rows);
	$before{big} = state_of($node, 'big');
	my $size = query('big', q{
		SELECT max(pg_relation_size(oid)) / 512 FROM pg_class
		WHERE relkind IN ('r', 't', 'i')});
	query('postgres', 'CREATE DATABASE clean TEMPLATE big');
	query('clean', "$quiet $up{at11}");
	$after{big} = state_of($node, 'clean');
	my $size_after = query('clean', q{
		SELECT max(pg_relation_size(oid)) / 512 FROM pg_class
		WHERE relkind IN ('r', 't', 'i')});
	query('postgres', 'DROP DATABASE clean');
	cmp_ok($size_after, '>', $size + 1024, 'the rewritten table is larger');

	# Segments of the log and the server's messages have to fit as well.
	my $limit = $size + 512;
	$limit = 2048 + 512 if $limit < 2560;
	my $command = 'ulimit -f ' . $limit . '; exec "$@"';
	$node->stop;
	my $log = $node->logfile . '.limited';
	is( system('sh', '-c', $command, 'sh', 'pg_ctl', '-w', '-s', '-D',
			$node->data_dir, '-l', $log, 'start'),
		0, 'the server starts with a limit on its files');
	my ($rc, $out, $err) = $node->psql('big', "$quiet $up{at11}");
	like($err, qr/could not (?:extend|write)[^\n]*: (?:File too large|wrote only)/,
		'full disk: error');
	unharmed('full disk', 'big');
	is(system('pg_ctl', '-w', '-s', '-D', $node->data_dir, '-m', 'fast', 'stop'),
		0, 'the limited server stops');
	$node->start;
	$up{big} = $up{at11};
	next_try('after a full disk', 'big');
}

# A full disk: a tablespace without room for the rewritten table

SKIP:
{
	my $disk = small_disk('faults');
	skip '$SMALL_DISKS does not name a folder of small disks', 5
	  unless defined $disk;

	mkdir "$disk/tables" or die "could not make $disk/tables: $!";
	query('postgres', "CREATE TABLESPACE small LOCATION '$disk/tables'");
	query('postgres', 'CREATE DATABASE crowded TEMPLATE at11');
	query('crowded', $many_rows);
	query('crowded', 'ALTER TABLE connection SET TABLESPACE small');
	query('crowded', 'CHECKPOINT');
	$before{crowded} = state_of($node, 'crowded');
	query('postgres', 'CREATE DATABASE clean TEMPLATE crowded');
	query('clean', "$quiet $up{at11}");
	$after{crowded} = state_of($node, 'clean');
	query('postgres', 'DROP DATABASE clean');
	$up{crowded} = $up{at11};

	leave_free($disk, query('crowded', q{SELECT pg_table_size('connection') / 2}));
	my ($rc, $out, $err) = $node->psql('crowded', "$quiet $up{crowded}");
	like($err, qr/could not (?:extend|write)[^\n]*: (?:No space left on device|wrote only)/,
		'full tablespace: error');
	unharmed('full tablespace', 'crowded');
	cmp_ok(free_bytes($disk), '>', 0, 'full tablespace: what was written is gone');
	leave_free($disk);
	next_try('after a full tablespace', 'crowded');
}

is( query('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	'0', 'nothing is left behind');

done_testing();
