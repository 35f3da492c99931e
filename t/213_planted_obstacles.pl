# What an owner of the tables plants in the way of an upgrade makes it fail: the
# error is clear, nothing has changed, and he has gained nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PlantedCode;
use PostgreSQL::Test::Utils;
use SchemaState;
use Test::More;

my ($node, $superuser) = start_planting('obstacles');

my @obstacles = (
	[ 'a rule instead of the stamp',
		q{CREATE RULE plant AS ON UPDATE TO alembic_version DO INSTEAD
			SELECT evil.attack('rule')},
		qr/rule "plant" of table "alembic_version" may run another role's code/ ],
	[ 'a rule that keeps the stamp away',
		q{CREATE RULE plant AS ON UPDATE TO alembic_version DO INSTEAD NOTHING},
		qr/could not write revision 0012 to table public\.alembic_version.*HINT:  Look for a trigger, rule or policy on that table/s ],
	[ 'a trigger that forges the stamp',
		q{CREATE FUNCTION evil.forge() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN NEW.version_num := '0099'; RETURN NEW; END $$;
		  CREATE TRIGGER plant BEFORE UPDATE ON alembic_version
			FOR EACH ROW EXECUTE FUNCTION evil.forge()},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
	[ 'a policy that hides the stamp',
		q{ALTER TABLE alembic_version
			ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		  CREATE POLICY plant ON alembic_version
			USING (NOT evil.attack('policy'))},
		qr/query would be affected by row-level security policy for table "alembic_version"/ ],
	[ 'a deferred trigger on the stamp',
		q{CREATE CONSTRAINT TRIGGER plant AFTER UPDATE ON alembic_version
			DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred')},
		qr/cannot fire deferred trigger .*HINT:  Trigger "plant" of table "alembic_version" is deferred\. Run SET CONSTRAINTS/s ],
	[ 'a deferred trigger on the history',
		q{CREATE CONSTRAINT TRIGGER plant AFTER INSERT
			ON syncmaster_history.migration DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred')},
		qr/cannot fire deferred trigger .*HINT:  Trigger "plant" of table "migration" is deferred\. Run SET CONSTRAINTS/s ],
	[ 'a trigger that raises an error',
		q{CREATE FUNCTION evil.refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE 'not today'; END $$;
		  CREATE TRIGGER plant BEFORE INSERT ON syncmaster_history.migration
			FOR EACH ROW EXECUTE FUNCTION evil.refuse()},
		qr/ERROR:  not today/ ],
	[ 'a view in a table\'s place',
		q{ALTER TABLE connection RENAME TO real_connection;
		  CREATE VIEW connection AS SELECT * FROM real_connection
			WHERE evil.attack('view');
		  CREATE RULE plant AS ON UPDATE TO connection DO INSTEAD
			SELECT evil.attack('view-rule')},
		qr/relation "public\.connection" is not an ordinary table/ ],
	[ 'a partitioned table in a table\'s place',
		q{ALTER TABLE apscheduler_jobs RENAME TO real_jobs;
		  CREATE TABLE apscheduler_jobs (LIKE real_jobs) PARTITION BY HASH (id)},
		qr/relation "public\.apscheduler_jobs" is not an ordinary table/ ],
	[ 'a view in the stamp\'s place',
		q{ALTER TABLE alembic_version RENAME TO real_version;
		  CREATE VIEW alembic_version AS SELECT * FROM real_version
			WHERE evil.attack('version-view')},
		qr/relation "public\.alembic_version" is not Alembic's table/ ],
	[ 'a column of a domain',
		q{CREATE DOMAIN evil.name AS varchar(128) CHECK (evil.pure('domain'));
		  ALTER TABLE connection ALTER COLUMN description TYPE evil.name},
		qr/column "description" of table "public\.connection" is of type evil\.name instead of character varying/ ],
	[ 'a view in the history\'s place',
		q{DROP TABLE syncmaster_history.migration;
		  CREATE VIEW syncmaster_history.migration AS
			SELECT now() AS applied_at, 'x'::name AS schema_name,
				'x'::text AS from_revision, 'x'::text AS to_revision,
				'x'::name AS applied_by, '1s'::interval AS duration,
				'x'::text AS library_version
			WHERE evil.attack('history-view');
		  CREATE RULE plant AS ON INSERT TO syncmaster_history.migration
			DO INSTEAD SELECT evil.attack('history-view-rule')},
		qr/relation "syncmaster_history\.migration" is not the history table/ ],
	[ 'a history that computes its columns',
		q{DROP TABLE syncmaster_history.migration;
		  CREATE TABLE syncmaster_history.migration (
			applied_at timestamptz, schema_name name, from_revision text,
			to_revision text, applied_by name, duration interval,
			library_version text GENERATED ALWAYS AS
				(evil.value('history-column', 'x')) STORED)},
		qr/relation "syncmaster_history\.migration" is not the history table/ ],
	[ 'a view on a column that is replaced',
		q{CREATE VIEW evil.searched AS SELECT search_vector FROM transfer},
		qr/cannot drop column search_vector of table public\.transfer because other objects depend on it/ ],
	[ 'a function of our name',
		q{CREATE FUNCTION public.syncmaster_migrate(text, text, text)
			RETURNS void LANGUAGE sql AS $$ SELECT evil.attack('same') $$},
		qr/function "syncmaster_migrate" already exists with same argument types/ ],
	[ 'a function that makes a call of ours ambiguous',
		q{CREATE FUNCTION public.syncmaster_migrate(text, text, text,
			int DEFAULT 0) RETURNS void LANGUAGE sql AS
			$$ SELECT evil.attack('default') $$},
		qr/function public\.syncmaster_migrate\(unknown, unknown, unknown\) is not unique/ ],
	[ 'an index whose function drops the stamp',
		q{CREATE FUNCTION evil.drop_stamp() RETURNS void LANGUAGE plpgsql AS
			$$ BEGIN DROP TABLE IF EXISTS public.alembic_version; END $$;
		  CREATE FUNCTION evil.drops(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
			AS $$ BEGIN
				IF session_user <> 'app' THEN PERFORM evil.drop_stamp(); END IF;
				RETURN $1;
			END $$;
		  CREATE INDEX ON connection (evil.drops(name))},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
	[ 'an index whose function hides the stamp behind a view',
		q{CREATE FUNCTION evil.swap_stamp() RETURNS void LANGUAGE plpgsql AS
			$$ BEGIN
				IF to_regclass('evil.real') IS NULL THEN
					ALTER TABLE public.alembic_version SET SCHEMA evil;
					ALTER TABLE evil.alembic_version RENAME TO "real";
					CREATE VIEW public.alembic_version AS
						SELECT * FROM evil."real" WHERE evil.attack('swapped');
				END IF;
			END $$;
		  CREATE FUNCTION evil.swaps(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
			AS $$ BEGIN
				IF session_user <> 'app' THEN PERFORM evil.swap_stamp(); END IF;
				RETURN $1;
			END $$;
		  CREATE INDEX ON connection (evil.swaps(name))},
		qr/could not write revision 0012 to table public\.alembic_version/ ],
);

my $obstacle_number = 0;
foreach my $obstacle (@obstacles)
{
	my ($name, $sql, $error, $plant) = @$obstacle;
	foreach my $caller ($superuser, 'keeper')
	{
		my $db = 'obstacle_' . ++$obstacle_number;
		query('postgres', qq{CREATE DATABASE $db TEMPLATE clean OWNER "$caller"});
		my ($rc, $out, $err) = run_as('app', $db, $sql);
		is($rc, 0, "$name is planted") or diag $err;
		my $before = state_of($node, $db);
		planted_ran();

		($rc, $out, $err) = run_as($caller, $db, 'CREATE EXTENSION syncmaster');
		is($rc, 3, "$name: $caller cannot install");
		like($err, $error, "$name: $caller reads why");
		unlike($err, qr/XX000|cache lookup/, "$name: $caller sees no inner error");
		my $ran = harmless("$name, $caller");
		ok(exists $ran->{$plant}, "$name ran") if defined $plant;
		same_state(state_of($node, $db), $before, "$name: $caller changed nothing");
		query('postgres', "DROP DATABASE $db");
	}
}

done_testing();
