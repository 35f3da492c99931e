# Upgrades by commands of every kind: several in one string, in one transaction, with
# savepoints, in functions and procedures, prepared ones.  Whichever it is, the locks of
# all its steps are tried before the first step.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use IPC::Run;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('commands');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', q{CREATE EXTENSION syncmaster VERSION '1.11'});

my $settings = "SET client_min_messages = info; SET syncmaster.progress = on; "
  . "SET syncmaster.lock_timeout = '200ms'; ";
my $busy = qr/ERROR:  could not lock table "user" within 200 ms/;

# Send a string of commands as one simple query; returns status, output and messages.
sub send_string
{
	my ($sql, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-d', 'postgres', @options, '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err);
	return ($?, $out, $err);
}

# Where the extension is, and the tables.
sub versions
{
	return $node->safe_psql('postgres', q{
		SELECT extversion || ' ' || version_num FROM pg_extension, alembic_version
		WHERE extname = 'syncmaster'});
}

# A writer that has a table of the last step.
sub begin_writer
{
	return start_psql($node, 'postgres', 'BEGIN; LOCK TABLE "user" IN ROW EXCLUSIVE MODE;',
		name => 'writer', hold => 1);
}

# The command is refused before it changes a table.
sub refused_before
{
	my ($name, $err) = @_;

	like($err, $busy, "$name: refused for a writer of a later table");
	unlike($err, qr/alter table|create index|applied/, "$name: before the first step");
	return;
}

# ---------------------------------------------------------------------------
# Several commands in one string, each with a last version of its own

my $writer = begin_writer();
my ($rc, $out, $err) = send_string($settings . q{
	ALTER EXTENSION syncmaster UPDATE TO '1.12'; ALTER EXTENSION syncmaster UPDATE});
like($err, qr/revision 0012 applied.*$busy/s, 'the second of two commands: refused');
unlike($err, qr/0012 -> 0013/, '... before its own first step');
is(versions(), '1.11 0011', '... and both are rolled back');

foreach my $sql (
	q{ALTER EXTENSION syncmaster UPDATE; ALTER EXTENSION syncmaster UPDATE TO '1.12'},
	q{ALTER EXTENSION plpgsql UPDATE; ALTER EXTENSION syncmaster UPDATE},
	q{DO 'BEGIN ALTER EXTENSION syncmaster UPDATE; END'; ALTER EXTENSION syncmaster UPDATE TO '1.12'})
{
	($rc, $out, $err) = send_string("$settings $sql");
	refused_before($sql, $err);
}
($rc, $out, $err) = send_string(
	q{BEGIN; SET syncmaster.lock_timeout = '200ms'; ALTER EXTENSION syncmaster UPDATE TO '1.12';
	ALTER EXTENSION syncmaster UPDATE TO '1.11'; ROLLBACK; ALTER EXTENSION plpgsql UPDATE});
is($rc, 0, 'where no command goes further, the table may be busy') or diag($err);

# Another extension's command brings the newest version, whatever it names itself.
chomp(my $other = qx{pg_config --sharedir});
$other .= '/extension/needs_syncmaster';
append_to_file("$other.control", "requires = 'syncmaster'\n");
append_to_file("$other--1.12.sql", '');
($rc, $out, $err) = send_string(
	"$settings DROP EXTENSION syncmaster; CREATE EXTENSION needs_syncmaster VERSION '1.12' CASCADE");
refused_before('CASCADE', $err);
unlink "$other.control", "$other--1.12.sql";

# ---------------------------------------------------------------------------
# A command of a function may go as far as there are versions

$node->safe_psql('postgres', q{
	CREATE FUNCTION update_to(text) RETURNS void LANGUAGE plpgsql
		AS $$ BEGIN EXECUTE 'ALTER EXTENSION syncmaster UPDATE' || $1; END $$;
	CREATE PROCEDURE update_after_commit() LANGUAGE plpgsql
		AS $$ BEGIN COMMIT; ALTER EXTENSION syncmaster UPDATE; END $$});
foreach my $sql (
	q{SELECT update_to('')},
	q{SELECT update_to(' TO ''1.13''')},
	q{DO 'BEGIN ALTER EXTENSION syncmaster UPDATE; END'},
	q{CALL update_after_commit()},
	q{BEGIN; DECLARE c CURSOR FOR SELECT update_to(''); FETCH c})
{
	($rc, $out, $err) = $node->psql('postgres', "$settings $sql");
	refused_before($sql, $err);
}
is(versions(), '1.11 0011', 'nothing was upgraded');

# The way back needs none of these locks.
$node->safe_psql('postgres', q{ALTER EXTENSION syncmaster UPDATE TO '1.12'});
($rc, $out, $err) = $node->psql('postgres', "$settings SELECT update_to(' TO ''1.11''')");
is($rc, 0, 'a function that downgrades: not refused') or diag($err);
is(versions(), '1.11 0011', '... and done');
finish_psql($writer, 'COMMIT;');

# ---------------------------------------------------------------------------
# Each command ends with a comparison, if it is certain where it ends

$node->safe_psql('postgres', 'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer');
my $differences = qr/WARNING:  the tables are not all as revision (\d+) makes them/;
foreach my $case (
	[ q{ALTER EXTENSION syncmaster UPDATE TO '1.12'; ALTER EXTENSION syncmaster UPDATE TO '1.13'}, '0012 0013' ],
	[ q{ALTER EXTENSION syncmaster UPDATE}, '0013' ],
	[ q{SELECT update_to('')}, '0013' ],
	[ q{SELECT update_to(' TO ''1.12''')}, '' ],
	[ q{SELECT update_to(' TO ''1.12'''); ALTER EXTENSION syncmaster UPDATE TO '1.12'}, '' ])
{
	my ($sql, $revisions) = @$case;
	($rc, $out, $err) = send_string("BEGIN; $sql; ROLLBACK");
	is($rc, 0, "$sql: done");
	is(join(' ', $err =~ /$differences/g), $revisions, '... and compared with the last revision of each command');
}

# ---------------------------------------------------------------------------
# Strings that cannot be parsed again under the settings that they make

foreach my $sql (
	q{SET standard_conforming_strings = off; SELECT 'C:\'; ALTER EXTENSION syncmaster UPDATE TO '1.12'},
	q{SET escape_string_warning = off; SET standard_conforming_strings = off; } . "\n"
	  . q{SELECT '\'; ALTER EXTENSION syncmaster UPDATE TO '1.12'; SELECT '\'})
{
	($rc, $out, $err) = send_string($sql);
	is($rc, 0, "$sql: no error") or diag($err);
	is(versions(), '1.12 0012', '... and upgraded');
	$node->safe_psql('postgres', q{ALTER EXTENSION syncmaster UPDATE TO '1.11'});
}
($rc, $out, $err) = send_string(
	q{SET standard_conforming_strings = on; SELECT 'it\'s'; ALTER EXTENSION syncmaster UPDATE TO '1.12'},
	'-d', 'dbname=postgres options=-cstandard_conforming_strings=off');
is($rc, 0, 'a string that was written with backslashes: no error') or diag($err);
is(versions(), '1.12 0012', '... and upgraded');
$node->safe_psql('postgres', q{ALTER EXTENSION syncmaster UPDATE TO '1.11'});

# ---------------------------------------------------------------------------
# A second command in a transaction tries the locks again, whatever became of the first

# The session upgrades and takes that back; then a writer comes.
$node->safe_psql('postgres', q{
	CREATE FUNCTION fail() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF current_setting('test.fail', true) = 'on' THEN
			RAISE division_by_zero;
		END IF;
	END $$;
	CREATE EVENT TRIGGER fail ON ddl_command_end WHEN tag IN ('CREATE INDEX') EXECUTE FUNCTION fail()});
foreach my $case (
	[ 'ROLLBACK TO SAVEPOINT', q{SAVEPOINT s; ALTER EXTENSION syncmaster UPDATE; ROLLBACK TO SAVEPOINT s} ],
	[ 'a savepoint that was released', q{SAVEPOINT r; SAVEPOINT s; ALTER EXTENSION syncmaster UPDATE;
		RELEASE SAVEPOINT s; ROLLBACK TO SAVEPOINT r; SAVEPOINT s} ],
	[ 'a command that failed', q{\\set ON_ERROR_STOP off
		SAVEPOINT s; SET LOCAL test.fail = on; ALTER EXTENSION syncmaster UPDATE; ROLLBACK TO SAVEPOINT s;
		\\set ON_ERROR_STOP on
		SELECT 1} ],
	[ 'a function that failed', q{DO $$ BEGIN SET LOCAL test.fail = on; PERFORM update_to('');
		EXCEPTION WHEN division_by_zero THEN END $$} ],
	[ 'an exception', q{DO $$ BEGIN ALTER EXTENSION syncmaster UPDATE; RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN END $$} ],
	[ 'a way back', q{ALTER EXTENSION syncmaster UPDATE TO '1.12'; ALTER EXTENSION syncmaster UPDATE TO '1.11'} ],
	[ 'a way back in a function', q{SELECT update_to(' TO ''1.12'''); SELECT update_to(' TO ''1.11''')} ],
	[ 'a new extension', q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster VERSION '1.11'} ])
{
	my ($name, $sql) = @$case;
	foreach my $again (q{ALTER EXTENSION syncmaster UPDATE;}, q{SELECT update_to('');})
	{
		my $session = start_psql($node, 'postgres', "BEGIN;\n$sql;", hold => 1);
		$writer = begin_writer();
		($rc, $out, $err) = finish_psql($session, "$settings $again");
		refused_before("$name, $again", $err);
		finish_psql($writer, 'COMMIT;');
	}
}

# What was done goes on from where it ended.
foreach my $again (q{ALTER EXTENSION syncmaster UPDATE;}, q{SELECT update_to('');})
{
	foreach my $first (q{ALTER EXTENSION syncmaster UPDATE TO '1.12'}, q{SELECT update_to(' TO ''1.12''')},
		q{SAVEPOINT s; ALTER EXTENSION syncmaster UPDATE TO '1.12'; RELEASE SAVEPOINT s})
	{
		my $session = start_psql($node, 'postgres', "BEGIN; $first;", hold => 1);
		$writer = begin_writer();
		($rc, $out, $err) = finish_psql($session, "$settings $again");
		refused_before("$first, $again", $err);
		finish_psql($writer, 'COMMIT;');
	}
}
$writer = begin_writer();
($rc, $out, $err) = $node->psql('postgres', "$settings " . q{
	DO $$
	BEGIN
		FOR i IN 1..2 LOOP
			BEGIN
				PERFORM update_to('');
			EXCEPTION WHEN lock_not_available THEN
				RAISE NOTICE 'try %: %', i, sqlerrm;
			END;
		END LOOP;
	END $$});
is($rc, 0, 'a function that tries twice: no error');
like($err, qr/try 1: could not lock table "user".*try 2: could not lock table "user"/s, '... but both tries are refused');
unlike($err, qr/alter table/, '... before the first step');
finish_psql($writer, 'COMMIT;');
is(versions(), '1.11 0011', 'all of that was rolled back');
$node->safe_psql('postgres', 'DROP EVENT TRIGGER fail');

# ---------------------------------------------------------------------------
# A client's own statement, whichever way it is sent

my $script = PostgreSQL::Test::Utils::tempdir() . '/upgrade.sql';
$node->safe_psql('postgres', q{
	CREATE PROCEDURE update_after_rollback() LANGUAGE plpgsql
		AS $$ BEGIN ROLLBACK; ALTER EXTENSION syncmaster UPDATE; END $$});
foreach my $protocol (qw(simple extended prepared))
{
	foreach my $sql (q{ALTER EXTENSION syncmaster UPDATE;}, q{ALTER EXTENSION syncmaster UPDATE TO '1.13';},
		q{CALL update_after_commit();}, q{CALL update_after_rollback();})
	{
		my @pgbench = ('pgbench', '-n', '-t', '1', '-M', $protocol, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres');
		$writer = begin_writer();
		unlink $script;
		append_to_file($script, "SET syncmaster.lock_timeout = '200ms';\nSET syncmaster.progress = on;\nSET client_min_messages = info;\n$sql\n");
		IPC::Run::run(\@pgbench, '<', \undef, '>', \$out, '2>', \$err);
		refused_before("$protocol, $sql", $err);
		finish_psql($writer, 'COMMIT;');
		IPC::Run::run(\@pgbench, '<', \undef, '>', \$out, '2>', \$err) or diag($err);
		is(versions(), '1.13 0013', '... and then done');
		like($err, $differences, '... and compared');
		$node->safe_psql('postgres', q{
			ALTER EXTENSION syncmaster UPDATE TO '1.11'; SELECT count(*) FROM syncmaster_drop_indexes()});
	}
}

# ---------------------------------------------------------------------------
# An update after CREATE EXTENSION is a command of its own, also in one string with it

my $both = q{DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster VERSION '1.12'; ALTER EXTENSION syncmaster UPDATE};
($rc, $out, $err) = send_string("SET syncmaster.update_migrates = off; $both");
like($err, qr/WARNING:  the tables are left at their revision/, 'CREATE and ALTER EXTENSION without migrating: said');
is(versions(), '1.13 0012', '... and the tables are left as CREATE EXTENSION makes them');
$node->safe_psql('postgres', q{ALTER EXTENSION syncmaster UPDATE TO '1.12'});
($rc, $out, $err) = send_string("SET xmloption = content; SET row_security = off; $both");
like($err, qr/INFO:  a restore is under way/, 'CREATE EXTENSION as in a dump, and ALTER EXTENSION: said of the first');
is(versions(), '1.13 0013', '... and the second upgrades');

$node->stop;
done_testing();
