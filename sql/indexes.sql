-- The extra indexes.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
CREATE FUNCTION extra_indexes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT indexdef FROM pg_indexes
    WHERE indexname LIKE 'ix\_syncmaster\_\_%' ORDER BY indexname COLLATE "C"
$$;

-- built at install
SET syncmaster.create_indexes = on;
CREATE EXTENSION syncmaster;
SELECT extra_indexes();
SELECT syncmaster_create_indexes();
SELECT syncmaster_drop_indexes();
SELECT syncmaster_drop_indexes();
SELECT extra_indexes();

-- not if that is not wanted, and not in the middle of a chain
SET syncmaster.create_indexes = off;
SELECT syncmaster_downgrade('1.11');
SELECT syncmaster_upgrade('head');
SELECT extra_indexes();
SET syncmaster.create_indexes = on;
SELECT syncmaster_downgrade('1.11');
ALTER EXTENSION syncmaster UPDATE TO '1.12';
SELECT extra_indexes();
ALTER EXTENSION syncmaster UPDATE;
SELECT count(*) FROM extra_indexes();

-- whatever the session quotes
SET quote_all_identifiers = on;
SELECT syncmaster_create_indexes();
SELECT count(*) FROM syncmaster_drop_indexes();
SELECT count(*) FROM syncmaster_create_indexes();
SELECT * FROM syncmaster_check() WHERE severity <> 'info';
RESET quote_all_identifiers;

-- one that was built beforehand is taken over, another one is not touched
SELECT count(*) FROM syncmaster_drop_indexes();
CREATE INDEX CONCURRENTLY ix_syncmaster__transfer_queue_id
    ON transfer (queue_id);
CREATE INDEX ix_syncmaster__transfer_updated_at ON transfer (created_at);
SELECT syncmaster_create_indexes();
SELECT syncmaster_downgrade('1.12');
ALTER EXTENSION syncmaster UPDATE;
SELECT count(*) FROM extra_indexes();
SELECT count(*) FROM syncmaster_drop_indexes();
SELECT extra_indexes();
DROP INDEX ix_syncmaster__transfer_updated_at;

-- a table in an index's place
CREATE TABLE ix_syncmaster__transfer_queue_id ();
SELECT syncmaster_create_indexes();
DROP TABLE ix_syncmaster__transfer_queue_id;

-- what one of them needs is missing, or is something else
BEGIN;
ALTER TABLE "user" RENAME COLUMN is_active TO active;
SELECT object_name FROM syncmaster_check()
WHERE object_name = 'ix_syncmaster__user_active_username';
SELECT syncmaster_create_indexes();
ROLLBACK;
BEGIN;
ALTER TABLE "user" RENAME TO people;
CREATE VIEW "user" AS SELECT * FROM people;
SELECT syncmaster_create_indexes();
ROLLBACK;

-- none of them blocks Alembic, which drops pg_trgm
SELECT count(*) FROM syncmaster_create_indexes();
DROP EXTENSION pg_trgm;
SELECT count(*) FROM syncmaster_drop_indexes();
SET syncmaster.create_indexes = off;
DROP FUNCTION extra_indexes();
