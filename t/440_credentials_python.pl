# Python's cryptography and the extension read each other's tokens, and agree on
# what is a token, what is a key, and how a payload is written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();
my $node = start_node('python');
write_keys($node, "$_.key", $KEY{$_}) foreach keys %KEY;
write_keys($node, 'several.key', $KEY{one}, $KEY{two});
$node->append_conf('postgresql.conf', "syncmaster.secret_key_file = 'one.key'");
$node->reload;

$ENV{SYNCMASTER_TEST_KEYS} = join ' ', @KEY{qw(one two three)};
$ENV{SYNCMASTER_TEST_HOST} = $node->host;
$ENV{SYNCMASTER_TEST_PORT} = $node->port;
add_connections($node, 1, 300);

open my $tests, '-|', $python, "$FindBin::RealBin/../test/credentials.py" or die "could not run $python: $!";
while (my $line = <$tests>)
{
	chomp $line;
	if ($line =~ /^(not )?ok - (.*)/)
	{
		ok(!$1, $2);
	}
	else
	{
		diag $line;
	}
}
close $tests;
is($?, 0, 'the Python part ran to its end');

$node->stop;
done_testing();
