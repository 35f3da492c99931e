# Backends, other processes and the server itself are killed at random moments of
# installations, upgrades, downgrades, repairs, rotations and purges, while sessions write
# what the services write.  Each time, all that was committed is there, the schema is at
# one version, and the same command gets through.
#
# SYNCMASTER_KILLS says how often (doc/reliability.md has what longer runs gave), and
# SYNCMASTER_SEED which moments are chosen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use List::Util qw(max shuffle);
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WriteLoad;

my $kills = $ENV{SYNCMASTER_KILLS} // 8;
my $seed = $ENV{SYNCMASTER_SEED} // time;
$seed = int($seed);
srand $seed;
note("SYNCMASTER_SEED=$seed");

# Rounds after which a new database is begun, so that comparing it stays quick.
my $rounds_of_a_database = 25;
my $writers = 2;

# What is killed is processes, not the machine: files need not reach the disk.
my $node = PostgreSQL::Test::Cluster->new('kills');
$node->init;
$node->append_conf('postgresql.conf', q(
	fsync = off
	restart_after_crash = on
	log_statement = none
	autovacuum_naptime = 1s
	syncmaster.secret_key_file = 'new.key'
	syncmaster.previous_secret_key_file = 'old.key'
));
write_keys($node, 'old.key', $KEY{one});
write_keys($node, 'new.key', $KEY{one});
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');
my @tokens = map { [ $node->safe_psql('postgres', qq{SELECT syncmaster_encrypt('{"n": $_}')}), qq({"n": $_}) ] } 1 .. 5;

my $quiet = 'SET client_min_messages = error; SET syncmaster.lock_timeout = 0;';
my $database;
my $load;
my $databases = 0;
my $running = 1;

sub in_database { return $node->safe_psql($database, "$quiet $_[0]"); }

sub new_database
{
	$node->safe_psql('postgres', "DROP DATABASE $database") if defined $database;
	$database = 'etl' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER app");
	in_database('CREATE EXTENSION syncmaster');
	in_database(qq{
		INSERT INTO "user" (username, is_superuser, is_active) SELECT 'user' || i, false, true FROM generate_series(1, $writers) i;
		INSERT INTO "group" (name, description, owner_id) SELECT 'group ' || i, '', i FROM generate_series(1, $writers) i;
		INSERT INTO queue (name, slug, group_id, description) SELECT 'queue ' || i, 'queue-' || i, i, '' FROM generate_series(1, $writers) i;
		INSERT INTO connection (group_id, type, name, description, data) SELECT 1, 'postgres', 'first', '', '{}';
		INSERT INTO transfer (group_id, name, description, source_connection_id, target_connection_id, is_scheduled, schedule,
				strategy_params, source_params, target_params, transformations, resources, queue_id)
			SELECT 1, 'first', '', 1, 1, false, '', '{}', '{}', '{}', '[]', '{}', 1;
		INSERT INTO connection (group_id, type, name, description, data)
			SELECT 1, 'postgres', 'rotated ' || i, '', '{}' FROM generate_series(1, 1000) i;
		INSERT INTO auth_data (connection_id, value) SELECT id, '$tokens[0][0]' FROM connection;
	});
	$load = new_load($node, $database, role => 'app', tokens => \@tokens);
	return;
}

# What is done -------------------------------------------------------------------------

# The commands, what comes before each, and what differs from the others.
my %operations = (
	install => {
		before => sub {
			in_database(q(SELECT syncmaster_downgrade('0011'))) if rand() < 0.7;
			in_database('DROP EXTENSION syncmaster');
		},
		command => sub { return 'CREATE EXTENSION IF NOT EXISTS syncmaster' }
	},
	'fresh installation' => {
		before => sub {
			$node->safe_psql('postgres', q(SET client_min_messages = error)
				  . ";\nDROP DATABASE IF EXISTS fresh");
			$node->safe_psql('postgres', 'CREATE DATABASE fresh');
		},
		database => 'fresh',
		command => sub { return 'CREATE EXTENSION IF NOT EXISTS syncmaster' }
	},
	upgrade => {
		before => sub { in_database(sprintf q(SELECT syncmaster_downgrade('00%d')), 11 + int rand 2) },
		command => sub {
			return one_of('ALTER EXTENSION syncmaster UPDATE', q(SELECT syncmaster_upgrade('head')));
		}
	},
	downgrade => {
		before => sub { },
		command => sub {
			return one_of(q(ALTER EXTENSION syncmaster UPDATE TO '1.11'), q(SELECT syncmaster_downgrade('0011')));
		},
		end => q(SELECT syncmaster_upgrade('head'))
	},
	repair => {
		before => sub {
			in_database(q(
				DROP INDEX ix__run__status, idx_transfer_search_vector;
				ALTER TABLE connection DROP CONSTRAINT uq__connection__name_group_id;
				ALTER TABLE run ALTER transfer_id DROP NOT NULL;
				ALTER TABLE queue ALTER created_at DROP DEFAULT;
				ALTER TABLE transfer DROP CONSTRAINT fk__transfer__queue_id__queue));
		},
		damaged => 1,
		command => sub { return 'SELECT * FROM syncmaster_repair(false)' }
	},
	rotation => {
		before => sub {
			write_keys($node, 'old.key', $KEY{one}, $KEY{two});
			$load->{key} = ($load->{key} // 'one') eq 'one' ? 'two' : 'one';
			write_keys($node, 'new.key', $KEY{ $load->{key} });
		},
		command => sub { return 'SELECT * FROM syncmaster_rotate_credentials(false)' }
	},
	'purge of runs' => {
		before => sub {
			in_database(q(INSERT INTO run (transfer_id, status, type, transfer_dump, created_at, started_at, ended_at)
				SELECT 1, 'FINISHED', 'MANUAL', '{}', now() - '100 days'::interval, now() - '100 days'::interval, now() - '99 days'::interval
				FROM generate_series(1, 2000)));
			$load->{rows} = WriteLoad::read_rows($load);
		},
		command => sub { return q(CALL syncmaster_purge_runs('90 days', 0, 20)) },
		may_be_gone => sub {
			my ($table, $json) = @_;
			return $table eq 'run' && $json =~ /"transfer_id": 1,/;
		}
	},
	'purge of results' => {
		before => sub {
			in_database(q(INSERT INTO celery_taskmeta (id, task_id, status, date_done)
				SELECT nextval('task_id_sequence'), 'old ' || currval('task_id_sequence'), 'SUCCESS', now() - '100 days'::interval
				FROM generate_series(1, 2000)));
			$load->{rows} = WriteLoad::read_rows($load);
		},
		command => sub { return q(CALL syncmaster_purge_task_results('90 days', 20)) },
		may_be_gone => sub {
			my ($table, $json) = @_;
			return $table eq 'celery_taskmeta' && $json =~ /"task_id": "old /;
		}
	});

sub one_of { return $_[ int rand @_ ]; }

# What is killed ---------------------------------------------------------------------------

sub backend_of
{
	my ($condition) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $condition ORDER BY random() LIMIT 1");
}

# Kill a process of the server, and wait until the postmaster has noticed: from then on it
# refuses connections until it has recovered, but before that it may still accept one.
sub kill_process
{
	my ($pid) = @_;
	kill 'KILL', $pid if $pid ne '';
	for (my $try = 0; $pid ne '' && kill(0, $pid) && $try < 3000; $try++)
	{
		usleep(20_000);
	}
	return;
}

# Each gets the process that carries out the command, and the session that waits for it.
my %blows = (
	'SIGKILL of the backend' => sub { kill_process($_[0]) },
	'SIGKILL of a writer' => sub {
		kill_process(backend_of(q(application_name = 'writer')));
	},
	'SIGKILL of another process' => sub {
		kill_process(backend_of(q(backend_type IN ('checkpointer', 'walwriter', 'background writer', 'autovacuum worker'))));
	},

	# what pg_terminate_backend() and pg_cancel_backend() send
	'SIGTERM of the backend' => sub { kill 'TERM', $_[0] },
	'SIGINT of the backend' => sub { kill 'INT', $_[0] },
	'SIGKILL of the client' => sub { $_[1]->{h}->signal('KILL') },
	'immediate shutdown' => sub { $node->stop('immediate'); $running = 0 },
	'SIGKILL of the postmaster' => sub { $node->kill9; $running = 0 });

# Until the server answers again: after the death of the postmaster its children have to
# end first, after that of another process it begins anew by itself.
sub bring_back
{
	foreach my $try (1 .. 600)
	{
		if (!$running)
		{
			$running = system('pg_ctl', '-s', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start') == 0;
			$node->_update_pid(1) if $running;
		}
		my ($rc, $out) = eval { $node->psql('postgres', 'SELECT pg_is_in_recovery()') } if $running;
		return if defined $rc && $rc == 0 && $out eq 'f';
		usleep(100_000);
	}
	die 'the server does not come back';
}

# What has to be so afterwards -----------------------------------------------------------

my $findings = q(SELECT * FROM syncmaster_check() c WHERE severity <> 'info' ORDER BY c::text);

# The schema of a database, in a word: nothing, tables only, or a version; what is not in
# order is shown.
sub schema_of
{
	my ($where) = @_;
	my $out = $node->safe_psql($where, q(
		SELECT CASE WHEN to_regclass('alembic_version') IS NOT NULL THEN 'tables'
			WHEN EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)
				OR to_regnamespace('syncmaster_history') IS NOT NULL THEN 'remains' ELSE 'nothing' END,
			(SELECT extversion FROM pg_extension WHERE extname = 'syncmaster')));
	my ($tables, $version) = split /\|/, $out;
	return $tables if ($version // '') eq '';
	my $revision = $node->safe_psql($where, 'SELECT syncmaster_schema_version()');
	return $version eq '1.' . int $revision ? "version $version" : "version $version at revision $revision";
}

my %struck;
my %hit;

sub round
{
	my ($round, $name, $blow) = @_;
	my $operation = $operations{$name};
	my $where = $operation->{database} // $database;
	my $title = "$round, $name, $blow";

	$operation->{before}->();
	$where = $operation->{database} // $database;
	my $before = schema_of($where);
	my $damage = $operation->{damaged} ? in_database($findings) : '';

	my $command = $operation->{command}->();
	start_load($load, $writers);
	my $session = start_psql($node, $where, "$quiet\nSELECT pg_backend_pid();\n", name => 'operation', hold => 1);
	my ($pid) = $session->{out} =~ /^(\d+)$/m;
	$session->{in} .= "$command;\n\\echo completed\n";
	eval { $session->{h}->pump_nb };
	usleep(1e6 * rand($operation->{seconds} // 0.2));
	eval { $session->{h}->pump_nb };
	$blows{$blow}->($pid, $session);
	eval { finish_psql($session) };
	my $done = $session->{out} =~ /^completed$/m;
	$struck{$name}++;
	$hit{$name}++ if !$done;
	bring_back();
	stop_load($load);
	$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name IN ('writer', 'operation')))
	  or die 'sessions do not end';

	# Before or after, never between.
	my $after = schema_of($where);
	like($after, $before eq 'nothing' || $before eq 'tables' ? qr/^(?:version 1\.13|$before)$/
		  : qr/^version 1\.1[123]$/, "$title: the schema is at one version");
	if ($after =~ /^version/)
	{
		my $found = $node->safe_psql($where, $findings);
		ok($found eq '' || $found eq $damage && !$done, "$title: nothing above info, or as before") or diag($found);
	}

	# The next try gets through, and then all is well.  Functions are there again, too.
	my $again = time;
	my ($rc, $out, $err) = $node->psql($where, "$quiet $command" . ($operation->{end} ? ";\n$operation->{end}" : ''), on_error_stop => 1);
	is($rc, 0, "$title: the next try") or diag($err);
	$operation->{seconds} = max(0.03, 0.5 * ($operation->{seconds} // 0.2) + 0.5 * (time - $again - 0.05));
	$node->safe_psql($where, q(SELECT syncmaster_upgrade('head')));
	is(schema_of($where), 'version 1.13', "$title: the schema is at the last version");
	is($node->safe_psql($where, $findings), '', "$title: nothing above info");
	my @differences = compare_load($load, $operation->{may_be_gone});
	splice @differences, 20 if @differences > 20;
	is(join("\n", splice @{ $load->{errors} }), '', "$title: the writers met no other error");
	is(join("\n", @differences), '', "$title: all that was committed is there, and nothing else");
	return;
}

# The comparison notices what it should.
new_database();
in_database(q(
	UPDATE connection SET description = 'x' WHERE id = 1;
	DELETE FROM transfer;
	INSERT INTO celery_taskmeta (id) VALUES (0)));
like(join("\n", compare_load($load)),
	qr/\Anot committed: celery_taskmeta 0 .*\nconnection 1 is .*\nlost: transfer 1 .*\z/,
	'rows that were not committed so are noticed');
$load->{doubtful} = [ [ [ 'put', 'queue', 7, '{}' ], [ 'del', 'transfer', 1 ] ] ];
like(join("\n", compare_load($load)), qr/^lost: transfer 1 /m, 'and a transaction of which there is only a part');

my @names = sort keys %operations;
my @blows = sort keys %blows;
my @next_blows;
my $committed = 0;
my %written;

sub count_written
{
	$committed += $load->{committed};
	$written{$_} += $load->{written}{$_} foreach keys %{ $load->{written} };
	return;
}

foreach my $round (1 .. $kills)
{
	if ($round % $rounds_of_a_database == 1)
	{
		count_written();
		new_database();
	}

	# Each command in turn, and each blow as often as the others: their order is left to chance.
	@next_blows = shuffle(@blows) if @next_blows == 0;
	round($round, $names[ $round % @names ], shift @next_blows);
}
count_written();
note("$committed transactions were committed meanwhile");
note("$_: struck $struck{$_} times, " . ($hit{$_} // 0) . ' before it was done') foreach sort keys %struck;
cmp_ok($written{$_} // 0, '>', 0, "rows of $_ were written")
  foreach qw(connection auth_data transfer run celery_taskmeta apscheduler_jobs);

$node->stop;
done_testing();
