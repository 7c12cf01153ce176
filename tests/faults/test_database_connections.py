"""Connections to PostgreSQL: with the defaults, two web processes and a worker hold fewer than twenty."""

import time
from pathlib import Path

from sqlalchemy import text

from service.container import Container
from tests.faults.dataset import fill, is_idle
from tests.faults.readers import Readers
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.processes import wait_until, web

# The smallest hosted plans allow as many.
MAX_CONNECTIONS = 20
READERS = 24
MIN_ANSWERS = 400
NAME = "mainstay_counted"


def count_connections(container: Container) -> int:
    with container.database.transaction() as session:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return session.scalar(query, {"name": NAME}) or 0


def test_web_and_worker_hold_fewer_than_twenty_connections(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    separator = "&" if "?" in url else "?"
    counted = f"{url}{separator}application_name={NAME}"
    fill(container, SCALE.pooled)
    held = []
    with (
        web(counted, tmp_path / "web", WEB_CONCURRENCY="2") as base,
        WorkerPool(1, counted, sink, tmp_path / "log") as workers,
    ):
        with Readers([base], READERS) as readers:

            def is_done() -> bool:
                held.append(count_connections(container))
                return len(readers.answers.all) >= MIN_ANSWERS and is_idle(container)

            workers.until(is_done, what="every reminder and enough answers")
        time.sleep(1)
        at_rest = count_connections(container)
        assert "job_failed" not in workers.log
    wait_until(lambda: count_connections(container) == 0, what="every connection to be closed")
    print_report(
        f"connections of 2 web processes and a worker with the defaults: {max(held)} at most with {READERS} "
        f"readers and {SCALE.pooled} emails due, {at_rest} at rest"
    )
    assert readers.answers.failures == []
    assert 0 < at_rest <= max(held) < MAX_CONNECTIONS
