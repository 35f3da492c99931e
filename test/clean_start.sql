-- The database as pg_regress made it, whatever ran in it before.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS syncmaster, pg_trgm CASCADE;
DROP SCHEMA IF EXISTS public, elsewhere, syncmaster_history CASCADE;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
-- messages of steps that take more than a second, on a slow machine
SET syncmaster.progress = off;
