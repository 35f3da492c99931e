\echo Use "ALTER EXTENSION syncmaster UPDATE TO '1.11'" to load this file. \quit

SELECT @extschema@.syncmaster_migrate('0012', '0011', $ddl$
ALTER TABLE @extschema@.connection
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('english'::regconfig,
            name || ' '
            || coalesce(json_extract_path_text(data, 'host'), '') || ' '
            || coalesce(translate(json_extract_path_text(data, 'host'),
                                  '.', ' '), ''))
    ) STORED;
CREATE INDEX idx_connection_search_vector
    ON @extschema@.connection USING gin (search_vector);

ALTER TABLE @extschema@.transfer
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
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
    ) STORED;
CREATE INDEX idx_transfer_search_vector
    ON @extschema@.transfer USING gin (search_vector);

ALTER TABLE @extschema@.queue
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name)) STORED;

ALTER TABLE @extschema@."group"
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name)) STORED;
$ddl$);
