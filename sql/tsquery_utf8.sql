-- The search query for inputs beyond ASCII, in a database that can hold them.
SELECT getdatabaseencoding() <> 'UTF8' AS skip_test \gset
\if :skip_test
\quit
\endif
SET client_encoding = 'UTF8';
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
CREATE EXTENSION syncmaster;
RESET client_min_messages;
SELECT syncmaster_tsquery('таблицами');
SELECT input, syncmaster_tsquery(input) =
    (to_tsquery('simple', query) || plainto_tsquery('russian', input)) AS same
FROM (VALUES
    ('схема.таблица', $$('схема.таблица') | ('схема.таблица':*) | ('схема':* & 'таблица':*)$$),
    ('выгрузка из hive-кластера', $$('выгрузка' & 'из' & 'hive-кластера') | ('выгрузка':* & 'из':* & 'hive-кластера':*) | ('выгрузка':* & 'из':* & 'hive':* & 'кластера':*)$$),
    ('«ёлки» – №1', $$('«ёлки»' & '–' & '№1') | ('«ёлки»':* & '–':* & '№1':*)$$),
    ('日本語　検索', $$('日本語' & '検索') | ('日本語':* & '検索':*)$$)
) AS v(input, query);
-- what Python takes for white space separates words; its neighbours do not,
-- nor what only looks like white space
SELECT string, count(*),
    bool_and(syncmaster_tsquery(input) =
        (to_tsquery('simple', replace(string, '?', chr(code))) || plainto_tsquery('russian', input))) AS same
FROM (VALUES
    ($$('x' & 'y') | ('x':* & 'y':*)$$, '{0085,00A0,1680,2000,2001,2002,2003,2004,2005,2006,2007,2008,2009,200A,2028,2029,202F,205F,3000}'::text[]),
    ($$('x?y') | ('x?y':*)$$, '{0084,0086,009F,00A1,167F,1681,180E,1FFF,200B,200C,200D,2027,202A,202E,2030,205E,2060,2FFF,3001,FEFF}')
) AS v(string, codes), LATERAL unnest(codes) AS u(hex),
    LATERAL (SELECT ('x' || hex)::bit(16)::int) AS c(code),
    LATERAL (SELECT 'x' || chr(code) || 'y') AS i(input)
GROUP BY string ORDER BY string;
-- what a damaged table returns is refused as if it came from a client
CREATE CAST (bytea AS text) WITHOUT FUNCTION;
SELECT syncmaster_tsquery('\x61e280'::bytea::text);
SELECT syncmaster_tsquery('\x61f0'::bytea::text);
SELECT syncmaster_tsquery('\x6100'::bytea::text);
DROP CAST (bytea AS text);
