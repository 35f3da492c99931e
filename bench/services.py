"""SyncMaster's own services, from the installed package, on a database.

The server answers requests inside this process, through its real routes,
permission checks and repositories; scheduler and worker run the code that they
run.  Only what is not the database is replaced: nothing is sent to the broker,
and a transfer does nothing.
"""

import logging
import os
from types import SimpleNamespace

import httpx
from celery import Celery
from cryptography.fernet import Fernet
from sqlalchemy import create_engine

KEY = "UBgPTioFrtH2unlC4XFDiGf5sYfzbdSf_VgiUSaQc94="
TOKEN = Fernet(KEY).encrypt(
    b'{"password": "a password of some length", "type": "basic", "user": "loader"}'
).decode()


def environment(url):
    """What the services read from their environment."""
    return {
        "SYNCMASTER__DATABASE__URL": url,
        "SYNCMASTER__BROKER__URL": "amqp://guest:guest@127.0.0.1:1/",
        "SYNCMASTER__ENCRYPTION__SECRET_KEY": KEY,
        "SYNCMASTER__SERVER__SESSION__SECRET_KEY": "session",
        "SYNCMASTER__SERVER__STATIC_FILES__ENABLED": "false",
        "SYNCMASTER__AUTH__ACCESS_TOKEN__SECRET_KEY": "token" * 8,
        "SYNCMASTER__WORKER__LOG_URL_TEMPLATE": "https://logs.example.com/{{ run.id }}",
    }


class SilentBroker:
    def send_task(self, *args, **kwargs):
        pass


class SilentTransfer:
    def __init__(self, **kwargs):
        pass

    def perform_transfer(self):
        pass


class Services:
    """With commit=False, whatever a request changes is rolled back."""

    def __init__(self, url, commit):
        os.environ.update(environment(url))
        # the server first, or its modules import each other in a circle
        from syncmaster.server import application_factory
        from syncmaster.db.factory import create_session_factory
        from syncmaster.scheduler.settings import SchedulerAppSettings
        from syncmaster.scheduler.transfer_fetcher import TransferFetcher
        from syncmaster.scheduler.transfer_job_manager import TransferJobManager
        from syncmaster.server.services.unit_of_work import UnitOfWork
        from syncmaster.server.settings import ServerAppSettings
        from syncmaster.worker import transfer as worker
        from syncmaster.worker.settings import WorkerAppSettings
        from sqlalchemy.ext.asyncio import create_async_engine

        # one line for each request, and one for each query that fails
        for name in ("httpx", "syncmaster"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

        settings = ServerAppSettings()
        self.engine = create_async_engine(url)
        self.new_session = create_session_factory(self.engine)
        self.unit_of_work = lambda session: UnitOfWork(
            session=session, settings=settings
        )
        self.commit = commit

        application = application_factory(settings)
        application.dependency_overrides[UnitOfWork] = self.unit_of_work_of_request
        application.dependency_overrides[Celery] = SilentBroker
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://server/v1/"
        )

        scheduler = SchedulerAppSettings()
        self.fetcher = TransferFetcher(scheduler)
        self.jobs = TransferJobManager(scheduler)

        worker.TransferController = SilentTransfer
        self.worker_settings = WorkerAppSettings()
        self.worker_engine = create_engine(self.worker_settings.database.sync_url)
        self.run_transfer = worker.run_transfer

    async def unit_of_work_of_request(self):
        async with self.new_session() as session:
            if not self.commit:
                # what is not committed is rolled back when the session closes
                session.commit = session.flush
            yield self.unit_of_work(session)

    async def close(self):
        await self.client.aclose()
        await self.engine.dispose()
        self.worker_engine.dispose()

    async def log_in(self, username):
        response = await self.client.post(
            "auth/token",
            data={"grant_type": "password", "username": username, "password": "any"},
        )
        response.raise_for_status()
        self.client.headers["Authorization"] = (
            "Bearer " + response.json()["access_token"]
        )

    async def request(self, method, path, **options):
        response = await self.client.request(method, path, **options)
        if response.is_error:
            raise RuntimeError(f"{method} {path}: {response.text}")
        return response.json() if response.content else None

    async def get(self, path, **parameters):
        return await self.request("GET", path, params=parameters)

    async def repository(self, name, method, *arguments, **options):
        """A method of a repository that no route calls like this."""
        async for unit in self.unit_of_work_of_request():
            await getattr(getattr(unit, name), method)(*arguments, **options)

    async def poll(self, since):
        """What the scheduler does first, and then every few minutes."""
        self.fetcher.last_updated_at = since
        return await self.fetcher.fetch_updated_jobs()

    async def remove_orphans(self, transfers):
        self.jobs.scheduler.get_jobs = lambda: [
            SimpleNamespace(id=str(transfer)) for transfer in transfers
        ]
        await self.jobs.remove_orphan_jobs()

    def work(self, run):
        self.run_transfer(run, self.worker_engine, self.worker_settings)
