# A database that was upgraded, in whichever steps, or dumped and restored, is the same as
# a fresh one: catalogue, rows, functions, comments and privileges, also where default
# privileges give and take rights.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('fresh');
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->restart;
create_roles($node);

# What ALTER DEFAULT PRIVILEGES makes of each kind of object, for whoever installs.
my $defaults = join ' ', map {
	my $for = "ALTER DEFAULT PRIVILEGES FOR ROLE app, " . getpwuid($<);
	"$for GRANT ALL ON TABLES TO reader; $for GRANT ALL ON SEQUENCES TO writer;
	 $for GRANT ALL ON FUNCTIONS TO stranger; $for REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
	 $for GRANT ALL ON SCHEMAS TO monitor; $for IN SCHEMA public GRANT SELECT ON TABLES TO auditor;"
} 1;

# What the extension itself consists of.
sub members
{
	my ($dbname) = @_;
	return $node->safe_psql($dbname, q(
		SET search_path = pg_catalog;
		SELECT 'member', pg_describe_object(d.classid, d.objid, 0), d.deptype, obj_description(d.objid, d.classid::regclass::name)
		FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster') ORDER BY 2;
		SELECT 'function', p.oid::regprocedure, pg_get_functiondef(p.oid), p.proowner::regrole,
			ARRAY(SELECT a::text FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a ORDER BY 1)
		FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
		WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster') ORDER BY p.oid::regprocedure::text;
		SELECT 'relation', c.oid::regclass, c.relkind, c.relowner::regrole, CASE WHEN relkind = 'v' THEN pg_get_viewdef(c.oid) END,
			ARRAY(SELECT a::text FROM aclexplode(coalesce(relacl, acldefault('r', relowner))) a ORDER BY 1)
		FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
		WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster') ORDER BY c.oid::regclass::text;
		SELECT 'extension', extname, extversion, extowner::regrole, extnamespace::regnamespace, extconfig, extcondition
		FROM pg_extension ORDER BY 2;
		SELECT 'default', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl ORDER BY 2, 3, 4;
		SELECT 'check', c.* FROM public.syncmaster_check() c WHERE severity <> 'info';
	)) =~ s/,\d+\)/)/gr;
}

sub whole_state
{
	my ($dbname) = @_;

	# which migrations were applied, and when, differs
	return sample_state($node, $dbname, without => [qr/^rows of syncmaster_history\.migration/]) . members($dbname);
}

sub same
{
	my ($dbname, $want, $name, %params) = @_;
	my $got = whole_state($dbname);

	# a dump does not have the owners of extensions
	s/^(extension\|.*?\|.*?\|)\w+/$1/mg foreach $params{restored} ? ($got, $want) : ();
	my %count;
	return pass($name) if $got eq $want;
	$count{$_}++ foreach split /\n/, $got;
	$count{$_}-- foreach split /\n/, $want;
	fail($name);
	my @lines = map { ($count{$_} > 0 ? '+ ' : '- ') . substr $_, 0, 300 } grep { $count{$_} } sort keys %count;
	diag(join "\n", @lines > 30 ? @lines[ 0 .. 29 ] : @lines);
	return;
}

# Rows that do not tell when they were written.
sub fill
{
	my ($dbname) = @_;
	fill_tables($node, $dbname);
	$node->safe_psql($dbname, q(
		SELECT format('UPDATE %s SET %s', attrelid::regclass, string_agg(format('%I = %L', attname, '2026-01-01'), ', '))
		FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')
			AND attnum > 0 AND NOT attisdropped AND atttypid IN ('timestamp'::regtype, 'timestamptz'::regtype)
		GROUP BY attrelid \gexec
	));
	return;
}

# All versions, the oldest first: from each of them, the library brings the newest one.
my @versions = split /\n/, $node->safe_psql('postgres', q(
	SELECT version FROM pg_available_extension_versions WHERE name = 'syncmaster'
	ORDER BY string_to_array(version, '.')::int[]));
my ($oldest, $newest) = @versions[ 0, -1 ];
is($newest, $node->safe_psql('postgres', q(SELECT default_version FROM pg_available_extensions WHERE name = 'syncmaster')),
	'the newest version is the default');

my $ndatabases = 0;
foreach my $installer (undef, 'app')
{
	my $who = $installer // 'superuser';
	my $new = sub {
		my $dbname = 'db' . ++$ndatabases;
		create_database($node, $dbname, 'app');
		$node->safe_psql($dbname, $defaults);
		return $dbname;
	};
	my $do = sub {
		my ($dbname, @sql) = @_;
		foreach my $sql (@sql)
		{
			my ($rc, undef, $err) = run_sql($node, $dbname, $installer, "SET client_min_messages = warning; $sql");
			is("$rc $err", '0 ', "$who: $sql");
		}
		return;
	};
	my $update = sub { return map { "ALTER EXTENSION syncmaster UPDATE TO '$_'" } @_ };

	my $fresh = $new->();
	$do->($fresh, 'CREATE EXTENSION syncmaster');
	fill($fresh);
	my $want = whole_state($fresh);
	like($want, qr/^grant on public\.run: TRUNCATE to reader /m, "$who: default privileges gave rights on a table")
	  if $who eq 'app';
	like($want, qr/^member\|function public\.syncmaster_check/m, "$who: members are compared");

	my %ways = (
		(map { ("$_ to $newest" => [ $_, $update->($newest) ]) } @versions[ 0 .. $#versions - 1 ]),
		'step by step' => [ $oldest, $update->(@versions[ 1 .. $#versions ]) ],
		'by syncmaster_upgrade()' => [ $oldest, q(SELECT syncmaster_upgrade('+1')), q(SELECT syncmaster_upgrade('head')) ],
		'down and back' => [ $newest, $update->(reverse(@versions[ 0 .. $#versions - 1 ]), $newest) ]);
	foreach my $way (sort keys %ways)
	{
		my ($version, @steps) = @{ $ways{$way} };
		my $dbname = $new->();
		$do->($dbname, "CREATE EXTENSION syncmaster VERSION '$version'");
		fill($dbname);

		# dumped and restored at the older version
		if ($way eq "$oldest to $newest")
		{
			my $restored = $new->();
			restored_quietly($node, dump_database($node, $dbname, '-Fc'), $restored, "$who, restored at $oldest");
			$node->safe_psql($restored, q(SELECT syncmaster_upgrade('head')));
			same($restored, $want, "$who: $oldest, dumped, restored and upgraded, is as fresh", restored => 1) if !defined $installer;
		}
		$do->($dbname, @steps);
		same($dbname, $want, "$who: $way is as fresh");
		next if $way ne 'step by step';

		my $restored = $new->();
		restored_quietly($node, dump_database($node, $dbname, '-Fc'), $restored, "$who, restored at $newest");
		same($restored, $want, "$who: $way, dumped and restored, is as fresh", restored => 1) if !defined $installer;
	}
}

$node->stop;
done_testing();
