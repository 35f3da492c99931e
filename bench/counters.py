"""What the server counted for each statement: pg_stat_statements."""

from collections import namedtuple

# of all calls of one statement; buffers that were found or read
Statement = namedtuple("Statement", "query calls ms buffers wal_records")


class Counters:
    """Needs pg_stat_statements in shared_preload_libraries; connects to another
    database than those that are measured."""

    def __init__(self, server):
        self.connection = server.connect("postgres")
        self.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def execute(self, sql, *parameters):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    def reset(self):
        self.execute("SELECT pg_stat_statements_reset()")

    def read(self, database):
        """Statements of a database since the reset, except those that only
        begin and end transactions and name settings."""
        return [
            Statement(*row)
            for row in self.execute(
                """
                SELECT query, sum(calls)::int, sum(total_exec_time),
                    sum(shared_blks_hit + shared_blks_read
                        + local_blks_hit + local_blks_read)::bigint,
                    sum(wal_records)::bigint
                FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                WHERE datname = %s
                    AND query ~* '^(select|insert|update|delete|with)'
                    AND query !~ 'pg_catalog\\.|current_schema|standard_conforming'
                GROUP BY query ORDER BY query COLLATE "C"
                """,
                database,
            )
        ]


def short_name(query):
    """A statement in two or three words: SELECT run, count of run."""
    if "gin_clean_pending_list" in query:
        return "merge of GIN's pending lists"
    words = query.replace('"', "").replace("(", " ").split()
    verb = words[0].upper()
    after = {"INSERT": "INTO", "UPDATE": "UPDATE", "DELETE": "FROM"}
    upper = [word.upper() for word in words]
    if verb == "SELECT":
        # a count is taken of a subquery: its table comes second
        froms = [i for i, word in enumerate(upper) if word == "FROM"]
        tables = [words[i + 1] for i in froms if i + 1 < len(words)]
        tables = [table for table in tables if table.upper() != "SELECT"]
        if words[1].lower() == "count":
            return f"count of {tables[0] if tables else '?'}"
        if words[1].upper() == "EXISTS":
            return f"is there a {tables[0] if tables else '?'}"
        return f"SELECT {tables[0] if tables else '?'}"
    return f"{verb} {words[upper.index(after[verb]) + 1]}"
