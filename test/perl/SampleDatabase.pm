# A database of SyncMaster with rows in every table and everything that a DBA
# may have added to it, and a description of such a database as text, so that
# two of them can be compared.

package SampleDatabase;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_server create_roles create_database run_command_on run_sql
  fill_tables customize grant_services grant_decrypt sample_state is_same_state
  nothing_is_member ids_go_on dump_database list_without_extension restore
  restored_quietly);

# The one thing that a restore says.
our $restore_info = qr/^(?:psql:\S+:|pg_restore:\ )?\s*
	INFO:\s+a\ restore\ is\ under\ way:\ the\ tables\ are\ left\ to\ it\n
	(?:pg_restore:\ )?HINT:\s+If\ none\ is,\ .*\n/mx;

# The recipe of the documents.
my ($extension_entries) = slurp_file(dirname(__FILE__) . "/../../doc/operations.md") =~
  /grep -vE '(EXTENSION[^']*)'/ or die 'no recipe';

# Tables with a serial id.
my @serial_tables = qw(user group queue connection transfer run);

# Start a server; the locale decides about sort orders, so it is fixed.
sub new_server
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %params);
	$node->append_conf('postgresql.conf', "autovacuum = off\n");
	$node->start;
	return $node;
}

# "app" owns the tables and runs the application, "reader" may read, "writer"
# may write, "stranger" may do nothing, "worker", "monitor" and "auditor" are for
# grant_services().
sub create_roles
{
	my ($node) = @_;
	$node->safe_psql('postgres',
		join ' ', map { "CREATE ROLE $_ LOGIN;" } qw(app reader writer stranger worker monitor auditor));
	return;
}

sub create_database
{
	my ($node, $name, $owner) = @_;
	my $sql = "CREATE DATABASE $name TEMPLATE template0";
	$sql .= " OWNER $owner" if defined $owner;
	$node->safe_psql('postgres', $sql);

	# What a role must have besides owning tables is the DBA's to give.
	$node->safe_psql($name, 'GRANT CREATE ON SCHEMA public TO app')
	  unless defined $owner;
	return;
}

# Run a program against a server; returns exit code, stdout and stderr.
sub run_command_on
{
	my ($node, @cmd) = @_;
	my ($stdout, $stderr) = ('', '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;

	print '# Running: ' . join(' ', @cmd) . "\n";
	IPC::Run::run(\@cmd, '<', \'', '>', \$stdout, '2>', \$stderr);
	my $rc = $? >> 8;
	return ($rc, $stdout, $stderr);
}

# Run SQL as a role, and stop at the first error; returns the same.
sub run_sql
{
	my ($node, $dbname, $role, $sql) = @_;
	my @user = defined $role ? ('-U', $role) : ();
	return run_command_on($node, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-d', $dbname, @user, '-c', $sql);
}

# Put rows into every table.  Some of the last ones are deleted again, so that
# the next id is more than the highest one and one.
sub fill_tables
{
	my ($node, $dbname, $schema) = @_;
	$schema ||= 'public';

	$node->safe_psql($dbname, <<SQL);
SET search_path = $schema;
INSERT INTO "user" (username, email, is_superuser, is_active)
	SELECT 'user_' || i, 'user' || i || '\@example.com', i = 1, i % 5 <> 0
	FROM generate_series(1, 40) i;
INSERT INTO "group" (name, description, owner_id)
	SELECT 'group "' || i || '"', E'line\\nbreak \\\\ tab\\t', i
	FROM generate_series(1, 20) i;
INSERT INTO queue (name, slug, group_id, description)
	SELECT 'queue ' || i, i || '-queue', i, '' FROM generate_series(1, 20) i;
INSERT INTO connection (group_id, type, name, description, data)
	SELECT 1 + i % 20, 'postgres', 'connection.' || i, 'базы данных',
		json_build_object('host', 'db' || i || '.example.com', 'port', 5432)
	FROM generate_series(1, 60) i;
INSERT INTO user_group (user_id, group_id, role)
	SELECT i, 1 + i % 20, 'Developer' FROM generate_series(1, 40) i;
INSERT INTO auth_data (connection_id, value)
	SELECT i, md5(i::text) FROM generate_series(1, 60) i;
INSERT INTO transfer (group_id, name, description, source_connection_id,
		target_connection_id, strategy_params, source_params, target_params,
		transformations, resources, is_scheduled, schedule, queue_id)
	SELECT 1 + i % 20, 'перенос ' || i, '', 1 + i % 60, 1 + (i + 7) % 60,
		'{"type": "full"}', '{"table_name": "schema.table"}',
		'{"directory_path": "/target/path"}', '[]', '{"cores": 1}',
		i % 2 = 0, '0 0 * * *', 1 + i % 20
	FROM generate_series(1, 100) i;
INSERT INTO run (transfer_id, started_at, ended_at, status, type, log_url,
		transfer_dump)
	SELECT 1 + i % 100, now() - interval '1 hour', CASE WHEN i % 3 = 0 THEN now() END,
		CASE WHEN i % 3 = 0 THEN 'FINISHED' ELSE 'STARTED' END, 'MANUAL', NULL,
		'{"id":  1, "spaces kept":   true}'
	FROM generate_series(1, 300) i;
INSERT INTO celery_taskmeta (id, task_id, status, result, date_done)
	SELECT nextval('task_id_sequence'), 'task ' || i, 'SUCCESS', '\\x00ff80',
		localtimestamp
	FROM generate_series(1, 50) i;
INSERT INTO celery_tasksetmeta (id, taskset_id, result, date_done)
	SELECT nextval('taskset_id_sequence'), 'set ' || i, NULL, localtimestamp
	FROM generate_series(1, 10) i;
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
	SELECT 'job ' || i, 1750000000.1 + i, decode(md5(i::text), 'hex')
	FROM generate_series(1, 15) i;
DELETE FROM run WHERE id > 290;
DELETE FROM transfer WHERE id > 95;
DELETE FROM "user" WHERE id > 35;
DELETE FROM celery_taskmeta WHERE id > 45;
SQL
	return;
}

# Do to the tables what DBAs do.  All of it belongs to the role, which must own
# the tables or be a superuser.
sub customize
{
	my ($node, $dbname, $role) = @_;
	my ($rc, undef, $stderr) = run_sql($node, $dbname, $role, <<'SQL');
CREATE INDEX dba_run_status ON run (status, ended_at DESC) WHERE ended_at IS NULL;
ALTER TABLE connection ADD CONSTRAINT dba_name_not_empty CHECK (name <> '');
ALTER TABLE connection ADD CONSTRAINT dba_not_valid CHECK (type <> 'x') NOT VALID;
ALTER TABLE transfer ADD COLUMN dba_note text;
UPDATE transfer SET dba_note = 'note ' || id WHERE id % 2 = 0;
ALTER TABLE auth_data ENABLE ROW LEVEL SECURITY;
CREATE POLICY dba_recent ON auth_data FOR SELECT TO reader
	USING (updated_at > '2000-01-01');
CREATE FUNCTION dba_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.updated_at := pg_catalog.now();
	RETURN NEW;
END $$;
CREATE TRIGGER dba_touch BEFORE UPDATE ON queue
	FOR EACH ROW EXECUTE FUNCTION dba_touch();
CREATE TRIGGER dba_disabled BEFORE UPDATE ON run
	FOR EACH ROW EXECUTE FUNCTION dba_touch();
ALTER TABLE run DISABLE TRIGGER dba_disabled;
ALTER TABLE run SET (fillfactor = 80);
ALTER TABLE run ALTER COLUMN status SET STATISTICS 500;
CREATE STATISTICS dba_run (dependencies) ON status, type FROM run;
ALTER TABLE celery_taskmeta REPLICA IDENTITY FULL;
COMMENT ON TABLE queue IS 'queues of the workers';
COMMENT ON COLUMN queue.slug IS 'name of the queue in the broker';
GRANT SELECT ON "user", "group", queue, auth_data TO reader;
GRANT SELECT (id, name) ON connection TO reader;
GRANT SELECT, INSERT, UPDATE ON run TO writer WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE run_id_seq, task_id_sequence TO writer;
CREATE SCHEMA dba;
CREATE TABLE dba.run_label (
	run_id bigint PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
	label text);
INSERT INTO dba.run_label SELECT id, 'label' FROM run WHERE id % 10 = 0;
CREATE VIEW dba.open_runs AS SELECT id, transfer_id FROM run WHERE ended_at IS NULL;
GRANT USAGE ON SCHEMA dba TO reader;
GRANT SELECT ON dba.open_runs TO reader;
SQL
	die "could not customize: $stderr" if $rc != 0;
	return;
}

# Give a service and the monitor their rights.  The view that the monitor reads is a
# member of the extension; a dump has the rights on it as well.
sub grant_services
{
	my ($node, $dbname) = @_;
	$node->safe_psql($dbname, q{
		SELECT syncmaster_grant('worker', 'worker');
		SELECT syncmaster_grant('monitor', 'monitor')});
	return;
}

# What only a superuser can grant, and so can restore.
sub grant_decrypt
{
	my ($node, $dbname) = @_;
	$node->safe_psql($dbname, 'GRANT EXECUTE ON FUNCTION syncmaster_decrypt(text) TO auditor');
	return;
}

# Everything about a database that a restore has to bring back, one line per
# fact, each beginning with the kind of the fact.  Members of extensions are
# left out.
my $state_query = q{
SET search_path = pg_catalog;
CREATE TEMP VIEW app_schema AS
	SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
	WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
CREATE TEMP VIEW app_class AS
	SELECT c.*, s.nspname, format('%s.%s', s.nspname, c.relname) AS name
	FROM pg_class c JOIN app_schema s ON s.oid = c.relnamespace
	WHERE NOT EXISTS (SELECT FROM pg_depend d
		WHERE (d.classid, d.objid, d.deptype) = ('pg_class'::regclass, c.oid, 'e'));
SELECT 'extension ' || extname || ' ' || extversion || ' in ' || extnamespace::regnamespace
FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1;
SELECT format('schema %s', nspname) FROM app_schema ORDER BY 1;
SELECT format('owner of schema %s: %s', nspname, nspowner::regrole)
FROM app_schema WHERE nspname <> 'public' ORDER BY 1;
SELECT format('owner of %s: %s', name, relowner::regrole) FROM app_class ORDER BY 1;
SELECT format('owner of function %s: %s', p.oid::regprocedure, p.proowner::regrole)
FROM pg_proc p JOIN app_schema s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d
	WHERE (d.classid, d.objid, d.deptype) = ('pg_proc'::regclass, p.oid, 'e'))
ORDER BY 1;
SELECT format('function %s: %s', p.oid::regprocedure, md5(p.prosrc))
FROM pg_proc p JOIN app_schema s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d
	WHERE (d.classid, d.objid, d.deptype) = ('pg_proc'::regclass, p.oid, 'e'))
ORDER BY 1;
SELECT format('grant on schema %s: %s to %s', nspname, privilege_type,
	CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
FROM app_schema, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
WHERE nspname <> 'public' ORDER BY 1;
SELECT format('grant on %s: %s to %s by %s%s', name, privilege_type,
	CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
	grantor::regrole, CASE WHEN is_grantable THEN ' grantable' END)
FROM app_class, aclexplode(coalesce(relacl,
	acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)))
WHERE relkind IN ('r', 'v', 'S') ORDER BY 1;
SELECT format('grant on member %s: %s to %s', p.oid::regprocedure, privilege_type,
	grantee::regrole)
FROM pg_proc p, aclexplode(proacl)
WHERE proname ~ '^syncmaster_' AND grantee IN (SELECT oid FROM pg_roles WHERE rolname IN ('worker', 'writer', 'auditor'))
ORDER BY 1;
SELECT format('grant on member %s: %s to %s', c.oid::regclass, privilege_type,
	grantee::regrole)
FROM pg_class c, aclexplode(relacl)
WHERE relname = 'syncmaster_metrics'
	AND grantee IN (SELECT oid FROM pg_roles WHERE rolname = 'monitor') ORDER BY 1;
SELECT format('grant on column %s.%s: %s to %s', name, attname, privilege_type,
	grantee::regrole)
FROM app_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(attacl)
ORDER BY 1;
SELECT format('column %s %s %s %s %s %s default %s statistics %s', name,
	row_number() OVER (PARTITION BY c.oid ORDER BY attnum), attname,
	format_type(atttypid, atttypmod), attnotnull, attgenerated,
	pg_get_expr(adbin, adrelid), CASE WHEN attstattarget > 0 THEN attstattarget END)
FROM app_class c JOIN pg_attribute a ON a.attrelid = c.oid
	LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped ORDER BY 1;
SELECT format('relation %s %s options %s security %s %s replica identity %s',
	name, relkind, reloptions, relrowsecurity, relforcerowsecurity, relreplident)
FROM app_class ORDER BY 1;
SELECT format('constraint %s %s %s valid %s', name, conname,
	pg_get_constraintdef(o.oid), convalidated)
FROM pg_constraint o JOIN app_class c ON c.oid = conrelid ORDER BY 1;
SELECT format('index %s valid %s', pg_get_indexdef(indexrelid), indisvalid)
FROM pg_index i JOIN app_class c ON c.oid = i.indrelid ORDER BY 1;
SELECT format('trigger %s enabled %s', pg_get_triggerdef(t.oid), tgenabled)
FROM pg_trigger t JOIN app_class c ON c.oid = tgrelid
WHERE NOT tgisinternal ORDER BY 1;
SELECT format('policy %s %s %s %s %s', name, polname, polcmd, polroles::regrole[],
	pg_get_expr(polqual, polrelid))
FROM pg_policy JOIN app_class c ON c.oid = polrelid ORDER BY 1;
SELECT format('view %s %s', name, regexp_replace(pg_get_viewdef(oid), '\s+', ' ', 'g'))
FROM app_class
WHERE relkind = 'v' ORDER BY 1;
SELECT format('statistics %s', pg_get_statisticsobjdef(oid))
FROM pg_statistic_ext ORDER BY 1;
SELECT format('comment on %s %s: %s', name, objsubid, description)
FROM pg_description d JOIN app_class c
	ON (d.classoid, d.objoid) = ('pg_class'::regclass, c.oid) ORDER BY 1;
SELECT format(
	'SELECT format(%L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C"))) FROM %I.%I t',
	'rows of ' || name || ': %s, md5 %s', nspname, relname)
FROM app_class WHERE relkind = 'r' ORDER BY 1
\gexec
SELECT format('SELECT format(%L, last_value, is_called) FROM %s',
	'sequence ' || name || ': %s %s', oid::regclass)
FROM app_class WHERE relkind = 'S' ORDER BY 1
\gexec
};

# The description; kinds of facts that match one of the patterns in "without"
# are left out.
sub sample_state
{
	my ($node, $dbname, %params) = @_;
	my @without = @{ $params{without} || [] };
	my $stdout = $node->safe_psql($dbname, $state_query);
	my @lines = split /\n/, $stdout;

	foreach my $pattern (@without)
	{
		@lines = grep { !/$pattern/ } @lines;
	}
	return join("\n", @lines) . "\n";
}

sub is_same_state
{
	my ($node, $dbname, $want, $name, %params) = @_;
	my %lines;
	my $got = sample_state($node, $dbname, %params);

	foreach my $pattern (@{ $params{without} || [] })
	{
		$want = join '', grep { !/$pattern/ } $want =~ /.*\n/g;
	}
	ok($got eq $want, "$name: all is there") and return 1;
	$lines{$_} += 1 foreach $want =~ /.*\n/g;
	$lines{$_} -= 1 foreach $got =~ /.*\n/g;
	my @differences =
	  map { ($lines{$_} > 0 ? '- ' : '+ ') . $_ }
	  grep { $lines{$_} != 0 } sort keys %lines;
	splice @differences, 30 if @differences > 30;
	diag(@differences);
	return 0;
}

# No table, sequence or index belongs to an extension.
sub nothing_is_member
{
	my ($node, $dbname, $name) = @_;
	is( $node->safe_psql(
			$dbname, q{
			SELECT c.oid::regclass FROM pg_depend d
			JOIN pg_class c ON (d.classid, d.objid) = ('pg_class'::regclass, c.oid)
			WHERE d.deptype IN ('e', 'x') AND c.relkind IN ('r', 'S', 'i')}),
		'',
		"$name: no table, sequence or index is a member of an extension");
	return;
}

# The sequences give ids that are free.
sub ids_go_on
{
	my ($node, $dbname, $name, $schema) = @_;
	$schema ||= 'public';
	my @queries =
	  map { qq{nextval('$schema.${_}_id_seq') > (SELECT max(id) FROM $schema."$_")} }
	  @serial_tables;
	push @queries,
	  "nextval('$schema.task_id_sequence') > (SELECT max(id) FROM $schema.celery_taskmeta)",
	  "nextval('$schema.taskset_id_sequence') > (SELECT max(id) FROM $schema.celery_tasksetmeta)";
	is($node->safe_psql($dbname, 'SELECT ' . join(' AND ', @queries)),
		't', "$name: the next ids are free");
	return;
}

# Dump a database, as a role if one is given by -U; returns the file or directory.
my $dumps = 0;

sub dump_database
{
	my ($node, $dbname, @options) = @_;
	my ($format) = grep { /^-F/ } @options;
	my $path = PostgreSQL::Test::Utils::tempdir() . '/' . ++$dumps;
	$path .= defined $format ? '.dump' : '.sql';

	my ($rc, undef, $stderr) =
	  run_command_on($node, 'pg_dump', '-f', $path, @options, $dbname);
	is("$rc $stderr", '0 ', "pg_dump @options: exit code 0, quietly");
	return $path;
}

# A list of a dump's entries without those that are about the extension itself, as
# doc/operations.md says.
sub list_without_extension
{
	my ($node, $dump) = @_;
	my $list = "$dump.list";
	my (undef, $entries) = run_command_on($node, 'pg_restore', '-l', $dump);

	unlink $list;
	append_to_file($list, join '', grep { !/$extension_entries/ } $entries =~ /.*\n/g);
	return $list;
}

# Restore a dump into a database, one in SQL by psql, another by pg_restore.
# Returns exit code and stderr.
sub restore
{
	my ($node, $dump, $dbname, @options) = @_;
	my @cmd =
	  $dump =~ /\.sql$/
	  ? ('psql', '-Xq', '-o', File::Spec->devnull, @options, '-d', $dbname, '-f', $dump)
	  : ('pg_restore', @options, '-d', $dbname, $dump);
	my ($rc, undef, $stderr) = run_command_on($node, @cmd);

	return ($rc, $stderr);
}

# Restore, and see that all goes well and nothing is said but that a restore was
# recognized, which psql shows and pg_restore does not.
sub restored_quietly
{
	my ($node, $dump, $dbname, $name, @options) = @_;
	my $sql = $dump =~ /\.sql$/;
	my ($rc, $stderr) = restore($node, $dump, $dbname,
		$sql ? ('-v', 'ON_ERROR_STOP=1') : ('--exit-on-error'), @options);
	my $said = $stderr =~ s/$restore_info//g || 0;

	# before 15, "public" is not the owner's of the database, who grants nothing on it
	$stderr =~ s/^(?:psql:\S+|pg_restore): WARNING:  no privileges were granted for "(?:public|syncmaster_metrics)"\n//mg;
	is("$rc $stderr", '0 ', "$name: exit code 0, quietly");
	is($said, 1, "$name: says once that it is a restore") if $sql;
	return;
}

1;
