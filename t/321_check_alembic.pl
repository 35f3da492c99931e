# syncmaster_check() has nothing to say about what SyncMaster's own migrations,
# Celery and APScheduler make, and sees damages that Alembic's check does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();

my $node = PostgreSQL::Test::Cluster->new('check_alembic');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');

# Versions of the extension do not follow Alembic; all else is about the tables.
my $above_info = q{SELECT severity, object_type, object_name, problem
	FROM syncmaster_check()
	WHERE severity <> 'info' AND object_type <> 'extension'};

sub new_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER app");
	$node->safe_psql($name, 'ALTER SCHEMA public OWNER TO app; '
		  . 'SET syncmaster.restoring = on; '
		  . "CREATE EXTENSION syncmaster VERSION '1.11'");
	return;
}

my $alembic = SyncMasterEnv->new($node, 'app');

# Every revision -----------------------------------------------------------------------

new_database('chain');
foreach my $revision (1 .. 13)
{
	my $id = sprintf '%04d', $revision;
	$alembic->alembic_ok("alembic upgrade $id", 'chain', 'upgrade', $id);
	is($node->safe_psql('chain', $above_info), '', "nothing at $id");
}
foreach my $revision (reverse 1 .. 12)
{
	my $id = sprintf '%04d', $revision;
	$alembic->alembic_ok("alembic downgrade $id", 'chain', 'downgrade', $id);
	is($node->safe_psql('chain', $above_info), '', "nothing at $id again");
}

# Celery and APScheduler were faster ------------------------------------------------------

my $worker_tables =
  `'$python' '$FindBin::RealBin/../test/python/worker_tables.py'`;
like($worker_tables, qr/celery_taskmeta.*apscheduler_jobs/s,
	'Celery and APScheduler tell how they make their tables');
new_database('workers');
$alembic->alembic_ok('alembic upgrade 0008', 'workers', 'upgrade', '0008');
$node->safe_psql('workers', "SET ROLE app; $worker_tables");
is($node->safe_psql('workers', $above_info), '', 'nothing at 0008');
foreach my $revision (9 .. 12)
{
	my $id = sprintf '%04d', $revision;
	$alembic->alembic_ok("alembic upgrade $id", 'workers', 'upgrade', $id);
	is($node->safe_psql('workers', $above_info), '',
		"nothing at $id with tables that Celery and APScheduler made");
}

# What Alembic does not see ---------------------------------------------------------------

new_database('blind');
$alembic->alembic_ok('alembic upgrade head', 'blind', 'upgrade', 'head');
$node->safe_psql('blind', q{
	ALTER EXTENSION syncmaster UPDATE;
	SELECT syncmaster_drop_indexes()});
is($node->safe_psql('blind', $above_info), '', 'nothing at head');

my @unseen = (
	[ 'DROP EXTENSION pg_trgm', 'error|extension|pg_trgm|is missing' ],
	[
		'DROP SEQUENCE run_id_seq CASCADE',
		'error|sequence|run_id_seq|is missing'
	],
	[
		'ALTER TABLE run ALTER COLUMN id DROP DEFAULT',
		'error|column|run.id|has no default'
	],
	[
		'ALTER TABLE "group" RENAME CONSTRAINT pk__group TO group_pkey',
		'warning|constraint|group.pk__group|has another name'
	],
	[
		'ALTER TABLE run RENAME CONSTRAINT fk__run__transfer_id__transfer TO x',
		'error|constraint|run.fk__run__transfer_id__transfer|has another name'
	],
	[
		q{ALTER TABLE queue DROP COLUMN search_vector, ADD COLUMN search_vector
			tsvector NOT NULL GENERATED ALWAYS AS
			(to_tsvector('english', name)) STORED},
		'error|column|queue.search_vector|has another expression'
	],
	[
		'DROP INDEX idx_transfer_search_vector; '
		  . 'CREATE INDEX idx_transfer_search_vector ON transfer '
		  . 'USING gist (search_vector)',
		'warning|index|idx_transfer_search_vector|is another one'
	],
	[
		'ALTER TABLE run ALTER COLUMN created_at DROP DEFAULT',
		'error|column|run.created_at|has no default'
	],
	[
		q{ALTER TABLE run ADD CONSTRAINT added CHECK (status <> 'x')},
		'warning|constraint|run.added|is extra'
	],
	[
		'ALTER TABLE run SET UNLOGGED',
		'error|table|run|is unlogged, so that a crash empties it'
	],
	[
		q{CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
			AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER added BEFORE INSERT ON run
			FOR EACH ROW EXECUTE FUNCTION f()},
		'warning|trigger|run.added|is extra'
	],
	[
		'ALTER TABLE run DROP COLUMN log_url, ADD COLUMN log_url varchar(512)',
		'info|table|run|has its columns in another order'
	]);

foreach my $number (0 .. $#unseen)
{
	my ($damage, $problem) = @{ $unseen[$number] };
	my $name = $damage =~ s/\s+/ /gr;
	my $database = "blind_$number";

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE blind OWNER app");
	$node->safe_psql($database, $damage);
	like($alembic->alembic_ok("alembic check: $name", $database, 'check'),
		qr/^No new upgrade operations detected\.$/m,
		"Alembic does not see: $name");
	like(
		$node->safe_psql($database, q{
			SELECT severity, object_type, object_name, problem
			FROM syncmaster_check()}),
		qr/^\Q$problem\E$/m,
		"found: $name");
	$node->safe_psql('postgres', "DROP DATABASE $database");
}
$alembic->finish;

# Born with 0.2.0 ---------------------------------------------------------------------------

SKIP:
{
	skip '$SYNCMASTER_VENV_020 is not set', 1
	  if ($ENV{SYNCMASTER_VENV_020} // '') eq '';

	# The migrations of 0.2.0 want to know all of the server's settings.
	my %environment = (
		syncmaster_environment($node, 'born', 'app'),
		SYNCMASTER__SERVER__SESSION__SECRET_KEY => 'session');
	local @ENV{ keys %environment } = values %environment;
	my $old = SyncMasterEnv->new($node, 'app', 'SYNCMASTER_VENV_020');
	my $widths =
	    "warning|column|connection.type|is shorter than SyncMaster makes it now\n"
	  . 'info|column|group.name|is longer than SyncMaster makes it now: its type cannot change while column "search_vector" uses it';

	new_database('born');
	$old->alembic_ok('upgrade head by 0.2.0', 'born', 'upgrade', 'head');
	$old->finish;
	is( $node->safe_psql('born', q{
			SELECT severity, object_type, object_name, problem
			FROM syncmaster_check() WHERE object_type <> 'extension'}),
		$widths, 'of a database created by 0.2.0, the two widths at 0011');
	$node->safe_psql('born', q{SELECT syncmaster_upgrade('head')});
	is( $node->safe_psql('born', q{
			SELECT severity, object_type, object_name, problem
			FROM syncmaster_check()}),
		$widths, '... and at 0013');
	is( $node->safe_psql('born', q{
			SELECT action, object_name FROM syncmaster_repair(false)}),
		'done|connection.type', 'the narrower one is widened');
}

done_testing();
