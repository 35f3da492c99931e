"""Run what the services do on both databases, in turns, and count."""

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

# of one statement of an operation; upstream's figures and ours are lists of
# milliseconds, buffers, records of WAL
Result = namedtuple("Result", "kind operation statement query calls upstream ours")

warnings.simplefilter("ignore")


def pair_up(kind, operation, both):
    """Results of the statements of an operation, from what was counted.

    Both databases got the same statements; a cascade's own are in the numbers
    of the statement that set it off."""
    queries = [statement.query for statement in both[0]]
    if queries != [statement.query for statement in both[1]]:
        raise RuntimeError(f"{operation}: the databases got different statements")
    return [
        Result(
            kind, operation, short_name(one.query), one.query, one.calls,
            [one.ms, one.buffers, one.wal_records],
            [other.ms, other.buffers, other.wal_records],
        )
        for one, other in zip(*both)
    ]


class Comparison:
    """Of two databases with the same rows."""

    def __init__(self, server, upstream, ours):
        self.server = server
        self.databases = [upstream, ours]
        self.counters = Counters(server)
        self.subjects = choose_subjects(server, upstream)

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

    async def reads(self, rounds):
        return await self.each(
            lambda services: self.repeat(services, "read", READS, rounds), False
        )

    async def deletes(self, rounds):
        return await self.each(
            lambda services: self.repeat(services, "delete", DELETES, rounds), False
        )

    async def repeat(self, services, kind, operations, rounds):
        """Buffers of the last round, which finds everything warm, and the best
        time of all: what else the machine does only adds."""
        results = []
        for name, (user, function) in operations.items():
            if user is not None:
                for one in services:
                    await one.log_in(getattr(self.subjects, user))
            turns = [[], []]
            for _ in range(rounds + 1):
                for i, database in enumerate(self.databases):
                    turns[i].append(await self.count(services[i], database, function))
            last = [
                [
                    statement._replace(ms=min(turn[n].ms for turn in turns[i]))
                    for n, statement in enumerate(turns[i][-1])
                ]
                for i in (0, 1)
            ]
            results += pair_up(kind, name, last)
        return results

    async def writes(self, count):
        return await self.each(lambda services: self.write(services, count), True)

    async def write(self, services, count):
        """Sums over count turns, without the first, after which the cache of
        plans and a sequence's values are there."""
        results = []
        new = [{}, {}]
        for one in services:
            await one.log_in(self.subjects.superuser)
        for name, function, made in WRITES:
            both = []
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
                both.append(self.counters.read(database))
                await services[i].log_in(self.subjects.superuser)
            results += [
                result
                for result in pair_up("write", name, both)
                if not result.statement.startswith(("SELECT", "count", "is there"))
            ]
        return results
