"""Dump and restore, with and without the extension, in turns."""

import os
import shutil
import statistics
import time

import databases
from upgrade import cpu_used


def without_extension(server, database):
    """Upstream's schema, and nothing else."""
    if server.query(database, "SELECT 1 FROM pg_extension WHERE extname = 'syncmaster'"):
        server.query(database, "SELECT syncmaster_drop_indexes()")
        server.query(database, "DROP EXTENSION syncmaster")
        server.query(database, "DROP SCHEMA IF EXISTS syncmaster_history CASCADE")


def with_extension(server, database):
    server.query(
        database, "SET syncmaster.create_indexes = off; CREATE EXTENSION syncmaster"
    )


def with_indexes(server, database):
    server.query(database, "SELECT syncmaster_create_indexes()")


# each goes on from the one before
METHODS = {
    "without the extension": without_extension,
    "with it": with_extension,
    "with it and the extra indexes": with_indexes,
}


def timed(function, *arguments):
    started = time.monotonic()
    function(*arguments)
    return time.monotonic() - started


def round_trip(server, database, folder):
    dump = os.path.join(folder, "bench_dump")
    shutil.rmtree(dump, ignore_errors=True)
    cpu = cpu_used(server)
    figures = {
        "dump": timed(server.run, "pg_dump", "-Fd", "-j2", "-Z0", "-f", dump, "-d", database)
    }
    databases.copy(server, "bench_restored", "template0")
    server.query("postgres", "CHECKPOINT")
    figures["restore"] = timed(
        server.run, "pg_restore", "-j2", "-d", "bench_restored", dump
    )
    databases.drop(server, "bench_restored")
    shutil.rmtree(dump)
    figures["both"] = figures["dump"] + figures["restore"]
    figures["processors"] = cpu_used(server) - cpu
    return figures


def compare(server, scale, rounds, folder):
    database = "bench_backup"
    databases.copy(server, database, databases.at_0011(server, scale))
    databases.alembic(server, database, "upgrade", "head")
    turns = {name: [] for name in METHODS}
    for _ in range(rounds):
        for name, prepare in METHODS.items():
            prepare(server, database)
            turns[name].append(round_trip(server, database, folder))
    databases.drop(server, database)
    return {
        name: {
            key: statistics.median(turn[key] for turn in of_method)
            for key in of_method[0]
        }
        for name, of_method in turns.items()
    }
