"""Claiming what is due: few reminders beside many, and beside what one might use in place of this service."""

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
from service.container import utc_now
from service.db.session import Database
from service.domain.reminders.queue import claim_due_reminders

SMALL_BATCH = 100_000
LEASE = datetime.timedelta(minutes=1)
LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Sizes:
    """How many rows each holds, how many are taken at once, and how often.

    The rows of the last, which takes long, are taken `slow_rounds` times.
    """

    rows: int
    small_batch: int
    procrastinate: int
    batch: int
    rounds: int
    slow_rounds: int


class ClaimStrategy(Protocol):
    """Something that can be asked for what is due."""

    name: str

    def claim(self) -> float:
        """Take a batch that nobody has taken yet, for good, and return the seconds that it took."""

    def close(self) -> None:
        """Let go of the database."""


class Reminders:
    """Ours: the statements of a worker, each round one transaction and its commit."""

    def __init__(self, benchmark_database: BenchmarkDatabase, sizes: Sizes, rows: int) -> None:
        self.name = f"ours, {rows:,} scheduled"
        self.log_bytes: list[int] = []
        self._batch = sizes.batch
        # One batch is for the warm-up, and the last of all for the plan.
        due = sizes.batch * (sizes.rounds + 1)
        url = benchmark_database.reminders(rows, beside=due, among=due, scattered=due + sizes.batch)
        allow_all_sending_hours(url)
        self._container = container_for(url)

    def take(self) -> float:
        """Claim as a worker does, with its sending hours kept."""
        written = self._log_position()
        begin = time.perf_counter()
        with self._container.database.transaction() as session:
            claimed = claim_due_reminders(session, **self._wish())
        seconds = time.perf_counter() - begin
        self.log_bytes.append(self._log_position() - written)
        if len(claimed.claims) != self._batch:
            raise SystemExit(f"{self.name}: claimed {len(claimed.claims)} of {self._batch}")
        return seconds

    def plan(self) -> str:
        """Return how PostgreSQL finds what is due: the statement as the code sends it, and what running it took.

        It is heard where nothing is due yet, so that what it then finds, nobody has looked at before.
        """
        database = self._container.database
        with _heard(database) as statements, database.transaction() as session:
            claim_due_reminders(session, **self._wish() | {"now": LONG_AGO})
        statement, heard = next(each for each in statements if "FOR UPDATE" in each[0])
        parameters = {name: utc_now() if value == LONG_AGO else value for name, value in heard.items()}
        with database.transaction() as session:
            explain = f"EXPLAIN (ANALYZE, BUFFERS) {statement}"
            lines = session.connection().exec_driver_sql(explain, parameters).scalars().all()
            session.rollback()
        return "\n".join([statement.replace("\n", " "), *lines])

    def close(self) -> None:
        """Let go of the database."""
        self._container.database.engine.dispose()

    def _log_position(self) -> int:
        with self._container.database.read_only() as session:
            return int(session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))

    def _wish(self) -> dict[str, Any]:
        shared = {"worker": self._container.worker_id, "now": utc_now(), "keep_hours": True}
        return shared | {"limit": self._batch, "lease": LEASE}


@contextmanager
def _heard(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Yield the statements that the engine sends meanwhile, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def hear(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", hear)
    yield statements
    event.remove(database.engine, "before_cursor_execute", hear)


def run(benchmark_database: BenchmarkDatabase, sizes: Sizes) -> str:
    """Let all take what is due in turn; return the figures, and how PostgreSQL finds what is due."""
    few, many = (
        Reminders(benchmark_database, sizes, sizes.small_batch),
        Reminders(benchmark_database, sizes, sizes.rows),
    )
    store = JobStore(benchmark_database, sizes.small_batch, batch=sizes.batch)
    less = {"batch": sizes.batch, "rounds": sizes.slow_rounds}
    beside, scattered = (
        Jobs(benchmark_database, sizes.procrastinate, scattered=lie, **less) for lie in (False, True)
    )
    parts: list[str] = []
    try:
        # They are due in this order, so that they are taken in it.
        for how, peers in (
            ("side by side", (store, beside)),
            ("one in five together", ()),
            ("scattered", (scattered,)),
        ):
            seconds = _rounds((few, many, *peers), sizes)
            parts.append(_table(f"taking {sizes.batch} due reminders, {how}", seconds, (few, many)))
        parts.append(many.plan())
    finally:
        for each in (few, many, store, beside, scattered):
            each.close()
    return "\n\n".join(parts)


def _rounds(contestants: tuple[ClaimStrategy, ...], sizes: Sizes) -> dict[str, list[float]]:
    """Let each take a batch in turn; what is slow goes without a warm-up, and less often."""
    seconds: dict[str, list[float]] = {each.name: [] for each in contestants}
    for number in range(-1, sizes.rounds):
        for each in contestants:
            if isinstance(each, Jobs) and number not in range(sizes.slow_rounds):
                continue
            taken = each.claim()
            if number >= 0:
                seconds[each.name].append(taken)
    return seconds


def _table(title: str, seconds: dict[str, list[float]], ours: tuple[Reminders, ...]) -> str:
    """Return the medians, and each beside the first, of rounds that stood beside one another."""
    base = next(iter(seconds.values()))
    lines = [f"{title:50}{'rounds':>7}{'ms':>10}   × the first (lowest to highest)"]
    for name, times in seconds.items():
        ratios = [one / other for one, other in zip(times, base, strict=False)]
        lines.append(
            f"{name:50}{len(times):>7}{statistics.median(times) * 1000:>10,.1f}   "
            f"{statistics.median(ratios):,.2f} ({min(ratios):,.2f} to {max(ratios):,.2f})"
        )
    for each in ours:
        lines.append(f"{each.name}: {statistics.median(each.log_bytes) / 1e6:.1f} MB of write-ahead log each time")
        each.log_bytes.clear()
    return "\n".join(lines)
