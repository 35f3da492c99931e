# src/health/cron.c reads schedules as APScheduler does, whose CronTrigger the
# scheduler uses.  Needs SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();
my $root = "$FindBin::RealBin/..";
my $program = PostgreSQL::Test::Utils::tempdir() . '/test_cron';

is( system($ENV{CC} // 'gcc', '-std=gnu11', '-O1', "-I$root/src", "$root/test/unit/test_cron.c",
		"$root/src/health/cron.c", '-o', $program),
	0, 'the program is built');
my $seed = time;
my $report = '';
my $done = IPC::Run::run([ $python, "$root/test/python/compare_cron.py", $program, 3000, $seed ],
	'>', \$report, '2>&1');
ok($done, "random schedules, seed $seed") or diag($report);
like($report, qr/^\d+ compared, \d{3,} accepted, \d+ never fire, 0 wrong$/m, 'and none is read differently');

done_testing();
