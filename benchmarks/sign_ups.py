"""Compares sign-ups into a full table with sign-ups into an empty one, on two servers of the same settings."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.compare import Comparison, LoadPlan, Measurement, compare
from benchmarks.database import BenchmarkDatabase
from benchmarks.servers import SETTINGS
from tests.processes import web


def run(
    databases: BenchmarkDatabase, comparison: Comparison, plan: LoadPlan, *, rows: int
) -> tuple[Measurement, list[str]]:
    """Send our request of the comparison to both; return the measurement, and an error for each missing row."""
    urls = (databases.reminders(rows), databases.database("sign_ups"))
    before = [_count(url) for url in urls]
    comparison = replace(comparison, baseline=comparison.mainstay, labels=(f"{rows:,} rows", "none"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mainstay-bench-")))
        bases = [
            stack.enter_context(web(url, folder / f"{name}.log", LOG_LEVEL="info", **SETTINGS))
            for name, url in zip(("full", "empty"), urls, strict=True)
        ]
        full, empty = (int(base.rpartition(":")[2]) for base in bases)
        measurement = compare(comparison, plan, mainstay=full, baseline=empty)
    errors = list(measurement.errors)
    both = (measurement.mainstay, measurement.baseline)
    for url, old, results in zip(urls, before, both, strict=True):
        expected, stored = sum(result.stored for result in results), _count(url) - old
        if stored != expected:
            errors.append(f"{stored} reminders were stored after {expected} successful responses")
    return measurement, errors


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM reminders").fetchone()
    return int(found[0]) if found else 0
