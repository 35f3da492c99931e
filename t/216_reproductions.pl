# Ways to gain rights that were found by attacking the extension, as they were tried:
# with the same roles, objects and commands.  t/214_trust.pl and t/215_trust_guards.pl
# have the rule that they broke, place by place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('reproductions');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{
	CREATE ROLE dba LOGIN;
	CREATE ROLE mallory LOGIN});

# Run as a role; the notices and errors of it.
sub run_as
{
	my ($role, $db, $sql) = @_;
	my (undef, $out, $err) = $node->psql($db, $sql, on_error_stop => 1, extra_params => [ '-U', $role ]);
	return $err;
}

sub runs
{
	my ($role, $db, $sql, $name) = @_;
	unlike(run_as($role, $db, $sql), qr/ERROR/, $name);
	return;
}

# What a superuser is told beforehand, by each of the reports.
sub reported
{
	my ($db, $pattern, $name, @reports) = @_;
	foreach my $report (@reports)
	{
		like($node->safe_psql($db, "SELECT f FROM syncmaster_$report() f"), $pattern, "$name: $report() says so");
	}
	return;
}

sub nobody_gained
{
	my ($name) = @_;
	is($node->safe_psql('postgres', 'SELECT string_agg(rolname, \' \') FROM pg_roles WHERE rolsuper'),
		$superuser, "$name: nobody gains rights");
	$node->safe_psql('postgres', 'ALTER ROLE dba NOSUPERUSER; ALTER ROLE mallory NOSUPERUSER');
	return;
}

# What is planted calls a function that is harmless until the plant is in its place.
my $planted = q{
	CREATE FUNCTION act() RETURNS void LANGUAGE sql AS '';
	CREATE FUNCTION pol(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN PERFORM public.act(); RETURN true; END $$;
	CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM public.act(); RETURN NULL; END $$;
};
my $armed = q{
	CREATE OR REPLACE FUNCTION act() RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
				EXECUTE format('ALTER ROLE %I SUPERUSER', (SELECT proowner::regrole
					FROM pg_proc WHERE proname = 'pol'));
			END IF;
		END $$;
};

# ---------------------------------------------------------------------------
# A repair beside a table of another role

# SyncMaster's tables, which belong to the superuser, as Alembic would have left them.
$node->safe_psql('postgres', 'CREATE DATABASE tables');
$node->safe_psql('tables', q{
	CREATE EXTENSION syncmaster VERSION '1.11';
	DROP EXTENSION syncmaster;
	DROP SCHEMA syncmaster_history CASCADE});

my $number = 0;
foreach my $case (
	[ 'an index', 'dba', q{CREATE INDEX ON celery_taskmeta (status) WHERE public.pol('x')} ],
	[ 'an index without a primary key', 'mallory', q{ALTER TABLE celery_taskmeta DROP CONSTRAINT celery_taskmeta_pkey;
		CREATE INDEX ON celery_taskmeta (status) WHERE public.pol('x')} ],
	[ 'a policy', 'dba', q{ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		CREATE POLICY p ON celery_taskmeta USING (public.pol('x'))} ])
{
	my ($kind, $planter, $plant) = @$case;
	my $db = 'repair_' . ++$number;
	my $name = "$kind of $planter\'s";
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE tables OWNER dba");

	# the owner of the database, who drops a table, or a role with CREATE
	$node->safe_psql($db, $planter eq 'dba' ? 'ALTER SCHEMA public OWNER TO dba'
		: 'DROP TABLE celery_taskmeta; GRANT CREATE ON SCHEMA public TO mallory');
	runs($planter, $db, ($planter eq 'dba' ? 'DROP TABLE celery_taskmeta;' : '') . "$planted
		CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE,
			status varchar(50), result bytea, date_done timestamp, traceback text,
			name varchar(155), args bytea, kwargs bytea, worker varchar(155),
			retries integer, queue varchar(155));
		$plant;
		INSERT INTO celery_taskmeta (id) VALUES (50);
		$armed", "$name: is planted");
	run_as($superuser, $db, q{CREATE EXTENSION syncmaster VERSION '1.11'; SELECT syncmaster_upgrade('head')});
	reported($db, qr/celery_taskmeta\W.*$planter|$planter.*celery_taskmeta\W/, $name, qw(check privileges));
	run_as($superuser, $db, 'SELECT * FROM syncmaster_repair(false)');
	is($node->safe_psql($db, 'SELECT last_value FROM task_id_sequence'), '50',
		"$name: the sequence is repaired without a query");
	nobody_gained($name);
}

# A foreign key is added, and validated, by a query on the table that it refers to.
my $drop = 'ALTER TABLE queue DROP CONSTRAINT fk__queue__group_id__group';
foreach my $case (
	[ 'referred', 'a foreign key', 'added', $drop ],
	[ 'validated', 'a foreign key that is not valid', 'validated', "$drop, ADD CONSTRAINT fk__queue__group_id__group
		FOREIGN KEY (group_id) REFERENCES \"group\" (id) ON DELETE CASCADE NOT VALID" ])
{
	my ($db, $name, $done, $change) = @$case;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE tables");
	$node->safe_psql($db, qq{
		ALTER TABLE "group" OWNER TO mallory;
		GRANT CREATE ON SCHEMA public TO mallory;
		GRANT SELECT ON "group" TO PUBLIC;
		$change});
	runs('mallory', $db, $planted . q{CREATE INDEX ON "group" (name) WHERE public.pol('x');} . $armed,
		"$name: is planted");
	run_as($superuser, $db, q{CREATE EXTENSION syncmaster VERSION '1.11'});
	run_as($superuser, $db, q{SELECT syncmaster_upgrade('head')});
	like(
		$node->safe_psql($db, q{SELECT action, why FROM syncmaster_repair(false)
			WHERE object_name = 'queue.fk__queue__group_id__group'}),
		qr/^left\|table "group" is not trusted by role "\Q$superuser\E": It belongs to role "mallory"/,
		"a foreign key to a table of another role is not $done");
	nobody_gained($name);
}

# ---------------------------------------------------------------------------
# A record of migrations, and a version, that somebody else made first

my $record = q{
	CREATE SCHEMA syncmaster_history;
	CREATE TABLE syncmaster_history.migration (
		applied_at timestamptz NOT NULL, schema_name name NOT NULL, from_revision text,
		to_revision text, applied_by name NOT NULL, duration interval NOT NULL,
		library_version text NOT NULL, CHECK (public.pol(to_revision)));};
foreach my $first ('record', 'extension')
{
	my $db = "first_$first";
	my $name = "a record, the $first first";
	$node->safe_psql('postgres', "CREATE DATABASE $db; GRANT CREATE ON DATABASE $db TO mallory");
	$node->safe_psql($db, 'GRANT CREATE ON SCHEMA public TO mallory');
	$node->safe_psql($db, q{CREATE EXTENSION syncmaster VERSION '1.12'; DROP SCHEMA syncmaster_history CASCADE})
	  if $first eq 'extension';
	runs('mallory', $db, $planted . $record . $armed, "$name: is planted");
	if ($first eq 'record')
	{
		like(run_as($superuser, $db, q{CREATE EXTENSION syncmaster VERSION '1.12'}),
			qr/ERROR:  schema "syncmaster_history" belongs to role "mallory"/, "$name: CREATE EXTENSION");
		nobody_gained("$name: CREATE EXTENSION");
		next;
	}
	reported($db, qr/syncmaster_history.*mallory|mallory.*syncmaster_history/, $name, qw(check preflight privileges));
	foreach my $owner ($superuser, 'dba')
	{
		$node->safe_psql($db, 'GRANT CREATE ON SCHEMA public TO dba');
		like(run_as($superuser, $db, "SELECT syncmaster_set_owner('$owner')"),
			qr/ERROR:  (?:schema|table) "syncmaster_history\S*" belongs to role "mallory"/, "$name: set_owner('$owner')");
	}
	like(run_as($superuser, $db, q{SELECT syncmaster_upgrade('head')}),
		qr/ERROR:  (?:schema|table) "syncmaster_history\S*" belongs to role "mallory"/, "$name: upgrade()");
	nobody_gained($name);

	# The schema alone: the next migration would make the table for its owner.
	foreach my $tables ('', 'CREATE TABLE service ()')
	{
		$name = "the schema of the record with '$tables'";
		$node->safe_psql($db, 'DROP SCHEMA syncmaster_history CASCADE');
		runs('mallory', $db, "CREATE SCHEMA syncmaster_history $tables", "$name: is planted");
		reported($db, qr/schema\W+syncmaster_history\W+belongs to role\W+mallory|mallory,,schema,syncmaster_history,OWNER/,
			$name, qw(check preflight privileges));
		foreach my $call (q{upgrade('head')}, "set_owner('$superuser')", "set_owner('dba')", q{grant('dba', 'worker')})
		{
			like(run_as($superuser, $db, "SELECT syncmaster_$call"),
				qr/ERROR:  schema "syncmaster_history" belongs to role "mallory"/, "$name: $call");
		}
		is($node->safe_psql($db, q{SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'syncmaster_history'}),
			'mallory', "$name: is not taken over");
	}
}

# The record that somebody makes while set_owner() waits for a table.
{
	my $db = 'first_extension';
	my $name = 'a record that is made meanwhile';
	$node->safe_psql($db, 'DROP SCHEMA syncmaster_history CASCADE');
	my $reader = begin_session($node, $db, $superuser, 'BEGIN; LOCK TABLE run IN ACCESS SHARE MODE;');
	my $call = begin_session($node, $db, $superuser, q{SELECT syncmaster_set_owner('dba');},
		nowait => 1, application => 'call');
	$node->poll_query_until($db, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'call' AND wait_event_type = 'Lock'})
	  or die 'set_owner does not wait';
	runs('mallory', $db, $record =~ s/, CHECK .*?\)\)\)/)/sr, "$name: is planted");
	in_session($reader, 'COMMIT;');
	wait_for_session($call);
	like(end_session($call), qr/ERROR:  schema "syncmaster_history" belongs to role "mallory"/, "$name: set_owner('dba')");
	end_session($reader);
	my $owners = q{SELECT nspowner::regrole, (SELECT relowner::regrole FROM pg_class WHERE relname = 'migration'),
		'run'::regclass::oid IN (SELECT oid FROM pg_class WHERE relowner = 'dba'::regrole)
		FROM pg_namespace WHERE nspname = 'syncmaster_history'};
	is($node->safe_psql($db, $owners), 'mallory|mallory|f', "$name: nothing is handed over");

	# What the new owner has already is not handed over.
	$node->safe_psql($db, q{ALTER SCHEMA syncmaster_history OWNER TO dba;
		ALTER TABLE syncmaster_history.migration OWNER TO dba;
		SELECT syncmaster_set_owner('dba')});
	is($node->safe_psql($db, $owners), 'dba|dba|t', 'the record may belong to the new owner');
}

# The version of tables that are there, made again by somebody else, with a CHECK.
{
	$node->safe_psql('postgres', 'CREATE DATABASE version');
	$node->safe_psql('version', q{
		CREATE EXTENSION syncmaster VERSION '1.12';
		GRANT CREATE ON SCHEMA public TO mallory;
		DROP TABLE alembic_version});
	runs('mallory', 'version', $planted . q{
		CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY CHECK (public.pol(version_num)));
		INSERT INTO alembic_version VALUES ('0012');} . $armed, 'a version: is planted');
	reported('version', qr/alembic_version.*mallory|mallory.*alembic_version/, 'a version', qw(check privileges));
	$node->safe_psql('version', 'DROP TABLE apscheduler_jobs');
	like(run_as($superuser, 'version', "SELECT syncmaster_set_owner('$superuser')"),
		qr/ERROR:  constraint "\S+" of table "alembic_version" may run another role's code/, 'a version: set_owner()');
	foreach my $call (q{upgrade('head')}, 'repair(false)', q{stamp('0013')}, q{downgrade('0012')})
	{
		unlike(run_as($superuser, 'version', "SELECT * FROM syncmaster_$call"),
			qr/ERROR|HINT:.*syncmaster_set_owner/, "a version: $call does not hint at set_owner()");
		nobody_gained("a version: $call");
	}
	is( $node->safe_psql('version', q{SELECT relname FROM pg_class
			WHERE relowner = 'mallory'::regrole AND relkind = 'r'}),
		'alembic_version', 'a version: whoever made it gets no other table');
}

# ---------------------------------------------------------------------------
# Triggers of a role that has TRIGGER, and no more

my %calls = (
	run => [ q{CALL syncmaster_purge_runs('0')}, 'SELECT * FROM syncmaster_end_runs(older_than => \'0\')' ],
	celery_taskmeta => [ q{CALL syncmaster_purge_task_results('0')} ],
	auth_data => [ 'SELECT * FROM syncmaster_rotate_credentials()' ],
	alembic_version => [ q{SELECT syncmaster_downgrade('0012')}, q{SELECT syncmaster_stamp('0012', false)} ],
	'syncmaster_history.migration' => [ q{SELECT syncmaster_downgrade('0012')} ],
	'"user"' => [ q{SELECT * FROM syncmaster_add_superusers('u')} ]);
my $refint = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_available_extensions WHERE name = 'refint'});
write_keys($node, 'one.key', $KEY{one});
write_keys($node, 'two.key', $KEY{two});
$node->safe_psql('postgres', 'CREATE DATABASE triggers');
$node->safe_psql('triggers', 'CREATE EXTENSION syncmaster; GRANT CREATE ON SCHEMA public TO mallory');
$node->safe_psql('triggers', use_keys('one.key') . q{
	INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', false, true);
	INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
	INSERT INTO queue (name, slug, description, group_id) VALUES ('q', 'q', '', 1);
	INSERT INTO connection (group_id, name, description, type, data) VALUES (1, 'c', '', 't', '{}');
	INSERT INTO auth_data (connection_id, value) VALUES (1, syncmaster_encrypt('{}'));
	INSERT INTO transfer (group_id, name, source_connection_id, target_connection_id,
		description, strategy_params, source_params, target_params, transformations, resources,
		is_scheduled, queue_id, schedule)
	VALUES (1, 't', 1, 1, '', '{}', '{}', '{}', '[]', '{}', false, 1, '');
	INSERT INTO run (transfer_id, type, status, transfer_dump, created_at)
	SELECT 1, 'MANUAL', s, '{}', '2001-01-01' FROM unnest('{FINISHED, STARTED}'::text[]) s;
	INSERT INTO celery_taskmeta (id, task_id, status, date_done) VALUES (1, 1, 'SUCCESS', '2001-01-01')});
$node->safe_psql('triggers', 'CREATE EXTENSION refint') if $refint;
runs('mallory', 'triggers', $planted . $armed . 'CREATE TABLE one AS SELECT 1 AS a', 'TRIGGER: is planted');

# The arguments of contrib's function are names that it pastes into SQL of its own:
# columns, then a table and its columns.
my $code = q{'%s', 'public.one WHERE public.pol(''x'') --', 'a'};
my %column = ('"user"' => 'id', auth_data => 'connection_id', alembic_version => 'version_num',
	'syncmaster_history.migration' => 'to_revision');
my @functions = (
	[ 'ROW', 'fire()' ], [ 'STATEMENT', 'fire()' ],
	[ 'ROW', "check_foreign_key(1, 'cascade', $code)" ]);
pop @functions if !$refint;
foreach my $table (sort keys %calls)
{
	my $grant = "GRANT TRIGGER ON $table TO mallory; GRANT USAGE ON SCHEMA syncmaster_history TO mallory";

	foreach my $trigger (@functions)
	{
		my ($level, $function) = ($trigger->[0], sprintf $trigger->[1], $column{$table} // 'id');
		my $name = $function =~ s/\(.*//r . "() for each $level of $table";
		my @of_table = @{ $calls{$table} };
		my $err = run_as($superuser, 'triggers', "\\set ON_ERROR_STOP off\n"
			  . use_keys('two.key', 'one.key') . "$grant; SET ROLE mallory;
			CREATE TRIGGER planted AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH $level
				EXECUTE FUNCTION public.$function;
			RESET ROLE;
			" . join('; ', @of_table) . "; DROP TRIGGER planted ON $table; REVOKE ALL ON $table FROM mallory");
		is(join(' ', $err =~ /ERROR:  (.*?)( of table)/g),
			join(' ', ('trigger "planted"  of table') x @of_table), "$name: each command refuses it") or diag $err;
		nobody_gained($name);
	}
}

# The arguments do what is said of them, where nobody asks.
if ($refint)
{
	$node->safe_psql('triggers', "CREATE TRIGGER planted AFTER DELETE ON celery_taskmeta FOR EACH ROW
		EXECUTE FUNCTION check_foreign_key(1, 'cascade', " . sprintf($code, 'id') . ')');
	run_as($superuser, 'triggers', 'DELETE FROM celery_taskmeta');
	is($node->safe_psql('triggers', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}),
		't', 'the arguments of check_foreign_key() are code');
	$node->safe_psql('triggers', 'ALTER ROLE mallory NOSUPERUSER');
}

# An argument that names a column, whose numbers say which large objects to delete.
SKIP:
{
	skip 'lo is not installed', 2
	  if !$node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'lo'});
	$node->safe_psql('triggers', q{
		DROP TRIGGER IF EXISTS planted ON celery_taskmeta;
		CREATE EXTENSION lo;
		SELECT lo_create(77777);
		GRANT INSERT, TRIGGER ON celery_taskmeta TO mallory;
		SET ROLE mallory;
		INSERT INTO celery_taskmeta (id, task_id, date_done) VALUES (3, 77777, '2001-01-01');
		CREATE TRIGGER t AFTER DELETE ON celery_taskmeta FOR EACH ROW EXECUTE FUNCTION lo_manage(task_id)});
	like(run_as($superuser, 'triggers', q{CALL syncmaster_purge_task_results('0')}),
		qr/ERROR:  trigger "t" of table "celery_taskmeta" may run another role's code/,
		'lo_manage(): a purge is refused');
	is($node->safe_psql('triggers', 'SELECT count(*) FROM pg_largeobject_metadata'),
		'1', '... and deletes no large object');
	$node->safe_psql('triggers', q{DROP TRIGGER t ON celery_taskmeta;
		REVOKE INSERT, TRIGGER ON celery_taskmeta FROM mallory; DELETE FROM celery_taskmeta WHERE id = 3});
}

# ---------------------------------------------------------------------------
# A rule that does nothing, and a condition that does

SKIP:
{
	skip 'tablefunc is not installed', 6
	  if !$node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'tablefunc'});
	$node->safe_psql('triggers', q{
		CREATE EXTENSION tablefunc;
		INSERT INTO celery_taskmeta (id, task_id, date_done) VALUES (2, 2, '2001-01-01');
		ALTER TABLE celery_taskmeta OWNER TO mallory});
	runs('mallory', 'triggers', q{CREATE RULE r AS ON DELETE TO celery_taskmeta WHERE EXISTS (
			SELECT FROM crosstab('SELECT public.pol(''x'')::text, ''a''::text, ''b''::text')
				AS t(a text, b text)) DO INSTEAD NOTHING}, 'a condition: is planted');
	$node->safe_psql('triggers', qq{ALTER TABLE celery_taskmeta OWNER TO "$superuser"});
	reported('triggers', qr/rule.*celery_taskmeta/, 'a condition', 'check');
	like(run_as($superuser, 'triggers', q{CALL syncmaster_purge_task_results('0')}),
		qr/ERROR:  rule "r" of table "celery_taskmeta" may run another role's code/, 'a condition: a purge is refused');
	nobody_gained('a condition');
	unlike(run_as($superuser, 'triggers', 'DROP TRIGGER IF EXISTS planted ON celery_taskmeta; DELETE FROM celery_taskmeta'),
		qr/ERROR/, 'a DELETE without the extension is not');
	is($node->safe_psql('triggers', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}),
		't', '... and mallory becomes a superuser');
}

$node->stop;
done_testing();
