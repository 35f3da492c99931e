# shellcheck shell=sh
# Is the extension where the services work?  They, and Alembic, find SyncMaster's
# tables by search_path; the extension knows its schema.

# Say where it works, and end where another place may be meant.
require_place()
{
	cat <<'SQL'
PREPARE places AS
WITH users AS (
    SELECT c.oid, n.nspname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'user' AND c.relkind IN ('r', 'p')
    AND 5 = (SELECT count(*) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND NOT a.attisdropped
             AND a.attname IN ('username', 'is_superuser', 'is_active',
                               'created_at', 'updated_at'))),
instances AS (
    SELECT v.oid, u.nspname
    FROM users u JOIN pg_namespace n ON n.nspname = u.nspname
    JOIN pg_class v ON v.relnamespace = n.oid AND v.relkind IN ('r', 'p')
    AND v.relname = 'alembic_version')
SELECT coalesce((SELECT min(nspname::text)
                 FROM (SELECT nspname FROM users WHERE oid = :'path_user'
                       UNION SELECT nspname FROM instances
                       WHERE oid = :'path_version') p
                 WHERE nspname <> :'schema'), '') AS services,
       EXISTS (SELECT FROM users WHERE nspname = :'schema') AS is_here,
       coalesce((SELECT string_agg(quote_ident(nspname), ', ' ORDER BY nspname)
                 FROM instances WHERE nspname <> :'schema'), '') AS others,
       EXISTS (SELECT FROM pg_database WHERE datname = :'literal_database')
           AS is_literal;
EXECUTE places \gset
DEALLOCATE places;
SELECT CASE
    WHEN :'is_literal'::bool
    THEN format('there are two databases, %I and %I, and it depends on the '
                'release of SQLAlchemy which one the services take: rename one',
                current_database(), :'literal_database')
    WHEN :'wanted' <> '' AND :'wanted' <> :'schema'
    THEN format('the extension is in schema %I of database %I, and can be in a '
                'database once: schema %I is not in its reach', :'schema',
                current_database(), :'wanted')
    WHEN to_regnamespace(quote_ident(:'schema')) IS NULL AND :'schema' <> ''
    THEN format('there is no schema %I in database %I: create it first',
                :'schema', current_database())
    WHEN :'wanted' = '' AND :'services' <> '' AND :'installed'::bool
    THEN format('search_path leads services and Alembic to the tables of '
                'SyncMaster in schema %I of database %I, but the extension is '
                'in schema %I: to work there, add --schema %3$I', :'services',
                current_database(), :'schema')
    WHEN :'wanted' = '' AND NOT :'is_here'::bool AND NOT :'installed'::bool
    AND :'others' || :'services' <> ''
    THEN format('the tables of SyncMaster are in schema %s of database %I, and '
                'new ones would be in schema %I: say by --schema which is meant',
                coalesce(nullif(:'others', ''), quote_ident(:'services')),
                current_database(), :'schema')
    WHEN :'installed'::bool AND NOT has_schema_privilege(:'schema', 'USAGE')
    THEN format('role %I may not use schema %I of database %I, where the '
                'extension is: GRANT USAGE ON SCHEMA %2$I TO %1$I, unless '
                'another database is meant', current_user, :'schema',
                current_database())
    END AS obstacle,
    nullif(:'others', '') AS others \gset
SQL
	stop_at_obstacle
	cat <<'SQL'
SELECT format('schema %I of database %I', :'schema', current_database())
           AS place,
       format('%s as %I, by %s', concat_ws(':', :'HOST', nullif(:'PORT', '')), current_user,
              :'source') AS server \gset
\warn syncmaster-db: in :place
\if :verbose
\warn syncmaster-db: :place on :server
SELECT :{?others} AS are_others \gset
\if :are_others
\warn syncmaster-db: warning: there are tables of SyncMaster in schema :others as well
\endif
\endif
SQL
}
