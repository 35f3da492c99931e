#!/usr/bin/python3
"""The rules that keep src/ in rooms, which src/README.md explains.

    tools/rooms.py [SRC [PG_INCLUDES]]

A file may include PostgreSQL's headers, base/compat.h, settings.h, headers of
its own folder, and the public header of a folder further down.  It includes
what declares the names that it uses and nothing else, once, in order.  No two
files use each other's names, directly or in a circle.

With PG_INCLUDES, the folder of the server's headers, clang says which of these
are included without need.
"""

import collections
import concurrent.futures
import os
import re
import subprocess
import sys

# From the ground up.
ORDER = ("base schema rows credential privilege vectors engine check preflight "
         "retention health search").split()
TOP = "settings.h"
COMPAT = "base/compat.h"
# Written without PostgreSQL: other programs are built of them.
WITHOUT_SERVER = {"health/cron.c", "health/cron.h",
                  "credential/fernet.c", "credential/fernet.h",
                  "credential/base64.c", "credential/base64.h"}
# Headers that are needed on other majors than the one that clang looks at:
# backend_status.h and the indexes' OIDs are of 14, extension_control_path of 18.
# A macro of syncrep.h needs walsender.h, which syncrep.h does not include.
OTHER_MAJORS = {"pgstat.h", "catalog/indexing.h", "commands/extension.h",
                "replication/walsender.h"}
CLANG_TIDY = os.environ.get("CLANG_TIDY_INCLUDES", "clang-tidy-19")

COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)
DEFINE = re.compile(r"^#[ \t]*define[ \t]+(\w+)", re.M)
WORD = re.compile(r"\b[A-Za-z_]\w*\b")


class Source:
    """A file of src/: what it includes, declares, defines and uses."""

    def __init__(self, root, name):
        self.name = name
        self.folder = os.path.dirname(name)
        with open(os.path.join(root, name), encoding="utf-8") as file:
            self.text = file.read()
        # Comments and strings go, their lines stay.
        code = COMMENT_OR_STRING.sub(
            lambda match: '""' if match[0][0] == '"' else
            " " + "\n" * match[0].count("\n"),
            INCLUDE.sub("", self.text))
        self.includes = [project or f"<{system}>"
                         for project, system in INCLUDE.findall(self.text)]
        self.words = set(WORD.findall(code))
        self.macros = [macro for macro in DEFINE.findall(code)
                       if not macro.endswith("_H")]
        self.macro_words = set(WORD.findall(" ".join(re.findall(
            r"^#[ \t]*define[ \t]+\w+((?:.*\\\n)*.*)$", code, re.M))))
        self.undefined = set(re.findall(r"^#[ \t]*undef[ \t]+(\w+)", code,
                                        re.M))
        # What stands at the outermost level, without bodies.
        outside = self.outermost(re.sub(r"^#(?:.*\\\n)*.*$", "", code,
                                        flags=re.M))
        self.names = self.declarations(code, outside)
        # What another file is to define.
        self.externs = set(re.findall(
            r"^extern\b[^;(]*?\b(\w+)(?:\[[^\]]*\]|\([^;]*)?;", outside, re.M))
        self.defined = set(re.findall(
            r"\b(\w+)(?:\([^;{}]*\)\s*\{\}|(?:\[[^\]]*\])*\s*(?:=|;))", outside))

    @staticmethod
    def outermost(code):
        out, depth = [], 0
        for char in code:
            depth -= char == "}"
            if depth == 0:
                out.append(char)
            depth += char == "{"
        return "".join(out)

    def declarations(self, code, outside):
        """Names that the file defines for itself and for those who include
        it."""
        names = set(self.macros)
        names |= set(re.findall(r"^typedef\b[^;{}]*?\b(\w+);", outside, re.M))
        names |= set(re.findall(r"^typedef\b[^;]*?\(\*(\w+)\)\([^;]*;",
                                outside, re.M))
        names |= set(re.findall(r"^typedef\b[^;]*\}\s*(\w+);", outside, re.M))
        for body in re.findall(r"\benum\b[^{;]*\{([^}]*)\}", code):
            names |= set(re.findall(r"(?:^|,)\s*(\w+)", body))
        names |= set(re.findall(r"^extern\b[^;(]*?\b(\w+)(?:\[[^\]]*\]"
                                r"|\([^;]*)?;", outside, re.M))
        if self.name.endswith(".h"):
            # inline functions
            names |= set(re.findall(r"^(\w+)\([^;{}]*\)\s*\{\}", outside, re.M))
        if self.name == COMPAT:
            # macros that its comments say are elsewhere in some majors
            for comment in re.findall(r"/\*.*?\*/", self.text, re.S):
                names |= set(re.findall(r"\b[A-Z][A-Z_]{4,}\b", comment))
        return names

class Rooms:
    def __init__(self, root):
        self.root = root
        self.faults = []
        self.sources = {}
        for folder, _, files in sorted(os.walk(root)):
            for file in sorted(files):
                if file.endswith((".c", ".h")):
                    name = os.path.relpath(os.path.join(folder, file), root)
                    self.sources[name] = Source(root, name)

    def fault(self, name, text):
        self.faults.append(f"{os.path.join(self.root, name)}: {text}")

    def header(self, include):
        return self.sources.get(include)

    # Who may include whom.

    def check_levels(self):
        for source in self.sources.values():
            if source.folder and source.folder not in ORDER:
                self.fault(source.name, f"folder \"{source.folder}\" has no "
                           "level: name it in ORDER of tools/rooms.py")
                continue
            for include in source.includes:
                if include in self.sources:
                    self.check_level(source, include)

    def check_level(self, source, include):
        folder = os.path.dirname(include)
        if include in (TOP, COMPAT) or folder == source.folder:
            return
        if include != f"{folder}/{folder}.h":
            self.fault(source.name, f"includes {include}, which is not the "
                       f"public header of {folder}/")
        elif source.name == TOP:
            self.fault(source.name, f"includes {include}, but every folder "
                       "includes this file")
        elif source.folder and \
                ORDER.index(folder) >= ORDER.index(source.folder):
            self.fault(source.name, f"includes {include}, which is further up")

    def check_headers(self):
        for folder in ORDER:
            files = [name for name, source in self.sources.items()
                     if source.folder == folder]
            public = f"{folder}/{folder}.h"
            shared = [name for name in files if name.endswith(".h") and
                      name not in {COMPAT, public} | WITHOUT_SERVER]
            if files and public not in files and folder != "search":
                self.fault(folder, "has no public header")
            for name in shared:
                self.fault(name, f"is a second header of {folder}/: move "
                           f"what is in it to {public}")

    # What is included, and in which order.

    def check_order(self):
        for source in self.sources.values():
            doubled = [include for include, count in collections.Counter(
                source.includes).items() if count > 1]
            for include in doubled:
                self.fault(source.name, f"includes {include} twice")
            groups = [self.group(include) for include in source.includes]
            if source.name not in WITHOUT_SERVER | {COMPAT} and \
                    groups[:1] != [0]:
                self.fault(source.name, "does not include postgres.h first")
            if source.name == COMPAT:
                continue  # what it includes depends on the major
            for left, right in zip(source.includes, source.includes[1:]):
                if self.rank(left) > self.rank(right):
                    self.fault(source.name, f"includes {right} after {left}")

    def rank(self, include):
        """Libraries come after the system's own headers."""
        library = include.startswith("<openssl/")
        return self.group(include), library, include.strip("<>")

    def group(self, include):
        if include == "postgres.h":
            return 0
        if include.startswith("<"):
            return 1
        return 3 if include in self.sources or "/" not in include and \
            os.path.exists(os.path.join(self.root, include)) else 2

    def check_needed(self):
        """A project's header is included if, and only if, a name of it is
        used."""
        providers = collections.defaultdict(set)
        for source in self.sources.values():
            if source.name.endswith(".h"):
                for name in source.names:
                    providers[name].add(source.name)
        for source in self.sources.values():
            included = {include for include in source.includes
                        if include in self.sources}
            needed = collections.defaultdict(list)
            for word in source.words - source.names:
                headers = providers.get(word, set()) - {source.name}
                # of those that declare a name, one will do
                if headers and not headers & included:
                    needed[min(headers)].append(word)
            for header, words in sorted(needed.items()):
                if source.name != COMPAT:
                    self.fault(source.name, f"uses {min(words)} and does not "
                               f"include {header}")
            for include in sorted(included):
                if not self.sources[include].names & source.words:
                    self.fault(source.name, f"includes {include} and uses "
                               "nothing of it")

    def check_defines(self):
        places = collections.defaultdict(list)
        for source in self.sources.values():
            if source.name != COMPAT:
                for macro in set(source.macros) - source.undefined:
                    places[macro].append(source.name)
        for macro, names in sorted(places.items()):
            if len(names) > 1:
                self.fault(names[1], f"defines {macro}, as {names[0]} does")

    # Who uses whom.

    def users(self):
        """Where each name that a header declares is defined; and file -> file
        -> names that the first takes from the second."""
        externs = {name for source in self.sources.values()
                   for name in source.externs
                   if source.name.endswith(".h")}
        homes = {name: source.name for source in self.sources.values()
                 if source.name.endswith(".c")
                 for name in source.defined & externs}
        uses = collections.defaultdict(lambda: collections.defaultdict(set))
        for source in self.sources.values():
            if not source.name.endswith(".c"):
                continue
            for word in source.words - source.names:
                home = homes.get(word)
                if home is not None and home != source.name:
                    uses[source.name][home].add(word)
        return homes, uses

    def check_circles(self):
        _, uses = self.users()
        for circle in circles({name: set(to) for name, to in uses.items()}):
            for name in circle:
                for other in sorted(set(uses[name]) & set(circle)):
                    self.fault(name, f"is in a circle: it takes "
                               f"{', '.join(sorted(uses[name][other]))} from "
                               f"{other}")
        includes = {source.name: {include for include in source.includes
                                  if include in self.sources}
                    for source in self.sources.values()}
        for circle in circles(includes):
            self.fault(circle[0], "is in a circle of headers: "
                       f"{', '.join(circle)}")

    def check_exports(self):
        """What no other file uses is static, and what a header declares is
        there."""
        homes, uses = self.users()
        used = {word for to in uses.values() for words in to.values()
                for word in words}
        for source in self.sources.values():
            if source.name.endswith(".h"):
                used |= source.macro_words
        for name, home in sorted(homes.items()):
            if name not in used and home not in WITHOUT_SERVER:
                self.fault(home, f"exports {name}, which no other file uses")
        for source in self.sources.values():
            for name in sorted(source.externs - set(homes)):
                self.fault(source.name, f"declares {name}, which is defined "
                           "nowhere")

    # What the compiler knows.

    def check_server_headers(self, includes):
        names = [name for name in self.sources if name.endswith(".c")]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, output in zip(names, pool.map(
                    lambda name: self.unused(name, includes), names)):
                for header in output:
                    if not self.is_used(name, header, includes):
                        self.fault(name, f"includes {header} and uses nothing "
                                   "of it")

    def unused(self, name, includes):
        path = os.path.join(self.root, name)
        result = subprocess.run(
            [CLANG_TIDY, "--quiet", "--checks=-*,misc-include-cleaner",
             "--config={}", path, "--", '-DSYNCMASTER_VERSION="0"',
             "-std=gnu11", "-w", f"-I{self.root}", f"-I{includes}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=False)
        errors = re.findall(r"^.* error: .*$", result.stdout, re.M)
        if errors or result.returncode != 0:
            self.fault(name, "\n".join([f"{CLANG_TIDY} failed", *errors,
                                        result.stderr]))
        lines = re.findall(r":(\d+):\d+: (?:warning|error): included header "
                           r"\S+ is not used directly", result.stdout)
        text = self.sources[name].text.split("\n")
        return [INCLUDE.match(text[int(line) - 1])[1] or
                INCLUDE.match(text[int(line) - 1])[2] for line in lines]

    def is_used(self, name, header, includes):
        """One includes pg_x.h for what pg_x_d.h defines."""
        if header in self.sources or header in {"postgres.h"} | OTHER_MAJORS:
            return True
        path = os.path.join(includes, re.sub(r"\.h$", "_d.h", header))
        if not os.path.exists(path):
            return False
        with open(path, encoding="utf-8") as file:
            return bool(set(DEFINE.findall(file.read())) &
                        self.sources[name].words)


def circles(graph):
    """Strongly connected components of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            circle = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def main():
    rooms = Rooms(sys.argv[1] if len(sys.argv) > 1 else "src")
    rooms.check_levels()
    rooms.check_headers()
    rooms.check_order()
    rooms.check_needed()
    rooms.check_defines()
    rooms.check_circles()
    rooms.check_exports()
    if len(sys.argv) > 2:
        rooms.check_server_headers(sys.argv[2])
    print("\n".join(rooms.faults))
    print(f"{len(rooms.sources)} files, {len(rooms.faults)} faults")
    sys.exit(1 if rooms.faults or not rooms.sources else 0)


main()
