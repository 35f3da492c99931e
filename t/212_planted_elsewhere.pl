# Code planted beside the tables: in the record of migrations before there is
# one, in temporary objects of the administrator's own session, in casts, and in
# what a repair changes; and places where PostgreSQL lets nobody plant any.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PlantedCode;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my ($node, $superuser) = start_planting('elsewhere');
my $databases = 0;
my $major = int(query('postgres', 'SHOW server_version_num') / 10000);

# A database in which somebody plants something; it belongs to the caller.
sub plant
{
	my ($planter, $caller, $sql, %params) = @_;
	my $db = 'elsewhere' . ++$databases;

	query('postgres', qq{CREATE DATABASE $db TEMPLATE clean OWNER "$caller"});
	query($db, qq{
		GRANT CREATE ON DATABASE $db TO app, mallory;
		GRANT USAGE ON SCHEMA evil TO PUBLIC;
		$params{before}}) if defined $params{before};
	my ($rc, $out, $err) = run_as($planter, $db, $sql);
	is($rc, 0, 'code is planted') or diag $err;
	planted_ran();
	return $db;
}

# Nothing that a column or an index is made of is anybody's but PostgreSQL's.
my $foreign_bodies = q{
	SELECT pg_describe_object(d.classid, d.objid, 0) || ' uses '
		|| pg_describe_object(d.refclassid, d.refobjid, 0)
	FROM pg_depend d
	LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
	LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
	JOIN pg_class c ON c.oid IN (f.adrelid, i.indrelid),
	pg_identify_object(d.refclassid, d.refobjid, 0) o
	WHERE c.relnamespace = 'public'::regnamespace
	  AND d.refclassid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass)
	  AND o.schema <> 'pg_catalog'};

# All that an administrator may ask and do.
my $all_commands = q{
	SET client_min_messages = error;
	SELECT count(*) FROM syncmaster_preflight();
	SELECT count(*) FROM syncmaster_upgrade_plan();
	SELECT length(syncmaster_upgrade_sql()) > 0;
	SELECT syncmaster_upgrade('head');
	SELECT syncmaster_downgrade('0011');
	SELECT syncmaster_upgrade('head');
	SELECT count(*) FROM syncmaster_check();
	SELECT count(*) FROM syncmaster_repair(false);
	SELECT count(*) FROM syncmaster_history();
	CALL syncmaster_purge_runs('0');
	CALL syncmaster_purge_task_results('0')};

foreach my $caller ($superuser, 'keeper')
{
	my ($rc, $out, $err, $db, $ran);

	# The record of migrations, made by somebody before the extension does: of
	# the right make, but with all that a table can carry.
	my $history = q{
		CREATE SCHEMA syncmaster_history;
		CREATE TABLE syncmaster_history.migration (
			applied_at timestamptz, schema_name name, from_revision text,
			to_revision text, applied_by name, duration interval,
			library_version text);
		GRANT ALL ON SCHEMA syncmaster_history TO PUBLIC;
		GRANT ALL ON syncmaster_history.migration TO PUBLIC;};
	my $carried = q{
		CREATE FUNCTION syncmaster_history.fire() RETURNS trigger
			LANGUAGE plpgsql AS $$ BEGIN
				PERFORM evil.attack('trigger'); RETURN NEW; END $$;
		CREATE TRIGGER plant BEFORE INSERT ON syncmaster_history.migration
			FOR EACH ROW EXECUTE FUNCTION syncmaster_history.fire();
		ALTER TABLE syncmaster_history.migration
			ADD plant boolean DEFAULT evil.attack('default'),
			ADD CHECK (evil.pure('check'));};
	foreach my $planter (qw(app mallory))
	{
		$db = plant($planter, $caller, $history . $carried,
			before => 'DROP SCHEMA syncmaster_history CASCADE;');
		($rc, $out, $err) = run_as($caller, $db, q{
			SET client_min_messages = error;
			CREATE EXTENSION syncmaster VERSION '1.11';} . $all_commands);
		$ran = harmless("$caller, $planter made the record", $planter);
		if ($planter eq 'mallory')
		{
			like($err,
				qr/schema "syncmaster_history" belongs to role "mallory", who lacks the rights of the tables' owner "app"/,
				"$caller: a record that $planter made is not used");
			is(join(' ', sort keys %$ran), '', "$caller: nor is it written");
			next;
		}
		is($rc, 0, "$caller: a record that $planter made is used") or diag $err;
		ok(exists $ran->{$_}, "$caller: $planter\'s $_ ran")
		  foreach qw(trigger default check);
	}

	# Only the schema, so that the table is made in it.
	$db = plant('mallory', $caller, q{
		CREATE SCHEMA syncmaster_history;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC},
		before => 'DROP SCHEMA syncmaster_history CASCADE;');
	($rc, $out, $err) = run_as($caller, $db, q{
		SET client_min_messages = error;
		CREATE EXTENSION syncmaster VERSION '1.11';} . $all_commands);
	like($err,
		qr/schema "syncmaster_history" belongs to role "mallory", who lacks the rights of the tables' owner "app"/,
		"$caller: a schema of mallory's is not used");
	harmless("$caller, mallory made the schema");

	# What a function of app's made in the caller's own session, before.  Names
	# of tables and types are looked up in pg_temp first, unless one says not.
	$db = plant('app', $caller, q{
		CREATE FUNCTION evil.harmless() RETURNS void SECURITY DEFINER
		LANGUAGE plpgsql AS $$
		DECLARE
			name text;
		BEGIN
			FOREACH name IN ARRAY ARRAY['pg_class', 'pg_namespace', 'pg_depend',
				'pg_extension', 'pg_proc', 'pg_index', 'pg_attribute',
				'pg_trigger', 'pg_constraint', 'pg_settings', 'pg_locks',
				'pg_stat_activity', 'connection', 'run', 'alembic_version',
				'migration']
			LOOP
				EXECUTE format('CREATE TEMP VIEW %I AS SELECT evil.attack(%L) AS relname, '
					'1::oid AS oid, 1::oid AS relnamespace, evil.attack(%L) AS version_num',
					name, 'temp-' || name, 'temp-' || name);
				EXECUTE format('GRANT ALL ON %I TO PUBLIC', name);
			END LOOP;
			CREATE DOMAIN pg_temp.text AS pg_catalog.text
				CHECK (evil.pure('temp-text'));
			CREATE DOMAIN pg_temp.tsvector AS pg_catalog.tsvector
				CHECK (evil.pure('temp-tsvector'));
			CREATE DOMAIN pg_temp.oid AS pg_catalog.oid
				CHECK (evil.pure('temp-oid'));
			CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS
				'SELECT pg_catalog.now() WHERE evil.attack(''temp-now'')';
		END $$}, before => '');
	($rc, $out, $err) = run_as($caller, $db, q{
		SET client_min_messages = error;
		SELECT evil.harmless();
		CREATE EXTENSION syncmaster VERSION '1.11';} . $all_commands);
	is($rc, 0, "$caller: temporary objects are in nobody's way") or diag $err;
	is(query($db, $foreign_bodies), '', "$caller: and nothing is made of them");
	is(join(' ', sort keys %{ harmless("$caller, temporary objects") }),
		'', "$caller: nor do they run");

	# Casts need a type of one's own on one side.
	$db = plant('app', $caller, q{
		CREATE TYPE evil.word AS (t text);
		CREATE FUNCTION evil.word(varchar) RETURNS evil.word IMMUTABLE
			LANGUAGE sql AS $$SELECT ROW(evil.value('cast', $1))::evil.word$$;
		CREATE FUNCTION evil.word(json) RETURNS evil.word IMMUTABLE
			LANGUAGE sql AS $$SELECT ROW(evil.value('cast', $1::text))::evil.word$$;
		CREATE FUNCTION evil.text(evil.word) RETURNS text IMMUTABLE
			LANGUAGE sql AS $$SELECT evil.value('cast-back', $1.t)$$;
		CREATE CAST (varchar AS evil.word) WITH FUNCTION evil.word(varchar) AS IMPLICIT;
		CREATE CAST (json AS evil.word) WITH FUNCTION evil.word(json) AS IMPLICIT;
		CREATE CAST (evil.word AS text) WITH FUNCTION evil.text(evil.word) AS IMPLICIT;
		CREATE FUNCTION public.to_tsvector(regconfig, evil.word) RETURNS tsvector
			IMMUTABLE LANGUAGE sql AS $$SELECT ''::tsvector$$;
		CREATE FUNCTION public.translate(evil.word, text, text) RETURNS text
			IMMUTABLE LANGUAGE sql AS $$SELECT ''$$;
		CREATE FUNCTION evil.concat(evil.word, evil.word) RETURNS text
			IMMUTABLE LANGUAGE sql AS $$SELECT ''$$;
		CREATE OPERATOR public.|| (PROCEDURE = evil.concat,
			LEFTARG = evil.word, RIGHTARG = evil.word);
		CREATE COLLATION public."default" FROM "C"}, before => '');
	($rc, $out, $err) = run_as($caller, $db, q{
		SET client_min_messages = error;
		CREATE EXTENSION syncmaster VERSION '1.11';} . $all_commands);
	is($rc, 0, "$caller: casts are in nobody's way") or diag $err;
	is(query($db, $foreign_bodies), '', "$caller: and nothing is made of them");
	is(join(' ', sort keys %{ harmless("$caller, casts") }),
		'', "$caller: nor do they run");

	# Rights that come by default are those of whoever makes something.
	$db = plant('app', $caller, q{
		ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO mallory;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory;
		ALTER DEFAULT PRIVILEGES IN SCHEMA public
			GRANT ALL ON FUNCTIONS TO mallory;
		DROP TABLE apscheduler_jobs}, before => '');
	($rc, $out, $err) = run_as($caller, $db, q{
		SET client_min_messages = error;
		CREATE EXTENSION syncmaster VERSION '1.11';} . $all_commands);
	is($rc, 0, "$caller: default privileges are in nobody's way") or diag $err;
	is( query($db, q{
			SELECT has_function_privilege('mallory', 'syncmaster_upgrade(text)', 'EXECUTE'),
				has_table_privilege('mallory', 'apscheduler_jobs', 'INSERT'),
				has_table_privilege('mallory', 'connection', 'SELECT')}),
		'f|t|f', "$caller: functions of the caller's are not app's to give away");
	harmless("$caller, default privileges");

	# What a repair makes anew: of an expression that calls a planted function,
	# with rights that were revoked and a sequence that was renamed.
	$db = plant('app', $caller, plant_on('transfer', 'transfer', 'name'),
		before => '');
	($rc, $out, $err) = run_as($caller, $db,
		'SET client_min_messages = error; CREATE EXTENSION syncmaster');
	is($rc, 0, "$caller: installs") or diag $err;
	($rc, $out, $err) = run_as('app', $db, q{
		ALTER TABLE transfer DROP search_vector, ADD search_vector tsvector NOT NULL
			GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,
				evil.value('old-expression', name))) STORED;
		REVOKE ALL ON run FROM app;
		ALTER SEQUENCE run_id_seq RENAME TO run_numbers});
	is($rc, 0, "$caller: the owner does damage") or diag $err;
	planted_ran();
	($rc, $out, $err) = run_as($caller, $db,
		'SELECT count(*) FROM syncmaster_check(), syncmaster_repair()');
	is(join(' ', sort keys %{ planted_ran() }), '',
		"$caller: to look runs nothing");
	($rc, $out, $err) = run_as($caller, $db, q{
		SET client_min_messages = error;
		SELECT action, object_name, problem FROM syncmaster_repair(false)
		WHERE action = 'done' ORDER BY 2});
	is(scalar(() = $out =~ /^done\|/mg), 4, "$caller: repairs all") or diag $out, $err;
	$ran = harmless("$caller, repairing");
	ok(exists $ran->{'transfer-index'},
		"$caller: and writes the table as its owner");

	# An administrator's objects that are members cannot be had by app.
	($rc, $out, $err) = run_as('app', $db, 'ALTER EXTENSION syncmaster ADD TABLE run');
	like($err, qr/must be owner of extension syncmaster/,
		"$caller: app cannot make a table a member");
}

# Nobody but a superuser has these.
foreach my $case (
	[ 'an event trigger', q{
		CREATE FUNCTION evil.event() RETURNS event_trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM evil.attack('event'); END $$;
		CREATE EVENT TRIGGER plant ON ddl_command_end
			EXECUTE FUNCTION evil.event()} ],
	[ 'an operator class', q{
		CREATE OPERATOR CLASS evil.ops DEFAULT FOR TYPE varchar USING btree AS
			OPERATOR 1 <(text, text), FUNCTION 1 bttextcmp(text, text)} ],
	[ 'an operator family', q{CREATE OPERATOR FAMILY evil.family USING gin} ],
	[ 'a cast between types of others', q{
		CREATE CAST (json AS tsvector) WITH INOUT AS IMPLICIT} ],
	[ 'a template for text search', q{CREATE TEXT SEARCH TEMPLATE evil.template (LEXIZE = dsimple_lexize)} ],
	[ 'a parser for text search', q{
		CREATE TEXT SEARCH PARSER evil.parser (START = prsd_start, GETTOKEN = prsd_nexttoken,
			END = prsd_end, LEXTYPES = prsd_lextype)} ],
	[ 'a function of a conversion', q{
		CREATE FUNCTION evil.convert(int, int, cstring, internal, int, bool) RETURNS int
			LANGUAGE sql AS 'SELECT 1'}, qr/SQL functions cannot have arguments of type (?:internal|cstring)/ ],
	[ 'a function of a conversion in PL/pgSQL', q{
		CREATE FUNCTION evil.convert(int, int, cstring, internal, int, bool) RETURNS int
			LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'}, qr/PL\/pgSQL functions cannot accept type/ ],
	$major < 15 ? () : [ 'a row filter of a publication', q{
		CREATE PUBLICATION plant FOR TABLE run WHERE (evil.pure(status))},
		qr/invalid publication WHERE expression/ ],
	[ 'an object in pg_catalog', q{
		CREATE FUNCTION pg_catalog.to_tsvector(regconfig, varchar)
			RETURNS tsvector LANGUAGE sql AS 'SELECT $$$$::tsvector'} ])
{
	my ($name, $sql, $error) = @$case;
	my $db = 'own' . ++$databases;

	query('postgres', "CREATE DATABASE $db TEMPLATE clean OWNER app");
	my ($rc, $out, $err) = run_as('app', $db, $sql);
	isnt($rc, 0, "$name: not even an owner of the database can plant one");
	like($err, $error // qr/permission denied|must be superuser|must be owner/,
		"$name: PostgreSQL says why");
}

done_testing();
