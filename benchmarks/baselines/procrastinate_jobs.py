"""Procrastinate's scheduled jobs, one for each reminder: a queue in PostgreSQL, which one would rather reach for.

Schema, jobs and fetching are procrastinate's own, through its job manager, as its worker uses it. It looks for due
jobs in the order in which they were made, so it matters how they lie. *Side by side*, as where everybody asks for
the same month, those that are due come first. *Scattered*, as where readers choose between a month and a year, it
passes over all that are not due yet.
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
    """`rows` jobs, of which as many are due as `rounds` will take."""

    def __init__(
        self, benchmark_database: BenchmarkDatabase, rows: int, *, batch: int, rounds: int, scattered: bool
    ) -> None:
        order = "scattered" if scattered else "side by side"
        self.name = f"procrastinate, {rows:,} jobs, {order}"
        self._batch = batch
        url = benchmark_database.empty_database(f"procrastinate_{order.replace(' ', '_')}")
        self._app = App(connector=PsycopgConnector(conninfo=url))
        self._runner = asyncio.Runner()
        now = datetime.datetime.now(datetime.UTC)
        due = {"scattered" if scattered else "beside": batch * rounds}
        self._runner.run(self._fill(Dataset(rows, now, **due)))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        self._worker = self._runner.run(self._app.job_manager.register_worker())

    def claim(self) -> float:
        """Fetch a batch, one job after the other, which is how procrastinate gives them out."""
        begin = time.perf_counter()
        fetched = self._runner.run(self._fetch())
        seconds = time.perf_counter() - begin
        if fetched != self._batch:
            raise SystemExit(f"{self.name}: fetched {fetched} of {self._batch}")
        return seconds

    def close(self) -> None:
        """Let go of the database."""
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
