# doc/alembic.md is true: its commands do what it says, in its order, with the real
# Alembic of SyncMaster, and the commands that it puts side by side take a database to
# the same revision.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Documentation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();
my $root = "$FindBin::RealBin/..";
my $page = "$root/doc/alembic.md";

my $node = PostgreSQL::Test::Cluster->new('alembic_page');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');

sub new_database
{
	my ($name, $template) = @_;
	$node->safe_psql('postgres',
		"CREATE DATABASE $name OWNER app TEMPLATE " . ($template // 'template0'));
	$node->safe_psql($name, 'ALTER SCHEMA public OWNER TO app') if !$template;
	return $name;
}

# Far from the sources, whose built library Python would take for a module.
my $directory = PostgreSQL::Test::Utils::tempdir();
chdir $directory or die "could not change directory: $!";

# Run a script for the shell, as its reader would; exit code, stdout and stderr.
sub run_shell
{
	my ($database, $script) = @_;
	my %environment = syncmaster_environment($node, $database, 'app', 1);
	local @ENV{ keys %environment } = values %environment;
	delete local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)};
	local $ENV{PATH} = ($python =~ s{/[^/]+$}{}r) . ":$ENV{PATH}";
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run([ 'sh', '-euc', $script ], '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

# The page, block by block -------------------------------------------------------

new_database('page');
my @blocks = blocks($page);
foreach my $i (0 .. $#blocks)
{
	my $block = $blocks[$i];
	my $next = $blocks[ $i + 1 ];
	my $name = "doc/alembic.md, line $block->{line}";

	$block->{expected} = $next->{text} if $next && $next->{kind} eq 'text';
	if ($block->{kind} eq 'sql')
	{
		run_session($node, 'doc/alembic.md', 'page', $block);
	}
	elsif ($block->{kind} eq 'sh')
	{
		my ($rc, $stdout, $stderr) = run_shell('page', $block->{text});
		is($rc, 0, "$name: exit code 0") or diag($stderr);
		is_as_shown($name, $block, $stdout, '') if defined $block->{expected};
	}
}
ok(-s "$directory/before.dump", 'there is a dump');

# Command by command -------------------------------------------------------------

# Both begin at 0012; with the extension, where that is asked.
new_database('alembic_start');
my ($rc, undef, $stderr) =
  run_shell('alembic_start', 'python -m syncmaster.db.migrations upgrade 0012');
is($rc, 0, 'a database at 0012') or diag($stderr);
new_database('ours_start', 'alembic_start');
$node->safe_psql('ours_start', q{CREATE EXTENSION syncmaster VERSION '1.12'},
	extra_params => [ '-U', 'app' ]);

my $session = SyncMasterEnv->new($node, 'app');
my $program = "$root/bin/syncmaster-db";
my $reads = qr/^(?:current|history|heads|show|check|upgrade .*--sql)/;
my $n = 0;
foreach my $line (slurp_page($page) =~ /^(\| `[^|]*` \| `[^|]*` \| `[^|]*` \|)$/gm)
{
	my ($alembic, $command, $sql) = $line =~ /`([^`]*)`/g;
	next if $alembic =~ /^python/;
	my ($theirs, $ours) = ('theirs_' . ++$n, "ours_$n");

	new_database($theirs, 'alembic_start');
	new_database($ours, 'ours_start');
	my ($done, $said) = $session->alembic($theirs, split / /, $alembic);
	my ($our_rc, $our_stdout, $our_stderr) = $node->psql($ours, $sql,
		extra_params => [ '-U', 'app' ]);
	is($our_rc, 0, "$sql: runs") or diag($our_stderr);

	# At 0012 Alembic's check only says that this is not its head.
	if ($alembic eq 'check')
	{
		is($our_stdout, '', "$sql: finds nothing");
		next;
	}
	ok($done, "$alembic: runs") or diag($said);
	my $version = 'SELECT version_num FROM alembic_version';
	my $reached = $node->safe_psql($theirs, $version);
	is($node->safe_psql($ours, $version), $reached, "$alembic, $sql: the same revision");
	if ($alembic =~ $reads)
	{
		is($reached, '0012', "$alembic: changes nothing");
		my ($revision) = $said =~ /^(?!INFO).*?\b(00\d\d)\b/m;
		like($our_stdout, qr/\b$revision\b/, "$sql: names $revision as well");
	}
	if (-x $program)
	{
		my ($database) = new_database("command_$n", 'ours_start');
		my ($rc, $stdout, $stderr) = run_shell($database, "sh '$program' $command");
		is($rc, 0, "syncmaster-db $command: runs") or diag($stderr);
		is($node->safe_psql($database, $version),
			$reached, "syncmaster-db $command: the same revision");
	}
}
cmp_ok($n, '>=', 12, 'the table of commands was read');

$session->finish;
$node->stop;

done_testing();
