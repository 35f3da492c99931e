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
		WHERE check_name = 'schedules'});
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

$node->stop;
done_testing();
