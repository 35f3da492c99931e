# Callers who have no business with the tables, and calls of the engine by others
# than the scripts of the extension.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PlantedCode;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my ($node, $superuser) = start_planting('callers');

my $ran;

query('postgres', q{
	CREATE DATABASE guarded TEMPLATE clean;
	GRANT CREATE ON DATABASE guarded TO mallory;
});
query('guarded', q{
	GRANT CREATE ON SCHEMA public TO mallory;
	CREATE SCHEMA private;
});
refused('tables of another role', 'mallory', 'guarded',
	'CREATE EXTENSION syncmaster',
	qr/role "mallory" may not migrate the tables of role "app"/);
refused('a schema of another role', 'mallory', 'guarded',
	'CREATE EXTENSION syncmaster SCHEMA private',
	qr/role "mallory" lacks USAGE, CREATE on schema "private"/);

# The tables of Celery and APScheduler alone, in a schema that he may write.
query('postgres', q{
	CREATE DATABASE partial;
	GRANT CREATE ON DATABASE partial TO mallory;
});
query('partial', q{
	GRANT CREATE ON SCHEMA public TO mallory, app;
	SET SESSION AUTHORIZATION app;
	CREATE TABLE celery_taskmeta (id integer PRIMARY KEY,
		task_id varchar(155) UNIQUE, status varchar(50), result bytea,
		date_done timestamp, traceback text);
});
refused('some tables of another role', 'mallory', 'partial',
	'CREATE EXTENSION syncmaster',
	qr/role "mallory" may not migrate the tables of role "app"/);
query('partial', 'DROP TABLE celery_taskmeta');
query('partial', 'CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)');
refused('an empty alembic_version of another role', 'mallory', 'partial',
	'CREATE EXTENSION syncmaster',
	qr/role "mallory" may not migrate the tables of role "$superuser"/);
query('partial', 'DROP TABLE alembic_version');

# In a schema of his own he gets tables of his own, but cannot use a record of
# another role's.
query('guarded', 'CREATE SCHEMA AUTHORIZATION mallory');
refused('a record of another role', 'mallory', 'guarded',
	'CREATE EXTENSION syncmaster SCHEMA mallory',
	qr/schema "syncmaster_history" belongs to role "app", who lacks the rights of the tables' owner "mallory"/);
query('guarded', 'ALTER SCHEMA syncmaster_history RENAME TO history_of_app');
my ($rc, $out, $err) = run_as('mallory', 'guarded',
	'CREATE EXTENSION syncmaster SCHEMA mallory; DROP EXTENSION syncmaster');
is($rc, 0, 'a schema of his own: installs');
like($err, qr/SyncMaster's tables are in schema "public" of role "app"/,
	'a schema of his own: warned');
is( query('guarded', q{
		SELECT DISTINCT relowner::regrole FROM pg_class
		WHERE relnamespace = 'mallory'::regnamespace}),
	'mallory', 'a schema of his own: owns what was made');
query('guarded', q{
	DROP SCHEMA syncmaster_history CASCADE;
	ALTER SCHEMA history_of_app RENAME TO syncmaster_history});

# The engine is nobody's to call.
query('guarded', 'CREATE EXTENSION syncmaster VERSION \'1.12\'');
my $migrate = q{syncmaster_migrate('0012', '0013', 'DROP TABLE run')};
foreach my $call ($migrate, q{syncmaster_finish_script('1.13')})
{
	my $sql = "SELECT public.$call";
	refused("$call by the owner of the tables", 'app', 'guarded', $sql,
		qr/permission denied for function/);
	refused("$call by a superuser", $superuser, 'guarded', $sql,
		qr/this function can be called only by a script of extension "syncmaster"/);
	refused("$call in a block", $superuser, 'guarded',
		"DO \$\$ BEGIN PERFORM public.$call; END \$\$",
		qr/this function can be called only by a script of extension "syncmaster"/);
}
foreach my $call ("upgrade('head')", "downgrade('0011')", "set_owner('app')",
	'create_indexes()', 'drop_indexes()', 'repair(false)')
{
	refused("syncmaster_$call by somebody else", 'mallory', 'guarded',
		"SELECT syncmaster_$call", qr/permission denied for function/);
	query('guarded', 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO mallory');
	refused("syncmaster_$call by whom a careless superuser trusts", 'mallory',
		'guarded', "SELECT syncmaster_$call",
		qr/role "mallory" may not migrate the tables of role "app"/);
	query('guarded', 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM mallory');
}

# From a trigger that runs while our script does, even with the right to call.
query('guarded', q{
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO app;
	SET SESSION AUTHORIZATION app;
	CREATE FUNCTION evil.call() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM public.syncmaster_migrate('0012', '0013',
				'DROP TABLE run');
			RETURN NEW;
		END $$;
	CREATE TRIGGER plant BEFORE UPDATE ON alembic_version
		FOR EACH ROW EXECUTE FUNCTION evil.call();
});
refused('a call from a trigger in the script', $superuser, 'guarded',
	'ALTER EXTENSION syncmaster UPDATE',
	qr/this function can be called only by a script of extension "syncmaster"/);

# One who is owner of everything may spoil his own upgrade, not more.
query('postgres', 'CREATE DATABASE own TEMPLATE clean OWNER app');
is((run_as('app', 'own', q{CREATE EXTENSION syncmaster VERSION '1.11'}))[0],
	0, 'an owner of tables and database installs');
foreach my $nested (
	q{DROP EXTENSION syncmaster},
	q{ALTER EXTENSION syncmaster UPDATE TO '1.13'},
	q{PERFORM public.syncmaster_upgrade('head')},
	q{PERFORM public.syncmaster_downgrade('0011')})
{
	query('postgres', 'CREATE DATABASE nested TEMPLATE own OWNER app');
	my ($rc, $out, $err) = run_as('app', 'nested', qq{
		CREATE FUNCTION evil.nest() RETURNS trigger LANGUAGE plpgsql AS \$\$
			BEGIN
				IF session_user <> 'app' AND pg_trigger_depth() = 1 THEN
					$nested;
				END IF;
				PERFORM evil.attack('nested');
				RETURN NULL;
			END \$\$;
		CREATE TRIGGER plant AFTER UPDATE ON alembic_version
			EXECUTE FUNCTION evil.nest();
	});
	is($rc, 0, "$nested is planted") or diag $err;
	my $before = state_of($node, 'nested');
	planted_ran();
	($rc, $out, $err) = run_as($superuser, 'nested',
		'SET client_min_messages = error; ALTER EXTENSION syncmaster UPDATE');
	unlike($err, qr/server closed the connection|TRAP/, "$nested: no crash");
	harmless($nested);
	if ($rc == 0)
	{
		is( query('nested', q{
				SELECT extversion, syncmaster_schema_version()
				FROM pg_extension WHERE extname = 'syncmaster'}),
			'1.13|0013', "$nested: version and schema agree");
	}
	else
	{
		note $err;
		same_state(state_of($node, 'nested'), $before, "$nested: nothing has changed");
	}
	query('postgres', 'DROP DATABASE nested');
}

# He was the owner of the database, and is no longer.
query('postgres', "ALTER DATABASE own OWNER TO keeper");
query('own', q{
	GRANT CREATE ON SCHEMA public TO keeper;
	SELECT syncmaster_set_owner('keeper');
});
foreach my $sql (q{SELECT syncmaster_upgrade('head')},
	q{SELECT syncmaster_downgrade('base')},
	q{SELECT syncmaster_set_owner('app')},
	q{SELECT syncmaster_create_indexes()},
	q{SELECT syncmaster_drop_indexes()},
	q{ALTER EXTENSION syncmaster UPDATE},
	q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster})
{
	refused("$sql by a former owner", 'app', 'own', "BEGIN; $sql; COMMIT",
		qr/role "app" may not migrate the tables of role "keeper"|permission denied to (create|update) extension/);
}

# A schema's new name cannot become part of a step.
query('postgres', 'CREATE DATABASE renamed OWNER app');
is( (run_as('app', 'renamed', q{
		CREATE SCHEMA s;
		CREATE EXTENSION syncmaster SCHEMA s VERSION '1.11';
		ALTER SCHEMA s RENAME TO "$ddl$);--"}))[0],
	0, 'a schema is renamed');
foreach my $sql (q{SELECT "$ddl$);--".syncmaster_upgrade('0012')},
	q{ALTER EXTENSION syncmaster UPDATE})
{
	($rc, $out, $err) = run_as($superuser, 'renamed', $sql);
	isnt($rc, 0, "$sql: refused");
	like($err, qr/invalid (?:character|string) in extension "syncmaster" schema|invalid name of schema "/,
		"$sql: the error says why");
}

# Functions with their owner's rights.
query('postgres', 'CREATE DATABASE definer TEMPLATE clean');
query('definer', q{
	CREATE FUNCTION public.install() RETURNS void SECURITY DEFINER
		LANGUAGE plpgsql AS $$ BEGIN CREATE EXTENSION syncmaster; END $$;
	CREATE FUNCTION evil.install() RETURNS void SECURITY DEFINER
		LANGUAGE plpgsql AS $$ BEGIN CREATE EXTENSION syncmaster; END $$;
	ALTER FUNCTION evil.install() OWNER TO app;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
});
is( (run_as('app', 'definer',
			plant_on('alembic_version', 'stamp', 'version_num')))[0],
	0, 'code is planted for functions with their owner\'s rights');
planted_ran();
refused('a function of the tables\' owner', $superuser, 'definer',
	'SELECT evil.install()', qr/permission denied to create extension/);
is((run_as('mallory', 'definer', 'SET client_min_messages = error; SELECT install()'))[0],
	0, 'a function of a superuser installs');
$ran = harmless('a function of a superuser');
ok(exists $ran->{'stamp-before-row'}, 'a function of a superuser: planted code ran');
is( query('definer', q{
		SELECT has_function_privilege('mallory', 'syncmaster_upgrade(text)', 'EXECUTE')}),
	'f', 'a function of a superuser: who called it may no more than before');

is(query($_, 'SELECT count(*) FROM vault.secret'),
	'0', "$_: the secret table is untouched")
  foreach 'guarded', 'definer', 'own';

done_testing();
