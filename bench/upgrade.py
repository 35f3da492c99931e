"""The upgrade 0011 -> 0013, by Alembic and by the extension, in turns."""

import os
import resource
import statistics
import threading
import time
from collections import namedtuple

import databases

LOCKED = ("connection", "transfer", "queue", "group")
TICKS = os.sysconf("SC_CLK_TCK")

# seconds: of the whole command, of processors used by the client and the server,
# and from the first to the last moment when readers of a table were kept out
Upgrade = namedtuple("Upgrade", "wall cpu locked")


class LockWatch(threading.Thread):
    """Looks every few milliseconds who keeps readers off which table."""

    def __init__(self, server, database):
        super().__init__()
        self.connection = server.connect(database)
        self.ended = threading.Event()
        self.spans = {}

    def run(self):
        with self.connection.cursor() as cursor:
            while not self.ended.is_set():
                cursor.execute(
                    """
                    SELECT relname FROM pg_locks l JOIN pg_class c ON c.oid = relation
                    WHERE mode = 'AccessExclusiveLock' AND granted AND database =
                        (SELECT oid FROM pg_database WHERE datname = current_database())
                    """
                )
                now = time.monotonic()
                for (name,) in cursor.fetchall():
                    first, _ = self.spans.get(name, (now, now))
                    self.spans[name] = (first, now)
                time.sleep(0.02)

    def stop(self):
        self.ended.set()
        self.join()
        self.connection.close()
        return {
            name: self.spans[name][1] - self.spans[name][0] if name in self.spans else 0
            for name in LOCKED
        }


def cpu_used(server):
    """By ended processes of ours and of the server, where /proc tells."""
    connection = server.connect("postgres")
    try:
        # a server process's parent is the server
        with open(f"/proc/{connection.info.backend_pid}/stat", encoding="ascii") as stat:
            parent = stat.read().rsplit(")", 1)[1].split()[1]
        with open(f"/proc/{parent}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    finally:
        connection.close()
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (int(fields[13]) + int(fields[14])) / TICKS + ours.ru_utime + ours.ru_stime


def by_alembic(server, database):
    databases.alembic(server, database, "upgrade", "head")


def by_extension(server, database):
    server.run("psql", "-qX", "-d", database, "-v", "ON_ERROR_STOP=1", "-c",
               "SET syncmaster.create_indexes = off", "-c", "CREATE EXTENSION syncmaster")


def without_vectors(server, database):
    server.run("psql", "-qX", "-d", database, "-v", "ON_ERROR_STOP=1", "-c",
               "SET syncmaster.create_indexes = off", "-c",
               "SET syncmaster.precompute_vectors = off", "-c",
               "CREATE EXTENSION syncmaster")


def with_indexes(server, database):
    server.run("psql", "-qX", "-d", database, "-c", "CREATE EXTENSION syncmaster")


METHODS = {
    "Alembic": by_alembic,
    "extension": by_extension,
    "extension, vectors by ALTER TABLE": without_vectors,
    "extension, with the extra indexes": with_indexes,
}


def wait_until_gone(server, database):
    """A process counts for the server's once that has seen it end."""
    while server.query(
        "postgres", f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database}'"
    ):
        time.sleep(0.01)
    time.sleep(0.5)


def measure(server, template, method, watched=True):
    database = "bench_upgrade"
    databases.copy(server, database, template)
    server.query("postgres", "CHECKPOINT")
    # what a service would have in the cache, and what the files' copy has not
    for table in LOCKED:
        server.query(database, f'SELECT count(*) FROM "{table}" t WHERE t IS NOT NULL')
    watch = LockWatch(server, database) if watched else None
    cpu = cpu_used(server)
    started = time.monotonic()
    if watch:
        watch.start()
    method(server, database)
    wall = time.monotonic() - started
    locked = watch.stop() if watch else None
    wait_until_gone(server, database)
    cpu = cpu_used(server) - cpu
    databases.drop(server, database)
    return Upgrade(wall, cpu, locked)


def compare(server, scale, rounds):
    """Median of the rounds for each method."""
    template = databases.at_0011(server, scale)
    turns = {name: [] for name in METHODS}
    for _ in range(rounds):
        for name, method in METHODS.items():
            turns[name].append(measure(server, template, method))
    return {
        name: Upgrade(
            statistics.median(turn.wall for turn in of_method),
            statistics.median(turn.cpu for turn in of_method),
            {
                table: statistics.median(turn.locked[table] for turn in of_method)
                for table in LOCKED
            },
        )
        for name, of_method in turns.items()
    }


def install(server, rounds):
    """Seconds of the whole process on an empty database, in turns.

    All databases are dropped at the end: ext4 makes new files slowly while it keeps
    from using what was deleted in the last half minute."""
    turns = {"Alembic": [], "extension": []}
    made = []
    try:
        for _ in range(rounds):
            for name in turns:
                database = f"bench_install_{len(made)}"
                made.append(database)
                databases.copy(server, database, "template0")
                cpu = cpu_used(server)
                started = time.monotonic()
                if name == "Alembic":
                    by_alembic(server, database)
                else:
                    with_indexes(server, database)
                wall = time.monotonic() - started
                wait_until_gone(server, database)
                turns[name].append((wall, cpu_used(server) - cpu))
    finally:
        for database in made:
            databases.drop(server, database)
    return {
        name: {
            "whole": statistics.median(wall for wall, _ in of_method),
            "processors": statistics.median(cpu for _, cpu in of_method),
        }
        for name, of_method in turns.items()
    }
