-- The diagram of doc/schema.md, in Mermaid, from the catalogue of a database:
--
--	psql -XAtq -f test/schema.sql syncmaster
--
-- t/900_documentation.pl compares the two.

SET search_path = pg_catalog;

CREATE TEMP VIEW diagram_table AS
SELECT c.oid, c.relname AS name
FROM pg_class c
WHERE c.relkind = 'r'
  AND (c.relnamespace = (SELECT extnamespace FROM pg_extension
                         WHERE extname = 'syncmaster')
       OR c.relnamespace = to_regnamespace('syncmaster_history'));

CREATE TEMP VIEW diagram_key AS
SELECT k.conrelid, k.contype, k.conkey, k.confrelid,
    (SELECT string_agg(a.attname, ', ' ORDER BY n)
     FROM unnest(k.conkey) WITH ORDINALITY u (attnum, n)
     JOIN pg_attribute a ON a.attrelid = k.conrelid
         AND a.attnum = u.attnum) AS columns
FROM pg_constraint k
WHERE k.contype IN ('p', 'u', 'f')
UNION ALL
-- unique indexes that no constraint made
SELECT i.indrelid, 'u', i.indkey::int2[], 0,
    (SELECT string_agg(a.attname, ', ' ORDER BY n)
     FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, n)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum)
FROM pg_index i
WHERE i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint k
    WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'));

SELECT 'erDiagram';

-- Who refers to whom: each row of the first to at most one of the second, or to
-- exactly one where the column is not null.
SELECT format('    "%s" %s--%s "%s" : %s', t.name,
    CASE WHEN EXISTS (SELECT FROM diagram_key u
                      WHERE u.conrelid = k.conrelid AND u.contype IN ('p', 'u')
                        AND u.conkey = k.conkey)
        THEN '|o' ELSE '}o' END,
    CASE WHEN (SELECT bool_and(a.attnotnull) FROM pg_attribute a
               WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
        THEN '||' ELSE 'o|' END,
    r.name, k.columns)
FROM diagram_key k
JOIN diagram_table t ON t.oid = k.conrelid
JOIN diagram_table r ON r.oid = k.confrelid
WHERE k.contype = 'f'
ORDER BY t.name COLLATE "C", k.columns COLLATE "C";

SELECT format(E'    "%s" {\n%s\n    }', t.name, string_agg(
    format('        %s %s%s%s',
        -- no spaces in the name of a type
        replace(replace(replace(replace(format_type(a.atttypid, a.atttypmod),
            'character varying', 'varchar'), ' with time zone', 'tz'),
            ' without time zone', ''), 'double precision', 'float8'),
        a.attname, k.keys,
        CASE WHEN a.attgenerated <> '' THEN ' "generated"'
            WHEN NOT a.attnotnull THEN ' "may be NULL"' END),
    E'\n' ORDER BY a.attnum))
FROM diagram_table t
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
    AND NOT a.attisdropped
CROSS JOIN LATERAL (
    SELECT ' ' || string_agg(DISTINCT upper(d.contype::text) || 'K', ', ') AS keys
    FROM diagram_key d
    WHERE d.conrelid = t.oid AND a.attnum = ANY (d.conkey)
      -- of several columns only the primary key is shown
      AND (d.contype IN ('p', 'f') OR cardinality(d.conkey) = 1)) k
GROUP BY t.oid, t.name
ORDER BY t.name COLLATE "C";
