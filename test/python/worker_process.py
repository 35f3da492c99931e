"""SyncMaster's worker, on the queues whose names are the arguments.

The worker is the real one, with a real broker.  Only the transfer of data itself,
which needs Spark and two databases, is replaced: it fails for a transfer whose name
begins with "fails", and is the end of the worker for one that begins with "dies".

Runs with the Python of an environment in which data-syncmaster is installed.
"""

import os
import sys

from syncmaster.worker.celery import app
from syncmaster.worker.transfer import TransferController


def transfer(controller):
    name = controller.run.transfer.name
    if name.startswith("fails"):
        raise RuntimeError("no such table")
    if name.startswith("dies"):
        os._exit(9)


TransferController.__init__ = lambda self, run, **rest: setattr(self, "run", run)
TransferController.perform_transfer = transfer
app.worker_main(
    ["worker", "--pool", "solo", "--queues", ",".join(sys.argv[1:])]
    + ["--without-gossip", "--without-mingle", "--without-heartbeat"]
)
