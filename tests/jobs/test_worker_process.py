"""Worker processes with PostgreSQL and a mail server: no duplicates, no losses, and a clean shutdown."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from jobs.email_queue import MAX_BATCH_SIZE
from schemas.enums import ReminderStatus
from service.container import Container
from service.db.clock import utc_now
from service.db.models.jobs import Heartbeat
from service.db.models.reminder import Reminder
from service.domain.monitoring.summary import last_heartbeat
from tests.db.factories import create_reminder
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import email_of, status_changes
from tests.processes import ROOT, environment, free_port, wait_until, web, worker


@pytest.fixture
def url(container: Container) -> str:
    return container.settings.database_url


# More than one worker claims at a time.
COUNT = MAX_BATCH_SIZE + 50


def create_due_reminders(container: Container, count: int) -> None:
    """Create reminders that are due by the real clock, the first one the oldest."""
    ids = [create_reminder(container, f"reader-{number}@news.example") for number in range(count)]
    now = utc_now()
    with container.database.transaction() as session:
        session.execute(
            update(Reminder),
            [
                {"id": reminder_id, "due_at": now - datetime.timedelta(seconds=count - number)}
                for number, reminder_id in enumerate(ids)
            ],
        )


def count(container: Container, status: ReminderStatus) -> int:
    with container.database.read_only() as session:
        return session.scalar(select(func.count()).select_from(Reminder).where(Reminder.status == status)) or 0


def all_sent(container: Container, expected: int) -> bool:
    return count(container, ReminderStatus.SENT) == expected


def has_heartbeat(container: Container) -> bool:
    with container.database.read_only() as session:
        return last_heartbeat(session) is not None


def test_two_worker_processes_send_each_email_once(container: Container, url: str, tmp_path: Path) -> None:
    create_due_reminders(container, COUNT)
    with SmtpTestServer() as sink:
        # Slow enough that both workers get a share.
        sink.stall_seconds = 0.01
        with (
            worker(url, tmp_path / "one.log", MAIL_URL=sink.url) as one,
            worker(url, tmp_path / "two.log", MAIL_URL=sink.url) as two,
        ):
            wait_until(lambda: all_sent(container, COUNT), what="every email to be sent")
        assert (one.returncode, two.returncode) == (0, 0)
        assert len(sink.ids()) == len(set(sink.ids())) == COUNT
        assert sorted(sink.recipients) == sorted(f"reader-{number}@news.example" for number in range(COUNT))
    lines = [line for name in ("one.log", "two.log") for line in (tmp_path / name).read_text().splitlines()]
    batches = [json.loads(line) for line in lines if '"emails_sent"' in line]
    assert sum(entry["sent"] for entry in batches) == COUNT
    for name in ("one.log", "two.log"):
        assert "job_failed" not in (tmp_path / name).read_text()
        assert "@news.example" not in (tmp_path / name).read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_the_current_email_and_requeues_the_rest(
    container: Container, url: str, tmp_path: Path, number: signal.Signals
) -> None:
    create_due_reminders(container, 5)
    with SmtpTestServer() as sink:
        # Long enough for the signal to arrive meanwhile, even on a busy machine.
        sink.stall_seconds = 5
        with worker(url, tmp_path / "log", MAIL_URL=sink.url) as process:
            assert sink.in_data.wait(60)
            process.send_signal(number)
            # As when an impatient operator presses Ctrl+C twice.
            process.send_signal(number)
            assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()
        assert sink.recipients == ["reader-0@news.example"]
    with container.database.read_only() as session:
        reminders = session.scalars(select(Reminder).order_by(Reminder.id)).all()
    emails = [email_of(container, reminder.id) for reminder in reminders]
    assert [
        (reminder.status.value, email.status.value, email.attempts)
        for reminder, email in zip(reminders, emails, strict=True)
    ] == [
        ("sent", "sent", 1),
        *[("sending", "scheduled", 0)] * 4,
    ]
    assert {(email.leased_by, email.leased_until) for email in emails} == {(None, None)}
    assert [event for event, _ in status_changes(container, reminders[1].id)] == ["made", "enqueue"]


def test_idle_worker_sends_heartbeats_and_stops_quickly(container: Container, url: str, tmp_path: Path) -> None:
    with worker(url, tmp_path / "log") as process:
        wait_until(lambda: has_heartbeat(container), what="a heartbeat")
        started_at = time.monotonic()
        process.terminate()
        assert process.wait(timeout=60) == 0
        # Nothing makes an idle worker wait.
        assert time.monotonic() - started_at < 30


def test_suspended_worker_goes_on_when_it_is_resumed(container: Container, url: str, tmp_path: Path) -> None:
    with worker(url, tmp_path / "worker.log") as process:
        wait_until(lambda: has_heartbeat(container), what="a heartbeat")
        os.kill(process.pid, signal.SIGSTOP)
        # Longer than the worker waits for a signal at a time.
        time.sleep(3)
        os.kill(process.pid, signal.SIGCONT)
        create_due_reminders(container, 1)
        wait_until(
            lambda: process.poll() is not None or count(container, ReminderStatus.SENT) == 1, what="the reminder"
        )
        assert process.poll() is None


def test_web_process_sends_no_email_and_starts_no_scheduler(
    container: Container, url: str, tmp_path: Path
) -> None:
    create_due_reminders(container, 1)
    completed = subprocess.run(
        [sys.executable, "-c", "import sys, service.app; print([n for n in sys.modules if 'apscheduler' in n])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.strip() == "[]"
    with web(url, tmp_path / "log") as base:
        for _ in range(5):
            subprocess.run(
                [sys.executable, "-c", f"import urllib.request as u; u.urlopen('{base}/healthz')"], check=True
            )
    assert count(container, ReminderStatus.SCHEDULED) == 1
    with container.database.read_only() as session:
        assert session.scalar(select(Heartbeat.at)) is None


class DatabaseRelay:
    """A TCP relay to PostgreSQL's Unix socket that a test can open and close."""

    RELAY_PROGRAM = """
import asyncio, sys

port, socket = int(sys.argv[1]), sys.argv[2]

async def copy(source, target):
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    finally:
        target.close()

async def connect(reader, writer):
    there_reader, there_writer = await asyncio.open_unix_connection(socket)
    await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer), return_exceptions=True)

async def main():
    await (await asyncio.start_server(connect, "127.0.0.1", port)).serve_forever()

asyncio.run(main())
"""

    def __init__(self, socket: str) -> None:
        self.port = free_port()
        self._socket = socket
        self._process: subprocess.Popen | None = None

    def open(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", self.RELAY_PROGRAM, str(self.port), self._socket])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None


@pytest.fixture
def relay(container: Container):
    folder = container.database.engine.url.query.get("host")
    if not folder:
        # The server of TEST_DATABASE_URL may be remote and have no socket.
        pytest.skip("needs PostgreSQL on a Unix socket, which is the default of the tests")
    relay = DatabaseRelay(f"{folder}/.s.PGSQL.5432")
    yield relay
    relay.close()


def test_worker_survives_database_outages(container: Container, tmp_path: Path, relay: DatabaseRelay) -> None:
    create_due_reminders(container, 1)
    name = container.database.engine.url.database
    log = tmp_path / "log"
    with worker(f"postgresql://postgres@127.0.0.1:{relay.port}/{name}", log) as process:
        wait_until(lambda: log.exists() and "database_away" in log.read_text(), what="a try without a database")
        relay.open()
        wait_until(lambda: all_sent(container, 1), what="the email to be sent once the database is up")
        relay.close()
        before = log.read_text().count("job_failed")
        wait_until(lambda: log.read_text().count("job_failed") > before, what="the worker to lose it again")
        create_due_reminders(container, 2)
        relay.open()
        wait_until(lambda: all_sent(container, 2), what="the worker to recover")
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in log.read_text()


def test_worker_reports_an_invalid_setting_in_one_line(tmp_path: Path, url: str) -> None:
    env = environment(url, MAIL_URL="pigeon:")
    completed = subprocess.run(
        [sys.executable, "-m", "jobs.worker"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 1
    assert completed.stderr.startswith("MAIL_URL must be")
    assert len(completed.stderr.strip().splitlines()) == 1


def test_repeated_signals_stop_the_worker_once(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with worker(url, log) as process:
        wait_until(lambda: log.exists() and "worker_started" in log.read_text(), what="the worker to start")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, number)
        assert process.wait(timeout=60) == 0
    assert "worker_stopped" in log.read_text()
