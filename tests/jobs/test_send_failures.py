"""Failures while sending reminders: retries, rejections, poisoned rows, database outages and shutdown."""

import datetime
import re
import threading
import uuid

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from jobs.emails import send_emails
from jobs.reminders import enqueue_reminders
from schemas.enums import EmailStatus, ReminderStatus
from service.container import Container
from service.db.models.campaign import Campaign, PledgeOption
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.counters import read_counters
from service.domain.email.delivery import MAX_ATTEMPTS, max_backoff
from service.domain.ports import PermanentFailure, ReminderEmail, RenderedEmail, TemporaryFailure
from service.domain.reminders.queue import retry_reminder
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    email_of,
    find,
    run_send_reminders,
    send_reminders,
    status_changes,
    status_counts,
    stopped_event,
    with_mailer,
    without_sending_hours,
)


def test_temporary_failure_is_retried_with_backoff_up_to_the_maximum(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    due_on = find(container, reminder_id).due_on

    def defer(_: ReminderEmail) -> None:
        raise TemporaryFailure("recipient refused for now (450)")

    container = without_sending_hours(container)
    backoffs = []
    for _ in range(MAX_ATTEMPTS - 1):
        run_send_reminders(container, FakeMailer(defer))
        email, reminder = email_of(container, reminder_id), find(container, reminder_id)
        assert (email.status, email.reason) == (EmailStatus.SCHEDULED, "recipient refused for now (450)")
        assert (reminder.status, reminder.due_on) == (ReminderStatus.SENDING, due_on)
        backoffs.append(email.due_at - clock())
        clock.now = email.due_at - datetime.timedelta(microseconds=1)
        run_send_reminders(container, FakeMailer(defer))
        assert email_of(container, reminder_id).attempts == len(backoffs)
        clock.now = email.due_at
    max_backoffs = [max_backoff(attempts) for attempts in range(1, MAX_ATTEMPTS)]
    assert [backoff.total_seconds() / 60 for backoff in max_backoffs] == [10, 30, 90, 270, 810, 2160, 2160]
    bounds = zip(backoffs, max_backoffs, strict=True)
    assert all(datetime.timedelta() <= backoff <= maximum for backoff, maximum in bounds)
    run_send_reminders(container, FakeMailer(defer))
    email, reminder = email_of(container, reminder_id), find(container, reminder_id)
    assert (email.status, email.attempts) == (EmailStatus.FAILED, MAX_ATTEMPTS)
    assert reminder.status == ReminderStatus.FAILED
    assert reminder.reason == email.reason == "recipient refused for now (450)"
    clock.advance(days=400)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []


def test_permanent_failure_is_final_until_staff_retry_it(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def reject(_: ReminderEmail) -> None:
        raise PermanentFailure("recipient refused (550)")

    run_send_reminders(container, FakeMailer(reject))
    assert find(container, reminder_id).status == ReminderStatus.FAILED
    assert find(container, reminder_id).reason == "recipient refused (550)"
    assert email_of(container, reminder_id).reason == "recipient refused (550)"
    with container.database.transaction() as session:
        assert retry_reminder(session, reminder_id, now=clock()).status == ReminderStatus.SENDING
    email = email_of(container, reminder_id)
    assert (email.status, email.attempts, email.due_at) == (EmailStatus.SCHEDULED, 0, clock())
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    assert [event for event, _ in status_changes(container, reminder_id)] == [
        "made",
        "enqueue",
        "fail",
        "send_back",
        "deliver",
    ]


def test_stopping_worker_finishes_the_current_email_and_requeues_the_rest(
    container: Container, clock: FakeClock
) -> None:
    reminder_ids = [create_reminder(container, f"reader-{number}@news.example") for number in range(5)]
    clock.advance(days=32)
    stop = threading.Event()
    mailer = FakeMailer(lambda _: stop.set())
    send_reminders(with_mailer(container, mailer), stop)
    assert mailer.addresses == ["reader-0@news.example"]
    assert mailer.closes == 1
    assert find(container, reminder_ids[0]).status == ReminderStatus.SENT
    for reminder_id in reminder_ids[1:]:
        email = email_of(container, reminder_id)
        assert (email.status, email.attempts, email.leased_by) == (EmailStatus.SCHEDULED, 0, None)
        assert find(container, reminder_id).status == ReminderStatus.SENDING
    mailer = FakeMailer()
    assert send_emails(with_mailer(container, mailer), threading.Event())["sent"] == 4
    assert mailer.addresses == [f"reader-{number}@news.example" for number in range(1, 5)]


def test_stopping_worker_claims_no_email(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    enqueue_reminders(container, threading.Event())
    send_emails(with_mailer(container, FakeMailer()), stopped_event())
    email = email_of(container, reminder_id)
    assert (email.status, email.lease_number) == (EmailStatus.SCHEDULED, 0)


def create_poisoned_reminder(container: Container, address: str, kind: str) -> uuid.UUID:
    """Create a reminder and corrupt it as `kind` says."""
    reminder_id = create_reminder(container, address)
    with container.database.transaction() as session:
        reminder = session.get_one(Reminder, reminder_id)
        supporter = update(Supporter).where(Supporter.id == reminder.supporter_id)
        if kind == "undecryptable address":
            statement = text("UPDATE supporters SET email = 'garbage' WHERE id = :id")
            session.execute(statement, {"id": reminder.supporter_id})
        elif kind == "forged header":
            session.execute(supporter.values(email=f"{address}\r\nBcc: victim@news.example"))
        elif kind == "unknown zone":
            reminder.timezone = "Mars/Olympus"
        elif kind == "template error":
            reminder.campaign_id = create_broken_campaign(session)
    return reminder_id


def create_broken_campaign(session) -> uuid.UUID:
    campaign = get_campaign(session, "default")
    columns = {column.key: getattr(campaign, column.key) for column in Campaign.__table__.columns}
    columns |= {"id": uuid.uuid4(), "slug": "broken", "texts": {"en": {"mail_subject": 7}}}
    session.add(Campaign(**columns))
    session.flush()
    session.add(
        PledgeOption(
            campaign_id=columns["id"],
            currency=columns["currency"],
            frequency="once",
            position=0,
            presets_minor=[200],
            default_minor=200,
            minimum_minor=200,
            maximum_minor=200,
        )
    )
    session.flush()
    return columns["id"]


POISONS = ("undecryptable address", "forged header", "unknown zone", "template error")


def test_poisoned_reminder_fails_alone(container: Container, clock: FakeClock) -> None:
    poisoned = {}
    for number in range(50):
        if number % 13 == 0:
            kind = POISONS[number // 13]
            poisoned[kind] = create_poisoned_reminder(container, f"reader-{number}@news.example", kind)
        else:
            create_reminder(container, f"reader-{number}@news.example")
    injected_page = "https://paper.example/\r\nBcc: victim@news.example"
    poisoned["forged page"] = create_reminder(container, "page@news.example", page_url=injected_page)
    clock.advance(days=32)
    run_send_reminders(container)
    assert status_counts(container) == {"sent": 46, "failed": 5}
    for kind, reminder_id in poisoned.items():
        reminder = find(container, reminder_id)
        assert reminder.status == ReminderStatus.FAILED, kind
        assert reminder.reason is not None
        assert reminder.reason.startswith("could not be written: ")
        assert "news.example" not in reminder.reason
        assert status_changes(container, reminder_id)[-1] == ("fail", "failed")
    with container.database.read_only() as session:
        headers = [message.partition("\n\n")[0] for message in session.scalars(select(DevOutboxEmail.message))]
    assert len(headers) == 46
    # Only at the start of a line, because a token can contain the same letters.
    assert not any(re.search("^bcc", head, re.IGNORECASE | re.MULTILINE) for head in headers)


class UnrenderableMailer(FakeMailer):
    """A mailer that fails to render the emails to one address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def render(self, email: ReminderEmail) -> RenderedEmail:
        if email.to == self._address:
            raise ValueError("no header holds this")
        return super().render(email)


@pytest.mark.parametrize("bad", range(3))
def test_rendering_failure_is_counted_once(container: Container, clock: FakeClock, bad: int) -> None:
    reminder_ids = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)
    counts = run_send_reminders(container, UnrenderableMailer(f"reader-{bad}@news.example"))
    assert {name: count for name, count in counts.items() if count} == {"sent": 2, "failed": 1}
    assert find(container, reminder_ids[bad]).status == ReminderStatus.FAILED
    assert status_changes(container, reminder_ids[bad])[-1] == ("fail", "failed")
    with container.database.read_only() as session:
        assert {name: count for name, count in read_counters(session).items() if count} == {"sent": 2, "failed": 1}


def test_database_outage_does_not_fail_the_reminder(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def lose_connection(_: ReminderEmail) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    mailer = FakeMailer(lose_connection)
    with pytest.raises(OperationalError):
        run_send_reminders(container, mailer)
    assert mailer.closes == 1
    # The delivery is uncertain, so the email is sent again, and the attempt counts.
    assert email_of(container, reminder_id).status == EmailStatus.SCHEDULED
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    assert email_of(container, reminder_id).attempts == 2
