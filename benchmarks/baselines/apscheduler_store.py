"""A baseline: APScheduler's own SQLAlchemyJobStore with one job for each reminder.

The scheduler is APScheduler's: it fetches every due job, submits each to an executor, and removes it from the
store. Only the executor is ours, and it does nothing.
"""

import datetime
import pickle
import time
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.util import datetime_to_utc_timestamp
from sqlalchemy import text

from benchmarks.database import BenchmarkDatabase

CHUNK = 10_000


def send_reminder(_reminder_id: str) -> None:
    """The target of every job; it never runs."""


class NoopExecutor(BaseExecutor):
    """Accepts jobs and does not run them."""

    def _do_submit_job(self, job: Job, run_times: list[datetime.datetime]) -> None:
        pass


class BenchScheduler(BaseScheduler):
    """Processes due jobs only on request, without a timer."""

    def wakeup(self) -> None:
        """Do nothing; `claim` processes the jobs."""

    def shutdown(self, wait: bool = True) -> None:
        """Stop the scheduler."""
        super().shutdown(wait)


class JobStore:
    """A store of `rows` jobs; each round adds a batch of due jobs, since the scheduler always takes them all."""

    def __init__(self, databases: BenchmarkDatabase, rows: int, *, batch: int) -> None:
        self.name = f"APScheduler's SQLAlchemyJobStore, {rows:,} jobs"
        self._batch = batch
        url = databases.empty_database("apscheduler").replace("postgresql://", "postgresql+psycopg://", 1)
        self._store = SQLAlchemyJobStore(url)
        self._scheduler = BenchScheduler(timezone=datetime.UTC, job_defaults={"misfire_grace_time": None})
        self._scheduler.add_jobstore(self._store)
        self._scheduler.add_executor(NoopExecutor())
        self._scheduler.start(paused=False)
        self._created = 0
        now = datetime.datetime.now(datetime.UTC)
        first, year = now + datetime.timedelta(hours=6), 365 * 86400
        times = [first + datetime.timedelta(seconds=year * number / rows) for number in range(rows)]
        for start in range(0, rows, CHUNK):
            self._insert(times[start : start + CHUNK])
        with self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE) apscheduler_jobs"))

    def claim(self) -> float:
        """Run one pass of the scheduler over the due jobs."""
        self._insert([datetime.datetime.now(datetime.UTC)] * self._batch)
        before = self._count_due()
        begin = time.perf_counter()
        self._scheduler._process_jobs()
        seconds = time.perf_counter() - begin
        if (before, self._count_due()) != (self._batch, 0):
            raise SystemExit(f"{self.name}: claimed {before - self._count_due()} of {self._batch}")
        return seconds

    def close(self) -> None:
        """Close the connections to the database."""
        self._scheduler.shutdown()

    def _insert(self, times: list[datetime.datetime]) -> None:
        """Store jobs as `SQLAlchemyJobStore.add_job` would, but in one statement."""
        with self._store.engine.begin() as connection:
            connection.execute(self._store.jobs_t.insert(), [self._row(at) for at in times])

    def _row(self, at: datetime.datetime) -> dict[str, Any]:
        self._created += 1
        shared = {"executor": "default", "misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        job = Job(
            self._scheduler,
            id=f"reminder-{self._created}",
            name="send_reminder",
            func=send_reminder,
            args=(f"reminder-{self._created}",),
            kwargs={},
            trigger=DateTrigger(at),
            next_run_time=at,
            **shared,
        )
        state = pickle.dumps(job.__getstate__(), self._store.pickle_protocol)
        return {"id": job.id, "next_run_time": datetime_to_utc_timestamp(at), "job_state": state}

    def _count_due(self) -> int:
        with self._store.engine.connect() as connection:
            due = text("SELECT count(*) FROM apscheduler_jobs WHERE next_run_time <= extract(epoch FROM now())")
            return int(connection.execute(due).scalar_one())
