# An owner of the tables who is not a superuser plants code wherever PostgreSQL
# lets him.  Then a superuser, and an owner of the database, install, upgrade and
# downgrade.  Whatever was planted runs without their rights, if it runs at all,
# and leaves their sessions as they were.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('planted');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub query { return $node->safe_psql(@_); }

# Run commands as a role and say how they ended: everything psql printed.
sub run_as
{
	my ($role, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql(
		$db, $sql,
		on_error_stop => 1,
		extra_params => [ '-U', $role ]);
	return ($rc, $out, $err);
}

# What was planted and ran since the last call: "plant user" for each.  It is
# taken from the log, where it stays if the command failed.
my $log_read = 0;
sub planted_ran
{
	my %ran;
	my $log = slurp_file($node->logfile, $log_read);

	$log_read += length $log;
	while ($log =~ /planted: ([\w-]+) as (\S+) of (\S+) gained \[(.*?)\]/g)
	{
		push @{ $ran{$1} }, { user => $2, session => $3, gained => $4 };
	}
	return \%ran;
}

# Nobody but the owner of the tables ran planted code, and it got nowhere.
sub harmless
{
	my ($name) = @_;
	my $ran = planted_ran();
	my @bad;

	foreach my $plant (sort keys %$ran)
	{
		push @bad, map { "$plant as $_->{user} gained [$_->{gained}]" }
		  grep { $_->{user} ne 'app' || $_->{gained} ne '' } @{ $ran->{$plant} };
	}
	is(join("\n", @bad), '', "$name: planted code has no rights but its owner's");
	is( query('postgres', q{
			SELECT string_agg(rolname, ' ' ORDER BY rolname)
			FROM pg_roles WHERE rolsuper}),
		$superuser,
		"$name: no new superuser");
	return $ran;
}

# ---------------------------------------------------------------------------
# The owner of the tables, and what he plants

query('postgres', q{
	CREATE ROLE app LOGIN;
	CREATE ROLE keeper LOGIN;
	CREATE ROLE mallory LOGIN;
	CREATE DATABASE clean;
});
query('clean', q{
	GRANT CREATE ON SCHEMA public TO app;
	CREATE EXTENSION syncmaster VERSION '1.11';
	SELECT syncmaster_set_owner('app');
});
load_rows($node, 'clean');
query('clean', q{
	CREATE SCHEMA vault;
	CREATE TABLE vault.secret (t text);
	DROP EXTENSION syncmaster;
	CREATE SCHEMA evil AUTHORIZATION app;

	-- each attempt that works is reported
	CREATE FUNCTION evil.attack(plant text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE AS $attack$
	DECLARE
		attempt text;
		gained text := '';
	BEGIN
		-- not while he is planting
		IF session_user = 'app' THEN
			RETURN true;
		END IF;

		FOREACH attempt IN ARRAY ARRAY[
			'ALTER ROLE app SUPERUSER',
			'RESET ROLE',
			'SET ROLE NONE',
			'RESET SESSION AUTHORIZATION',
			'SET SESSION AUTHORIZATION DEFAULT',
			'SET LOCAL ROLE ' || quote_ident(session_user),
			'INSERT INTO vault.secret VALUES (current_user)',
			'CREATE ROLE planted_role SUPERUSER',
			'CREATE EXTENSION file_fdw',
			'COPY (SELECT 1) TO PROGRAM ''true''',
			'SELECT pg_read_file(''postgresql.conf'')',
			'SET session_replication_role = replica',
			'ALTER SYSTEM SET work_mem = ''1GB''',
			'ALTER ROLE ' || quote_ident(session_user) || ' SET search_path = evil',
			'CREATE TEMP TABLE pg_class (oid int)',
			'LISTEN planted',
			'PREPARE planted AS SELECT 1',
			'DECLARE planted CURSOR WITH HOLD FOR SELECT 1',
			'SELECT public.syncmaster_migrate(''app'', ''0012'', ''0013'', ''x'')',
			'SELECT public.syncmaster_finish_script(''app'', ''1.13'')']
		LOOP
			BEGIN
				EXECUTE attempt;
				gained := gained || ' ' || attempt;
			EXCEPTION WHEN OTHERS THEN
				NULL;
			END;
		END LOOP;

		-- allowed, but must not last
		PERFORM set_config('search_path', 'evil', false),
				set_config('syncmaster.allow_destroy', 'on', false),
				set_config('syncmaster.restoring', 'on', false),
				set_config('lock_timeout', '1', false),
				set_config('row_security', 'off', false),
				set_config('application_name', 'planted', false),
				set_config('evil.was_here', 'yes', false);

		RAISE LOG 'planted: % as % of % gained [%]',
			plant, current_user, session_user, gained;
		RETURN true;
	END $attack$;

	-- the same under a false label, for indexes and generated columns
	CREATE FUNCTION evil.pure(plant text) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.attack(plant); END $$;
	CREATE FUNCTION evil.value(plant text, value text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN PERFORM evil.attack(plant); RETURN value; END $$;
	CREATE FUNCTION evil.fire() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM evil.attack(TG_ARGV[0]);
			RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
		END $$;
	CREATE TABLE evil.trash (t text);
});
query('clean', "ALTER $_ OWNER TO app") foreach (
	'FUNCTION evil.attack(text)', 'FUNCTION evil.pure(text)',
	'FUNCTION evil.value(text, text)', 'FUNCTION evil.fire()',
	'TABLE evil.trash');

# Things that a table can carry without being in the way.  All run when the
# table is written or its indexes are built.
sub plant_on
{
	my ($table, $name, $text_column) = @_;
	return qq{
		CREATE TRIGGER plant_a BEFORE INSERT OR UPDATE OR DELETE ON $table
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-before-row');
		CREATE TRIGGER plant_b AFTER INSERT OR UPDATE OR DELETE ON $table
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-after-row');
		CREATE TRIGGER plant_c BEFORE INSERT OR UPDATE OR DELETE ON $table
			EXECUTE FUNCTION evil.fire('$name-before-statement');
		CREATE TRIGGER plant_d AFTER INSERT OR UPDATE OR DELETE ON $table
			EXECUTE FUNCTION evil.fire('$name-after-statement');
		CREATE CONSTRAINT TRIGGER plant_e AFTER INSERT OR UPDATE ON $table
			DEFERRABLE INITIALLY IMMEDIATE
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-constraint-trigger');
		CREATE RULE plant_f AS ON UPDATE TO $table DO ALSO
			INSERT INTO evil.trash SELECT evil.attack('$name-rule-update');
		CREATE RULE plant_g AS ON INSERT TO $table DO ALSO
			INSERT INTO evil.trash SELECT evil.attack('$name-rule-insert');
		CREATE DOMAIN evil.domain_$name AS text
			CHECK (evil.pure('$name-domain'));
		ALTER TABLE $table
			ADD COLUMN plant_h evil.domain_$name DEFAULT 'x',
			ADD COLUMN plant_i boolean DEFAULT evil.attack('$name-default'),
			ADD COLUMN plant_j boolean
				GENERATED ALWAYS AS (evil.pure('$name-generated')) STORED,
			ADD CONSTRAINT plant_k CHECK (evil.pure('$name-check'));
		CREATE INDEX ON $table (evil.value('$name-index', $text_column));
		CREATE INDEX ON $table ($text_column)
			WHERE evil.pure('$name-predicate' || left($text_column, 0));
		ALTER TABLE $table ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		CREATE POLICY plant_l ON $table
			USING (evil.pure('$name-policy' || left($text_column, 0)))
			WITH CHECK (evil.pure('$name-policy-check' || left($text_column, 0)));
	};
}

sub plant_child
{
	my ($table, $name) = @_;
	return qq{
		CREATE TABLE evil.child_$name () INHERITS ($table);
		CREATE TRIGGER plant_a BEFORE INSERT OR UPDATE OR DELETE
			ON evil.child_$name
			FOR EACH ROW EXECUTE FUNCTION evil.fire('child-$name');
		CREATE INDEX ON evil.child_$name (evil.pure('child-$name-index'));
	};
}

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
	migrate => 4,
	finish_script => 2,
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
	my $set_owner = $caller eq 'keeper'
	  ? ''
	  : q{SELECT syncmaster_set_owner('mallory');
		  SELECT syncmaster_set_owner('app');};

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
		$set_owner
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
		stamp-after-statement stamp-constraint-trigger stamp-rule-update
		stamp-check stamp-index stamp-predicate stamp-policy
		stamp-policy-check stamp-generated history-before-row
		history-after-row history-rule-insert history-default
		history-generated history-check history-index history-predicate
		history-policy-check history-domain connection-index
		connection-predicate transfer-index group-index))
	{
		ok(exists $ran->{$plant}, "$caller: $plant ran");
	}
	is(join(' ', grep { /^(overload|type|operator|to_ts|now|translate)/ }
			sort keys %$ran),
		'', "$caller: names are those of pg_catalog");

	# Looking runs nothing of what is planted; mending does.
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
	is(scalar(() = $out =~ /^repair\|done\|/mg), 13, "$caller: mends all")
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
	  foreach qw(stamp-rule-insert stamp-default stamp-domain);
}
# ---------------------------------------------------------------------------
# Those that make a command fail: the error is clear, and nothing has changed

my @obstacles = (
	[ 'a rule instead of the stamp',
		q{CREATE RULE plant AS ON UPDATE TO alembic_version DO INSTEAD
			SELECT evil.attack('rule')},
		qr/could not write revision 0012 to table public\.alembic_version.*HINT:  Look for a trigger, rule or policy on that table/s,
		'rule' ],
	[ 'a trigger that forges the stamp',
		q{CREATE FUNCTION evil.forge() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN NEW.version_num := '0099'; RETURN NEW; END $$;
		  CREATE TRIGGER plant BEFORE UPDATE ON alembic_version
			FOR EACH ROW EXECUTE FUNCTION evil.forge()},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
	[ 'a policy that hides the stamp',
		q{ALTER TABLE alembic_version
			ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		  CREATE POLICY plant ON alembic_version
			USING (NOT evil.attack('policy'))},
		qr/could not write revision 0012/,
		'policy' ],
	[ 'a deferred trigger on the stamp',
		q{CREATE CONSTRAINT TRIGGER plant AFTER UPDATE ON alembic_version
			DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred')},
		qr/cannot fire deferred trigger within security-restricted operation/ ],
	[ 'a deferred trigger on the history',
		q{CREATE CONSTRAINT TRIGGER plant AFTER INSERT
			ON syncmaster_history.migration DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred')},
		qr/cannot fire deferred trigger within security-restricted operation/ ],
	[ 'a trigger that raises an error',
		q{CREATE FUNCTION evil.refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE 'not today'; END $$;
		  CREATE TRIGGER plant BEFORE INSERT ON syncmaster_history.migration
			FOR EACH ROW EXECUTE FUNCTION evil.refuse()},
		qr/ERROR:  not today/ ],
	[ 'a view in a table\'s place',
		q{ALTER TABLE connection RENAME TO real_connection;
		  CREATE VIEW connection AS SELECT * FROM real_connection
			WHERE evil.attack('view');
		  CREATE RULE plant AS ON UPDATE TO connection DO INSTEAD
			SELECT evil.attack('view-rule')},
		qr/relation "public\.connection" is not an ordinary table/ ],
	[ 'a partitioned table in a table\'s place',
		q{ALTER TABLE apscheduler_jobs RENAME TO real_jobs;
		  CREATE TABLE apscheduler_jobs (LIKE real_jobs) PARTITION BY HASH (id)},
		qr/relation "public\.apscheduler_jobs" is not an ordinary table/ ],
	[ 'a view in the stamp\'s place',
		q{ALTER TABLE alembic_version RENAME TO real_version;
		  CREATE VIEW alembic_version AS SELECT * FROM real_version
			WHERE evil.attack('version-view')},
		qr/relation "public\.alembic_version" is not Alembic's table/ ],
	[ 'a column of a domain',
		q{CREATE DOMAIN evil.name AS varchar(128) CHECK (evil.pure('domain'));
		  ALTER TABLE connection ALTER COLUMN description TYPE evil.name},
		qr/column "description" of table "public\.connection" is of type evil\.name instead of character varying/ ],
	[ 'a view in the history\'s place',
		q{DROP TABLE syncmaster_history.migration;
		  CREATE VIEW syncmaster_history.migration AS
			SELECT now() AS applied_at, 'x'::name AS schema_name,
				'x'::text AS from_revision, 'x'::text AS to_revision,
				'x'::name AS applied_by, '1s'::interval AS duration,
				'x'::text AS library_version
			WHERE evil.attack('history-view');
		  CREATE RULE plant AS ON INSERT TO syncmaster_history.migration
			DO INSTEAD SELECT evil.attack('history-view-rule')},
		qr/relation "syncmaster_history\.migration" is not the history table/ ],
	[ 'a history that computes its columns',
		q{DROP TABLE syncmaster_history.migration;
		  CREATE TABLE syncmaster_history.migration (
			applied_at timestamptz, schema_name name, from_revision text,
			to_revision text, applied_by name, duration interval,
			library_version text GENERATED ALWAYS AS
				(evil.value('history-column', 'x')) STORED)},
		qr/relation "syncmaster_history\.migration" is not the history table/ ],
	[ 'a view on a column that is replaced',
		q{CREATE VIEW evil.searched AS SELECT search_vector FROM transfer},
		qr/cannot drop column search_vector of table public\.transfer because other objects depend on it/ ],
	[ 'a function of our name',
		q{CREATE FUNCTION public.syncmaster_migrate(text, text, text, text)
			RETURNS void LANGUAGE sql AS $$ SELECT evil.attack('same') $$},
		qr/function "syncmaster_migrate" already exists with same argument types/ ],
	[ 'a function that makes a call of ours ambiguous',
		q{CREATE FUNCTION public.syncmaster_migrate(text, text, text, text,
			int DEFAULT 0) RETURNS void LANGUAGE sql AS
			$$ SELECT evil.attack('default') $$},
		qr/function public\.syncmaster_migrate\(unknown, unknown, unknown, unknown\) is not unique/ ],
	[ 'an index whose function drops the stamp',
		q{CREATE FUNCTION evil.drop_stamp() RETURNS void LANGUAGE plpgsql AS
			$$ BEGIN DROP TABLE IF EXISTS public.alembic_version; END $$;
		  CREATE FUNCTION evil.drops(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
			AS $$ BEGIN
				IF session_user <> 'app' THEN PERFORM evil.drop_stamp(); END IF;
				RETURN $1;
			END $$;
		  CREATE INDEX ON connection (evil.drops(name))},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
	[ 'an index whose function hides the stamp behind a view',
		q{CREATE FUNCTION evil.swap_stamp() RETURNS void LANGUAGE plpgsql AS
			$$ BEGIN
				IF to_regclass('evil.real') IS NULL THEN
					ALTER TABLE public.alembic_version SET SCHEMA evil;
					ALTER TABLE evil.alembic_version RENAME TO "real";
					CREATE VIEW public.alembic_version AS
						SELECT * FROM evil."real" WHERE evil.attack('swapped');
				END IF;
			END $$;
		  CREATE FUNCTION evil.swaps(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
			AS $$ BEGIN
				IF session_user <> 'app' THEN PERFORM evil.swap_stamp(); END IF;
				RETURN $1;
			END $$;
		  CREATE INDEX ON connection (evil.swaps(name))},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
);

my $obstacle_number = 0;
foreach my $obstacle (@obstacles)
{
	my ($name, $sql, $error, $plant) = @$obstacle;
	foreach my $caller ($superuser, 'keeper')
	{
		my $db = 'obstacle_' . ++$obstacle_number;
		query('postgres', qq{CREATE DATABASE $db TEMPLATE clean OWNER "$caller"});
		my ($rc, $out, $err) = run_as('app', $db, $sql);
		is($rc, 0, "$name is planted") or diag $err;
		my $before = state_of($node, $db);
		planted_ran();

		($rc, $out, $err) = run_as($caller, $db, 'CREATE EXTENSION syncmaster');
		is($rc, 3, "$name: $caller cannot install");
		like($err, $error, "$name: $caller reads why");
		unlike($err, qr/XX000|cache lookup/, "$name: $caller sees no inner error");
		my $ran = harmless("$name, $caller");
		ok(exists $ran->{$plant}, "$name ran") if defined $plant;
		same_state(state_of($node, $db), $before, "$name: $caller changed nothing");
		query('postgres', "DROP DATABASE $db");
	}
}

my $ran;

# ---------------------------------------------------------------------------
# Callers who have no business with the tables

# Run a command that must fail and change nothing.
sub refused
{
	my ($name, $role, $db, $sql, $error) = @_;
	my $before = state_of($node, $db);
	my ($rc, $out, $err) = run_as($role, $db, $sql);
	isnt($rc, 0, "$name: refused");
	like($err, $error, "$name: the error says why");
	same_state(state_of($node, $db), $before, "$name: nothing has changed");
	return;
}

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
	qr/role "mallory" lacks CREATE on schema "private"/);

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

# In a schema of his own he gets tables of his own.
query('guarded', 'CREATE SCHEMA AUTHORIZATION mallory');
my ($rc, $out, $err) = run_as('mallory', 'guarded',
	'CREATE EXTENSION syncmaster SCHEMA mallory; DROP EXTENSION syncmaster');
is($rc, 0, 'a schema of his own: installs');
like($err, qr/SyncMaster's tables are also in schema "public"/,
	'a schema of his own: warned');
is( query('guarded', q{
		SELECT DISTINCT relowner::regrole FROM pg_class
		WHERE relnamespace = 'mallory'::regnamespace}),
	'mallory', 'a schema of his own: owns what was made');

# The engine is nobody's to call.
query('guarded', 'CREATE EXTENSION syncmaster VERSION \'1.12\'');
my $migrate = q{syncmaster_migrate('app', '0012', '0013', 'DROP TABLE run')};
foreach my $call ($migrate, q{syncmaster_finish_script('app', '1.13')})
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
			PERFORM public.syncmaster_migrate('app', '0012', '0013',
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
	like($err, qr/invalid character in extension "syncmaster" schema|invalid character in the name of schema "/,
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
  foreach 'planted_keeper', "planted_$superuser", 'guarded', 'definer', 'own';

done_testing();
