"""When two rows turn out to be one reader: what they said to us by either counts."""

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
from service.domain.privacy.key_rotation import merge_supporters
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import confirm
from service.domain.sign_in import request_sign_in
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder, record_delivery
from tests.jobs.notifications import enqueue

ONE, OTHER = "one@news.example", "other@news.example"


def confirming(container: Container) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_confirm=True))


def say_yes(container: Container, reminder_id: uuid.UUID) -> None:
    with container.database.transaction() as session:
        confirm(session, session.get_one(Reminder, reminder_id), now=container.clock())


def merged(container: Container, kept: uuid.UUID, given_up: uuid.UUID) -> Reminder:
    """Make one person of the two who have these reminders; return the one reminder that they then have."""
    with container.database.transaction() as session:
        supporters = {one: session.get_one(Reminder, one).supporter_id for one in (kept, given_up)}
        merge_supporters(session, kept=supporters[kept], duplicate=supporters[given_up], now=container.clock())
    with container.database.read_only() as session:
        return session.scalars(select(Reminder)).one()


@pytest.mark.parametrize("last_is_kept", [True, False])
def test_who_confirmed_one_reminder_need_not_confirm_the_other(
    container: Container, clock: FakeClock, last_is_kept: bool
) -> None:
    confirming(container)
    first = create_reminder(container, ONE)
    say_yes(container, first)
    clock.advance(days=1)
    last = create_reminder(container, OTHER)
    record_delivery(container, last, ReminderEvent.REQUEST_CONFIRMATION)
    reminder = merged(container, *((last, first) if last_is_kept else (first, last)))
    assert (reminder.id, reminder.status, reminder.awaits_confirmation) == (last, "scheduled", False)
    assert reminder.due_at == datetime.datetime(2026, 12, 24, 9, tzinfo=datetime.UTC)


def test_two_questions_become_one(container: Container, clock: FakeClock) -> None:
    confirming(container)
    first = create_reminder(container, ONE)
    clock.advance(days=1)
    last = create_reminder(container, OTHER)
    reminder = merged(container, first, last)
    assert (reminder.id, reminder.awaits_confirmation) == (last, True)


def test_a_gift_stays_with_the_reminder_that_brought_it(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ONE)
    gift = create_paid_pledge(container, ONE)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(reminder_id=first))
    clock.advance(days=1)
    last = create_reminder(container, OTHER)
    merged(container, first, last)
    with container.database.read_only() as session:
        assert session.get_one(Pledge, gift).reminder_id == last


def test_mails_that_are_to_leave_and_sessions_stay_with_their_reader(
    container: Container, clock: FakeClock
) -> None:
    first = create_reminder(container, ONE)
    receipt = enqueue(container, NotificationKind.RECEIPT, to=ONE)
    with container.database.transaction() as session:
        request_sign_in(session, ONE, lang="en", now=clock())
    clock.advance(days=1)
    last = create_reminder(container, OTHER)
    reminder = merged(container, last, first)
    with container.database.read_only() as session:
        assert session.get_one(Notification, receipt).supporter_id == reminder.supporter_id
        assert session.scalars(select(SignIn)).one().supporter_id == reminder.supporter_id
