\echo Use "ALTER EXTENSION syncmaster UPDATE TO '1.12'" to load this file. \quit

SELECT @extschema@.syncmaster_migrate('0013', '0012', $ddl$
DROP INDEX IF EXISTS @extschema@.ix_celery_taskmeta_date_done;
DROP INDEX IF EXISTS @extschema@.ix_celery_tasksetmeta_date_done;
$ddl$);
