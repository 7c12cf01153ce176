"""Reminders of a reader who pays: those that wait are skipped at once."""

import datetime
import uuid

import pytest
from sqlalchemy import select

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from service.container import Container
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.money import Money
from service.domain.payments.event_handlers import handle_payment_succeeded, link_supporter
from service.domain.pledges.pledges import get_pledge
from service.domain.ports.payment_events import PaymentSucceeded
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import READER
from tests.jobs.notifications import put_pledge


def find(container: Container, reminder_id: uuid.UUID) -> Reminder:
    with container.database.read_only() as session:
        return session.get_one(Reminder, reminder_id)


def pay(container: Container, pledge_id: uuid.UUID, *, at: datetime.datetime | None = None) -> None:
    now = container.clock()
    event = PaymentSucceeded(
        reference=f"in_{pledge_id}", money=Money(500, "USD"), occurred_at=at or now, subscription=None
    )
    with container.database.transaction() as session:
        handle_payment_succeeded(session, get_pledge(session, pledge_id, for_update=True), event, now=now)


def put(container: Container, **changes: object) -> uuid.UUID:
    return put_pledge(container, status=PledgeStatus.PENDING, **changes)


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_payment_skips_the_reminder_that_waits(
    container: Container, clock: FakeClock, frequency: Frequency
) -> None:
    reminder_id = create_reminder(container, READER)
    other_id = create_reminder(container, "other@example.org")
    clock.advance(days=1)
    pay(container, put(container, frequency=frequency))
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.reason) == (ReminderStatus.SKIPPED, "already_gave")
    assert find(container, other_id).status == ReminderStatus.SCHEDULED
    with container.database.read_only() as session:
        changes = session.scalars(
            select(ReminderStatusChange.to_status).where(ReminderStatusChange.reminder_id == reminder_id)
        ).all()
    assert changes[-1] == ReminderStatus.SKIPPED


def test_address_that_arrives_after_the_payment_skips_it_too(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=1)
    pledge_id = put(container, frequency=Frequency.ONCE, supporter_id=None)
    pay(container, pledge_id)
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED
    with container.database.transaction() as session:
        link_supporter(session, get_pledge(session, pledge_id), READER, now=clock())
    assert find(container, reminder_id).status == ReminderStatus.SKIPPED


def test_payment_from_before_the_request_skips_nothing(container: Container, clock: FakeClock) -> None:
    paid_at = clock()
    clock.advance(days=1)
    reminder_id = create_reminder(container, READER)
    pay(container, put(container, frequency=Frequency.ONCE), at=paid_at)
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED


def test_payment_in_the_sandbox_skips_nothing_now(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=1)
    pay(container, put(container, frequency=Frequency.ONCE, gateway="sandbox"))
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED


@pytest.mark.parametrize(
    ("frequency", "status"),
    [(Frequency.ONCE, ReminderStatus.SCHEDULED), (Frequency.MONTHLY, ReminderStatus.SKIPPED)],
)
def test_repeating_reminder_ends_only_with_recurring_support(
    container: Container, clock: FakeClock, frequency: Frequency, status: ReminderStatus
) -> None:
    reminder_id = create_reminder(container, READER)
    with container.database.transaction() as session:
        session.get_one(Reminder, reminder_id).every_months = 3
    clock.advance(days=1)
    pay(container, put(container, frequency=frequency))
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.every_months) == (status, 3 if frequency == Frequency.ONCE else None)


def test_unconfirmed_reminder_stays_unconfirmed(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    with container.database.transaction() as session:
        session.get_one(Reminder, reminder_id).awaits_confirmation = True
    clock.advance(days=1)
    pay(container, put(container, frequency=Frequency.ONCE))
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED
