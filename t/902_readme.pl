# README.md is true: the session that it shows is what the demo prints, on a database
# that is one of Alembic's, and its table of releases is what the server says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Documentation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncmasterCatalog;
use Test::More;

chdir "$FindBin::RealBin/.." or die "could not change directory: $!";

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\n");
$node->start;

# The demo's database -----------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE demo');
$node->command_ok(
	[
		'psql', '-Xq', '-1', '-d', $node->connstr('demo'),
		'-v', 'facts=' . slurp_file('test/facts/rev-0011.json'), '-f', 'demo/alembic.sql'
	],
	'the tables are made');
my ($catalog) = read_catalogs(scalar $node->safe_psql('demo', catalog_sql('public')));
is(join("\n", catalog_differences(facts('rev-0011'), $catalog->{flat})),
	'', "the demo begins with Alembic's tables of 0011");

# The session --------------------------------------------------------------------

my $readme = slurp_page('README.md');
my ($shown) = grep { $_->{kind} eq 'text' } blocks('README.md');
my ($out, $err) = run_command([
	'sh', '-euc', '. tools/lib.sh; show_session "$@"', 'sh', 'demo/session.sql', 'psql', '-X',
	'-P', 'pager=off', '-P', 'footer=off', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('demo') ]);
is($err, '', 'the demo: no messages');
is($out =~ s/ +$//gmr =~ s/\n\n+/\n/gr =~ s/\n*\z/\n/r,
	$shown->{text}, "README.md, line $shown->{line}: what the demo prints");
cmp_ok(scalar(() = $shown->{text} =~ /\n/g), '<=', 22, '... in few lines');

# A statement that fails is the end of it.
$node->safe_psql('postgres', 'CREATE DATABASE nothing');
$node->command_fails(
	[
		'sh', '-euc', '. tools/lib.sh; show_session "$@"', 'sh', 'demo/session.sql', 'psql', '-X',
		'-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('nothing')
	],
	'a session that fails');

# Releases -------------------------------------------------------------------------

my ($majors) = slurp_file('.ci/run') =~ /^majors=\((.*)\)$/m if -e '.ci/run';
my @rows = $readme =~ /^(\| [\d.]+ - [\d.]+ \| \d{4} \| .*)\n/mg;
my ($least, $most) = $rows[0] =~ /\| (\d+) - (\d+) \|$/;
is(join("\n", @rows),
	$node->safe_psql('demo', qq{
		SELECT format('| %s | %s | %s | $least - $most |', syncmaster_releases, revision, version)
		FROM syncmaster_versions()}),
	'README.md: the table of releases');
like(slurp_page('CONTRIBUTING.md'), qr/PostgreSQL $least to $most are\s+supported/,
	'CONTRIBUTING.md: the same majors');
SKIP:
{
	skip 'the bundle has no .ci', 1 if !defined $majors;
	my @tested = sort { $a <=> $b } split ' ', $majors;
	is("$least $most", "$tested[0] $tested[-1]", 'README.md: these majors are tested');
}

# How it is asked for: licence, and the steps of a life with it.
foreach my $words (
	'sudo bin/quickstart', 'sudo test/run', 'sudo apt install ./', 'make && sudo make install',
	'docker compose up', 'To\s+upgrade,', 'To uninstall,', 'issues of this repository',
	'PostgreSQL License')
{
	like($readme, qr/$words/, "README.md: $words");
}

$node->stop;
done_testing();
