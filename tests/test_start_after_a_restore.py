"""The start of a worker asks whether the database was restored, in whatever way it is started."""

import datetime
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from schemas.enums import ReminderStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.clock import utc_now
from service.db.identity import is_same_database
from service.db.models.jobs import Heartbeat
from service.db.models.reminder import Reminder
from tests.cli import run_cli
from tests.conftest import make_database, settings_for
from tests.db.factories import create_reminder
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.processes import environment, free_port, running, wait_until

# Generous, because the machine may be busy.
STOP_SECONDS = 300
WORKERS = {"mainstay worker": ("service", "worker"), "the program itself": ("jobs.worker",)}


@pytest.fixture
def sink() -> Iterator[SmtpSinkProcess]:
    with SmtpSinkProcess() as sink:
        yield sink


@pytest.fixture(params=["sqlite", "postgresql"])
def container(request: pytest.FixtureRequest, worker_id: str, tmp_path: Path) -> Iterator[Container]:
    """Return a database in which nothing has happened for two months, and then a reminder came due."""
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'mainstay.db'}" if is_sqlite else make_database(f"mainstay_start_{worker_id}")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    container = build_container(settings_for(url))
    create_reminder(container, "reader@news.example")
    now, day = utc_now(), datetime.timedelta(days=1)
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=now - day, asked_at=now - 90 * day))
        session.execute(insert(Heartbeat).values(worker_id="0" * 32, at=now - 60 * day))
    yield container
    container.database.engine.dispose()


def is_sent(container: Container) -> bool:
    with container.database.read_only() as session:
        return session.scalars(select(Reminder.status)).all() == [ReminderStatus.SENT]


@contextmanager
def started(container: Container, log: Path, *command: str, **settings: str) -> Iterator[subprocess.Popen]:
    env = environment(container.settings.database_url, PORT=str(free_port()), WEB_CONCURRENCY="1", **settings)
    with running(sys.executable, "-m", *command, log=log, env=env) as process:
        yield process


@pytest.mark.parametrize("command", WORKERS.values(), ids=WORKERS.keys())
def test_worker_refuses_after_two_months_of_silence_until_told(
    container: Container, sink: SmtpSinkProcess, tmp_path: Path, command: tuple[str, ...]
) -> None:
    url, mail = container.settings.database_url, {"MAIL_URL": sink.url_for("worker")}
    # What staff do to a restored database does not hide that it was silent.
    assert run_cli("token", "create", "--name", "new", "--scope", "read", DATABASE_URL=url).exit_code == 0
    log = tmp_path / "refused"
    with started(container, log, *command, **mail) as process:
        assert process.wait(timeout=STOP_SECONDS) == 1, log.read_text()
    sentence = log.read_text().splitlines()[-1]
    assert sentence.startswith("Nothing has happened in this database since")
    assert "1 email is due" in sentence
    assert "run mainstay restore-guard --sent-before INSTANT" in sentence
    assert "run mainstay restore-guard --nothing-restored" in sentence
    assert "Traceback" not in log.read_text()
    assert sink.accepted == 0
    assert run_cli("restore-guard", "--nothing-restored", DATABASE_URL=url).exit_code == 0
    with started(container, tmp_path / "log", *command, **mail):
        wait_until(lambda: is_sent(container), what="the reminder to be sent")
    assert sink.accepted == 1


@pytest.mark.parametrize("container", ["sqlite"], indirect=True)
def test_dev_asks_if_its_emails_reach_readers(container: Container, sink: SmtpSinkProcess, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(container, log, "service", "dev", MAIL_URL=sink.url_for("worker")) as process:
        assert process.wait(timeout=STOP_SECONDS) == 1, log.read_text()
    assert "run mainstay restore-guard --sent-before INSTANT" in log.read_text()
    assert sink.accepted == 0


@pytest.mark.parametrize("container", ["sqlite"], indirect=True)
def test_dev_with_the_outbox_goes_on_after_a_break(container: Container, tmp_path: Path) -> None:
    with started(container, tmp_path / "log", "service", "dev"):
        wait_until(lambda: is_sent(container), what="the reminder to be in the outbox")


def test_worker_that_starts_without_a_database_waits_for_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = environment(f"postgresql://desk@127.0.0.1:{free_port()}/paper", MAIL_URL="smtp://127.0.0.1:1?tls=none")
    with running(sys.executable, "-m", "jobs.worker", log=log, env=env) as process:
        wait_until(lambda: "database_away" in log.read_text() or process.poll() is not None, what="the worker")
        assert "worker_started" not in log.read_text()
        process.terminate()
        assert process.wait(timeout=STOP_SECONDS) == 0, log.read_text()


@pytest.mark.parametrize(
    ("stored", "current", "is_same"),
    [
        ("postgresql 7/1", "postgresql 7/1", True),
        ("postgresql 7/1", "postgresql 8/1", False),
        ("postgresql 7/1", "postgresql 7/2", False),
        # The role may not see the server, or could not when it was stored.
        ("postgresql 7/1", "postgresql /1", True),
        ("postgresql /1", "postgresql 7/1", True),
        ("postgresql /1", "postgresql 7/2", False),
        ("postgresql /1", "postgresql /2", False),
        ("sqlite", "sqlite", True),
        ("sqlite", "postgresql /1", False),
        ("backup of 2026-11-26 03:00 UTC", "sqlite", False),
        ("backup of 2026-11-26 03:00 UTC", "postgresql /1", False),
    ],
)
def test_identity_is_compared_as_far_as_it_is_known(stored: str, current: str, is_same: bool) -> None:
    assert is_same_database(stored, current) is is_same
