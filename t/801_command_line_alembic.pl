# The command line beside SyncMaster's own, which is Alembic's: the same words
# give the same answers, on the same databases, in turns.  Needs SyncMaster in
# $SYNCMASTER_VENV.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

require_syncmaster();

my $node = PostgreSQL::Test::Cluster->new('words');
$node->init;
$node->append_conf('postgresql.conf', qq(
fsync = off
autovacuum = off
syncmaster.create_indexes = off
));
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');

my $alembic = SyncMasterEnv->new($node, 'app');

sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER app");
	$node->safe_psql($name, 'ALTER SCHEMA public OWNER TO app');
	return $name;
}

sub ours
{
	my ($database, @arguments) = @_;
	my $run = command_line(
		url => database_url($node, $database, 'app'),
		args => \@arguments);
	return ($run->{status} == 0 ? 1 : 0, $run->{out} . $run->{err});
}

# Lines of revisions: what they add is told in other words.
sub revision_lines
{
	my ($text) = @_;
	return join "\n", map { s/, .*//r } grep { /^(<base>|\d{4}) ?(->|\(|$)/ }
	  split /\n/, $text;
}

# Both succeed or both fail, and tell of the same revisions.
sub same
{
	my ($database, @arguments) = @_;
	my ($theirs_ok, $theirs) = $alembic->alembic($database, @arguments);
	my ($ours_ok, $ours) = ours($database, @arguments);
	my $name = "$database: @arguments";

	is($ours_ok, $theirs_ok, "$name: success") or diag($theirs, $ours);
	is(revision_lines($ours), revision_lines($theirs), "$name: revisions");
	return ($ours, $theirs);
}

new_database('empty');
foreach my $arguments (
	['heads'], ['history'], [ 'history', '-i' ],
	[ 'history', '-r', '0010:0012' ], [ 'history', '-r', '0010:' ],
	[ 'history', '-r', ':0002' ], [ 'history', '-r', 'base:head' ],
	[ 'history', '-r', 'nope:head' ], [ 'history', '-r', '0012' ],
	['current'], [ 'current', '-c' ], [ 'show', 'nope' ], [ 'show', 'head' ])
{
	same('empty', @$arguments);
}
foreach my $id ('0001', '0012', '0013', 'head')
{
	my ($ours, $theirs) = same('empty', 'show', $id);
	my ($rev, $parent) = $theirs =~ /^(Rev: .*)\n(Parent: .*)$/m;
	like($ours, qr/^\Q$rev\E\n\Q$parent\E$/m, "show $id: the same head lines");
}

# -v tells more, in Alembic's order.
$alembic->alembic_ok('alembic upgrade 0012', 'empty', 'upgrade', '0012');
foreach my $arguments ([ 'heads', '-v' ], [ 'history', '-v' ], [ 'history', '-v', '-i', '-r', '0010:' ], [ 'current', '-v' ],
	[ 'current', '--verbose' ])
{
	my (undef, $theirs) = $alembic->alembic('empty', @$arguments);
	my (undef, $ours) = ours('empty', @$arguments);
	my @heads = map { join "\n", /^(?:Rev|Parent): .*$/mg } $ours, $theirs;
	like($heads[0], qr/^Rev: /, "@$arguments: tells a revision");
	is($heads[0], $heads[1], "@$arguments: the same head lines");
}
$alembic->alembic_ok('alembic downgrade base', 'empty', 'downgrade', 'base');

# The same commands on two databases, one for each, which stay alike.
new_database('theirs');
new_database('mine');
foreach my $arguments (
	[ 'upgrade', '0003' ], [ 'upgrade', '+2' ], [ 'downgrade', '-1', '--allow-destroy' ],
	[ 'upgrade', '0004' ], [ 'upgrade', 'head' ], [ 'upgrade', 'head' ],
	[ 'upgrade', '0012' ], [ 'upgrade', '+1' ], [ 'downgrade', '0011' ],
	[ 'upgrade', '0011+1' ], [ 'upgrade', 'head' ], [ 'downgrade', 'head' ],
	[ 'downgrade', 'nope' ], [ 'upgrade', 'nope' ],
	[ 'downgrade', 'base', '--allow-destroy' ], [ 'upgrade', 'heads' ])
{
	my ($theirs_ok, $theirs) =
	  $alembic->alembic('theirs', grep { $_ ne '--allow-destroy' } @$arguments);
	my ($ours_ok, $ours) = ours('mine', @$arguments);
	my $name = "@$arguments";

	is($ours_ok, $theirs_ok, "$name: success") or diag($theirs, $ours);
	my $revision = $node->safe_psql('theirs', 'SELECT version_num FROM alembic_version');
	is($node->safe_psql('mine', 'SELECT version_num FROM alembic_version'),
		$revision, "$name: the same revision");
	my ($ok, $current) = ours('mine', 'current');
	my (undef, $also) = $alembic->alembic('mine', 'current');
	is(revision_lines($current), revision_lines($also), "$name: current is the same");
}
like((same('mine', 'check'))[0], qr/^No new upgrade operations detected\.$/m,
	'check: the same words');
same('theirs', 'check');

# A code in the address: Alembic takes it for a variable of its own.
my $coded = database_url($node, 'mine', 'app') =~ s{host=\K[^&]+}{$& =~ s,/,%2F,gr}er;
{
	my %environment = syncmaster_environment($node, 'mine', 'app', 1);
	local @ENV{ keys %environment } = values %environment;
	local $ENV{SYNCMASTER__DATABASE__URL} = $coded;
	my ($theirs) = (run_command([ 'sh', '-c', 'cd / && exec "$0" "$@"',
		python_of('SYNCMASTER_VENV'), '-m', 'syncmaster.db.migrations', 'current' ]))[1];
	like($theirs, qr/invalid interpolation syntax/, 'a code in the address: Alembic fails');
}
my $run = command_line(url => $coded, args => ['current']);
is($run->{out}, "0013 (head)\n", 'a code in the address: the command line works') or diag($run->{err});

# What Alembic made is taken over, by commands that change and that do not.
new_database('given');
$alembic->alembic_ok('alembic upgrade 0011', 'given', 'upgrade', '0011');
same('given', 'current');
is((ours('given', 'current', '-c'))[0],
	($alembic->alembic('given', 'current', '-c'))[0], 'current -c: not at head');
my ($ours) = same('given', 'check');
like($ours, qr/^Target database is not up to date/m, 'check: not up to date');
is($node->safe_psql('given', "SELECT count(*) FROM pg_extension WHERE extname = 'syncmaster'"),
	0, 'a check leaves no extension behind');
is_deeply([ ours('given', 'upgrade') ], [ 1, "upgrade 0011 -> 0013 (head)\n" ],
	'upgrade after Alembic');
unlike($alembic->alembic_ok('alembic upgrade after it', 'given', 'upgrade', 'head'),
	qr/Running/, 'Alembic has nothing to do');

# A revision that was lost: both write it again, ours after a look.
$node->safe_psql('given', 'DELETE FROM alembic_version');
$alembic->alembic_ok('alembic stamp', 'given', 'stamp', '0013');
is($node->safe_psql('given', 'TABLE alembic_version'), '0013', 'stamped by Alembic');
$node->safe_psql('given', 'DROP EXTENSION syncmaster; DELETE FROM alembic_version');
is_deeply([ ours('given', 'stamp', '0013') ], [ 1, "stamp base -> 0013 (head)\n" ],
	'stamped');
same('given', 'current');

$alembic->finish;
$node->stop;
done_testing();
