# SyncMaster's real scheduler makes and removes jobs; syncmaster_health() and the
# metrics see them as it does.  Needs SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();
my $script = "$FindBin::RealBin/../test/python/scheduler_round.py";
my $node = new_server('scheduler');
create_roles($node);
create_database($node, 'syncmaster', 'app');
$node->safe_psql('syncmaster',
	"CREATE EXTENSION syncmaster; SELECT syncmaster_set_owner('app')");
fill_tables($node, 'syncmaster');
$node->safe_psql('syncmaster', q{
	DELETE FROM apscheduler_jobs;
	UPDATE run SET status = 'FINISHED';
	UPDATE transfer SET updated_at = now() - interval '1 day'});

# One round of the scheduler, as the owner of the tables.
sub run_scheduler
{
	my (@arguments) = @_;
	my %environment = syncmaster_environment($node, 'syncmaster', 'app', 1);
	local @ENV{ keys %environment } = values %environment;
	my ($stdout, $stderr) = ('', '');
	my $folder = PostgreSQL::Test::Utils::tempdir();

	IPC::Run::run([ $python, $script, @arguments ], '>', \$stdout, '2>', \$stderr,
		init => sub { chdir $folder });
	return ($? >> 8, $stderr);
}

sub schedules
{
	return $node->safe_psql('syncmaster', q{
		SELECT severity || ': ' || detail FROM syncmaster_health()
		WHERE check_name = 'schedules' AND subject <> 'run'});
}

# Which transfers should have run?
sub missed
{
	return $node->safe_psql('syncmaster', q{
		SELECT severity || ': ' || regexp_replace(detail, '\\d+-\\d+-\\d+ \\S+( UTC)?', '...')
		FROM syncmaster_health() WHERE check_name = 'schedules' AND subject = 'run'});
}

like(schedules(),
	qr/^error: 47 transfers are scheduled and without a job, .*: 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 37 more$/,
	'no scheduler was there yet');
my ($rc, $stderr) = run_scheduler();
is($rc, 0, 'the scheduler makes its jobs') or diag($stderr);
is($node->safe_psql('syncmaster', 'SELECT count(*) FROM apscheduler_jobs'),
	47, 'one for each schedule');
is(schedules(), '', 'then all schedules have their jobs');
is( $node->safe_psql('syncmaster', q{
		SELECT value = (SELECT min(next_run_time) FROM apscheduler_jobs)
			AND value > extract(epoch FROM now())
		FROM syncmaster_metrics
		WHERE name = 'syncmaster_next_job_timestamp_seconds'}),
	't',
	'the metrics tell when it is to act next');

# A transfer is deleted, another one's schedule is taken back, the services being
# stopped.
$node->safe_psql('syncmaster', q{
	DELETE FROM transfer WHERE id = 4;
	UPDATE transfer SET is_scheduled = false WHERE id = 6});
is( schedules(),
	"warning: 1 job is of transfers that are gone: 4\n"
	  . 'warning: 1 job is of transfers that are not scheduled any more: 6',
	'jobs without a schedule');
($rc, $stderr) = run_scheduler();
is($rc, 0, 'the scheduler starts again') or diag($stderr);
is(schedules(), '', '... and removes them, as the hints say');
is($node->safe_psql('syncmaster', 'SELECT count(*) FROM apscheduler_jobs'),
	45, '... and these only');

# A job that is none of SyncMaster's.
run_scheduler('x8');
is( schedules(),
	'error: 1 job has an id that is not the number of a transfer; the first is "x8"',
	'a job with another id');
($rc, $stderr) = run_scheduler();
isnt($rc, 0, 'the scheduler fails on it, as the hint says');
like($stderr, qr/ValueError: invalid literal for int\(\)/, '... because of its id');
$node->safe_psql('syncmaster', q{DELETE FROM apscheduler_jobs WHERE id = 'x8'});
is(schedules(), '', 'without it all is well');

# The scheduler is at work, and no run appears.
$node->safe_psql('syncmaster', q{
	UPDATE transfer SET schedule = CASE id WHEN 12 THEN '*/5 * * * *' ELSE '0 3 1 1 *' END,
		updated_at = now() - interval '1 day' WHERE is_scheduled;
	DELETE FROM apscheduler_jobs; DELETE FROM run WHERE transfer_id = 12});
run_scheduler();
is(missed(), 'warning: 1 transfer should have run at ... and had no run since: 12',
	'a transfer that should have run, and has no run');
$node->safe_psql('syncmaster', q{UPDATE transfer SET updated_at = now() - interval '1 hour' WHERE id = 12});
is(missed(), '', '... but not if it was changed meanwhile');
$node->safe_psql('syncmaster', q{
	UPDATE transfer SET updated_at = now() - interval '1 day' WHERE id = 12;
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		VALUES (12, 'FINISHED', 'SCHEDULED', '{}', now() - interval '10 minutes')});
is(missed(), '', '... or if it has run since');

# Schedules on which the scheduler fails at each start, and no other job is made.
foreach my $schedule ('61 99 * * *', '@daily', '0 0 * * 7', '* * * *', "0 9 * * \xd0\xbf\xd0\xbd", "0 9 * * 1\xe2\x80\x935")
{
	$node->safe_psql('syncmaster', qq{
		DELETE FROM apscheduler_jobs WHERE id IN ('8', '10');
		UPDATE transfer SET schedule = '$schedule' WHERE id = 8;
		UPDATE transfer SET updated_at = now() - interval '1 day'});
	is( schedules(),
		qq{error: 1 transfer has a schedule on which the scheduler fails, the first is "$schedule": 8\n}
		  . 'error: 1 transfer is scheduled and without a job, although unchanged for longer than 1h (syncmaster.health_waiting): 10',
		"$schedule: is named");
	($rc, $stderr) = run_scheduler();
	isnt($rc, 0, '... the scheduler fails on it');
	like($stderr, qr/ValueError: /, '... because of it');
}
$node->safe_psql('syncmaster', q{
	UPDATE transfer SET schedule = '61 99 * * *', is_scheduled = false WHERE id = 8;
	UPDATE transfer SET updated_at = now() - interval '1 day'});
($rc, $stderr) = run_scheduler();
is("$rc " . schedules(), '0 ', 'switched off, it does no harm');

# A schedule that never comes, and a job that is paused.
$node->safe_psql('syncmaster', q{
	UPDATE transfer SET schedule = '0 0 30 2 *', is_scheduled = true WHERE id = 8;
	UPDATE transfer SET updated_at = now() - interval '1 day'});
($rc, $stderr) = run_scheduler();
is( $node->safe_psql('syncmaster', q{SELECT count(*) FROM apscheduler_jobs WHERE id = '8' AND next_run_time IS NULL}),
	1, 'a schedule that never comes makes a job without a time');
is( "$rc " . schedules(),
	'0 warning: 1 transfer has a schedule that never comes, such as 30 February: 8',
	'... and is named');
$node->safe_psql('syncmaster', q{
	UPDATE apscheduler_jobs SET next_run_time = NULL WHERE id = '10';
	UPDATE transfer SET is_scheduled = false WHERE id = 8;
	DELETE FROM apscheduler_jobs WHERE id = '8'});
is(schedules(), 'warning: 1 job is paused, and without a time to run at: 10', 'a job that is paused');

$node->stop;
done_testing();
