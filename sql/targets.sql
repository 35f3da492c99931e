-- Upgrade and downgrade: Alembic's targets, and versions of the extension.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
SET syncmaster.create_indexes = off;
\set SHOW_CONTEXT never
CREATE EXTENSION syncmaster;
INSERT INTO "user" (username, is_superuser, is_active)
VALUES ('alice', false, true), ('bob', true, true), ('carol', false, true);

CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
    SELECT format('extension %s, schema %s', extversion,
                  coalesce(syncmaster_schema_version(), 'none'))
    FROM pg_extension WHERE extname = 'syncmaster'
$$;

-- down
SELECT syncmaster_downgrade('head'), state();
SELECT syncmaster_downgrade('-1'), state();
SELECT syncmaster_downgrade('0012'), state();
SELECT syncmaster_downgrade('0012-1'), state();
-- up
SELECT syncmaster_upgrade('0011'), state();
SELECT syncmaster_upgrade('+1'), state();
SELECT syncmaster_upgrade('0011'), state();
SELECT syncmaster_upgrade('heads'), state();
SELECT syncmaster_upgrade('base'), state();
SELECT syncmaster_downgrade('1.11'), state();
SELECT syncmaster_upgrade('1.12'), state();
SELECT syncmaster_upgrade('head-1'), state();
SELECT syncmaster_upgrade('1.13'), state();

-- ALTER EXTENSION does the same
ALTER EXTENSION syncmaster UPDATE TO '1.11';
SELECT state();
ALTER EXTENSION syncmaster UPDATE;
SELECT state();

-- refused
SELECT syncmaster_upgrade(NULL);
SELECT syncmaster_downgrade(NULL);
SELECT syncmaster_upgrade('');
SELECT syncmaster_upgrade('+99');
SELECT syncmaster_upgrade('+99999999999999999999');
SELECT syncmaster_upgrade('+1');
SELECT syncmaster_upgrade('+0');
SELECT syncmaster_upgrade('-1');
SELECT syncmaster_upgrade('0099');
SELECT syncmaster_upgrade('12');
SELECT syncmaster_upgrade('001');
SELECT syncmaster_upgrade('HEAD');
SELECT syncmaster_upgrade(' head ');
SELECT syncmaster_upgrade('current');
SELECT syncmaster_upgrade('head+1');
SELECT syncmaster_upgrade('0012:0013');
SELECT syncmaster_upgrade('1.10');
SELECT syncmaster_upgrade('1.99');
SELECT syncmaster_upgrade('1.13.7');
SELECT syncmaster_upgrade('1.');
SELECT syncmaster_upgrade('1.13.');
SELECT syncmaster_upgrade('head; DROP TABLE run');
SELECT syncmaster_downgrade('+1');
SELECT syncmaster_downgrade('-0');
SELECT syncmaster_downgrade('-99');
SELECT syncmaster_downgrade('base-1');
SELECT syncmaster_downgrade('1.12'), state();
SELECT syncmaster_downgrade('0013');
SELECT syncmaster_downgrade('1.13');

-- a downgrade that drops tables says what would be lost
SELECT syncmaster_downgrade('0011'), state();
-- the message names the database, whose name is anybody's here
CREATE FUNCTION pg_temp.refusal(target text, OUT message text, OUT detail text,
    OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM syncmaster_downgrade(target);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT;
    message := replace(message, current_database(), 'DATABASE');
END $$;
\x on
SELECT * FROM pg_temp.refusal('0009');
SELECT * FROM pg_temp.refusal('base');
\x off
SELECT state(), count(*) FROM "user";
BEGIN;
SET LOCAL syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('0010'), state();
SELECT syncmaster_downgrade('0005'), state();
SELECT syncmaster_downgrade('0011');
SELECT state();
ROLLBACK;
BEGIN;
SET LOCAL syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('base'), state();
SELECT count(*) FROM alembic_version;
SELECT to_regclass('"user"'), to_regclass('task_id_sequence');
SELECT syncmaster_upgrade('+3'), state();
ALTER EXTENSION syncmaster UPDATE;
SELECT state();
ROLLBACK;
SELECT state(), count(*) FROM "user";

-- what allowed it for the session is used up when it is done
SET syncmaster.allow_destroy = on;
BEGIN;
SELECT syncmaster_downgrade('0010');
ROLLBACK;
SHOW syncmaster.allow_destroy;
BEGIN;
SELECT syncmaster_downgrade('0010');
SELECT syncmaster_downgrade('0009');
COMMIT;
SHOW syncmaster.allow_destroy;
SELECT message FROM pg_temp.refusal('base');
SET syncmaster.allow_destroy = on;
SELECT syncmaster_upgrade('head');
SELECT syncmaster_downgrade('0011');
SHOW syncmaster.allow_destroy;
RESET syncmaster.allow_destroy;

-- objects of the DBA block a drop, as they do for Alembic
CREATE TABLE audit (run_id bigint REFERENCES run);
SET syncmaster.allow_destroy = on;
\set VERBOSITY terse
SELECT syncmaster_downgrade('base');
\set VERBOSITY default
RESET syncmaster.allow_destroy;
DROP TABLE audit;

-- Alembic moves the schema while the version stays
UPDATE alembic_version SET version_num = '0010';
DROP TABLE apscheduler_jobs;
SELECT regexp_replace(syncmaster_full_version(), 'PostgreSQL .*;', '...');
SELECT syncmaster_upgrade('head'), state();
ALTER TABLE celery_taskmeta DROP COLUMN queue;
SELECT syncmaster_downgrade('-1'), state();
ALTER TABLE celery_taskmeta ADD COLUMN queue varchar(155);
DROP INDEX IF EXISTS ix_celery_taskmeta_date_done;
ALTER EXTENSION syncmaster UPDATE;
SELECT state();

-- tables that Celery and APScheduler make may be missing
SELECT syncmaster_downgrade('1.12'), state();
DROP TABLE celery_tasksetmeta, apscheduler_jobs;
DROP SEQUENCE taskset_id_sequence;
ALTER EXTENSION syncmaster UPDATE;
SELECT state(), to_regclass('ix_celery_tasksetmeta_date_done'),
    to_regclass('apscheduler_jobs'), to_regclass('taskset_id_sequence');

-- pg_trgm of another owner stays at the downgrade that would drop it
CREATE ROLE regress_syncmaster_owner;
GRANT CREATE ON SCHEMA public TO regress_syncmaster_owner;
SELECT syncmaster_set_owner('regress_syncmaster_owner');
SET ROLE regress_syncmaster_owner;
SELECT syncmaster_upgrade('head');
RESET ROLE;
-- the version needs the extension's owner, the schema alone does not
SET ROLE regress_syncmaster_owner;
\set VERBOSITY terse
SELECT syncmaster_downgrade('0012');
\set VERBOSITY default
RESET ROLE;
SELECT syncmaster_downgrade('0011'), state();
SET ROLE regress_syncmaster_owner;
BEGIN;
SET LOCAL syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('0009'), state();
ROLLBACK;
RESET ROLE;
-- who may not make schemas leaves no record where there was none
SET client_min_messages = warning;
DROP SCHEMA syncmaster_history CASCADE;
SET ROLE regress_syncmaster_owner;
BEGIN;
SET LOCAL syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('-1'), state();
ROLLBACK;
RESET client_min_messages;
RESET ROLE;
SELECT syncmaster_upgrade('head'), state();

-- who owns what
SELECT count(*), array_agg(DISTINCT relowner::regrole) AS owners
FROM pg_class
WHERE relkind IN ('r', 'S') AND relnamespace IN
    ('public'::regnamespace, 'syncmaster_history'::regnamespace);
SELECT nspowner::regrole FROM pg_namespace
WHERE nspname = 'syncmaster_history';
SELECT syncmaster_set_owner(NULL);
SELECT syncmaster_set_owner('regress_no_such_role');
SELECT syncmaster_set_owner(current_user);
SELECT array_agg(DISTINCT relowner = current_user::regrole) AS mine
FROM pg_class
WHERE relkind IN ('r', 'S') AND relnamespace IN
    ('public'::regnamespace, 'syncmaster_history'::regnamespace);
REVOKE CREATE ON SCHEMA public FROM regress_syncmaster_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SELECT syncmaster_set_owner('regress_syncmaster_owner');
DROP OWNED BY regress_syncmaster_owner;
DROP ROLE regress_syncmaster_owner;
DROP FUNCTION state();
