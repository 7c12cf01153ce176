"""Sending hours, the rate limit, and parallel connections."""

import dataclasses
import datetime
import threading
import time

import pytest
from sqlalchemy import update

from jobs.email_queue import EmailQueue
from jobs.emails import send_emails
from jobs.reminders import enqueue_reminders
from schemas.enums import EmailKind, EmailStatus, ReminderStatus, WaitingPolicy
from service.container import Container
from service.db.models.reminder import Reminder
from service.domain.email.queue import SendingHours, reserve_send_slots
from service.domain.errors import RemindersWaiting
from service.domain.ports import ReminderEmail, TemporaryFailure
from service.domain.reminders.closing import close_campaign, reopen_campaign
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import notifications
from tests.jobs.due_emails import enqueue_due_emails
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    email_of,
    find,
    run_send_reminders,
    send_reminders,
    with_mailer,
    without_sending_hours,
)


def utc(day: int, hour: int, minute: int = 0) -> datetime.datetime:
    return datetime.datetime(2026, 3, day, hour, minute, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("now", "zone", "allowed_at"),
    [
        (utc(10, 9), "UTC", utc(10, 9)),
        (utc(10, 20, 59), "UTC", utc(10, 20, 59)),
        (utc(10, 21), "UTC", utc(11, 9)),
        (utc(10, 8, 59), "UTC", utc(10, 9)),
        (utc(10, 2), "Asia/Tokyo", utc(10, 2)),
        (utc(10, 12), "Asia/Tokyo", utc(11, 0)),
        (utc(10, 3), "America/New_York", utc(10, 13)),
        # Summer time starts on the 29th, so nine o'clock is an hour earlier.
        (utc(28, 20), "Europe/Amsterdam", utc(29, 7)),
        (utc(10, 3), "Mars/Olympus", utc(10, 3)),
    ],
)
def test_sending_hours_follow_the_readers_timezone(
    now: datetime.datetime, zone: str, allowed_at: datetime.datetime
) -> None:
    assert SendingHours(9, 21).next_allowed(now, zone) == allowed_at


def test_late_reminder_is_postponed_to_sending_hours(container: Container, clock: FakeClock) -> None:
    tokyo, utc_reminder = (
        create_reminder(container, "a@news.example", timezone="Asia/Tokyo"),
        create_reminder(container, "b@news.example", timezone="UTC"),
    )
    clock.advance(days=32)
    clock.now = clock.now.replace(hour=14)
    due_on = find(container, tokyo).due_on
    mailer = FakeMailer()
    assert run_send_reminders(container, mailer)["postponed"] == 1
    assert mailer.addresses == ["b@news.example"]
    assert find(container, utc_reminder).status == ReminderStatus.SENT
    waiting = find(container, tokyo)
    assert (waiting.status, waiting.due_on) == (ReminderStatus.SCHEDULED, due_on)
    assert waiting.due_at == (clock.now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0)
    clock.now = waiting.due_at
    run_send_reminders(container, mailer)
    assert mailer.addresses == ["b@news.example", "a@news.example"]


def sent_now(container: Container) -> int:
    """Send what is in the outbox; return how many emails were sent, failed or were put off."""
    counts = send_emails(container, threading.Event())
    assert counts is not None
    return sum(counts.values())


def test_reminder_enqueued_by_day_and_sent_at_night_waits_for_the_morning(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, READER, timezone="UTC")
    clock.advance(days=32)
    clock.now = clock.now.replace(hour=20, minute=59)
    mailer = FakeMailer()
    container = with_mailer(container, mailer)
    assert enqueue_reminders(container, threading.Event()) == {"enqueued": 1, "postponed": 0}
    clock.advance(minutes=1)
    # So does the retry of one.
    assert send_emails(container, threading.Event()) == {"postponed": 1}
    email = email_of(container, reminder_id)
    assert (email.status, email.attempts, email.lease_number) == (EmailStatus.SCHEDULED, 0, 0)
    assert email.due_at == (clock.now + datetime.timedelta(days=1)).replace(hour=9, minute=0, second=0)
    clock.now = email.due_at - datetime.timedelta(microseconds=1)
    assert sent_now(container) == 0
    clock.now = email.due_at
    assert sent_now(container) == 1
    assert mailer.addresses == [READER]


@pytest.mark.parametrize("send_late", [True, False])
def test_reminder_in_the_outbox_waits_while_its_campaign_is_closed(
    container: Container, clock: FakeClock, send_late: bool
) -> None:
    """So does one that waits for its retry; both are late when the campaign is reopened."""
    first, second = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.advance(days=32)

    def defer(_: ReminderEmail) -> None:
        raise TemporaryFailure("greylisted (450)")

    transaction = container.database.transaction
    with transaction() as session:
        session.get_one(Reminder, second).due_at = clock() + datetime.timedelta(minutes=1)
    run_send_reminders(container, FakeMailer(defer))
    clock.advance(hours=1)
    enqueue_reminders(container, threading.Event())
    assert (email_of(container, first).attempts, email_of(container, second).attempts) == (1, 0)
    close_campaign(transaction, "default", WaitingPolicy.KEEP, now=clock())
    mailer = FakeMailer()
    container = with_mailer(container, mailer)
    for _ in range(2):
        assert sent_now(container) == 0
        clock.advance(minutes=10)
    with pytest.raises(RemindersWaiting) as waiting:
        reopen_campaign(transaction, "default", send_late=None, now=clock())
    assert waiting.value.count == 2
    assert reopen_campaign(transaction, "default", send_late=send_late, now=clock()) == 2
    send_emails(container, threading.Event())
    assert sorted(mailer.addresses) == (["a@news.example", "b@news.example"] if send_late else [])
    for reminder_id in (first, second):
        reminder, email = find(container, reminder_id), email_of(container, reminder_id)
        expected = ("sent", None, "sent") if send_late else ("skipped", "campaign_closed", "cancelled")
        assert (reminder.status, reminder.reason, email.status) == expected


def test_email_of_a_cancelled_campaign_is_cancelled(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    enqueue_reminders(container, threading.Event())
    close_campaign(container.database.transaction, "default", WaitingPolicy.CANCEL, now=clock())
    assert (find(container, reminder_id).status, email_of(container, reminder_id).status) == ("cancelled",) * 2
    reopen_campaign(container.database.transaction, "default", send_late=True, now=clock())
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []


def test_receipt_is_sent_at_night(container: Container, clock: FakeClock) -> None:
    clock.now = clock.now.replace(hour=3)
    notifications.enqueue(container, EmailKind.RECEIPT)
    assert notifications.run(container, FakeMailer())["sent"] == 1


def test_sending_hours_can_be_disabled(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER, timezone="Asia/Tokyo")
    clock.advance(days=32)
    clock.now = clock.now.replace(hour=18)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert mailer.addresses == [READER]


def test_send_slots_follow_the_rate_and_do_not_accumulate(container: Container, clock: FakeClock) -> None:
    def reserve(count: int) -> list[float]:
        with container.database.transaction() as session:
            slots = reserve_send_slots(session, rate=4, count=count, now=clock())
        return [(slot - started_at).total_seconds() for slot in slots]

    started_at = clock()
    assert reserve(3) == [0, 0.25, 0.5]
    assert reserve(2) == [0.75, 1]
    clock.advance(hours=1)
    started_at = clock()
    assert reserve(2) == [0, 0.25]


def with_rate(container: Container, rate: float | None) -> Container:
    """Return a copy of the container with this rate limit and without sending hours."""
    mail = dataclasses.replace(container.settings.mail, rate=rate, respect_sending_hours=False)
    return dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.19])
def test_low_rate_limit_still_sends_email(container: Container, clock: FakeClock, rate: float) -> None:
    slow = with_rate(container, rate)
    create_reminder(container, READER)
    clock.advance(days=32)
    assert run_send_reminders(slow, FakeMailer())["sent"] == 1
    notifications.enqueue(container, EmailKind.RECEIPT, to="payer@news.example")
    # Both connections share the rate limit, so the receipt's slot is the next.
    clock.advance(seconds=1 / rate)
    assert notifications.run(slow, FakeMailer())["sent"] == 1


@pytest.mark.parametrize("kind", [EmailKind.REMINDER, EmailKind.RECEIPT])
@pytest.mark.parametrize(
    ("rate", "size"), [(None, 250), (0.01, 1), (0.2, 1), (1, 5), (10, 50), (20, 100), (10_000, 250)]
)
def test_batch_size_is_five_seconds_of_the_rate_up_to_a_maximum(
    container: Container, clock: FakeClock, kind: EmailKind, rate: float | None, size: int
) -> None:
    container = with_rate(container, rate)
    enqueue_due_emails(container, clock, kind, count=251)
    queue = EmailQueue(container, threading.Event(), owner=container.worker_id)
    batch = queue.claim_batch()
    assert (len(batch.emails), len(batch.send_at), batch.unsent.total()) == (size, size, 0)


def test_emails_are_sent_no_faster_than_the_rate(container: Container) -> None:
    for number in range(6):
        create_reminder(container, f"reader-{number}@news.example")
    container = dataclasses.replace(with_rate(container, 20.0), clock=real_clock)
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=real_clock()))
    sent_at: list[float] = []
    started_at = time.monotonic()
    run_send_reminders(container, FakeMailer(lambda _: sent_at.append(time.monotonic())))
    assert len(sent_at) == 6
    # Never before its slot; the delay after it depends on the machine.
    assert all(at - started_at >= number / 20 - 0.01 for number, at in enumerate(sent_at))


def real_clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_connections_share_the_queue(container: Container, clock: FakeClock) -> None:
    for number in range(120):
        create_reminder(container, f"reader-{number}@news.example")
    clock.advance(days=32)
    both = threading.Barrier(2, timeout=60)
    started: set[str] = set()

    def wait_for_both(email: ReminderEmail) -> None:
        # The first email of each connection waits for the other's, which proves that both send.
        name = threading.current_thread().name
        if name not in started:
            started.add(name)
            both.wait()

    mailers = (FakeMailer(wait_for_both), FakeMailer(wait_for_both))
    counts = send_reminders(dataclasses.replace(container, mailers=mailers), threading.Event())
    assert counts["sent"] == 120
    assert all(mailer.sent for mailer in mailers)
    assert len({email.to for mailer in mailers for email in mailer.sent}) == 120
    assert [mailer.closes for mailer in mailers] == [1, 1]
