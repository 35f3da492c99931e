-- A database of SyncMaster 0.2 as Alembic leaves it: the tables of revision 0011 and
-- some rows, without the extension.  The variable "facts" is the text of
-- test/facts/rev-0011.json, the catalogue that SyncMaster's own migrations make.

\set ON_ERROR_STOP on
\set QUIET on

CREATE TEMP TABLE facts AS SELECT :'facts'::json AS facts;

SELECT format('CREATE EXTENSION %I', name)
FROM facts, json_object_keys(facts -> 'extensions') name \gexec

SELECT format('CREATE SEQUENCE %I AS %s', name, value ->> 'type')
FROM facts, json_each(facts -> 'sequences') s (name, value) \gexec

SELECT format('CREATE TABLE %I (%s)', name, columns)
FROM facts, json_each(facts -> 'tables') t (name, value), LATERAL (
    SELECT string_agg(concat_ws(' ', quote_ident(c ->> 'name'), c ->> 'type',
                                'GENERATED ALWAYS AS (' || (c ->> 'generated') || ') STORED',
                                'DEFAULT ' || (c ->> 'default'),
                                CASE WHEN (c ->> 'notnull')::bool THEN 'NOT NULL' END),
                      ', ' ORDER BY n) AS columns
    FROM json_array_elements(value -> 'columns') WITH ORDINALITY a (c, n)) a \gexec

-- Foreign keys last, as they need what they refer to.
SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, c ->> 'name', c ->> 'def')
FROM facts, json_each(facts -> 'tables') t (name, value),
     json_array_elements(value -> 'constraints') c
ORDER BY c ->> 'type' = 'f' \gexec

SELECT i ->> 'def'
FROM facts, json_each(facts -> 'tables') t (name, value),
     json_array_elements(value -> 'indexes') i
WHERE NOT (i ->> 'backs_constraint')::bool \gexec

SELECT format('ALTER SEQUENCE %I OWNED BY %I.%I', name,
              split_part(owner, '.', 1), split_part(owner, '.', 2))
FROM facts, json_each(facts -> 'sequences') s (name, value),
     substring(value ->> 'owned_by' FROM '^(.*) \(a\)$') owner
WHERE owner IS NOT NULL \gexec

INSERT INTO alembic_version
SELECT json_array_elements_text(facts -> 'alembic_version') FROM facts;

DROP TABLE facts;

INSERT INTO "user" (username, email, is_superuser, is_active)
VALUES ('alice', 'alice@example.com', true, true), ('bob', 'bob@example.com', false, true);

INSERT INTO "group" (name, description, owner_id) VALUES ('analytics', 'Reports', 1);
INSERT INTO user_group (user_id, group_id, role) VALUES (2, 1, 'Developer');

INSERT INTO queue (name, slug, description, group_id)
VALUES ('nightly', 'nightly', 'Runs at night', 1);

INSERT INTO connection (group_id, type, name, description, data)
SELECT 1, 'postgres', 'database ' || n, '',
       json_build_object('host', format('db-%s.example.com', n), 'port', 5432)
FROM generate_series(1, 20) n;

INSERT INTO transfer (group_id, name, description, source_connection_id,
                      target_connection_id, strategy_params, source_params,
                      target_params, transformations, resources, is_scheduled,
                      schedule, queue_id)
SELECT 1, 'copy of table ' || n, '', n % 20 + 1, (n + 1) % 20 + 1, '{"type": "full"}',
       json_build_object('type', 'postgres', 'table_name', 'public.t' || n),
       json_build_object('type', 'postgres', 'table_name', 'copy.t' || n),
       '[]', '{}', false, '', 1
FROM generate_series(1, 100) n;

INSERT INTO run (transfer_id, status, type, transfer_dump, created_at, started_at, ended_at)
SELECT n % 100 + 1, 'FINISHED', 'MANUAL', '{}', at, at, at + interval '3 min'
FROM generate_series(1, 2000) n, LATERAL (SELECT now() - n * interval '10 min' AS at) t;
