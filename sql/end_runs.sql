-- Runs that a crash left active.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
CREATE EXTENSION syncmaster;
RESET client_min_messages;
\pset format unaligned

INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', false, true);
INSERT INTO "group" (name, description, owner_id) VALUES ('g', '', 1);
INSERT INTO queue (name, slug, group_id, description) VALUES ('q', 'q', 1, '');
INSERT INTO connection (group_id, type, name, description, data)
    VALUES (1, 'postgres', 'c', '', '{}');
INSERT INTO transfer (group_id, name, description, source_connection_id,
        target_connection_id, strategy_params, source_params, target_params,
        transformations, resources, is_scheduled, schedule, queue_id)
    VALUES (1, 't', '', 1, 1, '{}', '{}', '{}', '[]', '{}', false, '', 1);
INSERT INTO run (transfer_id, status, type, transfer_dump, created_at,
        started_at, updated_at)
    SELECT 1, status, 'MANUAL', '{}', now() - age * interval '1 hour',
        CASE WHEN status <> 'CREATED' THEN now() - age * interval '1 hour' END,
        now() - age * interval '1 hour'
    FROM unnest(ARRAY['CREATED', 'STARTED', 'SEND_STOP_SIGNAL', 'FINISHED',
                      'PAUSED']) WITH ORDINALITY s (status, n),
        unnest(ARRAY[50, 5]) age
    ORDER BY n, age DESC;
-- the time that counts is that of the status
UPDATE run SET created_at = now() - interval '90 hours' WHERE id IN (3, 4);
UPDATE run SET started_at = NULL WHERE id = 3;
CREATE FUNCTION ended() RETURNS TABLE (id bigint, status text, ended boolean,
        updated boolean)
LANGUAGE sql AS $$
    SELECT id, status, ended_at = now(), updated_at = now() FROM run ORDER BY id
$$;

-- by age: only looked at, then done
SELECT id, transfer_id, status, date_trunc('hour', now() - since) AS age,
    action
FROM syncmaster_end_runs(older_than => '2 days', dry_run => true);
BEGIN;
SELECT id, status, action FROM syncmaster_end_runs(older_than => '2 days');
SELECT * FROM ended();
SELECT id, status, action FROM syncmaster_end_runs(older_than => '2 days');
ROLLBACK;
BEGIN;
SELECT id, status, action FROM syncmaster_end_runs(older_than => '0');
ROLLBACK;

-- by ids: those that are not active stay, also in a status that is not known
BEGIN;
SELECT id, transfer_id, status, action
FROM syncmaster_end_runs('{8,4,4,NULL,9,2,6,77}', new_status => 'STOPPED');
SELECT * FROM ended();
ROLLBACK;
SELECT id, action FROM syncmaster_end_runs('{1,2,4,7}', dry_run => NULL);
SELECT * FROM syncmaster_end_runs('{}');

-- a trigger that keeps a row
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN CASE WHEN OLD.id = 1 THEN NULL ELSE NEW END; END';
CREATE TRIGGER keep BEFORE UPDATE ON run FOR EACH ROW EXECUTE FUNCTION keep();
BEGIN;
SELECT id, action FROM syncmaster_end_runs('{1,2,3}');
ROLLBACK;
DROP FUNCTION keep CASCADE;

-- what is refused
\set VERBOSITY terse
SELECT * FROM syncmaster_end_runs();
SELECT * FROM syncmaster_end_runs('{1}', '1 day');
\set VERBOSITY default
SELECT * FROM syncmaster_end_runs('{1}', new_status => 'FINISHED');
SELECT * FROM syncmaster_end_runs(older_than => '-1 day');
BEGIN READ ONLY;
SELECT * FROM syncmaster_end_runs('{1}');
ROLLBACK;
CREATE ROLE regress_runs;
GRANT EXECUTE ON FUNCTION syncmaster_end_runs TO regress_runs;
SET ROLE regress_runs;
\set VERBOSITY terse
SELECT * FROM syncmaster_end_runs('{1}');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION syncmaster_end_runs FROM regress_runs;
DROP ROLE regress_runs;
ALTER TABLE run RENAME ended_at TO finished_at;
SELECT * FROM syncmaster_end_runs('{1}');
ALTER TABLE run RENAME finished_at TO ended_at;
DROP FUNCTION ended;
