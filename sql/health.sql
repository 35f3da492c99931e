-- What a person should look at, and numbers for exporters.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
CREATE EXTENSION syncmaster;
\pset format unaligned

-- times, and how large things are, are not the same everywhere
CREATE VIEW health AS
    SELECT severity, check_name, subject,
        regexp_replace(regexp_replace(detail,
            '\d+-\d\d-\d\d [\d:.]+[-+]\d\d(:\d\d)?', '...'),
            ' in \S+ \w+, ', ' in ..., ') AS detail, hint
    FROM syncmaster_health();
CREATE FUNCTION metric(name text, label text DEFAULT NULL) RETURNS float8
LANGUAGE sql AS $$
    SELECT m.value FROM syncmaster_metrics m
    WHERE m.name = $1 AND ($2 IS NULL OR m.labels @> $2::jsonb)
$$;

-- an empty database is fine
SELECT * FROM health;

-- so is one in use: a run a minute ago, its schedule, its job
INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', false, true);
INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
INSERT INTO queue (name, slug, group_id, description)
    VALUES ('busy', '1-busy', 1, ''), ('idle', '1-idle', 1, ''),
        ('manual', '1-manual', 1, ''), ('empty', '1-empty', 1, '');
INSERT INTO connection (group_id, type, name, description, data)
    VALUES (1, 'postgres', 'c', '', '{}');
INSERT INTO transfer (group_id, name, description, source_connection_id,
        target_connection_id, strategy_params, source_params, target_params,
        transformations, resources, is_scheduled, schedule, queue_id,
        created_at, updated_at)
    SELECT 1, 'transfer ' || i, '', 1, 1, '{}', '{}', '{}', '[]', '{}',
        i <> 3, '0 0 * * *', 1, now() - interval '1 year',
        now() - interval '1 year'
    FROM generate_series(1, 3) i;
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    SELECT i, extract(epoch FROM now() + interval '1 hour'), ''
    FROM generate_series(1, 2) i;
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at,
        started_at, ended_at, updated_at)
    VALUES
        (1, 'FINISHED', 'SCHEDULED', '{}', now() - interval '1 minute',
         now() - interval '1 minute', now(), now()),
        (1, 'STARTED', 'MANUAL', '{}', now() - interval '23 hours',
         now() - interval '23 hours', NULL, now() - interval '23 hours'),
        (1, 'CREATED', 'MANUAL', '{}', now() - interval '50 minutes',
         NULL, NULL, now() - interval '50 minutes');
ANALYZE run;
SELECT * FROM health WHERE severity <> 'info';

-- runs that last too long, each by the time at which it got its status
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at,
        started_at, ended_at, updated_at)
    VALUES
        (1, 'STARTED', 'MANUAL', '{}', now() - interval '3 days',
         now() - interval '1 hour', NULL, now()),
        (2, 'STARTED', 'MANUAL', '{}', now() - interval '3 days',
         now() - interval '2 days', NULL, now()),
        (2, 'STARTED', 'MANUAL', '{}', now() - interval '4 days', NULL, NULL,
         now()),
        (2, 'CREATED', 'MANUAL', '{}', now() - interval '70 minutes', NULL,
         NULL, now()),
        (2, 'SEND_STOP_SIGNAL', 'MANUAL', '{}', now() - interval '3 days',
         NULL, NULL, now()),
        (2, 'SEND_STOP_SIGNAL', 'MANUAL', '{}', now() - interval '3 days',
         NULL, NULL, now() - interval '2 hours'),
        (2, 'FAILED', 'MANUAL', '{}', now() - interval '1 year', NULL, NULL,
         now() - interval '1 year');
SELECT * FROM health WHERE check_name = 'runs';
SET syncmaster.health_started = '30min';
SELECT detail FROM health WHERE check_name = 'runs' AND detail LIKE '%STARTED%';
SET syncmaster.health_started = 0;
SET syncmaster.health_waiting = 0;
SELECT detail FROM health WHERE check_name = 'runs';
RESET syncmaster.health_started;
RESET syncmaster.health_waiting;

-- more than are named
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
    SELECT 2, 'CREATED', 'MANUAL', '{}', now() - interval '2 hours'
    FROM generate_series(1, 11);
SELECT detail FROM health WHERE check_name = 'runs' AND detail LIKE '%CREATED%';

-- without SyncMaster's index on the status, a table of this size is read
ALTER INDEX ix__run__status RENAME TO saved;
DROP INDEX saved;
SELECT detail FROM health WHERE check_name = 'runs' AND detail LIKE '%CREATED%';
SELECT metric('syncmaster_active_runs', '{"status": "CREATED"}');
CREATE INDEX ix__run__status ON run (status);
SELECT metric('syncmaster_active_runs', '{"status": "CREATED"}'),
    metric('syncmaster_active_runs', '{"status": "STARTED"}'),
    metric('syncmaster_active_runs', '{"status": "SEND_STOP_SIGNAL"}'),
    metric('syncmaster_recent_runs', '{"status": "FINISHED"}'),
    metric('syncmaster_recent_runs', '{"status": "FAILED"}'),
    metric('syncmaster_recent_runs', '{"status": "CREATED"}');
SELECT to_timestamp(metric('syncmaster_newest_run_timestamp_seconds'))
        = max(created_at) AS newest,
    to_timestamp(metric('syncmaster_active_runs_oldest_timestamp_seconds',
                        '{"status": "STARTED"}'))
        = min(created_at) FILTER (WHERE status = 'STARTED') AS oldest
FROM run;
DELETE FROM run WHERE id > 3;

-- The runs of the last day: most of them failed, the broker or the worker could not
-- do anything with them, the same transfer was started twice in one minute.
BEGIN;
CREATE FUNCTION add_run(transfer bigint, status text, ago interval,
    started bool DEFAULT true, ended bool DEFAULT true, type text DEFAULT 'MANUAL')
RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO run (transfer_id, status, type, transfer_dump, created_at,
        started_at, ended_at)
    SELECT $1, $2, $6, '{}', t, CASE WHEN $4 THEN t END, CASE WHEN $5 THEN t END
    FROM (SELECT date_trunc('minute', now()) - $3) d (t)
    RETURNING id
$$;
CREATE VIEW recent AS SELECT severity, check_name, subject, detail, hint
    FROM health WHERE subject = 'run' AND check_name IN ('runs', 'schedules');
DELETE FROM run;
SELECT count(add_run(1, 'FAILED', '25 hours')) FROM generate_series(1, 9);
SELECT add_run(1, 'FAILED', '23 hours'), add_run(2, 'FAILED', '22 hours'),
    add_run(1, 'FINISHED', '3 hours'), add_run(3, 'STOPPED', '3 hours');
SELECT * FROM recent;
SELECT add_run(1, 'FAILED', '2 hours');
SELECT * FROM recent;
SELECT add_run(1, 'FINISHED', '1 hour');
SELECT * FROM recent;
-- those of statuses that are not known have not ended
SELECT add_run(1, 'FAILED', '1 hour'), add_run(1, 'PAUSED', '1 hour');
SELECT severity, detail FROM recent;
DELETE FROM run;
SELECT add_run(1, 'FAILED', '2 hours', false, false),
    add_run(2, 'FAILED', '1 hour', false, false);
SELECT * FROM recent;
SELECT add_run(3, 'FAILED', '30 minutes', false, true);
SELECT * FROM recent;
SELECT add_run(2, 'STARTED', '20 minutes', true, false);
SELECT * FROM recent;
SELECT add_run(3, 'FINISHED', '10 minutes');
SELECT severity, detail FROM recent;
DELETE FROM run;
SELECT add_run(1, 'FINISHED', '2 hours', type => 'SCHEDULED'),
    add_run(2, 'FINISHED', '2 hours', type => 'SCHEDULED'),
    add_run(1, 'FINISHED', '2 hours'),
    add_run(1, 'FINISHED', '119 minutes', type => 'SCHEDULED'),
    add_run(3, 'FINISHED', '50 minutes'), add_run(3, 'FINISHED', '50 minutes');
SELECT * FROM recent;
SELECT add_run(2, 'FINISHED', '119.1 minutes', type => 'SCHEDULED'),
    add_run(1, 'FINISHED', '2 hours', type => 'SCHEDULED'),
    add_run(2, 'FINISHED', '118.9 minutes', type => 'SCHEDULED');
SELECT * FROM recent;
ROLLBACK;

-- a schedule without a job, jobs without a schedule, a job that is late
DELETE FROM apscheduler_jobs WHERE id = '2';
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    VALUES ('3', NULL, ''), ('77', extract(epoch FROM now()), ''),
        ('1x', extract(epoch FROM now() - interval '2 hours'), ''),
        ('007', -1e300, ''), ('never', 'NaN', ''),
        ('9223372036854775808', 'Infinity', '');
SELECT * FROM health WHERE check_name = 'schedules';
UPDATE transfer SET updated_at = now() - interval '10 minutes' WHERE id IN (2, 3);
SELECT subject, detail FROM health WHERE check_name = 'schedules';
SET syncmaster.health_waiting = '5min';
SELECT subject, detail FROM health WHERE check_name = 'schedules';
SET syncmaster.health_waiting = 0;
SELECT subject, detail FROM health WHERE check_name = 'schedules';
RESET syncmaster.health_waiting;
SELECT metric('syncmaster_next_job_timestamp_seconds');
DELETE FROM apscheduler_jobs WHERE id <> '1';
SELECT metric('syncmaster_next_job_timestamp_seconds') = next_run_time AS next
FROM apscheduler_jobs;
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    SELECT 2, next_run_time, '' FROM apscheduler_jobs;

-- queues without a run: with schedules, without, changed lately
UPDATE transfer SET updated_at = now() - interval '1 year';
INSERT INTO transfer (group_id, name, description, source_connection_id,
        target_connection_id, strategy_params, source_params, target_params,
        transformations, resources, is_scheduled, schedule, queue_id,
        updated_at)
    SELECT 1, 'other ' || i, '', 1, 1, '{}', '{}', '{}', '[]', '{}', i < 3,
        '0 0 * * *', 1 + (i + 1) / 2, now() - interval '40 days'
    FROM generate_series(1, 4) i;
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    SELECT id, extract(epoch FROM now() + interval '1 hour'), ''
    FROM transfer WHERE id IN (4, 5);
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
    VALUES (4, 'FINISHED', 'SCHEDULED', '{}', now() - interval '36 days');
SELECT * FROM health WHERE check_name IN ('queues', 'schedules');
SET syncmaster.health_queue_idle = '37d';
SELECT severity, detail FROM health WHERE check_name = 'queues';
SET syncmaster.health_queue_idle = 0;
SELECT severity, detail FROM health WHERE check_name = 'queues';
RESET syncmaster.health_queue_idle;
UPDATE transfer SET updated_at = now() WHERE queue_id = 3;
UPDATE run SET created_at = now() - interval '34 days' WHERE transfer_id = 4;
SELECT severity, detail FROM health WHERE check_name = 'queues';

-- growth, once somebody says how old is too old
INSERT INTO celery_taskmeta (id, date_done)
    VALUES (nextval('task_id_sequence'), NULL),
        (nextval('task_id_sequence'),
         (now() - interval '1200 hours') AT TIME ZONE 'UTC'),
        (nextval('task_id_sequence'), 'infinity');
ANALYZE run, celery_taskmeta;
SELECT * FROM health WHERE check_name = 'growth';
SET syncmaster.health_retention = '51d';
SELECT * FROM health WHERE check_name = 'growth';
SET timezone = 'Asia/Tokyo';
SET syncmaster.health_retention = '1199h';
SELECT * FROM health WHERE check_name = 'growth';
RESET timezone;

-- Runs that a purge keeps are not too old: active ones, those in a status that is
-- not known, and the last ones of a transfer, of those created at one moment too.
BEGIN;
TRUNCATE run;
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
SELECT 1 + i % 2, 'FINISHED', 'MANUAL', '{}',
    now() - (61 - i / 4) * interval '1 day'
FROM generate_series(0, 11) i;
UPDATE run SET status = 'STARTED' WHERE id IN (SELECT id FROM run ORDER BY id LIMIT 2);
UPDATE run SET status = 'PAUSED' WHERE id IN (SELECT id FROM run ORDER BY id OFFSET 2 LIMIT 2);
SET LOCAL syncmaster.health_retention = '1452h';
SELECT detail FROM health WHERE check_name = 'growth' AND subject = 'run';
SET LOCAL syncmaster.health_retention = '50d';
SELECT hint FROM health WHERE check_name = 'growth' AND subject = 'run';
CREATE TABLE hold (run_id bigint CONSTRAINT hold REFERENCES run);
SELECT substring(detail FROM 'longer ago than .*'), hint FROM health WHERE check_name = 'growth' AND subject = 'run';
DROP TABLE hold;
SET LOCAL syncmaster.health_keep_last = 3;
SELECT severity, hint FROM health WHERE check_name = 'growth' AND subject = 'run';
SELECT now() - to_timestamp(metric('syncmaster_table_oldest_row_timestamp_seconds',
    '{"table": "run"}')) < interval '1452 hours' AS oldest;
SET LOCAL syncmaster.health_keep_last = 4;
SELECT severity, hint FROM health WHERE check_name = 'growth' AND subject = 'run';
SELECT metric('syncmaster_table_oldest_row_timestamp_seconds', '{"table": "run"}');
INSERT INTO run (transfer_id, status, type, transfer_dump)
VALUES (2, 'CREATED', 'MANUAL', '{}');
SELECT severity, hint FROM health WHERE check_name = 'growth' AND subject = 'run';
ROLLBACK;
RESET syncmaster.health_retention;

-- results of workers that were killed
SELECT * FROM health WHERE check_name = 'growth' AND subject = 'celery_taskmeta';
SET syncmaster.health_started = '1201h';
SELECT detail FROM health WHERE check_name = 'growth' AND subject = 'celery_taskmeta';
SET syncmaster.health_started = 0;
SELECT detail FROM health WHERE check_name = 'growth' AND subject = 'celery_taskmeta';
RESET syncmaster.health_started;

-- numbers that run out: those of the column, or of the sequence
BEGIN;
SELECT setval('task_id_sequence', 1073741821);
SELECT * FROM health WHERE check_name = 'sequences';
SELECT setval('task_id_sequence', 1073741823);
SELECT * FROM health WHERE check_name = 'sequences';
SELECT setval('task_id_sequence', 1932735283);
SELECT severity, subject, detail FROM health WHERE check_name = 'sequences';
SELECT setval('task_id_sequence', 2147483648);
SELECT severity, subject, detail FROM health WHERE check_name = 'sequences';
SELECT setval('run_id_seq', 2147483648), setval('taskset_id_sequence', 1800000000),
    setval('group_id_seq', 9223372036854775807);
ALTER SEQUENCE queue_id_seq MAXVALUE 10;
SELECT severity, subject, detail FROM health WHERE check_name = 'sequences';
ROLLBACK;
SELECT setval('task_id_sequence', 3), setval('taskset_id_sequence', 1),
    setval('run_id_seq', 100), setval('group_id_seq', 100);
SELECT round((extract(epoch FROM now()) - metric(
        'syncmaster_table_oldest_row_timestamp_seconds',
        '{"table": "celery_taskmeta"}')) / 86400) AS days,
    to_timestamp(metric('syncmaster_table_oldest_row_timestamp_seconds',
                        '{"table": "run"}')) = created_at AS oldest,
    metric('syncmaster_table_rows', '{"table": "run"}') AS rows
FROM run WHERE id = 1;

-- sequences of tables that a subscription fills
BEGIN;
SET LOCAL client_min_messages = error;
SELECT setval('run_id_seq', 1), setval('transfer_id_seq', 1);
SELECT severity, check_name, subject FROM health WHERE check_name IN ('schema', 'sequences');
CREATE SUBSCRIPTION regress_syncmaster CONNECTION 'dbname=nowhere' PUBLICATION p
    WITH (connect = false);
INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)
    SELECT s.oid, c.oid, 'r' FROM pg_subscription s, pg_class c
    WHERE c.oid IN ('run'::regclass, 'transfer'::regclass);
SELECT * FROM health WHERE check_name IN ('schema', 'sequences');
SELECT severity, object_name, problem FROM syncmaster_check() WHERE object_type = 'sequence';
ROLLBACK;
SELECT setval('run_id_seq', 100), setval('transfer_id_seq', 100);

-- privileges that services lack, and that are dangerous
CREATE ROLE regress_syncmaster_worker;
SELECT count(*) > 0 AS granted FROM syncmaster_grant('regress_syncmaster_worker', 'worker');
SELECT * FROM health WHERE check_name = 'privileges';
REVOKE SELECT ON run, transfer FROM regress_syncmaster_worker;
SELECT * FROM health WHERE check_name = 'privileges';
GRANT TRIGGER ON queue TO PUBLIC;
SELECT severity, detail FROM health WHERE check_name = 'privileges';
GRANT SELECT ON run, transfer TO regress_syncmaster_worker;
SELECT severity, detail FROM health WHERE check_name = 'privileges';
REVOKE TRIGGER ON queue FROM PUBLIC;
ALTER ROLE regress_syncmaster_worker REPLICATION;
SELECT severity, detail FROM health WHERE check_name = 'privileges';
SELECT count(*) > 0 AS revoked FROM syncmaster_revoke('regress_syncmaster_worker', 'worker');
DROP ROLE regress_syncmaster_worker;

-- extra indexes, which may be left out on purpose
DROP INDEX ix_syncmaster__transfer_queue_id;
CREATE INDEX ix_syncmaster__run_transfer_id_created_at_not ON run (id);
SELECT * FROM health WHERE check_name = 'indexes';
SET syncmaster.create_indexes = off;
SELECT severity, detail FROM health WHERE check_name = 'indexes';
RESET syncmaster.create_indexes;
DROP INDEX ix_syncmaster__run_transfer_id_created_at_not;
SELECT syncmaster_create_indexes();

-- the schema
ALTER TABLE run RENAME CONSTRAINT fk__run__transfer_id__transfer TO fk;
ALTER TABLE queue ALTER slug DROP NOT NULL;
SELECT * FROM health WHERE check_name = 'schema';
ALTER TABLE queue ALTER slug SET NOT NULL;
ALTER TABLE run RENAME CONSTRAINT fk TO fk__run__transfer_id__transfer;

-- tables that are not as they should be, and that are not there
ALTER TABLE run RENAME created_at TO born_at;
ALTER TABLE transfer ALTER is_scheduled TYPE int USING 1;
ALTER TABLE celery_taskmeta RENAME TO renamed;
ALTER TABLE apscheduler_jobs RENAME TO jobs;
CREATE VIEW apscheduler_jobs AS SELECT * FROM jobs;
SELECT severity, check_name, subject, detail, hint FROM health
WHERE check_name NOT IN ('schema', 'indexes');
SELECT labels ->> 'table' AS "table" FROM syncmaster_metrics
WHERE name = 'syncmaster_table_readable' AND value <> 1
ORDER BY labels ->> 'table' COLLATE "C";
SELECT name FROM syncmaster_metrics WHERE name !~ 'table'
GROUP BY name ORDER BY name COLLATE "C";
DROP VIEW apscheduler_jobs;
ALTER TABLE jobs RENAME TO apscheduler_jobs;
ALTER TABLE renamed RENAME TO celery_taskmeta;
ALTER TABLE transfer ALTER is_scheduled TYPE bool USING true;
ALTER TABLE run RENAME born_at TO created_at;
UPDATE transfer SET is_scheduled = false WHERE id IN (3, 6, 7);

-- the rows are numbers and JSON with texts, and each series is there once
ANALYZE;
SELECT name, count(*), min(jsonb_typeof(labels)) AS labels,
    string_agg(DISTINCT (SELECT string_agg(k, ' ' ORDER BY k)
                         FROM jsonb_object_keys(labels) k), ', ') AS keys
FROM syncmaster_metrics GROUP BY name ORDER BY name COLLATE "C";
SELECT name, labels FROM syncmaster_metrics GROUP BY 1, 2 HAVING count(*) > 1;
SELECT count(*) FROM syncmaster_metrics WHERE value IS NULL;
SELECT bool_and(value > 0) AS bytes FROM syncmaster_metrics
WHERE name = 'syncmaster_table_size_bytes';
-- all files of a table but its maps
SELECT value = (
    SELECT sum(pg_relation_size(r))
    FROM (SELECT c.oid, c.reltoastrelid FROM pg_class c WHERE oid = 'run'::regclass) t,
    LATERAL (SELECT t.oid UNION ALL SELECT t.reltoastrelid UNION ALL
        SELECT indexrelid FROM pg_index
        WHERE indrelid IN (t.oid, t.reltoastrelid)) f (r)) AS bytes
FROM syncmaster_metrics
WHERE name = 'syncmaster_table_size_bytes' AND labels ->> 'table' = 'run';

-- what health finds, as numbers: of each check, and zero where there is nothing
SELECT count(*), count(DISTINCT labels ->> 'check_name') AS checks,
    string_agg(DISTINCT labels ->> 'severity', ' ') AS severities,
    min(name) = max(name) AS one_name, sum(value) = (SELECT count(*) FROM health) AS all_of_them
FROM syncmaster_read_metrics(true);
SELECT labels, value FROM syncmaster_read_metrics(true) WHERE value > 0
EXCEPT
SELECT jsonb_build_object('check_name', check_name, 'severity', severity), count(*)
FROM health GROUP BY 1;

-- who may
CREATE ROLE regress_syncmaster_dba;
CREATE ROLE regress_syncmaster_monitor;
SET ROLE regress_syncmaster_dba;
SELECT * FROM syncmaster_health();
SELECT * FROM syncmaster_metrics;
SELECT * FROM syncmaster_read_metrics();
SELECT * FROM syncmaster_read_metrics(true);
RESET ROLE;
GRANT SELECT ON syncmaster_metrics TO regress_syncmaster_monitor;
SET ROLE regress_syncmaster_monitor;
SELECT count(*) > 40 AS many FROM syncmaster_metrics;
SELECT count(*) FROM syncmaster_read_metrics(true);
SELECT count(*) FROM run;
SELECT * FROM syncmaster_health();
RESET ROLE;
GRANT EXECUTE ON FUNCTION syncmaster_health() TO regress_syncmaster_dba;
SET syncmaster.secret_key_file = 'no such file';
SET ROLE regress_syncmaster_dba;
SELECT * FROM syncmaster_health() WHERE check_name <> 'growth';
RESET ROLE;
-- a key file that cannot be read is a finding
SELECT * FROM syncmaster_health() WHERE check_name = 'credentials';
RESET syncmaster.secret_key_file;
DROP OWNED BY regress_syncmaster_dba, regress_syncmaster_monitor;
DROP ROLE regress_syncmaster_dba, regress_syncmaster_monitor;

-- times that are none hide no others
BEGIN;
DELETE FROM run;
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
    VALUES (1, 'CREATED', 'MANUAL', '{}', '-infinity'),
        (1, 'CREATED', 'MANUAL', '{}', '2020-01-01 00:00:00+00');
INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    VALUES ('-1', '-Infinity', ''), ('-2', 1000, '');
SELECT name, value FROM syncmaster_metrics
WHERE name ~ 'next_job|active_runs_oldest' ORDER BY name COLLATE "C";
ROLLBACK;

-- a revision that is not a number is not printed, because anything may be there
BEGIN;
UPDATE alembic_version SET version_num = repeat('f', 32);
SELECT labels ->> 'revision' AS revision FROM syncmaster_metrics
WHERE name = 'syncmaster_schema_info';
ROLLBACK;

-- a view of that name has to be the extension's
BEGIN;
ALTER EXTENSION syncmaster DROP VIEW syncmaster_metrics;
SELECT count(*) FROM syncmaster_read_metrics();
ROLLBACK;

-- at older revisions, and without a schema
SET client_min_messages = warning;
SELECT syncmaster_downgrade('0012');
SELECT severity, check_name FROM health WHERE severity <> 'info';
SELECT metric('syncmaster_schema_in_step'), labels ->> 'revision' AS revision
FROM syncmaster_metrics WHERE name = 'syncmaster_schema_info';
SELECT syncmaster_downgrade('0011');
SELECT severity, check_name FROM health WHERE severity <> 'info';
SET syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('0010');
SELECT severity, check_name, subject, detail, hint FROM health
WHERE check_name <> 'growth';
SELECT metric('syncmaster_schema_in_step'), metric('syncmaster_table_readable',
    '{"table": "apscheduler_jobs"}') AS not_there_yet;
SET syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('0007');
SELECT severity, check_name, subject, detail FROM health;
SET syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('base');
SELECT * FROM health;
SELECT * FROM syncmaster_metrics WHERE labels ->> 'schema' IS NULL;

-- another schema
CREATE SCHEMA elsewhere;
DROP EXTENSION syncmaster CASCADE;
CREATE EXTENSION syncmaster SCHEMA elsewhere;
RESET client_min_messages;
SELECT severity, check_name, detail FROM elsewhere.syncmaster_health()
WHERE severity <> 'info';
SELECT count(DISTINCT name), min(labels ->> 'schema') FROM elsewhere.syncmaster_metrics;
