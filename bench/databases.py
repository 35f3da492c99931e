"""The databases that are compared: the same rows, in the same places, under
upstream's schema and under ours."""

import os
import subprocess
import sys

from services import TOKEN, environment

HERE = os.path.dirname(os.path.abspath(__file__))


def alembic(server, database, *arguments):
    """Run the real migrations, as SyncMaster's documentation says."""
    done = subprocess.run(
        [sys.executable, "-m", "syncmaster.db.migrations", *arguments],
        cwd="/", env={**os.environ, **environment(server.url(database))},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout)


def exists(server, database):
    return bool(
        server.query(
            "postgres", f"SELECT 1 FROM pg_database WHERE datname = '{database}'"
        )
    )


def drop(server, database):
    server.query("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def copy(server, database, template):
    """The files of the template, not its pages one by one through WAL."""
    version = int(server.query("postgres", "SHOW server_version_num")[0][0])
    strategy = " STRATEGY file_copy" if version >= 150000 else ""
    drop(server, database)
    server.query(
        "postgres", f"CREATE DATABASE {database} TEMPLATE {template}{strategy}"
    )


def name(scale, purpose):
    """Of a database with a data set."""
    return f"bench_{scale}_{purpose}".replace(".", "_")


def at_0011(server, scale):
    """Name of the database with the data set at revision 0011; made once."""
    database = name(scale, "0011")
    if exists(server, database):
        return database
    new = f"{database}_new"
    drop(server, new)
    server.query("postgres", f"CREATE DATABASE {new} TEMPLATE template0")
    alembic(server, new, "upgrade", "0011")
    server.run("psql", "-qX", "-d", new, "-v", f"scale={scale}",
               "-v", f"token={TOKEN}", "-f", os.path.join(HERE, "data.sql"))
    server.query(new, "VACUUM ANALYZE")
    server.query("postgres", f"ALTER DATABASE {new} RENAME TO {database}")
    return database


def upstream(server, scale):
    return to_head(server, copy_of_0011(server, scale, "upstream"))


def ours(server, scale):
    database = to_ours(server, copy_of_0011(server, scale, "ours"))
    server.query(database, "ANALYZE")
    return database


def in_place(server, scale):
    """Upstream's schema in the data set itself, which is not kept."""
    database = name(scale, "in_place")
    drop(server, database)
    server.query(
        "postgres", f"ALTER DATABASE {at_0011(server, scale)} RENAME TO {database}"
    )
    return to_head(server, database)


def copy_of_0011(server, scale, purpose):
    database = name(scale, purpose)
    copy(server, database, at_0011(server, scale))
    return database


def to_head(server, database):
    alembic(server, database, "upgrade", "head")
    server.query(database, "VACUUM ANALYZE")
    return database


def to_ours(server, database):
    """With the statistics that there are, if tables are not written anew."""
    server.query(database, "CREATE EXTENSION syncmaster")
    server.query(database, "VACUUM")
    return database
