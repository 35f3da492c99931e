# The plan of an upgrade is what the upgrade does: its locks, its rewrites and its
# index builds are compared with pg_locks and the files of a transaction that is
# rolled back, and its SQL with the catalogue that the upgrade leaves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('plan', allows_streaming => 1);
create_roles($node);

# Weakest first.
my @modes = qw(AccessShareLock RowShareLock RowExclusiveLock
  ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock
  AccessExclusiveLock);
my %strength = map { $modes[$_] => $_ } 0 .. $#modes;

# The strongest of the modes in lines "table|mode", as text.
sub strongest
{
	my ($lines) = @_;
	my %strongest;

	foreach (split /\n/, $lines)
	{
		my ($table, $mode) = split /\|/;
		$strongest{$table} = $mode
		  if !defined $strongest{$table}
		  || $strength{$mode} > $strength{ $strongest{$table} };
	}
	return join '', map { "$_ $strongest{$_}\n" } sort keys %strongest;
}

# Everything that the plan says of tables that are there.  Tables outside of the
# extension's schema are named with theirs.
sub planned
{
	my ($db, $target) = @_;
	my $plan = "FROM syncmaster_upgrade_plan('$target')";
	return (
		strongest(
			$node->safe_psql($db,
				"SELECT table_name, lock_mode $plan WHERE lock_mode <> ''")),
		$node->safe_psql(
			$db, "SELECT DISTINCT table_name $plan WHERE rewrites_table
				ORDER BY 1"),
		$node->safe_psql(
			$db, "SELECT object_name $plan WHERE builds_index
				AND lock_mode <> '' ORDER BY 1"));
}

# The same as an upgrade does it, rolled back.
sub done
{
	my ($db, $target) = @_;
	my ($rc, $output, $stderr) = $node->psql($db, <<SQL, on_error_stop => 1);
BEGIN;
CREATE TEMP TABLE before AS
	SELECT c.oid, c.relkind, pg_relation_filenode(c.oid) AS file,
		CASE n.nspname WHEN 'public' THEN c.relname::text
			ELSE n.nspname || '.' || c.relname END AS name
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('public', 'syncmaster_history', 'other');
SELECT FROM syncmaster_upgrade('$target');
SELECT 'locks';
SELECT b.name, l.mode FROM pg_locks l JOIN before b ON b.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
	AND l.mode <> 'AccessShareLock' AND b.relkind = 'r';
SELECT 'rewrites';
SELECT name FROM before
WHERE relkind = 'r' AND pg_relation_filenode(oid) <> file ORDER BY 1;
SELECT 'indexes';
SELECT i.indexrelid::regclass FROM pg_index i JOIN before b ON b.oid = i.indrelid
WHERE i.indexrelid NOT IN (SELECT oid FROM before) ORDER BY 1::text;
ROLLBACK;
SQL
	is($rc, 0, "$db: upgraded to $target and rolled back") or diag $stderr;
	my ($locks, $rewrites, $indexes) =
	  "$output\n" =~ /^locks\n(.*)^rewrites\n(.*)^indexes\n(.*)\z/ms;
	chomp($rewrites, $indexes);
	return (strongest($locks), $rewrites,
		join("\n", sort split /\n/, $indexes));
}

sub planned_is_done
{
	my ($db, $target) = @_;
	my ($locks, $rewrites, $indexes) = planned($db, $target);
	my ($done_locks, $done_rewrites, $done_indexes) = done($db, $target);

	is($locks, $done_locks, "$db to $target: locks");
	is($rewrites, $done_rewrites, "$db to $target: rewrites");
	is($indexes, $done_indexes, "$db to $target: index builds");
	return ($locks, $rewrites, $indexes);
}

# Sources: databases at several revisions, with rows, of another role than the one
# that looks.
sub make_source
{
	my ($db, $revision, $template) = @_;
	$node->safe_psql('postgres',
		"CREATE DATABASE $db OWNER app TEMPLATE $template");
	$node->safe_psql($db, <<SQL) if defined $revision;
SET syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('$revision');
SQL
	return;
}

create_database($node, 'head', 'app');
$node->safe_psql('head', <<'SQL');
ALTER SCHEMA public OWNER TO app;
SET ROLE app;
CREATE EXTENSION syncmaster;
SQL
fill_tables($node, 'head');
$node->safe_psql('head', 'ANALYZE');
make_source('at_0013', undef, 'head');
make_source('at_0012', '0012', 'head');
make_source('at_0011', '0011', 'head');
make_source('at_0010', '0010', 'head');
make_source('at_0006', '0006', 'head');
make_source('at_0001', '0001', 'head');
make_source('at_base', 'base', 'head');

# Never had a schema: as after a restore that brought none.
create_database($node, 'empty', 'app');
$node->safe_psql('empty', <<'SQL');
ALTER SCHEMA public OWNER TO app;
SET ROLE app;
SET syncmaster.restoring = on;
CREATE EXTENSION syncmaster;
SQL

my ($locks, $rewrites, $indexes) = planned_is_done('at_0011', '0012');
is($rewrites, join("\n", qw(connection group queue transfer)),
	'0012 rewrites the tables with a search_vector');
like($locks, qr/^connection AccessExclusiveLock$/m, '0012 locks connection');
unlike($locks, qr/^run /m, '0012 does not lock run');

($locks, $rewrites, $indexes) = planned_is_done('at_0012', '0013');
is($rewrites, '', '0013 rewrites nothing');
like($indexes, qr/^ix_celery_taskmeta_date_done$/m, '0013 builds an index');
like($locks, qr/^celery_taskmeta ShareLock$/m, '0013 blocks writers only');

planned_is_done('at_0011', '0013');
planned_is_done($_, 'head')
  foreach qw(at_0010 at_0006 at_0001 at_base empty);
planned_is_done('at_0006', '+3');
is($node->safe_psql('at_0013', 'SELECT * FROM syncmaster_upgrade_plan()'),
	'', 'there is no plan when there is nothing to do');
is_deeply(
	[ done('at_0013', 'head') ],
	[ "alembic_version ShareRowExclusiveLock\n", '', '' ],
	'and nothing is done');

# An extra index on search_vector goes with the column, and is built again.
my $group_index = 'ix_syncmaster__group_search_vector';
make_source('group_index', undef, 'at_0011');
$node->safe_psql('group_index',
	qq{CREATE INDEX $group_index ON "group" USING gin (search_vector)});
planned_is_done('group_index', '0012');
planned_is_done('group_index', '0013');
like(
	$node->safe_psql(
		'group_index', "SELECT action FROM syncmaster_upgrade_plan('0012')
			WHERE object_name = 'group'"),
	qr/^drop column search_vector with index $group_index, add column /,
	'an index that goes with its column is in the plan');
is( $node->safe_psql(
		'group_index', "SELECT count(*) FROM syncmaster_upgrade_plan()
			WHERE object_name = '$group_index' AND builds_index"),
	1,
	'and that it is built again');

# Only extra indexes are missing.
make_source('no_indexes', undef, 'at_0013');
$node->safe_psql('no_indexes', 'SELECT syncmaster_drop_indexes()');
planned_is_done('no_indexes', 'head');

# Without the extra indexes.
is( $node->safe_psql(
		'at_0011', "SET syncmaster.create_indexes = off;
			SELECT count(*) FROM syncmaster_upgrade_plan()
			WHERE step = 'indexes'"),
	0,
	'syncmaster.create_indexes = off leaves the extra indexes out');

# Tables that inherit are locked and rewritten along, wherever they are.
make_source('child', undef, 'at_0011');
$node->safe_psql('child', <<'SQL');
SET ROLE app;
CREATE SCHEMA other;
CREATE TABLE child () INHERITS (transfer);
SQL
planned_is_done('child', '0012');
like((planned('child', '0012'))[1], qr/^child$/m, 'a child table is rewritten');

# Celery's table is gone: the upgrade makes it again, whatever the revision.
make_source('celery', undef, 'at_0012');
$node->safe_psql('celery', 'DROP TABLE celery_tasksetmeta');
planned_is_done('celery', 'head');
is( $node->safe_psql(
		'celery', "SELECT step, action FROM syncmaster_upgrade_plan()
			WHERE object_name = 'celery_tasksetmeta'"),
	'0009|create table',
	'a missing table of Celery is in the plan');
is( $node->safe_psql(
		'celery', "SELECT step, action FROM syncmaster_upgrade_plan()
			WHERE object_name = 'celery_taskmeta'"),
	'0009|none, it is there',
	'and that the other one is there');

# Sizes are those that the server tells.
$node->safe_psql('at_0011', 'ANALYZE');
is( $node->safe_psql(
		'at_0011', "SELECT count(*) FROM syncmaster_upgrade_plan() p
			WHERE step <> 'indexes' AND object_type = 'table'
			AND table_bytes <> pg_total_relation_size(
				quote_ident(split_part(table_name, '.', 1))::regclass)
			AND table_name NOT LIKE '%.%'"),
	0,
	'bytes are those of the tables');
is( $node->safe_psql(
		'at_0011', "SELECT table_rows FROM syncmaster_upgrade_plan()
			WHERE object_name = 'connection'"),
	60,
	'rows are those that ANALYZE counted');

# What the plan says can be done beforehand can be, and then is done.
make_source('beforehand', undef, 'head');
$node->safe_psql('beforehand', <<'SQL');
SELECT syncmaster_drop_indexes();
SELECT syncmaster_downgrade('0011');
SQL
my @beforehand = split /\n/,
  $node->safe_psql('beforehand',
	"SELECT beforehand FROM syncmaster_upgrade_plan() WHERE beforehand <> ''");
is(scalar @beforehand, 4,
	'four indexes can be built beforehand: two of 0013, two extra ones');
foreach my $sql (@beforehand)
{
	like($sql, qr/^CREATE INDEX CONCURRENTLY /, 'it blocks nobody');
	$node->safe_psql('beforehand', $sql);
}
is( $node->safe_psql(
		'beforehand', "SELECT count(*) FROM syncmaster_upgrade_plan()
			WHERE beforehand <> ''"),
	0,
	'nothing is left to do beforehand');
my $oids = "SELECT relname, oid FROM pg_class WHERE relname ~ '^ix_(sync|celery)'
	AND relname IN (SELECT (regexp_match(i, 'ix_\\w+'))[1]
		FROM unnest(ARRAY['" . join("', '", @beforehand) . "']) i)
	ORDER BY relname COLLATE \"C\"";
my $before = $node->safe_psql('beforehand', $oids);
is(() = $before =~ /^ix_/gm, 4, 'all of them were built');
planned_is_done('beforehand', 'head');
$node->safe_psql('beforehand', "SELECT syncmaster_upgrade('head')");
is($node->safe_psql('beforehand', $oids), $before,
	'the upgrade keeps what was built beforehand');

# The SQL, run by hand as the owner, makes the same catalogue.
sub catalogue
{
	my ($db) = @_;
	my ($rc, $dump, $stderr) = run_command_on($node, 'pg_dump', '-s',
		'--exclude-schema=syncmaster_history', $db);
	is($rc, 0, "$db: dumped") or diag $stderr;
	$dump =~ s/^\\(?:un)?restrict .*\n//mg;
	return $dump . $node->safe_psql($db, 'TABLE alembic_version');
}

my $script = $node->basedir . '/upgrade.sql';
foreach my $case (
	[ 'at_0011', '0012' ],
	[ 'at_0012', '0013' ],
	[ 'at_0011', '0013' ],
	[ 'at_0010', 'head' ],
	[ 'at_0006', '0009' ],
	[ 'at_0001', 'head' ],
	[ 'at_base', 'head' ],
	[ 'empty', 'head' ],
	[ 'celery', 'head' ],
	[ 'at_0013', 'head' ])
{
	my ($source, $target) = @$case;

	make_source('upgraded', undef, $source);
	make_source('by_hand', undef, $source);
	append_to_file($script,
		$node->safe_psql('by_hand',
			"SELECT syncmaster_upgrade_sql('$target')") . "\n");
	my ($rc, $stdout, $stderr) =
	  run_command_on($node, 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-U', 'app',
		'-d', "dbname=by_hand options='-c search_path=nowhere'", '-f', $script);
	is($rc, 0, "$source to $target: the SQL runs as the owner");
	is($stderr, '', "$source to $target: and says nothing");
	unlink $script;
	$node->safe_psql('upgraded',
		"SET ROLE app; SELECT syncmaster_upgrade('$target')");
	is(catalogue('by_hand'), catalogue('upgraded'),
		"$source to $target: the SQL makes what the upgrade makes");
	$node->safe_psql('postgres', "DROP DATABASE $_") foreach qw(upgraded by_hand);
}
like(
	$node->safe_psql('at_0011', 'SELECT syncmaster_upgrade_sql()'),
	qr/^-- Stamp of revision 0012\nUPDATE ONLY public.alembic_version /m,
	'the SQL contains the stamps');

# Another schema, another name.
create_database($node, 'etl', 'app');
$node->safe_psql('etl', <<'SQL');
CREATE SCHEMA "E tl" AUTHORIZATION app;
SET ROLE app;
CREATE EXTENSION syncmaster SCHEMA "E tl" VERSION '1.11';
SQL
my $sql = $node->safe_psql('etl', q{SELECT "E tl".syncmaster_upgrade_sql()});
$node->safe_psql('etl', $sql);
is( $node->safe_psql('etl', q{SELECT "E tl".syncmaster_schema_version()}),
	'0013', 'the SQL works in a schema with a difficult name');

# A role that owns nothing, in a read-only transaction, gets the same plan.
my $everything = 'SELECT * FROM syncmaster_upgrade_plan()';
my ($rc, $out, $err) = run_sql($node, 'at_0011', 'stranger',
	"SET default_transaction_read_only = on; $everything");
is($err, '', 'a stranger may see the plan');
is($out, $node->safe_psql('at_0011', $everything) . "\n", 'the whole plan');

# So it is on a standby.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('plan_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
foreach my $query ($everything, 'SELECT syncmaster_upgrade_sql()')
{
	is( $standby->safe_psql('at_0011', $query),
		$node->safe_psql('at_0011', $query),
		"the same on a standby: $query");
}
$standby->stop;

# What the upgrade would refuse, the plan refuses.
foreach my $function (qw(syncmaster_upgrade_plan syncmaster_upgrade_sql))
{
	($rc, $out, $err) = run_sql($node, 'head', undef, "SELECT $function('0099')");
	like($err, qr/invalid target "0099"/, "$function: an invalid target");
	($rc, $out, $err) = run_sql($node, 'head', undef, "SELECT $function(NULL)");
	like($err, qr/target must not be null/, "$function: no target");
}
$node->safe_psql('at_0012', 'ALTER TABLE run DROP COLUMN status');
($rc, $out, $err) = run_sql($node, 'at_0012', undef, $everything);
like($err, qr/column "status" of table "public.run" is missing/,
	'no plan for a schema of another shape');
$node->safe_psql('at_0013', "UPDATE alembic_version SET version_num = '0099'");
($rc, $out, $err) = run_sql($node, 'at_0013', undef, $everything);
like($err, qr/but this library knows revisions up to 0013/,
	'no plan for a schema from the future');

done_testing();
