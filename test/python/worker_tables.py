"""Print the SQL with which Celery and APScheduler make their tables.

Runs with the Python of an environment in which data-syncmaster is installed.
"""

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from celery.backends.database import models
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

dialect = postgresql.dialect()


def show(statement):
    print(statement.compile(dialect=dialect), ";")


jobs = SQLAlchemyJobStore(engine=create_mock_engine("postgresql://", None)).jobs_t
for table in models.Task.__table__, models.TaskSet.__table__, jobs:
    if table.c.id.default is not None:
        show(CreateSequence(table.c.id.default))
    show(CreateTable(table))
    for index in table.indexes:
        show(CreateIndex(index))
