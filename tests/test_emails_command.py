"""`mainstay emails`: what was sent and what was not, and the retry of what failed."""

import re
import uuid
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text, update

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus, ReminderStatus, SuppressionReason
from service.cli import cli
from service.container import Container
from service.db.clock import utc_now
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email.delivery import MAX_ATTEMPTS
from service.domain.email.outbox import enqueue_alert
from service.domain.email.suppression import suppress
from service.domain.ports import NotificationEmail, PermanentFailure, ReminderEmail
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import cancel
from tests.db.factories import create_reminder, record_delivery
from tests.jobs import fake_mailer
from tests.jobs.fake_mailer import READER, FakeMailer, email_of, run_send_reminders, status_changes
from tests.jobs.notifications import enqueue, find
from tests.jobs.notifications import run as send

Run = Callable[..., Result]
REFUSED = "recipient refused (550)"


@pytest.fixture
def run(container: Container) -> Run:
    def run(*arguments: str, typed: str | None = None) -> Result:
        settings = {
            "DATABASE_URL": container.settings.database_url,
            "SECRET_KEYS": ",".join(container.settings.secret_keys),
        }
        result = CliRunner().invoke(cli, ["emails", *map(str, arguments)], env=settings, input=typed)
        assert "@news.example" not in result.output, "an address is shown"
        return result

    return run


@pytest.fixture
def clock():
    """Return the real clock, which the command uses."""
    return utc_now


def fail(container: Container, kind: EmailKind, reason: str = REFUSED) -> uuid.UUID:
    """Return the id of an email that was refused."""

    def refuse(_: NotificationEmail) -> None:
        raise PermanentFailure(reason)

    email_id = enqueue(container, kind)
    send(container, FakeMailer(refuse))
    return email_id


def fail_reminder(container: Container, address: str, reason: str = REFUSED) -> uuid.UUID:
    """Return the id of a reminder that failed after all its attempts."""
    reminder_id = create_reminder(container, address)
    with container.database.transaction() as session:
        # Within its sending hours.
        session.execute(text("UPDATE campaigns SET send_hour = 0, send_until = 24"))
    record_delivery(container, reminder_id, ReminderEvent.FAIL, outcome=DeliveryOutcome.REJECTED)
    with container.database.transaction() as session:
        session.execute(update(Reminder).where(Reminder.id == reminder_id).values(reason=reason))
        values = {"reason": reason, "attempts": MAX_ATTEMPTS, "due_at": container.clock()}
        session.execute(update(OutgoingEmail).where(OutgoingEmail.reminder_id == reminder_id).values(values))
    return reminder_id


def cells(result: Result) -> list[list[str]]:
    """Return the rows of the printed table, without its headings."""
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["id", "kind", "campaign", "status", "due", "attempts", "reason"]
    return [re.split(r" {2,}", row.strip()) for row in rows]


def audit_log(container: Container) -> list[tuple[str, dict]]:
    with container.database.read_only() as session:
        return [(entry.action, entry.details) for entry in session.scalars(select(AuditEntry))]


def test_list_shows_emails_of_every_kind_newest_first(container: Container, run: Run) -> None:
    receipt = fail(container, EmailKind.RECEIPT)
    sign_in = enqueue(container, EmailKind.SIGN_IN)
    reminder = email_of(container, fail_reminder(container, READER, "too large (552)")).id
    with container.database.transaction() as session:
        enqueue_alert(session, "disk", subject="The disk is full", body="Make room.", now=container.clock())
    rows = cells(run("list"))
    assert [row[1:4] for row in rows] == [
        ["alert", "-", "scheduled"],
        ["reminder", "default", "failed"],
        ["sign_in", "-", "scheduled"],
        ["receipt", "default", "failed"],
    ]
    assert [row[0] for row in rows[1:]] == [str(reminder), str(sign_in), str(receipt)]
    assert [row[5:] for row in rows] == [
        ["0", "-"],
        [str(MAX_ATTEMPTS), "too large (552)"],
        ["0", "-"],
        ["1", REFUSED],
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[4]) for row in rows)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--status", "failed"], ["reminder", "receipt"]),
        (["--status", "scheduled"], ["sign_in"]),
        (["--kind", "receipt"], ["receipt"]),
        (["--campaign", "default"], ["reminder", "receipt"]),
        (["--campaign", "default", "--kind", "reminder", "--status", "failed"], ["reminder"]),
        (["--limit", "1"], ["reminder"]),
    ],
    ids=" ".join,
)
def test_list_filters(container: Container, run: Run, options: list[str], kinds: list[str]) -> None:
    fail(container, EmailKind.RECEIPT)
    enqueue(container, EmailKind.SIGN_IN)
    fail_reminder(container, READER)
    assert [row[1] for row in cells(run("list", *options))] == kinds


@pytest.mark.parametrize(
    "options", [[], ["--status", "sent"], ["--campaign", "elsewhere"], ["--kind", "renewal"]], ids=" ".join
)
def test_empty_list_is_reported(container: Container, run: Run, options: list[str]) -> None:
    if options:
        enqueue(container, EmailKind.RECEIPT)
    result = run("list", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There is no such email.\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["list", "--kind", "bill"], "sign_in"),
        (["failed", "--kind", "bill"], "sign_in"),
        (["retry", "--kind", "bill"], "sign_in"),
        (["list", "--status", "lost"], "cancelled"),
        (["list", "--limit", "0"], "1<=x<=1000"),
        (["list", "--limit", "1001"], "1<=x<=1000"),
        (["show", "x"], "not a valid UUID"),
        (["retry", "x"], "not a valid UUID"),
        (["show"], "Missing argument"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_options_are_refused(run: Run, options: list[str], expected: str) -> None:
    result = run(*options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr


def test_show_tells_everything_about_a_failed_email(container: Container, run: Run) -> None:
    receipt = fail(container, EmailKind.RECEIPT)
    email = find(container, receipt)
    fields = dict(line.split(":", 1) for line in run("show", receipt).stdout.splitlines())
    shown = {name: value.strip() for name, value in fields.items()}
    begun, ended = shown.pop("last begun"), shown.pop("last ended")
    assert begun <= ended
    assert shown == {
        "id": str(receipt),
        "kind": "receipt",
        "occasion": email.dedup_key,
        "campaign": "default",
        "language": "en",
        "status": "failed",
        "reason": REFUSED,
        "created": f"{email.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "due": f"{email.due_at:%Y-%m-%dT%H:%M:%SZ}",
        "attempts": "1",
        "last outcome": "rejected",
        "last reply": REFUSED,
    }


def test_show_leaves_out_what_has_not_happened(container: Container, run: Run) -> None:
    sign_in = enqueue(container, EmailKind.SIGN_IN)
    names = [line.partition(":")[0] for line in run("show", sign_in).stdout.splitlines()]
    assert names == ["id", "kind", "occasion", "language", "status", "created", "due", "attempts"]


def test_unknown_email_is_reported(run: Run) -> None:
    result = run("show", uuid.uuid4())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no email with this id.\n"


def test_failures_are_counted_by_kind_campaign_and_reason_most_frequent_first(
    container: Container, run: Run
) -> None:
    for number in range(3):
        fail_reminder(container, f"b{number}@news.example", "recipient refused for now (450)")
    for _ in range(2):
        fail(container, EmailKind.RECEIPT)
    fail(container, EmailKind.SIGN_IN)
    enqueue(container, EmailKind.RECEIPT)
    lines = [line.split(maxsplit=3) for line in run("failed").stdout.splitlines()]
    assert lines == [
        ["3", "reminder", "default", "recipient refused for now (450)"],
        ["2", "receipt", "default", REFUSED],
        ["1", "sign_in", "-", REFUSED],
    ]
    assert run("failed", "--kind", "receipt").stdout.split(maxsplit=3) == [
        "2",
        "receipt",
        "default",
        REFUSED + "\n",
    ]
    assert len(run("failed", "--campaign", "default").stdout.splitlines()) == 2


@pytest.mark.parametrize("options", [[], ["--campaign", "elsewhere"], ["--kind", "renewal"]], ids=" ".join)
def test_no_failure_is_reported(container: Container, run: Run, options: list[str]) -> None:
    enqueue(container, EmailKind.RECEIPT)
    if options:
        fail(container, EmailKind.RECEIPT)
    result = run("failed", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No email has failed.\n")


def test_retry_by_reason_resets_attempts_and_leaves_the_others(container: Container, run: Run) -> None:
    reason = "could not be written: its stored data is unusable"
    reminder, receipt = fail_reminder(container, READER, reason), fail(container, EmailKind.RECEIPT, reason)
    other, percent = fail(container, EmailKind.CANCELLED), fail(container, EmailKind.RENEWAL, "100% refused")
    result = run("retry", "--reason", "could not", typed="y\n")
    assert (result.exit_code, result.stdout) == (0, "Put 2 emails back into the queue.\n")
    assert "Retry 2 emails?" in result.stderr
    for email in (email_of(container, reminder), find(container, receipt)):
        assert (email.status, email.attempts, email.reason) == (EmailStatus.SCHEDULED, 0, None)
        assert email.due_at <= container.clock()
    # Its reminder is being sent again too.
    assert fake_mailer.find(container, reminder).status == ReminderStatus.SENDING
    assert status_changes(container, reminder)[-1] == ("send_back", "sending")
    assert [find(container, email).status for email in (other, percent)] == ["failed", "failed"]
    assert audit_log(container) == [("retry_emails", {"retried": 2})]
    # A reason is matched literally, not as a pattern.
    assert run("retry", "--reason", "%", "--yes").stderr == "No such email has failed.\n"


@pytest.mark.parametrize(
    ("options", "retried"),
    [
        (["--kind", "reminder"], ["reminder"]),
        (["--kind", "sign_in"], ["sign_in"]),
        (["--campaign", "default"], ["reminder", "receipt"]),
        (["--campaign", "default", "--kind", "receipt"], ["receipt"]),
        ([], ["reminder", "receipt", "sign_in"]),
    ],
    ids=" ".join,
)
def test_retry_filters(container: Container, run: Run, options: list[str], retried: list[str]) -> None:
    fail(container, EmailKind.RECEIPT)
    fail(container, EmailKind.SIGN_IN)
    fail_reminder(container, READER)
    assert run("retry", "--yes", *options).exit_code == 0
    assert sorted(row[1] for row in cells(run("list", "--status", "scheduled"))) == sorted(retried)


def test_retried_emails_are_sent_once_with_the_same_message_id(container: Container, run: Run) -> None:
    refused: list[str] = []

    def refuse(email: NotificationEmail | ReminderEmail) -> None:
        refused.append(email.message_id)
        raise PermanentFailure(REFUSED)

    enqueue(container, EmailKind.RECEIPT)
    reminder = create_reminder(container, READER)
    with container.database.transaction() as session:
        session.execute(text("UPDATE campaigns SET send_hour = 0, send_until = 24"))
        session.get_one(Reminder, reminder).due_at = container.clock()
    run_send_reminders(container, FakeMailer(refuse))
    assert len(refused) == 2
    assert run("retry", "--yes").stdout == "Put 2 emails back into the queue.\n"
    mailer = FakeMailer()
    for _ in range(2):
        run_send_reminders(container, mailer)
    assert sorted(email.message_id for email in mailer.sent) == sorted(refused)
    assert fake_mailer.find(container, reminder).status == ReminderStatus.SENT
    assert run("failed").stderr == "No email has failed.\n"


def test_retried_email_that_is_not_wanted_any_more_is_skipped(container: Container, run: Run) -> None:
    receipt, reminder = fail(container, EmailKind.RECEIPT), fail_reminder(container, READER)
    with container.database.transaction() as session:
        suppress(session, READER, reason=SuppressionReason.HARD_BOUNCE, now=container.clock())
    assert run("retry", "--yes").exit_code == 0
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []
    for email in (find(container, receipt), email_of(container, reminder)):
        assert (email.status, email.reason) == (EmailStatus.SKIPPED, "suppressed: hard_bounce")
    assert fake_mailer.find(container, reminder).status == ReminderStatus.SKIPPED


def test_retry_by_id(container: Container, run: Run) -> None:
    receipt, other = fail(container, EmailKind.RECEIPT), fail(container, EmailKind.RECEIPT)
    reminder = fail_reminder(container, READER)
    result = run("retry", receipt, email_of(container, reminder).id)
    assert (result.exit_code, result.stdout) == (0, "Put 2 emails back into the queue.\n")
    assert find(container, receipt).status == email_of(container, reminder).status == "scheduled"
    assert fake_mailer.find(container, reminder).status == ReminderStatus.SENDING
    assert find(container, other).status == "failed"
    assert audit_log(container) == [("retry_emails", {"retried": 2})]


@pytest.mark.parametrize("status", ["scheduled", "sent", "unknown"])
def test_retry_by_id_changes_nothing_if_one_cannot_be_retried(container: Container, run: Run, status: str) -> None:
    failed = fail(container, EmailKind.RECEIPT)
    other = uuid.uuid4() if status == "unknown" else enqueue(container, EmailKind.RECEIPT)
    if status == "sent":
        send(container, FakeMailer())
    result = run("retry", failed, other)
    assert (result.exit_code, result.stdout) == (1, "")
    expected = (
        "There is no email with this id."
        if status == "unknown"
        else f"This email is {status}, so it cannot be retried."
    )
    assert result.stderr == f"Error: {other}: {expected}\n"
    assert find(container, failed).status == "failed"
    assert audit_log(container) == []


@pytest.mark.parametrize("option", [["--kind", "receipt"], ["--campaign", "default"], ["--reason", "r"]])
def test_ids_and_filters_do_not_go_together(container: Container, run: Run, option: list[str]) -> None:
    failed = fail(container, EmailKind.RECEIPT)
    result = run("retry", failed, *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Give either ids or --kind, --campaign and --reason." in result.stderr
    assert find(container, failed).status == "failed"


def test_declined_confirmation_changes_nothing(container: Container, run: Run) -> None:
    failed = fail(container, EmailKind.RECEIPT)
    result = run("retry", typed="n\n")
    assert result.exit_code == 1
    assert "Retry 1 email?" in result.stderr
    assert find(container, failed).status == "failed"
    assert audit_log(container) == []


def test_retry_without_failures_is_reported(container: Container, run: Run) -> None:
    enqueue(container, EmailKind.RECEIPT)
    result = run("retry")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No such email has failed.\n")


def test_cancelled_reminder_cannot_be_retried(container: Container, run: Run) -> None:
    """A reader's cancel also ends the email that failed."""
    reminder = fail_reminder(container, READER)
    with container.database.transaction() as session:
        cancel(session, session.get_one(Reminder, reminder), now=container.clock())
    email = email_of(container, reminder)
    assert email.status == EmailStatus.CANCELLED
    assert run("retry", "--yes").stderr == "No such email has failed.\n"
    assert "is cancelled, so it cannot be retried" in run("retry", email.id).stderr


def test_retry_works_in_batches(container: Container, run: Run) -> None:
    failed = email_of(container, fail_reminder(container, READER)).id
    with container.database.transaction() as session:
        copy_rows(session, failed, 999)
    result = run("retry", "--yes")
    assert result.stdout == "Put 1000 emails back into the queue.\n"
    assert result.stderr.splitlines() == [f"{number} of 1000 put back" for number in range(200, 1001, 200)]
    with container.database.read_only() as session:
        pairs = select(Reminder.status, OutgoingEmail.status).join(
            OutgoingEmail, OutgoingEmail.reminder_id == Reminder.id
        )
        assert set(session.execute(pairs)) == {(ReminderStatus.SENDING, EmailStatus.SCHEDULED)}


def copy_rows(session, failed: uuid.UUID, number: int) -> None:
    """Copy a failed email, its reminder and its supporter `number` times."""

    def columns(table: type, *without: str) -> str:
        return ", ".join(column.name for column in table.__table__.columns if column.name not in without)

    reminder = columns(Reminder, "id", "supporter_id")
    email = columns(OutgoingEmail, "id", "dedup_key", "reminder_id")
    session.execute(
        text(
            "WITH people AS (INSERT INTO supporters (id, email, email_hash, created_at) "
            "SELECT gen_random_uuid(), '', decode(md5(n::text), 'hex'), now() FROM generate_series(1, :number) n "
            "RETURNING id AS person), "
            "copies AS (INSERT INTO reminders (id, supporter_id, " + reminder + ") "
            "SELECT gen_random_uuid(), person, " + reminder + " FROM people, reminders RETURNING id AS copy) "
            "INSERT INTO emails (id, dedup_key, reminder_id, " + email + ") "
            "SELECT gen_random_uuid(), copy, copy, " + email + " FROM copies, emails WHERE emails.id = :id"
        ),
        {"id": failed, "number": number},
    )
