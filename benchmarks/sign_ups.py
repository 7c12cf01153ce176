"""Sign-ups into a table that is full beside sign-ups into one that is empty: the same service, twice."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.compare import Comparison, LoadPlan, Measurement, compare
from benchmarks.database import BenchmarkDatabase
from benchmarks.servers import RATE_LIMIT, WORKERS
from tests.processes import web


def run(
    benchmark_database: BenchmarkDatabase, contest: Comparison, pace: LoadPlan, *, rows: int
) -> tuple[Measurement, list[str]]:
    """Send the contest's own request to both; return the figures, and what is wrong with the rows afterwards."""
    urls = (benchmark_database.reminders(rows), benchmark_database.database("sign_ups"))
    before = [_count(url) for url in urls]
    contest = replace(contest, baseline=contest.mainstay, baseline_name=(f"{rows:,} rows", "none"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mainstay-bench-")))
        bases = [
            stack.enter_context(
                web(url, folder / f"{which}.log", WEB_CONCURRENCY=WORKERS, RATE_LIMIT=RATE_LIMIT, LOG_LEVEL="info")
            )
            for which, url in enumerate(urls)
        ]
        full, empty = (int(base.rpartition(":")[2]) for base in bases)
        figures = compare(contest, pace, ours=full, baseline=empty)
    faults = list(figures.errors)
    for url, old, tallies in zip(urls, before, (figures.ours, figures.bare), strict=True):
        answered, stored = sum(tally.stored for tally in tallies), _count(url) - old
        if stored != answered:
            faults.append(f"{stored} reminders were stored after {answered} good answers")
    return figures, faults


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM reminders").fetchone()
    return int(found[0]) if found else 0
