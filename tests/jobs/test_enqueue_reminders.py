"""Putting the emails of due reminders into the outbox: each once, in time, and oldest first."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from jobs.reminders import enqueue_reminders
from schemas.enums import EmailKind, EmailStatus, ReminderStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email.outbox import IMMEDIATE, SCHEDULED
from service.domain.reminders.queue import enqueue_due_reminders
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import email_of, find, status_changes, stopped_event, without_sending_hours
from tests.jobs.test_unconfirmed_retention import require_confirmation
from tests.threads import RUNNING

MONTH = datetime.timedelta(days=32)


def enqueue(container: Container, limit: int = 100) -> list[uuid.UUID]:
    """Enqueue due reminders; return the ids of those that are in the outbox now and were not."""
    query = select(OutgoingEmail.reminder_id).order_by(OutgoingEmail.id)
    with container.database.transaction() as session:
        if container.database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
        before = set(session.scalars(query))
        enqueue_due_reminders(session, now=container.clock(), respect_sending_hours=False, limit=limit)
        return [reminder_id for reminder_id in session.scalars(query) if reminder_id not in before]


def test_email_says_what_it_is_about_and_no_address(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example", lang="de")
    clock.now += MONTH
    assert enqueue_reminders(without_sending_hours(container), RUNNING) == {"enqueued": 1, "postponed": 0}
    email, reminder = email_of(container, reminder_id), find(container, reminder_id)
    assert (email.kind, email.status, email.priority) == (EmailKind.REMINDER, EmailStatus.SCHEDULED, SCHEDULED)
    assert (email.dedup_key, email.occurrence, email.lang) == (f"{reminder_id}:1", 1, "de")
    assert (email.due_at, email.created_at) == (reminder.due_at, clock())
    assert (email.attempts, email.lease_number, email.outcome, email.supporter_id) == (0, 0, None, None)
    assert reminder.status == ReminderStatus.SENDING
    assert status_changes(container, reminder_id) == [("made", "scheduled"), ("enqueue", "sending")]
    assert enqueue(container) == []


def test_confirmation_request_is_urgent_and_leaves_at_night(container: Container, clock: FakeClock) -> None:
    require_confirmation(container)
    clock.now = clock.now.replace(hour=3)
    reminder_id = create_reminder(container, "a@news.example")
    assert enqueue_reminders(container, RUNNING) == {"enqueued": 1, "postponed": 0}
    email = email_of(container, reminder_id)
    assert (email.kind, email.priority) == (EmailKind.REMINDER_CONFIRMATION, IMMEDIATE)


def test_reminder_is_not_enqueued_before_it_is_due(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    due_at = find(container, reminder_id).due_at
    clock.now = due_at - datetime.timedelta(microseconds=1)
    assert enqueue(container) == []
    clock.now = due_at
    assert enqueue(container) == [reminder_id]


@pytest.mark.parametrize("delay", [{"days": 3}, {"days": 400}, {"days": 3650}])
def test_overdue_reminder_is_enqueued_however_late(
    container: Container, clock: FakeClock, delay: dict[str, float]
) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    clock.advance(**delay)
    assert enqueue(container) == [reminder_id]


def test_oldest_due_reminders_are_enqueued_first(container: Container, clock: FakeClock) -> None:
    reminder_ids = []
    for number in range(5):
        reminder_ids.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(days=1)
    clock.now += MONTH
    assert [enqueue(container, limit=2) for _ in range(4)] == [
        reminder_ids[:2],
        reminder_ids[2:4],
        reminder_ids[4:],
        [],
    ]


def test_locked_reminder_is_enqueued_later(container: Container, clock: FakeClock) -> None:
    locked, free = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.now += MONTH
    with container.database.transaction() as session:
        session.get_one(Reminder, locked, with_for_update=True)
        assert enqueue(container, limit=10) == [free]
    assert enqueue(container) == [locked]


def test_concurrent_workers_never_enqueue_the_same_reminder(container: Container, clock: FakeClock) -> None:
    for number in range(60):
        create_reminder(container, f"reader-{number}@news.example")
    clock.now += MONTH
    start = threading.Barrier(4, timeout=60)

    def enqueue_until_none() -> int:
        start.wait()
        total = 0
        while True:
            with container.database.transaction() as session:
                result = enqueue_due_reminders(session, now=clock(), respect_sending_hours=False, limit=3)
            if not result.enqueued:
                return total
            total += result.enqueued

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(enqueue_until_none) for _ in range(4)]
    assert sum(worker.result() for worker in workers) == 60
    with container.database.read_only() as session:
        reminder_ids = session.scalars(select(OutgoingEmail.reminder_id)).all()
    assert len(set(reminder_ids)) == len(reminder_ids) == 60


def test_reminders_are_enqueued_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    reminder_ids = [create_reminder(sqlite_container, f"reader-{number}@news.example") for number in range(6)]
    clock.now += MONTH
    assert enqueue(sqlite_container, limit=4) == reminder_ids[:4]
    assert enqueue(sqlite_container, limit=4) == reminder_ids[4:]
    assert enqueue(sqlite_container, limit=4) == []


def test_stopping_worker_enqueues_nothing(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    assert enqueue_reminders(container, stopped_event()) == {"enqueued": 0, "postponed": 0}
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED
