# An owner of the tables who is not a superuser, "app", and the code that he
# plants: each piece tries to gain rights and reports what it gained.  "keeper"
# is there to own a database, "mallory" owns nothing.

package PlantedCode;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

our @EXPORT = qw(start_planting query run_as planted_ran harmless refused
  plant_on plant_child);

my $node;
my $superuser;

sub query { return $node->safe_psql(@_); }

# Run commands as a role and say how they ended: everything psql printed.
sub run_as
{
	my ($role, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql(
		$db, $sql,
		on_error_stop => 1,
		extra_params => [ '-U', $role ]);
	return ($rc, $out, $err);
}

# What was planted and ran since the last call: "plant user" for each.  It is
# taken from the log, where it stays if the command failed.
my $log_read = 0;
sub planted_ran
{
	my %ran;
	my $log = slurp_file($node->logfile, $log_read);

	$log_read += length $log;
	while ($log =~ /planted: ([\w-]+) as (\S+) of (\S+) gained \[(.*?)\]/g)
	{
		push @{ $ran{$1} }, { user => $2, session => $3, gained => $4 };
	}
	return \%ran;
}

# Nobody but the owner of the tables, or whoever else planted it, ran planted
# code, and it got nowhere.
sub harmless
{
	my ($name, $planter) = @_;
	$planter //= 'app';
	my $ran = planted_ran();
	my @bad;

	foreach my $plant (sort keys %$ran)
	{
		push @bad, map { "$plant as $_->{user} gained [$_->{gained}]" }
		  grep { $_->{user} ne $planter || $_->{gained} ne '' } @{ $ran->{$plant} };
	}
	is(join("\n", @bad), '', "$name: planted code has no rights but its owner's");
	is( query('postgres', q{
			SELECT string_agg(rolname, ' ' ORDER BY rolname)
			FROM pg_roles WHERE rolsuper}),
		$superuser,
		"$name: no new superuser");
	return $ran;
}

# Run a command that must fail and change nothing.
sub refused
{
	my ($name, $role, $db, $sql, $error) = @_;
	my $before = state_of($node, $db);
	my ($rc, $out, $err) = run_as($role, $db, $sql);
	isnt($rc, 0, "$name: refused");
	like($err, $error, "$name: the error says why");
	same_state(state_of($node, $db), $before, "$name: nothing has changed");
	return;
}

# Start a server with the database "clean": tables of app's with rows, no
# extension, and his functions in the schema "evil".  Returns the server and the
# superuser's name.
sub start_planting
{
	my ($name) = @_;

	$node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', 'autovacuum = off');
	$node->start;
	$superuser = $node->safe_psql('postgres', 'SELECT current_user');
	query('postgres', q{
		CREATE ROLE app LOGIN;
		CREATE ROLE keeper LOGIN;
		CREATE ROLE mallory LOGIN;
		CREATE DATABASE clean;
	});
	query('clean', q{
		GRANT CREATE ON SCHEMA public TO app;
		CREATE EXTENSION syncmaster VERSION '1.11';
		SELECT syncmaster_set_owner('app');
	});
	load_rows($node, 'clean');
	query('clean', q{
		CREATE SCHEMA vault;
		CREATE TABLE vault.secret (t text);
		DROP EXTENSION syncmaster;
		CREATE SCHEMA evil AUTHORIZATION app;

		-- each attempt that works is reported
		CREATE FUNCTION evil.attack(plant text) RETURNS boolean
		LANGUAGE plpgsql VOLATILE AS $attack$
		DECLARE
			attempt text;
			gained text := '';
		BEGIN
			-- not while he is planting
			IF session_user = 'app' THEN
				RETURN true;
			END IF;

			FOREACH attempt IN ARRAY ARRAY[
				'ALTER ROLE app SUPERUSER',
				'RESET ROLE',
				'SET ROLE NONE',
				'RESET SESSION AUTHORIZATION',
				'SET SESSION AUTHORIZATION DEFAULT',
				'SET LOCAL ROLE ' || quote_ident(session_user),
				'INSERT INTO vault.secret VALUES (current_user)',
				'CREATE ROLE planted_role SUPERUSER',
				'CREATE EXTENSION file_fdw',
				'COPY (SELECT 1) TO PROGRAM ''true''',
				'SELECT pg_read_file(''postgresql.conf'')',
				'SET session_replication_role = replica',
				'ALTER SYSTEM SET work_mem = ''1GB''',
				'ALTER ROLE ' || quote_ident(session_user) || ' SET search_path = evil',
				'CREATE TEMP TABLE pg_class (oid int)',
				'LISTEN planted',
				'PREPARE planted AS SELECT 1',
				'DECLARE planted CURSOR WITH HOLD FOR SELECT 1',
				'SELECT public.syncmaster_migrate(''0012'', ''0013'', ''x'')',
				'SELECT public.syncmaster_finish_script(''1.13'')']
			LOOP
				BEGIN
					EXECUTE attempt;
					gained := gained || ' ' || attempt;
				EXCEPTION WHEN OTHERS THEN
					NULL;
				END;
			END LOOP;

			-- allowed, but must not last
			PERFORM set_config('search_path', 'evil', false),
					set_config('syncmaster.allow_destroy', 'on', false),
					set_config('syncmaster.restoring', 'on', false),
					set_config('lock_timeout', '1', false),
					set_config('row_security', 'off', false),
					set_config('application_name', 'planted', false),
					set_config('evil.was_here', 'yes', false);

			RAISE LOG 'planted: % as % of % gained [%]',
				plant, current_user, session_user, gained;
			RETURN true;
		END $attack$;

		-- the same under a false label, for indexes and generated columns
		CREATE FUNCTION evil.pure(plant text) RETURNS boolean
		LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.attack(plant); END $$;
		CREATE FUNCTION evil.value(plant text, value text) RETURNS text
		LANGUAGE plpgsql IMMUTABLE AS $$
			BEGIN PERFORM evil.attack(plant); RETURN value; END $$;
		CREATE FUNCTION evil.fire() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				PERFORM evil.attack(TG_ARGV[0]);
				RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
			END $$;
		CREATE TABLE evil.trash (t text);
	});
	query('clean', "ALTER $_ OWNER TO app") foreach (
		'FUNCTION evil.attack(text)', 'FUNCTION evil.pure(text)',
		'FUNCTION evil.value(text, text)', 'FUNCTION evil.fire()',
		'TABLE evil.trash');
	return ($node, $superuser);
}

# Things that a table can carry without being in the way.  All but the policy,
# which is not its owner's, run when the table is written or its indexes are built.
sub plant_on
{
	my ($table, $name, $text_column) = @_;
	return qq{
		CREATE TRIGGER plant_a BEFORE INSERT OR UPDATE OR DELETE ON $table
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-before-row');
		CREATE TRIGGER plant_b AFTER INSERT OR UPDATE OR DELETE ON $table
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-after-row');
		CREATE TRIGGER plant_c BEFORE INSERT OR UPDATE OR DELETE ON $table
			EXECUTE FUNCTION evil.fire('$name-before-statement');
		CREATE TRIGGER plant_d AFTER INSERT OR UPDATE OR DELETE ON $table
			EXECUTE FUNCTION evil.fire('$name-after-statement');
		CREATE CONSTRAINT TRIGGER plant_e AFTER INSERT OR UPDATE ON $table
			DEFERRABLE INITIALLY IMMEDIATE
			FOR EACH ROW EXECUTE FUNCTION evil.fire('$name-constraint-trigger');
		CREATE DOMAIN evil.domain_$name AS text
			CHECK (evil.pure('$name-domain'));
		ALTER TABLE $table
			ADD COLUMN plant_h evil.domain_$name DEFAULT 'x',
			ADD COLUMN plant_i boolean DEFAULT evil.attack('$name-default'),
			ADD COLUMN plant_j boolean
				GENERATED ALWAYS AS (evil.pure('$name-generated')) STORED,
			ADD CONSTRAINT plant_k CHECK (evil.pure('$name-check'));
		CREATE INDEX ON $table (evil.value('$name-index', $text_column));
		CREATE INDEX ON $table ($text_column)
			WHERE evil.pure('$name-predicate' || left($text_column, 0));
		ALTER TABLE $table ENABLE ROW LEVEL SECURITY;
		CREATE POLICY plant_l ON $table
			USING (evil.pure('$name-policy' || left($text_column, 0)))
			WITH CHECK (evil.pure('$name-policy-check' || left($text_column, 0)));
	};
}

sub plant_child
{
	my ($table, $name) = @_;
	return qq{
		CREATE TABLE evil.child_$name () INHERITS ($table);
		CREATE TRIGGER plant_a BEFORE INSERT OR UPDATE OR DELETE
			ON evil.child_$name
			FOR EACH ROW EXECUTE FUNCTION evil.fire('child-$name');
		CREATE INDEX ON evil.child_$name (evil.pure('child-$name-index'));
	};
}

1;
