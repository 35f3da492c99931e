-- Retention: old runs and old results of tasks.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
CREATE EXTENSION syncmaster;
RESET client_min_messages;
INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', false, true);
INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
INSERT INTO queue (name, slug, group_id, description) VALUES ('q', 'q', 1, '');
INSERT INTO connection (group_id, type, name, description, data)
VALUES (1, 'postgres', 'c', '', '{}');
INSERT INTO transfer (group_id, name, description, source_connection_id,
    target_connection_id, strategy_params, source_params, target_params,
    transformations, resources, is_scheduled, schedule, queue_id)
SELECT 1, 't' || i, '', 1, 1, '{}', '{}', '{}', '[]', '{}', false, '', 1
FROM generate_series(1, 4) i;

-- what must be named, and how
\set VERBOSITY sqlstate
CALL syncmaster_purge_runs();
\set VERBOSITY default
CALL syncmaster_purge_runs(NULL);
CALL syncmaster_purge_runs(interval '-1 second');
CALL syncmaster_purge_runs(interval '90 days', NULL);
CALL syncmaster_purge_runs(interval '90 days', -1);
CALL syncmaster_purge_runs(interval '90 days', batch_size => NULL);
CALL syncmaster_purge_runs(interval '90 days', batch_size => 0);
CALL syncmaster_purge_runs(interval '90 days', batch_size => 1000001);
CALL syncmaster_purge_runs(interval '90 days', dry_run => NULL);
CALL syncmaster_purge_task_results(NULL);
CALL syncmaster_purge_task_results(interval '90 days', 0);
CALL syncmaster_purge_task_results(interval '90 days', 10, NULL);
\set VERBOSITY sqlstate
CALL syncmaster_purge_runs(NULL);
CALL syncmaster_purge_runs(interval '-1 second');
CALL syncmaster_purge_runs(interval '178000000 years');
\set VERBOSITY default

-- where it may be called
BEGIN;
CALL syncmaster_purge_runs(interval '90 days');
ROLLBACK;
DO $$
DECLARE
    n bigint;
BEGIN
    CALL syncmaster_purge_task_results(interval '90 days', 10, true, n);
    RAISE NOTICE 'returned %', n;
EXCEPTION WHEN invalid_transaction_termination THEN
    RAISE NOTICE '%', sqlerrm;
END $$;
DO $$
DECLARE
    n bigint;
BEGIN
    CALL syncmaster_purge_task_results(interval '90 days', 10, true, n);
    RAISE NOTICE 'returned %', n;
END $$;
CREATE FUNCTION purge() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    CALL syncmaster_purge_runs(interval '90 days', 0, 10, true, n);
    RETURN n;
END $$;
SELECT purge();
SET default_transaction_isolation = 'repeatable read';
CALL syncmaster_purge_runs(interval '90 days');
RESET default_transaction_isolation;
SET default_transaction_read_only = on;
CALL syncmaster_purge_runs(interval '90 days');
RESET default_transaction_read_only;

-- an empty table
CALL syncmaster_purge_runs(interval '90 days');

-- Of transfer 1, ids go up while times go down, as after an import; of 2, all
-- were created at the same time; 3 has active runs; 4 has young ones only.
CREATE PROCEDURE fill() LANGUAGE sql AS $$
    TRUNCATE run RESTART IDENTITY;
    INSERT INTO run (transfer_id, status, type, transfer_dump, created_at)
    SELECT 1, 'FINISHED', 'MANUAL', '{}'::json, now() - i * interval '30 days'
    FROM generate_series(1, 10) i
    UNION ALL
    SELECT 2, 'FAILED', 'MANUAL', '{}', now() - interval '200 days'
    FROM generate_series(1, 5)
    UNION ALL
    SELECT 3, s, 'SCHEDULED', '{}', now() - interval '300 days'
    FROM unnest('{CREATED,STOPPED,STARTED,FINISHED,SEND_STOP_SIGNAL,FAILED}'::text[]) s
    UNION ALL
    SELECT 4, 'STOPPED', 'MANUAL', '{}', now() - i * interval '1 day'
    FROM generate_series(1, 5) i;
$$;
CREATE FUNCTION runs(OUT transfer_id bigint, OUT ids text) RETURNS SETOF record
LANGUAGE sql AS $$
    SELECT transfer_id, string_agg(id::text, ' ' ORDER BY id) FROM run
    GROUP BY 1 ORDER BY 1
$$;

-- a dry run changes nothing and counts what goes; the age is that of the list
CALL fill();
SELECT * FROM runs();
CALL syncmaster_purge_runs(interval '95 days', dry_run => true);
CALL syncmaster_purge_runs(interval '95 days', 2, 9, true);
SELECT count(*) FROM run;
CALL syncmaster_purge_runs(interval '95 days');
SELECT * FROM runs();
CALL syncmaster_purge_runs(interval '95 days');

-- the last ones of each transfer, by created_at and id, active ones included;
-- whatever the size of the batches
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', 4);
SELECT * FROM runs();
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', 4, 1);
SELECT * FROM runs();
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', 1, 3);
SELECT * FROM runs();
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', 100);
SELECT count(*) FROM run;
CALL syncmaster_purge_runs(interval '0', 1);
SELECT * FROM runs();
CALL syncmaster_purge_runs(interval '0');
SELECT status FROM run ORDER BY id;

-- gaps between ids, and the ends of their range
TRUNCATE run;
INSERT INTO run (id, transfer_id, status, type, transfer_dump, created_at)
SELECT i, 1, 'FINISHED', 'MANUAL', '{}', now() - interval '1 year'
FROM unnest('{-9223372036854775808,-5,0,7,5000000000,9223372036854775807}'::bigint[]) i;
CALL syncmaster_purge_runs(interval '90 days', 2, 2);
SELECT id FROM run ORDER BY id;
CALL syncmaster_purge_runs(interval '90 days', 0, 1);

-- results of tasks, whose times are UTC; a missing time is not old
SET timezone = 'Pacific/Auckland';
INSERT INTO celery_taskmeta (id, task_id, status, date_done)
SELECT i, 'task ' || i, 'SUCCESS',
    (now() AT TIME ZONE 'UTC') - i * interval '1 hour'
FROM generate_series(1, 30) i
UNION ALL SELECT 31, 'waiting', 'PENDING', NULL;
INSERT INTO celery_tasksetmeta (id, taskset_id, date_done)
SELECT i, 'set ' || i, (now() AT TIME ZONE 'UTC') - i * interval '1 hour'
FROM generate_series(1, 30) i;
CALL syncmaster_purge_task_results(interval '24 hours 30 minutes', dry_run => true);
CALL syncmaster_purge_task_results(interval '24 hours 30 minutes', 4);
SELECT min(id), max(id), count(*), count(date_done) FROM celery_taskmeta;
SELECT min(id), max(id), count(*) FROM celery_tasksetmeta;
RESET timezone;

-- A run in a status that is not known stays, and is told.  It counts among the
-- last ones.
CALL fill();
UPDATE run SET status = 'PAUSED' WHERE id IN (5, 6);
UPDATE run SET status = 'O''QUEUED' WHERE id = 12;
CALL syncmaster_purge_runs(interval '95 days', 3, dry_run => true);
CALL syncmaster_purge_runs(interval '95 days', 3);
SELECT * FROM runs();
DROP INDEX ix__run__status;
CALL syncmaster_purge_runs(interval '95 days');
CREATE INDEX ix__run__status ON run (status);
SELECT * FROM runs();
-- nor is no status
CALL fill();
ALTER TABLE run ALTER status DROP NOT NULL;
UPDATE run SET status = NULL WHERE id IN (5, 6);
CALL syncmaster_purge_runs(interval '95 days', dry_run => true);
UPDATE run SET status = 'PAUSED' WHERE id = 12;
CALL syncmaster_purge_runs(interval '95 days');
SELECT * FROM runs();
DELETE FROM run WHERE status IS NULL;
ALTER TABLE run ALTER status SET NOT NULL;

-- A run that was created exactly so long ago is not older; one that is older by
-- a microsecond is.
TRUNCATE run;
INSERT INTO run (id, transfer_id, status, type, transfer_dump, created_at)
SELECT i, 1, 'FINISHED', 'MANUAL', '{}', now() - interval '1 day'
FROM generate_series(1, 3) i;
CREATE FUNCTION set_age() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.run
    SET created_at = statement_timestamp() - (id - 2) * interval '1 us'
    WHERE id > 1 AND created_at < statement_timestamp() - interval '1 hour';
    RETURN NULL;
END $$;
CREATE TRIGGER set_age BEFORE DELETE ON run EXECUTE FUNCTION set_age();
CALL syncmaster_purge_runs(interval '0', batch_size => 1);
SELECT id FROM run ORDER BY id;
DROP TRIGGER set_age ON run;

-- Runs that are gone do not count among the last ones.
CALL fill();
DELETE FROM run WHERE id <= 3 OR id IN (14, 15);
CALL syncmaster_purge_runs(interval '95 days', 2);
SELECT * FROM runs();

-- results without a time: those that are older than one that is old go along
TRUNCATE celery_taskmeta, celery_tasksetmeta;
INSERT INTO celery_taskmeta (id, task_id, status, date_done)
SELECT i, 'task ' || i, 'STARTED', CASE WHEN i IN (20, 40)
    THEN (now() AT TIME ZONE 'UTC') - (60 - i) * interval '1 day' END
FROM generate_series(1, 50) i;
CALL syncmaster_purge_task_results(interval '30 days', dry_run => true);
CALL syncmaster_purge_task_results(interval '30 days', 4);
SELECT min(id), max(id), count(*), count(date_done) FROM celery_taskmeta;
CALL syncmaster_purge_task_results(interval '10 days', 4);
SELECT min(id), max(id), count(*), count(date_done) FROM celery_taskmeta;
CALL syncmaster_purge_task_results(interval '10 days', 4);
-- one that is certainly old and held is told once
INSERT INTO celery_taskmeta (id, task_id, status, date_done)
SELECT i, 'task ' || i, 'STARTED', CASE WHEN i = 62
    THEN (now() AT TIME ZONE 'UTC') - interval '1 year' END
FROM generate_series(60, 62) i;
CREATE TABLE held (id int REFERENCES celery_taskmeta);
INSERT INTO held VALUES (61);
CALL syncmaster_purge_task_results(interval '10 days');
DROP TABLE held;
TRUNCATE celery_taskmeta;

-- Rows of a DBA's tables go along, hold a run, or keep it as a trigger says; what
-- cannot go is passed by and told.
CALL fill();
CREATE TABLE label (id int PRIMARY KEY, run_id bigint REFERENCES run ON DELETE CASCADE);
INSERT INTO label SELECT id, id FROM run;
CREATE TABLE colour (label_id int REFERENCES label ON DELETE CASCADE);
INSERT INTO colour SELECT id FROM label, generate_series(1, 2);
CREATE TABLE bill (run_id bigint REFERENCES run DEFERRABLE INITIALLY DEFERRED);
INSERT INTO bill VALUES (12), (15);
CREATE TABLE note (run_id bigint NOT NULL REFERENCES run ON DELETE SET NULL);
INSERT INTO note VALUES (13);
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id IN (4, 7) THEN
        RAISE insufficient_privilege USING MESSAGE = 'legal hold';
    ELSIF OLD.id = 8 THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER hold BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION hold();
CALL syncmaster_purge_runs(interval '95 days', dry_run => true);
CALL syncmaster_purge_runs(interval '95 days', batch_size => 11);
SELECT * FROM runs();
SELECT count(*) FROM label;
CALL syncmaster_purge_runs(interval '95 days', 1);
SET track_counts = off;
DELETE FROM bill;
CALL syncmaster_purge_runs(interval '95 days');
RESET track_counts;
SELECT * FROM runs();
-- what fails without a row is no row's fault
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'nothing is deleted here';
END $$;
CREATE TRIGGER refuse BEFORE DELETE ON run EXECUTE FUNCTION refuse();
CALL syncmaster_purge_runs(interval '95 days');
DROP TRIGGER refuse ON run;
DROP TRIGGER hold ON run;
DROP TABLE colour, label, bill, note;
CALL syncmaster_purge_runs(interval '95 days');

-- So do rows that hold one of those that would go along, several steps away.
CALL fill();
CREATE TABLE label (id int PRIMARY KEY, run_id bigint REFERENCES run ON DELETE CASCADE);
INSERT INTO label SELECT id, id FROM run;
CREATE TABLE colour (id int PRIMARY KEY, label_id int REFERENCES label ON DELETE CASCADE);
INSERT INTO colour SELECT id, id FROM label;
CREATE TABLE bill (colour_id int REFERENCES colour);
INSERT INTO bill VALUES (12);
CREATE FUNCTION hold_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id = 13 THEN
        RAISE 'legal hold';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER hold BEFORE DELETE ON label FOR EACH ROW EXECUTE FUNCTION hold_label();
CREATE RULE hold AS ON DELETE TO colour WHERE old.id < 0 DO INSTEAD NOTHING;
CREATE RULE hold AS ON DELETE TO run WHERE old.id = 14 DO INSTEAD NOTHING;
CALL syncmaster_purge_runs(interval '95 days', dry_run => true);
CALL syncmaster_purge_runs(interval '95 days');
DROP RULE hold ON run;
DROP TABLE bill, colour, label;
DROP FUNCTION hold_label();

-- what is kept without an error is named, whatever else fails, and in each batch
CALL fill();
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN OLD.id IN (4, 5, 15) THEN NULL ELSE OLD END;
END $$;
CREATE TRIGGER keep BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION keep();
CREATE RULE keep AS ON DELETE TO run WHERE old.id = 6 DO INSTEAD NOTHING;
CALL syncmaster_purge_runs(interval '95 days', 3);
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', batch_size => 5);
SELECT * FROM runs();
CREATE TRIGGER hold BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION hold();
CALL fill();
CALL syncmaster_purge_runs(interval '95 days');
CALL syncmaster_purge_runs(interval '95 days', 3);
DROP TRIGGER keep ON run;
DROP RULE keep ON run;
DROP TRIGGER hold ON run;

-- a unique index on the id that is not one of all rows, or not at once
CALL fill();
ALTER TABLE run DROP CONSTRAINT pk__run;
CREATE UNIQUE INDEX u ON run (id) WHERE id > 5;
CALL syncmaster_purge_runs(interval '95 days');
DROP INDEX u;
CREATE UNIQUE INDEX u ON run ((id + 0));
CALL syncmaster_purge_runs(interval '95 days');
DROP INDEX u;
CREATE UNIQUE INDEX u ON run (id);
SET allow_system_table_mods = on;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'u'::regclass;
RESET allow_system_table_mods;
CALL syncmaster_purge_runs(interval '95 days');
DROP INDEX u;
ALTER TABLE run ADD CONSTRAINT pk__run PRIMARY KEY (id) DEFERRABLE;
CALL syncmaster_purge_runs(interval '95 days');
ALTER TABLE run DROP CONSTRAINT pk__run, ADD CONSTRAINT pk__run PRIMARY KEY (id, transfer_id);
CALL syncmaster_purge_runs(interval '95 days');
ALTER TABLE run DROP CONSTRAINT pk__run, ADD CONSTRAINT pk__run PRIMARY KEY (id);
CALL syncmaster_purge_runs(interval '95 days');

-- rows of child tables are not SyncMaster's
CALL fill();
CREATE TABLE archive () INHERITS (run);
INSERT INTO archive SELECT * FROM ONLY run;
CALL syncmaster_purge_runs(interval '95 days', 2);
SELECT tableoid::regclass, count(*) FROM run GROUP BY 1 ORDER BY 1;
DROP TABLE archive;

-- who may
CREATE ROLE regress_syncmaster_dba;
CREATE ROLE regress_syncmaster_app;
SELECT has_function_privilege('regress_syncmaster_dba', oid, 'EXECUTE')
FROM pg_proc WHERE proname LIKE 'syncmaster\_purge\_%';
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA public TO regress_syncmaster_dba;
GRANT CREATE ON SCHEMA public TO regress_syncmaster_app;
SELECT syncmaster_set_owner('regress_syncmaster_app');
SET ROLE regress_syncmaster_dba;
CALL syncmaster_purge_runs(interval '90 days');
RESET ROLE;
GRANT regress_syncmaster_app TO regress_syncmaster_dba;
CALL fill();
SET ROLE regress_syncmaster_dba;
CALL syncmaster_purge_runs(interval '95 days');
RESET ROLE;
DROP OWNED BY regress_syncmaster_dba;
DROP ROLE regress_syncmaster_dba;
SELECT syncmaster_set_owner(current_user);
DROP OWNED BY regress_syncmaster_app;
DROP ROLE regress_syncmaster_app;

-- The last runs of a transfer are those that window functions find, whichever
-- index there is, or none, and however many were created at the same time; read
-- directly, or by SQL as where policies bind the owner.
SET client_min_messages = warning;
DO $$
DECLARE
    definition text;
    force text;
    keep int;
    expected bigint[];
    n bigint;
    purges int := 0;
BEGIN
    FOREACH definition IN ARRAY ARRAY['(transfer_id, created_at DESC)',
        '(transfer_id, created_at) INCLUDE (id)', '(transfer_id)',
        '(transfer_id, created_at) WHERE id > 0']
    LOOP
        DROP INDEX IF EXISTS ix_syncmaster__run_transfer_id_created_at;
        EXECUTE 'CREATE INDEX ix_syncmaster__run_transfer_id_created_at ON run '
            || definition;
        FOREACH force IN ARRAY '{FORCE,NO FORCE}'::text[]
        LOOP
            EXECUTE format('ALTER TABLE run %s ROW LEVEL SECURITY', force);
            FOREACH keep IN ARRAY '{1,2,7,60,1000}'::int[]
            LOOP
                TRUNCATE run;
                INSERT INTO run (id, transfer_id, status, type, transfer_dump, created_at)
                SELECT i - 600, 1 + i * 7919 % 4,
                    CASE WHEN i * 31 % 29 = 0 THEN 'STARTED' ELSE 'FINISHED' END,
                    'MANUAL', '{}', now() - i * 104729 % 83 * (i % 4) * interval '1 day'
                FROM generate_series(1, 1200) i;
                SELECT array_agg(id ORDER BY id) INTO expected
                FROM (SELECT id, status, created_at, row_number() OVER (
                        PARTITION BY transfer_id ORDER BY created_at DESC, id DESC)
                    FROM run) r
                WHERE row_number <= keep OR status = 'STARTED'
                    OR created_at >= now() - interval '30.5 days';
                CALL syncmaster_purge_runs(interval '30.5 days', keep, 100, false, n);
                purges := purges + 1;
                IF n <> 1200 - cardinality(expected) OR expected IS DISTINCT FROM
                    (SELECT array_agg(id ORDER BY id) FROM run)
                THEN
                    RAISE WARNING '%, keep %, %: other runs are left',
                        definition, keep, force;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RAISE WARNING 'checked % purges', purges;
END $$;
RESET client_min_messages;
DROP INDEX ix_syncmaster__run_transfer_id_created_at;
CALL fill();

-- tables that are not as they should be
ALTER TABLE run RENAME created_at TO born_at;
CALL syncmaster_purge_runs(interval '90 days');
ALTER TABLE run RENAME born_at TO created_at;
ALTER TABLE run ALTER created_at TYPE timestamp;
CALL syncmaster_purge_runs(interval '90 days');
ALTER TABLE run ALTER created_at TYPE timestamptz;
ALTER TABLE run RENAME TO walk;
CALL syncmaster_purge_runs(interval '90 days');
CREATE VIEW run AS SELECT * FROM walk;
CALL syncmaster_purge_runs(interval '90 days');
DROP VIEW run;
ALTER TABLE walk RENAME TO run;

-- partitions
ALTER TABLE run RENAME TO walk;
CREATE TABLE run (LIKE walk INCLUDING DEFAULTS) PARTITION BY RANGE (id);
ALTER TABLE run ADD PRIMARY KEY (id);
CREATE INDEX ON run (transfer_id, created_at DESC);
CREATE TABLE run_1 PARTITION OF run FOR VALUES FROM (1) TO (8);
CREATE TABLE run_2 PARTITION OF run FOR VALUES FROM (8) TO (1000);
ALTER SEQUENCE run_id_seq RESTART;
CALL fill();
CALL syncmaster_purge_runs(interval '95 days', 2, 5, dry_run => true);
CALL syncmaster_purge_runs(interval '95 days', 2, 5);
SELECT * FROM runs();
CALL syncmaster_purge_runs(interval '95 days');
SELECT tableoid::regclass, count(*) FROM run GROUP BY 1 ORDER BY 1;
DROP TABLE run;
ALTER TABLE walk RENAME TO run;

-- another schema
SET client_min_messages = warning;
CREATE SCHEMA "El sewhere";
DROP EXTENSION syncmaster;
CREATE EXTENSION syncmaster SCHEMA "El sewhere";
RESET client_min_messages;
CALL "El sewhere".syncmaster_purge_runs(interval '90 days', 1);
CALL "El sewhere".syncmaster_purge_task_results(interval '90 days');
SELECT count(*) FROM public.run;
SET client_min_messages = warning;
DROP EXTENSION syncmaster;
DROP SCHEMA "El sewhere" CASCADE;
