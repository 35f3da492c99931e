# What becomes of services' rights in upgrades and downgrades, in a restore and
# in DROP EXTENSION, and who can make them more than they should be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('privileges');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my @services = qw(server scheduler worker monitor);
$node->safe_psql('postgres',
	join ';', 'CREATE ROLE app LOGIN; CREATE ROLE dba LOGIN; CREATE ROLE mallory LOGIN',
	map { "CREATE ROLE sm_$_ LOGIN" } @services);

# A database with tables of app's at a version; all services are granted.
sub create
{
	my ($database, $version) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		'REVOKE CREATE ON SCHEMA public FROM PUBLIC; '
		  . 'GRANT USAGE, CREATE ON SCHEMA public TO app');
	$node->safe_psql($database,
		"CREATE EXTENSION syncmaster VERSION '$version'; "
		  . "SELECT syncmaster_set_owner('app')");
	$node->safe_psql($database,
		join ';', map { "SELECT syncmaster_grant('sm_$_', '$_')" } @services);
	return;
}

# Every right of those roles, but on views, which are the extension's, and who
# granted it.
sub rights
{
	my ($database) = @_;
	return $node->safe_psql(
		$database, q{
		SELECT kind, name, attname, grantee::regrole, privilege_type,
			is_grantable, grantor::regrole
		FROM (
			SELECT relkind::text AS kind, relname AS name, NULL AS attname, relacl AS acl
			FROM pg_class WHERE relnamespace IN
				('public'::regnamespace, 'syncmaster_history'::regnamespace)
				AND relkind <> 'v'
			UNION ALL
			SELECT 'c', relname, attname, attacl FROM pg_attribute
			JOIN pg_class c ON c.oid = attrelid WHERE relnamespace IN
				('public'::regnamespace, 'syncmaster_history'::regnamespace)
			UNION ALL
			SELECT 'n', nspname, NULL, nspacl FROM pg_namespace
			WHERE nspname = 'public') s, aclexplode(acl)
		WHERE grantee::regrole::text ~ '^sm_' ORDER BY 1, 2, 3, 4, 5});
}

sub deviations
{
	my ($database, $columns) = @_;
	$columns //= 'role, object_name, privilege, state';
	return $node->safe_psql($database,
		"SELECT $columns FROM syncmaster_privileges() "
		  . q{WHERE state <> 'granted' ORDER BY 1, 2, 3});
}

my $granted = 'sm_monitor|monitor
sm_scheduler|scheduler
sm_server|server
sm_worker|worker';

sub granted_is
{
	my ($database, $name) = @_;
	is( $node->safe_psql(
			$database,
			q{SELECT role, object_name FROM syncmaster_privileges()
			WHERE state = 'granted' ORDER BY 1}),
		$granted,
		"$name: who has which service is known");
	is(deviations($database), '', "$name: nobody has more or less");
	return;
}

# Versions --------------------------------------------------------------------

create('versions', '1.11');
my $rights = rights('versions');
granted_is('versions', 'at 0011');
foreach my $version (qw(1.12 1.13 1.12 1.11 1.13))
{
	$node->safe_psql('versions', "ALTER EXTENSION syncmaster UPDATE TO '$version'");
	is(rights('versions'), $rights, "update to $version: the rights are the same");
	granted_is('versions', "update to $version");
}
$node->safe_psql('versions',
	"SELECT syncmaster_downgrade('0011'); SELECT syncmaster_upgrade('head')");
is(rights('versions'), $rights, 'down to 0011 and up: the rights are the same');

# Tables that come with a revision.
foreach my $revision (qw(0010 0008 0005 0001 base))
{
	$node->safe_psql('versions',
		"SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('$revision')");
	granted_is('versions', "at $revision");
	$node->safe_psql('versions', "SELECT syncmaster_upgrade('head')");
	is(rights('versions'), $rights, "from $revision to head: the rights are there again");
}

# A service is granted where its tables are not there yet.
$node->safe_psql('versions',
	"SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('0005'); "
	  . "SELECT syncmaster_revoke('sm_worker', 'worker')");
$node->safe_psql('versions', "SELECT syncmaster_grant('sm_worker', 'worker')");
unlike(rights('versions'), qr/celery/, 'granted at 0005: nothing on tables to come');
$node->safe_psql('versions', "SELECT syncmaster_upgrade('head')");
is(rights('versions'), $rights, 'granted at 0005: all is there at head');

# Others make a table anew.
$node->safe_psql('versions', 'DROP TABLE celery_taskmeta; DROP TABLE apscheduler_jobs');
$node->safe_psql('versions', 'SELECT syncmaster_repair(false)');
is(rights('versions'), $rights, 'tables that repair makes have the rights');
$node->safe_psql('versions', 'DROP TABLE apscheduler_jobs');
$node->safe_psql('versions',
	q{CREATE TABLE apscheduler_jobs (id varchar(191) PRIMARY KEY,
		next_run_time double precision, job_state bytea NOT NULL);
	ALTER TABLE apscheduler_jobs OWNER TO app});
is(deviations('versions'),
	'sm_scheduler|apscheduler_jobs|SELECT, INSERT, UPDATE, DELETE|missing',
	'a table that others make has none');
$node->safe_psql('versions', "SELECT syncmaster_upgrade('head')");
granted_is('versions', 'an upgrade to where the schema is');
is(rights('versions'), $rights, 'an upgrade to where the schema is gives the rights');

# DROP EXTENSION leaves all of it, and CREATE EXTENSION finds it.
$node->safe_psql('versions', 'DROP EXTENSION syncmaster');
is(rights('versions'), $rights, 'without the extension: the rights are the same');
$node->safe_psql('versions', 'DROP TABLE apscheduler_jobs; CREATE EXTENSION syncmaster');
is(rights('versions'), $rights, 'the extension is back: the rights are there');
granted_is('versions', 'the extension is back');

# The view of the metrics, which is the extension's own: as good as any is one
# that is made a member.
$node->safe_psql(
	'versions', q{
	DO $$
	BEGIN
		IF to_regclass('syncmaster_metrics') IS NULL THEN
			CREATE VIEW syncmaster_metrics AS SELECT 1 AS value;
			ALTER EXTENSION syncmaster ADD VIEW syncmaster_metrics;
		END IF;
	END $$;
	SELECT syncmaster_upgrade('head')});
is($node->safe_psql('versions', 'SELECT count(*) > 0 FROM syncmaster_metrics',
		extra_params => [ '-U', 'sm_monitor' ]),
	't', 'the monitor reads the metrics');
foreach my $relation (
	split /\n/, $node->safe_psql(
		'versions', q{SELECT oid::regclass FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
			AND relname NOT LIKE 'syncmaster_%'}))
{
	my ($rc, undef, $stderr) = $node->psql('versions', "SELECT FROM $relation",
		extra_params => [ '-U', 'sm_monitor' ]);
	like($stderr, qr/permission denied/, "the monitor does not read $relation");
}
$rights = rights('versions');

# Roles are renamed and dropped; the owner changes.
$node->safe_psql('versions', 'ALTER ROLE sm_worker RENAME TO sm_worker2');
is(rights('versions') =~ s/sm_worker2/sm_worker/gr, $rights,
	'a renamed role keeps its rights');
$node->safe_psql('versions', 'DROP TABLE celery_taskmeta; SELECT syncmaster_repair(false)');
is(deviations('versions'), '', 'a renamed role gets what comes');
$node->safe_psql('versions', 'ALTER ROLE sm_worker2 RENAME TO sm_worker');
my ($rc, undef, $stderr) = $node->psql('postgres', 'DROP ROLE sm_worker');
like($stderr, qr/cannot be dropped because some objects depend on it/,
	'a role with a service is not dropped by mistake');
$node->safe_psql('versions',
	'GRANT CREATE ON SCHEMA public TO dba; SELECT syncmaster_set_owner(\'dba\')');
is(rights('versions'), $rights =~ s/\|app$/|dba/gmr,
	'another owner of the tables has granted it all');
$node->safe_psql('versions', 'REVOKE CREATE ON SCHEMA public FROM app');
granted_is('versions', 'another owner');
$node->safe_psql('versions',
	'GRANT CREATE ON SCHEMA public TO app; SELECT syncmaster_set_owner(\'app\'); '
	  . 'REVOKE CREATE ON SCHEMA public FROM dba');
is(rights('versions'), $rights, 'and the first one again');

# What a service owns, because it made it or was given it, goes to another role by what
# check and privileges say, or by set_owner(), and the service keeps what it needs.
create('owned', '1.13');
$rights = rights('owned');
$node->safe_psql('postgres', 'CREATE ROLE celery LOGIN');
my $all = q{
	ALTER TABLE celery_taskmeta OWNER TO sm_worker;
	ALTER SEQUENCE task_id_sequence OWNER TO sm_worker;
	ALTER TABLE run OWNER TO sm_worker;
	ALTER TABLE apscheduler_jobs OWNER TO sm_scheduler};
my $fix = q{SELECT fix FROM syncmaster_%s() WHERE fix LIKE '%%OWNER TO%%'};
foreach my $way (sprintf($fix, 'check'), sprintf($fix, 'privileges'), q{SELECT $$SELECT syncmaster_set_owner('app')$$})
{
	$node->safe_psql('owned', $all);
	isnt(rights('owned'), $rights, 'a service that owns a table needs no right on it');
	$node->safe_psql('owned', "$way \\gexec");
	is(rights('owned'), $rights, "a service keeps what it needs: $way");
	granted_is('owned', $way);
}
$node->safe_psql('owned', q{ALTER SCHEMA public OWNER TO sm_worker; REVOKE USAGE ON SCHEMA public FROM PUBLIC});
$node->safe_psql('owned', sprintf($fix, 'privileges') . ' \\gexec');
is($node->safe_psql('owned', q{SELECT has_schema_privilege('sm_worker', 'public', 'USAGE'), nspowner::regrole
		FROM pg_namespace WHERE nspname = 'public'}), 't|app', 'so it does on the schema');
$rights = rights('owned');

# A role that was granted no service, and owns what services make, runs one.
my $of_celery = q{SELECT has_table_privilege('celery', 'celery_taskmeta', 'INSERT'),
	has_sequence_privilege('celery', 'task_id_sequence', 'USAGE'),
	has_table_privilege('celery', 'run', 'SELECT')};
foreach my $case (
	[ sprintf($fix, 'check'), 't|t|f' ],
	[ sprintf($fix, 'privileges'), 'f|t|f' ],
	[ q{SELECT $$SELECT syncmaster_set_owner('app')$$}, 't|t|f' ])
{
	my ($way, $expected) = @$case;
	$node->safe_psql('owned', $all =~ s/sm_\w+/celery/gr);
	$node->safe_psql('owned', "$way \\gexec");
	is($node->safe_psql('owned', $of_celery), $expected, "what Celery made: $way");
	$node->safe_psql('owned', 'REVOKE ALL ON celery_taskmeta, apscheduler_jobs FROM celery;
		REVOKE ALL ON SEQUENCE task_id_sequence FROM celery');
}
is(rights('owned'), $rights, 'what Celery made: nobody else lost anything');

# What the services need is no difference ------------------------------------

create('checked', '1.13');
$rights = rights('checked');
$node->safe_psql('postgres',
	'CREATE ROLE worker_login LOGIN; CREATE ROLE reader; GRANT sm_worker TO worker_login');
$node->safe_psql('checked', q{
	GRANT SELECT, UPDATE (status) ON run TO worker_login;
	GRANT SELECT, UPDATE ON run TO reader;
	GRANT UPDATE, DELETE ON run TO sm_scheduler;
	GRANT SELECT ON auth_data TO PUBLIC});
is( $node->safe_psql(
		'checked', q{SELECT object_name, actual, fix FROM syncmaster_check()
			WHERE problem = 'is granted to another role' ORDER BY 1, 2}),
	q{auth_data|SELECT to PUBLIC|REVOKE SELECT ON TABLE public.auth_data FROM PUBLIC
run|SELECT, UPDATE to reader|REVOKE SELECT, UPDATE ON TABLE public.run FROM reader
run|UPDATE, DELETE to sm_scheduler|REVOKE UPDATE, DELETE ON TABLE public.run FROM sm_scheduler; }
	  . q{GRANT UPDATE (status), UPDATE (updated_at) ON TABLE public.run TO sm_scheduler},
	'what no service of a role needs is a difference, and nothing else');
$node->safe_psql('checked',
	"SELECT fix FROM syncmaster_check() WHERE fix IS NOT NULL \\gexec\n");
is(rights('checked'), $rights, 'the fixes of check() leave the services what they need');

# REVOKE takes only what the owner has granted.
$node->safe_psql('checked', q{GRANT SELECT ON run TO sm_scheduler WITH GRANT OPTION;
	GRANT INSERT ON run TO reader;
	SET ROLE sm_scheduler; GRANT SELECT ON run TO reader});
is( $node->safe_psql('checked', q{SELECT actual, fix FROM syncmaster_check()
		WHERE problem = 'is granted to another role'}),
	'SELECT, INSERT to reader|REVOKE GRANT OPTION FOR SELECT ON TABLE public.run FROM sm_scheduler CASCADE; '
	  . 'REVOKE INSERT ON TABLE public.run FROM reader',
	'what a service has granted is a difference');
$node->safe_psql('checked', "SELECT fix FROM syncmaster_check() WHERE problem = 'is granted to another role' \\gexec\n");
is(rights('checked'), $rights, 'and is revoked');
is( $node->safe_psql('checked',
		q{SELECT has_column_privilege('worker_login', 'run', 'status', 'UPDATE'),
			count(*) FROM syncmaster_privileges() WHERE state = 'missing'}),
	't|0', 'and nothing is missing');
$node->safe_psql('checked', 'DROP OWNED BY worker_login');
$node->safe_psql('postgres', 'DROP ROLE worker_login, reader');

# Dump and restore ------------------------------------------------------------

create('source', '1.13');
$rights = rights('source');
foreach my $options ([], ['-Fc'])
{
	my $format = $options->[0] // 'SQL';
	my $dump = dump_database($node, 'source', @$options);
	my $target = 'restored_' . lc($format =~ s/\W//r);

	$node->safe_psql('postgres', "CREATE DATABASE $target TEMPLATE template0");
	restored_quietly($node, $dump, $target, "restore of $format");
	is(rights($target), $rights, "restore of $format: the rights are the same");
	granted_is($target, "restore of $format");
	$node->safe_psql($target, 'DROP TABLE celery_taskmeta; SELECT syncmaster_repair(false)');
	is(rights($target), $rights, "restore of $format: what comes gets them");
}

# A dump without rights: nobody has any, and nobody a service.
my $dump = dump_database($node, 'source', '-x');
$node->safe_psql('postgres', 'CREATE DATABASE without_acl TEMPLATE template0');
restored_quietly($node, $dump, 'without_acl', 'restore without rights');
is(rights('without_acl'), '', 'restore without rights: there are none');
is( $node->safe_psql(
		'without_acl',
		q{SELECT * FROM syncmaster_privileges() WHERE role <> 'PUBLIC'
			AND (role, state, object_type) NOT IN (('app', 'missing', 'function'),
				('app', 'missing', 'procedure'), ('app', 'missing', 'view'))}),
	'',
	'restore without rights: nor services');
$node->safe_psql('without_acl', q{SELECT syncmaster_upgrade('head')});
is( $node->safe_psql(
		'without_acl',
		q{SELECT * FROM syncmaster_privileges() WHERE role <> 'PUBLIC'}),
	'',
	'restore without rights: the owner of the tables has its own after an upgrade');

# A role that only owns the tables can dump them.
($rc) = run_command_on($node, 'pg_dump', '-U', 'app', '-f',
	PostgreSQL::Test::Utils::tempdir() . '/by_app.sql', 'source');
is($rc, 0, 'the owner of the tables can dump the database');

# Standby ---------------------------------------------------------------------

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is( $standby->safe_psql(
		'source',
		q{SELECT role, object_name FROM syncmaster_privileges()
			WHERE state = 'granted' ORDER BY 1}),
	$granted,
	'a standby lists the services');
(undef, undef, $stderr) =
  $standby->psql('source', "SELECT syncmaster_grant('mallory', 'monitor')");
like($stderr, qr/cannot execute syncmaster_grant\(\) during recovery|read-only/,
	'a standby grants nothing');
$standby->stop;

# Two at once -----------------------------------------------------------------

my $session = begin_session($node, 'source', $superuser,
	"BEGIN; SELECT syncmaster_grant('mallory', 'monitor');");
(undef, undef, $stderr) = $node->psql('source',
	"SET syncmaster.lock_timeout = '100ms'; "
	  . "SELECT syncmaster_grant('mallory', 'worker')");
like($stderr, qr/ERROR:  could not lock table "alembic_version"/,
	'a second grant waits for the first, and not forever');
in_session($session, 'ROLLBACK;');
end_session($session);

# Whose word counts -----------------------------------------------------------

# Somebody who may make schemas is there first, and writes down what he likes.
create('squatter', '1.13');
$node->safe_psql('squatter', 'DROP SCHEMA syncmaster_history CASCADE');
$node->safe_psql('postgres', 'GRANT CREATE ON DATABASE squatter TO mallory');
$node->safe_psql(
	'squatter', q{
	CREATE SCHEMA syncmaster_history;
	CREATE TABLE syncmaster_history.service (server bool, scheduler bool);
	GRANT SELECT (server, scheduler) ON syncmaster_history.service
		TO mallory, sm_server WITH GRANT OPTION},
	extra_params => [ '-U', 'mallory' ]);
sub strangers_rights
{
	return $node->safe_psql(
		'squatter', q{
		SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
			AND relkind = 'r' AND (has_any_column_privilege('mallory', oid,
				'SELECT, INSERT, UPDATE') OR has_table_privilege('mallory', oid, 'DELETE'))
		UNION ALL
		SELECT role FROM syncmaster_privileges() WHERE service IS NOT NULL
			OR state = 'missing'});
}
($rc, undef, $stderr) =
  $node->psql('squatter', "SELECT syncmaster_upgrade('head')");
like(
	$stderr,
	qr/WARNING:  table "syncmaster_history.service" is not trusted, so that no rights are granted to services\n.*It belongs to role "mallory"/,
	'what a stranger wrote down is not granted');
is(strangers_rights(), '', 'a stranger has nothing of it');
is( $node->safe_psql(
		'squatter',
		q{SELECT role, object_name, privilege, state, fix FROM syncmaster_privileges()
			LIMIT 1}),
	q{mallory|syncmaster_history.service|OWNER|dangerous|}
	  . q{ALTER SCHEMA syncmaster_history RENAME TO syncmaster_history_other},
	'and is listed first');
like($stderr, qr/HINT:  Run ALTER SCHEMA syncmaster_history RENAME TO syncmaster_history_other, and syncmaster_grant/,
	'and a migration names the command');
is( $node->safe_psql('squatter', q{SELECT hint FROM syncmaster_preflight() WHERE subject = 'services'}),
	'It grants nothing. Run ALTER SCHEMA syncmaster_history RENAME TO syncmaster_history_other.',
	'and so does preflight');
foreach my $call (q{grant('sm_worker', 'worker')}, q{set_owner('app')})
{
	(undef, undef, $stderr) = $node->psql('squatter', "SELECT syncmaster_$call");
	like($stderr,
		qr/ERROR:  schema "syncmaster_history" belongs to role "mallory".*\n.*\nHINT:  Rename or drop it, or give it to role "app"/,
		"$call does not take over the schema");
}
# What the list says, for the schema too, makes way for the extension's own.
my $fixes = q{SELECT DISTINCT fix FROM syncmaster_privileges() WHERE object_name ~ '^syncmaster_history'};
is($node->safe_psql('squatter', $fixes), 'ALTER SCHEMA syncmaster_history RENAME TO syncmaster_history_other',
	'the schema has that fix, too');
$node->safe_psql('squatter', "$fixes \\gexec");
is($node->safe_psql('squatter', $fixes), '', 'nothing is left after the fix');
$node->safe_psql('squatter', "SELECT syncmaster_grant('sm_worker', 'worker'); SELECT syncmaster_set_owner('app')");
is( $node->safe_psql('squatter', q{SELECT role, service FROM syncmaster_privileges()
		WHERE state = 'granted'}),
	'sm_worker|worker', 'services are granted after the fix');
$node->safe_psql('squatter', q{
	SELECT syncmaster_revoke('sm_worker', 'worker');
	DROP SCHEMA syncmaster_history CASCADE;
	ALTER SCHEMA syncmaster_history_other RENAME TO syncmaster_history;
	ALTER SCHEMA syncmaster_history OWNER TO app});
(undef, undef, $stderr) =
  $node->psql('squatter', "SELECT syncmaster_grant('sm_worker', 'worker')");
like($stderr,
	qr/ERROR:  table "syncmaster_history.service" is not trusted to tell who has which service/,
	'nothing is written down beside it');
like($stderr, qr/HINT:  Run SELECT public.syncmaster_set_owner\('app'\), and then/, '... and what helps is said');
(undef, undef, $stderr) = $node->psql('squatter', "$fixes \\gexec");
like($stderr,
	qr/NOTICE:  table "syncmaster_history.service" is dropped, as it is not trusted/,
	'another owner does not take it over');
$node->safe_psql('squatter', "SELECT syncmaster_upgrade('head')");
is(strangers_rights(), '', 'and grants nothing of it');
$node->safe_psql('postgres', 'REVOKE CREATE ON DATABASE squatter FROM mallory');
$node->safe_psql('squatter',
	join ';', map { "SELECT syncmaster_grant('sm_$_', '$_')" } @services);
granted_is('squatter', 'after the stranger');
# Nor does the tables' owner speak for somebody else's table.
$node->safe_psql('squatter',
	'ALTER TABLE run OWNER TO dba; REVOKE SELECT ON run FROM sm_worker');
(undef, undef, $stderr) = $node->psql('squatter', "SELECT syncmaster_upgrade('head')");
like($stderr,
	qr/WARNING:  the services' rights on table "run" are left as they are/,
	"a table of another role is left alone");
is( $node->safe_psql('squatter', q{SELECT has_table_privilege('sm_worker', 'run', 'SELECT')}),
	'f', 'and nothing on it is granted');

# Somebody was there even before the extension.
$node->safe_psql('postgres',
	'CREATE DATABASE early; GRANT CREATE ON DATABASE early TO mallory');
$node->safe_psql(
	'early', q{
	CREATE SCHEMA syncmaster_history;
	CREATE TABLE syncmaster_history.service (server bool, scheduler bool);
	GRANT SELECT (server, scheduler) ON syncmaster_history.service TO mallory},
	extra_params => [ '-U', 'mallory' ]);
(undef, undef, $stderr) = $node->psql('early', 'CREATE EXTENSION syncmaster');
like($stderr,
	qr/ERROR:  schema "syncmaster_history" belongs to role "mallory"/,
	'what a stranger made before the extension is not taken over');

# A relation that is no table is not handed over.
$node->safe_psql('early', q{
	DROP SCHEMA syncmaster_history CASCADE;
	CREATE EXTENSION syncmaster;
	GRANT USAGE, CREATE ON SCHEMA public TO app;
	CREATE VIEW syncmaster_history.service AS SELECT true AS server});
(undef, undef, $stderr) =
  $node->psql('early', "SELECT syncmaster_set_owner('app')");
like($stderr, qr/ERROR:  relation "syncmaster_history.service" is not a table/,
	'a view in its place');
$node->safe_psql('early', 'DROP VIEW syncmaster_history.service');
$node->safe_psql('early', "SELECT syncmaster_set_owner('app')");
$node->safe_psql('early', "SELECT syncmaster_grant('sm_worker', 'worker')");
is( $node->safe_psql('early', q{SELECT role, service FROM syncmaster_privileges()
		WHERE state = 'granted'}),
	'sm_worker|worker', 'a schema that was handed over');

# Without a record of migrations, an owner who is no superuser hands over the
# schema, too.
$node->safe_psql('postgres', 'CREATE DATABASE handed OWNER dba; GRANT app TO dba');
$node->safe_psql('handed', 'GRANT ALL ON SCHEMA public TO app, dba');
$node->safe_psql(
	'handed', q{CREATE EXTENSION syncmaster; DROP TABLE syncmaster_history.migration;
	SELECT syncmaster_grant('sm_worker', 'worker')}, extra_params => [ '-U', 'dba' ]);
$node->safe_psql('handed', q{SELECT syncmaster_set_owner('app')},
	extra_params => [ '-U', 'dba' ]);
is( $node->safe_psql(
		'handed', q{SELECT nspname, nspowner::regrole FROM pg_namespace
			WHERE nspname = 'syncmaster_history'
			UNION ALL SELECT relname, relowner::regrole FROM pg_class
			WHERE relname = 'service' ORDER BY 1}),
	"service|app\nsyncmaster_history|app",
	'a schema with services alone is handed over');
$node->safe_psql('postgres', 'REVOKE app FROM dba');

# The owner of the database is not the owner of what is in the tables.
$node->safe_psql('postgres', 'ALTER DATABASE source OWNER TO mallory');
$node->safe_psql('source',
	'GRANT EXECUTE ON FUNCTION syncmaster_grant TO mallory');
(undef, undef, $stderr) = $node->psql('source',
	"SELECT syncmaster_grant('mallory', 'server')",
	extra_params => [ '-U', 'mallory' ]);
like($stderr, qr/role "mallory" may not hand out rights on the tables of role "app"/,
	'the owner of the database cannot grant himself what is in the tables');

# DROP OWNED BY leaves neither rights nor a service.
$node->safe_psql('restored_sql', 'DROP OWNED BY sm_server');
is( $node->safe_psql(
		'restored_sql',
		q{SELECT role, object_name FROM syncmaster_privileges() ORDER BY 1}),
	$granted =~ s/sm_server.*\n//r,
	'DROP OWNED BY takes the service, too');

# Planted functions are not called, whatever the owner of the tables makes.
$node->safe_psql(
	'source', q{
	CREATE FUNCTION public.has_table_privilege(text, text) RETURNS bool
		LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $x$planted$x$; END';
	CREATE FUNCTION public.aclexplode(aclitem[]) RETURNS SETOF text
		LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $x$planted$x$; END'},
	extra_params => [ '-U', 'app' ]);
is( $node->safe_psql(
		'source', q{SET search_path = public, pg_catalog;
		SELECT count(*) FROM syncmaster_privileges() WHERE state = 'granted'}),
	4,
	'functions in the schema do not matter');

# What another role granted is no service's: it may be taken away again.
$node->safe_psql('source', q{
	CREATE ROLE lender; CREATE ROLE newcomer;
	GRANT USAGE ON SCHEMA public TO lender;
	GRANT SELECT ON run TO lender WITH GRANT OPTION;
	SET ROLE lender;
	GRANT SELECT ON run TO newcomer;
	RESET ROLE;
	SELECT syncmaster_grant('newcomer', 'worker');
	REVOKE ALL ON run FROM lender CASCADE});
is($node->safe_psql('source', q{SELECT has_table_privilege('newcomer', 'run', 'SELECT')}),
	't', 'a service has its rights from the owner, too');

# Nor is what somebody handed on who has a service with the right to grant it.
$node->safe_psql('source', q{
	CREATE ROLE heir;
	GRANT USAGE ON SCHEMA syncmaster_history TO lender;
	GRANT SELECT (worker) ON syncmaster_history.service TO lender WITH GRANT OPTION;
	SET ROLE lender;
	GRANT SELECT (worker) ON syncmaster_history.service TO heir;
	RESET ROLE});
is($node->safe_psql('source', q{SELECT role FROM syncmaster_privileges()
		WHERE object_type = 'service' AND role IN ('heir', 'lender')}),
	'lender', 'a service that another role handed on is none');
$node->safe_psql('source', 'REVOKE SELECT (worker) ON syncmaster_history.service FROM lender CASCADE');

# A schema stays open to a role that may use something else in it.
foreach my $case (
	[ 'nothing', '', '', 0 ],
	[ 'a function', 'CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS $$SELECT 1$$;
		GRANT EXECUTE ON FUNCTION public.own() TO newcomer', 'DROP FUNCTION public.own()', 1 ],
	[ 'a type', q{CREATE TYPE public.own AS ENUM ('a'); GRANT USAGE ON TYPE public.own TO newcomer},
		'DROP TYPE public.own', 1 ],
	[ 'a table', 'CREATE TABLE public.own (); GRANT SELECT ON public.own TO newcomer',
		'DROP TABLE public.own', 1 ])
{
	my ($what, $make, $drop, $stays) = @$case;
	$node->safe_psql('source', "SELECT syncmaster_grant('newcomer', 'worker'); $make;
		SELECT syncmaster_revoke('newcomer', 'worker')");
	is( $node->safe_psql('source', q{SELECT count(*) FROM pg_namespace, aclexplode(nspacl)
			WHERE nspname = 'public' AND grantee = 'newcomer'::regrole}),
		$stays, "with $what left in the schema");
	$node->safe_psql('source', "$drop; REVOKE USAGE ON SCHEMA public FROM newcomer");
}

$node->stop;

done_testing();
