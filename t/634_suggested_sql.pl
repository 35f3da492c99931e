# SQL that the reports give to a superuser, run as it is: none of it is refused, none
# of it runs another role's code with the superuser's rights, and all services keep
# their rights.  t/320_check.pl has what syncmaster_check() says of damaged tables.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('suggested');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $major = $node->safe_psql('postgres', q{SELECT current_setting('server_version_num')::int / 10000});

# What a superuser is told, and all of it that fails when it is run.
sub told
{
	my ($db, $report) = @_;
	return $node->safe_psql($db, "SELECT fix FROM syncmaster_$report() WHERE fix IS NOT NULL");
}

sub run_all
{
	my ($db, $report) = @_;
	(undef) = $node->psql($db, "SELECT fix FROM $report WHERE fix IS NOT NULL\n\\gexec\n");
	return;
}

sub superusers
{
	return $node->safe_psql('postgres', 'SELECT rolname FROM pg_roles WHERE rolsuper ORDER BY 1');
}

# ---------------------------------------------------------------------------
# A table that comes to the superuser, with code of its former owner

# becomes superuser as soon as a superuser calls it
my $grasp = q{CREATE FUNCTION grasp(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
			EXECUTE format('ALTER ROLE %I SUPERUSER', (SELECT proowner::regrole FROM pg_catalog.pg_proc
				WHERE proname = 'grasp'));
		END IF;
		RETURN true;
	END $$};
$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN; CREATE ROLE dull LOGIN; CREATE DATABASE tables');
$node->safe_psql('tables', q{CREATE EXTENSION syncmaster; GRANT CREATE ON SCHEMA public TO mallory, dull});

# How the table of a role that made it itself comes to be.
my $celery = q{CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE,
	status varchar(50), result bytea, date_done timestamp, traceback text, name varchar(155),
	args bytea, kwargs bytea, worker varchar(155), retries integer, queue varchar(155));
	INSERT INTO celery_taskmeta (id, status) SELECT n, 'x' FROM generate_series(1, 100) n};
my $number = 0;
foreach my $case (
	[ 'an index', q{CREATE INDEX ON celery_taskmeta (grasp(status))} ],
	[ 'a predicate', q{CREATE INDEX ON celery_taskmeta (status) WHERE grasp(status)} ],
	(map { [ 'statistics', q{CREATE STATISTICS s ON (grasp(status)), status FROM celery_taskmeta} ] }
			grep { $major >= 14 } 1),
	[ 'a policy', q{ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		CREATE POLICY p ON celery_taskmeta USING (grasp(status))} ],
	[ 'a CHECK', q{ALTER TABLE celery_taskmeta ADD CHECK (grasp(status))} ],
	[ 'a trigger', q{CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM grasp(NULL); RETURN new; END';
		CREATE TRIGGER t BEFORE INSERT ON celery_taskmeta FOR EACH ROW EXECUTE FUNCTION fire()} ],
	[ 'a rule', q{CREATE RULE r AS ON INSERT TO celery_taskmeta DO ALSO SELECT grasp(NULL)} ],
	[ 'nothing', '' ])
{
	my ($kind, $plant) = @$case;
	my $role = $plant eq '' ? 'dull' : 'mallory';
	my $db = 'given_' . ++$number;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE tables");
	$node->safe_psql($db, "DROP TABLE celery_taskmeta; SET SESSION AUTHORIZATION $role; $grasp; $celery; $plant");

	my $hands_over = qr/ALTER TABLE public\.celery_taskmeta OWNER TO \Q$superuser\E/;
	foreach my $report (qw(privileges check))
	{
		if ($plant eq '')
		{
			like(told($db, $report), $hands_over, "$kind: $report() has the table handed over");
			next;
		}
		unlike(told($db, $report), $hands_over, "$kind: $report() does not have the table handed over");
		like($node->safe_psql($db, "SELECT f FROM syncmaster_$report() f"),
			qr/role ""\Q$superuser\E"" gets no SQL for it, as \w+(?: object)? ""\w+"" of table ""celery_taskmeta"" may run another role's code: drop or change that first[^,]/,
			"$kind: ... and says why");
	}
	run_all($db, "syncmaster_$_()") foreach qw(privileges check privileges check);
	my $given = $node->safe_psql($db, q{SELECT tableowner FROM pg_tables WHERE tablename = 'celery_taskmeta'}) eq $superuser;
	$node->psql($db, $_) foreach $given ? ('ANALYZE', 'VACUUM FULL celery_taskmeta', 'TABLE celery_taskmeta',
		q{INSERT INTO celery_taskmeta (id, status) VALUES (0, 'x')}, 'REINDEX TABLE celery_taskmeta') : ();
	is(superusers(), $superuser, "$kind: nobody becomes superuser");
	$node->safe_psql('postgres', 'ALTER ROLE mallory NOSUPERUSER');
	is($node->safe_psql($db, 'SET row_security = off; SELECT count(*) >= 100 FROM celery_taskmeta'), 't',
		"$kind: no row is lost");
}

# The hint of an error: a foreign key to the table is about to be made.
$node->safe_psql('tables', qq{
	SET syncmaster.allow_destroy = on;
	SELECT syncmaster_downgrade('0002');
	ALTER TABLE "group" OWNER TO mallory;
	SET SESSION AUTHORIZATION mallory; $grasp});
foreach my $case ([ '', qr/HINT:  If it is to be trusted, run ALTER TABLE public\."group" OWNER TO \Q$superuser\E,/ ],
	[ 'CREATE INDEX ON "group" (grasp(name));', qr/HINT:  It cannot be given to role "\Q$superuser\E" either, as index "group_grasp_idx" of table "group" may run another role's code\. Drop or change that, give the table to that role, and run the command again\./ ])
{
	my ($plant, $hint) = @$case;
	my (undef, undef, $err) = $node->psql('tables', "SET SESSION AUTHORIZATION mallory; $plant
		RESET SESSION AUTHORIZATION; SELECT syncmaster_upgrade('head')");
	like($err, qr/table "group" is not trusted by role "\Q$superuser\E"/, 'a table of another role is refused');
	like($err, $hint, $plant eq '' ? '... and may be handed over' : '... but not with code of that role');
}

# Whose another table is does not matter, only what it can call.
$node->safe_psql('postgres', 'CREATE DATABASE former; CREATE ROLE former');
$node->safe_psql('former', q{CREATE EXTENSION syncmaster;
	ALTER TABLE transfer OWNER TO former; ALTER TABLE run OWNER TO former});
is( $node->safe_psql('former', q{SELECT object_name, fix FROM syncmaster_check() WHERE problem = 'has another owner than the other tables' ORDER BY 1}),
	join("\n", map { "$_|ALTER TABLE public.$_ OWNER TO $superuser" } qw(run transfer)), 'tables that refer to each other are given back');

# Hints about what another role's tables call are of the same kind.
$node->safe_psql('former', qq{GRANT CREATE ON SCHEMA public TO mallory; GRANT SELECT ON run TO mallory;
	SET SESSION AUTHORIZATION mallory; $grasp});
foreach my $case ([ 'CREATE INDEX ON mine (grasp(status))', 0 ], [ 'SELECT', 1 ])
{
	my ($plant, $given) = @$case;
	my $hints = $node->safe_psql('former', qq{BEGIN;
		ALTER TABLE run RENAME TO parts;
		SET LOCAL SESSION AUTHORIZATION mallory;
		CREATE TABLE mine (LIKE parts); $plant;
		RESET SESSION AUTHORIZATION;
		CREATE TABLE run (LIKE parts INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		ALTER TABLE mine ALTER id SET NOT NULL;
		ALTER TABLE run ATTACH PARTITION mine FOR VALUES FROM (1) TO (100);
		SELECT concat(detail, hint) FROM syncmaster_preflight('head') WHERE detail ~ 'table "mine"'});
	like($hints, qr/table "mine" is not trusted/, "$plant: preflight tells of the partition");
	is($hints =~ /ALTER TABLE public.mine OWNER TO/ ? 1 : 0, $given, '... and says whether to take it over');
}

# Whoever may call a SECURITY DEFINER function would have the rights of a superuser who took it.
$node->safe_psql('former', q{GRANT TRIGGER ON alembic_version TO mallory; SET SESSION AUTHORIZATION mallory;
	CREATE FUNCTION deep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
	CREATE TRIGGER deep BEFORE UPDATE ON alembic_version FOR EACH ROW EXECUTE FUNCTION deep()});
foreach my $case ([ 'INVOKER', qr/, run ALTER FUNCTION public\.deep\(\) OWNER TO \Q$superuser\E,/ ],
	[ 'DEFINER', qr/HINT:  Drop it with DROP TRIGGER deep ON public\.alembic_version, and run the command again/ ])
{
	my ($security, $hint) = @$case;
	my (undef, undef, $err) = $node->psql('former', "ALTER FUNCTION deep() SECURITY $security; SELECT syncmaster_stamp('0012', false)");
	like($err, $hint, "SECURITY $security: the hint of an error");
}

# ---------------------------------------------------------------------------
# Odd names, and privileges that others have granted

# A name that is no identifier without quotes, and of which some characters mean
# something to format() or in a literal.
sub name
{
	my ($what) = @_;
	return qq{"$what O'd""d %s \\ -- Q"};
}

sub literal
{
	my ($what) = @_;
	return q{'} . (name($what) =~ s/^"|"$//gr =~ s/""/"/gr =~ s/'/''/gr) . q{'};
}

my ($schema, $mal, $second) = (q{"Schema %s; Q"}, name("mal"), name("second"));
$node->safe_psql('postgres', 'CREATE DATABASE odd; CREATE ROLE app; CREATE ROLE ' . name('admin') . ' SUPERUSER'
	  . join '', map { '; CREATE ROLE ' . name($_) . ' LOGIN' } qw(server scheduler worker mal second));
$node->safe_psql('odd', qq{
	CREATE SCHEMA $schema AUTHORIZATION app;
	CREATE EXTENSION syncmaster SCHEMA $schema;
	SET search_path = $schema;
	SELECT syncmaster_set_owner('app');
	GRANT CREATE, USAGE ON SCHEMA $schema TO $mal;
	GRANT USAGE ON SCHEMA $schema TO $second}
	  . join '', map { '; SELECT syncmaster_grant(' . literal($_) . ", '$_'); "
		  . 'ALTER ROLE ' . name($_) . " IN DATABASE odd SET search_path = $schema" } qw(server scheduler worker));
$node->safe_psql('odd', "SET search_path = $schema; SELECT syncmaster_grant($_, 'worker')")
  foreach (literal('admin'), "'$superuser'");

sub all_services_have_their_rights
{
	my ($name) = @_;
	is( $node->safe_psql('odd', qq{SELECT role, object_name FROM $schema.syncmaster_privileges()
			WHERE state = 'missing'}), '', "$name: no service lacks a right");
	return;
}
all_services_have_their_rights('before');

my @rights = ('GRANT UPDATE (status), TRIGGER ON run', 'GRANT INSERT ON apscheduler_jobs',
	'GRANT EXECUTE ON FUNCTION syncmaster_upgrade(text)',
	'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text), pg_catalog.lo_export(oid, text)',
	($major >= 15 ? 'GRANT ALTER SYSTEM ON PARAMETER archive_command' : ()));
$node->safe_psql('odd', join ';', "SET search_path = $schema", map { "$_ TO $mal WITH GRANT OPTION" } @rights);
$node->safe_psql('odd', join ';', "SET SESSION AUTHORIZATION $mal", "SET search_path = $schema",
	(map { "$_ TO $second" } @rights),
	"CREATE PROCEDURE count(integer) LANGUAGE sql AS 'SELECT 1'",
	"CREATE PROCEDURE lower($second text) LANGUAGE sql AS 'SELECT 1'",
	'CREATE AGGREGATE ts_rank(integer ORDER BY integer) (sfunc = int4pl, stype = integer)',
	'CREATE AGGREGATE now(VARIADIC integer[]) (sfunc = array_cat, stype = integer[])',
	"CREATE TYPE $mal AS (a integer)",
	"CREATE FUNCTION ts_rank_cd($mal) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
	"CREATE FUNCTION nextval(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
	'CREATE OPERATOR - (FUNCTION = nextval, RIGHTARG = integer)',
	"CREATE FUNCTION lower($mal, $mal) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
	"CREATE OPERATOR = (FUNCTION = lower, LEFTARG = $mal, RIGHTARG = $mal)");
$node->safe_psql('odd', qq{
	SET search_path = $schema;
	CREATE FUNCTION fire() RETURNS event_trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			IF tg_event = 'ddl_command_start' THEN RAISE 'fired'; END IF;
		END \$\$;
	CREATE EVENT TRIGGER $mal ON ddl_command_end EXECUTE FUNCTION fire();
	ALTER FUNCTION fire() OWNER TO $mal;
	GRANT EXECUTE ON FUNCTION pg_catalog.lo_import(text) TO app WITH GRANT OPTION;
	SET ROLE app; GRANT EXECUTE ON FUNCTION pg_catalog.lo_import(text) TO $second; RESET ROLE;
	CREATE ROLE member; GRANT $mal TO member WITH ADMIN OPTION;
	CREATE TABLE child () INHERITS (apscheduler_jobs);
	ALTER TABLE child OWNER TO $mal; ALTER TABLE child RENAME TO $second});

my $dangers = $node->safe_psql('odd', "SELECT count(*) FROM $schema.syncmaster_privileges() WHERE state <> 'granted'");
cmp_ok($dangers, '>', 15, 'many privileges are too much');
foreach my $report (qw(check privileges))
{
	my $function = "$schema.syncmaster_$report()";
	my (undef, $out, $err) = $node->psql('odd', "SELECT fix FROM $function WHERE fix IS NOT NULL\n\\gexec\n");
	is(join("\n", grep { /ERROR|WARNING/ } split /\n/, $err), '', "$report: no SQL is refused");
	all_services_have_their_rights($report);
}
is($node->safe_psql('odd', qq{SELECT role, object_type, object_name, privilege, reason FROM $schema.syncmaster_privileges()
		WHERE state <> 'granted'}), '', 'all that was too much is gone');
is($node->safe_psql('odd', qq{SELECT object_type, object_name, problem FROM $schema.syncmaster_check()
		WHERE severity <> 'info'}), '', 'and no difference is left');
is(superusers(), $superuser, 'one superuser is left');

$node->stop;

done_testing();
