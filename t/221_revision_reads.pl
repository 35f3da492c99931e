# The revision is read when it can have changed: as a function begins, again if
# alembic_version was not locked by then, and after it was written.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('reads');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;

# How often a command reads alembic_version.  The server itself finds the row by
# the index.
sub readings_are
{
	my ($expected, $sql) = @_;
	my $count = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SET client_min_messages = warning;
		BEGIN;
		DO \$\$ BEGIN EXECUTE \$sql\$$sql\$sql\$; END \$\$;
		SELECT seq_scan FROM pg_stat_xact_user_tables
		WHERE relname = 'alembic_version';
		COMMIT});

	is($count, $expected, $sql);
	return;
}

$node->safe_psql('postgres', q{CREATE EXTENSION syncmaster VERSION '1.11'});

# two steps: begin, lock, stamp, finish; begin, stamp, finish
readings_are(7, 'ALTER EXTENSION syncmaster UPDATE');

# two steps: begin, lock, stamp; begin, stamp
readings_are(5, q{ALTER EXTENSION syncmaster UPDATE TO '1.11'});

# begin with a lock; two steps of three; what has been reached
readings_are(8, q{SELECT syncmaster_upgrade('head')});
readings_are(1, q{SELECT syncmaster_upgrade('head')});

# begin with a lock; two steps of two; what has been reached
readings_are(6, q{SELECT syncmaster_downgrade('0011')});

readings_are(1, q{SELECT * FROM syncmaster_upgrade_plan('head')});
readings_are(1, q{SELECT * FROM syncmaster_preflight('head')});
readings_are(1, q{SELECT syncmaster_stamp('0011')});
readings_are(1, 'SELECT syncmaster_schema_version()');
readings_are(1, 'SELECT syncmaster_full_version()');

$node->stop;
done_testing();
