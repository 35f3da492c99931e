\echo Use "ALTER EXTENSION syncmaster UPDATE" to load this file. \quit

-- Celery 5.6 makes these indexes with its tables; then they are there.

SELECT @extschema@.syncmaster_migrate('0012', '0013', $ddl$
CREATE INDEX IF NOT EXISTS ix_celery_taskmeta_date_done
    ON @extschema@.celery_taskmeta (date_done);
CREATE INDEX IF NOT EXISTS ix_celery_tasksetmeta_date_done
    ON @extschema@.celery_tasksetmeta (date_done);
$ddl$);

SELECT @extschema@.syncmaster_finish_script('1.13');
