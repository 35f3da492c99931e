# A publisher, its standby and a subscriber: what preflight says of publications can
# be followed, the order of upgrades, and sequences before and after a switchover.
# Then each function on each of them, compared with the table of doc/scale-out.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use FunctionCalls;
use FunctionTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

my $publisher = new_server('publisher', allows_streaming => 'logical');
my $subscriber = new_server('subscriber');
$subscriber->append_conf('postgresql.conf', "wal_retrieve_retry_interval = 100ms");
$subscriber->reload;
foreach my $node ($publisher, $subscriber)
{
	create_roles($node);
	create_database($node, 'etl');
	$node->safe_psql('etl', "CREATE EXTENSION syncmaster VERSION '1.11'");
}
fill_small_database($publisher, 'etl');
$subscriber->safe_psql('etl', q(SELECT syncmaster_grant('reader', 'worker')));

sub on_publisher { return $publisher->safe_psql('etl', @_) }
sub on_subscriber { return $subscriber->safe_psql('etl', @_) }

sub errors_of
{
	my ($node, $sql) = @_;
	my (undef, undef, $err) = $node->psql('etl', "\\set VERBOSITY verbose\n$sql");
	return $err;
}

# All tables but these have been copied.
sub wait_for_copy
{
	my ($except) = @_;
	$subscriber->poll_query_until('etl', "SELECT count(*) > 0
			AND bool_and(srsubstate IN ('r', 's') OR srrelid::regclass::text IN ($except))
		FROM pg_subscription_rel") or die 'the copy does not end';
	return;
}

# A row that the publisher writes arrives.
my $arrived = 0;

sub arrives
{
	my ($name) = @_;
	my $queue = 'arrived ' . ++$arrived;
	on_publisher("INSERT INTO queue (name, slug, group_id, description)
		VALUES ('$queue', '$queue', 1, '')");
	ok($subscriber->poll_query_until('etl', "SELECT count(*) = 1 FROM queue
			WHERE name = '$queue' AND search_vector @@ to_tsquery('simple', '$arrived')"), $name);
	return;
}

# A publication of all tables ---------------------------------------------------

my $preflight = "SELECT severity, subject, detail, hint FROM syncmaster_preflight('head')";
my $conninfo = sprintf "host=%s port=%s dbname=etl", $publisher->host, $publisher->port;
on_publisher(q(CREATE PUBLICATION "All" FOR ALL TABLES WITH (publish = 'insert, update, delete')));
on_subscriber(qq(CREATE SUBSCRIPTION etl CONNECTION '$conninfo' PUBLICATION "All"));
wait_for_copy(q('alembic_version', 'syncmaster_history.migration'));
ok( $subscriber->poll_query_until('etl', q(
		SELECT count(*) = 1 FROM pg_subscription_rel
		WHERE srrelid = 'alembic_version'::regclass AND srsubstate = 'd')),
	'alembic_version cannot be copied, as the subscriber has its own');
like(on_subscriber($preflight),
	qr/^warning\|subscription\|subscription etl has 11 of SyncMaster's tables, and public\.alembic_version, syncmaster_history\.migration, syncmaster_history\.service\|Each database has its own revision.*Then upgrade this database before the publisher\.$/m,
	'preflight says of a subscription what it should not have');

# An emptied alembic_version lets the publisher's revision in.
on_subscriber('TRUNCATE alembic_version');
$subscriber->poll_query_until('etl', q(SELECT count(*) = 1 FROM alembic_version))
  or die 'no revision arrives';
wait_for_copy(q('syncmaster_history.migration'));
on_publisher('ALTER EXTENSION syncmaster UPDATE');
$subscriber->poll_query_until('etl', q(SELECT syncmaster_schema_version() = '0013'))
  or die 'the new revision does not arrive';
my $stamped = qr/ERROR:  55000: the search vectors of .* are those of revision 0011, although schema "public" is at revision 0013\nHINT:  .*"syncmaster-db stamp 0011"/;
like(errors_of($subscriber, $_), $stamped, "the publisher's revision over older tables: $_")
  foreach q(SELECT syncmaster_upgrade('head')), 'ALTER EXTENSION syncmaster UPDATE';
is(on_subscriber(q(SELECT severity, problem FROM syncmaster_check()
		WHERE object_type = 'revision' AND severity = 'error')),
	'error|does not fit the tables', '... and check says so');

# What preflight says mends it.
my $found = on_publisher($preflight);
my ($detail, $sql) = $found =~
  /^warning\|publication\|publication "All" has (.*?)\|.*Take these out: (.*;) On the subscriber/m;
is($detail, "11 of SyncMaster's tables, and public.alembic_version, syncmaster_history.migration, syncmaster_history.service",
	'preflight says of a publication what it should not have');
on_publisher($sql);
on_subscriber(q(ALTER SUBSCRIPTION etl REFRESH PUBLICATION;
	SELECT syncmaster_stamp('0011')));
wait_for_copy(q(''));
is(on_subscriber('SELECT count(*) FROM pg_subscription_rel'),
	11, "followed, SyncMaster's own tables are published, and nothing else");
is( on_publisher('SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication'),
	't|t|t|f', '... as they were before');
like(on_publisher($preflight),
	qr/^info\|publication\|publication "All" has 11 of SyncMaster's tables\|Upgrade the subscriber first\.$/m,
	'... and preflight has nothing against it');

# Others can be changed in place.
$publisher->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE template0');
$publisher->safe_psql('other', q(CREATE EXTENSION syncmaster; CREATE SCHEMA more;
	CREATE TABLE more.own ();
	CREATE PUBLICATION named FOR TABLE run, alembic_version, more.own));
if ($publisher->safe_psql('other', 'SHOW server_version_num') >= 150000)
{
	$publisher->safe_psql('other', q(CREATE PUBLICATION schemas FOR
		TABLE run WHERE (id > 5), TABLES IN SCHEMA public, more, syncmaster_history));
}
$publisher->safe_psql('other', $_)
  foreach $publisher->safe_psql('other', $preflight) =~ /Take these out: (.*;) On the sub/mg;
unlike($publisher->safe_psql('other', $preflight), qr/^warning\|publication/m,
	'publications of named tables and of schemas are mended as well');
is( $publisher->safe_psql('other', q(SELECT count(*) FROM pg_publication_tables
		WHERE pubname = 'named')), 2, 'a table of others stays in it');
is( $publisher->safe_psql('other', q(SELECT count(*), count(t.rowfilter)
		FROM (SELECT tablename, to_jsonb(p) ->> 'rowfilter' AS rowfilter
			FROM pg_publication_tables p WHERE pubname = 'schemas') t)),
	'12|1', '... and so does a filter')
  if $publisher->safe_psql('other', 'SHOW server_version_num') >= 150000;

# One of all tables, where no other table is there, and with all its options.
my $options = $publisher->safe_psql('other', 'SHOW server_version_num') >= 180000
  ? ', publish_generated_columns = stored' : '';
$publisher->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
$publisher->safe_psql('bare', qq(CREATE EXTENSION syncmaster VERSION '1.11'; SET syncmaster.allow_destroy = on;
	SELECT syncmaster_downgrade('base');
	CREATE PUBLICATION bare FOR ALL TABLES WITH (publish = 'insert', publish_via_partition_root$options)));
($sql) = $publisher->safe_psql('bare', $preflight) =~ /Take these out: (.*;) On the subscriber/;
is($sql, "BEGIN; DROP PUBLICATION bare; CREATE PUBLICATION bare WITH (publish = 'insert', publish_via_partition_root$options); COMMIT;",
	'a publication of no other table is made anew with its options');
$publisher->safe_psql('bare', $sql);
unlike($publisher->safe_psql('bare', $preflight), qr/^warning\|publication/m, 'and has nothing that is apart');

# The order of upgrades ---------------------------------------------------------

on_publisher(q(SELECT syncmaster_downgrade('0011')));
is(on_subscriber(q(SELECT syncmaster_upgrade('head'))), '0013', 'the subscriber is upgraded first');
arrives('0013 gets rows of 0011');
on_publisher(q(SELECT syncmaster_upgrade('head')));
arrives('0013 gets rows of 0013');
is(on_subscriber('SELECT syncmaster_schema_version()'), '0013', "no revision is the publisher's");

# Functions ---------------------------------------------------------------------

$publisher->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($publisher, 'backup', has_streaming => 1);
$standby->start;
$publisher->wait_for_catchup($standby);
write_example_keys($_) foreach $standby, $subscriber;

# A worker of Citus knows its number.
$publisher->safe_psql('postgres', 'CREATE DATABASE worker TEMPLATE other');
$publisher->safe_psql('worker', q(DROP PUBLICATION IF EXISTS named;
	DROP PUBLICATION IF EXISTS schemas;
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_local_group (groupid int);
	INSERT INTO pg_dist_local_group VALUES (2)));

is_function_table($publisher, 'etl');
is_as_in_table('plain', $publisher, 'etl');
is_as_in_table('standby', $standby, 'etl', reads => 1);
is_as_in_table('subscriber', $subscriber, 'etl');
is_as_in_table('Citus worker', $publisher, 'worker',
	reads => 1, except => qr/migrate|finish_script/);

# A switchover ------------------------------------------------------------------

my $sequences = q(SELECT severity, object_name, problem FROM syncmaster_check()
	WHERE object_type = 'sequence' ORDER BY 1, 2);
like(on_subscriber($sequences),
	qr/\A(?:info\|\w+\|is behind the highest id of its table, which a subscription fills\n?)+\z/,
	'sequences that are behind are information on a subscriber');
is(on_subscriber('SELECT count(*) FROM syncmaster_repair(true)'), 0,
	'... and none is to be repaired');
on_publisher('SELECT pg_switch_wal()');
$publisher->wait_for_catchup('etl');
on_subscriber('DROP SUBSCRIPTION etl');
like(on_subscriber($sequences), qr/\A(?:error\|\w+\|is behind the highest id of its table\n?)+\z/,
	'they are errors when there is no subscription any more');
like(on_subscriber('SELECT action, problem FROM syncmaster_repair(false)'),
	qr/\A(?:done\|is behind the highest id of its table\n?)+\z/, 'one call sets all');
is(on_subscriber($sequences), '', 'nothing is left to be done');
is(on_subscriber(q(SELECT * FROM syncmaster_add_superusers('new'))), 'new|created',
	'rows get ids that are free');

# A standby that is promoted goes on by itself.
$publisher->wait_for_catchup($standby);
$publisher->stop;
$standby->promote;
is($standby->safe_psql('etl', $sequences), '', 'a promoted standby has its sequences');
is($standby->safe_psql('etl', q(SELECT syncmaster_downgrade('0012'); SELECT syncmaster_upgrade('head'))),
	"0012\n0013", '... and is upgraded');

$_->stop foreach $standby, $subscriber;
done_testing();
