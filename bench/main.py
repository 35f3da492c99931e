"""What the extension gains and costs, side by side with upstream's schema.

Parts: queries (reads, deletes and writes of the services), upgrade, install,
backup, purge, rotation; the first four if none is named.  Works on a private
server, which is made for this and removed, or kept in the folder that --server
names; or on the server that PGHOST names, if that is set.  Only databases whose
names begin with bench_ or syncmaster_bench_ are made and dropped.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import backup
import databases
import plot
import report
import upgrade
from compare import compare_in_place, compare_in_turns
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("queries", "upgrade", "install", "backup", "purge", "rotation")

# What is plotted: a label, the operation and the statement.
PLOTTED = (
    ("scheduler's poll", "scheduler: poll, nothing changed", "SELECT transfer"),
    ("delete an empty queue", "delete an empty queue", "DELETE queue"),
    ("delete a queue with transfers", "delete a queue with its transfers", "DELETE queue"),
    ("delete a group", "delete a group with 7 queues", "DELETE group"),
    ("delete a user who owns groups", "delete a user who owns groups", "DELETE user"),
    ("transfers of a queue", "transfers of a queue", "SELECT transfer"),
    ("runs of the hottest transfer", "runs of the hottest transfer", "SELECT run"),
    ("count of these", "runs of the hottest transfer", "count of run"),
    ("count of a group's connections", "connections of the largest group",
     "count of connection"),
    ("count of a group's transfers", "transfers of the largest group",
     "count of transfer"),
    ("count of users", "users", "count of user"),
    ("search for a group", "groups, search by superuser", "SELECT group"),
)


def queries(server, scale, options):
    # Not the default: what is compared are plans, not disks.
    server.use(shared_buffers="2GB", max_wal_size="8GB")
    try:
        if options.in_place:
            database = databases.in_place(server, scale)
            return compare_in_place(
                server, database, lambda: databases.to_ours(server, database),
                options.rounds,
            )
        return compare_in_turns(
            server, databases.upstream(server, scale), databases.ours(server, scale),
            options.rounds, options.writes,
        )
    finally:
        for purpose in ("in_place", "upstream", "ours"):
            databases.drop(server, databases.name(scale, purpose))


def buffers(results, operation, statement):
    for result in results:
        if (result.operation, result.statement) == (operation, statement):
            return result.upstream[1], result.ours[1]
    raise KeyError(f"{operation}: {statement}")


def plot_queries(folder, by_scale):
    scales = sorted(by_scale)
    largest = by_scale[scales[-1]]
    plot.bars(
        os.path.join(folder, "buffers.svg"),
        f"Buffers of a statement, data set at {scales[-1] * 100:g} %",
        [(label, *buffers(largest, *key)) for label, *key in PLOTTED],
    )
    if len(scales) > 1:
        panels = []
        for label, *key in PLOTTED:
            figures = [buffers(by_scale[scale], *key) for scale in scales]
            panels.append((label, *([pair[i] for pair in figures] for i in (0, 1))))
        plot.lines(os.path.join(folder, "growth.svg"),
                   "Buffers of a statement as the data grows", panels, scales)


def run_queries(server, options):
    by_scale = {}
    for scale in options.scale:
        by_scale[scale] = queries(server, scale, options)
        print(f"\n# data set at {scale * 100:g} %")
        print(report.statements_as_text(by_scale[scale]))
    report.write_statements(os.path.join(options.output, "queries.csv"), by_scale)
    plot_queries(options.output, by_scale)


def run_durations(server, options):
    """Upgrade, install and backup, at the server's default settings."""
    scale = options.scale[-1]
    done = {}
    server.use()
    if "upgrade" in options.part:
        upgrades = upgrade.compare(server, scale, options.rounds)
        done["upgrade 0011 to 0013"] = {
            name: {"whole": one.wall, "processors": one.cpu,
                   **{f"{table} locked": one.locked[table] for table in upgrade.LOCKED}}
            for name, one in upgrades.items()
        }
        plot.spans(os.path.join(options.output, "upgrade.svg"),
                   f"When each table is locked, data set at {scale * 100:g} %",
                   [(name, max(one.wall, max(one.locked.values())), one.locked)
                    for name, one in upgrades.items()])
    if "install" in options.part:
        done["fresh install"] = upgrade.install(server, options.rounds)
    if "backup" in options.part:
        done["dump and restore"] = backup.compare(
            server, scale, options.rounds, options.output)
    for heading, rows in done.items():
        print(report.durations_as_text(heading, rows))
    if done:
        report.write_durations(os.path.join(options.output, "durations.csv"), done)


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", metavar="PART")
    parser.add_argument("--scale", type=float, action="append",
                        help="1 (the default) is 200,000 transfers and 2 million runs, "
                        "5 GB; again for more than one")
    parser.add_argument("--rounds", type=int, default=3,
                        help="turns of which the best or the median is taken")
    parser.add_argument("--writes", type=int, default=100,
                        help="how many rows of each kind are written")
    parser.add_argument("--in-place", action="store_true",
                        help="reads and deletes only, of one database, before and after "
                        "CREATE EXTENSION: a third of the disk; the data set is not kept")
    parser.add_argument("--output", metavar="DIR",
                        help="folder for tables as CSV and for plots")
    parser.add_argument("--server", metavar="DIR",
                        help="keep the private server, with the data sets, here")
    options = parser.parse_args()
    for part in options.part:
        if part not in PARTS:
            parser.error(f"no part {part}; there are {', '.join(PARTS)}")
    if options.in_place and set(options.part) - {"queries"}:
        parser.error("only queries are measured in place")
    options.part = options.part or PARTS[: 1 if options.in_place else 4]
    options.scale = sorted(
        int(scale) if scale == int(scale) else scale for scale in options.scale or [1]
    )
    options.output = options.output or tempfile.mkdtemp(prefix="sm-bench-results.")
    return options


def main():
    sys.stdout.reconfigure(line_buffering=True)
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    server = Server(options.server)
    try:
        server.use()
        version = server.query("postgres", "SHOW server_version")[0][0]
        print(f"PostgreSQL {version}, results in {options.output}")
        if "queries" in options.part:
            run_queries(server, options)
        run_durations(server, options)
        for part, program in (("purge", ["purge", str(options.scale[-1])]),
                              ("rotation", ["rotation.py"])):
            if part in options.part:
                print(f"\n{part.upper()}", flush=True)
                program[0] = os.path.join(HERE, program[0])
                if program[0].endswith(".py"):
                    program.insert(0, sys.executable)
                subprocess.run(program, check=True)
    finally:
        server.close()


main()
