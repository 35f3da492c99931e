"""A PostgreSQL server of our own, or the one that libpq's variables name."""

import os
import shutil
import subprocess
import tempfile

import psycopg2


def pg_config(option):
    program = os.environ.get("PG_CONFIG", "pg_config")
    return subprocess.check_output([program, option], text=True).strip()


class Server:
    def __init__(self, folder=None):
        self.started = None
        self.temporary = None
        self.folder = folder
        if "PGHOST" in os.environ:
            self.bindir = ""
            return
        self.bindir = pg_config("--bindir")
        if folder is None:
            self.temporary = self.folder = tempfile.mkdtemp(prefix="sm-bench.")
        self.folder = os.path.abspath(self.folder)
        self.data = os.path.join(self.folder, "data")
        if not os.path.isdir(self.data):
            self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                     "-E", "UTF8", "--locale=C.UTF-8")
        os.environ.update(PGHOST=self.folder, PGPORT="54329", PGUSER="postgres")

    def program(self, name):
        return os.path.join(self.bindir, name)

    def run(self, name, *arguments, **options):
        """Run one of PostgreSQL's programs; returns what it printed."""
        done = subprocess.run(
            [self.program(name), *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, **options
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {done.stdout}")
        return done.stdout

    def use(self, **settings):
        """Start it, or again, with the defaults but for these settings."""
        if not self.folder:
            return
        self.stop()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "shared_preload_libraries": "pg_stat_statements",
            "pg_stat_statements.track_utility": "off",
            "autovacuum": "off",
            **settings,
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self.run("pg_ctl", "-D", self.data, "-l", os.path.join(self.folder, "log"),
                 "-o", options, "-w", "-t", "300", "start")
        self.started = True

    def stop(self):
        if self.started:
            self.run("pg_ctl", "-D", self.data, "-w", "-t", "300", "-m", "fast", "stop")
            self.started = None

    def close(self):
        self.stop()
        if self.temporary:
            shutil.rmtree(self.temporary)

    def connect(self, database):
        connection = psycopg2.connect(dbname=database)
        connection.autocommit = True
        return connection

    def query(self, database, sql):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def url(self, database):
        return (
            f"postgresql+asyncpg://{os.environ.get('PGUSER', 'postgres')}@/{database}"
            f"?host={os.environ['PGHOST']}&port={os.environ.get('PGPORT', '5432')}"
        )
