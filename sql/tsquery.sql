-- The search query that SyncMaster's server builds.
\set clean_start `echo "${PG_ABS_SRCDIR:-.}/test/clean_start.sql"`
\i :clean_start
CREATE EXTENSION syncmaster;
RESET client_min_messages;
-- exact words, prefixes, and the parts of words as prefixes
SELECT syncmaster_tsquery('some-domain.name');
-- nothing to split: no third group
SELECT syncmaster_tsquery('hive cluster');
-- the string that to_tsquery is given, for words that releases of PostgreSQL
-- parse differently
SELECT input, syncmaster_tsquery(input) =
    (to_tsquery('simple', query) || plainto_tsquery('russian', input)) AS same
FROM (VALUES
    ('@/some/path.or.domain!', $$('/some/path.or.domain') | ('/some/path.or.domain':*) | ('some':* & 'path':* & 'or':* & 'domain':*)$$),
    ('/a/b.txt c_d', $$('/a/b.txt' & 'c_d') | ('/a/b.txt':* & 'c_d':*) | ('a':* & 'b':* & 'txt':* & 'c':* & 'd':*)$$),
    ('-a', $$('-a') | ('-a':*) | ('a':*)$$),
    (E'a\x01b', E'(\'a\x01b\') | (\'a\x01b\':*)'),
    (E'a\x1Bb', E'(\'a\x1Bb\') | (\'a\x1Bb\':*)'),
    (E'a\x1C\x1D\x1E\x1Fb', $$('a' & 'b') | ('a':* & 'b':*)$$),
    (E'\ta\n\x0B\f\rb ', $$('a' & 'b') | ('a':* & 'b':*)$$)
) AS v(input, query);
-- words that are only punctuation are dropped, and do not bring a third group
SELECT syncmaster_tsquery('a ./ -- b');
SELECT syncmaster_tsquery('_');
-- English words are stemmed by the russian configuration
SELECT syncmaster_tsquery('running tables');
-- stop words remain as exact words
SELECT syncmaster_tsquery('the');
-- nothing that to_tsquery knows as an operator gets through
SELECT syncmaster_tsquery($$it's \ a:* & !b | (c) <-> "d"$$);
SELECT syncmaster_tsquery($$'$$);
SELECT syncmaster_tsquery($$\$$);
SELECT syncmaster_tsquery($$\'$$);
-- no words at all
SELECT syncmaster_tsquery('');
SELECT syncmaster_tsquery('   ');
SELECT syncmaster_tsquery('?!');
SELECT syncmaster_tsquery(NULL) IS NULL AS is_null;
-- words too long for a query
SELECT length(syncmaster_tsquery(repeat('x', 2046))::text);
SELECT length(syncmaster_tsquery(repeat('x', 2048))::text);
SELECT syncmaster_tsquery('data ' || repeat('x', 1024 * 1024));
-- configurations of the same name elsewhere do not matter
CREATE TEXT SEARCH CONFIGURATION simple (COPY = pg_catalog.english);
CREATE TEXT SEARCH CONFIGURATION russian (COPY = pg_catalog.simple);
SET search_path = public, pg_catalog;
SELECT syncmaster_tsquery('the tables');
RESET search_path;
-- true to what it calls, and documented
SELECT provolatile, proisstrict, proparallel, prorettype::regtype,
    obj_description(oid, 'pg_proc') <> '' AS described
FROM pg_proc WHERE oid = 'public.syncmaster_tsquery(text)'::regprocedure;
