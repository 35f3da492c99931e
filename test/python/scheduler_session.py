"""Do what SyncMaster's scheduler does, step by step, with its own classes.

Its main loop sleeps for minutes and never ends.  Here, each argument is a step:

    poll        one turn of the loop: orphaned jobs, then changed transfers
    poll-again  the same with everything taken for changed
    due         all jobs are due now, and the loop runs until they have run

With "-" as the only argument, steps are lines of the standard input, and the line
"done" says that one has ended.

Runs with the Python of an environment in which data-syncmaster is installed.
"""

import asyncio
import datetime
import sys

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED

from syncmaster.scheduler.settings import SchedulerAppSettings
from syncmaster.scheduler.transfer_fetcher import TransferFetcher
from syncmaster.scheduler.transfer_job_manager import TransferJobManager


async def poll(manager, fetcher):
    await manager.remove_orphan_jobs()
    transfers = await fetcher.fetch_updated_jobs()
    if transfers:
        manager.update_jobs(transfers)
        fetcher.last_updated_at = max(t.updated_at for t in transfers)


async def run_due_jobs(manager):
    jobs = manager.scheduler.get_jobs()
    done = asyncio.Semaphore(0)
    outcomes = []

    def note(event):
        outcomes.append(type(event.exception).__name__)
        done.release()

    manager.scheduler.add_listener(note, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    for job in jobs:
        job.modify(next_run_time=datetime.datetime.now(datetime.timezone.utc))
    for _ in jobs:
        await asyncio.wait_for(done.acquire(), 120)
    manager.scheduler.remove_listener(note)
    print("ran:", *outcomes)


async def steps_of(arguments):
    if arguments != ["-"]:
        for step in arguments:
            yield step
        return
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield line.strip()
        print("done", flush=True)


async def main(steps):
    settings = SchedulerAppSettings()
    fetcher = TransferFetcher(settings)
    manager = TransferJobManager(settings)
    manager.scheduler.start()
    async for step in steps_of(steps):
        if step == "due":
            await run_due_jobs(manager)
            continue
        if step == "poll-again":
            fetcher.last_updated_at = None
        await poll(manager, fetcher)
    print("jobs:", *sorted(job.id for job in manager.scheduler.get_jobs()))
    manager.scheduler.shutdown()


asyncio.run(main(sys.argv[1:]))
