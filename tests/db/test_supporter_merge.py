"""Merging two supporters who are the same person keeps the choices of both."""

import datetime
import uuid

import pytest
from sqlalchemy import select, update

from schemas.enums import NotificationKind
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import Notification
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.domain.privacy.merging import merge_supporters
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import confirm
from service.domain.sign_in import request_sign_in
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder, record_delivery
from tests.jobs.notifications import enqueue

ADDRESS, OTHER_ADDRESS = "one@news.example", "other@news.example"


def require_confirmation(container: Container) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_confirm=True))


def confirm_reminder(container: Container, reminder_id: uuid.UUID) -> None:
    with container.database.transaction() as session:
        confirm(session, session.get_one(Reminder, reminder_id), now=container.clock())


def merge(container: Container, retained: uuid.UUID, merged: uuid.UUID) -> Reminder:
    """Merge the supporters of two reminders, and return the one reminder that is left."""
    with container.database.transaction() as session:
        supporters = {
            reminder_id: session.get_one(Reminder, reminder_id).supporter_id for reminder_id in (retained, merged)
        }
        merge_supporters(session, kept=supporters[retained], duplicate=supporters[merged], now=container.clock())
    with container.database.read_only() as session:
        return session.scalars(select(Reminder)).one()


@pytest.mark.parametrize("latest_is_retained", [True, False])
def test_merge_keeps_the_confirmation_of_either_reminder(
    container: Container, clock: FakeClock, latest_is_retained: bool
) -> None:
    require_confirmation(container)
    first = create_reminder(container, ADDRESS)
    confirm_reminder(container, first)
    clock.advance(days=1)
    latest = create_reminder(container, OTHER_ADDRESS)
    record_delivery(container, latest, ReminderEvent.REQUEST_CONFIRMATION)
    reminder = merge(container, *((latest, first) if latest_is_retained else (first, latest)))
    assert (reminder.id, reminder.status, reminder.awaits_confirmation) == (latest, "scheduled", False)
    assert reminder.due_at == datetime.datetime(2026, 12, 24, 9, tzinfo=datetime.UTC)


def test_merge_of_two_unconfirmed_reminders_leaves_one_unconfirmed(container: Container, clock: FakeClock) -> None:
    require_confirmation(container)
    first = create_reminder(container, ADDRESS)
    clock.advance(days=1)
    latest = create_reminder(container, OTHER_ADDRESS)
    reminder = merge(container, first, latest)
    assert (reminder.id, reminder.awaits_confirmation) == (latest, True)


def test_merge_moves_pledge_attribution_to_the_remaining_reminder(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ADDRESS)
    pledge_id = create_paid_pledge(container, ADDRESS)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(reminder_id=first))
    clock.advance(days=1)
    latest = create_reminder(container, OTHER_ADDRESS)
    merge(container, first, latest)
    with container.database.read_only() as session:
        assert session.get_one(Pledge, pledge_id).reminder_id == latest


def test_merge_moves_notifications_and_sign_ins(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ADDRESS)
    receipt = enqueue(container, NotificationKind.RECEIPT, to=ADDRESS)
    with container.database.transaction() as session:
        request_sign_in(session, ADDRESS, lang="en", now=clock())
    clock.advance(days=1)
    latest = create_reminder(container, OTHER_ADDRESS)
    reminder = merge(container, latest, first)
    with container.database.read_only() as session:
        assert session.get_one(Notification, receipt).supporter_id == reminder.supporter_id
        assert session.scalars(select(SignIn)).one().supporter_id == reminder.supporter_id
