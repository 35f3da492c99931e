-- Install, take over, and leave: what a DBA meets first.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
SET syncmaster.create_indexes = off;
CREATE EXTENSION syncmaster;

-- the tables are there, and are not the extension's
SELECT c.relname, c.relkind
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'S')
ORDER BY c.relname COLLATE "C";
SELECT count(*) AS member_relations
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind <> 'v'
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e'
    AND d.refclassid = 'pg_extension'::regclass
    AND d.refobjid = (SELECT oid FROM pg_extension
                      WHERE extname = 'syncmaster');

-- neither extension depends on the other
SELECT count(*) AS dependencies
FROM pg_depend d
WHERE d.classid = 'pg_extension'::regclass
    AND d.refclassid = 'pg_extension'::regclass;
SELECT extname, extnamespace::regnamespace
FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1;

SELECT version_num FROM alembic_version;
SELECT syncmaster_schema_version();
SELECT syncmaster_library_version() = extversion AS in_step
FROM pg_extension WHERE extname = 'syncmaster';
SELECT regexp_replace(syncmaster_full_version(), 'PostgreSQL .*', 'PostgreSQL')
    AS full_version;
SELECT version, revision, syncmaster_releases, description, installed,
    is_default
FROM syncmaster_versions();

-- one entry for each revision
SELECT schema_name, from_revision, to_revision,
    applied_by = current_user AS by_me, duration > '0' AS took_time,
    library_version = syncmaster_library_version() AS this_library
FROM syncmaster_history() ORDER BY applied_at;
SELECT nspname, relname, relpersistence,
    has_schema_privilege('public', n.oid, 'USAGE') AS usage,
    has_table_privilege('public', c.oid, 'SELECT') AS readable,
    has_table_privilege('public', c.oid, 'INSERT') AS writable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'syncmaster_history' AND c.relkind = 'r';

-- every object of the extension is described, and only readers are public
SELECT p.oid::regprocedure AS undescribed
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension
                      WHERE extname = 'syncmaster')
    AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT p.oid::regprocedure AS changes_things_for_everybody
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension
                      WHERE extname = 'syncmaster')
    AND p.provolatile = 'v' AND has_function_privilege('public', p.oid, 'EXECUTE');
SELECT p.proname
FROM pg_proc p
WHERE p.proname IN ('syncmaster_schema_version', 'syncmaster_library_version',
                    'syncmaster_full_version', 'syncmaster_versions',
                    'syncmaster_history')
    AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY 1;

-- rows survive the extension, and it takes them over again
INSERT INTO "user" (username, is_superuser, is_active)
VALUES ('alice', false, true), ('bob', true, true);
INSERT INTO "group" (name, description, owner_id) VALUES ('отчёты', '', 1);
DROP EXTENSION syncmaster CASCADE;
SELECT id, username FROM "user" ORDER BY id;
CREATE EXTENSION syncmaster;
SELECT syncmaster_schema_version();
SELECT count(*) FROM syncmaster_history();
INSERT INTO "user" (username, is_superuser, is_active)
VALUES ('carol', false, true) RETURNING id;

-- the same without pg_trgm, which the search for users needs
DROP EXTENSION pg_trgm CASCADE;
DROP EXTENSION syncmaster;
CREATE EXTENSION syncmaster;
SELECT username FROM "user" WHERE username % 'alic';
SELECT id, name FROM "group" WHERE search_vector @@ to_tsquery('russian', 'отчёт');

-- settings
SELECT name, setting, unit, vartype, context, short_desc
FROM pg_settings WHERE name LIKE 'syncmaster.%' ORDER BY name;
SET syncmaster.restoring = 'maybe';
\set VERBOSITY sqlstate
SET syncmaster.lock_timeout = '-1';
\set VERBOSITY default

-- the engine answers to scripts only
SELECT syncmaster_migrate('0013', '0012', 'DROP TABLE run');
SELECT syncmaster_finish_script('1.13');
