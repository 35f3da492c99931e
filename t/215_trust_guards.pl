# The rule of trust, guard by guard: each case leaves one thing of another role's,
# which one place in the library has to ask about.  t/214_trust.pl carries out what
# is refused; here it is only listed beforehand, which the same question answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('guards');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
$node->safe_psql('postgres', q{
	CREATE EXTENSION syncmaster;
	CREATE ROLE app;
	CREATE ROLE mallory;
	GRANT CREATE ON SCHEMA public TO app, mallory;
	SET ROLE mallory;
	CREATE FUNCTION evil(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
	CREATE FUNCTION evil(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
	CREATE FUNCTION evil(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
	CREATE FUNCTION evil_number(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 0; END';
	CREATE FUNCTION evil_distance(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 0; END';
	CREATE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE DOMAIN evil_domain AS int CHECK (evil(value))});

my $list = q{SELECT detail FROM syncmaster_preflight('head') WHERE severity <> 'info'};

# What is listed once a superuser, "SU" in the statements, has run them; nothing of
# it stays.
sub listed
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
		'SET client_min_messages = warning; BEGIN; '
		  . ($sql =~ s/\bSU\b/"$superuser"/gr) . "; RESET ROLE; RESET search_path; $list; ROLLBACK",
		on_error_stop => 1);
	diag($err) if $rc != 0;
	return $rc == 0 ? $out : "$err$out";
}

is(listed('SELECT'), '', 'nothing is listed at first');

# In a rule that a former owner made, or in another place of his table.
sub rule { return "CREATE RULE r AS ON DELETE TO celery_taskmeta $_[0]"; }

sub former_owner
{
	my ($name, $plant, $pattern, $then) = @_;
	like(
		listed("ALTER TABLE celery_taskmeta OWNER TO mallory; SET LOCAL ROLE mallory; $plant; "
			  . 'RESET ROLE; ALTER TABLE celery_taskmeta OWNER TO SU; ' . ($then // '')),
		$pattern, $name);
	return;
}

my $of_mallory = 'of role "mallory", who lacks the rights';

# Functions ----------------------------------------------------------------------

my $aggregate = 'CREATE AGGREGATE a(int) (sfunc = evil_number, stype = int)';
former_owner('an aggregate', "$aggregate; " . rule('DO ALSO SELECT a(1)'),
	qr/It calls function public\.a\(integer\) $of_mallory/);
former_owner('an aggregate that was handed over: its function',
	"$aggregate; " . rule('DO ALSO SELECT a(1)'),
	qr/It calls function public\.evil_number\(integer,integer\) $of_mallory/,
	'ALTER AGGREGATE a(int) OWNER TO SU');

foreach my $case (
	[ 'a function that is not IMMUTABLE, in SQL', q{
		CREATE FUNCTION f(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT true'}, q{f('x')} ],
	[ 'a function in C that belongs to no extension', q{
		CREATE FUNCTION f(text) RETURNS text[] LANGUAGE c IMMUTABLE AS '$libdir/pg_trgm', 'show_trgm'},
		q{f('x')} ],
	[ 'a function that was added to pg_catalog', q{
		CREATE FUNCTION pg_catalog.f(text) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN true; END'},
		q{f('x')} ])
{
	my ($name, $create, $call) = @$case;
	former_owner("$name: a superuser's, with a text",
		"RESET ROLE; $create; SET LOCAL ROLE mallory; " . rule("DO ALSO SELECT $call"),
		qr/It calls function \S*f\(pg_catalog\.text\) of role "\Q$superuser\E", whose arguments may contain code/);
}
former_owner('a function of PostgreSQL that reads a table', rule(
		q{DO ALSO SELECT table_to_xml('public.run', true, true, '')}),
	qr/It calls function pg_catalog\.table_to_xml\S+ which does more than to compute a value/);

# A condition with a query reads what it likes, and has functions that execute their
# arguments: tablefunc's crosstab().
my $crosstab = q{SELECT FROM crosstab('SELECT evil(1)') AS t(a text, b text)};
my $tablefunc = 'RESET ROLE; CREATE EXTENSION tablefunc; SET LOCAL ROLE mallory; ';
foreach my $query ($crosstab, q{SELECT FROM pg_authid WHERE rolname LIKE 'p%'})
{
	former_owner("the condition EXISTS ($query) of a rule",
		$tablefunc . rule("WHERE EXISTS ($query) DO INSTEAD NOTHING"),
		qr/The query in its condition has the rights of whoever uses the table/);
}
former_owner('a function of an extension that returns a set', "$tablefunc
		ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON celery_taskmeta USING (EXISTS ($crosstab))",
	qr/It calls function public\.crosstab\(pg_catalog\.text\) of role "\Q$superuser\E", whose arguments may contain code/);

# Operators ----------------------------------------------------------------------

my $operator = 'CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)';
my $calls_operator = qr/It calls operator public\.===\(\S*integer,\S*integer\) $of_mallory/;
former_owner('an operator, whose function is PostgreSQL\'s',
	"$operator; " . rule('WHERE old.id === 1 DO ALSO SELECT 1'), $calls_operator);
former_owner('an operator of ANY',
	"$operator; " . rule(q{WHERE old.id === ANY ('{1}') DO ALSO SELECT 1}), $calls_operator);
foreach my $expression ('old.id IS DISTINCT FROM 1', 'NULLIF(old.id, 1) > 0')
{
	former_owner("the operator of $expression",
		'CREATE OPERATOR public.= (leftarg = int, rightarg = int, function = int4eq);
			SET LOCAL search_path = public, pg_catalog; '
		  . rule("WHERE $expression DO ALSO SELECT 1"),
		qr/It calls operator public\.=\(\S*integer,\S*integer\) $of_mallory/);
}
foreach my $other ('commutator', 'negator')
{
	former_owner("the $other of an operator that was handed over", "
			CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq, $other = !==);
			CREATE OPERATOR !== (leftarg = int, rightarg = int, function = evil, $other = ===); "
		  . rule('WHERE old.id === 1 DO ALSO SELECT 1'),
		qr/It calls function public\.evil\(integer,integer\) $of_mallory/,
		'ALTER OPERATOR ===(int, int) OWNER TO SU');
}

# An operator class, which only a superuser can make, with what belongs to mallory.
my $operators = join ' ', map {
	my ($name, $function, $commutator) = @$_;
	"CREATE OPERATOR $name (leftarg = int, rightarg = int, function = $function, commutator = $commutator);"
  } [ '<<<', 'int4lt', '>>>' ], [ '<<=', 'int4le', '>>=' ], [ '===', 'int4eq', '===' ],
  [ '>>=', 'int4ge', '<<=' ], [ '>>>', 'int4gt', '<<<' ];
my $class = 'CREATE OPERATOR CLASS evil_ops FOR TYPE int USING btree AS
	OPERATOR 1 <<<, OPERATOR 2 <<=, OPERATOR 3 ===, OPERATOR 4 >>=, OPERATOR 5 >>>,
	FUNCTION 1 btint4cmp(int, int)';
former_owner('an operator that compares rows',
	$operators, qr/It calls operator public\.<<<\(\S*integer,\S*integer\) $of_mallory/,
	"$class; " . rule('WHERE (old.id, 1) <<< (2, 2) DO ALSO SELECT 1'));

my $with_operator = "$operators $class" =~ s/int4lt/evil/r;
my $with_function = "$operators $class" =~ s/btint4cmp/evil_number/r;
foreach my $case (
	[ 'operator', $with_operator, 'evil' ],
	[ 'function', $with_function, 'evil_number' ])
{
	my ($kind, $create, $function) = @$case;
	my $calls = qr/It calls function public\.$function\(integer,integer\) $of_mallory/;

	former_owner("the $kind of an operator class of an index", 'SELECT', $calls,
		"$create; CREATE INDEX i ON celery_taskmeta (id evil_ops)");
	former_owner("the $kind of an operator class of a partition key", 'SELECT', $calls,
		"$create; CREATE TABLE parts (a int) PARTITION BY RANGE (a evil_ops); "
		  . rule('DO ALSO SELECT FROM parts'));
}

# Types --------------------------------------------------------------------------

former_owner('a type', q{CREATE TYPE en AS ENUM ('a'); ALTER TABLE celery_taskmeta ADD x en},
	qr/It uses type public\.en $of_mallory/);
foreach my $cast ('en AS json', 'json AS en')
{
	my ($from, $to) = split / AS /, $cast;
	former_owner("a cast of $cast", "
			CREATE TYPE en AS ENUM ('a');
			CREATE FUNCTION f($from) RETURNS $to LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE CAST ($cast) WITH FUNCTION f($from);
			ALTER TABLE celery_taskmeta ADD x en",
		qr/It calls function public\.f\((?:\S+\.)?$from\) $of_mallory/,
		'ALTER TYPE en OWNER TO SU');
}

# Those that were handed over, with something left behind.
my $calls_evil = qr/It calls function public\.evil\(integer\) $of_mallory/;
my $uses_domain = qr/It uses type public\.evil_domain $of_mallory/;
foreach my $case (
	[ 'the default of a domain', 'CREATE DOMAIN d AS bool DEFAULT evil(1)', 'd', $calls_evil ],
	[ 'the CHECK of a domain', 'CREATE DOMAIN d AS int CHECK (evil(value))', 'd', $calls_evil ],
	[ 'the CHECK of the elements of an array', 'CREATE DOMAIN d AS int CHECK (evil(value))',
		'd[]', $calls_evil ],
	[ 'the type under a domain', 'CREATE DOMAIN d AS evil_domain', 'd', $uses_domain ],
	[ 'a column of a composite type', 'CREATE TYPE d AS (a evil_domain)', 'd', $uses_domain ],
	[ 'the subtype of a range', 'CREATE TYPE d AS RANGE (subtype = evil_domain)', 'd', $uses_domain ],
	[ 'the function of a range',
		'CREATE TYPE d AS RANGE (subtype = int, subtype_diff = evil_distance)', 'd',
		qr/It calls function public\.evil_distance\(integer,integer\) $of_mallory/ ])
{
	my ($name, $create, $type, $pattern) = @$case;
	former_owner($name, "$create; ALTER TABLE celery_taskmeta ADD x $type", $pattern,
		'ALTER TYPE d OWNER TO SU');
}

foreach my $query (
	q{SELECT 1 FROM json_to_record('{"a": 1}') AS x(a evil_domain)},
	q{SELECT 1 FROM xmltable('/r' PASSING xml '<r/>' COLUMNS a evil_domain)})
{
	former_owner("a type in $query", rule("DO ALSO $query"), $uses_domain);
}
former_owner('the type that a function returns', 'SELECT', $uses_domain, q{
	CREATE FUNCTION f() RETURNS evil_domain LANGUAGE sql IMMUTABLE AS 'SELECT 1'; }
	  . rule('DO ALSO SELECT f()'));

# Relations ----------------------------------------------------------------------

former_owner('the WITH CHECK of a policy',
	'ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON celery_taskmeta USING (true) WITH CHECK (evil(status))',
	qr/policy "p" of table "celery_taskmeta" may run/);
former_owner('an expression of statistics',
	'CREATE STATISTICS s ON (evil(id)), task_id FROM celery_taskmeta',
	qr/statistics object "s" of table "celery_taskmeta" may run/)
  if $major >= 14;
former_owner('the owner of a table that is read',
	'CREATE TABLE side (a int); ' . rule('DO ALSO SELECT FROM side'),
	qr/It belongs to role "mallory", who lacks the rights/);
former_owner('a foreign table', 'SELECT', qr/It is a foreign table/, '
	CREATE FOREIGN DATA WRAPPER w;
	CREATE SERVER s FOREIGN DATA WRAPPER w;
	CREATE FOREIGN TABLE far (a int) SERVER s; ' . rule('DO ALSO SELECT FROM far'));
former_owner('the key of a partitioned table',
	'CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 1; END$$;
		CREATE TABLE parts (a int) PARTITION BY RANGE (f(a)); '
	  . rule('DO ALSO SELECT FROM parts'),
	qr/It calls function public\.f\(integer\) $of_mallory/,
	'ALTER TABLE parts OWNER TO SU');
former_owner('the table that a partition belongs to',
	'CREATE TABLE parts (a int) PARTITION BY LIST (a);
		CREATE TABLE part PARTITION OF parts DEFAULT; ' . rule('DO ALSO SELECT FROM part'),
	qr/table "parts" is not trusted/, 'ALTER TABLE part OWNER TO SU');

# A trigger that somebody with the right to create one made.  The rule is the
# superuser's own.
sub trigger
{
	my ($name, $tables, $trigger, $do) = @_;
	former_owner($name, 'SELECT', qr/trigger "t" of table "side" may run another role's code/, "
		$tables; SET LOCAL ROLE mallory;
		CREATE TRIGGER t AFTER $trigger ON side FOR EACH ROW EXECUTE FUNCTION evil_trigger();
		RESET ROLE; " . rule("DO ALSO ($do)"));
	return;
}

my $side = 'CREATE TABLE side (a int PRIMARY KEY, b int); GRANT TRIGGER ON side TO mallory';
trigger('a trigger on INSERT', $side, 'INSERT', 'INSERT INTO side VALUES (1)');
trigger('a trigger on UPDATE, where INSERT may update', $side, 'UPDATE',
	'INSERT INTO side VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1');
trigger('a trigger on DELETE of a table that was read before', $side, 'DELETE',
	'SELECT FROM side; DELETE FROM side');
my $parted = 'CREATE TABLE side (a int) PARTITION BY LIST (a);
	CREATE TABLE part PARTITION OF side DEFAULT; GRANT TRIGGER ON side, part TO mallory';
trigger("a trigger on $_ of a partitioned table that is updated", $parted, $_,
	'UPDATE side SET a = 2')
  foreach qw(INSERT DELETE);
unlike(listed("$side; SET LOCAL ROLE mallory;
		CREATE TRIGGER t AFTER UPDATE ON side FOR EACH ROW EXECUTE FUNCTION evil_trigger();
		RESET ROLE; " . rule('DO ALSO INSERT INTO side VALUES (1)')),
	qr/trigger "t"/, 'a trigger on what is not done is not asked about');

former_owner('a trigger that is marked as internal',
	'CREATE TRIGGER t AFTER DELETE ON celery_taskmeta EXECUTE FUNCTION evil_trigger()',
	qr/trigger "t" of table "celery_taskmeta" may run/, q{
	SET LOCAL allow_system_table_mods = on;
	UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 't'});

# Tables that a command names, or reads on the way, with an index of a former owner.
foreach my $case (
	[ 'connection', 'DROP INDEX ix_syncmaster__connection_group_id_name',
		'SELECT * FROM syncmaster_create_indexes()', 'a table that gets an index' ],
	[ 'transfer', 'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer',
		'SELECT * FROM syncmaster_repair(false)', 'the table that a new foreign key refers to' ],
	[ 'transfer', 'ALTER TABLE run ALTER transfer_id TYPE int',
		'SELECT * FROM syncmaster_repair(false)', 'the table that a column of another type refers to' ])
{
	my ($table, $damage, $command, $name) = @$case;
	my (undef, $out, $err) = $node->psql('postgres', "BEGIN; $damage;
		ALTER TABLE $table OWNER TO mallory; SET LOCAL ROLE mallory;
		CREATE INDEX i ON $table (name) WHERE evil(name);
		RESET ROLE; ALTER TABLE $table OWNER TO \"$superuser\";
		$command; ROLLBACK");
	like("$out$err", qr/index "i" of table "$table" may run another role's code/, $name);
}

# syncmaster_check() lists the same.
is( $node->safe_psql('postgres', qq{BEGIN;
		SET LOCAL client_min_messages = error;
		GRANT TRIGGER ON alembic_version TO mallory;
		ALTER TABLE celery_taskmeta OWNER TO mallory;
		SET LOCAL ROLE mallory;
		CREATE TRIGGER t AFTER UPDATE ON alembic_version EXECUTE FUNCTION evil_trigger();
		CREATE INDEX i ON celery_taskmeta (status) WHERE evil(1);
		RESET ROLE;
		ALTER TABLE celery_taskmeta OWNER TO "$superuser";
		SELECT object_type, object_name, severity FROM syncmaster_check()
		WHERE problem = 'may run another role''s code' ORDER BY 1; ROLLBACK}),
	"index|celery_taskmeta.i|warning\ntrigger|alembic_version.t|warning",
	'check lists what is not trusted');

# What is the owner's own goes on working.
{
	my (undef, $out, $err) = $node->psql('postgres', q{BEGIN;
		SET LOCAL client_min_messages = error;
		ALTER TABLE run ALTER id TYPE int;
		CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
		CREATE OPERATOR === (leftarg = bigint, rightarg = int, function = int84eq);
		CREATE INDEX i ON run (type) WHERE id === 1;
		SELECT action, why FROM syncmaster_repair(false) WHERE object_name = 'run.id'; ROLLBACK});
	is("$out$err", 'done|', 'another operator of the owner\'s, for the new type');
	$out = $node->safe_psql('postgres', q{BEGIN;
		CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER d AFTER DELETE OR UPDATE ON celery_taskmeta
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later();
		CREATE CONSTRAINT TRIGGER i AFTER UPDATE ON alembic_version
			DEFERRABLE FOR EACH ROW EXECUTE FUNCTION later();
		SELECT detail FROM syncmaster_preflight('head') WHERE detail ~ 'deferred'; ROLLBACK});
	is($out, '', 'triggers that are deferred in no command are not listed');
}

# The tables' owner made a function that takes code as an argument of a trigger;
# others may create triggers that call the function.
sub with_argument
{
	my ($name, $sql, $pattern) = @_;
	like(
		listed('ALTER TABLE celery_taskmeta OWNER TO app; SET LOCAL ROLE app;
			CREATE FUNCTION run() RETURNS trigger LANGUAGE plpgsql
				AS $$BEGIN EXECUTE tg_argv[0]; RETURN NULL; END$$; RESET ROLE; ' . $sql),
		$pattern, $name);
	return;
}
my $trigger = q{CREATE TRIGGER t AFTER DELETE ON %s EXECUTE FUNCTION run('code')};
my $takes_code = qr/trigger "t" of table "celery_taskmeta" may.*function public\.run\(\) of role "app", whose arguments may contain code/;
foreach my $grantee ('mallory', 'PUBLIC')
{
	with_argument("an argument of a trigger, where $grantee may create one",
		"GRANT TRIGGER ON celery_taskmeta TO $grantee; SET LOCAL ROLE mallory; "
		  . sprintf($trigger, 'celery_taskmeta'),
		$takes_code);
}
with_argument('an argument of a trigger, where nobody else may create one',
	'SET LOCAL ROLE app; ' . sprintf($trigger, 'celery_taskmeta'), qr/\A\z/);
with_argument('an argument of a trigger, where a member may create one',
	'GRANT app TO mallory; GRANT TRIGGER ON celery_taskmeta TO mallory; SET LOCAL ROLE mallory; '
	  . sprintf($trigger, 'celery_taskmeta'), qr/\A\z/);

# Up to 17, triggers of a table that refers run as whoever deletes or updates.
SKIP:
{
	skip '18 runs them as the owner of the table', 8 if $major >= 18;

	# Each has one trigger, on the event of the action.
	foreach my $case (
		[ 'ON DELETE CASCADE', 'DELETE', 'celery_taskmeta' ],
		[ 'ON DELETE SET DEFAULT', 'UPDATE', 'celery_taskmeta' ],
		[ 'ON UPDATE CASCADE', 'UPDATE', 'alembic_version', 'text' ])
	{
		my ($action, $event, $table, $type) = (@$case, 'int');
		like(
			listed("GRANT REFERENCES ON $table TO mallory; SET LOCAL ROLE mallory;
				CREATE TABLE atk (a $type REFERENCES $table $action);
				CREATE TRIGGER t AFTER $event ON atk EXECUTE FUNCTION evil_trigger()"),
			qr/trigger "t" of table "atk" may run another role's code/, "a trigger of a table that refers with $action");
	}
	with_argument('an argument of a trigger of another role\'s table, which refers',
		'GRANT REFERENCES ON celery_taskmeta TO mallory; SET LOCAL ROLE mallory;
			CREATE TABLE atk (a int REFERENCES celery_taskmeta ON DELETE CASCADE); '
		  . sprintf($trigger, 'atk'),
		qr/trigger "t" of table "atk" may.*function public\.run\(\) of role "app", whose arguments may/);

	# A trigger that is created meanwhile: each table that the action writes is locked
	# before the question.
	$node->safe_psql('postgres', q{
		INSERT INTO celery_taskmeta (id, task_id, date_done) VALUES (1, 1, '2001-01-01');
		CREATE TABLE atk (a int REFERENCES celery_taskmeta ON DELETE CASCADE);
		CREATE TABLE parts (a int REFERENCES celery_taskmeta ON DELETE CASCADE) PARTITION BY LIST (a);
		CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
		GRANT TRIGGER ON atk, part TO mallory});
	foreach my $table ('atk', 'part')
	{
		$node->safe_psql('postgres', "INSERT INTO $table VALUES (1)");
		my $creator = begin_session($node, 'postgres', $superuser, qq{
			BEGIN; SET LOCAL ROLE mallory;
			CREATE TRIGGER t AFTER DELETE ON $table EXECUTE FUNCTION evil_trigger();
			CREATE TRIGGER r AFTER DELETE ON $table FOR EACH ROW EXECUTE FUNCTION evil_trigger();});
		my $purge = begin_session($node, 'postgres', $superuser,
			"CALL syncmaster_purge_task_results('30 days');",
			nowait => 1, application => 'purge');
		$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
			WHERE application_name = 'purge' AND wait_event_type = 'Lock'})
		  or die 'the purge does not wait';
		in_session($creator, 'COMMIT;');
		wait_for_session($purge);
		like(end_session($purge), qr/trigger "\w" of table "$table" may run another role's code/,
			"a trigger of table $table that is created while a purge waits");
		end_session($creator);
		is($node->safe_psql('postgres', "SELECT count(*) FROM $table"), '1', '... does not run');
		$node->safe_psql('postgres', "DROP TRIGGER r ON $table; DROP TRIGGER t ON $table; DELETE FROM $table");
	}
}

# What an owner adds while set_owner() waits for his table.
{
	$node->safe_psql('postgres', q{
		CREATE DATABASE handed;
		GRANT app TO mallory});
	$node->safe_psql('handed', q{
		CREATE EXTENSION syncmaster;
		GRANT ALL ON SCHEMA public TO app, mallory;
		SELECT syncmaster_set_owner('mallory')});
	my $owner = begin_session($node, 'handed', $superuser, q{
		BEGIN; SET LOCAL ROLE mallory; LOCK TABLE celery_taskmeta IN ACCESS EXCLUSIVE MODE;});
	my $call = begin_session($node, 'handed', $superuser,
		qq{SELECT syncmaster_set_owner('$superuser');},
		nowait => 1, application => 'call');
	$node->poll_query_until('handed', q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'call' AND wait_event_type = 'Lock'})
	  or die 'set_owner does not wait';
	in_session($owner, q{
		CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER late AFTER DELETE ON celery_taskmeta EXECUTE FUNCTION late();
		COMMIT;});
	wait_for_session($call);
	like(end_session($call), qr/trigger "late" of table "celery_taskmeta" may run another role's code/,
		'a trigger that is created while set_owner() waits');
	end_session($owner);
	is( $node->safe_psql('handed',
			q{SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'}),
		'mallory', '... and nothing is handed over');
}

# The name of the schema ----------------------------------------------------------
#
# Statements name what is in it, and its owner could put another schema in its place.

$node->safe_psql('postgres', q{
	CREATE ROLE dba LOGIN;
	CREATE DATABASE named OWNER dba});
$node->safe_psql('named', q{
	CREATE SCHEMA s AUTHORIZATION dba;
	CREATE EXTENSION syncmaster SCHEMA s VERSION '1.11'});
$node->safe_psql('named', qq{
	SELECT s.syncmaster_set_owner('$superuser');
	GRANT SELECT ON s.connection TO dba});
my $SWAP = q{
	ALTER SCHEMA s RENAME TO other;
	CREATE SCHEMA s;
	CREATE FUNCTION s.syncmaster_migrate(text, text, text) RETURNS void
		LANGUAGE plpgsql AS 'BEGIN ALTER ROLE dba SUPERUSER; END';
	CREATE FUNCTION s.syncmaster_finish_script(text) RETURNS void
		LANGUAGE plpgsql AS 'BEGIN ALTER ROLE dba SUPERUSER; END';};

# Wait until a session waits for a lock, or has swapped the schemas.
sub waits
{
	my ($application) = @_;
	$node->poll_query_until('named', qq{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = '$application' AND (wait_event_type = 'Lock'
			OR state = 'idle' AND query LIKE 'CREATE FUNCTION s.syncmaster_finish%')})
	  or die "$application does nothing";
	return $node->safe_psql('named', qq{SELECT wait_event_type FROM pg_stat_activity
		WHERE application_name = '$application'}) eq 'Lock';
}

# A swap during the wait for a table.
{
	my $reader = begin_session($node, 'named', 'dba', 'BEGIN; SELECT FROM s.connection;');
	my $update = begin_session($node, 'named', $superuser, q{
		SET client_min_messages = error; SET syncmaster.lock_timeout = '120s';
		ALTER EXTENSION syncmaster UPDATE;}, nowait => 1, application => 'update');
	waits('update');
	my $swap = begin_session($node, 'named', 'dba', $SWAP, nowait => 1, application => 'swap');
	ok(waits('swap'), 'the schema of an update is not renamed meanwhile');
	in_session($reader, 'COMMIT;');
	wait_for_session($update);
	unlike(end_session($update), qr/ERROR/, '... and the update goes on');
	wait_for_session($swap);
	end_session($_) foreach $swap, $reader;
	is($node->safe_psql('named', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'dba'}),
		'f', '... gives nobody rights');
	$node->safe_psql('named', q{
		ALTER ROLE dba NOSUPERUSER; DROP SCHEMA s CASCADE; ALTER SCHEMA other RENAME TO s});
}

# One that has begun before the command, and one after somebody granted something.
{
	my $swap = begin_session($node, 'named', 'dba', "BEGIN; $SWAP", application => 'swap');
	foreach my $command (q{syncmaster_upgrade('head')}, q{syncmaster_grant('app', 'server')})
	{
		my (undef, undef, $err) = $node->psql('named', "SELECT s.$command");
		like($err, qr/schema "s" is being renamed or dropped by another session/,
			"$command while the schema is renamed");
	}
	in_session($swap, 'ROLLBACK; BEGIN; GRANT USAGE ON SCHEMA s TO app;');
	my $command = begin_session($node, 'named', $superuser, 'BEGIN; SELECT s.syncmaster_create_indexes();');
	in_session($swap, 'COMMIT;');
	in_session($swap, $SWAP, nowait => 1);
	ok(waits('swap'), 'the schema is not renamed, although somebody granted something on it');
	in_session($command, 'COMMIT;');
	is(end_session($command), '', '... before the command has ended');
	wait_for_session($swap);
	end_session($swap);
}

$node->stop;
done_testing();
