"""PostgreSQL crashes: no email is lost, and the workers recover by themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from tests.conftest import settings_for
from tests.faults.dataset import addresses, fill, is_idle, status_counts
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.postgres import PostgresServer

WORKERS = 3


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    # Durable, because the other tests' server may lose commits in a crash.
    server = PostgresServer(durable=True)
    yield server
    server.stop()


@pytest.fixture
def container(server: PostgresServer) -> Iterator[Container]:
    container = build_container(settings_for(server.url))
    migrate_and_seed(container)
    yield container
    container.database.engine.dispose()


def test_database_crash_loses_no_email(
    server: PostgresServer, container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(container, SCALE.reminders)
    sink.delay(0.01)
    with WorkerPool(WORKERS, url, sink, tmp_path / "log") as workers:
        for number in range(SCALE.restarts):
            enough = SCALE.reminders * number // (SCALE.restarts + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} emails")  # noqa: B023 - used at once
            # The worst moment: emails were sent, and their replies cannot be recorded.
            sink.pause()
            workers.until(lambda: sink.in_hand, what="a worker to send an email")
            server.crash()
            sink.clear_rules()
            workers.until(lambda: not sink.in_hand, what="the replies to be sent")
            server.recover()
        workers.until(lambda: is_idle(container), what="every reminder to be finished")
        assert workers.all_live
    report = sink.report()
    print_report(
        f"{SCALE.reminders:,} due, {SCALE.restarts} crash(es) of PostgreSQL under {WORKERS} workers: "
        f"{len(report.copies):,} addresses got their email, {report.duplicates} duplicates"
    )
    assert status_counts(container) == {"sent": SCALE.reminders}
    assert set(report.copies) == addresses(SCALE.reminders)
    assert report.duplicates <= SCALE.restarts * WORKERS
