# Rows for SyncMaster's tables, chosen to be awkward, and what a DBA may have added
# around them; and dumps of both, to compare.

package SyncmasterRows;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(
  dump_rows
  dump_state
  marks_sql
  new_ids
  remove_marks_sql
  rows_sql
);

# By the revision that makes the table.
my %rows = (
	1 => q(
		INSERT INTO "user" (id, username, email, first_name, last_name,
				middle_name, is_superuser, is_active, created_at, updated_at)
			VALUES
			(DEFAULT, 'admin', 'a@example.com', 'Ада', 'Лавлейс', '', true,
			 true, '2001-02-03 04:05:06.789+03', 'infinity'),
			(DEFAULT, 'ünïcødé 名前 🙂', NULL, NULL, NULL, NULL, false, false,
			 '-infinity', '0001-01-01 00:00:00+00 BC'),
			(DEFAULT, repeat('x', 256), repeat('é', 256), e'\\\\ '' " \t\n',
			 'NULL', '\N', false, true, DEFAULT, DEFAULT),
			(9223372036854775000, '', '', '', '', '', false, true, DEFAULT,
			 DEFAULT);
		SELECT setval('user_id_seq', 1000)),
	2 => q(
		INSERT INTO "group" (name, description, owner_id) VALUES
			('Отдел продаж', repeat('д', 512), 1),
			('some-domain.name/with:punct_and\back', '', 2),
			('', e'line\nbreak', 9223372036854775000);
		SELECT setval('group_id_seq', 1000, false)),
	3 => q(
		INSERT INTO queue (name, slug, group_id, description) VALUES
			('Очередь.первая', '1-ochered', 1, ''),
			(repeat('q', 128), repeat('s', 256), 2, 'x');
		SELECT setval('queue_id_seq', 4611686018427387904)),
	4 => q(
		INSERT INTO connection (group_id, type, name, description, data)
			VALUES
			(1, 'postgres', 'Основная база', 'текст',
			 '{"host": "db-1.example.com", "port": 5432, "type": "postgres"}'),
			(1, 'oracle', 'no host', '', '{}'),
			(1, 'hive', 'odd json', '', ' [1, 2.50, null,  {"a":1,"a":2}] '),
			(2, 'clickhouse', 'scalar', '', '"text"'),
			(2, 's3', 'null host', '', '{"host": null, "x": "\u00e9\ud83d\ude42"}'),
			(2, 'samba', 'number host', '', '{"host": 1e400}'),
			(2, repeat('t', 23), repeat('n', 128), repeat('d', 512),
			 ('{"host": "h", "big": "' || repeat('0123456789', 20000)
				|| '"}')::json);
		SELECT setval('connection_id_seq', 50)),
	5 => q(
		INSERT INTO user_group (user_id, group_id, role) VALUES
			(1, 1, 'Owner'), (2, 1, 'Guest'), (1, 2, 'Maintainer'),
			(9223372036854775000, 3, 'Developer')),
	6 => q(
		INSERT INTO auth_data (connection_id, value) VALUES
			(1, 'gAAAAABlongtoken=='), (2, ''),
			(3, (SELECT string_agg(md5(i::text), '')
				 FROM generate_series(1, 5000) i))),
	7 => q(
		INSERT INTO transfer (group_id, name, description,
				source_connection_id, target_connection_id, strategy_params,
				source_params, target_params, transformations, resources,
				is_scheduled, schedule, queue_id)
			VALUES
			(1, 'Перенос таблиц', '', 1, 2, '{"type": "full"}',
			 '{"type": "postgres", "table_name": "public.some_table"}',
			 '{"type": "oracle", "table_name": "SCOTT.EMP"}', '[]',
			 '{"max_parallel_tasks": 1}', true, '* * * * *', 1),
			(2, 'files', 'd', 3, 3, '{"zero": "\u0000"}',
			 '{"directory_path": "/some/path/to-files.d"}',
			 '{"directory_path": "C:\\\\dir\\\\file.csv", "table_name": null}',
			 ' [ {"filters" : []} ] ', '{}', false, '', 2),
			(2, 'no object', '', 4, 5, '1', 'null', '[]', '""', 'true', false,
			 '', 2);
		SELECT setval('transfer_id_seq', 7)),
	8 => q(
		INSERT INTO run (transfer_id, started_at, ended_at, status, type,
				log_url, transfer_dump)
			VALUES
			(1, NULL, NULL, 'CREATED', 'MANUAL', NULL, '{}'),
			(1, '2024-01-01 00:00:00.000001+00', 'infinity', 'FINISHED',
			 'SCHEDULED', 'https://example.com/log?run=2&x=é',
			 ('[' || repeat('{"k": [null, true]},', 5000) || '0]')::json);
		INSERT INTO run (transfer_id, status, type, transfer_dump)
			SELECT 2, 'FAILED', 'SCHEDULED', json_build_object('i', i)
			FROM generate_series(1, 2000) i;
		SELECT setval('run_id_seq', 100000)),
	9 => q(
		INSERT INTO celery_taskmeta (id, task_id, status, result, date_done,
				traceback, name, args, kwargs, worker, retries, queue)
			VALUES
			(nextval('task_id_sequence'), 'a', 'SUCCESS', '\x80049500ff',
			 '2024-05-06 07:08:09.123456', NULL, 'run_transfer_task', '\x',
			 NULL, 'w@host', 2147483647, 'q'),
			(nextval('task_id_sequence'), NULL, NULL, NULL, NULL,
			 e'Traceback…\n  File', NULL, NULL, NULL, NULL, NULL, NULL);
		SELECT setval('task_id_sequence', 500);
		INSERT INTO celery_tasksetmeta (id, taskset_id, result, date_done)
			VALUES (nextval('taskset_id_sequence'), 's', '\x00', 'infinity');
		SELECT setval('taskset_id_sequence', 9, false)),
	11 => q(
		INSERT INTO apscheduler_jobs (id, next_run_time, job_state) VALUES
			('scheduler', 1735689600.123456, '\x8005ff'),
			('никогда', NULL, '\x'), ('nan', 'NaN', '\x00'),
			('inf', 'Infinity', '\x01')),
	12 => q(
		INSERT INTO connection (group_id, type, name, description, data)
			VALUES (3, 'mysql', 'after 0012', '', '{"host": "a_b.c:1"}')),
);

my @tables = (
	'user', 'group', 'queue', 'connection', 'user_group', 'auth_data',
	'transfer', 'run', 'celery_taskmeta', undef, 'apscheduler_jobs');

sub rows_sql
{
	my ($revision) = @_;
	return 'SET client_encoding = utf8; ' . ($rows{$revision} // 'SELECT 1');
}

# What a DBA adds: grants, an index, a constraint, a trigger, a policy, settings
# of a table and its columns, on every table that the revision has.
sub marks_sql
{
	my ($revision) = @_;
	my $sql = q(
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer;
		REVOKE TRUNCATE ON "user" FROM app;
		CREATE FUNCTION dba_nothing() RETURNS trigger LANGUAGE plpgsql
			AS 'BEGIN RETURN NEW; END';
	);
	foreach my $table (grep { defined } @tables[ 0 .. $revision - 1 ])
	{
		my $column = $table eq 'user_group' ? 'role'
		  : $table eq 'auth_data' ? 'connection_id'
		  : 'id';
		$sql .= qq(
			GRANT UPDATE ($column) ON "$table" TO writer WITH GRANT OPTION;
			CREATE INDEX dba_$table ON "$table" ($column)
				WHERE $column IS NOT NULL;
			ALTER TABLE "$table"
				ADD CONSTRAINT dba_$table CHECK ($column IS NOT NULL) NOT VALID,
				ALTER COLUMN $column SET STATISTICS 77,
				SET (fillfactor = 91);
			CREATE TRIGGER dba_trigger BEFORE UPDATE ON "$table"
				FOR EACH ROW EXECUTE FUNCTION dba_nothing();
			CREATE POLICY dba_policy ON "$table" TO reader
				USING ($column IS NOT NULL);
		);
	}
	return $sql;
}

sub remove_marks_sql
{
	my ($revision) = @_;
	my $sql = 'DROP FUNCTION dba_nothing CASCADE;';

	foreach my $table (grep { defined } @tables[ 0 .. $revision - 1 ])
	{
		$sql .= qq(
			DROP INDEX dba_$table;
			ALTER TABLE "$table" DROP CONSTRAINT dba_$table,
				RESET (fillfactor);
			DROP POLICY dba_policy ON "$table";
		);
	}
	return "SET client_min_messages = warning; $sql";
}

# All rows of all of SyncMaster's tables, as text.
sub dump_rows
{
	my ($node, $database, $with_search_vector) = @_;
	my $except = $with_search_vector ? '' : "AND a.attname <> 'search_vector'";

	return $node->safe_psql(
		$database, qq(
		SET client_encoding = utf8;
		SET timezone = 'UTC';
		SELECT format('SELECT %L, ROW(%s)::text FROM %I ORDER BY 2',
				c.relname,
				string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
				c.relname)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
			AND a.attnum > 0 AND NOT a.attisdropped
			AND c.relname <> 'alembic_version' $except
		GROUP BY c.relname ORDER BY c.relname \\gexec
	));
}

# Owners, grants, the state of sequences, and what a DBA added, a line each.
# With an earlier result, lines about relations that it has not are left out.
sub dump_state
{
	my ($node, $database, $before) = @_;
	my $state = $node->safe_psql(
		$database, q(
		SELECT relname, relkind, pg_get_userbyid(relowner), relacl,
			CASE WHEN relname <> 'alembic_version' THEN reloptions END,
			relrowsecurity
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
		ORDER BY 1;
		SELECT c.relname, a.attname, a.attacl, to_jsonb(a) ->> 'attstattarget'
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE relnamespace = 'public'::regnamespace AND a.attacl IS NOT NULL
		ORDER BY 1, 2;
		SELECT tablename, indexdef FROM pg_indexes WHERE indexname ~ '^dba_'
		ORDER BY 1;
		SELECT c.relname, pg_get_constraintdef(o.oid)
		FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
		WHERE o.conname ~ '^dba_' ORDER BY 1;
		SELECT c.relname, pg_get_triggerdef(t.oid)
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE NOT t.tgisinternal ORDER BY 1;
		SELECT tablename, policyname, roles, qual FROM pg_policies ORDER BY 1;
		SELECT format('SELECT %L, last_value, is_called FROM %I', relname,
				relname)
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
		ORDER BY relname \gexec
	));
	return $state if !defined $before;

	my %known = map { (split /\|/)[0] => 1 } split /\n/, $before;
	return join "\n", grep { $known{ (split /\|/)[0] } } split /\n/, $state;
}

# The ids that the next rows get.
sub new_ids
{
	my ($node, $database) = @_;
	return $node->safe_psql(
		$database, q(
		INSERT INTO "user" (username, is_superuser, is_active)
			VALUES ('new', false, true) RETURNING id;
		INSERT INTO "group" (name, description, owner_id)
			SELECT 'new', '', id FROM "user" WHERE username = 'new'
			RETURNING id;
		INSERT INTO queue (name, slug, group_id, description)
			SELECT 'new', 'new', id, '' FROM "group" WHERE name = 'new'
			RETURNING id;
		INSERT INTO connection (group_id, type, name, description, data)
			SELECT id, 'x', 'new', '', '{}' FROM "group" WHERE name = 'new'
			RETURNING id;
		INSERT INTO transfer (group_id, name, description,
				source_connection_id, target_connection_id, strategy_params,
				source_params, target_params, transformations, resources,
				is_scheduled, schedule, queue_id)
			SELECT c.group_id, 'new', '', c.id, c.id, '{}', '{}', '{}', '{}',
				'{}', false, '', q.id
			FROM connection c JOIN queue q USING (group_id)
			WHERE c.name = 'new' RETURNING id;
		INSERT INTO run (transfer_id, status, type, transfer_dump)
			SELECT id, 'x', 'x', '{}' FROM transfer WHERE name = 'new'
			RETURNING id;
		SELECT nextval('task_id_sequence'), nextval('taskset_id_sequence');
	));
}

1;
