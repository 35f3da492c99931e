-- What an upgrade would do.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;

CREATE EXTENSION syncmaster VERSION '1.11';

-- one row for each statement, stamp and record
SELECT step, object_type, object_name, action
FROM syncmaster_upgrade_plan('head') ORDER BY "position";
SELECT * FROM (
    SELECT DISTINCT step, table_name, lock_mode, rewrites_table, builds_index
    FROM syncmaster_upgrade_plan('head')) p
ORDER BY step, table_name COLLATE "C", lock_mode COLLATE "C";
SELECT object_name, beforehand FROM syncmaster_upgrade_plan()
WHERE beforehand <> '' ORDER BY "position";
SELECT DISTINCT step FROM syncmaster_upgrade_plan('+1') ORDER BY 1;
SELECT count(*) FROM syncmaster_upgrade_plan('0011');
SELECT count(*) FROM syncmaster_upgrade_plan('base');

-- without the extra indexes
SET syncmaster.create_indexes = off;
SELECT DISTINCT step FROM syncmaster_upgrade_plan() ORDER BY 1;
\pset format unaligned
SELECT regexp_replace(syncmaster_upgrade_sql(), 'SET LOCAL ROLE \S+;',
    'SET LOCAL ROLE ...;', 'g') AS upgrade_sql;
SET syncmaster.guard = off;
SELECT syncmaster_upgrade_sql() ~ 'lock_timeout' AS bounded;
RESET syncmaster.guard;
\pset format aligned

-- refused
SELECT syncmaster_upgrade_plan(NULL);
SELECT syncmaster_upgrade_sql('-1');
SELECT syncmaster_preflight('1.99');

-- nothing above info on a right database; nothing left after the upgrade
SELECT severity, subject FROM syncmaster_preflight()
WHERE subject NOT IN ('session', 'lock', 'disk', 'standby');
SELECT syncmaster_upgrade('head');
SELECT severity, subject, detail FROM syncmaster_preflight()
WHERE subject NOT IN ('session', 'lock', 'standby');
SELECT count(*) FROM syncmaster_upgrade_plan();

-- active runs
INSERT INTO "user" (username, is_superuser, is_active) VALUES ('u', true, true);
INSERT INTO "group" (name, description, owner_id) SELECT 'g', '', id FROM "user";
INSERT INTO queue (name, slug, group_id, description)
    SELECT 'q', 'q', id, '' FROM "group";
INSERT INTO connection (group_id, type, name, description, data)
    SELECT id, 'hive', 'c', '', '{}' FROM "group";
INSERT INTO transfer (group_id, name, description, source_connection_id,
        target_connection_id, strategy_params, source_params, target_params,
        transformations, resources, is_scheduled, schedule, queue_id)
    SELECT q.group_id, 't', '', c.id, c.id, '{}', '{}', '{}', '[]', '{}',
        false, '', q.id
    FROM connection c, queue q;
INSERT INTO run (transfer_id, status, type, transfer_dump)
    SELECT id, 'STARTED', 'MANUAL', '{}' FROM transfer;
SELECT severity, detail FROM syncmaster_preflight() WHERE subject = 'run';
SET syncmaster.guard = sessions;
SELECT severity, detail FROM syncmaster_preflight() WHERE subject = 'run';
RESET syncmaster.guard;
UPDATE run SET status = 'FAILED';
SELECT severity, detail FROM syncmaster_preflight() WHERE subject = 'run';

-- every finding that would be raised is listed
ALTER TABLE run DROP COLUMN status;
ALTER TABLE auth_data ALTER COLUMN value TYPE text;
DROP TABLE user_group;
SELECT * FROM syncmaster_preflight() WHERE severity = 'error';
SELECT syncmaster_upgrade_plan();
