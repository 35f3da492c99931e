-- Triggers on the tables that a migration writes as their owners: the owner of
-- the database, who may migrate, must not gain the rights of the tables' owner.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
SET syncmaster.create_indexes = off;
-- 18 shows the whole call of the script as context
\set SHOW_CONTEXT never

-- a superuser's tables, of which another role got all but the ownership
SELECT current_database() AS db \gset
CREATE ROLE regress_syncmaster_dba SUPERUSER;
CREATE ROLE regress_syncmaster_db_owner;
ALTER DATABASE :"db" OWNER TO regress_syncmaster_dba;
CREATE SCHEMA app AUTHORIZATION regress_syncmaster_dba;
CREATE EXTENSION syncmaster SCHEMA app;
DROP EXTENSION syncmaster;
SELECT relname, relowner::regrole FROM pg_class
WHERE relname IN ('alembic_version', 'migration') ORDER BY 1;
ALTER DATABASE :"db" OWNER TO regress_syncmaster_db_owner;
GRANT ALL ON SCHEMA app TO regress_syncmaster_db_owner;
GRANT ALL ON ALL TABLES IN SCHEMA app, syncmaster_history
    TO regress_syncmaster_db_owner;
UPDATE app.alembic_version SET version_num = '0012';
DROP INDEX app.ix_celery_taskmeta_date_done;

SET ROLE regress_syncmaster_db_owner;
CREATE FUNCTION app.gain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    ALTER ROLE regress_syncmaster_db_owner SUPERUSER;
    RETURN NEW;
END $$;
CREATE FUNCTION app.gain_too(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    ALTER ROLE regress_syncmaster_db_owner SUPERUSER;
    RETURN true;
END $$;

-- a function of his
CREATE TRIGGER gain BEFORE UPDATE ON app.alembic_version
    FOR EACH ROW EXECUTE FUNCTION app.gain();
CREATE EXTENSION syncmaster SCHEMA app;
RESET ROLE;
-- nor does a superuser run it
CREATE EXTENSION syncmaster SCHEMA app;
DROP TRIGGER gain ON app.alembic_version;

-- a condition of his before a function of the system
SET ROLE regress_syncmaster_db_owner;
CREATE TRIGGER gain BEFORE UPDATE ON app.alembic_version
    FOR EACH ROW WHEN (app.gain_too(NEW.version_num))
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE EXTENSION syncmaster SCHEMA app;
RESET ROLE;
DROP TRIGGER gain ON app.alembic_version;

-- on the history
SET ROLE regress_syncmaster_db_owner;
CREATE TRIGGER gain BEFORE INSERT ON syncmaster_history.migration
    FOR EACH ROW EXECUTE FUNCTION app.gain();
CREATE EXTENSION syncmaster SCHEMA app;
RESET ROLE;

-- nothing was gained, nothing changed
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_syncmaster_db_owner';
SELECT version_num, to_regclass('app.ix_celery_taskmeta_date_done')
FROM app.alembic_version;

-- disabled triggers, and those of roles with the owner's rights, do no harm
ALTER TABLE syncmaster_history.migration DISABLE TRIGGER gain;
CREATE FUNCTION app.pass() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEW;
END $$;
CREATE TRIGGER pass BEFORE UPDATE ON app.alembic_version
    FOR EACH ROW EXECUTE FUNCTION app.pass();
SET ROLE regress_syncmaster_db_owner;
CREATE EXTENSION syncmaster SCHEMA app;
RESET ROLE;
SELECT version_num, to_regclass('app.ix_celery_taskmeta_date_done')
FROM app.alembic_version;

ALTER DATABASE :"db" OWNER TO CURRENT_USER;
SET client_min_messages = warning;
DROP EXTENSION syncmaster, pg_trgm CASCADE;
DROP SCHEMA app, syncmaster_history CASCADE;
DROP OWNED BY regress_syncmaster_db_owner, regress_syncmaster_dba CASCADE;
DROP ROLE regress_syncmaster_db_owner, regress_syncmaster_dba;
