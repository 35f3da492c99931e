# A month with SyncMaster's real server, scheduler, worker and broker, each with the
# rights that syncmaster_grant() gives.  There are purges, a rotation, and an upgrade
# under load, and all the time syncmaster_health() has nothing to say that is not
# meant.  Then each of its conditions is brought about once, and goes away by what
# the hint says.  Time passes by moving the rows' times back.  Needs SyncMaster in
# $SYNCMASTER_VENV, and RabbitMQ.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Broker;
use Credentials;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use POSIX qw(_exit);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SyncMasterEnv;
use SyncmasterServer;
use Test::More;

my $python = require_syncmaster();
require_broker();
start_broker();

my $db = 'syncmaster';
my $programs = "$FindBin::RealBin/../test/python";
my $node = new_server('month');
write_keys($node, 'old.key', $KEY{one});
write_keys($node, 'new.key', $KEY{two});
$node->append_conf('postgresql.conf', "syncmaster.secret_key_file = 'old.key'\n");
$node->reload;
$node->safe_psql('postgres', join ';', 'CREATE ROLE app',
	map { "CREATE ROLE sm_$_ LOGIN" } qw(server scheduler worker));
$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, qq{
	SET client_min_messages = error;
	GRANT CREATE ON SCHEMA public TO app;
	CREATE EXTENSION syncmaster;
	SELECT syncmaster_set_owner('app');
	SELECT syncmaster_downgrade('0012');
	ALTER DATABASE $db SET syncmaster.health_retention = '15d'});
$node->safe_psql($db, "SELECT syncmaster_grant('sm_$_', '$_')") foreach qw(server scheduler worker);

sub sql { return $node->safe_psql($db, $_[0]); }

# What health says above info, "check: detail" each, with ids and without times.
sub health
{
	return sql(q{SELECT check_name || ': ' || regexp_replace(detail,
			'\\d+-\\d+-\\d+ [\\d:.+]*\\d( UTC)?', '...', 'g')
		FROM syncmaster_health() WHERE severity <> 'info'});
}

sub health_is
{
	my ($want, $name) = @_;
	is(health(), $want, "health: $name");
	return;
}

sub pass_time
{
	my ($time) = @_;
	sql(qq{
		UPDATE run SET created_at = created_at - i, started_at = started_at - i,
			ended_at = ended_at - i, updated_at = updated_at - i
			FROM (VALUES (interval '$time')) t (i);
		UPDATE celery_taskmeta SET date_done = date_done - interval '$time';
		UPDATE transfer SET updated_at = updated_at - interval '$time'});
	return;
}

# ---------------------------------------------------------------------------
# The services

our $key = $KEY{one};

sub environment
{
	my ($service) = @_;
	return (
		syncmaster_environment($node, $db, "sm_$service", 1),
		TZ => 'UTC',
		SYNCMASTER__BROKER__URL => broker_url(),
		SYNCMASTER__ENCRYPTION__SECRET_KEY => $key,
		SYNCMASTER__WORKER__LOG_URL_TEMPLATE => 'https://logs.example.com/{{ run.id }}');
}

# A program in a process of its own, where it finds no files of others.
sub start
{
	my ($service, $program, @arguments) = @_;
	my %environment = environment($service);
	local @ENV{ keys %environment } = values %environment;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $process = { in => '', out => '', log => "$folder/log" };

	# nobody reads what the worker prints, and a pipe would be full one day
	$process->{h} = IPC::Run::start(
		[ $python, "$programs/$program.py", @arguments ],
		'<', \$process->{in}, '>', $service eq 'worker' ? "$folder/output" : \$process->{out},
		'2>', $process->{log}, init => sub { chdir $folder });
	return $process;
}

sub stop
{
	my ($process) = @_;
	$process->{h}->signal('TERM');
	eval { $process->{h}->finish };
	return;
}

# Let the scheduler do something, or '' for what it is doing; returns what it printed
# or, if it died, its errors.
sub steps
{
	my ($scheduler, @steps) = @_;
	my $printed = '';

	foreach my $step (@steps)
	{
		$scheduler->{in} .= "$step\n" if $step ne '';
		while ($scheduler->{out} !~ /^done\n/m)
		{
			last if !eval { $scheduler->{h}->pump };
		}
		$printed .= $scheduler->{out} =~ s/^done\n//mr;
		$scheduler->{out} = '';
		return slurp_file($scheduler->{log}) if !$scheduler->{h}->pumpable;
	}
	return $printed;
}

my ($server, $scheduler, $worker, $queue);

sub start_services
{
	wait_for_broker();
	my $token = defined $server ? $server->{token} : undef;
	$server = start_server($node, $python, $db, 'sm_server', environment('server'));
	$server->{token} = $token;
	$scheduler = start('scheduler', 'scheduler_session', '-');
	$worker = start('worker', 'worker_process', $queue) if defined $queue;
	return;
}

sub stop_services
{
	stop($_) foreach $scheduler, $worker;
	stop_server();
	return;
}

# Wait until workers have ended all runs.
sub runs_end
{
	ok($node->poll_query_until($db, q{
			SELECT count(*) = 0 FROM run WHERE status IN ('CREATED', 'STARTED')}),
		$_[0]) or diag(slurp_file($worker->{log}));
	return;
}

start_services();
log_in($server, 'developer');

sub made { return request_is($server, 200, "make $_[0]", 'POST', $_[0], $_[1])->{id}; }

my $group = made('/groups', { name => 'group', description => '' });
$queue = sql("SELECT slug FROM queue WHERE id = "
	  . made('/queues', { name => 'queue', group_id => $group, description => '' }));
my ($source, $target) = map {
	made('/connections', {
		group_id => $group, name => $_, description => '', type => $_,
		connection_data => { host => 'db.example.com', port => 5432, database_name => 'd' },
		auth_data => { type => 'basic', user => 'user', password => 'secret' } })
} qw(postgres clickhouse);

sub transfer
{
	my ($name, $schedule) = @_;
	return {
		group_id => $group, queue_id => sql('SELECT id FROM queue'), name => $name,
		source_connection_id => $source, target_connection_id => $target, description => '',
		is_scheduled => $schedule ne '' ? JSON::PP::true : JSON::PP::false, schedule => $schedule,
		source_params => { type => 'postgres', table_name => 'public.orders' },
		target_params => { type => 'clickhouse', table_name => 'dwh.orders' },
		strategy_params => { type => 'full' }, transformations => [] };
}
# Times of the day at which this test is not running.
my @hours = map { ((gmtime)[2] + $_) % 24 } 8 .. 10;
my @daily = map { made('/transfers', transfer("daily at $_", "0 $_ * * *")) } @hours;
my $list = join ', ', @daily;
my ($fails, $dies) = map { made('/transfers', transfer($_, '')) } qw(fails dies);
$worker = start('worker', 'worker_process', $queue);
is(steps($scheduler, 'poll'), '', 'the scheduler makes its jobs');
is(sql('SELECT count(*) FROM apscheduler_jobs'), 3, '... one for each schedule');

# ---------------------------------------------------------------------------
# The month

my $old_revision = 'schema: is at revision 0012, the extension at version 1.12, the library at 1.13';
my ($checked, $purged) = ($old_revision, 0);

sub run_all
{
	my ($name) = @_;
	is(steps($scheduler, 'due'), "ran: NoneType NoneType NoneType\n", "$name: all jobs");
	runs_end("$name: all runs end");
	return;
}

sub rotate
{
	$node->append_conf('postgresql.conf',
		"syncmaster.secret_key_file = 'new.key'\nsyncmaster.previous_secret_key_file = 'old.key'\n");
	$node->reload;
	health_is($checked, 'the keys of a rotation are set');
	pass_time('1 hour');
	run_all('the services have the old key');
	stop_services();
	is(sql('SELECT * FROM syncmaster_rotate_credentials()'), '2|0|0|{}', 'rotation');
	health_is($checked, 'after the rotation, before the services');
	$key = $KEY{two};
	pass_time('1 hour');
	start_services();
	run_all('the services have the new key');
	$node->append_conf('postgresql.conf', "syncmaster.previous_secret_key_file = ''\n");
	$node->reload;
	health_is($checked, 'without the old key');
	return;
}

# Requests go on meanwhile, and so do runs.
sub upgrade
{
	my $stop = PostgreSQL::Test::Utils::tempdir() . '/stop';
	pipe(my $read, my $write) or die "could not make a pipe: $!";
	my $pid = fork // die "could not fork: $!";

	if ($pid == 0)
	{
		my %count;
		foreach my $i (1 .. 10_000)
		{
			my ($status) = request($server, 'GET',
				$i % 2 ? "/transfers?group_id=$group" : "/runs?transfer_id=$daily[0]");
			$count{$status}++;
			syswrite $write, "begun\n" if $i == 5;
			last if -e $stop;
		}
		syswrite $write, join ' ', sort keys %count;
		_exit(0);
	}
	close $write;
	pass_time('1 hour');
	is(scalar <$read>, "begun\n", 'requests are under way');
	$scheduler->{in} .= "due\n";
	$scheduler->{h}->pump_nb;
	sql(q{SET syncmaster.guard = off; SELECT syncmaster_upgrade('head')});
	append_to_file($stop, '');
	is(join('', <$read>), '200', 'upgrade: each request has its answer');
	waitpid $pid, 0;
	is(steps($scheduler, ''), "ran: NoneType NoneType NoneType\n", 'upgrade: the scheduler went on');
	runs_end('upgrade: the worker went on');
	$checked = '';
	health_is('', 'after the upgrade');
	return;
}

foreach my $day (1 .. 30)
{
	run_all("day $day");
	if ($day % 7 == 0)
	{
		my $before = sql('SELECT count(*) FROM run');
		sql(q{CALL syncmaster_purge_runs('7 days'); CALL syncmaster_purge_task_results('7 days')});
		$purged += $before - sql('SELECT count(*) FROM run');
		health_is($checked, "day $day, after a purge");
	}
	rotate() if $day == 10;
	upgrade() if $day == 20;
	pass_time('1 day');
}
cmp_ok($purged, '>', 50, 'runs were purged');
is(sql(q{SELECT count(*) FROM run WHERE status <> 'FINISHED'}), 0, 'each run has finished');
sql(q{CALL syncmaster_purge_runs('1 day'); CALL syncmaster_purge_task_results('1 day')});
run_all('the month is over');
health_is('', 'a month');

# ---------------------------------------------------------------------------
# What health has to tell

# A schedule that the server's API takes, and the scheduler dies of.
sub put_schedule
{
	my ($schedule) = @_;
	request_is($server, 200, "schedule $schedule", 'PUT', "/transfers/$daily[0]",
		transfer("daily at $hours[0]", $schedule));
	return;
}
put_schedule('61 99 * * *');
like(steps($scheduler, 'poll-again'), qr/ValueError/, 'the scheduler dies');
health_is(qq{schedules: 1 transfer has a schedule on which the scheduler fails, the first is "61 99 * * *": $daily[0]},
	'a schedule of which the scheduler dies');
put_schedule('0 0 30 2 *');
stop($scheduler);
$scheduler = start('scheduler', 'scheduler_session', '-');
steps($scheduler, 'poll');
health_is("schedules: 1 transfer has a schedule that never comes, such as 30 February: $daily[0]",
	'a schedule that never comes');
put_schedule("0 $hours[0] * * *");
sql("DELETE FROM apscheduler_jobs WHERE id = '$daily[0]'");
steps($scheduler, 'poll-again');
health_is('', 'the schedule is right again');

# The scheduler has the old key: it is at work, and no run appears.
stop($scheduler);
{
	local $key = $KEY{one};
	$scheduler = start('scheduler', 'scheduler_session', '-');
}
pass_time('25 hours');
is(steps($scheduler, 'due'), "ran: InvalidToken InvalidToken InvalidToken\n", 'the scheduler has another key');
health_is("schedules: 3 transfers should have run at ... or later and had no run since: $list",
	'the scheduler is at work, and no run appears');
stop($scheduler);

# It may not insert runs.
sql('REVOKE INSERT ON run FROM sm_scheduler');
$scheduler = start('scheduler', 'scheduler_session', '-');
is(steps($scheduler, 'due'), "ran: ProgrammingError ProgrammingError ProgrammingError\n", 'the scheduler lacks a right');
health_is("schedules: 3 transfers should have run at ... or later and had no run since: $list\n"
	  . 'privileges: 1 privilege that a service needs is missing',
	'the scheduler lacks a right');
sql(q{SELECT syncmaster_grant('sm_scheduler', 'scheduler')});
run_all('the scheduler has its key and its rights');
health_is('', 'the scheduler has its key and its rights');

# Two schedulers.
my $second = start('scheduler', 'scheduler_session', '-');
is(steps($second, 'due'), "ran: NoneType NoneType NoneType\n", 'a second scheduler');
runs_end('both are served');
sql(q{UPDATE run SET created_at = date_trunc('minute', now()) WHERE created_at > now() - interval '12 hours'});
health_is("schedules: the schedules of 3 transfers started two runs within the same minute, the last time at ...: $list",
	'two schedulers');
stop($second);
pass_time('25 hours');
run_all('one scheduler');
health_is('', 'one scheduler');

# No worker, and then one with the old key.
pass_time('1 hour');
stop($worker);
steps($scheduler, 'due');
pass_time('2 hours');
my $waiting = sql(q{SELECT string_agg(id::text, ', ' ORDER BY id) FROM run WHERE status = 'CREATED'});
health_is("runs: 3 runs are CREATED for longer than 1h (syncmaster.health_waiting), the first since ...: $waiting",
	'no worker');
{
	local $key = $KEY{one};
	$worker = start('worker', 'worker_process', $queue);
}
runs_end('a worker has another key');
health_is("runs: 3 runs FAILED before a worker could start them: $waiting", 'a worker has another key');
stop($worker);
$worker = start('worker', 'worker_process', $queue);
run_all('the worker has its key');
health_is('', 'the worker has its key');

# A worker dies with a run.
my $run = made('/runs', { transfer_id => $dies });
$worker->{h}->finish;
pass_time('25 hours');
sql(q{UPDATE run SET created_at = now(), started_at = now(), ended_at = now() WHERE id IN (
	SELECT max(id) FROM run WHERE status = 'FINISHED' GROUP BY transfer_id)});
health_is("runs: 1 run is STARTED for longer than 1d (syncmaster.health_started), the first since ...: $run",
	'a worker died');
sql("SELECT * FROM syncmaster_end_runs('{$run}')");
health_is('', 'the run was ended');
$worker = start('worker', 'worker_process', $queue);

# Runs fail.
my @failed = map { made('/runs', { transfer_id => $fails }) } 1 .. 4;
runs_end('runs that fail');
health_is("runs: 4 of 7 runs of the last day that ended FAILED, those of 1 transfer: $fails", 'runs fail');
pass_time('25 hours');

# Old rows stay.
run_all('a day later');
pass_time('20 days');
run_all('twenty days later');
like(health(), qr/^growth: has .* longer ago than 15d \(syncmaster\.health_retention\)\n?(growth: .*)?$/,
	'health: nobody purges');
sql(q{CALL syncmaster_purge_runs('8 days'); CALL syncmaster_purge_task_results('8 days')});
health_is('', 'somebody purged');

# A transfer is deleted, and the scheduler has yet to see it.
request_is($server, 204, 'delete a transfer', 'DELETE', "/transfers/$daily[2]");
health_is("schedules: 1 job is of transfers that are gone: $daily[2]", 'a job of a transfer that is gone');
steps($scheduler, 'poll');
health_is('', 'the scheduler removed it');

# What a person does, and takes back.
foreach my $case (
	[ q{UPDATE auth_data SET value = 'x' || value}, q{UPDATE auth_data SET value = substr(value, 2)},
		qr/^credentials: the credentials of 2 connections cannot be read with any key/ ],
	[ 'DROP INDEX ix_syncmaster__transfer_queue_id', 'SELECT syncmaster_create_indexes()',
		qr/^indexes: 1 is missing/ ],
	[ 'DROP INDEX ix__run__type', 'SELECT * FROM syncmaster_repair(false)',
		qr/^schema: is not as its revision says: 0 errors, 1 warning/ ],
	[ q{SELECT setval('task_id_sequence', 1999999999)},
		q{SELECT setval('task_id_sequence', max(id)) FROM celery_taskmeta},
		qr/^sequences: has used 93 % of the numbers/ ],
	[ 'CREATE SCHEMA AUTHORIZATION sm_worker CREATE TABLE run ()', 'DROP SCHEMA sm_worker CASCADE',
		qr/^search_path: .*^privileges: 1 privilege is dangerous/ms ],
	[ "ALTER DATABASE $db SET syncmaster.allow_destroy = on", "ALTER DATABASE $db RESET syncmaster.allow_destroy",
		qr/^settings: syncmaster\.allow_destroy is "on"/ ])
{
	my ($provoke, $undo, $found) = @$case;

	sql("SET client_min_messages = error; SELECT syncmaster_library_version(); $provoke");
	like(health(), $found, "health: $provoke");
	sql("SET client_min_messages = error; SELECT syncmaster_library_version(); $undo");
	health_is('', $undo);
}

# Nothing runs for long.
pass_time('36 days');
like(health(), qr/^queues: 1 queue has scheduled transfers, and no run for longer than/m, 'health: an idle queue');

# The broker is down.
stop_broker();
stop_server();
$server = { %$server, %{ start_server($node, $python, $db, 'sm_server', environment('server')) } };
request_is($server, 503, 'a run without a broker', 'POST', '/runs', { transfer_id => $daily[1] });
my $lost = sql('SELECT max(id) FROM run');
like(health(), qr/^runs: 1 run FAILED before a worker could get them, the last at \.\.\.: $lost$/m,
	'health: the broker is down');

stop_services();
$node->stop;
done_testing();
