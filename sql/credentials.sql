-- Credentials, as far as no key file is needed; t/400 to t/430 have the rest.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
\set SHOW_CONTEXT never
CREATE EXTENSION syncmaster;

-- a key is 32 random bytes in base64url
SELECT syncmaster_generate_key() ~ '^[A-Za-z0-9_-]{43}=$';
SELECT length(decode(translate(syncmaster_generate_key(), '-_', '+/'), 'base64'));
SELECT count(DISTINCT syncmaster_generate_key()) FROM generate_series(1, 100);

-- without a key file
SHOW syncmaster.secret_key_file;
SHOW syncmaster.previous_secret_key_file;
SELECT syncmaster_encrypt('{}');
SELECT syncmaster_decrypt('gAAAAA');
SELECT * FROM syncmaster_verify_credentials();
SELECT * FROM syncmaster_rotate_credentials();
SET syncmaster.secret_key_file = 'no/such/file';
SELECT syncmaster_encrypt('{}');

-- NULL
SELECT syncmaster_encrypt(NULL) IS NULL, syncmaster_decrypt(NULL) IS NULL;
SELECT * FROM syncmaster_rotate_credentials(NULL);

-- a key is not taken for the name of a file, and not shown
SET syncmaster.secret_key_file = 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=';
SET syncmaster.previous_secret_key_file =
    'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4';
-- nor in the other alphabet, nor with blanks
SET syncmaster.secret_key_file =
    'cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=';
SET syncmaster.secret_key_file =
    ' cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= ';
SHOW syncmaster.secret_key_file;
-- a path as long as a key
SET syncmaster.secret_key_file = 'etc/syncmaster/keys/000000000000primary/key';
SHOW syncmaster.secret_key_file;
RESET syncmaster.secret_key_file;

-- who may do what
SELECT p.oid::regprocedure AS function, p.provolatile, p.proisstrict,
       p.proparallel, has_function_privilege('pg_monitor', p.oid, 'EXECUTE')
FROM pg_proc p
WHERE p.proname ~ '^syncmaster_.*(key|crypt|credentials)'
ORDER BY p.oid::regprocedure::text COLLATE "C";
CREATE ROLE regress_syncmaster_role;
SET ROLE regress_syncmaster_role;
SELECT syncmaster_generate_key();
SELECT syncmaster_encrypt('{}');
SELECT syncmaster_decrypt('gAAAAA');
SELECT * FROM syncmaster_verify_credentials();
SELECT * FROM syncmaster_rotate_credentials(true);
SET syncmaster.secret_key_file = 'elsewhere';
SET syncmaster.previous_secret_key_file = 'elsewhere';
\set VERBOSITY sqlstate
SHOW syncmaster.secret_key_file;
\set VERBOSITY default
RESET ROLE;
-- somebody who is granted the functions cannot choose the key file either
GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb) TO regress_syncmaster_role;
SET ROLE regress_syncmaster_role;
SELECT syncmaster_encrypt('{}');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION syncmaster_encrypt(jsonb)
    FROM regress_syncmaster_role;
-- a value set before the library is there does not stay
\c -
\set SHOW_CONTEXT never
SET SESSION AUTHORIZATION regress_syncmaster_role;
SET syncmaster.secret_key_file = 'elsewhere';
SELECT syncmaster_library_version() IS NOT NULL;
RESET SESSION AUTHORIZATION;
SHOW syncmaster.secret_key_file;
DROP ROLE regress_syncmaster_role;

-- one who creates the extension without being a superuser
CREATE ROLE regress_syncmaster_dba;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_syncmaster_dba;
SET client_min_messages = warning;
DROP EXTENSION syncmaster;
DROP SCHEMA public, syncmaster_history CASCADE;
CREATE SCHEMA public AUTHORIZATION regress_syncmaster_dba;
SET ROLE regress_syncmaster_dba;
CREATE EXTENSION syncmaster;
SELECT length(syncmaster_generate_key());
SELECT syncmaster_encrypt('{}');
SELECT * FROM syncmaster_verify_credentials();
RESET ROLE;

DROP EXTENSION syncmaster, pg_trgm CASCADE;
DROP SCHEMA public, syncmaster_history CASCADE;
DROP OWNED BY regress_syncmaster_dba;
DROP ROLE regress_syncmaster_dba;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
CREATE EXTENSION syncmaster;
