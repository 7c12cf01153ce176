"""`mainstay reminders`: the list of failures, and the retry."""

import datetime
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text, update

from schemas.enums import ReminderStatus
from service.cli import cli
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import find, status_changes

Run = Callable[..., Result]


@pytest.fixture
def run(container: Container) -> Run:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        settings = {
            "DATABASE_URL": container.settings.database_url,
            "SECRET_KEYS": ",".join(container.settings.secret_keys),
        }
        return CliRunner().invoke(cli, ["reminders", *arguments], env=settings, input=stdin)

    return run


def fail(container: Container, address: str, reason: str):
    """Create a reminder that failed after eight attempts."""
    reminder_id = create_reminder(container, address)
    with container.database.transaction() as session:
        values = {
            "status": ReminderStatus.FAILED,
            "reason": reason,
            "attempts": 8,
            "due_at": container.clock() - datetime.timedelta(days=2),
        }
        session.execute(update(Reminder).where(Reminder.id == reminder_id).values(values))
        attempt = {"occurrence": 1, "lease_number": 8, "attempts": 8, "outcome": "deferred"}
        session.add(OutgoingEmail(reminder_id=reminder_id, started_at=container.clock(), **attempt))
    return reminder_id


def test_empty_list_is_reported(container: Container, run: Run) -> None:
    create_reminder(container, "a@news.example")
    assert run("failed").stderr == "No reminder has failed.\n"
    result = run("retry")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No such reminder has failed.\n"


def test_failures_are_counted_by_reason_most_frequent_first(container: Container, run: Run) -> None:
    fail(container, "a@news.example", "recipient refused (550)")
    for number in range(3):
        fail(container, f"b{number}@news.example", "recipient refused for now (450)")
    lines = [line.split(maxsplit=2) for line in run("failed").stdout.splitlines()]
    assert lines == [
        ["3", "default", "recipient refused for now (450)"],
        ["1", "default", "recipient refused (550)"],
    ]
    assert run("failed", "--campaign", "elsewhere").stderr == "No reminder has failed.\n"


def test_retry_by_reason_resets_attempts(container: Container, run: Run, clock: FakeClock) -> None:
    matching, other = (
        fail(container, "a@news.example", "could not be written: its row makes no letter"),
        fail(container, "b@news.example", "100% refused"),
    )
    result = run("retry", "--reason", "could not", stdin="y\n")
    assert result.exit_code == 0
    assert result.stdout == "Sent 1 reminder back into the queue.\n"
    assert (find(container, matching).status, find(container, matching).attempts) == (ReminderStatus.SCHEDULED, 0)
    assert status_changes(container, matching)[-1] == ("send_back", "scheduled")
    assert find(container, other).status == ReminderStatus.FAILED
    with container.database.read_only() as session:
        assert session.get_one(OutgoingEmail, (matching, 1)).attempts == 0
        assert session.scalars(select(AuditEntry)).one().details == {"returned": 1}
    # A reason is matched literally, not as a pattern.
    assert run("retry", "--reason", "%", "--yes").stderr == "No such reminder has failed.\n"


def test_declined_confirmation_changes_nothing(container: Container, run: Run) -> None:
    failed = fail(container, "a@news.example", "refused")
    result = run("retry", stdin="n\n")
    assert result.exit_code == 1
    assert "Send 1 reminder back?" in result.stderr
    assert find(container, failed).status == ReminderStatus.FAILED


def test_retry_works_in_batches(container: Container, run: Run) -> None:
    failed = fail(container, "a@news.example", "refused")
    with container.database.transaction() as session:
        columns = [
            column.name for column in Reminder.__table__.columns if column.name not in ("id", "supporter_id")
        ]
        names = ", ".join(columns)
        session.execute(
            text(
                "WITH people AS (INSERT INTO supporters (id, email, email_hash, created_at) "
                "SELECT gen_random_uuid(), '', decode(md5(n::text), 'hex'), now() FROM generate_series(1, 999) n "
                "RETURNING id) "
                f"INSERT INTO reminders (id, supporter_id, {names}) "
                f"SELECT gen_random_uuid(), people.id, {names.replace('due_at', 'reminders.due_at')} "
                "FROM people, reminders WHERE reminders.id = :id"
            ),
            {"id": failed},
        )
    result = run("retry", "--yes")
    assert result.stdout == "Sent 1000 reminders back into the queue.\n"
    assert result.stderr.splitlines() == [f"{number} of 1000 sent back" for number in range(200, 1001, 200)]
