\echo Use "ALTER EXTENSION syncmaster UPDATE" to load this file. \quit

-- Text search: Russian stemming, the words as they are, and the words split at
-- punctuation.

SELECT @extschema@.syncmaster_migrate('0011', '0012', $ddl$
ALTER TABLE @extschema@.connection
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('russian', coalesce(name, ''))
        || to_tsvector('simple', coalesce(name, ''))
        || to_tsvector('simple', translate(coalesce(name, ''), './-_:\', '      '))
        || to_tsvector('simple', coalesce(data ->> 'host', ''))
        || to_tsvector('simple', translate(coalesce(data ->> 'host', ''), './-_:\', '      '))
    ) STORED;
CREATE INDEX idx_connection_search_vector
    ON @extschema@.connection USING gin (search_vector);

ALTER TABLE @extschema@.transfer
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('russian', coalesce(name, ''))
        || to_tsvector('simple', coalesce(name, ''))
        || to_tsvector('simple', translate(coalesce(name, ''), './-_:\', '      '))
        || to_tsvector('simple', coalesce(source_params ->> 'table_name', ''))
        || to_tsvector('simple', coalesce(target_params ->> 'table_name', ''))
        || to_tsvector('simple', translate(coalesce(source_params ->> 'table_name', ''), './-_:\', '      '))
        || to_tsvector('simple', translate(coalesce(target_params ->> 'table_name', ''), './-_:\', '      '))
        || to_tsvector('simple', coalesce(source_params ->> 'directory_path', ''))
        || to_tsvector('simple', coalesce(target_params ->> 'directory_path', ''))
        || to_tsvector('simple', translate(coalesce(source_params ->> 'directory_path', ''), './-_:\', '      '))
        || to_tsvector('simple', translate(coalesce(target_params ->> 'directory_path', ''), './-_:\', '      '))
    ) STORED;
CREATE INDEX idx_transfer_search_vector
    ON @extschema@.transfer USING gin (search_vector);

ALTER TABLE @extschema@.queue
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('russian', coalesce(name, ''))
        || to_tsvector('simple', coalesce(name, ''))
        || to_tsvector('simple', translate(coalesce(name, ''), './-_:\', '      '))
    ) STORED;

ALTER TABLE @extschema@."group"
    DROP COLUMN search_vector,
    ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('russian', coalesce(name, ''))
        || to_tsvector('simple', coalesce(name, ''))
        || to_tsvector('simple', translate(coalesce(name, ''), './-_:\', '      '))
    ) STORED;
$ddl$);

SELECT @extschema@.syncmaster_finish_script('1.12');
