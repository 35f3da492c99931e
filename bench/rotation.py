#!/usr/bin/env python3
"""Rotation of credentials, against a plain UPDATE of the same rows and against
Python: row by row, as an application does it, and in batches of 1000.

    bench/rotation.py [--rows 200000] [--rounds 5] [--python-rows 10000]

Needs a server with the extension's files, by libpq's variables (PGHOST, …), as
a superuser; asyncpg and cryptography, as in SyncMaster's virtual environment;
and to be run as the server's operating system user, who has to own key files.
Works in a database of its own, which is dropped afterwards.

All are measured in turns in one run, each on a freshly rewritten table after a
checkpoint.  Times are those of the whole statement; "cpu" is what the server's
process used, where /proc shows it.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time

import asyncpg
from cryptography.fernet import Fernet, MultiFernet

DATABASE = "syncmaster_bench_rotation"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / TICKS


class Bench:
    def __init__(self, connection, directory, rows):
        self.connection = connection
        self.pid = connection.get_server_pid()
        self.directory = directory
        self.rows = rows
        self.keys = [Fernet.generate_key() for _ in range(2)]
        self.current = 0
        for number, key in enumerate(self.keys):
            path = os.path.join(directory, f"{number}.key")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(key + b"\n")

    async def use_keys(self, primary, previous):
        for name, number in (("secret_key_file", primary),
                             ("previous_secret_key_file", previous)):
            path = os.path.join(self.directory, f"{number}.key")
            await self.connection.execute(f"SET syncmaster.{name} = '{path}'")

    async def fill(self):
        execute = self.connection.execute
        await execute("CREATE EXTENSION syncmaster")
        await self.use_keys(0, 1)
        await execute(
            """
            INSERT INTO "user" (id, username, is_superuser, is_active)
                VALUES (1, 'user', false, true);
            INSERT INTO "group" (id, name, description, owner_id)
                VALUES (1, 'group', '', 1)
            """
        )
        await execute(
            f"""
            INSERT INTO connection (id, group_id, type, name, description, data)
            SELECT g, 1, 'postgres', 'connection ' || g, '', '{{}}'
            FROM generate_series(1, {self.rows}) g
            """
        )
        await execute(
            """
            INSERT INTO auth_data (connection_id, value)
            SELECT id, syncmaster_encrypt(jsonb_build_object('type', 'basic',
                'user', 'user' || id, 'password', md5(id::text)))
            FROM connection
            """
        )
        await execute("ANALYZE")

    async def measure(self, action):
        await self.connection.execute("VACUUM FULL auth_data")
        await self.connection.execute("CHECKPOINT")
        cpu = cpu_seconds(self.pid)
        started = time.perf_counter()
        await action()
        return time.perf_counter() - started, cpu_seconds(self.pid) - cpu

    async def rotate(self):
        self.current = 1 - self.current
        await self.use_keys(self.current, 1 - self.current)
        count = await self.connection.fetchval(
            "SELECT re_encrypted FROM syncmaster_rotate_credentials()"
        )
        assert count == self.rows, count

    async def plain(self):
        status = await self.connection.execute("UPDATE auth_data SET value = value")
        assert status == f"UPDATE {self.rows}", status

    async def python(self, rows, batch):
        """Seconds for each row; back to the key where they were afterwards."""
        old, new = self.keys[self.current], self.keys[1 - self.current]
        fernet = MultiFernet([Fernet(new), Fernet(old)])
        connection = self.connection
        started = time.perf_counter()
        async with connection.transaction():
            ids = await connection.fetch(
                "SELECT connection_id FROM auth_data ORDER BY 1 LIMIT $1", rows
            )
            ids = [row[0] for row in ids]
            for first in range(0, rows, batch):
                some = ids[first : first + batch]
                tokens = await connection.fetch(
                    "SELECT connection_id, value FROM auth_data"
                    " WHERE connection_id = ANY ($1)",
                    some,
                )
                changed = [(row[0], fernet.rotate(row[1]).decode()) for row in tokens]
                if batch == 1:
                    await connection.execute(
                        "UPDATE auth_data SET value = $2 WHERE connection_id = $1",
                        *changed[0],
                    )
                else:
                    await connection.execute(
                        "UPDATE auth_data SET value = n.value"
                        " FROM unnest($1::bigint[], $2::text[]) AS n (id, value)"
                        " WHERE connection_id = n.id",
                        [row[0] for row in changed],
                        [row[1] for row in changed],
                    )
        seconds = (time.perf_counter() - started) / rows
        await self.connection.execute("SELECT syncmaster_rotate_credentials()")
        return seconds


def report(bench, rotations, plains, row_by_row, batches):
    def line(name, wall, cpu=None):
        text = f"{name:34} {wall:9.3f} s"
        print(text if cpu is None else f"{text}   cpu {cpu:7.3f} s")

    walls = [statistics.median(sample[0] for sample in samples)
             for samples in (rotations, plains)]
    cpus = [statistics.median(sample[1] for sample in samples)
            for samples in (rotations, plains)]
    rows = bench.rows
    line("syncmaster_rotate_credentials()", walls[0], cpus[0])
    line("plain UPDATE", walls[1], cpus[1])
    line("Python, row by row", row_by_row * rows)
    line("Python, batches of 1000", batches * rows)
    turns = [rotation[0] / plain[0] for rotation, plain in zip(rotations, plains)]
    print(f"rotation / plain UPDATE            {walls[0] / walls[1]:9.2f}"
          f"     cpu {cpus[0] / cpus[1]:7.2f}   turn by turn "
          + " ".join(f"{turn:.2f}" for turn in turns))
    print(f"Python row by row / rotation       {row_by_row * rows / walls[0]:9.1f}")
    print(f"Python in batches / rotation       {batches * rows / walls[0]:9.1f}")


async def run(options):
    admin = await asyncpg.connect(database="postgres")
    await admin.execute(f"CREATE DATABASE {DATABASE}")
    try:
        connection = await asyncpg.connect(database=DATABASE)
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(connection, directory, options.rows)
            await bench.fill()
            rotations = []
            plains = []
            for _ in range(options.rounds):
                rotations.append(await bench.measure(bench.rotate))
                plains.append(await bench.measure(bench.plain))
            count = min(options.python_rows, options.rows)
            row_by_row = await bench.python(count, 1)
            batches = await bench.python(count, 1000)
            version = await connection.fetchval("SHOW server_version")
            print(f"PostgreSQL {version}, {options.rows} rows, "
                  f"{options.rounds} rounds, Python on {count} rows")
            report(bench, rotations, plains, row_by_row, batches)
        await connection.close()
    finally:
        await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        await admin.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python-rows", type=int, default=10000)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
