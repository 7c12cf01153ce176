"""APScheduler's own SQLAlchemyJobStore with one job for each reminder, which many would reach for first.

The scheduler is APScheduler's, and so is all that it does with what is due: fetch every due job, hand each to an
executor, and remove it from the store. Only the executor does nothing.
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
    """Stand for what a job would do."""


class NoopExecutor(BaseExecutor):
    """Takes jobs and leaves them."""

    def _do_submit_job(self, job: Job, run_times: list[datetime.datetime]) -> None:
        pass


class BenchScheduler(BaseScheduler):
    """Looks for what is due when it is told to, and not by a clock."""

    def wakeup(self) -> None:
        """Do not look by itself."""

    def shutdown(self, wait: bool = True) -> None:
        """Stop; there is nothing to wait for."""
        super().shutdown(wait)


class JobStore:
    """A store of `rows` jobs, in which a batch becomes due for each round: it always takes all that is due."""

    def __init__(self, benchmark_database: BenchmarkDatabase, rows: int, *, batch: int) -> None:
        self.name = f"APScheduler's SQLAlchemyJobStore, {rows:,} jobs"
        self._batch = batch
        url = benchmark_database.empty_database("apscheduler").replace("postgresql://", "postgresql+psycopg://", 1)
        self._store = SQLAlchemyJobStore(url)
        self._scheduler = BenchScheduler(timezone=datetime.UTC, job_defaults={"misfire_grace_time": None})
        self._scheduler.add_jobstore(self._store)
        self._scheduler.add_executor(NoopExecutor())
        self._scheduler.start(paused=False)
        self._made = 0
        now = datetime.datetime.now(datetime.UTC)
        first, year = now + datetime.timedelta(hours=6), 365 * 86400
        times = [first + datetime.timedelta(seconds=year * number / rows) for number in range(rows)]
        for start in range(0, rows, CHUNK):
            self._insert(times[start : start + CHUNK])
        with self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE) apscheduler_jobs"))

    def claim(self) -> float:
        """Let the scheduler do once what it does each time that it wakes up."""
        self._insert([datetime.datetime.now(datetime.UTC)] * self._batch)
        before = self._count_due()
        begin = time.perf_counter()
        self._scheduler._process_jobs()
        seconds = time.perf_counter() - begin
        if (before, self._count_due()) != (self._batch, 0):
            raise SystemExit(f"{self.name}: took {before - self._count_due()} of {self._batch}")
        return seconds

    def close(self) -> None:
        """Let go of the database."""
        self._scheduler.shutdown()

    def _insert(self, times: list[datetime.datetime]) -> None:
        """Store jobs as `SQLAlchemyJobStore.add_job` would one by one."""
        with self._store.engine.begin() as connection:
            connection.execute(self._store.jobs_t.insert(), [self._row(at) for at in times])

    def _row(self, at: datetime.datetime) -> dict[str, Any]:
        self._made += 1
        shared = {"executor": "default", "misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        job = Job(
            self._scheduler,
            id=f"reminder-{self._made}",
            name="send_reminder",
            func=send_reminder,
            args=(f"reminder-{self._made}",),
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
