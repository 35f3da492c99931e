SELECT version_num, (SELECT count(*) FROM run) AS runs FROM alembic_version;
CREATE EXTENSION syncmaster VERSION '1.11';
SELECT table_name, lock_mode FROM syncmaster_upgrade_plan() WHERE rewrites_table;
SELECT syncmaster_upgrade('head');
SELECT version_num, (SELECT count(*) FROM run) AS runs,
(SELECT count(*) FROM syncmaster_check()) AS differences FROM alembic_version;
