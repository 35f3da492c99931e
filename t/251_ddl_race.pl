# Functions that read, over and over, while another session changes the tables, their
# indexes, rights and owners.  They answer, or say what is wrong: an internal error
# (class XX) would mean that something was used that was gone.
#
# SYNCMASTER_ROUNDS says how often the readers go round; a server with assertions
# finds more than others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $rounds = $ENV{SYNCMASTER_ROUNDS} // 10;

my $node = new_server('race');
write_keys($node, 'one.key', $KEY{one});
create_roles($node);
create_database($node, 'app');
$node->safe_psql('app', 'CREATE EXTENSION syncmaster');
fill_tables($node, 'app');
$node->append_conf('postgresql.conf',
	"syncmaster.secret_key_file = 'one.key'\n");
$node->reload;
my $settings = q(SET client_min_messages = error; SET syncmaster.lock_timeout = '2s';
	\\set VERBOSITY verbose
);
my $token = $node->safe_psql('app', "$settings SELECT syncmaster_encrypt('{}')");
$node->safe_psql('app', q(GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO reader;
	GRANT SELECT ON syncmaster_metrics TO reader;
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN RETURN new; END'));

my %arguments = (
	syncmaster_decrypt => "'$token'",
	syncmaster_tsquery => "'a word'",
	syncmaster_upgrade_plan => "'head'",
	syncmaster_upgrade_sql => "'head'",
	syncmaster_preflight => "'head'");
my @reading = split /\n/, $node->safe_psql('app', q(
	SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
	  AND p.provolatile <> 'v' AND d.refobjid =
		(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')
	ORDER BY 1));
cmp_ok(scalar @reading, '>', 10, 'functions that read');
my $queries = join "\n",
  map { "SELECT count(*) FROM $_(" . ($arguments{$_} // '') . ');' } @reading;
$queries .= "\nSELECT count(*) FROM syncmaster_metrics;"
  . "\nSELECT * FROM syncmaster_repair(true);"
  . "\nSELECT * FROM syncmaster_rotate_credentials(true);"
  . "\nCALL syncmaster_purge_runs('1 day', 1, 100, true);\n";

# What the other session does, each statement by itself; after all of them the
# schema is as it was.
my $changes = q(
CREATE INDEX ix_syncmaster__race ON run (status);
DROP INDEX ix_syncmaster__run_transfer_id_created_at;
CREATE INDEX ix_syncmaster__run_transfer_id_created_at
	ON run (transfer_id, created_at DESC);
DROP INDEX ix_syncmaster__race;
DROP INDEX ix_syncmaster__user_active_username, ix__run__status;
CREATE INDEX ix__run__status ON run (status);
CREATE INDEX ix_syncmaster__user_active_username
	ON "user" (username) WHERE is_active IS TRUE;
ALTER TABLE run ADD COLUMN extra int DEFAULT 1, ADD CHECK (id > 0);
ALTER TABLE run DROP COLUMN extra, DROP CONSTRAINT run_id_check;
ALTER TABLE transfer ALTER name SET STATISTICS 10;
ANALYZE run, transfer, auth_data;
GRANT SELECT, DELETE ON run, auth_data TO writer;
CREATE TRIGGER note BEFORE UPDATE ON auth_data
	FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION note();
REVOKE ALL ON run, auth_data FROM writer;
DROP TRIGGER note ON auth_data;
DROP TRIGGER note ON run;
TRUNCATE syncmaster_history.migration;
INSERT INTO syncmaster_history.migration
	SELECT now(), 'public', NULL, string_agg(md5(i::text), ''), 'app', '0', '1'
	FROM generate_series(1, 500) i;
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE auth_data;
TRUNCATE auth_data;
INSERT INTO auth_data (connection_id, value, created_at, updated_at)
	SELECT connection_id, value, created_at, updated_at FROM kept;
COMMIT;
ALTER TABLE run RENAME TO run_elsewhere;
ALTER TABLE run_elsewhere RENAME TO run;
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE alembic_version;
DROP TABLE alembic_version;
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version TABLE kept;
COMMIT;
DROP TABLE celery_tasksetmeta;
CREATE TABLE celery_tasksetmeta (id int NOT NULL PRIMARY KEY,
	taskset_id varchar(155) UNIQUE, result bytea, date_done timestamp);
CREATE INDEX ix_celery_tasksetmeta_date_done ON celery_tasksetmeta (date_done);
DROP SEQUENCE task_id_sequence;
CREATE SEQUENCE task_id_sequence;
ALTER TABLE connection OWNER TO app;
CREATE POLICY p ON connection USING (true);
ALTER TABLE connection ENABLE ROW LEVEL SECURITY;
CREATE RULE r AS ON INSERT TO "user" DO ALSO NOTHING;
DROP RULE r ON "user";
ALTER TABLE connection DISABLE ROW LEVEL SECURITY;
DROP POLICY p ON connection;
ALTER TABLE connection OWNER TO CURRENT_USER;
CREATE ROLE passing;
GRANT SELECT ON run TO passing;
GRANT reader TO passing;
REVOKE ALL ON run FROM passing;
DROP ROLE passing;
CREATE FUNCTION syncmaster_check(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
DROP FUNCTION syncmaster_check(int);
ALTER TABLE queue DROP CONSTRAINT uq__queue__slug;
ALTER TABLE queue ADD CONSTRAINT uq__queue__slug UNIQUE (slug);
ALTER TABLE transfer DROP COLUMN search_vector;
ALTER TABLE transfer ADD COLUMN search_vector tsvector;
ALTER TABLE transfer DROP CONSTRAINT fk__transfer__queue_id__queue;
ALTER TABLE transfer ADD CONSTRAINT fk__transfer__queue_id__queue
	FOREIGN KEY (queue_id) REFERENCES queue (id) ON DELETE CASCADE;
REINDEX TABLE run;
VACUUM run;
CLUSTER run USING pk__run;
CREATE TABLE child () INHERITS (queue);
DROP TABLE child;
DROP VIEW IF EXISTS v;
CREATE VIEW v AS SELECT id FROM run;
DROP VIEW v;
);

# Run SQL in a session of its own, without waiting; its errors go to a file.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $count = 0;

sub start
{
	my ($role, $application, $sql) = @_;
	my $file = "$folder/" . $count++;
	local $ENV{PGAPPNAME} = $application;

	append_to_file($file, $settings . $sql);
	return {
		errors => "$file.errors",
		h => IPC::Run::start(
			[
				'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-U', $role,
				'-d', 'app', '-f', $file
			],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.errors")
	};
}

# Changes go on until the readers are done.
my $user = $ENV{PGUSER} // getpwuid($<);
sub race
{
	my ($queries, $changes) = @_;
	my @readers = map { start($_, 'reader', $queries) } ($user, 'reader');
	my $changed = 0;
	my $change_errors = '';
	do
	{
		my $changer = start($user, 'changer', $changes);
		$changer->{h}->finish;
		$change_errors .= slurp_file($changer->{errors});
		$changed++;
	  } while (
		$node->safe_psql('postgres',
			q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reader'))
		> 0);
	$_->{h}->finish foreach @readers;

	my %states;
	foreach my $reader (@readers)
	{
		my $errors = slurp_file($reader->{errors});
		$states{$_}++ foreach $errors =~ /ERROR:  (\w{5}):/g;
		is_deeply([ $errors =~ /^.*ERROR:  XX.*\n(?:.*\n){0,3}/mg ],
			[], 'a reader meets no internal error');
		unlike($errors, qr/server closed|terminated|connection to server/,
			'and does not lose the server');
	}
	note("$changed rounds of changes, errors: "
		  . join ', ', map { "$_ $states{$_} times" } sort keys %states);
	cmp_ok($changed, '>', 0, 'tables were changed meanwhile');
	unlike($change_errors, qr/ERROR:  XX/, 'the other session meets none, either')
	  or diag($change_errors);
	return;
}

race($queries x $rounds, $changes);

# The record of migrations and its schema, which are looked up by their names.
$node->safe_psql('app', 'DROP SCHEMA syncmaster_history CASCADE');
race('SELECT count(*) FROM syncmaster_privileges();' x (30 * $rounds), q(
	CREATE SCHEMA syncmaster_history CREATE TABLE migration (a int);
	DROP SCHEMA syncmaster_history CASCADE;
) x 100);
like(slurp_file($node->logfile), qr/\A(?:(?!was terminated by signal|TRAP:).)*\z/s,
	'no process of the server has crashed');

$node->stop;
done_testing();
