"""Run commands of SyncMaster's Alembic one after the other in one process.

Starting Python and loading SyncMaster takes seconds, a migration does not.  A
line of standard input is a JSON array, the address of a database and the
arguments of a command; a line of standard output says how it went:

    {"ok": true, "output": "..."}

Runs with the Python of an environment in which data-syncmaster is installed.
"""

import io
import json
import os
import sys
import traceback

# Alembic keeps the standard output that it finds when it is loaded.
replies = sys.stdout
sys.stdout = sys.stderr = output = io.StringIO()

from syncmaster.db.migrations import __main__ as migrations  # noqa: E402


def run(url, arguments):
    os.environ["SYNCMASTER__DATABASE__URL"] = url
    output.seek(0)
    output.truncate()
    ok = True
    try:
        migrations.main("alembic", arguments)
    except SystemExit as end:
        ok = not end.code
    except Exception:
        traceback.print_exc(file=output)
        ok = False
    return {"ok": ok, "output": output.getvalue()}


def main():
    for line in sys.stdin:
        url, *arguments = json.loads(line)
        print(json.dumps(run(url, arguments)), file=replies, flush=True)


main()
