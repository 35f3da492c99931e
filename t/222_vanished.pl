# What other sessions drop, rename or make while a function waits for a lock: it
# starts from what is there afterwards, or says that the command is to be run again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('vanished');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');

my $index = 'ix_syncmaster__connection_group_id_name';
my $make_index = "CREATE INDEX $index ON connection (group_id, name)";
my $make_all = 'SELECT count(*) >= 0 FROM syncmaster_create_indexes()';

# Run a command that waits for a session with these statements, which then ends.
sub beside
{
	my ($statements, $command, $end) = @_;
	my $holder = start_psql($node, 'postgres', "BEGIN; $statements;",
		name => 'holder', hold => 1);
	my $waiter = start_psql($node, 'postgres',
		"\\set VERBOSITY verbose\n"
		  . 'SET client_min_messages = error; SET syncmaster.lock_timeout = 0; '
		  . "$command;",
		name => 'waiter');

	$node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'waiter' AND wait_event_type = 'Lock'})
	  or die "does not wait: $command";
	finish_psql($holder, $end // 'COMMIT;');
	my ($rc, $out, $err) = finish_psql($waiter);
	return ($out, $err);
}

sub answers
{
	my ($name, $expected, @arguments) = @_;
	my ($out, $err) = beside(@arguments);
	is($err, '', "$name: no error");
	like($out, $expected, "$name: answer");
	return;
}

sub fails
{
	my ($name, $message, @arguments) = @_;
	my ($out, $err) = beside(@arguments);
	like($err, $message, "$name: error");
	like($err, qr/^HINT:  .*un the command again\./m, "$name: hint");
	return;
}

# ---------------------------------------------------------------------------
# An index of ours is dropped, while its table is waited for

my $drop = "LOCK TABLE connection; DROP INDEX $index";
my %commands = (
	'SELECT count(*) FROM syncmaster_drop_indexes()' => qr/^7$/,
	$make_all => qr/^t$/,
	q{SELECT count(*) > 0 FROM syncmaster_check() WHERE object_name LIKE '%group_id_name'}
	  => qr/^t$/,
	q{SELECT syncmaster_upgrade('head')} => qr/^0013$/);
foreach my $command (sort keys %commands)
{
	answers("index dropped: $command", $commands{$command}, $drop, $command);
	$node->safe_psql('postgres', "$make_all");
}
is( $node->safe_psql('postgres', "SELECT '$index'::regclass"),
	$index, 'what was dropped has been built again');

# Dropped between the look at the index and DROP INDEX: nothing is left to do.
answers(
	'index dropped before it is dropped',
	qr/^7$/,
	"LOCK TABLE connection IN SHARE MODE; DROP INDEX $index",
	'SELECT count(*) FROM syncmaster_drop_indexes()');

# ---------------------------------------------------------------------------
# An index of that name is made meanwhile

$node->safe_psql('postgres', "DROP INDEX IF EXISTS $index");
answers('index made beside others', qr/^t$/,
	"LOCK TABLE connection; $make_index", $make_all);
$node->safe_psql('postgres', "DROP INDEX IF EXISTS $index");
fails('index made at the same time',
	qr/42P07: relation "$index" was made by another session meanwhile/,
	$make_index, $make_all);
$node->safe_psql('postgres', "DROP INDEX $index");
answers('two calls at once', qr/^t$/, $make_all, $make_all);
$node->safe_psql('postgres', "DROP INDEX $index");
my ($out, $err) =
  beside("LOCK TABLE connection; CREATE INDEX $index ON connection (name)",
	$make_all);
like($err,
	qr/42710: relation "$index" is not the extra index of that name/,
	'an index of another definition is made meanwhile, as if it had been there');

# The same of an index of SyncMaster's, which a step makes unless it is there.
$node->safe_psql('postgres', q{SELECT syncmaster_downgrade('0012')});
($out, $err) = beside(
	'LOCK TABLE celery_taskmeta; '
	  . 'CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (task_id)',
	q{SELECT syncmaster_upgrade('head')});
like($err,
	qr/42P07: relation "ix_celery_taskmeta_date_done" is there already, and is not/,
	'an index of another definition is made while a step waits');
$node->safe_psql('postgres', q{DROP INDEX ix_celery_taskmeta_date_done;
	SELECT syncmaster_upgrade('head')});

# ---------------------------------------------------------------------------
# A table is renamed, or dropped, with and without another one in its place

$node->safe_psql('postgres', "DROP INDEX IF EXISTS $index");
answers('table renamed', qr/^t$/, 'ALTER TABLE connection RENAME TO elsewhere', $make_all);
$node->safe_psql('postgres', 'ALTER TABLE elsewhere RENAME TO connection');
$node->safe_psql('postgres', $make_all);

my $replace = 'CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE alembic_version; '
  . 'DROP TABLE alembic_version';
my $again = 'CREATE TABLE alembic_version (LIKE kept INCLUDING ALL); '
  . 'INSERT INTO alembic_version TABLE kept; COMMIT;';
answers('version table replaced', qr/^0013$/,
	$replace, 'SELECT syncmaster_schema_version()', $again);
answers('version table replaced', qr/at revision 0013/,
	$replace, 'SELECT syncmaster_full_version()', $again);
answers('version table renamed, with another in its place', qr/^0012$/,
	q{ALTER TABLE alembic_version RENAME TO kept;
	CREATE TABLE alembic_version (LIKE kept INCLUDING ALL);
	INSERT INTO alembic_version VALUES ('0012')},
	'SELECT syncmaster_schema_version()');
$node->safe_psql('postgres', 'DROP TABLE alembic_version; ALTER TABLE kept RENAME TO alembic_version');
fails('version table replaced',
	qr/42P01: table "alembic_version" was dropped by another session meanwhile/,
	$replace, q{SELECT syncmaster_upgrade('head')}, $again);
answers('record replaced', qr/^0$/,
	'DROP TABLE syncmaster_history.migration',
	'SELECT count(*) FROM syncmaster_history()');

# The extension is dropped with its schema, of which only the extension's entry is seen.
(undef, undef, my $gone) = $node->psql('postgres', q{
	BEGIN;
	CREATE FUNCTION pg_temp.forget() RETURNS int LANGUAGE sql
		AS $$DELETE FROM pg_namespace WHERE nspname = 'public' RETURNING 1$$;
	SELECT CASE pg_temp.forget() WHEN 1 THEN (SELECT count(*) FROM public.syncmaster_privileges()) END;
	ROLLBACK});
like($gone, qr/ERROR:  extension "syncmaster" is not installed in this database/,
	'a schema that is gone');

# The extension is dropped by the transaction that already runs its function.
foreach my $call (function_calls($node, 'postgres'))
{
	my ($name, undef, undef, $sql) = @$call;
	my $query = (split /;\s*/, $sql)[-1];
	next if $query !~ /^SELECT/;
	(undef, undef, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nBEGIN; DECLARE c CURSOR FOR $query; "
		  . 'DROP EXTENSION syncmaster; FETCH c; ROLLBACK');
	unlike($err, qr/ERROR:  XX|server closed/, "$name(): the extension is gone");
	like($err, qr/function with OID \d+ was dropped while a query used it\n.*^HINT:  /ms,
		'... which is said') if $err =~ /ERROR:  42883/;
}

# ---------------------------------------------------------------------------
# The record is emptied while its rows are being fetched: by then, no row may need
# the table any more.

$node->safe_psql('postgres', q{
	UPDATE alembic_version SET version_num = '0012';
	DROP INDEX ix_celery_taskmeta_date_done, ix_celery_tasksetmeta_date_done;
	SELECT syncmaster_upgrade('head');
	ALTER TABLE syncmaster_history.migration
		ALTER to_revision SET STORAGE EXTERNAL;
	UPDATE syncmaster_history.migration SET to_revision = repeat('x', 10000)});
my $reader = start_psql($node, 'postgres',
	'BEGIN; DECLARE c CURSOR FOR SELECT length(to_revision), md5(to_revision) '
	  . 'FROM syncmaster_history(); MOVE 0 IN c; FETCH 1 FROM c; '
	  . 'MOVE BACKWARD ALL IN c;',
	name => 'reader', hold => 1);
$node->safe_psql('postgres', 'TRUNCATE syncmaster_history.migration');
(my $rc, $out, $err) = finish_psql($reader, 'FETCH ALL FROM c; COMMIT;');
is($err, '', 'the record is emptied meanwhile: no error');
like($out, qr/10000\|\w{32}\n.*10000\|\w{32}/s, 'rows come all the same');

$node->stop;
done_testing();
