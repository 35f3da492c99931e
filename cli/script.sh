# shellcheck shell=sh
# Pieces of the scripts that psql runs.

# Do $1, a statement, or some of which the last one may fail, and leave word of
# why it failed: whoever did not get a lock may try again.  $2: what ends the
# transaction, if there is one
attempt()
{
	cat <<SQL
\set ON_ERROR_STOP off
$1
\set failed :ERROR
\set outcome :SQLSTATE
\set ON_ERROR_STOP on
\if :failed
${2-ROLLBACK;}
\if :installed
\else
SELECT pg_catalog.count(*) AS extensions FROM pg_catalog.pg_extension
WHERE extname OPERATOR(pg_catalog.=) 'syncmaster' \gset
\if :extensions
\warn 'syncmaster-db: somebody else created the extension meanwhile: try again'
\set outcome 55006
\endif
\endif
$(finish :outcome)
\q
\endif
SQL
}

# Wait for others of this program to end: the lock is its own.
wait_for_others()
{
	cat <<SQL
SELECT pg_try_advisory_xact_lock(1937337955, 1684172141) AS alone \gset
\if :alone
\else
\if :verbose
\warn 'waiting for another syncmaster-db to end'
\endif
$(attempt 'SELECT pg_advisory_xact_lock(1937337955, 1684172141) \gset')
\endif
SQL
}

find_extension()
{
	cat <<'SQL'
SELECT count(*) > 0 AS installed,
       coalesce(max(nspname::text), nullif(:'wanted', ''), :'current') AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE extname = 'syncmaster' \gset
SQL
}

# Names resolve in pg_catalog alone, as the schema may contain anybody's
# functions.  Whoever waited looks at what is there only then.
begin()
{
	cat <<SQL
$(finish connected)
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT coalesce(pg_catalog.current_schema(), '') AS current,
       coalesce(pg_catalog.to_regclass('"user"')::pg_catalog.oid, 0) AS path_user,
       coalesce(pg_catalog.to_regclass('alembic_version')::pg_catalog.oid, 0)
           AS path_version \gset
SET LOCAL search_path = pg_catalog, pg_temp;
\if :wait
$(wait_for_others)
\endif
$(find_extension)
$(require_place)
SELECT count(*) > 0 AS available,
       coalesce(lpad(split_part(max(default_version), '.', 2), 4, '0'),
                :'newest') AS head
FROM pg_available_extensions WHERE name = 'syncmaster' \gset
SELECT coalesce(nullif(nullif(current_setting('syncmaster.progress', true),
                              ''), 'auto'), :'progress') AS progress \gset
SET LOCAL syncmaster.progress = :progress;
SQL
}

# Say why the extension cannot be used here, if so.
require_extension()
{
	cat <<'SQL'
SELECT CASE WHEN current_setting('server_version_num')::int4 < 130000
            THEN format('the server is PostgreSQL %s, and 13 or later is '
                        'needed', current_setting('server_version'))
            WHEN NOT :'available'::bool AND NOT :'installed'::bool
            THEN 'the extension "syncmaster" is not installed on the server: '
                 'install its package there, or run "make install"'
            WHEN :'required'::bool AND NOT :'installed'::bool
            THEN 'the extension "syncmaster" is not in this database: '
                 'run "syncmaster-db upgrade" first'
            WHEN :'schema' = ''
            THEN 'search_path names no schema that exists: say which by '
                 '--schema'
            WHEN :'schema' ~ '^pg_' OR :'schema' = 'information_schema'
            THEN format('schema %I is reserved for the server: say by --schema '
                        'where the tables are to be', :'schema')
       END AS obstacle \gset
SQL
	stop_at_obstacle
}

# End with the message in "obstacle", if there is one.
stop_at_obstacle()
{
	cat <<'SQL'
SELECT :{?obstacle} AS obstructed \gset
\if :obstructed
\warn syncmaster-db: :obstacle
\q
\endif
SQL
}

# Read the revision without the extension, too.  A table of that name may be
# anybody's, so nothing but an ordinary one is read, and no policy is run.
read_revision()
{
	cat <<SQL
\set revision base
\if :installed
$(attempt "SELECT coalesce(:\"schema\".syncmaster_schema_version(), 'base')
	AS revision \\gset")
\else
PREPARE is_version_table AS
SELECT count(*) > 0 AS readable
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num'
WHERE n.nspname = :'schema' AND c.relname = 'alembic_version'
AND c.relkind = 'r' AND NOT c.relrowsecurity
AND a.atttypid = 'varchar'::regtype;
EXECUTE is_version_table \gset
\if :readable
$(attempt 'LOCK TABLE :"schema".alembic_version IN ACCESS SHARE MODE;')
EXECUTE is_version_table \gset
\endif
\if :readable
SELECT coalesce(string_agg(version_num, ', '), 'base') AS revision
FROM ONLY :"schema".alembic_version \gset
\endif
DEALLOCATE is_version_table;
\endif
SQL
}

# Make the functions, and leave the tables alone as in a restore.  $1: a clause
# more.
install_functions()
{
	cat <<SQL
SET LOCAL syncmaster.progress = off;
SET LOCAL syncmaster.restoring = on;
CREATE EXTENSION syncmaster SCHEMA :"schema" ${1-};
\if :ERROR
\else
SET LOCAL syncmaster.restoring = off;
SET LOCAL syncmaster.progress = :progress;
\endif
SQL
}

# Leave word for run().  $1: psql's text
finish()
{
	cat <<SQL
\o :state
\qecho $1
\o
SQL
}
