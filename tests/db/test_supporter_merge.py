"""Merging two supporters who are the same person keeps the choices of both."""

import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text, update

from schemas.enums import EmailKind
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.domain.notifications.yearly_receipts import choose_receipts, wants_yearly_receipts
from service.domain.privacy.merging import merge_supporters
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import cancel, confirm
from service.domain.sign_in import request_sign_in
from service.domain.supporters import get_or_create_supporter
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder, record_delivery
from tests.jobs.notifications import enqueue
from tests.jobs.test_sign_ups import waiting_for_a_lock
from tests.processes import wait_until

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
    assert (reminder.id, reminder.status, reminder.awaits_confirmation) == (first, "scheduled", False)
    assert reminder.confirmed_at is not None
    assert reminder.due_at == datetime.datetime(2026, 12, 24, 9, tzinfo=datetime.UTC)


def test_merge_of_two_unconfirmed_reminders_leaves_one_unconfirmed(container: Container, clock: FakeClock) -> None:
    require_confirmation(container)
    first = create_reminder(container, ADDRESS)
    clock.advance(days=1)
    reminder = merge(container, first, create_reminder(container, OTHER_ADDRESS))
    assert (reminder.id, reminder.awaits_confirmation) == (first, True)


@pytest.mark.parametrize("is_confirmed", [True, False])
@pytest.mark.parametrize("newest_is_retained", [True, False])
def test_merge_takes_nothing_but_the_date_from_a_later_sign_up_that_anyone_could_make(
    container: Container, clock: FakeClock, is_confirmed: bool, newest_is_retained: bool
) -> None:
    own = create_reminder(container, ADDRESS, page_url="https://own.example", amount=500, timezone="UTC")
    if is_confirmed:
        with container.database.transaction() as session:
            session.get_one(Reminder, own).confirmed_at = clock()
    clock.advance(days=1)
    later = create_reminder(container, OTHER_ADDRESS, page_url="https://stranger.example", amount=9900, lang="ru")
    with container.database.transaction() as session:
        stranger = session.get_one(Reminder, later)
        stranger.months, stranger.every_months, stranger.timezone = 3, 3, "Asia/Tokyo"
        stranger.due_on = datetime.date(2027, 2, 24)
    reminder = merge(container, *((later, own) if newest_is_retained else (own, later)))
    assert (reminder.id, reminder.page_url, reminder.amount_minor) == (own, "https://own.example", 500)
    assert (reminder.lang, reminder.timezone, reminder.every_months) == ("en", "UTC", None)
    assert reminder.due_on == datetime.date(2027, 2, 24)
    assert reminder.due_at == datetime.datetime(2027, 2, 24, 9, tzinfo=datetime.UTC)
    assert (reminder.confirmed_at is not None) == is_confirmed


@pytest.mark.parametrize("older_is_confirmed", [True, False])
def test_merge_keeps_the_later_reminder_that_its_reader_confirmed(
    container: Container, clock: FakeClock, older_is_confirmed: bool
) -> None:
    older = create_reminder(container, ADDRESS, page_url="https://older.example")
    clock.advance(days=1)
    later = create_reminder(container, OTHER_ADDRESS, page_url="https://own.example")
    with container.database.transaction() as session:
        session.get_one(Reminder, later).confirmed_at = clock()
        session.get_one(Reminder, older).confirmed_at = clock() if older_is_confirmed else None
    assert merge(container, older, later).page_url == "https://own.example"


def test_merge_keeps_a_later_reminder_that_was_cancelled(container: Container, clock: FakeClock) -> None:
    older = create_reminder(container, ADDRESS)
    clock.advance(days=1)
    later = create_reminder(container, OTHER_ADDRESS)
    with container.database.transaction() as session:
        cancel(session, session.get_one(Reminder, later), now=clock())
    reminder = merge(container, older, later)
    assert (reminder.id, reminder.status) == (later, "cancelled")


def test_merge_moves_pledge_attribution_to_the_remaining_reminder(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ADDRESS)
    pledge_id = create_paid_pledge(container, ADDRESS)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(reminder_id=first))
    clock.advance(days=1)
    merge(container, first, create_reminder(container, OTHER_ADDRESS))
    with container.database.read_only() as session:
        assert session.get_one(Pledge, pledge_id).reminder_id == first


@pytest.mark.parametrize("chosen_by", [{"kept"}, {"merged"}, {"kept", "merged"}, set()])
def test_merge_keeps_the_choice_of_one_receipt_a_year(
    container: Container, clock: FakeClock, chosen_by: set[str]
) -> None:
    with container.database.transaction() as session:
        kept, merged = (
            get_or_create_supporter(session, f"{name}@example.org", now=clock()) for name in ("kept", "merged")
        )
        for name, supporter_id in (("kept", kept), ("merged", merged)):
            choose_receipts(session, supporter_id, yearly=name in chosen_by)
        merge_supporters(session, kept=kept, duplicate=merged, now=clock())
        assert wants_yearly_receipts(session, kept) == bool(chosen_by)


def test_merge_moves_notifications_and_sign_ins(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ADDRESS)
    receipt = enqueue(container, EmailKind.RECEIPT, to=ADDRESS)
    with container.database.transaction() as session:
        request_sign_in(session, ADDRESS, lang="en", now=clock())
    clock.advance(days=1)
    latest = create_reminder(container, OTHER_ADDRESS)
    reminder = merge(container, latest, first)
    with container.database.read_only() as session:
        assert session.get_one(OutgoingEmail, receipt).supporter_id == reminder.supporter_id
        assert session.scalars(select(SignIn)).one().supporter_id == reminder.supporter_id


def test_merge_locks_reminders_in_the_order_in_which_workers_do(container: Container, clock: FakeClock) -> None:
    first = create_reminder(container, ADDRESS)
    clock.advance(days=1)
    second = create_reminder(container, OTHER_ADDRESS)
    with container.database.transaction() as worker, ThreadPoolExecutor(1) as pool:
        worker.get_one(Reminder, first, with_for_update=True)
        merging = pool.submit(merge, container, second, first)
        wait_until(lambda: merging.done() or waiting_for_a_lock(container), what="the merge to wait")
        worker.execute(text("SET LOCAL lock_timeout = '5s'"))
        worker.get_one(Reminder, second, with_for_update=True)
        worker.commit()
        assert merging.result(timeout=60).id == first
