"""Compares enqueuing and claiming due reminders: a small table, a large one, APScheduler and procrastinate."""

import datetime
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import event, text

from benchmarks.baselines.apscheduler_store import JobStore
from benchmarks.baselines.procrastinate_jobs import Jobs
from benchmarks.database import BenchmarkDatabase, allow_all_sending_hours, container_for
from service.db.clock import utc_now
from service.db.session import Database
from service.domain.email.queue import claim_due_emails
from service.domain.reminders.queue import enqueue_due_reminders

LEASE = datetime.timedelta(minutes=1)
LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Sizes:
    """How many rows each table holds, how many a batch claims, and how many rounds there are.

    `slow_rounds` replaces `rounds` for procrastinate, which takes long.
    """

    rows: int
    small_table: int
    procrastinate: int
    batch: int
    rounds: int
    slow_rounds: int


class ClaimStrategy(Protocol):
    """A way to claim due jobs."""

    name: str

    def claim(self) -> float:
        """Claim a batch that was not claimed before, and return the seconds that it took."""

    def close(self) -> None:
        """Close the connections to the database."""


class Reminders:
    """Mainstay: a round puts due reminders into the outbox and claims their emails, with the commit of each."""

    def __init__(self, databases: BenchmarkDatabase, sizes: Sizes, rows: int) -> None:
        self.name = f"ours, {rows:,} scheduled"
        self.wal_bytes: list[int] = []
        self._batch = sizes.batch
        # The first batch is for the warm-up, and one more for the query plan.
        due = sizes.batch * (sizes.rounds + 1)
        url = databases.reminders(rows, clustered=due, interleaved=due, scattered=due + sizes.batch)
        allow_all_sending_hours(url)
        self._container = container_for(url)

    def claim(self) -> float:
        """Enqueue and claim as a worker does, within sending hours."""
        position = self._wal_position()
        begin = time.perf_counter()
        with self._container.database.transaction() as session:
            enqueue_due_reminders(session, now=utc_now(), respect_sending_hours=True, limit=self._batch)
        with self._container.database.transaction() as session:
            claimed = claim_due_emails(session, **self._arguments())
        seconds = time.perf_counter() - begin
        self.wal_bytes.append(self._wal_position() - position)
        if len(claimed.claims) != self._batch:
            raise SystemExit(f"{self.name}: claimed {len(claimed.claims)} of {self._batch}")
        return seconds

    def plan(self) -> str:
        """Return the statements that select what to enqueue and to claim, each with its query plan and timings.

        They are recorded at an instant when nothing is due, so that EXPLAIN reads rows that no statement has read
        before.
        """
        database = self._container.database
        with _record_statements(database) as statements, database.transaction() as session:
            enqueue_due_reminders(session, now=LONG_AGO, respect_sending_hours=True, limit=self._batch)
            claim_due_emails(session, **self._arguments() | {"now": LONG_AGO})
        enqueue, *_, claim = [pair for pair in statements if "FOR UPDATE" in pair[0]]
        plan = self._explain(*enqueue)
        with database.transaction() as session:
            enqueue_due_reminders(session, now=utc_now(), respect_sending_hours=True, limit=self._batch)
        return "\n\n".join([plan, self._explain(*claim)])

    def _explain(self, statement: str, recorded: dict[str, Any]) -> str:
        parameters = {name: utc_now() if value == LONG_AGO else value for name, value in recorded.items()}
        with self._container.database.transaction() as session:
            explain = f"EXPLAIN (ANALYZE, BUFFERS) {statement}"
            lines = session.connection().exec_driver_sql(explain, parameters).scalars().all()
            session.rollback()
        return "\n".join([statement.replace("\n", " "), *lines])

    def close(self) -> None:
        """Close the connections to the database."""
        self._container.database.engine.dispose()

    def _wal_position(self) -> int:
        with self._container.database.read_only() as session:
            return int(session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))

    def _arguments(self) -> dict[str, Any]:
        shared = {"worker": self._container.worker_id, "now": utc_now(), "respect_sending_hours": True}
        return shared | {"limit": self._batch, "lease": LEASE}


@contextmanager
def _record_statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Yield a list of the statements that the engine sends within the block, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def record(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record)
    yield statements
    event.remove(database.engine, "before_cursor_execute", record)


def run(databases: BenchmarkDatabase, sizes: Sizes) -> str:
    """Measure each strategy in alternating rounds; return the figures and our query plan."""
    small = Reminders(databases, sizes, sizes.small_table)
    large = Reminders(databases, sizes, sizes.rows)
    store = JobStore(databases, sizes.small_table, batch=sizes.batch)
    clustered, scattered = (
        Jobs(databases, sizes.procrastinate, batch=sizes.batch, rounds=sizes.slow_rounds, scattered=is_scattered)
        for is_scattered in (False, True)
    )
    sections: list[str] = []
    try:
        # This is the order in which `Dataset` makes them due.
        peers: dict[str, tuple[ClaimStrategy, ...]] = {
            "clustered": (store, clustered),
            "interleaved": (),
            "scattered": (scattered,),
        }
        for layout, others in peers.items():
            seconds = _measure_rounds((small, large, *others), sizes)
            sections.append(_table(f"enqueuing and claiming {sizes.batch} due, {layout}", seconds, (small, large)))
        sections.append(large.plan())
    finally:
        for strategy in (small, large, store, clustered, scattered):
            strategy.close()
    return "\n\n".join(sections)


def _measure_rounds(strategies: tuple[ClaimStrategy, ...], sizes: Sizes) -> dict[str, list[float]]:
    """Let each strategy claim one batch a round; procrastinate has fewer rounds and no warm-up."""
    seconds: dict[str, list[float]] = {strategy.name: [] for strategy in strategies}
    for number in range(-1, sizes.rounds):
        for strategy in strategies:
            if isinstance(strategy, Jobs) and number not in range(sizes.slow_rounds):
                continue
            duration = strategy.claim()
            if number >= 0:
                seconds[strategy.name].append(duration)
    return seconds


def _table(title: str, seconds: dict[str, list[float]], ours: tuple[Reminders, ...]) -> str:
    """Return the medians, and the ratio of each strategy to the first in the same round."""
    base = next(iter(seconds.values()))
    lines = [f"{title:50}{'rounds':>7}{'ms':>10}   × the first (lowest to highest)"]
    for name, times in seconds.items():
        ratios = [own / first for own, first in zip(times, base, strict=False)]
        lines.append(
            f"{name:50}{len(times):>7}{statistics.median(times) * 1000:>10,.1f}   "
            f"{statistics.median(ratios):,.2f} ({min(ratios):,.2f} to {max(ratios):,.2f})"
        )
    for reminders in ours:
        megabytes = statistics.median(reminders.wal_bytes) / 1e6
        lines.append(f"{reminders.name}: {megabytes:.1f} MB of write-ahead log each time")
        reminders.wal_bytes.clear()
    return "\n".join(lines)
