\echo Use "CREATE EXTENSION syncmaster" to load this file. \quit

CREATE FUNCTION @extschema@.syncmaster_library_version() RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'syncmaster_library_version'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.syncmaster_library_version() IS
    'version of the loaded library';
