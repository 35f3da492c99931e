# A call of each function of the extension, and a small database to call them in.

package FunctionCalls;

use strict;
use warnings;

use Credentials;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

our @EXPORT = qw(create_small_database fill_small_database function_calls
  write_example_keys $key_settings);

# What the calls need to read credentials.
our $key_settings = q(SET syncmaster.secret_key_file = 'one.key'; );

# What to call of each function; or what to do before, where tables can be changed,
# and what to call.
my %examples = (
	syncmaster_migrate => q(DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster),
	syncmaster_finish_script => [
		q(ALTER EXTENSION syncmaster UPDATE TO '1.12';),
		q(ALTER EXTENSION syncmaster UPDATE) ],
	syncmaster_schema_version => 'SELECT syncmaster_schema_version()',
	syncmaster_library_version => 'SELECT syncmaster_library_version()',
	syncmaster_full_version => 'SELECT syncmaster_full_version()',
	syncmaster_versions => 'SELECT * FROM syncmaster_versions()',
	syncmaster_history => 'SELECT * FROM syncmaster_history()',
	syncmaster_upgrade => q(SELECT syncmaster_upgrade('head')),
	syncmaster_downgrade => q(SET LOCAL syncmaster.allow_destroy = on;
		SELECT syncmaster_downgrade('0012'); SELECT syncmaster_upgrade('head')),
	syncmaster_stamp => q(SELECT syncmaster_stamp('0013', false)),
	syncmaster_set_owner => q(SELECT syncmaster_set_owner('app')),
	syncmaster_grant => q(SELECT syncmaster_grant('writer', 'server')),
	syncmaster_revoke => q(SELECT syncmaster_revoke('reader', 'worker')),
	syncmaster_privileges => 'SELECT * FROM syncmaster_privileges()',
	syncmaster_add_superusers =>
	  q(SELECT * FROM syncmaster_add_superusers('user_2', 'new')),
	syncmaster_remove_superusers =>
	  q(SELECT * FROM syncmaster_remove_superusers('user_1', 'nobody')),
	syncmaster_superusers => 'SELECT * FROM syncmaster_superusers()',
	syncmaster_upgrade_plan => [
		q(SET LOCAL client_min_messages = error;
		SELECT syncmaster_downgrade('0011');),
		q(SELECT * FROM syncmaster_upgrade_plan('head')) ],
	syncmaster_upgrade_sql => q(SELECT * FROM syncmaster_upgrade_sql('head')),
	syncmaster_preflight => q(SELECT * FROM syncmaster_preflight('head')),
	syncmaster_check => [
		q(ALTER TABLE run ADD extra int;
		ALTER TABLE transfer DROP CONSTRAINT uq__transfer__name_group_id;),
		q(SELECT * FROM syncmaster_check()) ],
	syncmaster_repair => [
		q(DROP INDEX ix__run__status;
		ALTER TABLE "user" ALTER email TYPE text;),
		q(SELECT * FROM syncmaster_repair(false)) ],
	syncmaster_create_indexes => 'SELECT syncmaster_create_indexes()',
	syncmaster_drop_indexes => 'SELECT syncmaster_drop_indexes()',
	syncmaster_end_runs => q(SELECT * FROM syncmaster_end_runs('{1, 2, 3}', dry_run => true);
		SELECT * FROM syncmaster_end_runs(older_than => '0')),
	syncmaster_health => 'SELECT * FROM syncmaster_health()',
	syncmaster_read_metrics => q(SELECT * FROM syncmaster_read_metrics()),
	syncmaster_tsquery => q(SELECT syncmaster_tsquery('a word.of/two')),
	syncmaster_generate_key => 'SELECT syncmaster_generate_key() IS NOT NULL',
	syncmaster_encrypt => q(SELECT syncmaster_encrypt('{"a": 1.5}') IS NOT NULL),
	syncmaster_decrypt => q(SELECT syncmaster_decrypt(value) FROM auth_data),
	syncmaster_verify_credentials =>
	  'SELECT * FROM syncmaster_verify_credentials()',
	syncmaster_rotate_credentials => [
		q(CREATE FUNCTION note() RETURNS trigger
			LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
		CREATE TRIGGER note BEFORE UPDATE ON auth_data
			FOR EACH ROW EXECUTE FUNCTION note();),
		q(SET LOCAL syncmaster.secret_key_file = 'two.key';
		SET LOCAL syncmaster.previous_secret_key_file = 'one.key';
		SELECT * FROM syncmaster_rotate_credentials(false)) ]);

# These commit by themselves, so they come last.
my %procedures = (
	syncmaster_purge_partitions =>
	  q(CALL syncmaster_purge_partitions('0', 1, false)),
	syncmaster_purge_runs =>
	  q(CALL syncmaster_purge_runs('0', 1, 5, false)),
	syncmaster_purge_task_results =>
	  q(CALL syncmaster_purge_task_results('0', 5, false)));

sub write_example_keys
{
	my ($node) = @_;
	write_keys($node, "$_.key", $KEY{$_}) foreach qw(one two);
	return;
}

# A few rows in each table.
sub fill_small_database
{
	my ($node, $dbname) = @_;

	write_example_keys($node);
	fill_tables($node, $dbname);
	$node->safe_psql($dbname, $key_settings . q(
		ALTER TABLE run DISABLE TRIGGER ALL;
		DELETE FROM run WHERE id > 12;
		DELETE FROM auth_data WHERE connection_id > 5;
		UPDATE auth_data SET value = syncmaster_encrypt('{"password": "x"}');
		DELETE FROM celery_taskmeta WHERE id > 12;
		ALTER TABLE run ENABLE TRIGGER ALL;
		SELECT syncmaster_grant('reader', 'worker')));
	return;
}

# The same in a database of its own, and the roles that the calls name.
sub create_small_database
{
	my ($node) = @_;

	create_roles($node);
	create_database($node, 'small');
	$node->safe_psql('small', 'CREATE EXTENSION syncmaster');
	fill_small_database($node, 'small');
	return;
}

# Name, kind, all that is to be run of each member, and the call alone; procedures last:
# these commit by themselves.
sub function_calls
{
	my ($node, $dbname) = @_;
	my @calls;

	foreach my $member (split /\n/, $node->safe_psql($dbname || 'small', q(
		SELECT p.proname, p.prokind FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
		  AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')
		ORDER BY p.prokind, p.oid)))
	{
		my ($name, $kind) = split /\|/, $member;
		my $sql = $kind eq 'p' ? $procedures{$name} : $examples{$name};
		if (defined $sql)
		{
			my ($before, $call) = ref $sql ? @$sql : ('', $sql);
			push @calls, [ $name, $kind, "$before$call", $call ];
		}
		else
		{
			fail("an example of $name() in test/perl/FunctionCalls.pm");
		}
	}
	return @calls;
}

1;
