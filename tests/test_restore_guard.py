"""A restored backup sends no email twice: `mainstay backup`, `mainstay restore-guard`, and the worker's start."""

import datetime
import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import make_url

from jobs.restore_check import find_restore_when_up
from schemas.enums import EmailKind, EmailStatus, JobOutcome, ReminderStatus
from service.container import Container
from service.db.base import new_id
from service.db.clock import utc_now
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email.outbox import enqueue_email
from service.domain.reminders.queue import enqueue_due_reminders
from tests.cli import assert_cli_error, run_cli
from tests.conftest import make_database, settings_for
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.postgres import find_binaries
from tests.processes import ROOT, environment, stop, wait_until

DUE = 201
MINUTE = datetime.timedelta(minutes=1)
# The only kind that refers to no other row.
ALERT = {"lang": "en", "subject": "A subject", "body": "A body."}


@pytest.fixture
def sink() -> Iterator[SmtpSinkProcess]:
    """Return a mail server in its own process."""
    with SmtpSinkProcess() as sink:
        yield sink


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, worker_id: str, tmp_path: Path) -> str:
    """Return the URL of a migrated database with the demo campaign, once of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'mainstay.db'}"
    else:
        url = make_database(f"mainstay_guard_{worker_id}")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    return url


@pytest.fixture
def open_container() -> Iterator[Callable[[str], Container]]:
    """Return a function that builds a container, whose connections are closed afterwards."""
    from service.bootstrap import build_container

    built: list[Container] = []

    def build(url: str) -> Container:
        built.append(build_container(settings_for(url)))
        return built[-1]

    yield build
    for container in built:
        container.database.engine.dispose()


def add_due_reminders(container: Container, count: int, **changes: object) -> None:
    now = utc_now()
    with container.database.transaction() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
        first = session.scalar(select(func.count()).select_from(Supporter)) or 0
        for number in range(first, first + count):
            email = f"reader-{number}@news.example"
            supporter = {"id": new_id(), "email": email, "created_at": now}
            supporter["email_hash"] = container.database.keyring.lookup_hash(email)
            session.execute(insert(Supporter).values(supporter))
            row = {"id": new_id(), "campaign_id": campaign_id, "supporter_id": supporter["id"], "months": 1}
            row |= {"status": "scheduled", "due_on": now.date(), "due_at": now - MINUTE, "timezone": "UTC"}
            row |= {"currency": "USD", "lang": "en", "asked_at": now - 30 * 24 * 60 * MINUTE}
            session.execute(insert(Reminder).values(row | changes))


def statuses(container: Container) -> dict[str, int]:
    with container.database.read_only() as session:
        query = select(Reminder.status, func.count()).group_by(Reminder.status)
        return {status.value: count for status, count in session.execute(query)}


def held(container: Container) -> int:
    with container.database.read_only() as session:
        return session.scalar(select(func.count()).where(OutgoingEmail.held_at.is_not(None))) or 0


@contextmanager
def worker(
    url: str, sink: SmtpSinkProcess, log: Path, *command: str, is_refused: bool = False
) -> Iterator[subprocess.Popen]:
    """Run `mainstay worker` until the block ends."""
    env = environment(url, MAIL_URL=sink.url_for("worker"))
    with log.open("ab") as file:
        command = (sys.executable, "-m", *(command or ("service", "worker")))
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT)
        try:
            wait_until(
                lambda: process.poll() is not None or "worker_started" in log.read_text(),
                what=f"the worker, see {log}",
            )
            assert is_refused or process.poll() is None, log.read_text()
            yield process
        finally:
            stop(process)


def refused_start(url: str, sink: SmtpSinkProcess, log: Path, *command: str) -> str:
    """Start a worker that must refuse; return its sentence."""
    log.unlink(missing_ok=True)
    with worker(url, sink, log, *command, is_refused=True) as process:
        assert process.wait(timeout=60) == 1, log.read_text()
    *warnings, sentence = log.read_text().splitlines()
    assert {json.loads(line)["level"] for line in warnings} <= {"warning"}, warnings
    return sentence


def restore(url: str, file: Path) -> None:
    """Put the backup in the place of the database, as docs/operations.md says."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        # Connections of this process may still have the old file open.
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(file, path)
        return
    libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    command = (find_binaries() / "pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={libpq}", file)
    subprocess.run(command, check=True)


@pytest.fixture(autouse=True)
def pg_dump_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `mainstay backup` find the pg_dump that belongs to the server of the tests."""
    import os

    monkeypatch.setenv("PATH", f"{find_binaries()}{os.pathsep}{os.environ['PATH']}")


def test_restored_backup_repeats_no_email_and_sends_what_staff_release(
    url: str, sink: SmtpSinkProcess, tmp_path: Path, open_container: Callable[[str], Container]
) -> None:
    container = open_container(url)
    log, file = tmp_path / "log", tmp_path / "backup"
    # The worker has used the database before the backup, as in production.
    with worker(url, sink, log):
        add_due_reminders(container, 1)
        wait_until(lambda: sink.accepted == 1, what=f"the first reminder, see {log}")
    add_due_reminders(container, DUE)
    assert run_cli("backup", str(file), DATABASE_URL=url).exit_code == 0
    log.unlink()
    with worker(url, sink, log):
        wait_until(lambda: statuses(container) == {"sent": DUE + 1}, what=f"the reminders to be sent, see {log}")
    container.database.engine.dispose()
    restore(url, file)
    # The backup does not know what was sent since.
    assert statuses(container) == {"sent": 1, "scheduled": DUE}
    sentence = refused_start(url, sink, tmp_path / "refused")
    # Every way to start a worker asks.
    assert refused_start(url, sink, tmp_path / "refused", "jobs.worker") == sentence
    assert f"{DUE} emails are due" in sentence
    assert "mainstay restore-guard --sent-before" in sentence
    assert "--nothing-restored" in sentence
    assert sink.accepted == DUE + 1
    result = run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url)
    assert result.exit_code == 0, result.output
    assert f"Held {DUE} emails" in result.output
    assert held(container) == DUE
    listed = run_cli("restore-guard", "list", DATABASE_URL=url).output
    assert f"{DUE}  reminder" in listed
    with container.database.read_only() as session:
        first, second = session.scalars(
            select(OutgoingEmail.id).where(OutgoingEmail.held_at.is_not(None)).limit(2)
        ).all()
    log.unlink()
    with worker(url, sink, log):
        # What comes due after the instant is sent, so the queue is at work.
        add_due_reminders(container, 3)
        wait_until(lambda: sink.accepted == DUE + 4, what=f"the new reminders, see {log}")
        released = run_cli("restore-guard", "release", "--yes", str(first), str(second), DATABASE_URL=url)
        assert "Released 2 emails." in released.output
        wait_until(lambda: sink.accepted == DUE + 6, what=f"the released reminders, see {log}")
    cancelled = run_cli("restore-guard", "cancel", "--yes", DATABASE_URL=url)
    assert f"Took {DUE - 2} emails as sent." in cancelled.output
    assert statuses(container) == {"sent": 6, "skipped": DUE - 2}
    assert "No email is held." in run_cli("restore-guard", "list", DATABASE_URL=url).output
    report = sink.report()
    assert report.duplicates == 2
    assert len(report.copies) == DUE + 4


@pytest.fixture
def container(url: str, open_container: Callable[[str], Container]) -> Container:
    """Return a container on the database of each kind."""
    return open_container(url)


def add_heartbeat(container: Container, age: datetime.timedelta) -> None:
    """Let a worker have lived and run jobs until some time ago."""
    at = utc_now() - age
    with container.database.transaction() as session:
        session.execute(insert(Heartbeat).values(worker_id="0" * 32, at=at))
        run = {"id": uuid.uuid4(), "job": "send_reminders", "worker": new_id(), "started_at": at, "counts": {}}
        session.execute(insert(JobRun).values(run | {"outcome": JobOutcome.SUCCEEDED}))


def start_check(container: Container) -> str | None:
    """Return why a worker would not start on this database; None if it would."""
    restore = find_restore_when_up(container, lambda: True)
    return None if restore is None else str(restore)


def test_worker_starts_on_a_new_database_with_due_emails(container: Container, url: str) -> None:
    add_due_reminders(container, 3)
    assert start_check(container) is None


@pytest.mark.parametrize("minutes", [0, 59])
def test_worker_starts_after_a_short_stop(container: Container, url: str, minutes: int) -> None:
    add_due_reminders(container, 3)
    add_heartbeat(container, minutes * MINUTE)
    assert start_check(container) is None


def test_worker_starts_after_a_silence_without_due_emails(container: Container, url: str) -> None:
    add_heartbeat(container, datetime.timedelta(days=3))
    assert start_check(container) is None


def test_worker_starts_after_a_weekend_in_which_the_web_process_worked(container: Container, url: str) -> None:
    add_heartbeat(container, datetime.timedelta(days=3))
    add_due_reminders(container, 3, asked_at=utc_now() - MINUTE)
    assert start_check(container) is None


def test_worker_refuses_after_a_silence_with_due_emails_until_told(container: Container, url: str) -> None:
    add_due_reminders(container, 1)
    add_heartbeat(container, datetime.timedelta(days=3))
    sentence = start_check(container)
    assert sentence is not None
    assert "Nothing has happened in this database since" in sentence
    assert "1 email is due" in sentence
    assert run_cli("restore-guard", "--nothing-restored", DATABASE_URL=url).exit_code == 0
    assert start_check(container) is None
    assert held(container) == 0


def test_dump_restored_at_once_is_recognised(url: str, container: Container, tmp_path: Path) -> None:
    assert start_check(container) is None  # This is the first worker.
    assert run_cli("backup", str(tmp_path / "backup"), DATABASE_URL=url).exit_code == 0
    assert start_check(container) is None
    container.database.engine.dispose()
    restore(url, tmp_path / "backup")
    sentence = start_check(container)
    assert sentence is not None
    assert "no email is due" in sentence
    assert run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url).exit_code == 0
    assert start_check(container) is None


def test_copied_database_is_used_like_the_original_and_a_copied_backup_is_not(
    tmp_path: Path, worker_id: str, open_container: Callable[[str], Container]
) -> None:
    url = f"sqlite:///{tmp_path / 'mainstay.db'}"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    assert start_check(open_container(url)) is None
    assert run_cli("backup", str(tmp_path / "backup"), DATABASE_URL=url).exit_code == 0
    for source, refusal in ((url, None), (f"sqlite:///{tmp_path / 'backup'}", "This database is a backup of")):
        target = make_database(f"mainstay_guard_{worker_id}")
        result = run_cli("copy-database", source, target, DATABASE_URL="")
        assert result.exit_code == 0, result.output
        sentence = start_check(open_container(target))
        assert sentence == refusal or refusal in sentence


def test_guard_holds_what_was_due_before_the_instant_only(container: Container, url: str) -> None:
    now = utc_now()
    add_due_reminders(container, 1, due_at=now - 61 * MINUTE)
    add_due_reminders(container, 1, due_at=now - 59 * MINUTE)
    add_due_reminders(container, 1, due_at=now + 59 * MINUTE)
    add_due_reminders(container, 1, due_at=now - 61 * MINUTE, status="sent")
    instant = (now - 60 * MINUTE).isoformat()
    assert "Held 1 email " in run_cli("restore-guard", "--sent-before", instant, DATABASE_URL=url).output
    assert held(container) == 1
    # A later instant holds more, and what is held stays held.
    assert "Held 1 email " in run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url).output
    assert held(container) == 2
    assert "Released 2 emails" in run_cli("restore-guard", "undo", "--yes", DATABASE_URL=url).output
    assert held(container) == 0


def test_what_was_being_sent_is_held_too(container: Container, url: str) -> None:
    lease = {"leased_until": utc_now() + MINUTE, "leased_by": new_id(), "lease_number": 1}
    add_due_reminders(container, 2)
    with container.database.transaction() as session:
        enqueue_due_reminders(session, now=utc_now(), respect_sending_hours=False)
        enqueue_email(session, EmailKind.ALERT, "a", now=utc_now() - MINUTE, **ALERT)
        session.execute(update(OutgoingEmail).values(status=EmailStatus.SENDING, **lease))
    assert "Held 3 emails" in run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url).output
    assert statuses(container) == {"sending": 2}
    listed = run_cli("restore-guard", "list", "--each", DATABASE_URL=url).stdout.splitlines()
    assert sorted(line.split()[1] for line in listed) == ["alert", "reminder", "reminder"]
    result = run_cli("restore-guard", "cancel", "--kind", "alert", "--yes", DATABASE_URL=url)
    assert "Took 1 email as sent" in result.output
    with container.database.read_only() as session:
        status = select(OutgoingEmail.status).where(OutgoingEmail.kind == EmailKind.ALERT)
        assert session.scalar(status) == EmailStatus.SKIPPED
    assert statuses(container) == {"sending": 2}


def test_cancelled_reminder_that_repeats_comes_on_its_next_date(container: Container, url: str) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1], reminder_choices=[1]))
    add_due_reminders(container, 1, every_months=1)
    add_due_reminders(container, 1, awaits_confirmation=True)
    run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url)
    assert "Took 2 emails" in run_cli("restore-guard", "cancel", "--yes", DATABASE_URL=url).output
    assert statuses(container) == {"scheduled": 1, "unconfirmed": 1}
    with container.database.read_only() as session:
        repeated = session.scalars(select(Reminder).where(Reminder.status == ReminderStatus.SCHEDULED)).one()
    assert repeated.due_at > utc_now()
    assert held(container) == 0
    assert repeated.occurrence == 2


def test_email_about_a_payment_before_the_instant_is_held_when_it_is_reported_again(
    container: Container, url: str
) -> None:
    run_cli("restore-guard", "--sent-before", "now", DATABASE_URL=url)
    now = utc_now()
    with container.database.transaction() as session:
        for key, happened_at in {"before": now - 60 * MINUTE, "after": now + MINUTE, "unknown": None}.items():
            enqueue_email(session, EmailKind.ALERT, key, now=now, happened_at=happened_at, **ALERT)
    with container.database.read_only() as session:
        query = select(OutgoingEmail.dedup_key).where(OutgoingEmail.held_at.is_not(None))
        assert session.scalars(query).all() == ["before"]
    run_cli("restore-guard", "undo", "--yes", DATABASE_URL=url)
    with container.database.transaction() as session:
        enqueue_email(session, EmailKind.ALERT, "later", now=now, happened_at=now - 60 * MINUTE, **ALERT)
    assert "No email is held" in run_cli("restore-guard", "list", DATABASE_URL=url).output


@pytest.mark.parametrize("instant", ["yesterday", "2026-11-26", "2026-11-26T14:30:00", "2999-01-01T00:00:00Z", ""])
def test_unclear_instant_is_refused(container: Container, url: str, instant: str) -> None:
    add_due_reminders(container, 1)
    assert_cli_error(run_cli("restore-guard", "--sent-before", instant, DATABASE_URL=url), "sent-before")
    assert held(container) == 0


def test_guard_without_an_instant_names_its_options(container: Container, url: str) -> None:
    assert_cli_error(run_cli("restore-guard", DATABASE_URL=url), "--sent-before", "--nothing-restored")


def test_copy_of_a_running_file_lacks_rows_that_the_backup_has(
    tmp_path: Path, open_container: Callable[[str], Container]
) -> None:
    url = f"sqlite:///{tmp_path / 'mainstay.db'}"
    container = open_container(url)
    # A connection that is open keeps what is written in the -wal file.
    with container.database.engine.connect() as connection:
        assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
        add_due_reminders(container, 5)
        shutil.copy(tmp_path / "mainstay.db", tmp_path / "copy.db")
        result = run_cli("backup", str(tmp_path / "backup.db"), DATABASE_URL=url)
        assert result.exit_code == 0, result.output
        connection.rollback()

    def count(file: Path) -> int:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute("SELECT count(*) FROM reminders").fetchone()[0]

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        count(tmp_path / "copy.db")
    assert count(tmp_path / "backup.db") == 5
    assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("*backup*")) == ["backup.db"]


def test_backup_refuses_what_it_cannot_write(container: Container, url: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine", encoding="utf-8")
    assert_cli_error(run_cli("backup", str(tmp_path / "there"), DATABASE_URL=url), "exists", "--force")
    assert (tmp_path / "there").read_text(encoding="utf-8") == "mine"
    assert_cli_error(run_cli("backup", str(tmp_path / "gone" / "file"), DATABASE_URL=url), "does not exist")
    assert run_cli("backup", "--force", str(tmp_path / "there"), DATABASE_URL=url).exit_code == 0
    assert (tmp_path / "there").stat().st_size > 10_000


def test_backup_without_pg_dump_says_the_command_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_cli("backup", str(tmp_path / "x.dump"), DATABASE_URL="postgresql://desk:hidden@db.example/paper")
    assert_cli_error(result, "pg_dump --format=custom", "x.dump", "postgresql://desk@db.example/paper")
    assert "hidden" not in result.output


def test_failed_dump_leaves_no_file(tmp_path: Path) -> None:
    result = run_cli("backup", str(tmp_path / "x.dump"), DATABASE_URL="postgresql://desk:hidden@127.0.0.1:1/paper")
    assert_cli_error(result, "pg_dump failed")
    assert "hidden" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_backup_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'missing.db'}"
    assert_cli_error(run_cli("backup", str(tmp_path / "x.db"), DATABASE_URL=url), "no database")
    assert list(tmp_path.iterdir()) == []
