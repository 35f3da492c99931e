# A superuser's dumps, in all formats, restored in all ways: nothing is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('dump');
create_roles($node);

# The extension is the superuser's, the tables are another role's.
create_database($node, 'source');
$node->safe_psql('source', 'CREATE EXTENSION syncmaster');
$node->safe_psql('source', "SELECT syncmaster_set_owner('app')");
fill_tables($node, 'source');
customize($node, 'source');
grant_services($node, 'source');
grant_decrypt($node, 'source');

# What refers to the extension itself.
$node->safe_psql('source', <<'SQL');
GRANT EXECUTE ON FUNCTION syncmaster_upgrade(text) TO writer;
CREATE VIEW dba.revision AS SELECT syncmaster_schema_version() AS revision;
CREATE MATERIALIZED VIEW dba.kept_revision AS SELECT syncmaster_schema_version() AS revision;
SQL
my $grants = q{SELECT p.oid::regprocedure, a.grantee::regrole, a.privilege_type
	FROM pg_proc p, aclexplode(proacl) a
	WHERE proname ~ '^syncmaster_' AND a.grantee <> 0 ORDER BY 1, 2};

my $want = sample_state($node, 'source');
my $full_version = $node->safe_psql('source', 'SELECT syncmaster_full_version()');
my $history = $node->safe_psql('source', 'SELECT * FROM syncmaster_history()');
my $function_grants = $node->safe_psql('source', $grants);

unlike($full_version, qr/;/, 'the source is in order');
is( () = $history =~ /\n/g, 12, 'the source has a history of 13 steps');
like($want, qr/^rows of public.$_: [1-9]/m, "the source has rows in $_")
  foreach qw(user group queue connection user_group auth_data transfer run
  celery_taskmeta celery_tasksetmeta apscheduler_jobs alembic_version);

# What must hold after each restore.
sub all_is_there
{
	my ($dbname, $name, %params) = @_;

	is_same_state($node, $dbname, $want, $name, %params);
	is($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$full_version, "$name: versions agree");
	is($node->safe_psql($dbname, 'SELECT * FROM syncmaster_history()'),
		$history, "$name: the history is there");
	is($node->safe_psql($dbname, $grants),
		$function_grants, "$name: the rights to call functions are there")
	  unless grep { /grant/ } @{ $params{without} || [] };
	is($node->safe_psql($dbname, 'SELECT revision FROM dba.kept_revision'),
		'0013', "$name: a materialized view of the revision is filled");
	nothing_is_member($node, $dbname, $name);
	ids_go_on($node, $dbname, $name);
	return;
}

my $databases = 0;

sub new_database
{
	my $dbname = 'restored' . ++$databases;
	create_database($node, $dbname);
	return $dbname;
}

# Into empty databases.  The last column is what has to be left out when
# comparing.
my @not_privileges = (qr/^owner of/, qr/^grant on/);
my @empty = (
	[ 'plain', [], [], [] ],
	[ 'plain, --inserts', ['--inserts'], [], [] ],
	[ 'plain, -1', [], ['-1'], [] ],
	[ '-Fc', ['-Fc'], [], [] ],
	[ '-Fc -j4', ['-Fc'], ['-j4'], [] ],
	[ '-Fc -1', ['-Fc'], ['-1'], [] ],
	[ '-Ft', ['-Ft'], [], [] ],
	[ '-Fd -j2, -j1', [ '-Fd', '-j2' ], [ '-j1', '-e' ], [] ],
	[ '-Fd -j2, -j4', [ '-Fd', '-j2' ], [ '-j4', '-e' ], [] ],
	[
		'--enable-row-security',
		[ '-Fc', '--enable-row-security' ],
		[ '--enable-row-security', '-j2' ],
		[]
	],
	[
		'--no-owner --no-privileges',
		[ '-Fc', '--no-owner', '--no-privileges' ],
		[ '-j4' ], \@not_privileges
	],
	[
		'--no-owner --no-privileges at restore',
		['-Fc'], [ '--no-owner', '--no-privileges' ],
		\@not_privileges
	],
	[ '--clean --if-exists', [ '--clean', '--if-exists' ], [], [] ],
	[ '-Fc, --clean --if-exists', ['-Fc'], [ '--clean', '--if-exists' ], [] ],
	[ '--no-comments', [ '-Fc', '--no-comments' ], [], [qr/^comment on/] ],
);
foreach my $case (@empty)
{
	my ($name, $dump_options, $restore_options, $without) = @$case;
	my $dbname = new_database();
	my $dump = dump_database($node, 'source', @$dump_options);

	restored_quietly($node, $dump, $dbname, $name, @$restore_options);
	all_is_there($dbname, $name, without => $without);
}

# Without owners, and then given to the owner with one call.
{
	my $name = '--no-owner, then syncmaster_set_owner()';
	my $dbname = new_database();
	my $dump = dump_database($node, 'source', '-Fc', '--no-owner');

	restored_quietly($node, $dump, $dbname, $name);
	$node->safe_psql($dbname, "SELECT syncmaster_set_owner('app')");
	all_is_there($dbname, $name);
}

# Over a database that has it all, and over one that has all but the extension.
foreach my $prepare ('', 'DROP EXTENSION syncmaster CASCADE')
{
	my $over = $prepare eq '' ? 'over itself' : 'over itself without extension';
	my @clean =
	  $prepare eq '' ? (['--clean'], [ '--clean', '--if-exists' ]) : ([ '--clean', '--if-exists' ]);

	foreach my $options (@clean)
	{
		foreach my $format ([], ['-Fc'])
		{
			my $name = "@$options @$format $over";
			my $dbname = new_database();
			my $dump = dump_database($node, 'source', @$format,
				@$format ? () : @$options);

			$node->safe_psql('postgres',
				"DROP DATABASE $dbname; CREATE DATABASE $dbname TEMPLATE source");
			$node->safe_psql($dbname, "SET client_min_messages = error; $prepare");
			$node->safe_psql($dbname, 'DELETE FROM run; ALTER TABLE run DROP COLUMN log_url');
			restored_quietly($node, $dump, $dbname, $name, @$format ? @$options : ());
			all_is_there($dbname, $name);
		}
	}
}

# Schema first, then data.
foreach my $format ([], ['-Fc'])
{
	my $name = "@$format schema, then data";
	my $dbname = new_database();
	my $schema = dump_database($node, 'source', @$format, '-s');
	my $data = dump_database($node, 'source', @$format, '-a',
		@$format ? () : '--disable-triggers');

	restored_quietly($node, $schema, $dbname, $name);
	like(
		$node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		qr/at no revision, .*; there are tables without a revision/,
		"$name: a schema without data is reported");
	my ($rc, $stderr) = restore($node, $data, $dbname,
		@$format ? ('-a', '--disable-triggers') : ());
	is("$rc $stderr", '0 ', "$name: data restored, quietly");

	# Neither part fills materialized views, and --disable-triggers enables all
	# triggers in the end.
	$node->safe_psql($dbname, 'REFRESH MATERIALIZED VIEW dba.kept_revision');
	all_is_there($dbname, $name, without => [qr/TRIGGER dba_disabled/]);
}

# Rows alone, into tables that the extension made, in the documents' way.
{
	my $name = '--data-only into new tables';
	my $dbname = new_database();
	my $dump = dump_database($node, 'source', '-Fc');
	my $rows = sub {
		return sample_state($node, $_[0],
			without => [ qr/^(?!rows|sequence)/, qr/\bdba\b/ ]);
	};
	my $list = "$dump.list";
	my ($truncate, $left_out) =
	  slurp_file("$FindBin::RealBin/../doc/operations.md") =~
	  /psql -d syncmaster -c '(TRUNCATE[^']*)'\n\s*pg_restore -l dump \| grep -v '([^']*)'/;
	my (undef, $entries) = run_command_on($node, 'pg_restore', '-l', $dump);

	append_to_file($list,
		join '', grep { !/$left_out|TABLE DATA dba/ } $entries =~ /.*\n/g);
	$node->safe_psql($dbname, 'CREATE EXTENSION syncmaster; ALTER TABLE transfer ADD dba_note text');
	$node->safe_psql($dbname, $truncate);
	my ($rc, $stderr) =
	  restore($node, $dump, $dbname, '-L', $list, '-a', '--disable-triggers', '-1');
	is("$rc $stderr", '0 ', "$name: exit code 0, quietly");
	is($rows->($dbname), $rows->('source') =~ s/^rows of syncmaster_history.service.*\n//mr,
		"$name: all rows are there");
	is($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$full_version, "$name: versions agree");
}

# The sections of one dump, as a parallel restore by hand would do it.
{
	my $dbname = new_database();
	my $dump = dump_database($node, 'source', '-Fc');

	restored_quietly($node, $dump, $dbname, 'pre-data', '--section=pre-data');
	foreach my $section (qw(data post-data))
	{
		my ($rc, $stderr) = restore($node, $dump, $dbname, "--section=$section");
		is("$rc $stderr", '0 ', "$section: restored, quietly");
	}
	all_is_there($dbname, 'sections');
}

# One schema: extensions and the history do not come along, and errors are to be
# expected, but of no table.  CREATE EXTENSION makes good what is missing, but
# for the services and rights on its own functions.
my @not_in_public = (qr/\bdba\b/, qr/syncmaster_history/);
foreach my $case (
	[ 'pg_dump -n public', [ '-n', 'public' ], [] ],
	[ 'pg_dump -Fc -n public', [ '-Fc', '-n', 'public' ], [] ],
	[ 'pg_restore -n public', ['-Fc'], [ '-n', 'public' ] ])
{
	my ($name, $dump_options, $restore_options) = @$case;
	my $dbname = new_database();
	my $dump = dump_database($node, 'source', @$dump_options);

	my (undef, $stderr) = restore($node, $dump, $dbname, @$restore_options);
	my @errors = $stderr =~ /ERROR:  (.*)/g;
	is(join('', grep { !/schema "public" already exists/ } @errors),
		'', "$name: nothing is missing");
	is_same_state($node, $dbname, $want, $name,
		without => [ @not_in_public, qr/^extension/, qr/^grant on member/ ]);

	my ($rc, undef, $messages) =
	  run_sql($node, $dbname, undef, 'CREATE EXTENSION syncmaster');
	is("$rc $messages", '0 ', "$name: CREATE EXTENSION afterwards is quiet");
	grant_services($node, $dbname);
	grant_decrypt($node, $dbname);
	$node->safe_psql($dbname, 'GRANT EXECUTE ON FUNCTION syncmaster_upgrade(text) TO writer');
	is_same_state($node, $dbname, $want, "$name, then CREATE EXTENSION",
		without => [qr/\bdba\b/, qr/syncmaster_history\.migration|schema syncmaster_history/]);
	is($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		$full_version, "$name: versions agree");
	nothing_is_member($node, $dbname, $name);
	ids_go_on($node, $dbname, $name);
}

done_testing();
