# The rule of trust: nothing runs with a role's rights that another role, who
# lacks them, could have planted.  Each attempt is refused, has no effect, and is
# listed beforehand.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('trust');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN;
	CREATE ROLE dba LOGIN;
	CREATE ROLE mallory LOGIN});

sub query { return $node->safe_psql(@_); }

# Run as a role; returns what psql printed.
sub run_as
{
	my ($role, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql(
		$db, $sql,
		on_error_stop => 1,
		extra_params => [ '-U', $role ]);
	return ($rc, $out, $err);
}

# Nobody has become a superuser; whoever has is put back.
sub nobody_gained
{
	my ($name) = @_;
	is( query('postgres', q{
			SELECT string_agg(rolname, ' ' ORDER BY rolname)
			FROM pg_roles WHERE rolsuper}),
		$superuser,
		"$name: nobody gains rights");
	query('postgres', "ALTER ROLE $_ NOSUPERUSER") foreach qw(app dba mallory);
	return;
}

# ---------------------------------------------------------------------------
# alembic_version made by somebody first: new tables would be his

{
	query('postgres', 'CREATE DATABASE first');
	query('first', 'GRANT CREATE ON SCHEMA public TO mallory');
	is((run_as('mallory', 'first',
			'CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)'))[0],
		0, 'alembic_version is planted');
	my ($rc, $out, $err) =
	  run_as($superuser, 'first', 'CREATE EXTENSION syncmaster');
	like($err,
		qr/table "public\.alembic_version" belongs to role "mallory", who would get all of SyncMaster's tables/,
		'a planted alembic_version: refused');
	is( query('first', q{SELECT count(*) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
		'1', 'a planted alembic_version: nothing is made');
	nobody_gained('a planted alembic_version');
	query('first', 'DROP TABLE alembic_version; CREATE EXTENSION syncmaster');
	is( query('first', q{SELECT DISTINCT relowner::regrole FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
		$superuser, 'without it, the tables are the owner\'s of the database');
}

# ---------------------------------------------------------------------------
# Code that a former owner, or a role with a right or two, planted on a table
# whose rows a purge deletes as the superuser who owns the tables now

# Everything calls this in the end, as whoever it is run as.
my $evil = q{
	CREATE FUNCTION evil() RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
				ALTER ROLE mallory SUPERUSER;
			END IF;
		END $$;
	CREATE FUNCTION evil_t() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM public.evil(); RETURN NULL; END $$;
	CREATE FUNCTION evil_b(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN PERFORM public.evil(); RETURN true; END $$;
	CREATE FUNCTION evil_i(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN PERFORM public.evil(); RETURN true; END $$;
	CREATE FUNCTION evil_x(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN PERFORM public.evil(); RETURN true; END $$;
};

# What a superuser made for himself and takes code.
my $helpers = q{
	CREATE FUNCTION run_ddl(sql text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN EXECUTE sql; END $$;
	CREATE FUNCTION exec_trg() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN EXECUTE tg_argv[0]; RETURN NULL; END $$;
	CREATE FUNCTION is_ok(text) RETURNS bool LANGUAGE sql IMMUTABLE
		AS $$ SELECT $1 <> '' $$;
};

query('postgres', 'CREATE DATABASE template_trust');
query('template_trust', 'CREATE EXTENSION syncmaster; GRANT CREATE ON SCHEMA public TO mallory, app');
query('template_trust', $helpers);
query('template_trust', q{
	INSERT INTO celery_taskmeta (id, task_id, status, date_done)
	SELECT i, i, 'SUCCESS', now() - interval '90 days' FROM generate_series(1, 5) i;
	INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', false, true);
	INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
	INSERT INTO queue (name, slug, description, group_id) VALUES ('q', 'q', '', 1);
	INSERT INTO connection (group_id, name, description, type, data)
		VALUES (1, 'c', '', 't', '{}'), (1, 'd', '', 't', '{}');
	INSERT INTO transfer (group_id, name, source_connection_id, target_connection_id,
		description, strategy_params, source_params, target_params, transformations, resources,
		is_scheduled, queue_id, schedule)
	VALUES (1, 't', 1, 2, '', '{}', '{}', '{}', '[]', '{}', false, 1, '');
	INSERT INTO run (transfer_id, type, status, transfer_dump, created_at)
	SELECT 1, 'MANUAL', CASE i WHEN 1 THEN 'STARTED' ELSE 'FINISHED' END, '{}', now() - interval '90 days'
	FROM generate_series(1, 5) i;
	INSERT INTO auth_data (connection_id, value) VALUES (1, 'x')});

my $PURGE = "CALL syncmaster_purge_task_results('30 days')";
my $number = 0;
my $referring = qr/table "\w+" is not trusted by role/;

# name, what is granted or handed over first, what mallory plants, what the
# superuser does afterwards in good faith, the statement, and what it says
sub planted
{
	my ($name, %case) = @_;
	my $db = 'planted_' . ++$number;
	my $table = $case{table} // 'celery_taskmeta';
	my $statement = $case{statement} // $PURGE;

	query('postgres', "CREATE DATABASE $db TEMPLATE template_trust");
	query($db, "ALTER TABLE $table OWNER TO mallory") if $case{owner};
	query($db, $case{grant}) if $case{grant};
	my ($rc, $out, $err) = run_as('mallory', $db, $evil . $case{plant});
	is($rc, 0, "$name: is planted") or diag($err);
	query($db, "ALTER TABLE $table OWNER TO $superuser") if $case{owner};
	query($db, $case{then}) if $case{then};
	nobody_gained("$name, as it is planted");

	like(
		query($db, q{SELECT string_agg(concat_ws(' ', subject, detail), E'\n')
			FROM syncmaster_preflight('head')
			UNION ALL SELECT string_agg(concat_ws(' ', problem, actual), E'\n')
			FROM syncmaster_check() WHERE severity <> 'info'}),
		$case{listed} // $case{like}, "$name: is listed beforehand")
	  if !$case{unlisted};
	(undef, undef, $err) = run_as($superuser, $db, $statement);
	like($err, $case{like}, "$name: is refused");
	is(query($db, $case{after}[0]), $case{after}[1], "$name: what came of it")
	  if $case{after};
	like($err, qr/HINT:  Drop it with ALTER TABLE \S+ DROP CONSTRAINT/, "$name: and how to go on")
	  if $case{like} == $referring;
	nobody_gained($name);
	query('postgres', "DROP DATABASE $db");
	return;
}

# The planted object on the table itself, in each place that a statement calls.
my $another = qr/(?:may|would) run another role's code/;
my %place = (
	'an index predicate' => 'CREATE INDEX i ON celery_taskmeta (status) WHERE evil_i(1)',
	'an index expression' => 'CREATE INDEX i ON celery_taskmeta (evil_i(id))',
	'a CHECK' => 'ALTER TABLE celery_taskmeta ADD CHECK (evil_x(status)) NOT VALID',
	'a default' => 'ALTER TABLE celery_taskmeta ALTER name SET DEFAULT evil_i(1)::text',
	'a generated column' =>
	  'ALTER TABLE celery_taskmeta ADD g bool GENERATED ALWAYS AS (false) STORED;
		CREATE INDEX i ON celery_taskmeta (g) WHERE evil_i(id)',
	'a domain' => 'CREATE DOMAIN d AS text; ALTER TABLE celery_taskmeta ADD x d;
		ALTER DOMAIN d ADD CHECK (evil_x(value)) NOT VALID',
	'a rule' => 'CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO SELECT evil()',
	'a trigger' => 'CREATE TRIGGER t AFTER DELETE ON celery_taskmeta
		FOR EACH ROW EXECUTE FUNCTION evil_t()',
	'a statement trigger' => 'CREATE TRIGGER t BEFORE DELETE ON celery_taskmeta
		EXECUTE FUNCTION evil_t()',
	'a deferred trigger' => 'CREATE CONSTRAINT TRIGGER t AFTER DELETE ON celery_taskmeta
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil_t()',
	'the condition of a trigger' => q{CREATE TRIGGER t BEFORE DELETE ON celery_taskmeta
		FOR EACH ROW WHEN (evil_x(old.status)) EXECUTE FUNCTION suppress_redundant_updates_trigger()},
	'a policy' => 'ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON celery_taskmeta USING (evil_x(status))',
	'an operator in a rule' => q{
		CREATE OPERATOR === (leftarg = int, rightarg = int, function = evil_b);
		CREATE RULE r AS ON DELETE TO celery_taskmeta WHERE old.id === 1 DO ALSO SELECT 1},
	'the negator of an operator' => q{
		CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq,
			negator = operator(!==));
		CREATE OPERATOR !== (leftarg = int, rightarg = int, function = evil_b,
			negator = operator(===));
		CREATE RULE r AS ON DELETE TO celery_taskmeta
			WHERE NOT (old.id === 99) DO ALSO SELECT 1},
	'the commutator of an operator' => q{
		CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq,
			commutator = operator(!==));
		CREATE OPERATOR !== (leftarg = int, rightarg = int, function = evil_b,
			commutator = operator(===));
		CREATE RULE r AS ON DELETE TO celery_taskmeta
			WHERE 99 === old.id DO ALSO SELECT 1},
	'the type of a column definition' => q{
		CREATE DOMAIN evd AS int CHECK (evil_i(value));
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT a::text FROM json_to_record('{"a":1}') AS x(a evd)},
	'a validator' => q{
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT fmgr_sql_validator('public.is_ok(text)'::regprocedure::oid)::text},
	'a query that takes SQL' => q{
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT query_to_xml('SELECT public.evil()', true, true, '')},
	'a table that is read' => q{
		CREATE TABLE t (a int); CREATE INDEX ON t (a) WHERE evil_i(1);
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO SELECT 1 FROM t},
	'a table of an inheriting one' => q{
		CREATE TABLE c () INHERITS (celery_taskmeta);
		CREATE INDEX ON c (id) WHERE evil_b(1, 2);
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT 1 FROM celery_taskmeta},
	'a helper that takes code, of the superuser' => q{
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT run_ddl('ALTER ROLE mallory SUPERUSER')},
	'a trigger with code, of the superuser' => q{
		CREATE TRIGGER t AFTER DELETE ON celery_taskmeta
			EXECUTE FUNCTION exec_trg('ALTER ROLE mallory SUPERUSER')},
);
foreach my $name (sort keys %place)
{
	planted("$name by a former owner",
		owner => 1, plant => $place{$name}, like => qr/$another|not trusted|has inheritance children/,
		listed => qr/./);
}

# Children are looked at even if the table alone has been.
planted('a child after ONLY',
	owner => 1,
	plant => q{
		CREATE TABLE par (a int); CREATE TABLE chi () INHERITS (par);
		CREATE INDEX ON chi (a) WHERE evil_b(1, 2);
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO
			SELECT 1 FROM ONLY par p1, par p2},
	then => "ALTER TABLE par OWNER TO $superuser",
	listed => qr/table "chi" is not trusted/,
	like => $another);

planted('a cast of a type that was handed over',
	owner => 1,
	plant => q{
		CREATE TYPE en AS ENUM ('a');
		CREATE FUNCTION cf(en) RETURNS json LANGUAGE plpgsql AS $$
			BEGIN PERFORM public.evil(); RETURN '1'; END $$;
		CREATE CAST (en AS json) WITH FUNCTION cf(en);
		ALTER TABLE celery_taskmeta ADD e en DEFAULT 'a';
		CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO SELECT to_json(old.e)},
	then => "ALTER TYPE en OWNER TO $superuser",
	like => $another);

# Rights on a table, and no more.
planted('TRIGGER on the results',
	grant => 'GRANT TRIGGER ON celery_taskmeta TO mallory',
	plant => 'CREATE TRIGGER t AFTER DELETE ON celery_taskmeta EXECUTE FUNCTION evil_t()',
	like => $another);
planted('TRIGGER on the results, with code as an argument',
	grant => 'GRANT TRIGGER ON celery_taskmeta TO mallory',
	plant => q{CREATE TRIGGER t AFTER DELETE ON celery_taskmeta
		EXECUTE FUNCTION exec_trg('ALTER ROLE mallory SUPERUSER')},
	like => $another);
planted('TRIGGER on run',
	table => 'run',
	grant => 'GRANT TRIGGER ON run TO mallory',
	plant => 'CREATE TRIGGER t AFTER DELETE ON run EXECUTE FUNCTION evil_t()',
	statement => "CALL syncmaster_purge_runs('30 days')",
	like => $another);
planted('TRIGGER on run, for an update',
	grant => 'GRANT TRIGGER ON run TO mallory',
	plant => 'CREATE TRIGGER t AFTER UPDATE ON run EXECUTE FUNCTION evil_t()',
	statement => "SELECT * FROM syncmaster_end_runs(older_than => '1 day')",
	like => $another);
planted('TRIGGER on user',
	grant => 'GRANT TRIGGER ON "user" TO mallory',
	plant => 'CREATE TRIGGER t AFTER UPDATE ON "user" EXECUTE FUNCTION evil_t()',
	statement => "SELECT syncmaster_add_superusers('u')",
	like => $another);
planted('TRIGGER on alembic_version',
	grant => 'GRANT TRIGGER ON alembic_version TO mallory',
	plant => 'CREATE TRIGGER t AFTER UPDATE ON alembic_version EXECUTE FUNCTION evil_t()',
	statement => q{SELECT syncmaster_downgrade('0012')},
	like => $another);
planted('TRIGGER on the record of migrations',
	grant => 'GRANT TRIGGER ON syncmaster_history.migration TO mallory',
	plant => 'CREATE TRIGGER t AFTER INSERT ON syncmaster_history.migration
		EXECUTE FUNCTION evil_t()',
	statement => q{SELECT syncmaster_downgrade('0012')},
	like => $another);

# A record that somebody made before the extension takes over tables at the last
# revision, so that no migration refuses it.
{
	query('postgres', 'CREATE DATABASE record TEMPLATE template_trust');
	query('postgres', 'GRANT CREATE ON DATABASE record TO mallory');
	query('record', 'DROP EXTENSION syncmaster; DROP SCHEMA syncmaster_history CASCADE');
	run_as('mallory', 'record', q{
		CREATE SCHEMA syncmaster_history;
		CREATE TABLE syncmaster_history.migration (
			applied_at timestamptz, schema_name name, from_revision text,
			to_revision text, applied_by name, duration interval,
			library_version text)});
	query('record', 'CREATE EXTENSION syncmaster');
	is( query('record', q{
			SELECT object_type, problem FROM syncmaster_check() WHERE object_name = 'history'}),
		join("\n", map {
			qq{$_ belongs to role "mallory", who lacks the rights of the tables' owner "$superuser"}
		} 'schema|schema "syncmaster_history"', 'table|table "syncmaster_history.migration"'),
		'a planted record: check() says whose it is');
	like(
		query('record', q{
			SELECT detail FROM syncmaster_health() WHERE check_name = 'schema'}),
		qr/is not as its revision says: 1 error, 2 warnings/,
		'... and health() counts it');
	query('postgres', 'DROP DATABASE record');
}

# What a superuser wrote for another purpose, which TRIGGER lets others call.  The
# trigger stays when the right is revoked.
foreach my $condition (q{row_count('SELECT public.evil()') IS NULL},
	q{nextval('celery_seq') < 0}, 'unschedule(1)')
{
	planted("TRIGGER on the results, revoked, and the condition $condition",
		grant => q{
			GRANT TRIGGER ON celery_taskmeta TO mallory;
			CREATE SEQUENCE celery_seq;
			GRANT USAGE ON SEQUENCE celery_seq TO mallory;
			CREATE FUNCTION row_count(q text) RETURNS int LANGUAGE sql IMMUTABLE
				AS $$ SELECT length(query_to_xml(q, true, true, '')::text) $$;
			CREATE FUNCTION unschedule(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END'},
		plant => "CREATE TRIGGER t BEFORE DELETE ON celery_taskmeta FOR EACH ROW
			WHEN ($condition) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		then => 'REVOKE TRIGGER ON celery_taskmeta FROM mallory',
		like => $another);
}
planted('TRIGGER on a table of app, and a helper of app\'s in its condition',
	grant => q{
		ALTER TABLE celery_taskmeta OWNER TO app;
		GRANT TRIGGER ON celery_taskmeta TO mallory;
		CREATE FUNCTION app_run(sql text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; END';
		ALTER FUNCTION app_run(text) OWNER TO app},
	plant => q{CREATE TRIGGER t BEFORE DELETE ON celery_taskmeta FOR EACH ROW
		WHEN (app_run('SELECT 1')::text <> '') EXECUTE FUNCTION suppress_redundant_updates_trigger()},
	like => $another);


# A rule has no owner: any action is refused.
foreach my $action (q{UPDATE pg_authid SET rolsuper = true WHERE rolname = 'mallory'},
	q{INSERT INTO celery_tasksetmeta (id, taskset_id) SELECT 1, rolname FROM pg_authid},
	'SELECT syncmaster_drop_indexes()', 'NOTIFY results')
{
	planted("a rule that does $action",
		grant => 'GRANT ALL ON pg_authid, celery_tasksetmeta TO mallory;
			GRANT EXECUTE ON FUNCTION syncmaster_drop_indexes() TO mallory',
		owner => 1,
		plant => "CREATE RULE r AS ON DELETE TO celery_taskmeta DO ALSO $action",
		like => qr/rule "r" of table "celery_taskmeta" may run another role's code/);
}
planted('a rule instead',
	owner => 1,
	plant => q{CREATE RULE r AS ON DELETE TO celery_taskmeta DO INSTEAD
		SELECT query_to_xml('SELECT public.evil()', true, true, '')},
	like => qr/rule "r" of table "celery_taskmeta" may run another role's code/);

# Types under types, until the stack would end.
planted('a chain of domains',
	grant => 'GRANT TRIGGER ON celery_taskmeta TO mallory',
	plant => q{
		DO $$ BEGIN
			CREATE DOMAIN d0 AS int;
			FOR i IN 1..3000 LOOP
				EXECUTE format('CREATE DOMAIN d%s AS d%s', i, i - 1);
			END LOOP;
		END $$;
		CREATE TRIGGER t AFTER DELETE ON celery_taskmeta FOR EACH ROW
			WHEN (1::d3000 > 5) EXECUTE FUNCTION suppress_redundant_updates_trigger()},
	unlisted => 1,
	statement => "SET max_stack_depth = '100kB'; $PURGE",
	like => qr/stack depth limit exceeded/);

# Names that a repair looks for anew: a wider column, and another function fits.
planted('a function that fits better after a repair',
	grant => 'GRANT CREATE ON SCHEMA public TO mallory;
		ALTER TABLE run ALTER id TYPE int;
		CREATE FUNCTION bucket(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 / 10 $$;
		CREATE INDEX i ON run (bucket(id))',
	plant => q{CREATE FUNCTION bucket(bigint) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN PERFORM public.evil(); RETURN 1; END $$},
	statement => 'SELECT * FROM syncmaster_repair(false)',
	unlisted => 1,
	like => qr/^$/,
	after => [ q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = 'run'::regclass AND attname = 'id'}, 'integer' ]);

foreach my $bound ('index', 'constraint')
{
	planted("an operator of another type's in an $bound that a repair makes again",
		grant => q{GRANT CREATE ON SCHEMA public TO mallory;
			ALTER TABLE run ALTER id TYPE int;
			CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq); } . (
			$bound eq 'index' ? 'CREATE INDEX i ON run (type) WHERE id === 1'
			: 'ALTER TABLE run ADD CHECK ((id === 1) IS NOT NULL)'),
		plant => q{CREATE FUNCTION evil_o(bigint, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
			$$ BEGIN PERFORM public.evil(); RETURN true; END $$;
			CREATE OPERATOR === (leftarg = bigint, rightarg = int, function = evil_o)},
		statement => 'SELECT why FROM syncmaster_repair(false)',
		unlisted => 1,
		like => qr/^$/,
		after => [ q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute
			WHERE attrelid = 'run'::regclass AND attname = 'id'}, 'integer' ]);
}

# A table that refers to the results: up to 17, triggers that its rows fire on
# their way run as whoever deletes.
if (query('postgres', 'SHOW server_version_num') < 180000)
{
	planted('REFERENCES on the results, and a cascade',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int REFERENCES celery_taskmeta ON DELETE CASCADE);
			INSERT INTO atk VALUES (3);
			CREATE TRIGGER x AFTER DELETE ON atk FOR EACH ROW EXECUTE FUNCTION evil_t()},
		like => $referring);
	planted('a rule of a table that refers',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int REFERENCES celery_taskmeta ON DELETE CASCADE);
			CREATE TABLE atk3 (a int);
			CREATE TRIGGER x AFTER DELETE ON atk3 FOR EACH ROW EXECUTE FUNCTION evil_t();
			INSERT INTO atk VALUES (3);
			INSERT INTO atk3 VALUES (3);
			CREATE RULE r AS ON DELETE TO atk DO ALSO DELETE FROM atk3},
		like => $referring);
	planted('a row that changes its partition',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int REFERENCES celery_taskmeta ON DELETE SET NULL) PARTITION BY LIST (t);
			CREATE TABLE atk_n PARTITION OF atk FOR VALUES IN (NULL);
			CREATE TABLE atk_d PARTITION OF atk DEFAULT;
			INSERT INTO atk VALUES (3);
			CREATE TRIGGER x AFTER INSERT ON atk_n FOR EACH ROW EXECUTE FUNCTION evil_t()},
		like => $referring);
	planted('a CHECK that creates a trigger meanwhile',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int REFERENCES celery_taskmeta ON DELETE SET NULL);
			INSERT INTO atk VALUES (2), (3), (4);
			CREATE FUNCTION pl(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN
				IF $1 IS NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = ''xx'') THEN
					CREATE TRIGGER xx AFTER UPDATE ON public.atk FOR EACH ROW EXECUTE FUNCTION public.evil_t();
				END IF; RETURN true; END';
			ALTER TABLE atk ADD CHECK (pl(t)) NOT VALID},
		like => $referring);
	planted('an action on alembic_version',
		grant => 'GRANT REFERENCES ON alembic_version TO mallory',
		plant => q{
			CREATE TABLE atk (t text REFERENCES alembic_version ON UPDATE CASCADE);
			INSERT INTO atk VALUES ('0013');
			CREATE TRIGGER x AFTER UPDATE ON atk FOR EACH ROW EXECUTE FUNCTION evil_t()},
		statement => q{SELECT syncmaster_downgrade('0012')},
		like => $referring);
	planted('the same with SET NULL',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int REFERENCES celery_taskmeta ON DELETE SET NULL);
			INSERT INTO atk VALUES (3);
			CREATE TRIGGER x AFTER UPDATE ON atk FOR EACH ROW EXECUTE FUNCTION evil_t()},
		like => $referring);
	planted('a table that refers to the one that refers',
		grant => 'GRANT REFERENCES ON celery_taskmeta TO mallory',
		plant => q{
			CREATE TABLE atk (t int PRIMARY KEY REFERENCES celery_taskmeta ON DELETE CASCADE);
			CREATE TABLE atk2 (t int REFERENCES atk ON DELETE CASCADE);
			INSERT INTO atk VALUES (3); INSERT INTO atk2 VALUES (3);
			CREATE TRIGGER x AFTER DELETE ON atk2 FOR EACH ROW EXECUTE FUNCTION evil_t()},
		like => $referring);
}

# Repair runs as the other tables' owner and must not plan over a planted table.
foreach my $key ('PRIMARY KEY', '')
{
	planted("repair beside a table of another owner, '$key'",
		plant => qq{
			CREATE TABLE other (id bigint $key, status varchar(50));
			CREATE INDEX i ON other (status) WHERE evil_i(1);
			INSERT INTO other VALUES (50)},
		grant => 'GRANT CREATE ON SCHEMA public TO mallory; DROP TABLE celery_taskmeta',
		then => 'ALTER TABLE other RENAME TO celery_taskmeta',
		statement => 'SELECT * FROM syncmaster_repair(false)',
		listed => qr/celery_taskmeta/,
		like => qr/^$/,
		after => [ 'SELECT last_value FROM task_id_sequence', 50 ]);
}

# What is legitimate goes on working ------------------------------------------------

foreach my $case (
	[ 'a plain index', 'CREATE INDEX i ON celery_taskmeta (lower(status))' ],
	[ 'a helper in SQL', 'ALTER TABLE celery_taskmeta ADD CHECK (is_ok(status))' ],
	[ 'a trigger of the owner\'s', q{
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER t AFTER DELETE ON celery_taskmeta EXECUTE FUNCTION audit()} ],
	[ 'an index of pg_trgm',
		'CREATE INDEX i ON celery_taskmeta USING gin (status gin_trgm_ops)' ],
	[ 'tables of another role', 'ALTER TABLE celery_taskmeta OWNER TO app;
		ALTER SEQUENCE task_id_sequence OWNER TO app' ],
	[ 'a table of a DBA that refers', 'CREATE TABLE notes (t int
		REFERENCES celery_taskmeta ON DELETE CASCADE); INSERT INTO notes VALUES (3)' ],
	[ 'an operator of pg_trgm in a CHECK',
		q{ALTER TABLE celery_taskmeta ADD CHECK (status % status)} ],
	[ 'a function of the owner\'s in an index', q{
		CREATE FUNCTION part(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN left($1, 1); END';
		CREATE INDEX i ON celery_taskmeta (part(status))} ],
	[ 'a table of another role that refers, without an action', q{
		CREATE TABLE notes (t int REFERENCES celery_taskmeta DEFERRABLE);
		ALTER TABLE notes OWNER TO app} ],
	[ 'a trigger with an argument where nobody else may create one', q{
		SET ROLE app;
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		RESET ROLE;
		ALTER TABLE celery_taskmeta OWNER TO app;
		SET ROLE app;
		CREATE TRIGGER t AFTER DELETE ON celery_taskmeta EXECUTE FUNCTION audit('results')} ],
	[ 'a deferred trigger of the owner\'s', q{
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER t AFTER DELETE OR UPDATE ON celery_taskmeta
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit()} ])
{
	my ($name, $sql) = @$case;
	my $db = 'allowed_' . ++$number;
	query('postgres', "CREATE DATABASE $db TEMPLATE template_trust");
	query($db, $sql);
	my ($rc, undef, $err) = run_as($superuser, $db, $PURGE);
	is($rc, 0, "$name: the purge goes on") or diag($err);
	is(query($db, 'SELECT count(*) FROM celery_taskmeta'), 0, "$name: and deletes");
	query('postgres', "DROP DATABASE $db");
}

done_testing();
