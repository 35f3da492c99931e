# A superuser rotates credentials that belong to somebody who wants his rights.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('hostile');
write_keys($node, "$_.key", $KEY{$_}) foreach keys %KEY;
my $to_two = use_keys('two.key', 'one.key');
my $rotate = "$to_two SELECT re_encrypted FROM syncmaster_rotate_credentials()";
my $content = 'SELECT connection_id, value FROM auth_data ORDER BY connection_id';

add_connections($node, 1, 5);
$node->safe_psql('postgres', use_keys('one.key') . q{
	INSERT INTO auth_data (connection_id, value)
		SELECT id, syncmaster_encrypt(jsonb_build_object('password', 'plain-' || id))
		FROM connection});
my $rows = $node->safe_psql('postgres', $content);
is($node->safe_psql('postgres', q{SELECT relowner::regrole FROM pg_class WHERE relname = 'auth_data'}),
	'app', 'the tables are not a superuser\'s');

# Plant something as the owner; rotate as the superuser; look; put it back.
# Returns what rotation said.
sub with_planted
{
	my ($planted, $after, $settings) = @_;
	$node->safe_psql('postgres', "SET ROLE app; $planted");
	my ($out, $err) = query($node, ($settings // '') . $rotate);
	my $result = $err =~ /ERROR:  (.*)/ ? $1 : $out;
	$result .= ' ' . $node->safe_psql('postgres', $after) if $after;
	return $result;
}

# After a failed rotation.
sub unchanged
{
	my ($name) = @_;
	is($node->safe_psql('postgres', $content), $rows, "$name: nothing changed");
	return;
}

# After a rotation that went through.
sub put_back
{
	my ($name) = @_;
	is( $node->safe_psql('postgres', use_keys('two.key') . q{
		SELECT count(*) FROM auth_data
		WHERE syncmaster_decrypt(value)->>'password' = 'plain-' || connection_id}),
		'5', "$name: all tokens are good");
	$node->safe_psql('postgres',
		use_keys('one.key', 'two.key') . 'SELECT syncmaster_rotate_credentials()');
	$rows = $node->safe_psql('postgres', $content);
	return;
}

# Attempts to become the superuser, and to see the plaintext.
my $spy = q{
	CREATE TABLE IF NOT EXISTS seen (what text, who text, value text);
	CREATE OR REPLACE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			EXECUTE 'RESET ROLE';
			INSERT INTO app.seen VALUES ('escaped', current_user, NULL);
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO app.seen VALUES (SQLERRM, current_user, NEW.value);
		END;
		RETURN NEW;
	END $$;};
foreach my $time ('BEFORE', 'AFTER')
{
	my $result = with_planted(
		"$spy CREATE TRIGGER spy $time UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION spy()",
		q{SELECT string_agg(DISTINCT what || ', ' || who, ';') || ', ' || count(*) FROM seen});
	is($result,
		'5 cannot set parameter "role" within security-restricted operation, app, 5',
		"$time trigger: runs as the owner and cannot get out");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM seen WHERE value ~ '^gAAAA' AND length(value) = 120}),
		'5', "$time trigger: sees tokens");
	$node->safe_psql('postgres', 'DROP TRIGGER spy ON auth_data; DROP TABLE seen; DROP FUNCTION spy CASCADE');
	put_back("$time trigger");
}

# An AFTER trigger leaves nothing open: the server would warn.
$node->safe_psql('postgres', q{
	CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE TRIGGER nothing AFTER UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION nothing()});
is((query($node, $rotate))[1], '', 'an AFTER trigger: no warning');
$node->safe_psql('postgres', 'DROP FUNCTION nothing CASCADE');
put_back('an AFTER trigger');
$node->safe_psql('postgres', q{
	CREATE UNIQUE INDEX planted ON auth_data (value);
	CREATE TABLE copies (value text REFERENCES auth_data (value) ON UPDATE CASCADE);
	INSERT INTO copies SELECT value FROM auth_data});
is((query($node, $rotate))[1], '', 'a foreign key to the tokens: no warning');
is($node->safe_psql('postgres', 'SELECT count(*) FROM copies JOIN auth_data USING (value)'),
	'5', 'the foreign key followed');
$node->safe_psql('postgres', 'DROP TABLE copies; DROP INDEX planted');
put_back('a foreign key to the tokens');

# One who may make triggers, and does not own the table, would get the rights
# of its owner.
$node->safe_psql('postgres', q{
	CREATE ROLE guest;
	GRANT USAGE, CREATE ON SCHEMA app TO guest;
	GRANT TRIGGER ON auth_data TO guest;
	SET ROLE guest;
	CREATE FUNCTION grab() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN EXECUTE 'GRANT SELECT ON app.auth_data TO guest'; RETURN NULL; END $$;
	CREATE TRIGGER grab AFTER UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION grab()});
like((query($node, $rotate))[1],
	qr/55000: trigger "grab" of table "auth_data" may run another role's code/,
	"another role's trigger is refused");
unchanged("another role's trigger");
is($node->safe_psql('postgres', q{SELECT has_table_privilege('guest', 'auth_data', 'SELECT')}),
	'f', 'and did not run');
$node->safe_psql('postgres', 'DROP FUNCTION grab CASCADE; DROP OWNED BY guest; DROP ROLE guest');

# Triggers that suppress or change what is written.
my %saboteurs = (
	'suppressed' => [ 'BEFORE', 'RETURN NULL;' ],
	'suppressed for one row' => [ 'BEFORE', 'IF NEW.connection_id = 3 THEN RETURN NULL; END IF; RETURN NEW;' ],
	'changed' => [ 'BEFORE', q{NEW.value := 'x'; RETURN NEW;} ],
	'kept old' => [ 'BEFORE', 'NEW.value := OLD.value; RETURN NEW;' ],
	'moved to another row' => [ 'BEFORE', 'NEW.connection_id := 6 - NEW.connection_id; RETURN NEW;' ],
	'exchanged afterwards' => [ 'AFTER', q{IF NEW.connection_id = 5 AND pg_trigger_depth() = 1 THEN
		UPDATE app.auth_data a SET value = b.value FROM app.auth_data b
		WHERE (a.connection_id, b.connection_id) IN ((1, 2), (2, 1)); END IF; RETURN NULL;} ],
	'changed afterwards' => [ 'AFTER', q{IF NEW.value <> 'x' THEN UPDATE app.auth_data SET value = 'x' WHERE connection_id = NEW.connection_id; END IF; RETURN NULL;} ],
	'deleted afterwards' => [ 'AFTER', 'DELETE FROM app.auth_data WHERE connection_id = NEW.connection_id; RETURN NULL;' ],
	'added afterwards' => [ 'AFTER', q{INSERT INTO app.auth_data SELECT id, 'x' FROM app.connection WHERE id = 6 ON CONFLICT DO NOTHING; RETURN NULL;} ]);
$node->safe_psql('postgres', q{
	INSERT INTO connection (id, group_id, type, name, description, data)
		VALUES (6, 1, 'postgres', 'c6', '', '{}')});
foreach my $name (sort keys %saboteurs)
{
	my ($time, $body) = @{ $saboteurs{$name} };
	like(with_planted(qq{
		CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $body END \$\$;
		CREATE TRIGGER sabotage $time UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION sabotage()}),
		qr/27000: table "auth_data" does not hold the credentials that were written|duplicate key/,
		"$name: noticed");
	unchanged($name);
	$node->safe_psql('postgres', 'DROP FUNCTION sabotage CASCADE');
}

# The same by what an index calls, for rows that have been written.
my %indexes = (
	'an index expression' => 'CREATE INDEX sabotage ON auth_data (app.look(value))',
	'an index predicate' => 'CREATE INDEX sabotage ON auth_data (created_at) WHERE app.look(value)');
foreach my $name (sort keys %indexes)
{
	$node->safe_psql('postgres', qq{
		SET ROLE app;
		CREATE FUNCTION sabotage() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN
			PERFORM pg_catalog.set_config('app.sabotage', 'done', true);
			UPDATE app.auth_data SET value = 'x' WHERE connection_id = 1
				AND (SELECT count(*) FROM app.auth_data WHERE connection_id IN (1, 3)
					AND xmin::text = txid_current()::text) = 2;
			IF NOT FOUND THEN PERFORM pg_catalog.set_config('app.sabotage', 'on', true); END IF;
		END \$\$;
		CREATE FUNCTION look(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN
			IF pg_catalog.current_setting('app.sabotage', true) = 'on' THEN
				PERFORM app.sabotage();
			END IF;
			RETURN true;
		END \$\$;
		$indexes{$name}});
	my ($out, $err) = query($node, "SET app.sabotage = 'on'; $rotate");
	like($err, qr/27000: table "auth_data" does not hold the credentials that were written/,
		"$name: noticed");
	unchanged($name);
	$node->safe_psql('postgres', 'DROP FUNCTION sabotage, look CASCADE');
}

# What the owner's code waits for, it does not wait for longer than we do.
{
	my $holder = begin_session($node, 'postgres', 'app', 'BEGIN; LOCK TABLE app."group";');
	my $result = with_planted(q{
		CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM 1 FROM app."group"; RETURN NEW; END $$;
		CREATE TRIGGER wait BEFORE UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION wait()},
		undef, q{SET syncmaster.lock_timeout = '100ms'; SET statement_timeout = '60s';});
	is($result, '55P03: canceling statement due to lock timeout', 'a trigger that waits for a lock');
	end_session($holder);
	unchanged('a trigger that waits for a lock');
	$node->safe_psql('postgres', 'DROP FUNCTION wait CASCADE');
}

# Rows of this transaction have still to be checked when a deferred key is.  That
# would be at the commit, and not as the owner.
{
	$node->safe_psql('postgres', q{
		ALTER TABLE auth_data ADD CONSTRAINT later FOREIGN KEY (connection_id)
			REFERENCES connection DEFERRABLE INITIALLY DEFERRED,
			DROP CONSTRAINT fk__auth_data__connection_id__connection});
	my ($out, $err) = query($node, use_keys('one.key') . qq{
		BEGIN; INSERT INTO auth_data (connection_id, value) VALUES (999, syncmaster_encrypt('{}'));
		$rotate; COMMIT});
	like($err, qr/42501: cannot fire deferred trigger within security-restricted operation/,
		'a row without its connection is not rotated unseen');
	unchanged('a row without its connection');
	$node->safe_psql('postgres', q{
		ALTER TABLE auth_data DROP CONSTRAINT later,
			ADD CONSTRAINT fk__auth_data__connection_id__connection FOREIGN KEY (connection_id)
			REFERENCES connection ON DELETE CASCADE});
}

# A deferred trigger would run at commit, with the superuser's rights.
like(with_planted(q{
	CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON auth_data
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later()}),
	qr/cannot fire deferred trigger within security-restricted operation/,
	'a deferred trigger is refused');
unchanged('deferred trigger');
$node->safe_psql('postgres', 'DROP FUNCTION later CASCADE');

# Rules, policies and statement triggers have no part in it.
is(with_planted(q{
	CREATE RULE eat AS ON UPDATE TO auth_data DO INSTEAD NOTHING;
	ALTER TABLE auth_data ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY hide ON auth_data USING (connection_id <> 3);
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
	CREATE TRIGGER fail BEFORE UPDATE ON auth_data EXECUTE FUNCTION fail()}),
	'5', 'rule, policy, statement trigger');
put_back('rule, policy, statement trigger');
$node->safe_psql('postgres', q{
	DROP RULE eat ON auth_data;
	DROP POLICY hide ON auth_data;
	ALTER TABLE auth_data DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
	DROP FUNCTION fail CASCADE});

# Expressions of indexes, checks and generated columns run as the owner, and
# generated columns follow.
my $functions = q{
	CREATE TABLE who (who text);
	GRANT INSERT ON who TO PUBLIC;
	CREATE FUNCTION write_note() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO app.who VALUES (current_user);
	END $$;
	CREATE FUNCTION note(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM app.write_note();
		RETURN pg_catalog.left($1, 20);
	END $$;};
my %expressions = (
	'expression index' => 'CREATE INDEX planted ON auth_data (app.note(value))',
	'partial index' => q{CREATE INDEX planted ON auth_data (created_at) WHERE app.note(value) <> 'x'},
	'index predicate without columns' => q{CREATE INDEX planted ON auth_data (created_at) WHERE app.note('y') <> 'x'},
	'check' => q{ALTER TABLE auth_data ADD CONSTRAINT planted CHECK (app.note(value) <> 'x')},
	'generated column' => 'ALTER TABLE auth_data ADD COLUMN planted text GENERATED ALWAYS AS (app.note(value)) STORED');
foreach my $name (sort keys %expressions)
{
	is(with_planted("$functions $expressions{$name}; TRUNCATE who",
			q{SELECT coalesce(string_agg(DISTINCT who, ','), 'not run') FROM who}),
		'5 app', "$name: runs as the owner");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM auth_data WHERE planted <> left(value, 20)'),
		'0', 'the generated column follows') if $name eq 'generated column';
	$node->safe_psql('postgres', q{
		DROP INDEX IF EXISTS planted;
		ALTER TABLE auth_data DROP CONSTRAINT IF EXISTS planted, DROP COLUMN IF EXISTS planted;
		DROP FUNCTION note, write_note; DROP TABLE who});
	put_back($name);
}

# Reading runs no code at all.
$node->safe_psql('postgres', "SET ROLE app; $functions
	CREATE INDEX planted ON auth_data (created_at) WHERE app.note('y') <> 'x'; TRUNCATE who");
is($node->safe_psql('postgres', "$to_two SELECT sum(credentials) FROM syncmaster_verify_credentials();
	SELECT count(*) FROM who"), "6\n0", 'verification runs nothing of the owner\'s');
$node->safe_psql('postgres', 'DROP INDEX planted; DROP FUNCTION note, write_note; DROP TABLE who');

# Something else in the table's place.
my %impostors = (
	'a view' => [ 'CREATE VIEW auth_data AS SELECT * FROM hidden', qr/42809: "auth_data" is not an ordinary table/ ],
	'a partitioned table' => [ 'CREATE TABLE auth_data (connection_id bigint, value text) PARTITION BY LIST (connection_id)',
		qr/42809: "auth_data" is not an ordinary table/ ],
	'nothing' => [ '', qr/42P01: there is no table "app\.auth_data"/ ],
	'another column' => [ 'CREATE TABLE auth_data (connection_id bigint, token text)',
		qr/42703: table "auth_data" has no column "value"/ ],
	'a domain' => [ q{CREATE DOMAIN d AS text CHECK (VALUE <> 'x'); CREATE TABLE auth_data (connection_id bigint, value d)},
		qr/42804: column "value" of table "auth_data" has an unexpected type/ ],
	'a parent' => [ 'CREATE TABLE auth_data (connection_id bigint, value text); CREATE TABLE child () INHERITS (auth_data)',
		qr/42809: table "auth_data" has inheritance children/ ]);
foreach my $name (sort keys %impostors)
{
	my ($make, $message) = @{ $impostors{$name} };
	$node->safe_psql('postgres', 'ALTER TABLE auth_data RENAME TO hidden');
	like(with_planted($make), $message, "$name: refused");
	my ($out, $err) = query($node, "$to_two SELECT * FROM syncmaster_verify_credentials()");
	like($err, $message, "$name: verification refuses, too");
	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS child;
		DO $$ BEGIN
			IF to_regclass('app.auth_data') IS NOT NULL THEN
				EXECUTE (SELECT format('DROP %s app.auth_data', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END)
						 FROM pg_class WHERE oid = 'app.auth_data'::regclass);
			END IF;
		END $$;
		DROP DOMAIN IF EXISTS d;
		ALTER TABLE hidden RENAME TO auth_data});
}
unchanged('impostors');

# The settings and the role of the caller are what they were.
is($node->safe_psql('postgres', "$rotate; SELECT current_user = session_user, current_setting('search_path')"),
	"5\nt|app", 'role and settings afterwards');
put_back('role and settings');

# A role that was granted rotation needs no rights on the tables.
is($node->safe_psql('postgres', qq{
	CREATE ROLE keeper;
	GRANT USAGE ON SCHEMA app TO keeper;
	GRANT EXECUTE ON FUNCTION syncmaster_rotate_credentials(bool), syncmaster_verify_credentials() TO keeper;
	$to_two
	SET ROLE keeper;
	SELECT re_encrypted FROM syncmaster_rotate_credentials();
	SELECT credentials FROM syncmaster_verify_credentials() WHERE status = 'primary key'}),
	"5\n5", 'a role that was granted the functions');
my ($out, $err) = query($node, 'SET ROLE keeper; SELECT value FROM auth_data');
like($err, qr/permission denied for table auth_data/, 'and has no others');

$node->stop;
done_testing();
