-- The data set, for the schema at revision 0011 or later; variables of psql are
-- scale (1: 200,000 transfers), token (a Fernet token of credentials) and, if another
-- number of them is wanted than goes with the scale, runs.
--
-- Groups get connections and transfers, and transfers get runs, in proportion
-- to the square of a random number: the first of N gets 1/sqrt(N) of all.  Rows
-- of one group are scattered over the table, as they are when people work side
-- by side.  Every third name is Russian, where the server allows that.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT greatest(1, round(20000 * :scale)) AS users,
    greatest(1, round(5000 * :scale)) AS groups,
    greatest(2, round(10000 * :scale)) AS queues,
    round(200000 * :scale) AS connections,
    round(200000 * :scale) AS transfers,
    round(2000000 * :scale) AS scaled_runs,
    round(1000000 * :scale) AS results \gset
\if :{?runs}
\else
    \set runs :scaled_runs
\endif
SELECT setseed(0.5) AS seed \gset

CREATE FUNCTION pg_temp.word(n bigint, russian boolean) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN russian THEN
        ('{заказы,клиенты,выгрузка,платежи,остатки,склады,договоры,счета,отчёты,'
         'сотрудники,продажи,поставки,история,справочник,витрина,архив,события,'
         'абоненты,тарифы,звонки,доставка,возвраты,скидки,магазины}'::text[])[1 + n % 24]
    ELSE
        ('{orders,customers,export,payments,stock,warehouse,contracts,invoices,'
         'reports,employees,sales,supplies,history,dictionary,mart,archive,events,'
         'subscribers,tariffs,calls,delivery,returns,discounts,stores}'::text[])[1 + n % 24]
    END
$$;

INSERT INTO "user" (username, email, first_name, last_name, is_superuser,
        is_active)
    SELECT CASE WHEN i % 3 = 0
            THEN pg_temp.word(i * 7, true) || '.' || pg_temp.word(i / 24, true)
            ELSE pg_temp.word(i * 7, false) || '.' || pg_temp.word(i / 24, false)
        END || i, 'user' || i || '@example.com', 'First' || i, 'Last' || i,
        i = 1, i % 13 <> 0
    FROM generate_series(1, :users) i
    ORDER BY random();

INSERT INTO "group" (name, description, owner_id)
    SELECT CASE WHEN i % 3 = 0
            THEN 'Отдел: ' || pg_temp.word(i, true) || ' ' || i
            ELSE 'team-' || pg_temp.word(i, false) || '.' || i END,
        'description of group ' || i,
        (SELECT min(id) FROM "user") + floor(:users * power(random(), 2))
    FROM generate_series(1, :groups) i;

-- everybody is in two or three groups, larger ones more often
INSERT INTO user_group (user_id, group_id, role)
    SELECT DISTINCT ON (1, 2) 1 + floor(:users * random()),
        1 + floor(:groups * power(random(), 2)),
        ('{Guest,Developer,Developer,Maintainer}'::text[])[1 + i % 4]
    FROM generate_series(1, (:users * 2.57)::bigint) i;

-- one queue for each group, the others as everything else
INSERT INTO queue (name, slug, group_id, description)
    SELECT 'queue_' || pg_temp.word(i, false) || i, group_id || '-queue_' || i,
        group_id, ''
    FROM (SELECT i, CASE WHEN i <= :groups THEN i
              ELSE 1 + floor(:groups * power(random(), 2)) END::bigint AS group_id
          FROM generate_series(1, (:queues * 0.99)::bigint) i) q;

INSERT INTO connection (group_id, type, name, description, data)
    SELECT 1 + floor(:groups * power(random(), 2)),
        ('{postgres,clickhouse,mysql}'::text[])[1 + i % 3],
        CASE WHEN i % 3 = 0
            THEN 'База: ' || pg_temp.word(i, true) || ', ' || pg_temp.word(i / 24, true)
            ELSE pg_temp.word(i, false) || '_' || pg_temp.word(i / 24, false) END || ' ' || i,
        'description of connection ' || i || repeat(', what is there', 7),
        json_build_object('host',
            'db' || i % 997 || '.' || pg_temp.word(i, false) || '.example.com',
            'port', 5432, 'database_name', pg_temp.word(i / 24, false),
            'additional_params', '{}'::json)
    FROM generate_series(1, :connections) i;

INSERT INTO auth_data (connection_id, value)
    SELECT id, :'token' FROM connection;

-- what a group has, numbered
CREATE TEMPORARY TABLE its_connection AS
    SELECT group_id, row_number() OVER (PARTITION BY group_id ORDER BY id) AS n, id
    FROM connection;
CREATE TEMPORARY TABLE its_queue AS
    SELECT group_id, row_number() OVER (PARTITION BY group_id ORDER BY id) AS n, id
    FROM queue;
CREATE UNIQUE INDEX ON its_connection (group_id, n);
CREATE UNIQUE INDEX ON its_queue (group_id, n);
CREATE TEMPORARY TABLE place AS
    SELECT g.id, connections, queues, row_number() OVER (ORDER BY g.id) AS n
    FROM "group" g
        JOIN (SELECT group_id, count(*) AS connections FROM connection GROUP BY 1) c
            ON c.group_id = g.id
        JOIN (SELECT group_id, count(*) AS queues FROM queue GROUP BY 1) q
            ON q.group_id = g.id;
ANALYZE its_connection, its_queue, place;
SELECT count(*) AS places FROM place \gset

INSERT INTO transfer (group_id, name, description, source_connection_id,
        target_connection_id, strategy_params, source_params, target_params,
        transformations, resources, is_scheduled, schedule, queue_id,
        created_at, updated_at)
    SELECT p.id,
        CASE WHEN i % 3 = 0
            THEN 'Ежедневная выгрузка: ' || pg_temp.word(i, true) || ' и ' || pg_temp.word(i / 24, true)
            ELSE pg_temp.word(i, false) || '.daily-' || pg_temp.word(i / 24, false) END || ' ' || i,
        'description of transfer ' || i || repeat(', what it is good for', 9),
        (SELECT c.id FROM its_connection c
            WHERE c.group_id = p.id AND c.n = 1 + floor(connections * s)::bigint),
        (SELECT c.id FROM its_connection c
            WHERE c.group_id = p.id AND c.n = 1 + floor(connections * t)::bigint),
        '{"type": "full"}',
        json_build_object('type', 'postgres', 'table_name',
            'schema_' || i % 50 || '.' || pg_temp.word(i, false) || '_' || i % 5000),
        CASE WHEN i % 4 = 0 THEN json_build_object('type', 's3', 'directory_path',
                '/data/' || pg_temp.word(i, false) || '/' || i % 5000, 'file_format',
                '{"type": "parquet", "compression": "snappy"}'::json, 'options', '{}'::json)
            ELSE json_build_object('type', 'hive', 'table_name',
                'dwh.' || pg_temp.word(i, false) || '_' || i % 5000) END,
        '[]', '{"max_parallel_tasks": 1, "cpu_cores_per_task": 1, "ram_bytes_per_task": 1073741824}',
        i % 5 < 3, CASE WHEN i % 5 < 3 THEN i % 60 || ' ' || i % 24 || ' * * *' ELSE '' END,
        (SELECT i.id FROM its_queue i
            WHERE i.group_id = p.id AND i.n = 1 + floor(queues * q)::bigint),
        at, at + random() * (now() - at)
    FROM (SELECT i, power(random(), 2) AS g, random() AS s, random() AS t,
              random() AS q, now() - interval '400 days' * (1 - i / (:transfers + 1.0)) AS at
          FROM generate_series(1, :transfers) i OFFSET 0) r
        JOIN place p ON p.n = 1 + floor(:places * g)::bigint;

-- queues that nobody has used yet
INSERT INTO queue (name, slug, group_id, description)
    SELECT 'queue_' || i, 1 + i % :groups || '-queue_' || i, 1 + i % :groups, ''
    FROM generate_series((:queues * 0.99)::bigint + 1, :queues) i;

-- a run keeps a copy of its transfer
CREATE TEMPORARY TABLE dump AS
    SELECT row_number() OVER (ORDER BY t.id) AS n, t.id,
        json_build_object('id', t.id, 'name', t.name, 'group_id', t.group_id,
            'queue_id', t.queue_id, 'source_connection_id', s.id,
            'target_connection_id', d.id, 'is_scheduled', is_scheduled,
            'description', t.description, 'schedule', schedule,
            'source_params', source_params, 'target_params', target_params,
            'strategy_params', strategy_params,
            'source_connection', json_build_object('id', s.id, 'group_id', s.group_id,
                'name', s.name, 'description', s.description, 'data', s.data,
                'auth_data', '{"type": "basic", "user": "user"}'::json),
            'target_connection', json_build_object('id', d.id, 'group_id', d.group_id,
                'name', d.name, 'description', d.description, 'data', d.data,
                'auth_data', '{"type": "basic", "user": "user"}'::json)) AS dump
    FROM transfer t JOIN connection s ON s.id = t.source_connection_id
        JOIN connection d ON d.id = t.target_connection_id;
CREATE UNIQUE INDEX ON dump (n);
ANALYZE dump;

INSERT INTO run (transfer_id, started_at, ended_at, status, type, log_url,
        transfer_dump, created_at, updated_at)
    SELECT d.id, at + interval '5 s', CASE WHEN i % 2000 > 0 THEN at + interval '9 min' END,
        CASE WHEN i % 2000 = 0 THEN 'STARTED' WHEN i % 10 = 7 THEN 'FAILED'
            WHEN i % 100 = 5 THEN 'STOPPED' ELSE 'FINISHED' END,
        CASE WHEN i % 8 = 0 THEN 'MANUAL' ELSE 'SCHEDULED' END,
        'https://logs.example.com/' || md5(i::text), d.dump, at, at + interval '9 min'
    FROM (SELECT i, 1 + floor(:transfers * power(random(), 2))::bigint AS n,
              now() - interval '180 days' * (1 - i / (:runs + 1.0)) AS at
          FROM generate_series(1, :runs) i OFFSET 0) r
        -- one by one, in the order of i: a sort would write all copies to disk
        CROSS JOIN LATERAL (SELECT id, dump FROM dump WHERE n = r.n OFFSET 0) d;

INSERT INTO celery_taskmeta (id, task_id, status, result, date_done, name, args,
        kwargs, worker, retries, queue)
    SELECT nextval('task_id_sequence'), md5(i::text)::uuid::text,
        CASE WHEN i % 10 = 7 THEN 'FAILURE' ELSE 'SUCCESS' END, '\x80054e2e',
        localtimestamp - interval '180 days' * (1 - i / (:results + 1.0)),
        'run_transfer_task', '\x5b5d', convert_to('{"run_id": ' || i || '}', 'UTF8'),
        'worker@host' || i % 7, 0, 'queue_' || i % 100
    FROM generate_series(1, :results) i;

INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
    SELECT id, extract(epoch FROM now()) + id % 86400,
        decode(repeat(md5(id::text), 24), 'hex')
    FROM transfer WHERE is_scheduled;
