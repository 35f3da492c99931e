\echo Use "ALTER EXTENSION syncmaster UPDATE" to load this file. \quit
