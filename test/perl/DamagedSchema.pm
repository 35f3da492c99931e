# A database that is damaged in one way after the other: what
# syncmaster_check() finds, whether its SQL repairs that, and what
# syncmaster_repair() does about it.

package DamagedSchema;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(damaged_server try_damages try_hostile_damages $above_info $fixes);

my $node;

our $above_info = q{
	SELECT severity, object_type, object_name, problem FROM syncmaster_check()
	WHERE severity <> 'info'};

# Start a server with a right database, whose tables are of a role that is no
# superuser; returns it and its major version.
sub damaged_server
{
	my ($name, @configuration) = @_;

	$node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', $_) foreach @configuration;
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other');
	$node->safe_psql('postgres', 'CREATE DATABASE damaged OWNER app');
	$node->safe_psql(
		'damaged', q{
		CREATE EXTENSION syncmaster;
		INSERT INTO "user" (username, is_superuser, is_active)
			SELECT 'user' || n, false, true FROM generate_series(1, 5) n;
		INSERT INTO "group" (name, description, owner_id)
			SELECT 'group' || n, '', 1 FROM generate_series(1, 3) n;
		INSERT INTO user_group (user_id, group_id, role) VALUES (1, 1, 'Owner');
		INSERT INTO queue (name, slug, group_id, description)
			VALUES ('queue', 'q-queue', 1, '');
		INSERT INTO connection (group_id, type, name, description, data)
			SELECT 1, 'postgres', 'conn' || n, '', '{"host": "db.example"}'
			FROM generate_series(1, 2) n;
		INSERT INTO auth_data (connection_id, value) VALUES (1, 'x');
		INSERT INTO transfer (group_id, name, description, source_connection_id,
			target_connection_id, strategy_params, source_params, target_params,
			transformations, resources, is_scheduled, schedule, queue_id)
			VALUES (1, 'transfer', '', 1, 2, '{}', '{"table_name": "a.b"}', '{}',
				'[]', '{}', false, '', 1);
		INSERT INTO run (transfer_id, status, type, transfer_dump)
			SELECT 1, 'FINISHED', 'MANUAL', '{}' FROM generate_series(1, 4);
		INSERT INTO celery_taskmeta (id, task_id)
			SELECT nextval('task_id_sequence'), 'task' || n
			FROM generate_series(1, 2) n});
	is($node->safe_psql('damaged', $above_info), '', 'a right database is right');
	return ($node,
		$node->safe_psql('postgres',
			q{SELECT current_setting('server_version_num')::int / 10000}));
}

# Damage, repair, and give the problems that are left.
sub after
{
	my ($damage, $repair) = @_;
	my ($ret, $stdout, $stderr) =
	  $node->psql('damaged', "BEGIN; $damage; $repair\n;$above_info; ROLLBACK",
		on_error_stop => 1);

	return $stderr if $ret != 0;
	return join "\n", grep { /^(?:error|warning)\|/ } split /\n/, $stdout;
}

# What each damage does, what is to be found, and what repairs it, and how often all
# fixes have to be run if not once:
#   repair	syncmaster_repair() and the fix
#   fix		the fix, but repair leaves it, because something might be lost
#   none	there is no SQL for it, or more than one thing to do
#   info	is not a problem: nothing above information is found, but that
our $fixes = q{SELECT fix FROM syncmaster_check()
	WHERE severity <> 'info' AND fix IS NOT NULL \gexec
};

sub try_damages
{
	my $repair = 'DO $$BEGIN PERFORM syncmaster_repair(false); END$$';

	foreach my $test (@_)
	{
		my ($damage, $problem, $repaired_by, $passes) = @$test;
		my $name = $damage =~ s/\s+/ /gr;

		if ($repaired_by eq 'info')
		{
			is(after($damage, 'SELECT'), '', "no problem: $name");
			my ($rc, $out, $err) = $node->psql('damaged', qq{
				BEGIN; $damage;
				SELECT severity, object_type, object_name, problem
				FROM syncmaster_check(); ROLLBACK}, on_error_stop => 1);
			like($out, qr/^\Q$problem\E$/m, "but worth knowing: $name")
			  or diag $err;
			next;
		}
		like(after($damage, 'SELECT'), qr/^\Q$problem\E$/m, "found: $name");
		is(after($damage, $fixes x ($passes // 1)), '', "fix: $name")
		  if $repaired_by ne 'none';

		my $left = after($damage, $repair);
		if ($repaired_by eq 'repair')
		{
			is($left, '', "repaired: $name");
		}
		else
		{
			like($left, qr/^\Q$problem\E$/m, "left: $name");
		}
	}
	is($node->safe_psql('damaged', $above_info),
		'', 'the tests have undone what they did');
	return;
}

# What the owner of the tables does, what a superuser is told about it, and
# whether that is gone after all SQL that a superuser is given has been run
# twice ("superuser"), or after that which the owner is given ("owner").  None
# of the owner's functions may run as the superuser.
sub try_hostile_damages
{
	$node->safe_psql(
		'damaged', q{
		SET SESSION AUTHORIZATION app;
		CREATE SEQUENCE public.fallen;
		CREATE FUNCTION public.trap(bool DEFAULT true) RETURNS boolean
			IMMUTABLE LANGUAGE plpgsql AS $$
			BEGIN
				IF (SELECT rolsuper FROM pg_catalog.pg_roles
					WHERE rolname = current_user)
				THEN
					PERFORM nextval('public.fallen');
				END IF;
				RETURN true;
			END$$});

	# what repair would run is as good an advice as what check gives
	my $shown = q{SELECT sql FROM syncmaster_repair() WHERE sql IS NOT NULL \gexec
	};
	foreach my $test (@_)
	{
		my ($damage, $problem, $repaired_by) = @$test;
		my $name = $damage =~ s/\s+/ /gr;
		my $planted = "SET LOCAL SESSION AUTHORIZATION app; $damage; "
		  . 'RESET SESSION AUTHORIZATION';

		like(after($planted, 'SELECT'), $problem, "found: $name");
		my $left = after($planted, $fixes . $fixes);
		if ($repaired_by eq 'superuser')
		{
			is($left, '', "run by a superuser: $name");
		}
		else
		{
			like($left, $problem, "not for a superuser: $name");
			is( after($planted, "SET LOCAL SESSION AUTHORIZATION app; $fixes"
					  . 'RESET SESSION AUTHORIZATION'),
				'', "run by the owner: $name");
		}
		(undef) = after($planted, $shown);
		is($node->safe_psql('damaged', 'SELECT is_called FROM fallen'),
			'f', "nothing of the owner's ran as a superuser: $name");
		$node->safe_psql('damaged', q{SELECT setval('fallen', 1, false)});
	}
	return;
}

1;
