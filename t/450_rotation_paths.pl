# Rotation on its other paths: by SQL, where Citus has the rows; without the
# server's counters; and for so long that one wants to see how far it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use OpenSession;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('paths');
write_keys($node, "$_.key", $KEY{$_}) foreach keys %KEY;
add_connections($node, 1, 600);
$node->safe_psql('postgres', use_keys('one.key') . q{
	INSERT INTO auth_data (connection_id, value)
		SELECT id, syncmaster_encrypt(jsonb_build_object('n', id)) FROM connection});
my $good = q{SELECT count(*) FROM auth_data
	WHERE (syncmaster_decrypt(value)->>'n')::bigint = connection_id};
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $rotate = 'SELECT * FROM syncmaster_rotate_credentials()';
my $content = 'SELECT connection_id, value FROM auth_data ORDER BY connection_id';

### By SQL, as for a table that Citus distributes

$node->safe_psql('postgres', q{
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
	GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC;
	INSERT INTO pg_dist_partition VALUES ('app.auth_data'), ('app.connection')});
is($node->safe_psql('postgres', use_keys('two.key', 'one.key') . $rotate), '600|0|0|{}', 'by SQL');
is($node->safe_psql('postgres', use_keys('two.key') . $good), '600', 'by SQL: all tokens are good');
is($node->safe_psql('postgres', use_keys('two.key', 'one.key') . $rotate), '0|600|0|{}', 'by SQL, again');
is( $node->safe_psql('postgres', use_keys('one.key', 'two.key') . q{
	SELECT status, credentials FROM syncmaster_verify_credentials()}),
	"primary key|0\nprevious key|600\nunreadable|0\nconnection without credentials|0\ncredentials without connection|0",
	'verification by SQL');
my $rows = $node->safe_psql('postgres', $content);
my $to_one = use_keys('one.key', 'two.key') . $rotate;
foreach my $planted (
	[ 'CREATE RULE planted AS ON UPDATE TO auth_data DO INSTEAD NOTHING',
		'DROP RULE planted ON auth_data', qr/40001: credentials in table "auth_data" changed while they were being replaced\n.*Of 600 tokens, 0 were still there/, 'a rule' ],
	[ q{CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN NEW.value = OLD.value; RETURN NEW; END $$;
		CREATE TRIGGER planted BEFORE UPDATE ON auth_data FOR EACH ROW
			WHEN (NEW.connection_id = 3) EXECUTE FUNCTION planted()},
		'DROP FUNCTION app.planted() CASCADE',
		qr/27000: table "auth_data" does not hold/, 'a trigger' ],
	[ 'CREATE POLICY planted ON auth_data USING (connection_id <> 3);
	   ALTER TABLE auth_data ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
		'ALTER TABLE auth_data DISABLE ROW LEVEL SECURITY; DROP POLICY planted ON auth_data',
		qr/42501: query would be affected by row-level security policy/, 'a policy' ],
	[ q{UPDATE auth_data SET value = 'x' WHERE connection_id = 5}, undef,
		qr/connection_id: 5\. Nothing was changed/, 'an unreadable token' ])
{
	my ($make, $drop, $message, $name) = @$planted;
	$node->safe_psql('postgres', "SET ROLE app; $make");
	$rows = $node->safe_psql('postgres', $content);
	my ($out, $err) = query($node, $to_one);
	like($err, $message, "by SQL: $name");
	is($node->safe_psql('postgres', $content), $rows, "by SQL: $name: nothing changed");
	$node->safe_psql('postgres', $drop) if $drop;
}
# Whether Citus has a table is asked without operators of its owner's.
$node->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TABLE app.ran (who text);
	CREATE FUNCTION app.planted(regclass, oid) RETURNS boolean LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO app.ran VALUES (current_user); RETURN false; END $$;
	CREATE OPERATOR app.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = app.planted)});
is( $node->safe_psql('postgres', use_keys('one.key', 'two.key') . q{
	SET search_path = app, public;
	SELECT count(*) > 0 FROM syncmaster_metrics;
	SELECT count(*) > 0 FROM syncmaster_health();
	SELECT count(*) FROM syncmaster_verify_credentials();
	SELECT count(*) FROM app.ran}),
	"t\nt\n5\n0", 'an operator planted beside the tables does not run');
$node->safe_psql('postgres', 'DROP OPERATOR app.= (regclass, oid); DROP TABLE app.ran');

$node->safe_psql('postgres', use_keys('one.key', 'two.key') . q{
	UPDATE auth_data SET value = syncmaster_encrypt('{"n": 5}') WHERE connection_id = 5;
	SELECT syncmaster_rotate_credentials()});

# A service on another node changes a token after it was read.  The lock of the
# table on the coordinator does not reach the shard; a child stands in for that.
$node->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TABLE auth_data_102008 (PRIMARY KEY (connection_id)) INHERITS (auth_data);
	WITH moved AS (DELETE FROM ONLY auth_data RETURNING *) INSERT INTO auth_data_102008 TABLE moved});
{
	my $service = begin_session($node, 'postgres', 'app', q{
		BEGIN; UPDATE auth_data_102008 SET value = 'of the service' WHERE connection_id = 7;});
	my $rotation = begin_session($node, 'postgres', $superuser,
		"\\set VERBOSITY verbose\n" . use_keys('two.key', 'one.key'), application => 'rotation');
	in_session($rotation, "$rotate;", nowait => 1);
	ok( $node->poll_query_until('postgres', q{
			SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = 'rotation'}),
		'a rotation waits for a row of another node');
	in_session($service, 'COMMIT;');
	end_session($service);
	wait_for_session($rotation);
	my $err = end_session($rotation);
	like($err, qr/40001: credentials in table "auth_data" changed.*Of 600 tokens, 599 were still there/s,
		'by SQL: a token that a service has changed meanwhile');
	is($node->safe_psql('postgres', 'SELECT value FROM auth_data WHERE connection_id = 7'),
		'of the service', 'by SQL: is not overwritten');
}

# More tokens than one statement replaces.
add_connections($node, 601, 2100);
is($node->safe_psql('postgres', use_keys('one.key') . q{
	DELETE FROM auth_data WHERE connection_id = 7;
	INSERT INTO auth_data_102008 (connection_id, value)
		SELECT id, syncmaster_encrypt(jsonb_build_object('n', id, 'certificate', repeat('x', 1000)))
			FROM connection WHERE id = 7 OR id > 600;} .
	use_keys('two.key', 'one.key') . $rotate . ';' . use_keys('two.key') . $good),
	"2100|0|0|{}\n2100", 'by SQL: several batches');
$node->safe_psql('postgres', use_keys('one.key', 'two.key') . q{
	SELECT syncmaster_rotate_credentials();
	INSERT INTO auth_data SELECT * FROM auth_data_102008 WHERE connection_id <= 600;
	DROP TABLE auth_data_102008;
	DELETE FROM connection WHERE id > 600;
	SET allow_system_table_mods = on;
	DROP TABLE pg_catalog.pg_dist_partition});

### What depends on the value, or on a replica identity

# Rows that fit their partition only under the key that they had.
$node->safe_psql('postgres', q{
	CREATE TABLE rest (LIKE auth_data);
	CREATE TABLE saved AS TABLE auth_data;
	CREATE TABLE parent (LIKE auth_data) PARTITION BY HASH (value);
	TRUNCATE auth_data;
	ALTER TABLE parent ATTACH PARTITION auth_data FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	ALTER TABLE parent ATTACH PARTITION rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parent TABLE saved});
{
	my ($out, $err) = query($node, use_keys('two.key', 'one.key') . $rotate);
	like($err, qr/violates partition constraint/, 'a partition by value is respected');
}
$node->safe_psql('postgres', q{
	ALTER TABLE parent DETACH PARTITION auth_data;
	DROP TABLE parent, rest;
	TRUNCATE auth_data;
	INSERT INTO auth_data TABLE saved;
	DROP TABLE saved;
	ALTER TABLE auth_data REPLICA IDENTITY NOTHING;
	CREATE PUBLICATION published FOR TABLE auth_data});
{
	my ($out, $err) = query($node, use_keys('two.key', 'one.key') . $rotate);
	like($err, qr/does not have a replica identity/, 'a published table has to have an identity');
	is($node->safe_psql('postgres', use_keys('one.key') . $rotate), '0|600|0|{}',
		'but not if nothing changes');
}
$node->safe_psql('postgres', q{
	DROP PUBLICATION published;
	ALTER TABLE auth_data REPLICA IDENTITY DEFAULT});

### Without counters of written rows

$node->safe_psql('postgres', q{
	CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.value <> 'x' AND NEW.connection_id = 300 THEN
			UPDATE app.auth_data SET value = 'x' WHERE connection_id = NEW.connection_id;
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER sabotage AFTER UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION sabotage()});
foreach my $counters ('on', 'off')
{
	my ($out, $err) = query($node, "SET track_counts = $counters;" . use_keys('two.key', 'one.key') . $rotate);
	like($err, qr/27000: table "auth_data" does not hold the credentials that were written/,
		"a change afterwards is noticed with track_counts = $counters");
}
$node->safe_psql('postgres', 'DROP FUNCTION sabotage CASCADE');
is($node->safe_psql('postgres', 'SET track_counts = off;' . use_keys('two.key', 'one.key') . $rotate),
	'600|0|0|{}', 'rotation with track_counts = off');

# A trigger that writes and takes it back confuses the counters, not the result.
$node->safe_psql('postgres', q{
	CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		BEGIN
			DELETE FROM app.auth_data WHERE connection_id = NEW.connection_id;
			RAISE EXCEPTION 'undone';
		EXCEPTION WHEN raise_exception THEN
		END;
		RETURN NULL;
	END $$;
	CREATE TRIGGER harmless AFTER UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION harmless()});
is($node->safe_psql('postgres', use_keys('one.key', 'two.key') . $rotate),
	'600|0|0|{}', 'a trigger whose writes are undone');
is($node->safe_psql('postgres', use_keys('one.key') . $good), '600', 'all tokens are good');
$node->safe_psql('postgres', 'DROP FUNCTION harmless CASCADE');

# A trigger on each row that wants to see all rows of the statement.
$node->safe_psql('postgres', q{
	CREATE TABLE seen (rows bigint);
	ALTER TABLE seen OWNER TO app;
	CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO app.seen SELECT count(*) FROM new_rows;
		RETURN NULL;
	END $$;
	CREATE TRIGGER look AFTER UPDATE ON auth_data REFERENCING NEW TABLE AS new_rows
		FOR EACH ROW EXECUTE FUNCTION look()});
foreach my $keys ([ 'two.key', 'one.key' ], [ 'one.key', 'two.key' ])
{
	is($node->safe_psql('postgres', use_keys(@$keys) . $rotate),
		'600|0|0|{}', 'a trigger with a transition table');
}
is($node->safe_psql('postgres', use_keys('one.key') . $good), '600', 'all tokens are good');
is($node->safe_psql('postgres', 'SELECT count(*), min(rows), max(rows) FROM seen'),
	'1200|600|600', 'it was called for each row, and saw all of the statement');
$node->safe_psql('postgres', 'DROP FUNCTION look CASCADE');

### Progress, and a way out of a long run

$node->safe_psql('postgres', q{
	CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
	CREATE TRIGGER slow BEFORE UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION slow();
	ANALYZE auth_data});
$rows = $node->safe_psql('postgres', $content);
my $session = start_psql($node, 'postgres', use_keys('two.key', 'one.key') . "$rotate;");
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) > 0 FROM pg_stat_activity
		WHERE query ~ '^syncmaster_rotate_credentials\(\): (256|512) of about 600 tokens$'
		  AND state = 'active'}),
	'progress is in pg_stat_activity');
$node->safe_psql('postgres', q{
	SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	WHERE query ~ '^syncmaster_rotate_credentials.*tokens$' AND state = 'active'});
my (undef, undef, $err) = finish_psql($session);
like($err, qr/canceling statement due to user request/, 'it can be cancelled');
is($node->safe_psql('postgres', $content), $rows, 'and nothing was changed');

$node->stop;
done_testing();
