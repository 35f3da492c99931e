"""Let SyncMaster's worker execute runs, with a broker in memory.

The arguments are ids of runs.  The task, Celery's worker around it and its
result backend are the real ones; only the transfer of data itself, which needs
Spark and two databases, is replaced: it fails for every second run.  With
--store, the arguments are ids of tasks instead, whose result is stored again.

Runs with the Python of an environment in which data-syncmaster is installed.
"""

import sys

from celery.contrib.testing.worker import start_worker

from syncmaster.worker.celery import app
from syncmaster.worker.transfer import TransferController

if sys.argv[1] == "--store":
    for task in sys.argv[2:]:
        app.backend.store_result(task, None, "SUCCESS")
    sys.exit()
runs = [int(argument) for argument in sys.argv[1:]]


def transfer(controller):
    if runs.index(controller.run.id) % 2 == 1:
        raise RuntimeError("no such table")


TransferController.__init__ = lambda self, run, **rest: setattr(self, "run", run)
TransferController.perform_transfer = transfer
app.conf.broker_url = "memory://"
results = []
with start_worker(app, pool="solo", perform_ping_check=False):
    for run in runs:
        result = app.send_task("run_transfer_task", kwargs={"run_id": run})
        result.get(timeout=120, propagate=False)
        results.append((run, result.state))

# after the worker's own messages
for run, state in results:
    print(run, state)
