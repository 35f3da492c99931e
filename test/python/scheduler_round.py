"""One round of SyncMaster's scheduler, in which no job is run.

What its main loop does between two waits; the settings come from the
environment, as the service's.  With an argument, somebody else's job with that id
is there before.
"""

import asyncio
import sys

from syncmaster.scheduler.settings import SchedulerAppSettings
from syncmaster.scheduler.transfer_fetcher import TransferFetcher
from syncmaster.scheduler.transfer_job_manager import TransferJobManager


async def main():
    settings = SchedulerAppSettings()
    fetcher = TransferFetcher(settings)
    manager = TransferJobManager(settings)
    manager.scheduler.start(paused=True)
    try:
        for job_id in sys.argv[1:]:
            manager.scheduler.add_job(print, "interval", days=1, id=job_id)
        await manager.remove_orphan_jobs()
        manager.update_jobs(await fetcher.fetch_updated_jobs())
    finally:
        manager.scheduler.shutdown()


asyncio.run(main())
