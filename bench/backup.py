"""Dump and restore, with and without the extension, in turns."""

import os
import shutil
import statistics
import time

import databases


def without_extension(server, database):
    """Upstream's schema, and nothing else."""
    databases.alembic(server, database, "upgrade", "head")


def with_extension(server, database):
    without_extension(server, database)
    server.query(
        database, "SET syncmaster.create_indexes = off; CREATE EXTENSION syncmaster"
    )


def with_indexes(server, database):
    without_extension(server, database)
    server.query(database, "CREATE EXTENSION syncmaster")


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
    return figures


def compare(server, scale, rounds, folder):
    template = databases.at_0011(server, scale)
    turns = {}
    for number, (name, prepare) in enumerate(METHODS.items()):
        databases.copy(server, f"bench_backup_{number}", template)
        prepare(server, f"bench_backup_{number}")
        turns[name] = []
    for _ in range(rounds):
        for number, name in enumerate(METHODS):
            turns[name].append(round_trip(server, f"bench_backup_{number}", folder))
    for number in range(len(METHODS)):
        databases.drop(server, f"bench_backup_{number}")
    return {
        name: {
            key: statistics.median(turn[key] for turn in of_method)
            for key in of_method[0]
        }
        for name, of_method in turns.items()
    }
