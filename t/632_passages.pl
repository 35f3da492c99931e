# Other relations through which a pickle gets into a table of SyncMaster's, or code
# behind it: what syncmaster_privileges() lists is what mallory can do, and nothing
# else.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('passages');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
$node->safe_psql(
	'postgres', q{
	CREATE ROLE app; CREATE ROLE mallory; CREATE ROLE sm_scheduler; CREATE ROLE sm_worker;
	REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	GRANT USAGE, CREATE ON SCHEMA public TO app;
	CREATE EXTENSION syncmaster;
	SELECT syncmaster_set_owner('app');
	SELECT syncmaster_grant('sm_scheduler', 'scheduler');
	SELECT syncmaster_grant('sm_worker', 'worker');
	INSERT INTO apscheduler_jobs VALUES ('own', 1, '');
	CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'});
my $pickle = q{'\x80'};
foreach my $case (
	[ 'a child', 'CREATE TABLE c () INHERITS (apscheduler_jobs); GRANT INSERT ON c TO mallory',
		"INSERT INTO c VALUES ('new', 1, $pickle)", 'table|public.c|INSERT' ],
	[ 'a child\'s child', 'CREATE TABLE b () INHERITS (apscheduler_jobs);
		CREATE TABLE c () INHERITS (b); GRANT INSERT (id, job_state) ON c TO mallory',
		"INSERT INTO c (id, job_state) VALUES ('new', $pickle)", 'column|public.c.job_state|INSERT' ],
	[ 'a child of two children', 'CREATE TABLE a () INHERITS (apscheduler_jobs);
		CREATE TABLE b () INHERITS (apscheduler_jobs); CREATE TABLE c () INHERITS (a, b); GRANT INSERT ON c TO mallory',
		"INSERT INTO c VALUES ('new', 1, $pickle)", 'table|public.c|INSERT' ],
	[ 'a child of one\'s own', 'CREATE TABLE c () INHERITS (apscheduler_jobs);
		RESET ROLE; ALTER TABLE c OWNER TO mallory',
		"INSERT INTO c VALUES ('new', 1, $pickle)", 'table|public.c|OWNER' ],
	[ 'a child of another table', 'CREATE TABLE c () INHERITS (run); GRANT ALL ON c TO mallory',
		'CREATE TRIGGER t BEFORE UPDATE ON c EXECUTE FUNCTION planted()',
		'table|public.c|REFERENCES, TRIGGER' ],
	[ 'a parent', 'CREATE TABLE p (job_state bytea NOT NULL); ALTER TABLE apscheduler_jobs INHERIT p;
		GRANT ALL ON p TO mallory', "UPDATE p SET job_state = $pickle", 'table|public.p|UPDATE' ],
	[ 'a parent without the column', 'CREATE TABLE p (next_run_time float8);
		ALTER TABLE apscheduler_jobs INHERIT p; GRANT ALL ON p TO mallory', 'UPDATE p SET next_run_time = 2', '' ],
	[ 'another child of a parent', 'CREATE TABLE p (job_state bytea NOT NULL);
		ALTER TABLE apscheduler_jobs INHERIT p; CREATE TABLE c () INHERITS (p); GRANT ALL ON c TO mallory',
		"INSERT INTO c VALUES ($pickle)", '' ],
	[ 'a foreign key that copies', q{CREATE TABLE p (a int, b bytea, UNIQUE (a, b)); INSERT INTO p VALUES (1, '');
		ALTER TABLE apscheduler_jobs ADD COLUMN n int DEFAULT 1,
			ADD FOREIGN KEY (n, job_state) REFERENCES p (a, b) ON UPDATE CASCADE;
		GRANT UPDATE ON p TO mallory}, "UPDATE p SET b = $pickle", 'table|public.p|UPDATE' ],
	[ 'a foreign key that copies another column', q{CREATE TABLE p (a int UNIQUE); INSERT INTO p VALUES (1);
		ALTER TABLE apscheduler_jobs ADD COLUMN n int DEFAULT 1 REFERENCES p (a) ON UPDATE CASCADE;
		GRANT UPDATE ON p TO mallory}, 'UPDATE p SET a = 2', '' ],
	[ 'a foreign key that copies nothing', q{CREATE TABLE p (b bytea UNIQUE); INSERT INTO p VALUES ('');
		ALTER TABLE apscheduler_jobs ADD FOREIGN KEY (job_state) REFERENCES p (b);
		GRANT UPDATE ON p TO mallory}, "UPDATE p SET b = $pickle", '' ],
	[ 'a view', 'CREATE VIEW v AS SELECT id, job_state AS j FROM apscheduler_jobs; GRANT INSERT ON v TO mallory',
		"INSERT INTO v VALUES ('new', $pickle)", 'view|public.v|INSERT' ],
	[ 'a view of a view', 'CREATE VIEW u AS SELECT id, job_state AS j FROM apscheduler_jobs;
		CREATE VIEW v AS SELECT j AS i FROM u; GRANT UPDATE (i) ON v TO mallory',
		"UPDATE v SET i = $pickle", 'column|public.v.i|UPDATE' ],
	[ 'a view without the column', 'CREATE VIEW v AS SELECT id FROM apscheduler_jobs; GRANT ALL ON v TO mallory',
		q{UPDATE v SET id = 'x'}, '' ],
	[ 'a view with something else in its place', 'CREATE VIEW v AS SELECT id, id::bytea AS job_state
		FROM apscheduler_jobs; GRANT ALL ON v TO mallory', q{UPDATE v SET id = 'x'}, '' ],
	[ 'a view of a table whose column is of another name', 'CREATE VIEW v AS SELECT * FROM apscheduler_jobs;
		GRANT ALL ON v TO mallory; ALTER TABLE apscheduler_jobs RENAME job_state TO other', '', '' ],
	[ 'a view that is not updatable', 'CREATE VIEW v AS SELECT DISTINCT id, job_state FROM apscheduler_jobs;
		GRANT ALL ON v TO mallory', "UPDATE v SET job_state = $pickle", '' ],
	[ 'a view that only reads the table', 'CREATE VIEW v AS SELECT email AS job_state FROM "user"
		WHERE username IN (SELECT id FROM apscheduler_jobs); GRANT ALL ON v TO mallory',
		q{UPDATE v SET job_state = 'x'}, '' ],
	[ 'a view of a role that may write', 'CREATE VIEW v AS SELECT id, job_state FROM apscheduler_jobs;
		GRANT ALL ON v TO mallory; RESET ROLE; ALTER VIEW v OWNER TO sm_scheduler',
		"UPDATE v SET job_state = $pickle", 'view|public.v|INSERT, UPDATE' ],
	[ 'a view of a role that may not', 'CREATE VIEW v AS SELECT id, job_state FROM apscheduler_jobs;
		GRANT ALL ON v TO mallory; RESET ROLE; ALTER VIEW v OWNER TO sm_worker',
		"UPDATE v SET job_state = $pickle", '' ],
	[ 'a view of a view of a role that may not', 'CREATE VIEW u AS SELECT id, job_state AS j FROM apscheduler_jobs;
		CREATE VIEW v AS SELECT j AS i FROM u; GRANT UPDATE (i) ON v TO mallory;
		RESET ROLE; ALTER VIEW u OWNER TO sm_worker; GRANT ALL ON u TO app',
		"UPDATE v SET i = $pickle", '' ],
	[ 'a rule', 'CREATE TABLE r (a text); CREATE RULE r AS ON DELETE TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES (old.a, 1, old.a::bytea); INSERT INTO r VALUES (1);
		GRANT ALL ON r TO mallory', 'DELETE FROM r', 'table|public.r|DELETE' ],
	[ 'a rule with a query that writes in its WITH', q{CREATE TABLE r (a text);
		CREATE RULE r AS ON INSERT TO r DO ALSO WITH w AS (
			INSERT INTO apscheduler_jobs VALUES ('new', 1, 'x') RETURNING 1) SELECT FROM w;
		GRANT INSERT ON r TO mallory}, q{INSERT INTO r VALUES ('x')}, 'table|public.r|INSERT' ],
	[ 'a rule that writes on conflict', q{CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs (id, next_run_time) VALUES ('own', 1) ON CONFLICT (id) DO
			UPDATE SET job_state = 'x';
		RESET ROLE; ALTER TABLE apscheduler_jobs ALTER job_state SET DEFAULT '';
		GRANT INSERT ON r TO mallory}, q{INSERT INTO r VALUES ('x')}, 'table|public.r|INSERT' ],
	[ 'a rule that reads the table and writes another one', q{CREATE TABLE r (a text); CREATE TABLE other (a text, b int, c bytea);
		CREATE RULE r AS ON INSERT TO r DO ALSO INSERT INTO other SELECT id, 1, job_state FROM apscheduler_jobs;
		CREATE RULE s AS ON INSERT TO r DO ALSO SELECT FROM apscheduler_jobs;
		CREATE RULE d AS ON INSERT TO r DO ALSO DELETE FROM apscheduler_jobs WHERE id = 'none';
		GRANT INSERT ON r TO mallory}, q{INSERT INTO r VALUES ('x')}, '' ],
	[ 'a rule that is disabled', q{CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea); ALTER TABLE r DISABLE RULE r;
		GRANT INSERT ON r TO mallory}, q{INSERT INTO r VALUES ('x')}, '' ],
	[ 'a rule over a rule', q{CREATE TABLE s (a text); CREATE RULE s AS ON INSERT TO s DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea);
		CREATE TABLE r (a text); CREATE RULE r AS ON UPDATE TO r DO ALSO INSERT INTO s VALUES (new.a);
		INSERT INTO r VALUES ('x'); GRANT ALL ON r TO mallory}, q{UPDATE r SET a = 'new'}, 'table|public.r|UPDATE' ],
	[ 'a rule over a rule with another event', q{CREATE TABLE s (a text); CREATE RULE s AS ON DELETE TO s DO ALSO
		INSERT INTO apscheduler_jobs VALUES (old.a, 1, old.a::bytea);
		CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO INSERT INTO s VALUES (new.a);
		CREATE RULE d AS ON DELETE TO r DO ALSO DELETE FROM s WHERE a = old.a; INSERT INTO r VALUES ('new');
		GRANT ALL ON r TO mallory}, 'DELETE FROM r', 'table|public.r|DELETE' ],
	[ 'a rule over a rule, of a role that may not', q{CREATE TABLE s (a text); CREATE RULE s AS ON INSERT TO s DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea); GRANT SELECT ON s TO sm_worker;
		CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO INSERT INTO s VALUES (new.a);
		GRANT ALL ON r TO mallory; RESET ROLE; ALTER TABLE r OWNER TO sm_worker}, q{INSERT INTO r VALUES ('x')}, '' ],
	[ 'a rule over a rule of the same table', q{CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea); INSERT INTO r VALUES ('x');
		DELETE FROM apscheduler_jobs WHERE id = 'x'; CREATE RULE d AS ON DELETE TO r DO ALSO INSERT INTO r VALUES ('new');
		GRANT DELETE ON r TO mallory}, 'DELETE FROM r', 'table|public.r|DELETE' ],
	[ 'rules that go round in a circle', q{CREATE TABLE r (a text); CREATE TABLE s (a text);
		CREATE RULE p AS ON INSERT TO s DO ALSO INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea);
		CREATE RULE s AS ON INSERT TO s DO ALSO INSERT INTO r VALUES (new.a);
		CREATE RULE r AS ON INSERT TO r DO ALSO INSERT INTO s VALUES (new.a);
		CREATE VIEW v AS SELECT id, job_state FROM apscheduler_jobs; GRANT UPDATE ON v TO mallory},
		"UPDATE v SET job_state = $pickle", 'view|public.v|UPDATE' ],
	[ 'a view over a table with a rule', q{CREATE TABLE r (a text, b int); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES ('new', 1, 'x'); CREATE VIEW u AS SELECT b FROM r;
		CREATE VIEW v AS SELECT b AS c FROM u; GRANT INSERT, UPDATE ON v TO mallory},
		'INSERT INTO v VALUES (1)', 'view|public.v|INSERT' ],
	[ 'a view over a table with a rule, of a role that may insert a column', q{CREATE TABLE r (a text, b int);
		CREATE RULE r AS ON INSERT TO r DO ALSO INSERT INTO apscheduler_jobs VALUES ('new', 1, 'x');
		CREATE VIEW v AS SELECT b FROM r; GRANT INSERT ON v TO mallory; GRANT INSERT (b) ON r TO sm_scheduler;
		RESET ROLE; ALTER VIEW v OWNER TO sm_scheduler}, 'INSERT INTO v VALUES (1)', 'view|public.v|INSERT' ],
	[ 'a view over a table with a rule, of a role that may not', q{CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea); CREATE VIEW v AS SELECT a FROM r;
		GRANT ALL ON v TO mallory; RESET ROLE; ALTER VIEW v OWNER TO sm_worker}, q{INSERT INTO v VALUES ('new')}, '' ],
	$major < 17 ? () : [ 'a rule with MERGE in its WITH', q{CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		WITH w AS (MERGE INTO apscheduler_jobs j USING (VALUES ('own')) n (id) ON j.id = n.id
			WHEN MATCHED THEN UPDATE SET job_state = 'x' RETURNING 1) SELECT FROM w;
		CREATE TABLE s (a text); CREATE RULE s AS ON INSERT TO s DO ALSO
		WITH w AS (MERGE INTO apscheduler_jobs j USING (VALUES ('own')) n (id) ON j.id = n.id
			WHEN MATCHED THEN UPDATE SET next_run_time = 2 RETURNING 1) SELECT FROM w;
		GRANT INSERT ON r, s TO mallory}, q{INSERT INTO r VALUES ('x')}, 'table|public.r|INSERT' ],
	[ 'a partitioned table', q{CREATE TABLE p (LIKE apscheduler_jobs) PARTITION BY LIST (id);
		ALTER TABLE p ATTACH PARTITION apscheduler_jobs DEFAULT; GRANT INSERT ON p TO mallory},
		"INSERT INTO p VALUES ('new', 1, $pickle)", 'table|public.p|INSERT' ],
	[ 'a view of a role that may write the column', q{CREATE VIEW v AS SELECT job_state, id FROM apscheduler_jobs;
		GRANT ALL ON v TO mallory; GRANT UPDATE (job_state), SELECT ON apscheduler_jobs TO sm_worker;
		RESET ROLE; ALTER VIEW v OWNER TO sm_worker}, "UPDATE v SET job_state = $pickle",
		"column|apscheduler_jobs.job_state|UPDATE\nview|public.v|UPDATE" ],
	[ 'a rule that writes another column', 'CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		UPDATE apscheduler_jobs SET next_run_time = 2; GRANT ALL ON r TO mallory',
		q{INSERT INTO r VALUES ('x')}, '' ],
	[ 'a rule of a role that may not', 'CREATE TABLE r (a text); CREATE RULE r AS ON INSERT TO r DO ALSO
		INSERT INTO apscheduler_jobs VALUES (new.a, 1, new.a::bytea); GRANT ALL ON r TO mallory;
		RESET ROLE; ALTER TABLE r OWNER TO sm_worker', q{INSERT INTO r VALUES ('x')}, '' ],
	$major < 15 ? () : [ 'a rule of a view with the rights of whoever calls', q{CREATE VIEW v WITH (security_invoker = on)
		AS SELECT 1 AS a; CREATE RULE v AS ON INSERT TO v DO INSTEAD INSERT INTO apscheduler_jobs VALUES ('new', 1, 'x');
		GRANT INSERT ON v TO mallory}, 'INSERT INTO v VALUES (1)', 'view|public.v|INSERT' ],
	$major < 15 ? () : [ 'a view with the rights of whoever calls', 'CREATE VIEW v WITH (security_invoker = on,
		check_option = local) AS SELECT id, job_state FROM apscheduler_jobs; GRANT ALL ON v TO mallory',
		"UPDATE v SET job_state = $pickle", '' ])
{
	my ($name, $make, $attempt, $listed) = @$case;
	my ($rc, $out, $err) = $node->psql('postgres', qq{
		SET client_min_messages = error; BEGIN; SET LOCAL ROLE app; $make; RESET ROLE;
		SELECT object_type, object_name, privilege FROM syncmaster_privileges()
		WHERE state = 'dangerous';
		SAVEPOINT s;
		SET LOCAL ROLE mallory;
		$attempt;
		\\if :ERROR
			ROLLBACK TO s;
		\\endif
		RESET ROLE;
		SELECT 'succeeds' WHERE EXISTS (SELECT FROM apscheduler_jobs WHERE job_state <> '')
			OR EXISTS (SELECT FROM pg_trigger WHERE tgname = 't');
		ROLLBACK} =~ s/\\\\/\\/gr, on_error_stop => 0);
	is($out, $listed eq '' ? '' : "$listed\nsucceeds", "through $name") or diag $err;
}

# What leads to a table may be a service's own way.
is( $node->safe_psql('postgres', q{
		BEGIN;
		CREATE VIEW v AS SELECT id, job_state FROM apscheduler_jobs;
		GRANT INSERT ON v TO sm_scheduler, sm_worker;
		SELECT role, object_name, state FROM syncmaster_privileges() WHERE object_name ~ 'public.v';
		ROLLBACK}),
	'sm_worker|public.v|dangerous', 'who unpickles what is in the table may write it through a view');

# Rights on settings and functions of the server, which lead to all tables.
sub dangerous
{
	return $node->safe_psql('postgres', q{
		SELECT role, object_type, object_name, privilege FROM syncmaster_privileges()
		WHERE state = 'dangerous' ORDER BY 1, 2, 3});
}

$node->safe_psql('postgres', q{
	CREATE ROLE member;
	GRANT mallory TO member;
	GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO mallory;
	GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC;
	GRANT EXECUTE ON FUNCTION lo_import(text) TO app, pg_monitor});
my $functions = q{PUBLIC|function|pg_read_file(text)|EXECUTE
mallory|function|lo_export(oid,text)|EXECUTE
member|role|mallory|MEMBER};
is(dangerous(), $functions, 'functions that read and write files of the server');
$node->safe_psql('postgres', q{
	CREATE FUNCTION evil() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE FUNCTION good() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION evil();
	CREATE EVENT TRIGGER good ON ddl_command_end EXECUTE FUNCTION good();
	ALTER FUNCTION evil() OWNER TO mallory});
is(dangerous(), $functions =~ s/(?=\nmember)/\nmallory|function|public.evil()|OWNER/r,
	'a function that an event trigger calls');
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER evil DISABLE');
is(dangerous(), $functions, '... unless that is disabled');
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER evil ENABLE');
$functions =~ s/(?=\nmember)/\nmallory|function|public.evil()|OWNER/;
SKIP:
{
	skip 'no rights on settings before 15', 2 if $major < 15;
	$node->safe_psql('postgres', q{
		GRANT ALTER SYSTEM ON PARAMETER archive_command, krb_server_keyfile, plperl.on_init,
			plperl.on_plperlu_init, session_preload_libraries, ssl_ca_file, work_mem TO mallory;
		GRANT SET ON PARAMETER plperl.on_plperlu_init, session_preload_libraries, work_mem TO member;
		GRANT ALTER SYSTEM ON PARAMETER search_path TO app});
	is( dangerous(),
		$functions =~ s/(?=\nmember)/
mallory|parameter|archive_command|ALTER SYSTEM
mallory|parameter|krb_server_keyfile|ALTER SYSTEM
mallory|parameter|plperl.on_init|ALTER SYSTEM
mallory|parameter|plperl.on_plperlu_init|ALTER SYSTEM
mallory|parameter|session_preload_libraries|ALTER SYSTEM
mallory|parameter|ssl_ca_file|ALTER SYSTEM
member|parameter|plperl.on_plperlu_init|SET
member|parameter|session_preload_libraries|SET/r,
		'settings that name programs, libraries, schemas, code and who may log in');
	my ($rc) = $node->psql('postgres', q{
		SET ROLE mallory; ALTER SYSTEM SET archive_command = 'touch x'});
	is($rc, 0, '... which the server lets the role set');
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET archive_command');
}
$node->safe_psql('postgres', $node->safe_psql('postgres', q{
	SELECT string_agg(fix, '; ') FROM syncmaster_privileges()
	WHERE state = 'dangerous' AND object_type <> 'role'}));
is(dangerous(), '', 'what syncmaster_privileges() says takes all of them');

$node->stop;

done_testing();
