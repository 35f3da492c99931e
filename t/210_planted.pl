# An owner of the tables who is not a superuser plants code wherever PostgreSQL
# lets him.  Then a superuser, and an owner of the database, install, upgrade,
# downgrade, check and repair.  Whatever was planted runs without their rights,
# if it runs at all, and leaves their sessions as they were.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PlantedCode;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my ($node, $superuser) = start_planting('planted');

# Names that ours would find if they looked in public.
my $decoys = q{
	CREATE DOMAIN public.text AS varchar CHECK (evil.pure('type-text'));
	CREATE DOMAIN public.name AS varchar CHECK (evil.pure('type-name'));
	CREATE DOMAIN public.tsvector AS pg_catalog.tsvector
		CHECK (evil.pure('type-tsvector'));
	CREATE DOMAIN public.bigserial AS bigint CHECK (evil.pure('type-bigserial'));
	CREATE TEXT SEARCH CONFIGURATION public.russian (COPY = pg_catalog.simple);
	CREATE TEXT SEARCH CONFIGURATION public.english (COPY = pg_catalog.simple);
	CREATE TEXT SEARCH CONFIGURATION public.simple (COPY = pg_catalog.english);
	CREATE FUNCTION public.to_tsvector(regconfig, varchar) RETURNS tsvector
		IMMUTABLE LANGUAGE sql AS
		$$ SELECT ''::pg_catalog.tsvector WHERE evil.pure('to_tsvector') $$;
	CREATE FUNCTION public.to_tsvector(pg_catalog.text, pg_catalog.text)
		RETURNS tsvector IMMUTABLE LANGUAGE sql AS
		$$ SELECT ''::pg_catalog.tsvector WHERE evil.pure('to_tsvector-2') $$;
	CREATE FUNCTION public.translate(varchar, pg_catalog.text, pg_catalog.text)
		RETURNS pg_catalog.text IMMUTABLE LANGUAGE sql AS
		$$ SELECT evil.value('translate', $1) $$;
	CREATE FUNCTION public.now() RETURNS timestamptz STABLE LANGUAGE sql AS
		$$ SELECT pg_catalog.now() WHERE evil.attack('now') $$;
	CREATE FUNCTION evil.concat(varchar, varchar) RETURNS pg_catalog.text
		IMMUTABLE LANGUAGE sql AS $$ SELECT evil.value('operator-concat', $1) $$;
	CREATE OPERATOR public.|| (PROCEDURE = evil.concat,
		LEFTARG = varchar, RIGHTARG = varchar);
	CREATE FUNCTION evil.pick(json, varchar) RETURNS pg_catalog.text
		IMMUTABLE LANGUAGE sql AS
		$$ SELECT evil.value('operator-pick', $2) $$;
	CREATE OPERATOR public.->> (PROCEDURE = evil.pick,
		LEFTARG = json, RIGHTARG = varchar);
	CREATE FUNCTION evil.equal(varchar, pg_catalog.text) RETURNS boolean
		IMMUTABLE LANGUAGE sql AS $$ SELECT evil.pure('operator-equal') $$;
	CREATE OPERATOR public.= (PROCEDURE = evil.equal,
		LEFTARG = varchar, RIGHTARG = pg_catalog.text);
};

# Other functions of our names, more to the taste of some argument.
sub overloads
{
	my ($function, $nargs) = @_;
	my $sql = '';
	my $count = 0;
	my @types = ('varchar', 'pg_catalog.name', '"char"', 'pg_catalog.bpchar',
		'anyelement', 'pg_catalog.json', 'regrole');
	my @lists;

	push @lists, join ', ', ($_) x $nargs foreach $nargs > 0 ? @types : ();
	push @lists, 'VARIADIC a pg_catalog.text[]' if $nargs > 0;
	push @lists, 'a pg_catalog.text, VARIADIC b pg_catalog.text[]' if $nargs > 1;
	push @lists, join ', ', 'pg_catalog.text', ('varchar') x ($nargs - 1)
	  if $nargs > 1;
	foreach my $list (@lists)
	{
		# a polymorphic array would be the same as an array of text
		next if $list =~ /anyelement/ && $nargs == 0;
		$count++;
		$sql .= qq{
			CREATE FUNCTION public.$function($list) RETURNS pg_catalog.text
			LANGUAGE sql AS
			\$\$ SELECT 'caught' WHERE evil.attack('overload-$function-$count') \$\$;
		};
	}
	return $sql;
}

my %called = (
	migrate => 3,
	finish_script => 1,
	schema_version => 0,
	library_version => 0,
	full_version => 0,
	versions => 0,
	history => 0,
	upgrade => 1,
	downgrade => 1,
	set_owner => 1,
	create_indexes => 0,
	drop_indexes => 0,
	check => 0,
	repair => 1);

query('postgres', 'CREATE DATABASE planted TEMPLATE clean');
{
	my $sql = plant_on('alembic_version', 'stamp', 'version_num')
	  . plant_on('syncmaster_history.migration', 'history', 'to_revision')
	  . join('', map { plant_on($_, $_, 'name') } qw(connection transfer queue))
	  . plant_on('"group"', 'group', 'name')
	  . plant_on('"user"', 'user', 'username')
	  . plant_on('celery_taskmeta', 'celery', 'task_id')
	  . plant_child('alembic_version', 'stamp')
	  . plant_child('connection', 'connection')
	  . $decoys
	  . join '', map { overloads("syncmaster_$_", $called{$_}) } sort keys %called;
	my ($rc, $out, $err) = run_as('app', 'planted', $sql);
	is($rc, 0, 'code is planted') or diag $err;
}

# ---------------------------------------------------------------------------
# Those that are in nobody's way: all commands, by a superuser and by the owner
# of the database

# Everything that planted code may have left in the session.
my $session = q{
	SELECT name, setting FROM pg_settings
		WHERE name !~ '^(plpgsql|pg_trgm)'
		  AND NOT (name ~ '^syncmaster' AND setting = boot_val)
	UNION ALL SELECT 'current_user', current_user
	UNION ALL SELECT 'session_user', session_user
	UNION ALL SELECT 'role', current_setting('role')
	UNION ALL SELECT 'path', current_schemas(true)::text
	UNION ALL SELECT 'evil.was_here',
		coalesce(current_setting('evil.was_here', true), '')
	UNION ALL SELECT 'listens to', pg_listening_channels()
	UNION ALL SELECT 'prepared', name FROM pg_prepared_statements
	UNION ALL SELECT 'cursor', name FROM pg_cursors WHERE is_holdable
	UNION ALL SELECT 'temp', relname::text FROM pg_class
		WHERE relpersistence = 't' AND relname NOT LIKE '%session_before%'
		  AND relnamespace = pg_my_temp_schema()};

# Of the columns that ours made: nothing outside pg_catalog.
my $foreign_bodies = q{
	SELECT c.relname || '.' || a.attname || ' uses '
		   || pg_describe_object(d.refclassid, d.refobjid, 0)
	FROM pg_depend d
	JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
	JOIN pg_class c ON c.oid = f.adrelid
	JOIN pg_attribute a ON (a.attrelid, a.attnum) = (f.adrelid, f.adnum),
	pg_identify_object(d.refclassid, d.refobjid, 0) o
	WHERE c.relnamespace = 'public'::regnamespace AND a.attname !~ '^plant'
	  AND d.refclassid <> 'pg_class'::regclass AND o.schema <> 'pg_catalog'
	UNION ALL
	SELECT c.relname || '.' || a.attname || ' is ' || t.typname
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	JOIN pg_type t ON t.oid = a.atttypid
	WHERE c.relnamespace = 'public'::regnamespace AND a.attname !~ '^plant'
	  AND c.relkind = 'r' AND t.typnamespace <> 'pg_catalog'::regnamespace};

foreach my $caller ($superuser, 'keeper')
{
	my $db = "planted_$caller";
	query('postgres', qq{
		CREATE DATABASE "$db" TEMPLATE planted OWNER "$caller"});
	query($db, 'GRANT CREATE ON SCHEMA public TO mallory');

	# Whoever may create the extension may not write what it works with.
	my ($rc, $out, $err) = run_as($caller, $db, qq{
		SET client_min_messages = error;
		SELECT set_config('search_path', 'public', false);
		CREATE TEMP TABLE session_before AS $session;
		CREATE EXTENSION syncmaster;
		SELECT 'installed', syncmaster_schema_version();
		ALTER EXTENSION syncmaster UPDATE TO '1.11';
		ALTER EXTENSION syncmaster UPDATE TO '1.12';
		ALTER EXTENSION syncmaster UPDATE;
		SELECT 'updated', syncmaster_schema_version();
		SELECT 'down', syncmaster_downgrade('0011');
		SELECT 'up', syncmaster_upgrade('head');
		SELECT 'dropped', count(*) FROM syncmaster_drop_indexes();
		SELECT 'built', count(*) FROM syncmaster_create_indexes();
		SELECT 'history', count(*) > 5 FROM syncmaster_history();
		SELECT 'versions', count(*) > 2 FROM syncmaster_versions();
		SELECT 'library', syncmaster_library_version();
		SELECT 'full', syncmaster_full_version();
		SELECT 'foreign', string FROM ($foreign_bodies) f(string);
		SELECT 'session', s FROM (($session) EXCEPT TABLE session_before) s;
		SELECT 'session', s FROM (TABLE session_before EXCEPT ($session)) s;
	});
	is($rc, 0, "$caller: nothing planted is in the way") or diag $err;
	like($out, qr/^installed\|0013$/m, "$caller: installs");
	like($out, qr/^updated\|0013$/m, "$caller: updates");
	like($out, qr/^down\|0011$/m, "$caller: downgrades");
	like($out, qr/^up\|0013$/m, "$caller: upgrades");
	like($out, qr/^dropped\|7$/m, "$caller: drops indexes");
	like($out, qr/^built\|7$/m, "$caller: builds indexes");
	like($out, qr/^full\|syncmaster 1\./m, "$caller: sees the real version");
	unlike($out, qr/caught/, "$caller: calls no function of another's");
	unlike($out, qr/^foreign/m, "$caller: makes columns of what is PostgreSQL's")
	  or diag $out;
	unlike($out, qr/^session/m, "$caller: keeps the session as it was")
	  or diag $out;

	my $ran = harmless($caller);
	foreach my $plant (
		qw(stamp-before-row stamp-after-row stamp-before-statement
		stamp-after-statement stamp-constraint-trigger
		stamp-check stamp-index stamp-predicate stamp-generated
		history-before-row history-after-row
		history-default history-generated history-check history-index
		history-predicate history-domain connection-index
		connection-predicate transfer-index group-index))
	{
		ok(exists $ran->{$plant}, "$caller: $plant ran");
	}
	is(join(' ', grep { /^(overload|type|operator|to_ts|now|translate)/ }
			sort keys %$ran),
		'', "$caller: names are those of pg_catalog");
	is(join(' ', grep { /policy/ } sort keys %$ran),
		'', "$caller: no policy runs");

	# In other hands, what is planted would run with other rights.
	($rc, $out, $err) =
	  run_as($superuser, $db, "SELECT syncmaster_set_owner('mallory')");
	like($err,
		qr/of table "alembic_version" may run another role's code\n.* of role "app", who lacks the rights of role "mallory"/,
		"$caller: the tables are not handed over");

	# Looking runs nothing of what is planted; repairing does.
	($rc, $out, $err) = run_as('app', $db, q{
		DROP INDEX ix__connection__group_id, ix__user__username,
			idx_transfer_search_vector;
		ALTER TABLE connection ALTER COLUMN type TYPE varchar(23);
		ALTER TABLE connection ALTER COLUMN group_id TYPE integer;
		ALTER TABLE transfer ALTER COLUMN resources DROP NOT NULL;
		ALTER TABLE transfer ALTER COLUMN created_at SET DEFAULT public.now();
		ALTER TABLE queue DROP CONSTRAINT uq__queue__slug;
		ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer;
		ALTER TABLE connection ALTER COLUMN id DROP DEFAULT;
		ALTER SEQUENCE queue_id_seq OWNED BY NONE;
		SELECT setval('transfer_id_seq', 1, false);
		DROP TABLE apscheduler_jobs});
	is($rc, 0, "$caller: the owner does damage") or diag $err;
	planted_ran();
	($rc, $out, $err) = run_as($caller, $db, q{
		SELECT 'found', count(*) FROM syncmaster_check() WHERE fix IS NOT NULL;
		SELECT 'planned', count(*) FROM syncmaster_repair()
		WHERE action = 'planned'});
	is($rc, 0, "$caller: checks") or diag $err;
	like($out, qr/^found\|\d+\nplanned\|13$/, "$caller: sees the damages");
	is(join(' ', sort keys %{ planted_ran() }),
		'', "$caller: to check runs nothing that is planted");
	($rc, $out, $err) = run_as($caller, $db, qq{
		SET client_min_messages = error;
		CREATE TEMP TABLE session_before AS $session;
		SELECT 'repair', action, object_name, sql, why
		FROM syncmaster_repair(false);
		SELECT 'foreign', string FROM ($foreign_bodies) f(string);
		SELECT 'session', s FROM (($session) EXCEPT TABLE session_before) s;
		SELECT 'session', s FROM (TABLE session_before EXCEPT ($session)) s;
	});
	is($rc, 0, "$caller: repairs") or diag $err;
	is(scalar(() = $out =~ /^repair\|done\|/mg), 13, "$caller: repairs all")
	  or diag $out;
	unlike($out, qr/caught|^foreign|^session/m, "$caller: and nothing else")
	  or diag $out;
	$ran = harmless("$caller, repairing");
	ok(exists $ran->{$_}, "$caller, repairing: $_ ran")
	  foreach qw(connection-index connection-predicate);

	# All the way down, which leaves alembic_version and the history.
	($rc, $out, $err) = run_as($caller, $db, qq{
		SET client_min_messages = error;
		CREATE TEMP TABLE session_before AS $session;
		SET syncmaster.allow_destroy = on;
		SELECT 'down', syncmaster_downgrade('base');
		RESET syncmaster.allow_destroy;
		SELECT 'up', syncmaster_upgrade('head');
		SELECT 'foreign', string FROM ($foreign_bodies) f(string);
		SELECT 'session', s FROM (($session) EXCEPT TABLE session_before) s;
		SELECT 'owners', string_agg(DISTINCT relowner::regrole::text, ' ')
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r';
	});
	# its child table would go with it
	is($rc, 3, "$caller: a child table keeps its parent") or diag $out;
	like($err, qr/cannot drop table public\.connection because other objects depend/,
		"$caller: and the error says so");
	query($db, 'DROP TABLE evil.child_connection');
	harmless("$caller, refused to go down to base");
	($rc, $out, $err) = run_as($caller, $db, qq{
		SET client_min_messages = error;
		CREATE TEMP TABLE session_before AS $session;
		SET syncmaster.allow_destroy = on;
		SELECT 'down', syncmaster_downgrade('base');
		RESET syncmaster.allow_destroy;
		SELECT 'up', syncmaster_upgrade('head');
		SELECT 'foreign', string FROM ($foreign_bodies) f(string);
		SELECT 'session', s FROM (($session) EXCEPT TABLE session_before) s;
		SELECT 'owners', string_agg(DISTINCT relowner::regrole::text, ' ')
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r';
	});
	is($rc, 0, "$caller: goes down to base and up again") or diag $err;
	is($out, "down|base\nup|0013\nowners|app",
		"$caller: columns, session and owner are right");
	$ran = harmless("$caller, from base");
	ok(exists $ran->{$_}, "$caller, from base: $_ ran")
	  foreach qw(stamp-default stamp-domain);
}

is(query($_, 'SELECT count(*) FROM vault.secret'),
	'0', "$_: the secret table is untouched")
  foreach 'planted_keeper', "planted_$superuser";

done_testing();
