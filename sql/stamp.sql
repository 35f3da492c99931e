-- The revision written without a migration, as "alembic stamp" does.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
SET syncmaster.create_indexes = off;
\set SHOW_CONTEXT never
CREATE EXTENSION syncmaster;

-- the row was lost
DELETE FROM alembic_version;
SELECT syncmaster_stamp('0012');
SELECT syncmaster_stamp('base');
SELECT syncmaster_stamp('0007');
SELECT syncmaster_stamp('head'), syncmaster_schema_version();
SELECT syncmaster_stamp('0013'), syncmaster_schema_version();

-- so was the table
DROP TABLE alembic_version;
SELECT syncmaster_stamp('1.13'), syncmaster_schema_version();
SELECT conname FROM pg_constraint
WHERE conrelid = 'alembic_version'::regclass AND contype = 'p';

-- the row is wrong
UPDATE alembic_version SET version_num = '0011';
SELECT syncmaster_stamp('0013'), syncmaster_schema_version();

-- the row is not ours: only if that is wanted
UPDATE alembic_version SET version_num = 'abcdef012345';
SELECT syncmaster_stamp('0013');
SELECT syncmaster_stamp('0013', purge => true), syncmaster_schema_version();
INSERT INTO alembic_version VALUES ('0012');
SELECT syncmaster_stamp('0013');
SELECT syncmaster_stamp('0013', true), syncmaster_schema_version();
UPDATE alembic_version SET version_num = '9999';
SELECT syncmaster_stamp('0013', true);
UPDATE alembic_version SET version_num = '0013';

-- a trigger with another role's code does not run
CREATE ROLE regress_planter;
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RAISE WARNING ''as %'', current_user; RETURN NEW; END';
CREATE TRIGGER planted BEFORE INSERT ON alembic_version
    FOR EACH ROW EXECUTE FUNCTION planted();
ALTER FUNCTION planted() OWNER TO regress_planter;
DELETE FROM alembic_version;
SELECT syncmaster_stamp('0013');
DROP TRIGGER planted ON alembic_version;
DROP FUNCTION planted();
DROP ROLE regress_planter;
SELECT syncmaster_stamp('0013');

-- ids that the sequence has not given say nothing about the revision
INSERT INTO celery_taskmeta (id, task_id) VALUES (1000, 'task');
SELECT syncmaster_stamp('0013');
DELETE FROM celery_taskmeta;

-- the tables are not as they should be
DROP INDEX ix_celery_taskmeta_date_done;
DELETE FROM alembic_version;
SELECT syncmaster_stamp('0013');
SELECT syncmaster_stamp('0012');
SELECT syncmaster_upgrade('head');
DROP TABLE apscheduler_jobs, run, celery_tasksetmeta, auth_data, user_group;
SELECT syncmaster_stamp('0013');

-- what it is told
SELECT syncmaster_stamp(NULL);
SELECT syncmaster_stamp('head', NULL);
SELECT syncmaster_stamp('+1');
SELECT syncmaster_stamp('-1');
SELECT syncmaster_stamp('nope');
START TRANSACTION READ ONLY;
SELECT syncmaster_stamp('head');
ROLLBACK;

-- it is recorded
SELECT from_revision, to_revision FROM syncmaster_history()
WHERE from_revision IS NULL AND to_revision <> '0001'
    OR from_revision = '0011' AND to_revision = '0013';

DROP EXTENSION syncmaster;
