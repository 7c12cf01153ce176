"""PgBouncer in transaction mode: web and workers share connections to PostgreSQL, and lose them all at once."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.container import Container
from tests.faults.dataset import addresses, fill, is_idle, status_counts
from tests.faults.readers import Readers
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.pgbouncer import PgBouncer, find_version
from tests.processes import web

WORKERS = 3
WEBS = 2
READERS = 8
MIN_ANSWERS = 600


@pytest.fixture
def pooler(url: str) -> Iterator[PgBouncer]:
    with PgBouncer(url) as pooler:
        yield pooler


@pytest.mark.parametrize("prepares", ["auto", "off"])
def test_no_request_fails_and_no_reminder_is_sent_twice_through_pgbouncer(
    container: Container, pooler: PgBouncer, sink: SmtpSinkProcess, tmp_path: Path, prepares: str
) -> None:
    fill(container, SCALE.pooled)
    settings = {"DATABASE_PREPARES": prepares}
    with ExitStack() as stack:
        webs = [
            stack.enter_context(web(pooler.url, tmp_path / f"web-{number}", WEB_CONCURRENCY="2", **settings))
            for number in range(WEBS)
        ]
        readers = stack.enter_context(Readers(webs, READERS))
        with WorkerPool(WORKERS, pooler.url, sink, tmp_path / "log", **settings) as workers:
            workers.until(lambda: is_idle(container), what="every reminder to be finished")
            workers.until(lambda: len(readers.answers.all) >= MIN_ANSWERS, what="enough answers")
            log = workers.log
    report = sink.report()
    print_report(
        f"{SCALE.pooled:,} due through PgBouncer {find_version()} with DATABASE_PREPARES={prepares}, "
        f"{WORKERS} workers and {WEBS} web × 2 processes: {len(report.copies):,} addresses got their email, "
        f"{report.duplicates} duplicates; answers {dict(readers.answers.statuses)}"
    )
    assert readers.answers.failures == []
    assert set(report.copies) == addresses(SCALE.pooled)
    assert report.duplicates == 0
    assert status_counts(container)["sent"] == SCALE.pooled
    assert "job_failed" not in log


def test_killed_pgbouncer_loses_and_repeats_nothing(
    container: Container, pooler: PgBouncer, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(container, SCALE.pooled)
    sink.delay(0.01)
    away: list[tuple[float, float]] = []
    with ExitStack() as stack:
        webs = [stack.enter_context(web(pooler.url, tmp_path / "web", WEB_CONCURRENCY="2")) for _ in range(WEBS)]
        readers = stack.enter_context(Readers(webs, READERS))
        with WorkerPool(WORKERS, pooler.url, sink, tmp_path / "log") as workers:
            for number in range(SCALE.restarts):
                enough = SCALE.pooled * (number + 1) // (SCALE.restarts + 2)
                workers.until(lambda: sink.accepted >= enough, what=f"{enough} emails")  # noqa: B023 - used at once
                # The worst moment: an email was sent, and its reply cannot be recorded.
                sink.pause()
                workers.until(lambda: sink.in_hand, what="a worker to send an email")
                killed_at = time.time()
                pooler.kill()
                sink.clear_rules()
                # In full, longer than the workers' leases last.
                time.sleep(SCALE.outage_seconds / 3)
                pooler.start()
                away.append((killed_at, time.time()))
                answered = len(readers.answers.all)
                workers.until(lambda: len(readers.answers.all) > answered + 100, what="more answers")  # noqa: B023 - as above
            workers.until(lambda: is_idle(container), what="every reminder to be finished")
            assert workers.all_live
    report = sink.report()
    outside = [
        answer for answer in readers.answers.failures if not any(start <= answer[0] <= end for start, end in away)
    ]
    # Since the end of the last outage before it.
    late = [min([at - end for _, end in away if end <= at], default=0.0) for at, _, _ in outside]
    print_report(
        f"{SCALE.pooled:,} due, PgBouncer killed {len(away)} time(s) under load: {report.duplicates} duplicates, "
        f"{len(readers.answers.failures)} failed of {len(readers.answers.all):,} requests, the last "
        f"{max([0.0, *late]):.2f} s after it was back; {len(outside)} outside an outage"
    )
    assert set(report.copies) == addresses(SCALE.pooled)
    assert report.duplicates == 0
    assert status_counts(container)["sent"] == SCALE.pooled
    # How soon is a figure of the report. In the end, every request is answered.
    assert [answer for answer in readers.answers.all[-50:] if answer in readers.answers.failures] == []
