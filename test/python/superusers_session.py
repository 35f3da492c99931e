"""Call the functions behind SyncMaster's own command line for superusers.

That command line takes one name for a list of letters.  The first argument is
list, add, remove or read, the others are names; read shows what the server's
repository reads.

Runs with the Python of an environment in which data-syncmaster is installed.
"""

import asyncio
import logging
import os
import sys

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from syncmaster.db.repositories.user import UserRepository
from syncmaster.server.scripts import manage_superusers


async def main(command, names):
    engine = create_async_engine(os.environ["SYNCMASTER__DATABASE__URL"])
    async with AsyncSession(engine) as session:
        if command == "list":
            await manage_superusers.list_superusers(session)
        elif command == "add":
            await manage_superusers.add_superusers(session, names)
        elif command == "remove":
            await manage_superusers.remove_superusers(session, names)
        else:
            for name in names:
                print(await UserRepository(session).read_by_username(name))


logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
asyncio.run(main(sys.argv[1], sys.argv[2:]))
