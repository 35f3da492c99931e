\echo Use "CREATE EXTENSION syncmaster" to load this file. \quit

-- Functions first: the migrations below are calls of one of them.  The library
-- is loaded here, and with it the settings syncmaster.*  Its first call gives
-- each function and view the rights that the library has for it, whatever the
-- default privileges are: no script grants or revokes anything.

-- Engine ---------------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_migrate(
        from_revision pg_catalog.text, to_revision pg_catalog.text,
        ddl pg_catalog.text)
    RETURNS pg_catalog.void
    AS 'MODULE_PATHNAME', 'syncmaster_migrate'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_migrate(
        pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'run one step of a migration; only for the scripts of this extension';

CREATE FUNCTION @extschema@.syncmaster_finish_script(version pg_catalog.text)
    RETURNS pg_catalog.void
    AS 'MODULE_PATHNAME', 'syncmaster_finish_script'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_finish_script(pg_catalog.text) IS
    'last call of a migration script; only for the scripts of this extension';

-- Versions -------------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_schema_version()
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_schema_version'
    LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_schema_version() IS
    'revision of SyncMaster''s schema in this database, NULL if there is none';

CREATE FUNCTION @extschema@.syncmaster_library_version()
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_library_version'
    LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_library_version() IS
    'version of the loaded library';

CREATE FUNCTION @extschema@.syncmaster_full_version()
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_full_version'
    LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_full_version() IS
    'versions of extension, library, schema and server, and what is out of step';

CREATE FUNCTION @extschema@.syncmaster_versions(
        OUT version pg_catalog.text, OUT revision pg_catalog.text,
        OUT syncmaster_releases pg_catalog.text,
        OUT description pg_catalog.text,
        OUT installed pg_catalog.bool, OUT is_default pg_catalog.bool)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_versions'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.syncmaster_versions() IS
    'versions of the extension that the installed scripts can make';

CREATE FUNCTION @extschema@.syncmaster_history(
        OUT applied_at pg_catalog.timestamptz, OUT schema_name pg_catalog.name,
        OUT from_revision pg_catalog.text, OUT to_revision pg_catalog.text,
        OUT applied_by pg_catalog.name, OUT duration pg_catalog."interval",
        OUT library_version pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_history'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.syncmaster_history() IS
    'migrations that the extension ran in this database';

-- Upgrade and downgrade ------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_upgrade(target pg_catalog.text)
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_upgrade'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_upgrade(pg_catalog.text) IS
    'upgrade schema and extension to head, +N, a revision or a version';

CREATE FUNCTION @extschema@.syncmaster_downgrade(target pg_catalog.text)
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_downgrade'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_downgrade(pg_catalog.text) IS
    'downgrade schema and extension to base, -N, a revision or a version';

CREATE FUNCTION @extschema@.syncmaster_stamp(
        target pg_catalog.text, purge pg_catalog.bool DEFAULT false)
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_stamp'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION
    @extschema@.syncmaster_stamp(pg_catalog.text, pg_catalog.bool) IS
    'write the revision that the tables are at, without a migration';

CREATE FUNCTION @extschema@.syncmaster_set_owner(role pg_catalog.text)
    RETURNS pg_catalog.void
    AS 'MODULE_PATHNAME', 'syncmaster_set_owner'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_set_owner(pg_catalog.text) IS
    'hand all tables and sequences of SyncMaster to a role';

-- Least rights ----------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_grant(
        role pg_catalog.text, service pg_catalog.text)
    RETURNS SETOF pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_grant'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_grant(
        pg_catalog.text, pg_catalog.text) IS
    'give a role what a service of SyncMaster needs, and return the commands';

CREATE FUNCTION @extschema@.syncmaster_revoke(
        role pg_catalog.text, service pg_catalog.text)
    RETURNS SETOF pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_revoke'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_revoke(
        pg_catalog.text, pg_catalog.text) IS
    'take from a role what only this service needs, and return the commands';

CREATE FUNCTION @extschema@.syncmaster_privileges(
        OUT role pg_catalog.text, OUT service pg_catalog.text,
        OUT object_type pg_catalog.text, OUT object_name pg_catalog.text,
        OUT privilege pg_catalog.text, OUT state pg_catalog.text,
        OUT reason pg_catalog.text, OUT fix pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_privileges'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.syncmaster_privileges() IS
    'who has which service, and who has more or less than the services need';

-- SyncMaster's superusers ------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_add_superusers(
        VARIADIC usernames pg_catalog._text,
        OUT username pg_catalog.text, OUT action pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_add_superusers'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION
    @extschema@.syncmaster_add_superusers(pg_catalog._text) IS
    'make users superusers of SyncMaster, creating them if need be';

CREATE FUNCTION @extschema@.syncmaster_remove_superusers(
        VARIADIC usernames pg_catalog._text,
        OUT username pg_catalog.text, OUT action pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_remove_superusers'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION
    @extschema@.syncmaster_remove_superusers(pg_catalog._text) IS
    'make users superusers of SyncMaster no longer; they stay users';

CREATE FUNCTION @extschema@.syncmaster_superusers(
        OUT username pg_catalog.text, OUT is_active pg_catalog.bool)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_superusers'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_superusers() IS
    'the superusers of SyncMaster, and whether they can log in';

-- What an upgrade would do ---------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_upgrade_plan(
        target pg_catalog.text DEFAULT 'head',
        OUT "position" pg_catalog.int4, OUT step pg_catalog.text,
        OUT object_type pg_catalog.text, OUT object_name pg_catalog.text,
        OUT action pg_catalog.text, OUT table_name pg_catalog.text,
        OUT lock_mode pg_catalog.text, OUT rewrites_table pg_catalog.bool,
        OUT builds_index pg_catalog.bool, OUT table_rows pg_catalog.int8,
        OUT table_bytes pg_catalog.int8, OUT beforehand pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_upgrade_plan'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_upgrade_plan(pg_catalog.text) IS
    'what syncmaster_upgrade() would do: locks, rewrites, index builds';

CREATE FUNCTION @extschema@.syncmaster_upgrade_sql(
        target pg_catalog.text DEFAULT 'head')
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_upgrade_sql'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_upgrade_sql(pg_catalog.text) IS
    'the SQL that syncmaster_upgrade() would run on the schema';

CREATE FUNCTION @extschema@.syncmaster_preflight(
        target pg_catalog.text DEFAULT 'head',
        OUT severity pg_catalog.text, OUT subject pg_catalog.text,
        OUT detail pg_catalog.text, OUT hint pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_preflight'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_preflight(pg_catalog.text) IS
    'what blocks an upgrade: error, warning, info';

-- Check ----------------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_check(
        OUT severity pg_catalog.text, OUT object_type pg_catalog.text,
        OUT object_name pg_catalog.text, OUT problem pg_catalog.text,
        OUT expected pg_catalog.text, OUT actual pg_catalog.text,
        OUT fix pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_check'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_check() IS
    'differences between this schema and what its revision should be';

CREATE FUNCTION @extschema@.syncmaster_repair(
        dry_run pg_catalog.bool DEFAULT true,
        OUT action pg_catalog.text, OUT object_type pg_catalog.text,
        OUT object_name pg_catalog.text, OUT problem pg_catalog.text,
        OUT sql pg_catalog.text, OUT why pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_repair'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_repair(pg_catalog.bool) IS
    'repair what can be repaired without a loss; by default, only say what';

-- Extra indexes --------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_create_indexes()
    RETURNS SETOF pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_create_indexes'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_create_indexes() IS
    'build the extra indexes that are missing, and return their names';

CREATE FUNCTION @extschema@.syncmaster_drop_indexes()
    RETURNS SETOF pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_drop_indexes'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_drop_indexes() IS
    'drop the extra indexes, and return their names';

-- Retention ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.syncmaster_purge_runs(
        older_than pg_catalog."interval", keep_last pg_catalog.int4 DEFAULT 0,
        batch_size pg_catalog.int4 DEFAULT 10000,
        dry_run pg_catalog.bool DEFAULT false,
        INOUT deleted pg_catalog.int8 DEFAULT NULL)
    AS 'MODULE_PATHNAME', 'syncmaster_purge_runs'
    LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.syncmaster_purge_runs(
        pg_catalog."interval", pg_catalog.int4, pg_catalog.int4,
        pg_catalog.bool, pg_catalog.int8) IS
    'delete old runs in committed batches, except active and last ones';

CREATE PROCEDURE @extschema@.syncmaster_purge_partitions(
        older_than pg_catalog."interval", keep_last pg_catalog.int4 DEFAULT 0,
        dry_run pg_catalog.bool DEFAULT false,
        detach pg_catalog.bool DEFAULT false,
        INOUT dropped pg_catalog.int8 DEFAULT NULL)
    AS 'MODULE_PATHNAME', 'syncmaster_purge_partitions'
    LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.syncmaster_purge_partitions(
        pg_catalog."interval", pg_catalog.int4, pg_catalog.bool,
        pg_catalog.bool, pg_catalog.int8) IS
    'drop or detach partitions of runs that hold nothing but old ones';

CREATE PROCEDURE @extschema@.syncmaster_purge_task_results(
        older_than pg_catalog."interval",
        batch_size pg_catalog.int4 DEFAULT 10000,
        dry_run pg_catalog.bool DEFAULT false,
        INOUT deleted pg_catalog.int8 DEFAULT NULL)
    AS 'MODULE_PATHNAME', 'syncmaster_purge_task_results'
    LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.syncmaster_purge_task_results(
        pg_catalog."interval", pg_catalog.int4, pg_catalog.bool,
        pg_catalog.int8) IS
    'delete old results of Celery''s tasks in committed batches';

CREATE FUNCTION @extschema@.syncmaster_end_runs(
        run_ids pg_catalog._int8 DEFAULT NULL,
        older_than pg_catalog."interval" DEFAULT NULL,
        new_status pg_catalog.text DEFAULT NULL,
        dry_run pg_catalog.bool DEFAULT false,
        OUT id pg_catalog.int8, OUT transfer_id pg_catalog.int8,
        OUT status pg_catalog.text, OUT since pg_catalog.timestamptz,
        OUT action pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_end_runs'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_end_runs(
        pg_catalog._int8, pg_catalog."interval", pg_catalog.text,
        pg_catalog.bool) IS
    'end active runs that no service is at work on any more';

-- Health and metrics ---------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_health(
        OUT severity pg_catalog.text, OUT check_name pg_catalog.text,
        OUT subject pg_catalog.text, OUT detail pg_catalog.text,
        OUT hint pg_catalog.text)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_health'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_health() IS
    'what a person should look at: runs, schedules, credentials, growth, schema';

-- Functions in a view run as whoever reads it, so everybody may execute this
-- one; it answers only those who may read the view.

CREATE FUNCTION @extschema@.syncmaster_read_metrics(
        health pg_catalog.bool DEFAULT false,
        OUT name pg_catalog.text, OUT labels pg_catalog.jsonb,
        OUT value pg_catalog.float8)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_read_metrics'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_read_metrics(pg_catalog.bool) IS
    'the rows of the view syncmaster_metrics, or how much health finds';

-- Search ---------------------------------------------------------------------

CREATE FUNCTION @extschema@.syncmaster_tsquery(pg_catalog.text)
    RETURNS pg_catalog.tsquery
    AS 'MODULE_PATHNAME', 'syncmaster_tsquery'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_tsquery(pg_catalog.text) IS
    'the query that the server searches with when a person types this text';

-- Credentials ----------------------------------------------------------------

-- They read key files, or what is in tables.

CREATE FUNCTION @extschema@.syncmaster_generate_key()
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_generate_key'
    LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_generate_key() IS
    'a new Fernet key';

CREATE FUNCTION @extschema@.syncmaster_encrypt(value pg_catalog.jsonb)
    RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_encrypt'
    LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_encrypt(pg_catalog.jsonb) IS
    'credentials as a Fernet token under the primary key';

CREATE FUNCTION @extschema@.syncmaster_decrypt(token pg_catalog.text)
    RETURNS pg_catalog.jsonb
    AS 'MODULE_PATHNAME', 'syncmaster_decrypt'
    LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_decrypt(pg_catalog.text) IS
    'credentials that a Fernet token holds, read with any of the keys';

CREATE FUNCTION @extschema@.syncmaster_verify_credentials(
        OUT status pg_catalog.text, OUT key_fingerprint pg_catalog.text,
        OUT credentials pg_catalog.int8,
        OUT connection_ids pg_catalog._int8)
    RETURNS SETOF pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_verify_credentials'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_verify_credentials() IS
    'how many of the stored credentials are under which key, and which under none';

CREATE FUNCTION @extschema@.syncmaster_rotate_credentials(
        dry_run pg_catalog.bool DEFAULT false,
        OUT re_encrypted pg_catalog.int8, OUT already_current pg_catalog.int8,
        OUT failed pg_catalog.int8,
        OUT failed_connection_ids pg_catalog._int8)
    RETURNS pg_catalog.record
    AS 'MODULE_PATHNAME', 'syncmaster_rotate_credentials'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION
    @extschema@.syncmaster_rotate_credentials(pg_catalog.bool) IS
    'put all stored credentials under the primary key, or count what that would do';

-- Revisions 0001 to 0011 -----------------------------------------------------

-- The engine resolves unqualified names in pg_catalog alone.

SELECT @extschema@.syncmaster_migrate('base', '0001', $ddl$
CREATE TABLE @extschema@."user" (
    id bigserial NOT NULL,
    username varchar(256) NOT NULL,
    email varchar(256),
    first_name varchar(256),
    last_name varchar(256),
    middle_name varchar(256),
    is_superuser boolean NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__user PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix__user__username ON @extschema@."user" (username);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0001', '0002', $ddl$
CREATE TABLE @extschema@."group" (
    id bigserial NOT NULL,
    name varchar(128) NOT NULL,
    description varchar(512) NOT NULL,
    owner_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name)) STORED,
    CONSTRAINT pk__group PRIMARY KEY (id),
    CONSTRAINT uq__group__name UNIQUE (name),
    CONSTRAINT fk__group__owner_id__user FOREIGN KEY (owner_id)
        REFERENCES @extschema@."user" (id) ON DELETE CASCADE
);
CREATE INDEX ix__group__owner_id ON @extschema@."group" (owner_id);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0002', '0003', $ddl$
CREATE TABLE @extschema@.queue (
    id bigserial NOT NULL,
    name varchar(128) NOT NULL,
    slug varchar(256) NOT NULL,
    group_id bigint NOT NULL,
    description varchar(512) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name)) STORED,
    CONSTRAINT pk__queue PRIMARY KEY (id),
    CONSTRAINT uq__queue__slug UNIQUE (slug),
    CONSTRAINT fk__queue__group_id__group FOREIGN KEY (group_id)
        REFERENCES @extschema@."group" (id) ON DELETE CASCADE
);
CREATE INDEX ix__queue__group_id ON @extschema@.queue (group_id);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0003', '0004', $ddl$
CREATE TABLE @extschema@.connection (
    id bigserial NOT NULL,
    group_id bigint NOT NULL,
    type varchar(32) NOT NULL,
    name varchar(128) NOT NULL,
    description varchar(512) NOT NULL,
    data json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('english'::regconfig,
            name || ' '
            || coalesce(json_extract_path_text(data, 'host'), '') || ' '
            || coalesce(translate(json_extract_path_text(data, 'host'),
                                  '.', ' '), ''))
    ) STORED,
    CONSTRAINT pk__connection PRIMARY KEY (id),
    CONSTRAINT uq__connection__name_group_id UNIQUE (name, group_id),
    CONSTRAINT fk__connection__group_id__group FOREIGN KEY (group_id)
        REFERENCES @extschema@."group" (id) ON DELETE CASCADE
);
CREATE INDEX ix__connection__group_id ON @extschema@.connection (group_id);
CREATE INDEX idx_connection_search_vector
    ON @extschema@.connection USING gin (search_vector);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0004', '0005', $ddl$
CREATE TABLE @extschema@.user_group (
    user_id bigint NOT NULL,
    group_id bigint NOT NULL,
    role varchar(255) NOT NULL,
    CONSTRAINT pk__user_group PRIMARY KEY (user_id, group_id),
    CONSTRAINT fk__user_group__group_id__group FOREIGN KEY (group_id)
        REFERENCES @extschema@."group" (id) ON DELETE CASCADE,
    CONSTRAINT fk__user_group__user_id__user FOREIGN KEY (user_id)
        REFERENCES @extschema@."user" (id) ON DELETE CASCADE
);
CREATE INDEX ix__user_group__user_id ON @extschema@.user_group (user_id);
CREATE INDEX ix__user_group__group_id ON @extschema@.user_group (group_id);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0005', '0006', $ddl$
CREATE TABLE @extschema@.auth_data (
    connection_id bigint NOT NULL,
    value varchar NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__auth_data PRIMARY KEY (connection_id),
    CONSTRAINT fk__auth_data__connection_id__connection
        FOREIGN KEY (connection_id)
        REFERENCES @extschema@.connection (id) ON DELETE CASCADE
);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0006', '0007', $ddl$
CREATE TABLE @extschema@.transfer (
    id bigserial NOT NULL,
    group_id bigint NOT NULL,
    name varchar(128) NOT NULL,
    description varchar(512) NOT NULL,
    source_connection_id bigint NOT NULL,
    target_connection_id bigint NOT NULL,
    strategy_params json NOT NULL,
    source_params json NOT NULL,
    target_params json NOT NULL,
    transformations json NOT NULL,
    resources json NOT NULL,
    is_scheduled boolean NOT NULL,
    schedule varchar(32) NOT NULL,
    queue_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('english'::regconfig,
            name || ' '
            || coalesce(json_extract_path_text(source_params, 'table_name'), '') || ' '
            || coalesce(json_extract_path_text(target_params, 'table_name'), '') || ' '
            || coalesce(json_extract_path_text(source_params, 'directory_path'), '') || ' '
            || coalesce(json_extract_path_text(target_params, 'directory_path'), '') || ' '
            || translate(name, './', '  ') || ' '
            || coalesce(translate(json_extract_path_text(source_params, 'table_name'), './', '  '), '') || ' '
            || coalesce(translate(json_extract_path_text(target_params, 'table_name'), './', '  '), '') || ' '
            || coalesce(translate(json_extract_path_text(source_params, 'directory_path'), './', '  '), '') || ' '
            || coalesce(translate(json_extract_path_text(target_params, 'directory_path'), './', '  '), ''))
    ) STORED,
    CONSTRAINT pk__transfer PRIMARY KEY (id),
    CONSTRAINT uq__transfer__name_group_id UNIQUE (name, group_id),
    CONSTRAINT fk__transfer__group_id__group FOREIGN KEY (group_id)
        REFERENCES @extschema@."group" (id) ON DELETE CASCADE,
    CONSTRAINT fk__transfer__source_connection_id__connection
        FOREIGN KEY (source_connection_id)
        REFERENCES @extschema@.connection (id) ON DELETE CASCADE,
    CONSTRAINT fk__transfer__target_connection_id__connection
        FOREIGN KEY (target_connection_id)
        REFERENCES @extschema@.connection (id) ON DELETE CASCADE,
    CONSTRAINT fk__transfer__queue_id__queue FOREIGN KEY (queue_id)
        REFERENCES @extschema@.queue (id) ON DELETE CASCADE
);
CREATE INDEX ix__transfer__group_id ON @extschema@.transfer (group_id);
CREATE INDEX ix__transfer__source_connection_id
    ON @extschema@.transfer (source_connection_id);
CREATE INDEX ix__transfer__target_connection_id
    ON @extschema@.transfer (target_connection_id);
CREATE INDEX idx_transfer_search_vector
    ON @extschema@.transfer USING gin (search_vector);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0007', '0008', $ddl$
CREATE TABLE @extschema@.run (
    id bigserial NOT NULL,
    transfer_id bigint NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    status varchar(255) NOT NULL,
    type varchar(64) NOT NULL,
    log_url varchar(512),
    transfer_dump json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__run PRIMARY KEY (id),
    CONSTRAINT fk__run__transfer_id__transfer FOREIGN KEY (transfer_id)
        REFERENCES @extschema@.transfer (id) ON DELETE CASCADE
);
CREATE INDEX ix__run__type ON @extschema@.run (type);
CREATE INDEX ix__run__status ON @extschema@.run (status);
CREATE INDEX ix__run__transfer_id ON @extschema@.run (transfer_id);
$ddl$);

-- Celery makes any of these four when it finds them missing.  It takes numbers
-- from the sequences itself; the columns have no default.
SELECT @extschema@.syncmaster_migrate('0008', '0009', $ddl$
CREATE SEQUENCE IF NOT EXISTS @extschema@.task_id_sequence;
CREATE TABLE IF NOT EXISTS @extschema@.celery_taskmeta (
    id integer NOT NULL,
    task_id varchar(155),
    status varchar(50),
    result bytea,
    date_done timestamp,
    traceback text,
    name varchar(155),
    args bytea,
    kwargs bytea,
    worker varchar(155),
    retries integer,
    queue varchar(155),
    CONSTRAINT celery_taskmeta_pkey PRIMARY KEY (id),
    CONSTRAINT celery_taskmeta_task_id_key UNIQUE (task_id)
);
CREATE SEQUENCE IF NOT EXISTS @extschema@.taskset_id_sequence;
CREATE TABLE IF NOT EXISTS @extschema@.celery_tasksetmeta (
    id integer NOT NULL,
    taskset_id varchar(155),
    result bytea,
    date_done timestamp,
    CONSTRAINT celery_tasksetmeta_pkey PRIMARY KEY (id),
    CONSTRAINT celery_tasksetmeta_taskset_id_key UNIQUE (taskset_id)
);
$ddl$);

SELECT @extschema@.syncmaster_migrate('0009', '0010', $ddl$
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA @extschema@;
$ddl$);

-- APScheduler makes this table when it finds it missing.
SELECT @extschema@.syncmaster_migrate('0010', '0011', $ddl$
CREATE TABLE IF NOT EXISTS @extschema@.apscheduler_jobs (
    id varchar(191) NOT NULL,
    next_run_time double precision,
    job_state bytea NOT NULL,
    CONSTRAINT apscheduler_jobs_pkey PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_apscheduler_jobs_next_run_time
    ON @extschema@.apscheduler_jobs (next_run_time);
$ddl$);

-- The view comes after the first call of the library, which refuses schemas in
-- which the server makes functions, but no view.
CREATE VIEW @extschema@.syncmaster_metrics AS
    SELECT m.name, m.labels, m.value
    FROM @extschema@.syncmaster_read_metrics(false) m;
COMMENT ON VIEW @extschema@.syncmaster_metrics IS
    'numbers for exporters, in the naming of Prometheus';

SELECT @extschema@.syncmaster_finish_script('1.11');
