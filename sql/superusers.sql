-- SyncMaster's superusers.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
RESET client_min_messages;
SET syncmaster.create_indexes = off;
CREATE EXTENSION syncmaster;

INSERT INTO "user" (username, is_superuser, is_active, updated_at) VALUES
    ('alice', false, true, '2001-01-01'), ('bob', true, true, '2001-01-01'),
    ('away', false, false, '2001-01-01');
SELECT * FROM syncmaster_superusers();

-- created, promoted and unchanged, in the order in which they are named
SELECT * FROM syncmaster_add_superusers('dora', 'bob', 'alice', 'away');
SELECT username, email, first_name, last_name, middle_name, is_superuser,
    is_active, created_at > '2001-01-01' AS created, updated_at > '2001-01-01' AS updated
FROM "user" ORDER BY username COLLATE "C";
SELECT * FROM syncmaster_superusers() ORDER BY username COLLATE "C";
SELECT * FROM syncmaster_add_superusers('dora', 'bob');

-- demoted, unchanged and not found; nobody is deleted
SELECT * FROM syncmaster_remove_superusers('bob', 'nobody', 'dora');
SELECT * FROM syncmaster_remove_superusers('bob');
SELECT username, is_superuser FROM "user" ORDER BY username COLLATE "C";

-- an array, and one without names
SELECT * FROM syncmaster_add_superusers(VARIADIC ARRAY['bob']::text[]);
SELECT * FROM syncmaster_add_superusers(VARIADIC '{}'::text[]);
SELECT * FROM syncmaster_remove_superusers(VARIADIC '{}'::text[]);

-- names that cannot be: nothing is done for the others either
DO $$
DECLARE
    names text[];
    message text;
    detail text;
    hint text;
    state text;
BEGIN
    FOR names IN
        VALUES (ARRAY['new', '']), (ARRAY['new', NULL]), (NULL),
            (ARRAY['new', 'other', 'new']), (ARRAY['new', repeat('x', 257)]),
            (ARRAY['new', ' ahead']), (ARRAY['behind ']), (ARRAY[E'tab\t']),
            (ARRAY[E'new\nline'])
    LOOP
        BEGIN
            PERFORM syncmaster_add_superusers(VARIADIC names);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
                message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                hint = PG_EXCEPTION_HINT;
            RAISE INFO '% % | % | %', state, message, detail, hint;
        END;
        BEGIN
            PERFORM syncmaster_remove_superusers(VARIADIC names);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
                message = MESSAGE_TEXT;
            RAISE INFO 'remove: % %', state, message;
        END;
    END LOOP;
END $$;
SELECT count(*) FROM "user" WHERE username IN ('new', 'other');
SELECT length(username), action
FROM syncmaster_add_superusers(repeat('x', 256));
SELECT length(username), action
FROM syncmaster_remove_superusers(repeat('x', 256));

-- the width is that of the table
ALTER TABLE "user" ALTER COLUMN username TYPE varchar(300);
SELECT action FROM syncmaster_add_superusers(repeat('x', 300));
SELECT action FROM syncmaster_add_superusers(repeat('x', 301));
SELECT action FROM syncmaster_remove_superusers(repeat('x', 300));

-- spaces within a name; a strange name that is there already
SELECT * FROM syncmaster_add_superusers('Eve Adams');
INSERT INTO "user" (username, is_superuser, is_active)
VALUES (' ahead', false, true);
SELECT * FROM syncmaster_add_superusers(' ahead');
SELECT * FROM syncmaster_remove_superusers(' ahead', 'Eve Adams');

-- case matters
SELECT * FROM syncmaster_add_superusers('Alice');
SELECT * FROM syncmaster_remove_superusers('Alice');

-- who may: as the rights on the table say
CREATE ROLE regress_clerk;
GRANT EXECUTE ON FUNCTION syncmaster_add_superusers,
    syncmaster_remove_superusers TO regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM syncmaster_superusers();
RESET ROLE;
GRANT SELECT, INSERT ON "user" TO regress_clerk;
SET ROLE regress_clerk;
SELECT username FROM syncmaster_superusers() ORDER BY username COLLATE "C";
SELECT * FROM syncmaster_add_superusers('clerk');
SELECT * FROM syncmaster_remove_superusers('alice');
RESET ROLE;
GRANT UPDATE ON "user" TO regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM syncmaster_add_superusers('clerk');
RESET ROLE;
REVOKE INSERT ON "user" FROM regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM syncmaster_add_superusers('clerk');
SELECT * FROM syncmaster_remove_superusers('clerk');
RESET ROLE;
ALTER TABLE "user" ENABLE ROW LEVEL SECURITY;
SET ROLE regress_clerk;
SELECT * FROM syncmaster_superusers();
SELECT * FROM syncmaster_remove_superusers('alice');
RESET ROLE;
ALTER TABLE "user" DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;

-- triggers and rules: nothing that is not as it was written
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RETURN NULL; END';
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE ON "user"
    FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT * FROM syncmaster_add_superusers('frank');
SELECT * FROM syncmaster_remove_superusers('alice');
DROP TRIGGER suppress ON "user";
CREATE RULE suppress AS ON UPDATE TO "user" DO INSTEAD NOTHING;
SELECT * FROM syncmaster_remove_superusers('alice');
SELECT * FROM syncmaster_add_superusers('frank');
DROP RULE suppress ON "user";

-- without the index that keeps names apart
DROP INDEX ix__user__username;
SELECT * FROM syncmaster_add_superusers('frank');
SELECT syncmaster_repair(false);
SELECT * FROM syncmaster_add_superusers('frank');
SELECT * FROM syncmaster_remove_superusers('frank');

-- the columns that are shown are enough to read
CREATE ROLE regress_clerk;
GRANT SELECT (username, is_superuser, is_active) ON "user" TO regress_clerk;
SET ROLE regress_clerk;
SELECT count(*) > 0 AS listed FROM syncmaster_superusers();
RESET ROLE;
REVOKE SELECT (is_active) ON "user" FROM regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM syncmaster_superusers();
RESET ROLE;
DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;

-- a read-only transaction
BEGIN READ ONLY;
SELECT count(*) FROM syncmaster_superusers();
SELECT * FROM syncmaster_add_superusers('frank');
ROLLBACK;

-- no table
SET syncmaster.allow_destroy = on;
SELECT syncmaster_downgrade('base');
SELECT * FROM syncmaster_add_superusers('frank');
SELECT * FROM syncmaster_superusers();
SELECT syncmaster_upgrade('0001');
SELECT * FROM syncmaster_add_superusers('frank');
SELECT * FROM syncmaster_superusers();

-- a column that is missing
ALTER TABLE "user" RENAME username TO login;
SELECT * FROM syncmaster_superusers();
