# A schema that is newer than the library: each function refuses, or works and
# says so; what is not known is listed, and nothing advises to change it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = new_server('newer');
create_roles($node);
create_database($node, 'source', 'app');
$node->safe_psql('source', q{
	CREATE EXTENSION syncmaster;
	SELECT syncmaster_grant('writer', 'server')});
fill_tables($node, 'source');

my $keys = $node->basedir . '/keys';
append_to_file($keys, $node->safe_psql('source', 'SELECT syncmaster_generate_key()') . "\n");
chmod 0600, $keys;
$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'syncmaster'
syncmaster.secret_key_file = '$keys'
CONF
$node->restart;

my $known = 'but this library knows revisions up to 0013';
my $several = 'Table "alembic_version" has several rows: 0013, 0014, 0012\. ';
my $unknown = qq{(?:$several)?The library does not know table "notification", column "run.priority"\\.};
my $or_delete = q{, or delete row "0014" if it is another application's};
my $install = "Install a newer package of syncmaster(?:$or_delete)?\\.";
my $message = join "\n", qq(schema "public" is at revision (?:0014|3f1c0ab9d2e4), $known),
  "DETAIL:  $unknown", "HINT:  $install";

# What each function does, by a call of it.
my %refuses = (
	syncmaster_create_indexes => 'SELECT syncmaster_create_indexes()',
	syncmaster_downgrade => q{SELECT syncmaster_downgrade('-1')},
	syncmaster_rotate_credentials => 'SELECT syncmaster_rotate_credentials(false)',
	syncmaster_set_owner => q{SELECT syncmaster_set_owner('writer')},
	syncmaster_stamp => q{SELECT syncmaster_stamp('0013', true)},
	syncmaster_upgrade => q{SELECT syncmaster_upgrade('head')},
	syncmaster_upgrade_plan => q{SELECT syncmaster_upgrade_plan('head')},
	syncmaster_upgrade_sql => q{SELECT syncmaster_upgrade_sql('head')});
my %warns = (
	syncmaster_add_superusers => q{SELECT syncmaster_add_superusers('user_2')},
	syncmaster_drop_indexes => 'SELECT syncmaster_drop_indexes()',
	syncmaster_end_runs => q{SELECT syncmaster_end_runs('{1}')},
	syncmaster_grant => q{SELECT syncmaster_grant('reader', 'worker')},
	syncmaster_privileges => 'SELECT syncmaster_privileges()',
	syncmaster_purge_partitions => q{CALL syncmaster_purge_partitions('1 day', 0, false, false, NULL)},
	syncmaster_purge_runs => q{CALL syncmaster_purge_runs('1 day', 0, 10, false, NULL)},
	syncmaster_purge_task_results =>
	  q{CALL syncmaster_purge_task_results('1 day', 10, false, NULL)},
	syncmaster_remove_superusers => q{SELECT syncmaster_remove_superusers('user_2')},
	syncmaster_repair => 'SELECT syncmaster_repair(false)',
	syncmaster_revoke => q{SELECT syncmaster_revoke('reader', 'worker')},
	syncmaster_superusers => 'SELECT syncmaster_superusers()',
	syncmaster_verify_credentials => 'SELECT syncmaster_verify_credentials()');
my %tells = (
	syncmaster_check => [
		q{SELECT severity, object_name, problem, fix FROM syncmaster_check()
			WHERE object_type IN ('revision', 'table', 'column', 'sequence')},
		qr/^warning\|alembic_version\|is\ newer\ than\ the\ library,\ which\ cannot\ compare\ it\|\n
			info\|notification\|is\ not\ known\ to\ the\ library\|\n
			info\|run\.priority\|is\ not\ known\ to\ the\ library\|$/x
	],
	syncmaster_full_version => [
		'SELECT syncmaster_full_version()',
		qr/; the schema is newer than the library: install a newer package of syncmaster(?:$or_delete)?$/
	],
	syncmaster_health => [
		q{SELECT severity, detail, hint FROM syncmaster_health()
			WHERE check_name = 'schema'},
		qr/^warning\|was not looked at, as it is at revision \w+, which is newer than the library\. $unknown\|$install$/
	],
	syncmaster_preflight => [
		q{SELECT severity, detail, hint FROM syncmaster_preflight('head')
			WHERE severity = 'error'},
		qr/^error\|schema "public" is at revision \w+, $known: $unknown\|$install$/
	],
	syncmaster_read_metrics => [
		q{SELECT value FROM syncmaster_metrics WHERE name = 'syncmaster_schema_in_step'},
		qr/^0$/
	]);

# These are not about the tables.
my %indifferent = map { $_ => 1 } qw(
  syncmaster_decrypt syncmaster_encrypt syncmaster_generate_key
  syncmaster_history syncmaster_library_version syncmaster_schema_version
  syncmaster_tsquery syncmaster_versions);

# Only scripts call these, below.
my %in_scripts = map { $_ => 1 } qw(syncmaster_finish_script syncmaster_migrate);

my $is_asked = { %refuses, %warns, %tells, %indifferent, %in_scripts };
is( join(' ', sort keys %$is_asked),
	$node->safe_psql('source', q{
		SELECT string_agg(DISTINCT proname::text, ' ' ORDER BY proname::text)
		FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass
			AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'syncmaster'}),
	'each function is asked');

# What a later release has made: with a number, and without; and beside other rows.
foreach my $case (
	[ '0014', q{UPDATE alembic_version SET version_num = '0014'}, '0014' ],
	[ '3f1c0ab9d2e4', q{UPDATE alembic_version SET version_num = '3f1c0ab9d2e4'}, '3f1c0ab9d2e4' ],
	[ '0014', q{INSERT INTO alembic_version VALUES ('0014'), ('0012')}, '0012, 0013, 0014' ])
{
	my ($id, $stamp, $rows) = @$case;
	my $db = 'at_' . $rows =~ s/\W+/_/gr;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE source OWNER app");
	$node->safe_psql($db, qq{
		SET ROLE app;
		CREATE TABLE notification (id bigserial PRIMARY KEY, run_id bigint);
		ALTER TABLE run ADD COLUMN priority integer;
		$stamp});
	my $state = sub {
		return $node->safe_psql($db, q{
			SELECT string_agg(concat_ws(' ', oid, relowner, relacl), ', ' ORDER BY oid)
			FROM pg_class WHERE relnamespace = 'public'::regnamespace});
	};
	my $before = $state->();

	foreach my $function (sort keys %refuses)
	{
		my ($rc, $out, $err) = run_sql($node, $db, undef, $refuses{$function});
		like($err, qr/^ERROR:  $message$/m, "$id: $function refuses");
	}
	is($state->(), $before, "$id: what refuses has changed nothing");
	foreach my $function (sort keys %warns)
	{
		my ($rc, $out, $err) = run_sql($node, $db, undef, $warns{$function});
		is($rc, 0, "$id: $function works");
		is(scalar(() = $err =~ /^WARNING:  $message$/mg), 1, "$id: ... and warns once");
	}
	foreach my $function (sort keys %tells)
	{
		my ($sql, $expected) = @{ $tells{$function} };
		my ($rc, $out, $err) = run_sql($node, $db, undef, $sql);
		chomp $out;
		like($out, $expected, "$id: $function tells");
		is($err, '', "$id: ... and no more");
	}

	# another application's row may be what is wrong
	my ($exit, $told, $warned) = run_sql($node, $db, undef, q{
		SELECT syncmaster_full_version()
		UNION ALL SELECT concat_ws('|', detail, hint) FROM syncmaster_preflight('head')
			WHERE severity = 'error'
		UNION ALL SELECT actual FROM syncmaster_check() WHERE object_type = 'revision'});
	my $matches = $rows =~ /,/ ? \&like : \&unlike;
	$matches->($told, $_, "$rows: several rows are named")
	  foreach qr/ at revision 0014 of several \(0013, 0014, 0012\), .*$or_delete$/m,
	  qr/: $several.*\|Install a newer package of syncmaster$or_delete\.$/m,
	  qr/^0013, 0014, 0012$/m;

	# whatever is missing or different may be as the later release has it
	$node->safe_psql($db, q{
		ALTER TABLE run ALTER COLUMN status TYPE text;
		ALTER TABLE "user" RENAME COLUMN is_active TO active;
		ALTER TABLE auth_data RENAME COLUMN value TO token;
		ALTER TABLE celery_taskmeta RENAME TO results});
	foreach my $call (
		$warns{syncmaster_purge_runs}, $warns{syncmaster_purge_task_results},
		$warns{syncmaster_superusers}, $warns{syncmaster_verify_credentials},
		'SELECT syncmaster_rotate_credentials(true)')
	{
		my ($rc, $out, $err) = run_sql($node, $db, undef, $call);
		like($err, qr/^ERROR:  schema "public" is at revision $id, $known$/m,
			"$id: $call on other tables");
		unlike($err, qr/HINT:  (?!$install)/, "$id: ... has no other hint");
	}

	# the extension is made anew, and goes up but not down
	my ($rc, $out, $err) = run_sql($node, $db, undef, 'DROP EXTENSION syncmaster;');
	($rc, $out, $err) =
	  run_sql($node, $db, undef, q{CREATE EXTENSION syncmaster VERSION '1.12'});
	is($rc, 0, "$id: CREATE EXTENSION after DROP");
	like($err, qr/^WARNING:  schema "public" is at revision $id, $known$/m, "$id: ... warns");
	($rc, $out, $err) = run_sql($node, $db, undef, 'ALTER EXTENSION syncmaster UPDATE');
	is($rc, 0, "$id: ALTER EXTENSION UPDATE");
	($rc, $out, $err) =
	  run_sql($node, $db, undef, q{ALTER EXTENSION syncmaster UPDATE TO '1.12'});
	like($err, qr/^ERROR:  schema "public" is at revision $id, $known$/m,
		"$id: a downgrade by ALTER EXTENSION");
	is($node->safe_psql($db, q{SELECT string_agg(version_num, ', ' ORDER BY version_num) FROM alembic_version}),
		$rows, "$rows: the revision stays");
}

# Another application's table, or a row that nobody wrote, is no later release.
foreach my $case (
	[ 'no tables', 'DROP TABLE run', '3f1c0ab9d2e4' ],
	[ 'an empty text', '', '' ],
	[ 'a number that was never one', '', '0000' ])
{
	my ($name, $sql, $id) = @$case;
	my ($rc, $out, $err) = run_sql($node, 'source', undef, qq{
		BEGIN; $sql; UPDATE alembic_version SET version_num = '$id';
		SELECT syncmaster_upgrade('head')});
	like($err, qr/^ERROR:  unknown revision "$id"/m, "$name: unknown");
}

$node->stop;
done_testing();
