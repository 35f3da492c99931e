# What tests of failures share: rows for every table, and the state of a database in
# words that can be compared.

package SchemaState;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(load_rows state_of same_state);

# Rows in each of the tables of revision 0011, and sequences that have moved on.
sub load_rows
{
	my ($node, $db, %params) = @_;
	my $connections = $params{connections} // 20;

	$node->safe_psql($db, qq{
		INSERT INTO "user" (username, is_superuser, is_active)
			SELECT 'user' || i, i = 1, true FROM generate_series(1, 5) i;
		INSERT INTO "group" (name, description, owner_id)
			SELECT 'group ' || i, 'about ' || i, i FROM generate_series(1, 3) i;
		INSERT INTO user_group SELECT i, 1, 'Developer'
			FROM generate_series(2, 4) i;
		INSERT INTO queue (name, slug, group_id, description)
			SELECT 'queue ' || i, 'queue-' || i, 1, '' FROM generate_series(1, 2) i;
		INSERT INTO connection (group_id, type, name, description, data)
			SELECT 1, 'postgres', 'some-connection_' || i, '',
				   json_build_object('host', 'host-' || i || '.example.org')
			FROM generate_series(1, $connections) i;
		INSERT INTO auth_data SELECT id, 'token of ' || id FROM connection;
		INSERT INTO transfer (group_id, name, description, source_connection_id,
				target_connection_id, strategy_params, source_params,
				target_params, transformations, resources, is_scheduled,
				schedule, queue_id)
			SELECT 1, 'transfer ' || i, '', i, i + 1, '{}',
				   '{"table_name": "schema.source"}',
				   '{"directory_path": "/some/target"}', '[]', '{}', false, '', 1
			FROM generate_series(1, 10) i;
		INSERT INTO run (transfer_id, status, type, transfer_dump)
			SELECT i, 'FINISHED', 'MANUAL', '{}' FROM generate_series(1, 10) i;
		INSERT INTO celery_taskmeta (id, task_id, date_done)
			SELECT nextval('task_id_sequence'), 'task ' || i, '2026-01-01'
			FROM generate_series(1, 4) i;
		INSERT INTO celery_tasksetmeta (id, taskset_id)
			SELECT nextval('taskset_id_sequence'), 'set ' || i
			FROM generate_series(1, 2) i;
		INSERT INTO apscheduler_jobs VALUES ('job', 1.5, '\\x00');
	});
	return;
}

# The schema public with all its rows, the extensions with their members, and
# the record of migrations but for its times.  Two databases or moments are the
# same if and only if their texts are.
sub state_of
{
	my ($node, $db) = @_;

	return $node->safe_psql($db, q{
		SET search_path = pg_catalog;
		SET lock_timeout = '60s';
		SELECT 'relation', c.relname, c.relkind, c.relpersistence,
			   pg_get_userbyid(c.relowner), c.relacl
		FROM pg_class c
		WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname;
		SELECT 'column', c.relname, a.attnum, a.attname,
			   format_type(a.atttypid, a.atttypmod), a.attnotnull,
			   a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
		WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
		  AND c.relkind IN ('r', 'S') ORDER BY c.relname, a.attnum;
		SELECT 'index', indexname, indexdef, x.indisvalid
		FROM pg_indexes i JOIN pg_index x
			ON x.indexrelid = format('%I.%I', i.schemaname, i.indexname)::regclass
		WHERE schemaname = 'public' ORDER BY 2;
		SELECT 'constraint', conrelid::regclass, conname,
			   pg_get_constraintdef(oid)
		FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace
		ORDER BY conrelid::regclass::text, conname;
		SELECT 'function', p.oid::regprocedure, p.proowner::regrole, p.proacl
		FROM pg_proc p
		WHERE p.pronamespace = 'public'::regnamespace
		ORDER BY p.oid::regprocedure::text;
		SELECT 'extension', e.extname, e.extversion, e.extowner::regrole,
			   e.extnamespace::regnamespace,
			   (SELECT count(*) FROM pg_depend d
				WHERE d.refclassid = 'pg_extension'::regclass
				  AND d.refobjid = e.oid AND d.deptype = 'e')
		FROM pg_extension e ORDER BY 2;
		SELECT format(
			'SELECT %L, last_value, is_called FROM %s',
			'sequence ' || oid::regclass, oid::regclass)
		FROM pg_class WHERE relnamespace = 'public'::regnamespace
						AND relkind = 'S' ORDER BY relname \gexec
		SELECT format(
			'SELECT %L, count(*), md5(string_agg(r::text, %L ORDER BY r::text))'
			' FROM %s r', 'rows of ' || oid::regclass, ',', oid::regclass)
		FROM pg_class WHERE relnamespace = 'public'::regnamespace
						AND relkind = 'r' ORDER BY relname \gexec
		SELECT format('SELECT %L, schema_name, from_revision, to_revision,
			applied_by, library_version FROM %s ORDER BY applied_at', 'migration', oid::regclass)
		FROM pg_class
		WHERE relnamespace = to_regnamespace('syncmaster_history')
		  AND relname = 'migration' AND relkind = 'r' \gexec
	});
}

# Compare two such texts, and show only the lines in which they differ.
sub same_state
{
	my ($got, $expected, $name) = @_;
	my %count;

	return pass($name) if $got eq $expected;
	$count{$_}++ foreach split /\n/, $got;
	$count{$_}-- foreach split /\n/, $expected;
	fail($name);
	my @lines = map { ($count{$_} > 0 ? '+' : '-') . substr($_, 0, 150) . "\n" }
	  grep { $count{$_} != 0 } sort keys %count;
	diag(@lines > 30 ? @lines[ 0 .. 29 ] : @lines);
	return 0;
}

1;
