#!/usr/bin/python3
"""Follow a new release of SyncMaster: facts and first drafts for its revisions.

    tools/follow.py VENV

VENV is a virtual environment with the release of data-syncmaster.  Its own
migrations run on a scratch server, one revision after the other, from the newest
one that test/facts has.  For each revision past that this writes

    test/facts/rev-00NN.json            the catalogue after it
    migrations/syncmaster--…            drafts of the scripts, up and down
    src/schema/revision_00NN.c          a draft of what the library knows of it

names the revision in src/schema/revision_list.c, sets the version in
syncmaster.control and META.json, and prints what changed, what no draft says, and
the places that a person completes.  PG_CONFIG names the PostgreSQL to use; root
runs the server as the user postgres.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FACTS = ROOT / "test/facts"
LIST = ROOT / "src/schema/revision_list.c"

# The lists of values in the flat form of test/perl/SyncmasterCatalog.pm.
RELATION = "kind persistence reloptions rls replident comment".split()
COLUMN = ("name type notnull default generated generated_kind identity collation "
          "storage compression comment").split()
CONSTRAINT = "type def deferrable deferred validated".split()
INDEX = "def unique primary valid clustered backs_constraint".split()
SEQUENCE = "type start increment min max cache cycle persistence owned_by".split()

TYPES = {"bigint": "INT8OID", "integer": "INT4OID", "smallint": "INT2OID",
         "boolean": "BOOLOID", "character varying": "VARCHAROID",
         "text": "TEXTOID", "json": "JSONOID", "jsonb": "JSONBOID",
         "bytea": "BYTEAOID", "uuid": "UUIDOID", "date": "DATEOID",
         "timestamp with time zone": "TIMESTAMPTZOID",
         "timestamp without time zone": "TIMESTAMPOID",
         "real": "FLOAT4OID", "double precision": "FLOAT8OID",
         "numeric": "NUMERICOID", "tsvector": "TSVECTOROID"}
CONSTRAINTS = {"p": "CONSTRAINT_PRIMARY", "u": "CONSTRAINT_UNIQUE",
               "f": "CONSTRAINT_FOREIGN"}

PLACES = """\
To complete by hand, beside reading each draft:
  migrations/   largest table first, as each stays locked to the end; IF NOT EXISTS for
                what others may have made, such as Celery; rows that have to be changed
  revision_00NN.c   .description, .releases; .needs: what services need of it, seen by
                running them; .by_name: constraints that the application knows by name;
                .repeatable, .foreign_made; .time_column and .purge of a table that grows
  test/python/  "pip freeze" of the environment, which .ci/run names, too
  CHANGELOG.md and debian/changelog   a section each
  doc/schema.md the diagram, printed anew; doc/upgrade-plan.md, what it locks
  test/perl/SyncmasterRows.pm, SampleDatabase.pm   rows for what is new
What names the last version or revision:"""


def die(message):
    sys.exit(f"follow.py: {message}")


class Server:
    """A scratch server of the PostgreSQL that PG_CONFIG names."""

    def __init__(self, folder):
        config = os.environ.get("PG_CONFIG", "pg_config")
        self.bindir = subprocess.run([config, "--bindir"], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip()
        self.folder = folder
        self.user = {}
        if os.getuid() == 0:
            self.user = {"user": "postgres", "group": "postgres"}
            shutil.chown(folder, "postgres")
        self.run("initdb", "-N", "-A", "trust", "-U", "postgres", "-D",
                 f"{folder}/data", "--encoding=UTF8", "--locale=C")
        self.run("pg_ctl", "-w", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o",
                 f"-F -c listen_addresses='' -k {folder}", "start")
        self.keywords = set(self.psql(
            "SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'").split())

    def run(self, program, *arguments, text=None):
        result = subprocess.run(
            [os.path.join(self.bindir, program), *arguments], input=text, text=True,
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            if program == "initdb" else None, check=False, **self.user)
        if result.returncode:
            die(f"{program} failed\n{result.stdout}")
        return result.stdout

    def psql(self, sql):
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                        "-U", "postgres", "-f", "-", "postgres", text=sql)

    def stop(self):
        self.run("pg_ctl", "-w", "-m", "immediate", "-D", f"{self.folder}/data",
                 "stop")


class Alembic:
    """The migrations of the release, in a process that runs one command after the
    other."""

    def __init__(self, venv, folder):
        python = os.path.join(venv, "bin/python")
        if not os.access(python, os.X_OK):
            die(f"{venv} is no virtual environment")
        self.url = f"postgresql+asyncpg://postgres@/postgres?host={folder}"
        # Releases differ in which settings their migrations ask for.
        settings = {"DATABASE__URL": self.url,
                    "BROKER__URL": "amqp://guest:guest@127.0.0.1:1/",
                    "ENCRYPTION__SECRET_KEY": "A" * 43 + "=",
                    "SERVER__SESSION__SECRET_KEY": "session",
                    "SERVER__STATIC_FILES__ENABLED": "false",
                    "AUTH__ACCESS_TOKEN__SECRET_KEY": "token"}
        self.process = subprocess.Popen(
            [python, str(ROOT / "test/python/alembic_session.py")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **{f"SYNCMASTER__{name}": value
                                  for name, value in settings.items()}})
        self.release = subprocess.run(
            [python, "-c", "import importlib.metadata as m; "
             "print(m.version('data-syncmaster'))"], check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()

    def run(self, *arguments):
        print(json.dumps([self.url, *arguments]), file=self.process.stdin, flush=True)
        reply = json.loads(self.process.stdout.readline() or
                           '{"ok": false, "output": "it ended"}')
        if not reply["ok"]:
            die(f"alembic {' '.join(arguments)} failed\n{reply['output']}")
        return reply["output"]

    def revisions(self):
        """Each with its description, the oldest first."""
        lines = re.findall(r"^\S+ -> (\S+)(?: \(head\))?, (.*)$", self.run("history"),
                           re.M)
        return [(revision, text.strip()) for revision, text in reversed(lines)]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


# Facts.

def read_catalog(server):
    """The catalogue in the form of test/facts, as the tests read it."""
    sql = subprocess.run(
        ["perl", "-I", str(ROOT / "test/perl"), "-MSyncmasterCatalog=catalog_sql",
         "-e", "print catalog_sql('public')"], check=True, text=True,
        stdout=subprocess.PIPE).stdout
    result, _ = json.JSONDecoder().raw_decode(server.psql(sql).strip())
    facts = {"tables": {}, "sequences": {}, "functions": [], "types": [],
             "extensions": {}, "alembic_version": re.findall(
                 "<version_num>(.*?)</version_num>", result["revision"] or "")}
    catalog = result["catalog"]
    for path in sorted(catalog, key=lambda path: [
            int(word) if word.isdigit() else word for word in path.split(" ")]):
        kind, name, *rest = path.split(" ")
        value = catalog[path]
        if kind in ("relation", "column", "constraint", "index", "trigger"):
            table = facts["tables"].setdefault(
                name, {"columns": [], "constraints": [], "indexes": [], "triggers": []})
            add_to_table(table, kind, rest, value)
        elif kind == "sequence":
            facts["sequences"][name] = dict(zip(SEQUENCE, value))
        elif kind in ("function", "type"):
            facts[kind + "s"].append(path[len(kind) + 1:])
        elif kind == "extension":
            facts["extensions"][name] = {}
        else:
            die(f"the catalogue has a {path}")
    return facts


def add_to_table(table, kind, rest, value):
    if kind == "relation":
        table.update(zip(RELATION, value))
    elif kind == "column":
        table["columns"].append(dict(zip(COLUMN, value)))
    elif kind == "constraint":
        table["constraints"].append({"name": rest[0], **dict(zip(CONSTRAINT, value))})
    elif kind == "index":
        table["indexes"].append({"name": rest[0], **dict(zip(INDEX, value))})
    else:
        table["triggers"] = value


def facts_path(revision):
    return FACTS / f"rev-{revision}.json"


def write_facts(path, facts):
    path.write_text(json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
                    + "\n", encoding="utf-8")


def flatten(value, path=""):
    if isinstance(value, dict):
        for key in value:
            yield from flatten(value[key], f"{path} {key}".strip())
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for entry in value:
            yield from flatten({key: value for key, value in entry.items()
                                if key != "name"}, f"{path} {entry['name']}")
    else:
        yield path, value


def print_changes(before, after):
    """What is new, gone or different, a line for each thing."""
    old, new = dict(flatten(before)), dict(flatten(after))
    rows = [("what", "before", "after")]
    for path in sorted(old.keys() | new.keys()):
        values = [json.dumps(side[path]) if path in side else ""
                  for side in (old, new)]
        if values[0] != values[1] and set(values) - {"null", "false", '""', "[]", ""}:
            rows.append((path, *values))
    # The facts have the whole of it.
    rows = [(path, *(text if len(text) <= 60 else text[:59] + "…" for text in values))
            for path, *values in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for row in rows:
        print(f"{row[0]:{widths[0]}} | {row[1]:{widths[1]}} | {row[2]}")
    print()


# Drafts of the scripts.

def named(entries):
    return {entry["name"]: entry for entry in entries}


def is_serial(column, table, facts):
    sequence = facts["sequences"].get(f"{table}_{column['name']}_seq")
    return sequence is not None and \
        sequence["owned_by"] == f"{table}.{column['name']} (a)" and \
        (column["default"] or "").startswith("nextval(")


def split_expression(text, separator):
    """Cut at || outside of quotes, as nobody reads longer lines."""
    parts = re.split(r"('(?:[^']|'')*')", text)
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].replace(" || ", separator + "|| ")
    return "".join(parts)


class Script:
    """Statements that lead from one catalogue to another."""

    def __init__(self, before, after, keywords):
        self.before, self.after = before, after
        self.keywords = keywords
        self.statements = []
        self.make()

    def name(self, name):
        if re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in self.keywords:
            return name
        return '"' + name.replace('"', '""') + '"'

    def relation(self, name):
        return "@extschema@." + self.name(name)

    def constraint(self, constraint):
        definition = constraint["def"].replace(" REFERENCES ",
                                               " REFERENCES @extschema@.")
        return f"CONSTRAINT {self.name(constraint['name'])} {definition}"

    def index(self, index):
        return re.sub(r" ON (ONLY )?", lambda match: match[0] + "@extschema@.",
                      index["def"], count=1).replace(
                          " USING ", "\n    USING ", 1).replace(
                              " ON ", "\n    ON ", 1)

    def column(self, column, table):
        text = f"{self.name(column['name'])} "
        if is_serial(column, table, self.after):
            text += {"bigint": "bigserial", "integer": "serial",
                     "smallint": "smallserial"}[column["type"]]
        else:
            text += column["type"]
        if column["notnull"]:
            text += " NOT NULL"
        if column["generated"] is not None:
            expression = split_expression(column["generated"], "\n        ")
            text += f" GENERATED ALWAYS AS (\n        {expression}\n    ) STORED"
        elif column["default"] is not None and not is_serial(column, table,
                                                             self.after):
            text += f" DEFAULT {column['default']}"
        return text

    def make(self):
        old, new = self.before, self.after
        for name in sorted(new["extensions"].keys() - old["extensions"].keys()):
            self.statements.append(f"CREATE EXTENSION IF NOT EXISTS {self.name(name)} "
                                   "SCHEMA @extschema@")
        for name in self.free_sequences(new, old):
            self.statements.append(f"CREATE SEQUENCE {self.relation(name)}")
        for name in self.in_order(new, old):
            self.create_table(name)
        for name in sorted(new["tables"].keys() & old["tables"].keys()):
            self.alter_table(name)
        for name in reversed(self.in_order(old, new)):
            self.statements.append(f"DROP TABLE {self.relation(name)}")
        for name in self.free_sequences(old, new):
            self.statements.append(f"DROP SEQUENCE {self.relation(name)}")
        for name in sorted(old["extensions"].keys() - new["extensions"].keys()):
            self.statements.append(f"DROP EXTENSION IF EXISTS {self.name(name)}")

    @staticmethod
    def free_sequences(here, there):
        return sorted(name for name, sequence in here["sequences"].items()
                      if name not in there["sequences"] and
                      sequence["owned_by"] is None)

    @staticmethod
    def in_order(here, there):
        """Tables that only one has, those that others refer to first."""
        todo = {name: {target.strip('"') for constraint in table["constraints"]
                       for target in re.findall(r' REFERENCES ("[^"]*"|\w+)',
                                                constraint["def"])} - {name}
                for name, table in here["tables"].items()
                if name not in there["tables"]}
        order = []
        while todo:
            free = sorted(name for name in todo if not todo[name] & todo.keys())
            order += free or sorted(todo)
            for name in order:
                todo.pop(name, None)
        return order

    def create_table(self, name):
        table = self.after["tables"][name]
        parts = [self.column(column, name) for column in table["columns"]]
        parts += [self.constraint(constraint) for constraint in
                  sorted(table["constraints"], key=lambda entry:
                         "puf".find(entry["type"]))]
        self.statements.append(f"CREATE TABLE {self.relation(name)} (\n    " +
                               ",\n    ".join(parts) + "\n)")
        self.statements += [self.index(index) for index in table["indexes"]
                            if not index["backs_constraint"]]

    def alter_table(self, name):
        old, new = self.before["tables"][name], self.after["tables"][name]
        lost, gained = named(old["columns"]), named(new["columns"])
        changes, gone = [], set()
        for kind in ("constraints", "indexes"):
            before, after = named(old[kind]), named(new[kind])
            for entry in sorted(before.keys() - after.keys()):
                if kind == "constraints":
                    changes.append(f"DROP CONSTRAINT {self.name(entry)}")
                elif not before[entry]["backs_constraint"]:
                    self.statements.append(f"DROP INDEX {self.relation(entry)}")
        for column in sorted(lost.keys() - gained.keys()):
            changes.append(f"DROP COLUMN {self.name(column)}")
        for column in new["columns"]:
            before = lost.get(column["name"])
            if before is None:
                changes.append(f"ADD COLUMN {self.column(column, name)}")
            elif before["generated"] != column["generated"]:
                gone.add(column["name"])
                changes.append(f"DROP COLUMN {self.name(column['name'])}")
                changes.append(f"ADD COLUMN {self.column(column, name)}")
            else:
                changes += self.alter_column(before, column)
        before, after = named(old["constraints"]), named(new["constraints"])
        changes += [f"ADD {self.constraint(after[entry])}"
                    for entry in sorted(after.keys() - before.keys())]
        if changes:
            self.statements.append(f"ALTER TABLE {self.relation(name)}\n    " +
                                   ",\n    ".join(changes))
        before = named(old["indexes"])
        for index in new["indexes"]:
            columns = set(re.findall(r"\w+", index["def"].split(" USING ", 1)[1]))
            if not index["backs_constraint"] and \
                    (index["name"] not in before or gone & columns):
                self.statements.append(self.index(index))

    def alter_column(self, old, new):
        alter = f"ALTER COLUMN {self.name(new['name'])}"
        if old["type"] != new["type"]:
            yield f"{alter} TYPE {new['type']}"
        if old["notnull"] != new["notnull"]:
            yield f"{alter} {'SET' if new['notnull'] else 'DROP'} NOT NULL"
        if old["default"] != new["default"]:
            yield f"{alter} DROP DEFAULT" if new["default"] is None else \
                f"{alter} SET DEFAULT {new['default']}"

    def text(self, source, target, finish):
        (old, new) = (revision_version(source), revision_version(target))
        command = "ALTER EXTENSION syncmaster UPDATE"
        if not finish:
            command += f" TO '{new}'"
        script = f'\\echo Use "{command}" to load this file. \\quit\n\n'
        script += f"SELECT @extschema@.syncmaster_migrate('{source}', '{target}', $ddl$\n"
        script += "".join(f"{statement};\n" for statement in self.statements)
        script += "$ddl$);\n"
        if finish:
            script += f"\nSELECT @extschema@.syncmaster_finish_script('{new}');\n"
        path = ROOT / f"migrations/syncmaster--{old}--{new}.sql"
        path.write_text(script, encoding="utf-8")
        return path


def revision_version(revision):
    return f"1.{int(revision)}"


# A draft of the revision's file.

def c_string(text):
    pieces = [piece.replace("\\", "\\\\").replace('"', '\\"') for piece in
              split_expression(text, "\n").split("\n")]
    return " ".join(f'"{piece} "' for piece in pieces[:-1]) + f' "{pieces[-1]}"'


class Draft:
    """What the library has to know of a revision, in C; what cannot be said in
    that form goes to "left"."""

    def __init__(self, revision, description, release, before, after):
        self.revision, self.description = revision, description
        self.release = release
        self.before, self.after = before, after
        self.left = []
        self.text = ""
        self.fields = []

    def column(self, column, table):
        match = re.fullmatch(r"(.*?)(?:\((\d+)\))?", column["type"])
        oid, length = TYPES.get(match[1]), match[2] or "0"
        where = f"column {table}.{column['name']}"
        if oid is None:
            self.left.append(f"{where}: type {column['type']}")
            oid = "InvalidOid"
        filled = "DEFAULT_NONE"
        if is_serial(column, table, self.after):
            filled = "DEFAULT_SERIAL"
        elif column["generated"] is not None:
            filled = "DEFAULT_GENERATED"
            if column["name"] != "search_vector":
                self.left.append(f"{where}: it is generated")
        elif column["default"] == "now()":
            filled = "DEFAULT_NOW"
        elif column["default"] is not None:
            self.left.append(f"{where}: default {column['default']}")
        null = "true" if column["notnull"] else "false"
        return f'{{"{column["name"]}", {oid}, {length}, {null}, {filled}}}'

    def array(self, declaration, field, entries):
        if entries:
            self.text += f"static const {declaration}[] = {{\n" + \
                ",\n".join(entries) + ",\n{0}};\n\n"
            self.fields.append(f".{field} = {field},\n")

    def relations(self, tables):
        entries = []
        for name in Script.free_sequences(self.after, self.before):
            entries.append(f'{{.name = "{name}", .kind = RELKIND_SEQUENCE, .ids_of = ""}}')
            self.left.append(f"sequence {name}: .ids_of, the table that it is for")
        for name in tables:
            columns = [self.column(column, name) for column in
                       self.after["tables"][name]["columns"]]
            self.text += f"static const ColumnInfo {name}_columns[] = {{\n" + \
                ",\n".join(columns) + ",\nEND_OF_COLUMNS};\n\n"
            entries.append(f'{{.name = "{name}", .kind = RELKIND_RELATION, '
                           f".columns = {name}_columns}}")
        return entries

    def constraint(self, table, entry):
        match = re.fullmatch(
            r"(?:PRIMARY KEY|UNIQUE) \((?P<key>[^()]*)\)|FOREIGN KEY "
            r'\((?P<column>[^()]*)\) REFERENCES (?P<parent>"[^"]*"|\w+)\(id\) '
            "ON DELETE CASCADE", entry["def"])
        if match is None:
            self.left.append(f"constraint {entry['name']}: {entry['def']}")
            return None
        parent = match["parent"]
        parent = f', .parent = "{parent.strip(chr(34))}"' if parent else ""
        columns = (match["key"] or match["column"]).replace('"', '\\"')
        return (f'{{.table = "{table}", .name = "{entry["name"]}", '
                f".type = {CONSTRAINTS[entry['type']]}, "
                f'.columns = "{columns}"{parent}}}')

    def index(self, table, entry):
        unique = ".unique = true, " if entry["unique"] else ""
        method = entry["def"].split(" USING ", 1)[1].replace('"', '\\"')
        return (f'{{.table = "{table}", .name = "{entry["name"]}", {unique}'
                f'.method = "{method}"}}')

    def vector(self, table, column):
        code = re.sub(r"'(?:[^']|'')*'", "", column["generated"])
        inputs = ", ".join(f'"{entry["name"]}"' for entry in
                           self.after["tables"][table]["columns"]
                           if re.search(rf"\b{entry['name']}\b", code))
        return (f'{{.table = "{table}", .inputs = {{{inputs}}},\n\t .expression = '
                f"{c_string(column['generated'])}}}")

    def note_lost(self):
        """A revision's file says what is added, not what goes."""
        lost = dict(flatten(self.before)).keys() - dict(flatten(self.after)).keys()
        things = {" ".join(path.split(" ")[:4]) for path in lost
                  if path.startswith("tables ")}
        self.left += [f"gone: {thing}" for thing in sorted(things)]

    def write(self):
        created = Script.in_order(self.after, self.before)
        changes, constraints, indexes, vectors = [], [], [], []
        relations = self.relations(created)
        for name in created + sorted(self.after["tables"].keys() &
                                     self.before["tables"].keys()):
            table = self.after["tables"][name]
            old = self.before["tables"].get(
                name, {"columns": [], "constraints": [], "indexes": []})
            columns = named(old["columns"])
            for column in table["columns"]:
                before = columns.get(column["name"])
                if column["name"] == "search_vector" and column["generated"] and \
                        (before or {}).get("generated") != column["generated"]:
                    vectors.append(self.vector(name, column))
                elif name not in created and before != column:
                    changes.append(f'{{"{name}", {self.column(column, name)}}}')
            constraints += [self.constraint(name, entry)
                            for entry in table["constraints"]
                            if entry not in old["constraints"]]
            indexes += [self.index(name, entry) for entry in table["indexes"]
                        if entry not in old["indexes"] and
                        not entry["backs_constraint"]]
        self.array("RelationInfo relations", "relations", relations)
        self.array("ColumnChange columns", "columns", changes)
        self.array("ExpectedConstraint constraints", "constraints",
                   [entry for entry in constraints if entry])
        self.array("ExpectedIndex indexes", "indexes", indexes)
        self.array("SearchVector search_vectors", "search_vectors", vectors)
        self.note_lost()
        return self.write_file(sorted(self.after["extensions"].keys() -
                                      self.before["extensions"].keys()))

    def write_file(self, extensions):
        headers = {"catalog/pg_class.h": "RELKIND_",
                   "catalog/pg_type.h": "OID"}
        includes = "".join(f'#include "{header}"\n' for header, mark in
                           headers.items() if mark in self.text)
        body = self.text + \
            f'DEFINE_REVISION({self.revision}) = {{\n' \
            f'\t.id = "{self.revision}",\n' \
            f'\t.version = "{revision_version(self.revision)}",\n'
        if self.release is not None:
            body += f'\t.releases = "{self.release}",\n'
        body += f'\t.description = "{self.description}",\n'
        body += "".join(f'\t.extension = "{name}",\n' for name in extensions)
        body += "".join(f"\t{field}" for field in self.fields) + "};\n"
        line = "-" * 73
        path = ROOT / f"src/schema/revision_{self.revision}.c"
        path.write_text(
            f"/*{line}\n *\n * {path.name}\n *\t  {self.description}.\n *\n *{line}\n"
            f' */\n#include "postgres.h"\n\n{includes}' + "\n" * bool(includes) +
            f'#include "schema/schema.h"\n\n{body}', encoding="utf-8")
        if shutil.which("clang-format"):
            subprocess.run(["clang-format", "-i", str(path)], check=True)
        return path


# What is edited.

def edit(path, pattern, replacement):
    text = path.read_text(encoding="utf-8")
    new, count = re.subn(pattern, replacement, text, flags=re.M)
    if count == 0:
        die(f"{path} has no {pattern}")
    path.write_text(new, encoding="utf-8")


def name_revision(revision, last):
    edit(LIST, r"^(\trevision\(\d+\))\n(?!\trevision)",
         rf"\1 \\\n\trevision({revision})\n")
    version = revision_version(revision)
    edit(ROOT / "syncmaster.control", r"^(default_version *= *)'.*'",
         rf"\g<1>'{version}'")
    edit(ROOT / "META.json", rf'("version": )"{re.escape(revision_version(last))}\.0"',
         rf'\g<1>"{version}.0"')


def print_places(revision):
    print(PLACES)
    pattern = re.compile(rf"{revision}|\b{re.escape(revision_version(revision))}\b")
    for folder in ("t", "sql", "specs", "test/perl", "test/credentials.py", "bench",
                   "doc"):
        start = ROOT / folder
        files = sorted(start.rglob("*")) if start.is_dir() else [start]
        for path in files:
            if path.suffix in {".pl", ".pm", ".sql", ".spec", ".py", ".md"}:
                lines = path.read_text(encoding="utf-8").split("\n")
                numbers = [str(number) for number, line in enumerate(lines, 1)
                           if pattern.search(line)]
                if numbers:
                    print(f"  {path.relative_to(ROOT)}: {', '.join(numbers)}")


def follow_revision(server, revision, description, release, before):
    """Write all that is to be written of the revision at which the server is."""
    after = read_catalog(server)
    write_facts(facts_path(revision), after)
    last = before["alembic_version"][0]
    print(f"Revision {revision}, {description}\n")
    print_changes(before, after)
    draft = Draft(revision, description, release, before, after)
    files = [facts_path(revision),
             Script(before, after, server.keywords).text(last, revision, True),
             Script(after, before, server.keywords).text(revision, last, False),
             draft.write()]
    name_revision(revision, last)
    print("Written: " + ", ".join(str(path.relative_to(ROOT)) for path in files))
    for text in draft.left:
        print(f"Not in src/schema/revision_{revision}.c: {text}")
    print()
    return after


def follow(venv, folder):
    last = max(re.findall(r"\d{4}", path.name)[0] for path in
               FACTS.glob("rev-*.json"))
    alembic = Alembic(venv, folder)
    server = None
    try:
        revisions = alembic.revisions()
        names = [revision for revision, _ in revisions]
        if last not in names:
            die(f"the release does not know revision {last}")
        new = revisions[names.index(last) + 1:]
        if not new:
            print(f"SyncMaster {alembic.release} ends at {last}: nothing is new.")
            return
        server = Server(folder)
        alembic.run("upgrade", last)
        before = json.loads(facts_path(last).read_text(encoding="utf-8"))
        catalog = read_catalog(server)
        if catalog != before:
            print(f"The release has changed revision {last} or an earlier one, which "
                  "were released before:\n")
            print_changes(before, catalog)
        for revision, description in new:
            if not re.fullmatch(r"\d{4}", revision):
                die(f"revision {revision} has no number")
            alembic.run("upgrade", revision)
            before = follow_revision(
                server, revision, description,
                alembic.release if revision == names[-1] else None, before)
        print_places(last)
    finally:
        alembic.stop()
        if server is not None:
            server.stop()


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    # Short, because the paths of sockets in it are limited to 107 bytes.
    with tempfile.TemporaryDirectory(prefix="follow.", dir="/tmp") as folder:
        follow(sys.argv[1], folder)


if __name__ == "__main__":
    main()
