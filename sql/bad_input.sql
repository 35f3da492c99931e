-- Databases that cannot be migrated: one clear error each, and no trace left.
-- Each lives in a schema of its own.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
SET client_min_messages = warning;
SET syncmaster.create_indexes = off;
-- 18 shows the whole call of the script as context
\set SHOW_CONTEXT never

CREATE FUNCTION version_table(schema text, VARIADIC revisions text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I.alembic_version (version_num varchar(32) '
        'NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))',
        schema);
    EXECUTE format('INSERT INTO %I.alembic_version SELECT unnest($1)', schema)
        USING revisions;
END $$;
CREATE FUNCTION relations(schema text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s(%s)', relname, relkind), ' '
                      ORDER BY relname COLLATE "C")
    FROM pg_class
    WHERE relnamespace = schema::regnamespace AND relkind IN ('r', 'v', 'p', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_class.oid
            AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
$$;

-- the library without the extension
CREATE FUNCTION lonely() RETURNS text
    AS '$libdir/syncmaster', 'syncmaster_full_version' LANGUAGE C;
SELECT lonely();
DROP FUNCTION lonely();

-- tables of these names without alembic_version
CREATE SCHEMA bad;
CREATE TABLE bad."group" (id int);
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad');
-- and with an empty one
SELECT version_table('bad', VARIADIC '{}');
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad');
-- an empty one alone is what "alembic downgrade base" leaves
DROP TABLE bad."group";
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT syncmaster_schema_version FROM bad.syncmaster_schema_version();
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;

-- unknown revision, SyncMaster 0.1.x, two rows, an empty text
CREATE SCHEMA bad;
SELECT version_table('bad', 'b91de692624e');
CREATE EXTENSION syncmaster SCHEMA bad;
UPDATE bad.alembic_version SET version_num = '478240cdad4b';
CREATE EXTENSION syncmaster SCHEMA bad;
UPDATE bad.alembic_version SET version_num = '0012';
INSERT INTO bad.alembic_version VALUES ('0013');
CREATE EXTENSION syncmaster SCHEMA bad;
DELETE FROM bad.alembic_version;
INSERT INTO bad.alembic_version VALUES ('');
CREATE EXTENSION syncmaster SCHEMA bad;
UPDATE bad.alembic_version SET version_num = '0000';
CREATE EXTENSION syncmaster SCHEMA bad;
-- a revision whose tables are not there
UPDATE bad.alembic_version SET version_num = '0002';
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad'), version_num FROM bad.alembic_version;

-- newer than the library: the functions, a warning, and nothing else
UPDATE bad.alembic_version SET version_num = '0014';
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad'), syncmaster_schema_version
FROM bad.syncmaster_schema_version();
SELECT regexp_replace(bad.syncmaster_full_version(), 'PostgreSQL .*;', '...');
SELECT bad.syncmaster_upgrade('head');
SELECT bad.syncmaster_downgrade('-1');
ALTER EXTENSION syncmaster UPDATE TO '1.12';
SELECT extversion FROM pg_extension WHERE extname = 'syncmaster';
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;

-- something else of that name
CREATE SCHEMA bad;
CREATE VIEW bad.alembic_version AS SELECT '0013'::varchar(32) AS version_num;
CREATE EXTENSION syncmaster SCHEMA bad;
DROP VIEW bad.alembic_version;
CREATE TABLE bad.alembic_version (revision int);
CREATE EXTENSION syncmaster SCHEMA bad;
DROP SCHEMA bad CASCADE;

-- a table that is there too early
CREATE SCHEMA bad;
CREATE EXTENSION syncmaster SCHEMA bad;
DROP EXTENSION syncmaster;
UPDATE bad.alembic_version SET version_num = '0007';
CREATE EXTENSION syncmaster SCHEMA bad;
UPDATE bad.alembic_version SET version_num = '0013';

-- a missing or retyped column, at head and on the way there
BEGIN;
ALTER TABLE bad.transfer DROP COLUMN schedule;
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
BEGIN;
ALTER TABLE bad.transfer ALTER COLUMN resources TYPE jsonb;
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
BEGIN;
ALTER TABLE bad.run ALTER COLUMN id TYPE int;
UPDATE bad.alembic_version SET version_num = '0012';
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
BEGIN;
ALTER TABLE bad.celery_taskmeta DROP COLUMN date_done;
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;

-- a view, a partitioned table, a table where a sequence belongs
BEGIN;
ALTER TABLE bad.auth_data RENAME TO auth_data_1;
CREATE VIEW bad.auth_data AS SELECT * FROM bad.auth_data_1;
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
BEGIN;
DROP TABLE bad.run;
CREATE TABLE bad.run (id bigint, created_at timestamptz)
    PARTITION BY RANGE (created_at);
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
BEGIN;
DROP SEQUENCE bad.task_id_sequence;
CREATE TABLE bad.task_id_sequence ();
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
-- a missing table of Celery's or APScheduler's is made again
BEGIN;
DROP TABLE bad.celery_tasksetmeta, bad.apscheduler_jobs;
DROP SEQUENCE bad.task_id_sequence;
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad');
ROLLBACK;

-- other lengths than today's are left and reported
BEGIN;
ALTER TABLE bad.connection ALTER COLUMN type TYPE varchar(23);
ALTER TABLE bad."group" ALTER COLUMN description TYPE varchar(600);
ALTER TABLE bad.auth_data ALTER COLUMN value TYPE varchar(9999);
CREATE EXTENSION syncmaster SCHEMA bad;
ROLLBACK;
DROP SCHEMA bad CASCADE;

-- the history's place is taken
CREATE SCHEMA bad;
ALTER TABLE syncmaster_history.migration RENAME TO was_migration;
CREATE VIEW syncmaster_history.migration AS
    SELECT * FROM syncmaster_history.was_migration;
CREATE EXTENSION syncmaster SCHEMA bad;
DROP VIEW syncmaster_history.migration;
ALTER TABLE syncmaster_history.was_migration RENAME TO migration;
SELECT relations('bad');

-- alembic_version that does not take the stamp
CREATE FUNCTION bad.keep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RETURN NULL; END $$;
SELECT version_table('bad', VARIADIC '{}');
CREATE TRIGGER keep BEFORE INSERT ON bad.alembic_version
    FOR EACH ROW EXECUTE FUNCTION bad.keep();
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad');
DROP SCHEMA bad CASCADE;

-- roles: no CREATE on the database, none on the schema, somebody else's tables
SELECT current_database() AS db \gset
CREATE ROLE regress_syncmaster_dba;
CREATE ROLE regress_syncmaster_app;
CREATE SCHEMA bad;
SET ROLE regress_syncmaster_dba;
CREATE EXTENSION syncmaster SCHEMA bad;
RESET ROLE;
GRANT CREATE ON DATABASE :"db" TO regress_syncmaster_dba;
SET ROLE regress_syncmaster_dba;
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad');
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA bad TO regress_syncmaster_app;
SET ROLE regress_syncmaster_app;
SELECT version_table('bad', VARIADIC '{}');
RESET ROLE;
SET ROLE regress_syncmaster_dba;
CREATE EXTENSION syncmaster SCHEMA bad;
RESET ROLE;
-- nor may a superuser, as anybody could have made that table
CREATE ROLE regress_syncmaster_super SUPERUSER;
ALTER DATABASE :"db" OWNER TO regress_syncmaster_super;
CREATE EXTENSION syncmaster SCHEMA bad;
-- of the schema's owner it is trusted, and the tables become his
ALTER SCHEMA bad OWNER TO regress_syncmaster_app;
CREATE EXTENSION syncmaster SCHEMA bad;
ALTER DATABASE :"db" OWNER TO CURRENT_USER;
DROP OWNED BY regress_syncmaster_super;
DROP ROLE regress_syncmaster_super;
SELECT DISTINCT relowner::regrole FROM pg_class
WHERE relnamespace = 'bad'::regnamespace AND relkind IN ('r', 'S');
-- an upgrade needs CREATE on the schema for the owner
SELECT bad.syncmaster_downgrade('1.11');
REVOKE CREATE ON SCHEMA bad FROM regress_syncmaster_app;
ALTER EXTENSION syncmaster UPDATE;
SELECT extversion, bad.syncmaster_schema_version() FROM pg_extension
WHERE extname = 'syncmaster';
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;
REVOKE CREATE ON DATABASE :"db" FROM regress_syncmaster_dba;
DROP OWNED BY regress_syncmaster_app, regress_syncmaster_dba;
DROP ROLE regress_syncmaster_app;
DROP ROLE regress_syncmaster_dba;

-- SyncMaster's tables in another schema, where they may have been meant
CREATE EXTENSION syncmaster;
DROP EXTENSION syncmaster;
CREATE SCHEMA bad;
CREATE EXTENSION syncmaster SCHEMA bad;
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;

-- the database's owner cannot make tables there: they are the schema owner's
CREATE ROLE regress_syncmaster_db_owner;
CREATE ROLE regress_syncmaster_schema_owner;
ALTER DATABASE :"db" OWNER TO regress_syncmaster_db_owner;
CREATE SCHEMA bad AUTHORIZATION regress_syncmaster_schema_owner;
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT DISTINCT relowner::regrole FROM pg_class
WHERE relnamespace = 'bad'::regnamespace AND relkind IN ('r', 'S');
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;
ALTER DATABASE :"db" OWNER TO CURRENT_USER;
DROP ROLE regress_syncmaster_db_owner, regress_syncmaster_schema_owner;

-- no such schema, no such version
CREATE EXTENSION syncmaster SCHEMA no_such_schema;
CREATE EXTENSION syncmaster VERSION '1.10';

-- a worker of a Citus cluster gets the functions only
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_local_group (groupid int PRIMARY KEY);
INSERT INTO pg_dist_local_group VALUES (1);
CREATE SCHEMA bad;
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT relations('bad'), bad.syncmaster_schema_version();
SELECT bad.syncmaster_upgrade('head');
DROP EXTENSION syncmaster;
UPDATE pg_dist_local_group SET groupid = 0;
CREATE EXTENSION syncmaster SCHEMA bad;
SELECT bad.syncmaster_schema_version();
DROP EXTENSION syncmaster;
DROP SCHEMA bad CASCADE;
DROP TABLE pg_catalog.pg_dist_local_group;
RESET allow_system_table_mods;

DROP FUNCTION version_table(text, text[]);
DROP FUNCTION relations(text);
CREATE EXTENSION syncmaster;

-- the table of the revision is lost, or an index's name taken, later on
BEGIN;
DROP TABLE alembic_version;
SELECT syncmaster_upgrade('head');
ROLLBACK;
BEGIN;
DROP INDEX ix_celery_taskmeta_date_done;
CREATE TABLE ix_celery_taskmeta_date_done ();
SELECT syncmaster_downgrade('-1');
ROLLBACK;
SELECT syncmaster_schema_version();
