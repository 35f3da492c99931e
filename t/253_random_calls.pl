# Functions and procedures with random arguments, as random roles and with random
# settings: they answer or say what is wrong. An internal error (class XX) or a crash would
# be a fault; a server with assertions finds more than others.
#
# SYNCMASTER_CALLS says how many calls (doc/reliability.md has what longer runs gave),
# and SYNCMASTER_SEED which.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $calls = $ENV{SYNCMASTER_CALLS} // 300;
my $seed = $ENV{SYNCMASTER_SEED} // time;
note("SYNCMASTER_SEED=$seed");

my $node = new_server('random');
$node->append_conf('postgresql.conf', q(
	fsync = off
	log_statement = none
	log_min_messages = fatal
	log_min_error_statement = panic
));
$node->restart;
create_small_database($node);

# Values by their type, and calls that are made of them. Of the functions, each gets the
# same time, so those that are quick are called more often.
$node->safe_psql('small', <<'SQL');
CREATE SCHEMA random;
CREATE TABLE random.finding (call text, sqlstate text, message text);
CREATE TABLE random.done (calls bigint, answered bigint);
CREATE TABLE random.function AS
	SELECT p.oid::regproc AS name, p.prokind AS kind, p.proargtypes::oid[] AS types
	FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
	  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'syncmaster');
CREATE FUNCTION random.pick(VARIADIC choice text[]) RETURNS text LANGUAGE sql VOLATILE
	AS $f$ SELECT choice[1 + floor(random() * cardinality(choice))::int] $f$;
CREATE FUNCTION random.string() RETURNS text LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
	RETURN CASE floor(random() * 8)::int
		WHEN 0 THEN random.pick('head', 'heads', 'base', '+1', '-1', '-2', '+99', 'head-1', '0005+2', '+2147483648', '1.13', '1.12', '1.11',
			'1.13.1', '1.14', '0013', '0012', '0011', '0001', '0000', '0014')
		WHEN 1 THEN random.pick('server', 'worker', 'scheduler', 'monitor', 'app', 'reader', 'writer', 'stranger', 'public', 'user_1', 'user_2')
		WHEN 2 THEN random.pick('', ' ', '"', '''', '\\', '%s%n%999999d', '$$', ';', E'\n', E'\u00e9', E'\U0001f642', 'FAILED', 'STOPPED', 'CREATED')
		WHEN 3 THEN (SELECT string_agg(chr(CASE WHEN random() < 0.7 THEN 1 + floor(random() * 126) ELSE 160 + floor(random() * 50000) END::int), '')
			FROM generate_series(1, 1 + floor(random() * 40)::int))
		WHEN 4 THEN repeat(random.pick('x', 'a.b/', E'\u0436', '''', ' '), floor(random() * 5000)::int)
		WHEN 5 THEN (SELECT value FROM auth_data LIMIT 1)
		WHEN 6 THEN (SELECT overlay(value PLACING random.pick('A', '=', '*', '', '==') FROM 1 + floor(random() * length(value))::int) FROM auth_data LIMIT 1)
		ELSE random.string() || random.string() END;
END $f$;
CREATE FUNCTION random.number() RETURNS text LANGUAGE sql VOLATILE AS $f$
	SELECT random.pick('0', '1', '2', '3', '-1', '100', '2147483647', '-2147483648', floor(random() * 20)::text) $f$;
CREATE FUNCTION random.value(type oid) RETURNS text LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
	IF random() < 0.05 THEN
		RETURN 'NULL::' || type::regtype;
	END IF;
	RETURN CASE type::regtype::text
		WHEN 'text' THEN quote_literal(random.string())
		WHEN 'boolean' THEN random.pick('true', 'false')
		WHEN 'integer' THEN '(' || random.number() || ')'
		WHEN 'interval' THEN quote_literal(random.pick('0', '1 day', '-1 day', '90 days', '178000000 years', '-178000000 years', '1 microsecond', '1 month')) || '::interval'
		WHEN 'bigint' THEN quote_literal(random.pick('0', '-1', '9223372036854775807', '1')) || '::bigint'
		WHEN 'bigint[]' THEN quote_literal(random.pick('{}', '{1,2,3}', '{NULL}', '{{1,2},{3,4}}', '{9223372036854775807,-1}', '[5:6]={1,2}')) || '::bigint[]'
		WHEN 'text[]' THEN (SELECT 'ARRAY[' || string_agg(quote_nullable(random.string()), ', ') || ']::text[]' FROM generate_series(1, 1 + floor(random() * 4)::int))
		WHEN 'jsonb' THEN quote_literal(CASE WHEN random() < 0.5 THEN to_jsonb(random.string()) ELSE jsonb_build_object(random.string(),
			jsonb_build_array(random.pick('1e400', '1.50', '-0', '12345678901234567890123', '0.1')::numeric, random.string(), NULL, true)) END) || '::jsonb'
		ELSE 'NULL' END;
END $f$;
CREATE FUNCTION random.call(f random.function) RETURNS text LANGUAGE plpgsql VOLATILE AS $f$
DECLARE
	arguments text;
BEGIN
	SELECT string_agg(random.value(t), ', ' ORDER BY o) INTO arguments FROM unnest(f.types) WITH ORDINALITY AS u(t, o);
	RETURN format(CASE f.kind WHEN 'p' THEN 'CALL %s(%s)' ELSE 'SELECT count(f) FROM %s(%s) f' END,
		f.name, CASE WHEN arguments ~ '^ARRAY' THEN 'VARIADIC ' ELSE '' END || coalesce(arguments, ''));
END $f$;
CREATE PROCEDURE random.calls(n bigint) LANGUAGE plpgsql AS $body$
DECLARE
	functions random.function[] := ARRAY(SELECT f FROM random.function f);
	prepared text[] := array_fill(NULL::text, ARRAY[cardinality(functions) * 100]);
	spent float8[] := array_fill(0::float8, ARRAY[cardinality(functions)]);
	total float8 := 0;
	a bigint := 0;
	k int;
	p int;
	call text;
	started timestamptz;
	state text;
	message text;
BEGIN
	INSERT INTO random.done VALUES (0, 0);
	FOR i IN 1 .. n LOOP
		LOOP
			k := 1 + floor(random() * cardinality(functions))::int;
			EXIT WHEN spent[k] <= 1.1 * total / cardinality(functions) + 0.2;
		END LOOP;

		-- a call is made again in other circumstances, before it gives way to another
		p := (k - 1) * 100 + 1 + floor(random() * 100)::int;
		IF prepared[p] IS NULL OR random() < 0.1 THEN
			prepared[p] := random.call(functions[k]);
		END IF;
		call := prepared[p];
		started := clock_timestamp();
		BEGIN
			PERFORM set_config('syncmaster.' || random.pick('secret_key_file', 'previous_secret_key_file'), random.pick('one.key', 'two.key', 'none', ''), true)
				WHERE random() < 0.2;
			PERFORM set_config('syncmaster.' || random.pick('allow_destroy', 'restoring', 'create_indexes'), random.pick('on', 'off'), true)
				WHERE random() < 0.3;
			PERFORM set_config('syncmaster.guard', random.pick('off', 'locks', 'sessions'), true) WHERE random() < 0.1;
			PERFORM set_config('search_path', random.pick('', 'pg_temp', 'random, public', 'public'), true) WHERE random() < 0.1;
			PERFORM set_config('role', random.pick('app', 'reader', 'stranger', 'worker'), true) WHERE random() < 0.3;
			EXECUTE call;
			a := a + 1;
			RAISE EXCEPTION USING ERRCODE = 'ZZ000';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
			IF state ~ '^XX' THEN
				INSERT INTO random.finding VALUES (left(call, 1000), state, message);
			END IF;
		END;
		spent[k] := spent[k] + extract(epoch FROM clock_timestamp() - started);
		total := total + extract(epoch FROM clock_timestamp() - started);
		IF i % 100 = 0 OR i = n THEN
			UPDATE random.done SET calls = i, answered = a;
			COMMIT;
		END IF;
	END LOOP;
END $body$;
SQL
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my ($rc, $out, $err) = $node->psql('small',
	"$key_settings SET client_min_messages = error; SET syncmaster.lock_timeout = '1s'; "
	  . "SELECT setseed(($seed % 1000) / 1000.0); CALL random.calls($calls)",
	timeout => 86400, on_error_stop => 1);
is($rc, 0, 'the calls end') or diag($err);
is($node->safe_psql('small', 'SELECT call, sqlstate, message FROM random.finding LIMIT 20'), '', 'no internal error');
my ($done, $answered) = split /\|/, $node->safe_psql('small', 'SELECT calls, answered FROM random.done');
is($done, $calls, 'all were made');
cmp_ok($answered, '>', $calls / 20, 'some of them were answered');
note("$answered of $done calls were answered");
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not crashed');
unlike(slurp_file($node->logfile), qr/was terminated by signal|TRAP:/, 'no process has');
$node->stop;
done_testing();
