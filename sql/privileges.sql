-- Least rights: who has which service, and who has more or less.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
SET syncmaster.create_indexes = off;
CREATE EXTENSION syncmaster;

CREATE ROLE regress_server;
CREATE ROLE regress_scheduler;
CREATE ROLE regress_worker;
CREATE ROLE regress_monitor;
CREATE ROLE "regress Reader";
CREATE ROLE regress_owner;
GRANT USAGE, CREATE ON SCHEMA public TO regress_owner;
SELECT syncmaster_set_owner('regress_owner');

-- nobody has anything
SELECT * FROM syncmaster_privileges();

-- what each service gets
SELECT syncmaster_grant('regress_server', 'server');
SELECT syncmaster_grant('regress_scheduler', 'scheduler');
SELECT syncmaster_grant('regress_worker', 'worker');
SELECT c FROM syncmaster_grant('regress_monitor', 'monitor') c
WHERE c !~ 'syncmaster_metrics';
SELECT role, service, object_type, object_name, privilege, state
FROM syncmaster_privileges();

-- again: nothing is left to do
SELECT syncmaster_grant('regress_server', 'server');
SELECT syncmaster_grant('regress_worker', 'worker');

-- the owner is the grantor
SELECT DISTINCT a.grantor::regrole
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace
    AND a.grantee = 'regress_server'::regrole;

-- what only the scheduler may
SELECT r AS role,
    has_any_column_privilege(r, 'apscheduler_jobs', 'SELECT') AS reads_jobs,
    has_any_column_privilege(r, 'apscheduler_jobs', 'INSERT')
        OR has_any_column_privilege(r, 'apscheduler_jobs', 'UPDATE')
        OR has_table_privilege(r, 'apscheduler_jobs',
                               'DELETE, TRUNCATE, TRIGGER') AS writes_jobs,
    has_any_column_privilege(r, 'auth_data', 'SELECT') AS reads_credentials,
    has_any_column_privilege(r, 'auth_data', 'INSERT')
        OR has_any_column_privilege(r, 'auth_data', 'UPDATE')
        AS writes_credentials,
    has_column_privilege(r, '"user"', 'username', 'UPDATE') AS renames_users,
    has_column_privilege(r, '"user"', 'is_superuser', 'UPDATE')
        AS makes_superusers
FROM unnest(ARRAY['regress_server', 'regress_scheduler', 'regress_worker',
                  'regress_monitor']) r;

-- two services of one role; what both need stays with either
SELECT syncmaster_grant('regress_worker', 'scheduler');
SELECT role, service, object_name FROM syncmaster_privileges()
WHERE role = 'regress_worker';
SELECT syncmaster_revoke('regress_worker', 'worker');
SELECT role, service, object_name, privilege, state
FROM syncmaster_privileges() WHERE role = 'regress_worker';
SELECT syncmaster_grant('regress_worker', 'worker');
SELECT syncmaster_revoke('regress_worker', 'scheduler');
SELECT syncmaster_revoke('regress_worker', 'scheduler');

-- less
REVOKE SELECT, INSERT ON run FROM regress_scheduler;
REVOKE UPDATE (log_url) ON run FROM regress_worker;
REVOKE USAGE ON SEQUENCE run_id_seq FROM regress_server;

-- and more: PUBLIC, roles without a service, what others granted
GRANT SELECT ON "user" TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
GRANT SELECT (job_state), UPDATE (job_state) ON apscheduler_jobs
    TO regress_server;
GRANT TRIGGER ON apscheduler_jobs TO regress_monitor;
GRANT INSERT ON celery_taskmeta TO regress_scheduler;
GRANT UPDATE ON run TO regress_worker;
GRANT SELECT ON auth_data TO "regress Reader" WITH GRANT OPTION;
SET ROLE "regress Reader";
GRANT SELECT ON auth_data TO regress_monitor;
RESET ROLE;
GRANT SELECT ON "group" TO regress_server WITH GRANT OPTION;
GRANT SELECT ON alembic_version TO "regress Reader";
GRANT USAGE, UPDATE ON SEQUENCE queue_id_seq TO "regress Reader";

-- and by membership
GRANT regress_scheduler TO regress_server;
GRANT regress_owner TO regress_monitor;
CREATE ROLE regress_between;
GRANT pg_read_server_files TO regress_between;
GRANT regress_between TO regress_worker;
SELECT role, service, object_type, object_name, privilege, state, reason
FROM syncmaster_privileges();
SELECT fix FROM syncmaster_privileges();

-- a superuser can do everything, and grants to one are not listed
ALTER ROLE regress_monitor SUPERUSER;
SELECT role, object_type, object_name, privilege, state, reason, fix
FROM syncmaster_privileges() WHERE role = 'regress_monitor';
ALTER ROLE regress_monitor NOSUPERUSER;

-- the fixes fix it
SELECT fix FROM syncmaster_privileges() WHERE fix IS NOT NULL \gexec
REVOKE regress_between FROM regress_worker;
SELECT role, service, object_type, object_name, state
FROM syncmaster_privileges();

-- whoever owns the tables has no use for a service
SELECT syncmaster_grant('regress_owner', 'server');
SELECT syncmaster_set_owner('regress_worker');
CREATE ROLE regress_creator;
GRANT USAGE, CREATE ON SCHEMA public TO regress_worker;
SELECT syncmaster_set_owner('regress_worker');
SELECT role, service, object_type, object_name, privilege, state, fix
FROM syncmaster_privileges() WHERE role = 'regress_worker';
-- to take it back leaves the owner's own rights alone
SELECT syncmaster_revoke('regress_worker', 'worker');
SELECT has_table_privilege('regress_worker', 'run', 'SELECT');
SELECT syncmaster_set_owner('regress_owner');
SELECT role, service, object_name, state FROM syncmaster_privileges();

-- a role is renamed, and dropped when nothing is left to it
ALTER ROLE regress_monitor RENAME TO "regress Monitor";
SELECT role, service, state FROM syncmaster_privileges()
WHERE service = 'monitor';
SELECT c FROM syncmaster_revoke('regress Monitor', 'monitor') c
WHERE c !~ 'syncmaster_metrics';
DROP ROLE "regress Monitor";

-- arguments
SELECT syncmaster_grant('regress_server', 'Server');
SELECT syncmaster_grant('nobody', 'server');
SELECT syncmaster_grant('public', 'server');
SELECT syncmaster_grant(NULL, 'server');
SELECT syncmaster_revoke('regress_server', NULL);

-- a role that never had the service keeps what somebody else gave it
GRANT SELECT ON run TO regress_creator;
SELECT syncmaster_revoke('regress_creator', 'worker');
SELECT has_table_privilege('regress_creator', 'run', 'SELECT');

-- and the schema stays open to it as long as it has anything there
SELECT count(*) > 0 AS granted
FROM syncmaster_grant('regress_creator', 'server');
REVOKE SELECT ON run FROM regress_creator;
GRANT SELECT ON alembic_version TO regress_creator;
SELECT c FROM syncmaster_revoke('regress_creator', 'server') c
WHERE c ~ 'SCHEMA';
SELECT nspacl::text ~ 'regress_creator=U/' AS schema_stays
FROM pg_namespace WHERE nspname = 'public';
REVOKE SELECT ON alembic_version FROM regress_creator;
SELECT count(*) > 0 AS granted
FROM syncmaster_grant('regress_creator', 'worker');
SELECT c FROM syncmaster_revoke('regress_creator', 'worker') c
WHERE c ~ 'SCHEMA';

-- one that handed on what it has
SELECT count(*) > 0 AS granted
FROM syncmaster_grant('regress_creator', 'worker');
GRANT SELECT ON "group" TO regress_creator WITH GRANT OPTION;
GRANT SELECT (worker) ON syncmaster_history.service TO regress_creator
    WITH GRANT OPTION;
SET ROLE regress_creator;
GRANT SELECT ON "group" TO regress_between;
GRANT SELECT (worker) ON syncmaster_history.service TO regress_between;
RESET ROLE;
SELECT syncmaster_revoke('regress_creator', 'worker');
SELECT fix FROM syncmaster_privileges() WHERE fix IS NOT NULL \gexec
SELECT count(*) > 0 AS revoked
FROM syncmaster_revoke('regress_creator', 'worker');
SELECT role, service, state FROM syncmaster_privileges()
WHERE role IN ('regress_creator', 'regress_between');

-- a relation of another kind in a table's place
ALTER TABLE celery_tasksetmeta RENAME TO real;
CREATE VIEW celery_tasksetmeta AS SELECT * FROM real;
SELECT count(*) > 0 AS granted
FROM syncmaster_grant('regress_creator', 'scheduler');
DROP VIEW celery_tasksetmeta;
ALTER TABLE real RENAME TO celery_tasksetmeta;

-- by way of other roles, by owning, and by attributes
SELECT count(*) > 0 AS granted
FROM syncmaster_grant('regress_creator', 'scheduler');
CREATE ROLE regress_outsider;
GRANT regress_creator TO regress_outsider;
ALTER ROLE regress_creator REPLICATION;
ALTER TABLE celery_taskmeta OWNER TO regress_creator;
ALTER TABLE "group" OWNER TO regress_creator;
ALTER SCHEMA public OWNER TO regress_creator;
SELECT role, service, object_type, object_name, privilege, state, reason, fix
FROM syncmaster_privileges()
WHERE role IN ('regress_creator', 'regress_outsider');
SELECT fix FROM syncmaster_privileges()
WHERE role IN ('regress_creator', 'regress_outsider')
    AND fix IS NOT NULL \gexec
SELECT role, object_name, state FROM syncmaster_privileges()
WHERE role IN ('regress_creator', 'regress_outsider');

ALTER SCHEMA public OWNER TO CURRENT_USER;
GRANT USAGE, CREATE ON SCHEMA public TO regress_owner;

-- the database's owner; whoever is entitled to everything is not listed
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO regress_outsider',
                   current_database());
END $$;
GRANT regress_outsider TO regress_creator;
GRANT regress_creator TO regress_between;
GRANT regress_owner TO regress_between;
SELECT role, object_type,
    replace(object_name, current_database(), 'DATABASE') AS object_name,
    privilege, state, reason,
    replace(fix, current_database(), 'DATABASE') AS fix
FROM syncmaster_privileges()
WHERE role IN ('regress_creator', 'regress_outsider', 'regress_between')
    AND state NOT IN ('granted', 'missing');
REVOKE regress_outsider FROM regress_creator;
REVOKE regress_owner FROM regress_between;
REVOKE regress_creator FROM regress_between;
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(),
                   current_user);
END $$;
SELECT count(*) > 0 AS revoked
FROM syncmaster_revoke('regress_creator', 'scheduler');
DROP ROLE regress_outsider;

-- PostgreSQL's own roles have members for other reasons
SELECT syncmaster_grant('pg_monitor', 'scheduler');

-- who may hand out rights: the owner of the tables
GRANT EXECUTE ON FUNCTION syncmaster_grant, syncmaster_revoke
    TO regress_owner, regress_creator;
SET ROLE regress_creator;
SELECT syncmaster_grant('regress_creator', 'server');
SET ROLE regress_owner;
SELECT syncmaster_grant('regress_creator', 'worker');
SELECT syncmaster_revoke('regress_creator', 'worker');
RESET ROLE;

-- a table of another owner
ALTER TABLE run OWNER TO regress_creator;
SET ROLE regress_owner;
SELECT syncmaster_grant('regress Reader', 'worker');
RESET ROLE;
ALTER TABLE run OWNER TO regress_owner;

-- a schema of another owner that is not open
ALTER SCHEMA public OWNER TO regress_creator;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SET ROLE regress_owner;
SELECT syncmaster_grant('regress Reader', 'worker');
-- the way out
BEGIN;
SET LOCAL ROLE regress_creator;
GRANT USAGE ON SCHEMA public TO "regress Reader";
SET LOCAL ROLE regress_owner;
SELECT count(*) > 0 AS granted
    FROM syncmaster_grant('regress Reader', 'worker');
ROLLBACK;
RESET ROLE;
GRANT USAGE ON SCHEMA public TO PUBLIC;

-- what is remembered belongs to another role, or cannot be
ALTER TABLE syncmaster_history.service OWNER TO regress_creator;
SET ROLE regress_owner;
SELECT syncmaster_grant('regress Reader', 'worker');
RESET ROLE;
GRANT regress_owner TO regress_creator;
SET ROLE regress_owner;
SELECT syncmaster_grant('regress Reader', 'worker');
RESET ROLE;
REVOKE regress_owner FROM regress_creator;
SET client_min_messages = warning;
DROP SCHEMA syncmaster_history CASCADE;
RESET client_min_messages;
SET ROLE regress_owner;
SELECT syncmaster_grant('regress Reader', 'worker');
RESET ROLE;

-- a read-only transaction
BEGIN READ ONLY;
SELECT syncmaster_grant('regress_server', 'server');
ROLLBACK;

SET client_min_messages = warning;
DROP EXTENSION syncmaster;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
DROP OWNED BY regress_server, regress_scheduler, regress_worker,
    "regress Reader", regress_owner, regress_creator, regress_between CASCADE;
DROP ROLE regress_server, regress_scheduler, regress_worker,
    "regress Reader", regress_owner, regress_creator, regress_between;
