# syncmaster_health() beside others: a locked table is named and not waited for,
# nobody's planted code runs, a standby answers as well, credentials are looked at
# with the key files, in a schema of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('health', "autovacuum = off\nwal_level = replica\n"
	  . "max_wal_senders = 5\nhot_standby = on");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# What is above info, "check_name: detail" each.
sub health
{
	my ($before, $server) = @_;
	return ($server // $node)->safe_psql(
		'postgres', ($before // '') . q{;
		SELECT severity || ', ' || check_name || ': ' || detail
		FROM syncmaster_health() WHERE severity <> 'info'});
}

# ---------------------------------------------------------------------------
# Credentials

write_keys($node, 'one', $KEY{one});
write_keys($node, 'two', $KEY{two});
my $keys = use_keys('one');
is(health($keys), '', 'no credentials, nothing to say');
is( $node->safe_psql('postgres', "$keys SELECT count(*) FROM syncmaster_health()"),
	0, '... not even for information');

$node->safe_psql('postgres', $keys . q{
	INSERT INTO "user" (username, is_superuser, is_active)
		VALUES ('u', false, true);
	INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
	INSERT INTO connection (group_id, type, name, description, data)
		SELECT 1, 'postgres', 'c' || i, '', '{}' FROM generate_series(1, 5) i;
	INSERT INTO auth_data (connection_id, value)
		SELECT i, syncmaster_encrypt('{"password": "x"}')
		FROM generate_series(1, 5) i;
});
is(health($keys), '', 'all credentials can be read');

# A rotation, step by step: nothing is wrong, as long as the services have the key.
my $both = use_keys('two', 'one');
my $previous = q{SELECT severity, detail FROM syncmaster_health() WHERE detail ~ 'previous key'};
is(health($both), '', 'before a rotation');
is( $node->safe_psql('postgres', $both . $previous),
	'info|the credentials of 5 connections are under the previous key, and none under the primary one, as before a rotation',
	'... what is to come is information');
my $rotation = begin_session($node, 'postgres', $superuser,
	"$both BEGIN; SELECT * FROM syncmaster_rotate_credentials();");
is(health($both), '', '... while it is at work');
in_session($rotation, 'COMMIT;');
end_session($rotation);
is($node->safe_psql('postgres', $both . $previous), '', '... and after it');
is(health($both), '', '... all is well');
$node->safe_psql('postgres', "$keys UPDATE auth_data SET value = syncmaster_encrypt('{}') WHERE connection_id = 1");
is( health($both),
	'warning, credentials: the credentials of 1 connection are under a previous key, which the services do not know',
	'a service that was started with the previous key again');
$node->safe_psql('postgres', use_keys('one', 'two') . 'SELECT * FROM syncmaster_rotate_credentials()');

# The example key of the compose file, which is upstream's and public.
my ($public) = slurp_file("$FindBin::RealBin/../config.docker.yml") =~ /^encryption:\n(?:  #.*\n)*  secret_key: (\S+)$/m
  or die 'no key';
write_keys($node, 'public', $public);
my $warning = "warning, credentials: the primary key is the example key of SyncMaster's .env.docker and config.docker.yml, which is public";
is( health(use_keys('public', 'one')),
	$warning, 'the example key is the primary one');
is(health(use_keys('one', 'public')), '', 'the example key is a previous one');

# The command of the compose file makes another one.
my ($make_key) = slurp_file("$FindBin::RealBin/../docker-compose.yml") =~ /^#\t(openssl .*)$/m
  or die 'no command';
write_keys($node, 'made', `$make_key` =~ s/\n\z//r);
is(health(use_keys('made', 'one')), '', 'a key of its own');
$node->safe_psql('postgres', q{
	UPDATE auth_data SET value = 'x' || value WHERE connection_id IN (2, 4);
	DELETE FROM auth_data WHERE connection_id = 5});
is( health($keys),
	"error, credentials: the credentials of 2 connections cannot be read with any key: 2, 4\n"
	  . 'warning, credentials: 1 connection has no credentials: 5',
	'credentials that cannot be read, and that are missing');
is( health(use_keys('two', 'one')),
	"error, credentials: the credentials of 2 connections cannot be read with any key: 2, 4\n"
	  . 'warning, credentials: 1 connection has no credentials: 5',
	'credentials under a previous key, too');
is(health(), '', 'without a key nothing is known');
chmod 0644, $node->data_dir . '/one';
like(health($keys),
	qr/^error, credentials: were not looked at: key file "one" is accessible to others$/m,
	'a key file that is refused');
is( $node->safe_psql('postgres', "$keys BEGIN; SELECT count(*) FROM syncmaster_health(); SELECT 1; COMMIT"),
	"1\n1", '... does not end the transaction');
chmod 0600, $node->data_dir . '/one';
$node->safe_psql('postgres', 'DELETE FROM connection');

# ---------------------------------------------------------------------------
# Settings

# A session that has not loaded the library knows none of its settings.
my @lasting = (
	q{ALTER SYSTEM SET syncmaster.secret_key_file = 'one'},
	q{SET ROLE app; ALTER DATABASE postgres SET syncmaster.health_started = '12h'});
$node->safe_psql('postgres', 'ALTER DATABASE postgres OWNER TO app');
foreach my $sql (@lasting)
{
	my ($before, $command) = $sql =~ /^(SET ROLE app; )?(.*)/;
	my ($out, $err) = query($node, ($before // '') . "SELECT syncmaster_library_version(); $command");
	is($err, '', "$command: in the documented order");
}
is(health(), '', '... health has nothing to say of them');
$node->safe_psql('postgres', "SELECT syncmaster_library_version(); $_")
  foreach 'ALTER SYSTEM RESET ALL', 'ALTER DATABASE postgres RESET syncmaster.health_started';

# What was set without it and has no effect is named.
$node->safe_psql('postgres', $_)
  foreach q{ALTER DATABASE postgres SET syncmaster.health_retention = '92 days'},
  q{ALTER ROLE app SET syncmaster.guard = maybe},
  q{ALTER DATABASE postgres SET syncmaster.health_retension = '92d'},
  qq{ALTER ROLE app IN DATABASE postgres SET syncmaster.secret_key_file = '$KEY{one}'};
my $file = $node->data_dir . '/wrong.conf';
append_to_file($file, "syncmaster.health_waiting = 'a while'\nSyncmaster.Health_Started = '1 day'\n"
	  . "syncmaster.health_queue_idle = '8d'\n");
$node->append_conf('postgresql.conf', "include_if_exists 'wrong.conf'");
$node->reload;
my $check = 'after SELECT syncmaster_library_version(), the server checks what is set.';
my $misunderstood = <<"OUT";
warning|syncmaster.guard is "maybe" for role "app", which is not allowed: the default is in effect|ALTER ROLE app RESET syncmaster.guard; $check
warning|syncmaster.health_retension is "92d" for database "postgres", and there is no such setting|ALTER DATABASE postgres RESET syncmaster.health_retension; $check
warning|syncmaster.health_retention is "92 days" for database "postgres", which is not allowed: the default is in effect|ALTER DATABASE postgres RESET syncmaster.health_retention; $check
warning|syncmaster.secret_key_file has a value for role "app" in database "postgres", which is not allowed: the default is in effect|ALTER ROLE app IN DATABASE postgres RESET syncmaster.secret_key_file; $check
OUT
my $in_file = join '', map {
	my ($name, $value, $line) = @$_;
	qq{warning|$name is "$value" for file "$file", line #, which is not allowed: the default is in effect|Correct the file; $check\n}
} [ 'syncmaster.health_waiting', 'a while' ], [ 'syncmaster.health_started', '1 day' ];
my $settings_of = q{SELECT severity, regexp_replace(detail, 'line \d+', 'line #'), hint FROM syncmaster_%s
	WHERE subject = 'setting' AND detail NOT LIKE '%%restoring%%'};
foreach my $report (q{preflight('head')}, 'health()')
{
	my $sql = sprintf $settings_of, $report;
	is($node->safe_psql('postgres', $sql) . "\n", $misunderstood . $in_file,
		"$report: values that have no effect");
	is($node->safe_psql('postgres', "SET ROLE app; $sql") . "\n", $misunderstood,
		'... those in files to whoever may see them');
}
$node->safe_psql('postgres', $_)
  foreach map({ /\|(ALTER [^;]*);/g } split /\n/, $misunderstood),
  'ALTER DATABASE postgres OWNER TO CURRENT_USER';
unlink $file or die $!;
$node->reload;
is(health(), '', 'without them all is well');

# ---------------------------------------------------------------------------
# Locked tables

sub locked
{
	my ($tables) = @_;
	my $session = begin_session($node, 'postgres', $superuser,
		"BEGIN; LOCK TABLE $tables IN ACCESS EXCLUSIVE MODE;");
	my $found = health("$keys SET lock_timeout = '1ms'");

	end_session($session);
	return $found;
}

sub not_looked_at
{
	my (@rows) = @_;
	return join "\n", map {
		my ($check, $table) = split / /;
		qq{warning, $check: was not looked at: table "$table" is locked}
	} @rows;
}

is(locked('run'),
	not_looked_at('schema run', 'runs run', 'growth run'), 'run is locked');
$node->safe_psql('postgres', q{UPDATE alembic_version SET version_num = '0012'});
like(locked('run'),
	qr/^warning, schema: was not looked at: table "run" is locked\n(.*\n)?warning, schema: is at revision 0012, the extension at version 1\.13, /ms,
	'a locked table does not hide that the revision is out of step');
$node->safe_psql('postgres', q{UPDATE alembic_version SET version_num = '0013'});
is( locked('transfer'),
	not_looked_at('schema transfer', 'schedules transfer'),
	'transfer is locked');
is( locked('apscheduler_jobs, auth_data, celery_tasksetmeta'),
	not_looked_at('schema auth_data', 'schedules apscheduler_jobs',
		'credentials auth_data', 'growth celery_tasksetmeta'),
	'others are locked');
is(locked('alembic_version'),
	not_looked_at('schema alembic_version'), 'alembic_version is locked');

# ---------------------------------------------------------------------------
# A hostile owner of the tables

$node->safe_psql('postgres', q{
	INSERT INTO queue (name, slug, group_id, description)
		VALUES ('q', 'q', 1, '');
	INSERT INTO connection (group_id, type, name, description, data)
		VALUES (1, 'postgres', 'c', '', '{}');
	INSERT INTO transfer (group_id, name, description, source_connection_id,
			target_connection_id, strategy_params, source_params, target_params,
			transformations, resources, is_scheduled, schedule, queue_id,
			updated_at)
		SELECT 1, 't' || i, '', c.id, c.id, '{}', '{}', '{}', '[]', '{}', true,
			'* * * * *', 1, '2020-01-01'
		FROM connection c, generate_series(1, 3) i;
	INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
		VALUES (1, 'CREATED', 'MANUAL', '{}', '2020-01-01'),
			(1, 'FINISHED', 'MANUAL', '{}', '2020-01-01');
	INSERT INTO celery_taskmeta (id, date_done)
		VALUES (nextval('task_id_sequence'), '2020-01-01');
	GRANT USAGE ON SCHEMA app TO PUBLIC;
});

# The plants themselves are differences of the schema, and take room.
sub planted_apart
{
	return join "\n", grep { !/schema/ }
	  map { s/has .*, the oldest/the oldest/r } split /\n/, $_[0];
}

my $faults = health("SET syncmaster.health_retention = '1d'");
is(scalar(split /\n/, $faults), 5, 'five findings') or diag($faults);
$node->safe_psql('postgres', q{
	SET ROLE app;
	CREATE FUNCTION planted(anyelement) RETURNS anyelement IMMUTABLE
	LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''planted code ran''; RETURN $1; END';
	SET client_min_messages = error;
	CREATE INDEX planted_run ON run (planted(id)) WHERE planted(id) > 0;
	CREATE INDEX planted_transfer ON run (transfer_id) WHERE planted(id) > 0;
	CREATE INDEX planted_job ON apscheduler_jobs (planted(id));
	CREATE POLICY planted ON run USING (planted(true));
	CREATE POLICY planted ON transfer USING (planted(true));
	ALTER TABLE run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	ALTER TABLE transfer ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
});
my $log_end = -s $node->logfile;
is(planted_apart(health("SET syncmaster.health_retention = '1d'")),
	planted_apart($faults),
	'planted code and policies hide nothing');
unlike(slurp_file($node->logfile, $log_end), qr/planted code ran/,
	'planted code does not run');
$node->safe_psql('postgres', q{
	DROP FUNCTION planted CASCADE;
	ALTER TABLE run DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
	ALTER TABLE transfer DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY});

# ---------------------------------------------------------------------------
# What belongs to a table, locked

sub beside
{
	my ($sql, $lock_timeout) = @_;
	my $session = begin_session($node, 'postgres', $superuser, "BEGIN; $sql;");
	my $found = health("SET statement_timeout = '60s'; SET lock_timeout = "
		  . ($lock_timeout // q{'1ms'}));

	end_session($session);
	return join "\n", grep { /not looked at/ } split /\n/, $found;
}

is(beside('SELECT 1'), '', 'all can be looked at');
is(beside('REINDEX INDEX ix__run__status'),
	'', 'without an index on the status a small table is read');
is( beside('REINDEX TABLE run'),
	join("\n", map { qq{warning, $_: was not looked at: an index of table "run" is locked} }
		qw(runs queues growth)),
	'the indexes of run are locked');
foreach my $lock_timeout (q{'1ms'}, 0, q{'10min'})
{
	is( beside('ALTER SEQUENCE run_id_seq RENAME TO other_seq', $lock_timeout),
		'warning, schema: was not looked at: something that belongs to a table is locked',
		"a sequence is locked, lock_timeout = $lock_timeout");
}

# ---------------------------------------------------------------------------
# A standby, and a read-only transaction

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('health_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $settings = "$keys SET syncmaster.health_retention = '1d'";
my $want = health($settings);
is(scalar(split /\n/, $want), 6, 'six findings') or diag($want);
chmod 0600, $standby->data_dir . '/one';
is(health($settings, $standby), $want, 'a standby says the same');
is(health("$settings; BEGIN READ ONLY"), $want, 'a read-only transaction, too');
chmod 0644, $standby->data_dir . '/one';
like(health($settings, $standby), qr/key file "one" is accessible to others/,
	'a standby looks at key files of its own');

chmod 0600, $standby->data_dir . '/one';
$node->safe_psql('postgres', 'ALTER TABLE celery_taskmeta SET UNLOGGED');
$node->wait_for_catchup($standby);
like(health($settings, $standby),
	qr/^warning, growth: was not looked at: table "celery_taskmeta" is not as it should be/m,
	'a standby has nothing of a table that is not logged');

$standby->stop;
$node->stop;
done_testing();
