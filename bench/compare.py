"""Run what the services do on upstream's schema and on ours, and count."""

import asyncio
import itertools
import warnings
from collections import namedtuple

from counters import Counters, short_name
from operations import DELETES, READS, choose_subjects
from services import Services
from writes import WRITES

# What is inserted into a GIN index is sorted in later, by the one who fills up
# the list of what waits, or by autovacuum.
MERGE = """
    SELECT sum(gin_clean_pending_list(c.oid)) FROM pg_class c JOIN pg_am a ON a.oid = relam
    WHERE amname = 'gin'
"""

# Short names of statements that a write makes on its way and that are no writes.
READING = ("SELECT", "count", "is there")

# of an operation; of each database, the list of its statements as counters has them
Count = namedtuple("Count", "kind operation statements")

# of one statement of an operation; upstream's figures and ours are lists of
# milliseconds, buffers, records of WAL
Result = namedtuple("Result", "kind operation statement query calls upstream ours")

warnings.simplefilter("ignore")


def pair_up(counts):
    """Results of every statement of the operations that were counted.

    Both databases got the same statements; a cascade's own are in the numbers
    of the statement that set it off."""
    results = []
    for kind, operation, both in counts:
        queries = [statement.query for statement in both[0]]
        if queries != [statement.query for statement in both[1]]:
            raise RuntimeError(f"{operation}: the databases got different statements")
        results += [
            Result(
                kind, operation, short_name(one.query), one.query, one.calls,
                [one.ms, one.buffers, one.wal_records],
                [other.ms, other.buffers, other.wal_records],
            )
            for one, other in zip(*both)
            if kind != "write" or not short_name(one.query).startswith(READING)
        ]
    return results


def last_and_best(turns):
    """Statements of the last turn, with the best time of all turns."""
    best = {}
    for statement in itertools.chain(*turns):
        best[statement.query] = min(
            statement.ms, best.get(statement.query, statement.ms))
    return [statement._replace(ms=best[statement.query]) for statement in turns[-1]]


def compare_in_turns(server, upstream, ours, rounds, writes):
    """Two databases with the same rows."""
    measured = Measurement(server, [upstream, ours], choose_subjects(server, upstream))
    return pair_up(
        measured.reads(rounds) + measured.deletes(rounds) + measured.writes(writes)
    )


def compare_in_place(server, database, change, rounds):
    """One database before and after a change; nothing is committed, or it would
    not have the same rows."""
    measured = Measurement(server, [database], choose_subjects(server, database))
    phases = []
    for step in (None, change):
        if step:
            step()
        phases.append(measured.reads(rounds) + measured.deletes(rounds))
    return pair_up(
        Count(before.kind, before.operation, before.statements + after.statements)
        for before, after in zip(*phases)
    )


class Measurement:
    """Of databases with the same rows, which take turns."""

    def __init__(self, server, databases, subjects):
        self.server = server
        self.databases = databases
        self.subjects = subjects
        self.counters = Counters(server)

    def reads(self, rounds):
        return asyncio.run(self.each(
            lambda services: self.repeat(services, "read", READS, rounds), False
        ))

    def deletes(self, rounds):
        return asyncio.run(self.each(
            lambda services: self.repeat(services, "delete", DELETES, rounds), False
        ))

    def writes(self, count):
        return asyncio.run(self.each(
            lambda services: self.write(services, count), True
        ))

    async def each(self, function, commit):
        services = []
        try:
            for database in self.databases:
                services.append(Services(self.server.url(database), commit))
            return await function(services)
        finally:
            for one in services:
                await one.close()

    async def count(self, services, database, function, *arguments):
        self.counters.reset()
        await function(services, self.subjects, *arguments)
        return self.counters.read(database)

    async def repeat(self, services, kind, operations, rounds):
        """Buffers of the last round, which finds everything warm, and the best
        time of all: what else the machine does only adds."""
        counts = []
        for name, (user, function) in operations.items():
            if user is not None:
                for one in services:
                    await one.log_in(getattr(self.subjects, user))
            turns = [[] for _ in self.databases]
            for _ in range(rounds + 1):
                for i, database in enumerate(self.databases):
                    turns[i].append(await self.count(services[i], database, function))
            counts.append(Count(kind, name, [last_and_best(of_one) for of_one in turns]))
        return counts

    async def write(self, services, count):
        """Sums over count turns, without the first, after which the cache of
        plans and a sequence's values are there."""
        counts = []
        new = [{} for _ in self.databases]
        for one in services:
            await one.log_in(self.subjects.superuser)
        for name, function, made in WRITES:
            statements = []
            for i, database in enumerate(self.databases):
                self.subjects.new = new[i]
                ids = new[i].setdefault(made, [])
                for turn in range(count + 1):
                    if turn == 1:
                        self.server.query(database, MERGE)
                        self.counters.execute("CHECKPOINT")
                        self.counters.reset()
                    ids.append(await function(services[i], self.subjects, turn))
                self.server.query(database, MERGE)
                statements.append(self.counters.read(database))
                await services[i].log_in(self.subjects.superuser)
            counts.append(Count("write", name, statements))
        return counts
