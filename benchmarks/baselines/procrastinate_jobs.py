"""A baseline: procrastinate, a job queue in PostgreSQL, with one scheduled job for each reminder.

Schema, jobs and fetching are procrastinate's own, through its job manager, as its worker uses it. It searches for
due jobs in the order of their creation, so their position matters. *Clustered* jobs come first, as when all
readers choose the same month. *Scattered* jobs lie between others that are not due yet, as when readers choose
between a month and a year, and it has to skip those.
"""

import asyncio
import datetime
import time

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job

from benchmarks.database import BenchmarkDatabase
from benchmarks.dataset import Dataset

CHUNK = 5_000


class Jobs:
    """`rows` jobs, of which `batch * rounds` are due."""

    def __init__(
        self, databases: BenchmarkDatabase, rows: int, *, batch: int, rounds: int, scattered: bool
    ) -> None:
        layout = "scattered" if scattered else "clustered"
        self.name = f"procrastinate, {rows:,} jobs, {layout}"
        self._batch = batch
        url = databases.empty_database(f"procrastinate_{layout}")
        self._app = App(connector=PsycopgConnector(conninfo=url))
        self._runner = asyncio.Runner()
        now = datetime.datetime.now(datetime.UTC)
        due = {layout: batch * rounds}
        self._runner.run(self._fill(Dataset(rows, now, **due)))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        self._worker = self._runner.run(self._app.job_manager.register_worker())

    def claim(self) -> float:
        """Fetch a batch one job at a time, as procrastinate's worker does."""
        begin = time.perf_counter()
        fetched = self._runner.run(self._fetch())
        seconds = time.perf_counter() - begin
        if fetched != self._batch:
            raise SystemExit(f"{self.name}: fetched {fetched} of {self._batch}")
        return seconds

    def close(self) -> None:
        """Close the connections to the database."""
        self._runner.run(self._app.close_async())
        self._runner.close()

    async def _fetch(self) -> int:
        manager, fetched = self._app.job_manager, 0
        while fetched < self._batch and await manager.fetch_job(None, self._worker) is not None:
            fetched += 1
        return fetched

    async def _fill(self, dataset: Dataset) -> None:
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()
        for first in range(0, dataset.rows, CHUNK):
            numbers = range(first, min(first + CHUNK, dataset.rows))
            await self._app.job_manager.batch_defer_jobs_async([_job(dataset, number) for number in numbers])


def _job(dataset: Dataset, number: int) -> Job:
    return Job(
        id=None,
        queue="reminders",
        lock=None,
        queueing_lock=None,
        task_name="send_reminder",
        task_kwargs={"reminder_id": number},
        scheduled_at=dataset.due_at(number),
    )
