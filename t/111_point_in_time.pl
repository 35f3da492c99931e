# Recovery to a moment in the middle of an upgrade: the schema is as before it, and the
# upgrade gets through.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('origin');
$node->init(has_archiving => 1, allows_streaming => 1);
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION syncmaster VERSION '1.11';
	CREATE SCHEMA gate;
	CREATE FUNCTION gate.wait() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.to_revision = current_setting('gate.at', true) THEN
				PERFORM pg_advisory_xact_lock(4711);
			END IF;
			RETURN NEW;
		END $$;
	CREATE TRIGGER gate BEFORE INSERT ON syncmaster_history.migration
		FOR EACH ROW EXECUTE FUNCTION gate.wait()));
load_rows($node, 'postgres');
my $before = state_of($node, 'postgres');
$node->backup('base');

# The upgrade waits after the tables of revision 0012 were rewritten, and after all of it.
my @moments;
foreach my $revision ('0012', '0013')
{
	my $holder = begin_session($node, 'postgres', undef, 'SELECT pg_advisory_lock(4711);');
	my $upgrade = start_psql($node, 'postgres',
		"SET client_min_messages = error; SET gate.at = '$revision'; ALTER EXTENSION syncmaster UPDATE TO '1." . int($revision) . "';",
		name => 'upgrade');
	$node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'upgrade' AND wait_event = 'advisory'})
	  or die 'the upgrade does not wait';
	push @moments, [ "in the middle of $revision", $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()'), $before ];
	end_session($holder);
	my ($rc, undef, $err) = finish_psql($upgrade);
	is($rc, 0, "the upgrade to $revision ends well") or diag($err);
	$before = state_of($node, 'postgres');
}
my $after = $before;
$node->safe_psql('postgres', 'CREATE TABLE after_all (); SELECT pg_switch_wal()');
$node->stop;

foreach my $moment (@moments)
{
	my ($name, $lsn, $want) = @$moment;
	my $copy = PostgreSQL::Test::Cluster->new('recovered_' . $name =~ s/\W/_/gr);
	$copy->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
	$copy->append_conf('postgresql.conf', qq(
		recovery_target_lsn = '$lsn'
		recovery_target_action = promote
		recovery_target_timeline = current
		archive_mode = off
	));
	$copy->start;
	$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';
	same_state(state_of($copy, 'postgres'), $want, "$name: all is as before the upgrade");
	is($copy->safe_psql('postgres', q(SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info')),
		'0', "$name: no difference from the revision");
	my ($rc, undef, $err) = $copy->psql('postgres', 'SET client_min_messages = error; ALTER EXTENSION syncmaster UPDATE');
	is($rc, 0, "$name: the upgrade gets through") or diag($err);
	is($copy->safe_psql('postgres', 'SELECT extversion, syncmaster_schema_version() FROM pg_extension WHERE extname = $$syncmaster$$'),
		'1.13|0013', "$name: version and schema agree");
	is($copy->safe_psql('postgres', q(SELECT count(*) FROM syncmaster_check() WHERE severity <> 'info')),
		'0', "$name: and nothing differs");
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM connection'), '20', "$name: the rows are there");
	$copy->stop;
}

done_testing();
