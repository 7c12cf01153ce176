"""`mainstay jobs`: the table of job runs."""

import threading
from pathlib import Path

import pytest

from jobs.job_runs import JobRunRecorder
from jobs.schedule import Job
from jobs.worker import run_job
from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.domain.monitoring.job_runs import start_run
from tests.cli import assert_cli_error, run_cli
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.threads import RUNNING


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mainstay.db'}"


@pytest.fixture
def container(url: str, clock: FakeClock) -> Container:
    """Return a container on the file that the command reads."""
    container = build_container(settings_for(url), clock=clock)
    migrate_and_seed(container)
    yield container
    container.database.engine.dispose()


def record_run(
    container: Container,
    clock: FakeClock,
    name: str,
    *,
    seconds: float,
    counts=None,
    error: Exception | None = None,
) -> None:
    """Record a job run with this duration and result."""

    def run(_container: Container, _stop: threading.Event):
        clock.advance(seconds=seconds)
        if error:
            raise error
        return counts

    run_job(Job(name, run, 5), container, JobRunRecorder(container), RUNNING)


def test_latest_runs_are_shown_as_table_with_counts(container: Container, clock: FakeClock, url: str) -> None:
    record_run(container, clock, "send_emails", seconds=75, counts={"sent": 500, "handed_back": 2})
    record_run(
        container, clock, "send_emails", seconds=2, error=ConnectionResetError("reader@news.example is gone")
    )
    record_run(container, clock, "expire_pledges", seconds=0.25, counts={"expired": 0})
    shown = run_cli("jobs", DATABASE_URL=url)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == [
        "when (UTC)           job             how long    outcome    what came of it",
        "2026-11-23 09:31:17  expire_pledges  0.2 s       succeeded  nothing to do",
        "2026-11-23 09:31:15  send_emails     2.0 s       failed     ConnectionResetError",
        "2026-11-23 09:30:00  send_emails     1 min 15 s  succeeded  handed back 2, sent 500",
    ]


def test_running_job_shows_elapsed_time(container: Container, clock: FakeClock, url: str) -> None:
    with container.database.transaction() as session:
        start_run(session, "send_emails", worker=container.worker_id, now=clock())
    shown = run_cli("jobs", DATABASE_URL=url).stdout.splitlines()[1]
    assert shown.split()[2] == "send_emails"
    assert shown.endswith("running")


def test_runs_can_be_filtered_by_job_and_limited(container: Container, clock: FakeClock, url: str) -> None:
    for number in range(1, 4):
        record_run(container, clock, "send_emails", seconds=1, counts={"sent": number})
        record_run(container, clock, "expire_pledges", seconds=1, counts={"expired": number})
    result = run_cli("jobs", "--job", "send_emails", "--limit", "2", DATABASE_URL=url).stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in result[1:]] == ["sent 3", "sent 2"]
    assert len(run_cli("jobs", "--limit", "5", DATABASE_URL=url).stdout.splitlines()) == 6


def test_empty_history_suggests_starting_a_worker(container: Container, url: str) -> None:
    result = run_cli("jobs", DATABASE_URL=url)
    assert (result.exit_code, result.stdout) == (0, "No worker has run yet; start one with mainstay worker.\n")
    assert run_cli("jobs", "--job", "send_emails", DATABASE_URL=url).stdout == result.stdout


def test_job_without_runs_is_distinguished_from_empty_history(
    container: Container, clock: FakeClock, url: str
) -> None:
    record_run(container, clock, "expire_pledges", seconds=1, counts={})
    result = run_cli("jobs", "--job", "pledges", DATABASE_URL=url)
    assert result.stdout == "No run of pledges is on record; mainstay jobs shows those of every job.\n"


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_invalid_limit_is_rejected(limit: str) -> None:
    assert_cli_error(run_cli("jobs", "--limit", limit), "--limit")


def test_missing_tables_error_suggests_migrate(tmp_path: Path) -> None:
    assert_cli_error(run_cli("jobs", DATABASE_URL=f"sqlite:///{tmp_path}/bare.db"), "run mainstay migrate")
