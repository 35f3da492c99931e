# syncmaster_privileges() against what roles can really do: in hundreds of random
# graphs of roles, grants and owners, each role tries every SET ROLE and every
# GRANT to itself, and then to write what a service unpickles, to get code of its
# own behind a table, or to replace one.  What succeeds has to be listed as
# dangerous, and nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{SYNCMASTER_ROUNDS} || 200;
my $node = PostgreSQL::Test::Cluster->new('who');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclient_min_messages = warning");
$node->start;

$node->safe_psql('postgres', join ';', 'CREATE ROLE su SUPERUSER',
	map { "CREATE ROLE $_" } qw(app r0 r1 r2 r3 r4 r5 sm_server sm_scheduler sm_worker));
$node->safe_psql(
	'postgres', q{
	REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	GRANT USAGE, CREATE ON SCHEMA public TO app;
	CREATE EXTENSION syncmaster;
	SELECT syncmaster_set_owner('app');
	SELECT syncmaster_grant('sm_server', 'server');
	SELECT syncmaster_grant('sm_scheduler', 'scheduler');
	SELECT syncmaster_grant('sm_worker', 'worker');
	INSERT INTO apscheduler_jobs VALUES ('old', 1, '');
	INSERT INTO celery_taskmeta (id, task_id) VALUES (1, 'old');
	INSERT INTO celery_tasksetmeta (id, taskset_id) VALUES (1, 'old');

	CREATE SCHEMA tries;
	GRANT USAGE, CREATE ON SCHEMA tries TO PUBLIC;
	CREATE FUNCTION tries.nothing() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN RETURN NULL; END';

	-- Does a command succeed?  Its effects stay, or are undone.
	CREATE FUNCTION tries.works(command text, stays boolean) RETURNS boolean
	LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE command;
		IF NOT stays THEN
			RAISE EXCEPTION USING ERRCODE = 'UNDO1';
		END IF;
		RETURN true;
	EXCEPTION
		WHEN SQLSTATE 'UNDO1' THEN
			RETURN true;
		WHEN OTHERS THEN
			RETURN false;
	END $$;

	-- What can a role do, as any of those that it can become?
	CREATE FUNCTION tries.attempts() RETURNS TABLE (letter text, command text)
	LANGUAGE sql AS $$
		VALUES ('s', $c$INSERT INTO public.apscheduler_jobs VALUES ('new', 1, '')$c$),
			('s', $c$UPDATE public.apscheduler_jobs SET job_state = '\x80'$c$),
			('w', $c$INSERT INTO public.celery_taskmeta (id, task_id, result)
				VALUES (2, 'new', '\x80')$c$),
			('w', $c$UPDATE public.celery_taskmeta SET result = '\x80'$c$),
			('w', $c$INSERT INTO public.celery_tasksetmeta (id, taskset_id, result)
				VALUES (2, 'new', '\x80')$c$),
			('w', $c$UPDATE public.celery_tasksetmeta SET result = '\x80'$c$),
			('e', 'ALTER TABLE public.alembic_version SET (fillfactor = 90)'),
			('a', 'ALTER DATABASE postgres SET search_path = tries'),
			('a', 'COPY (SELECT 1) TO PROGRAM ''cat >/dev/null'''),
			('a', 'COPY (SELECT 1) TO ''/dev/null'''),
			('a', 'CREATE TABLE tries.f (t text); COPY tries.f FROM ''/dev/null'''),
			('a', 'DROP TABLE public.apscheduler_jobs;
				CREATE TABLE public.apscheduler_jobs (id text)')
		UNION ALL
		SELECT 'a', format('CREATE TRIGGER t BEFORE INSERT ON %s EXECUTE FUNCTION '
			'tries.nothing()', c.oid::regclass)
		FROM pg_class c
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
		UNION ALL
		SELECT 'a', format('CREATE TABLE tries.r (id %s REFERENCES public.%s (id))',
			type, name)
		FROM (VALUES ('text', 'apscheduler_jobs'), ('bigint', 'run')) t (type, name)
	$$;

	CREATE FUNCTION tries.powers(who name, roles name[]) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		new boolean := current_setting('server_version_num')::int >= 160000;
		attempts text[][] := (SELECT array_agg(ARRAY[a.letter, a.command])
			FROM tries.attempts() a);
		can text := '';
		settable name[];
		role name;
		other name;
		grants text;
		i int;
	BEGIN
		EXECUTE format('SET SESSION AUTHORIZATION %I', who);
		LOOP
			grants := (SELECT string_agg(m::text, ',' ORDER BY m::text)
				FROM pg_auth_members m);
			settable := '{}';
			FOREACH role IN ARRAY roles LOOP
				CONTINUE WHEN NOT tries.works(format('SET ROLE %I', role), true);
				settable := settable || role;
				-- up to 15 only CREATEROLE gains by granting, and entitles to nothing
				IF NOT new AND can !~ '[eE]' AND tries.works(attempts[7][2], false) THEN
					can := can || 'e';
				END IF;
				RESET ROLE;
			END LOOP;
			IF NOT new AND position('E' IN can) = 0 THEN
				can := can || 'E';
				attempts[7][1] := 'E';
			END IF;
			FOREACH role IN ARRAY settable LOOP
				EXECUTE format('SET ROLE %I', role);
				FOREACH other IN ARRAY roles LOOP
					IF other <> who THEN
						PERFORM tries.works(format('GRANT %I TO %I %s', other, who,
							CASE WHEN new THEN 'WITH INHERIT TRUE, SET TRUE' ELSE '' END),
							true);
					END IF;
				END LOOP;
			END LOOP;
			RESET ROLE;
			EXIT WHEN grants IS NOT DISTINCT FROM (
				SELECT string_agg(m::text, ',' ORDER BY m::text)
				FROM pg_auth_members m);
		END LOOP;
		FOREACH role IN ARRAY settable LOOP
			EXECUTE format('SET ROLE %I', role);
			FOR i IN 1 .. array_length(attempts, 1) LOOP
				IF position(attempts[i][1] IN can) = 0
					AND tries.works(attempts[i][2], false) THEN
					can := can || attempts[i][1];
				END IF;
			END LOOP;
		END LOOP;
		RAISE EXCEPTION USING ERRCODE = 'UNDO2', MESSAGE = can;
	EXCEPTION
		WHEN SQLSTATE 'UNDO2' THEN
			RETURN SQLERRM;
	END $$;

	CREATE FUNCTION tries.pick(choices text[]) RETURNS text LANGUAGE sql AS
		$$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;

	-- Make one random world; what was done.
	CREATE FUNCTION tries.world() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		new boolean := current_setting('server_version_num')::int >= 160000;
		-- a role becomes a member of later ones only
		roles text[] := '{r0,r1,sm_server,r2,sm_scheduler,sm_worker,r3,r4,r5}';
		few text[] := ARRAY(SELECT rolname FROM pg_roles WHERE rolname IN ('app', 'su',
			'pg_write_all_data', 'pg_read_all_data', 'pg_read_server_files',
			'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain',
			'pg_monitor') ORDER BY 1);
		rights text[] := ARRAY['INSERT ON apscheduler_jobs', 'UPDATE ON apscheduler_jobs',
			'UPDATE (job_state) ON apscheduler_jobs', 'DELETE ON apscheduler_jobs',
			'UPDATE (next_run_time) ON apscheduler_jobs', 'TRUNCATE ON apscheduler_jobs',
			'INSERT (id, job_state, next_run_time) ON apscheduler_jobs',
			'REFERENCES ON apscheduler_jobs', 'REFERENCES (id) ON apscheduler_jobs',
			'REFERENCES ON run', 'TRIGGER ON run', 'TRIGGER ON transfer', 'INSERT ON run',
			'UPDATE ON auth_data', 'SELECT ON auth_data', 'UPDATE (status) ON celery_taskmeta',
			'UPDATE (result) ON celery_taskmeta', 'INSERT ON celery_taskmeta',
			'DELETE ON celery_tasksetmeta', 'UPDATE ON celery_tasksetmeta',
			'UPDATE (date_done) ON celery_tasksetmeta', 'TRIGGER ON celery_tasksetmeta'];
		commands text[] := '{}';
		done text := '';
		i int;
		j int;
		command text;
	BEGIN
		FOR n IN 1 .. 3 + floor(random() * 6)::int LOOP
			i := 1 + floor(random() * 8)::int;
			j := i + 1 + floor(random() * (9 - i))::int;
			commands := commands || format('GRANT %I TO %I %s',
				CASE WHEN random() < 0.15 THEN tries.pick(few) ELSE roles[j] END, roles[i],
				CASE WHEN new THEN format('WITH INHERIT %s, SET %s, ADMIN %s',
					random() < 0.4, random() < 0.4, random() < 0.3)
				WHEN random() < 0.3 THEN 'WITH ADMIN OPTION' ELSE '' END
				-- another grantor: not where nobody has ADMIN OPTION
				|| CASE WHEN new AND random() < 0.2
				THEN format(' GRANTED BY %I', tries.pick(roles)) ELSE '' END);
		END LOOP;
		FOR n IN 1 .. floor(random() * 4)::int LOOP
			commands := commands || format('GRANT %s TO %I', tries.pick(rights),
				tries.pick(roles));
		END LOOP;
		IF random() < 0.3 THEN
			commands := commands || format('ALTER ROLE %I NOINHERIT', tries.pick(roles));
		END IF;
		IF random() < 0.15 THEN
			commands := commands || format('ALTER ROLE %I CREATEROLE', tries.pick(roles));
		END IF;
		IF random() < 0.15 THEN
			commands := commands || format('ALTER %s OWNER TO %I', tries.pick(ARRAY[
				'TABLE run', 'TABLE celery_taskmeta', 'TABLE celery_tasksetmeta',
				'SEQUENCE task_id_sequence', 'SCHEMA public', 'DATABASE postgres',
				'DATABASE postgres']), tries.pick(roles));
		END IF;
		FOREACH command IN ARRAY commands LOOP
			IF tries.works(command, true) THEN
				done := done || command || '; ';
			END IF;
		END LOOP;
		RETURN done;
	END $$;

	-- Where do the list and the attempts differ?
	CREATE FUNCTION tries.compare(OUT differences text, OUT dangers int)
	LANGUAGE plpgsql AS $$
	DECLARE
		world text := tries.world();
		roles name[] := ARRAY(SELECT rolname FROM pg_roles
			WHERE rolname ~ '^(app|su|r\d|sm_.*|pg_(read|write|execute|maintain).*)$' ORDER BY 1);
		listed text[] := ARRAY(SELECT DISTINCT role FROM public.syncmaster_privileges()
			WHERE state = 'dangerous');
		role name;
		can text;
		really boolean;
	BEGIN
		dangers := 0;
		FOREACH role IN ARRAY roles LOOP
			CONTINUE WHEN role !~ '^(r|sm_)';
			can := tries.powers(role, roles);
			really := CASE role
				WHEN 'sm_scheduler' THEN can ~ '[aew]'
				WHEN 'sm_worker' THEN can ~ '[aes]'
				WHEN 'sm_server' THEN can ~ '[aesw]'
				ELSE can ~ '[asw]' AND can !~ 'e' END;
			dangers := dangers + really::int;
			IF really <> (role = ANY (listed)) THEN
				differences := concat_ws(E'\n', differences, format('%s can "%s", but is %s: %s',
					role, can, CASE WHEN really THEN 'not listed' ELSE 'listed' END, world));
			END IF;
		END LOOP;
	END $$;});

# Run commands in a transaction that is rolled back; what the last one returns.
sub in_vain
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', "BEGIN; $sql; ROLLBACK");
}

# Whose rights an AFTER trigger has in the cascade of a foreign key that somebody
# with REFERENCES made.
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
my $referred = q{
	GRANT REFERENCES ON apscheduler_jobs TO r0;
	CREATE TABLE tries.ran (who name);
	GRANT INSERT ON tries.ran TO PUBLIC;
	SET ROLE r0;
	CREATE FUNCTION tries.note() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN INSERT INTO tries.ran VALUES (current_user); RETURN NULL; END';
	CREATE TABLE tries.referring (id text REFERENCES apscheduler_jobs ON DELETE CASCADE);
	CREATE TRIGGER note AFTER DELETE ON tries.referring
		FOR EACH ROW EXECUTE FUNCTION tries.note();
	INSERT INTO tries.referring VALUES ('old');
	SET ROLE sm_scheduler;
	DELETE FROM apscheduler_jobs;
	RESET ROLE;
	SELECT who, state FROM tries.ran, syncmaster_privileges()
	WHERE role = 'r0' AND privilege = 'REFERENCES'};
is(in_vain($referred), ($major < 18 ? 'sm_scheduler' : 'r0') . '|dangerous',
	'REFERENCES is dangerous: up to 17 a trigger runs as the scheduler');

# On all majors, a cast of the type of such a column runs as the owner of the
# table that it refers to.
is( in_vain(q{
		INSERT INTO celery_taskmeta (id, task_id) VALUES (77, 'cast');
		GRANT REFERENCES ON celery_taskmeta TO r0;
		CREATE TABLE tries.ran (who name);
		GRANT INSERT ON tries.ran TO PUBLIC;
		SET ROLE r0;
		CREATE TYPE tries.id AS ENUM ('a');
		CREATE FUNCTION tries.note(tries.id) RETURNS int LANGUAGE plpgsql
			AS 'BEGIN INSERT INTO tries.ran VALUES (current_user); RETURN 77; END';
		CREATE CAST (tries.id AS int) WITH FUNCTION tries.note(tries.id) AS IMPLICIT;
		CREATE TABLE tries.referring (id tries.id REFERENCES celery_taskmeta);
		INSERT INTO tries.referring VALUES ('a');
		RESET ROLE;
		SELECT DISTINCT who = relowner::regrole::name FROM tries.ran, pg_class
		WHERE pg_class.oid = 'celery_taskmeta'::regclass}),
	't', '... and a cast as the owner of the table');

# What no attempt above shows: roles without a service, and what is no danger.
my $created = $major < 16 ? "r0|CREATEROLE|dangerous\n" : '';
is( in_vain(q{
		ALTER ROLE r0 CREATEROLE; ALTER ROLE r1 REPLICATION; GRANT r1 TO r2;
		GRANT pg_read_all_data TO r3;
		SELECT role, privilege, state FROM syncmaster_privileges()
		WHERE state <> 'granted' ORDER BY 1, 2} =~ s/GRANT pg_read_all_data TO r3;/
			$major < 14 ? '' : $&/er),
	$created . "r1|REPLICATION|dangerous\nr2|MEMBER|excess"
	  . ($major < 14 ? '' : "\nr3|MEMBER|excess"),
	'attributes and roles of PostgreSQL without a service');
if ($major >= 16)
{
	is( in_vain(q{
			ALTER ROLE sm_server CREATEROLE;
			GRANT sm_worker TO r0 WITH INHERIT FALSE, SET FALSE;
			GRANT sm_worker TO sm_scheduler WITH INHERIT FALSE, SET FALSE;
			GRANT r1 TO r0;
			GRANT app TO r1 WITH INHERIT FALSE, SET FALSE;
			SELECT role, privilege, state FROM syncmaster_privileges()
			WHERE state <> 'granted' ORDER BY 1, 2}),
		'sm_server|CREATEROLE|excess',
		'a grant that gives nothing, and CREATEROLE');

	is( in_vain(q{
			GRANT su TO r0 WITH INHERIT FALSE, SET FALSE, ADMIN TRUE;
			GRANT INSERT ON apscheduler_jobs TO r0;
			GRANT sm_worker TO r2 WITH INHERIT FALSE, SET FALSE, ADMIN TRUE;
			GRANT r2 TO r1 WITH INHERIT TRUE, SET FALSE;
			ALTER ROLE r3 REPLICATION;
			GRANT r3 TO r4 WITH INHERIT TRUE, SET FALSE;
			SELECT role, object_name, privilege, state FROM syncmaster_privileges()
			WHERE state <> 'granted' ORDER BY 1, 2}),
		'r0|apscheduler_jobs|INSERT|dangerous
r1|sm_worker|MEMBER|dangerous
r2|sm_worker|MEMBER|dangerous
r3|r3|REPLICATION|dangerous',
		'granting oneself a role, but not a superuser, by an inherited ADMIN OPTION');

	# each fix names the grantor
	is( $node->safe_psql(
			'postgres', q{
			BEGIN;
			GRANT sm_worker TO r0 WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
			SET ROLE r0;
			GRANT sm_worker TO r1;
			RESET ROLE;
			SELECT fix FROM syncmaster_privileges() WHERE state = 'dangerous' ORDER BY 1;
			SELECT fix FROM syncmaster_privileges() WHERE state = 'dangerous'
			ORDER BY role DESC \gexec
			SELECT count(*) FROM syncmaster_privileges() WHERE state = 'dangerous';
			ROLLBACK}),
		"REVOKE sm_worker FROM r0 CASCADE\nREVOKE sm_worker FROM r1 GRANTED BY r0\n0",
		'grants of a service are taken back from each grantor');
}
if ($major >= 17)
{
	is( in_vain(q{
			GRANT MAINTAIN ON apscheduler_jobs TO r0; GRANT pg_maintain TO r1, sm_worker;
			SELECT role, object_name, privilege, state FROM syncmaster_privileges()
			WHERE state <> 'granted' ORDER BY 1, 2}),
		'r0|apscheduler_jobs|MAINTAIN|excess
r1|pg_maintain|MEMBER|excess
sm_worker|pg_maintain|MEMBER|excess',
		'MAINTAIN stops services and runs nothing of theirs');
}

my ($dangers, $worlds) = (0, 0);
foreach my $round (1 .. $rounds)
{
	my $result = $node->safe_psql('postgres',
		"BEGIN; SELECT FROM (SELECT setseed($round / 10000.0)) s; "
		  . 'SELECT dangers, differences FROM tries.compare(); ROLLBACK');
	my ($count, $differences) = split /\|/, $result, 2;
	$dangers += $count;
	$worlds++ if $count;
	is($differences, '', "round $round: who is dangerous is listed, and nobody else");
}
note("$dangers dangerous roles in $worlds of $rounds worlds");
cmp_ok($worlds, '>', $rounds / 3, 'the rounds have something to find');
cmp_ok($dangers, '<', $rounds * 9 * 2 / 3, 'and something to leave');

$node->stop;

done_testing();
