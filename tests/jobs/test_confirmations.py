"""Confirmations: a campaign that requires them sends a confirmation request, and nothing else before."""

import datetime

import pytest
from sqlalchemy import select, update

from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.domain.ports import ReminderEmail, TemporaryFailure
from service.domain.reminders.self_service import cancel_reminder, confirm_reminder, reminder_token
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import READER, FakeMailer, find, run_send_reminders, status_changes


@pytest.fixture(autouse=True)
def _require_confirmation(container: Container) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_confirm=True, reminder_repeats=[1]))


def use_link(container: Container, reminder_id: object, action) -> None:
    """Use the link in the reader's email."""
    with container.database.transaction() as session:
        action(
            session,
            reminder_token(container.database.keyring, find(container, reminder_id)),
            now=container.clock(),
        )


def test_only_the_confirmation_request_is_sent_before_confirmation(container: Container, clock: FakeClock) -> None:
    # At 3 a.m. only confirmation requests are sent.
    clock.now = clock.now.replace(hour=3)
    reminder_id, mailer = create_reminder(container, READER), FakeMailer()
    run_send_reminders(container, mailer)
    assert [email.is_confirmation_request for email in mailer.sent] == [True]
    assert find(container, reminder_id).status == "unconfirmed"
    for days in (1, 30, 400):
        clock.advance(days=days)
        run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1


def test_confirmed_reminder_is_sent_on_its_date_with_its_own_message_id(
    container: Container, clock: FakeClock
) -> None:
    reminder_id, mailer = create_reminder(container, READER), FakeMailer()
    run_send_reminders(container, mailer)
    clock.advance(days=2)
    use_link(container, reminder_id, confirm_reminder)
    run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1
    clock.now = datetime.datetime(2026, 12, 23, 9, tzinfo=datetime.UTC)
    run_send_reminders(container, mailer)
    request, reminder = mailer.sent
    assert (reminder.is_confirmation_request, request.message_id != reminder.message_id) == (False, True)
    assert [event for event, _ in status_changes(container, reminder_id)] == [
        "made",
        "enqueue",
        "ask_to_confirm",
        "confirm",
        "enqueue",
        "deliver",
    ]


def test_reader_who_cancels_gets_no_further_email(container: Container, clock: FakeClock) -> None:
    reminder_id, mailer = create_reminder(container, READER), FakeMailer()
    run_send_reminders(container, mailer)
    use_link(container, reminder_id, cancel_reminder)
    clock.advance(days=60)
    run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1


def test_confirmation_cooldown_is_an_hour(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    for minutes in (20, 39):
        clock.advance(minutes=minutes)
        create_reminder(container, READER)
        run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1
    clock.advance(minutes=1)
    create_reminder(container, READER)
    run_send_reminders(container, mailer)
    assert len({email.message_id for email in mailer.sent}) == 2


def test_confirmation_request_that_waits_for_a_retry_is_replaced_after_an_hour(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, READER)

    def defer(_: ReminderEmail) -> None:
        raise TemporaryFailure("greylisted (450)")

    run_send_reminders(container, FakeMailer(defer))
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(due_at=clock() + datetime.timedelta(days=1)))
    clock.advance(minutes=59)
    create_reminder(container, READER)
    assert find(container, reminder_id).occurrence == 1
    clock.advance(minutes=1)
    mailer = FakeMailer()
    create_reminder(container, READER)
    run_send_reminders(container, mailer)
    assert [email.is_confirmation_request for email in mailer.sent] == [True]
    clock.advance(days=2)
    run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1
    with container.database.read_only() as session:
        emails = session.scalars(select(OutgoingEmail.status).order_by(OutgoingEmail.occurrence)).all()
    assert emails == ["cancelled", "sent"]


def test_repeating_reminder_is_confirmed_once(container: Container, clock: FakeClock) -> None:
    reminder_id, mailer = create_reminder(container, READER, months=1, repeat=True), FakeMailer()
    run_send_reminders(container, mailer)
    use_link(container, reminder_id, confirm_reminder)
    for month in (12, 13, 14):
        clock.now = datetime.datetime(2026 + month // 13, (month - 1) % 12 + 1, 23, 9, tzinfo=datetime.UTC)
        run_send_reminders(container, mailer)
    assert [email.is_confirmation_request for email in mailer.sent] == [True, False, False, False]


def test_confirmation_during_sending_is_kept(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    mailer = FakeMailer(
        on_send=lambda email: email.is_confirmation_request and use_link(container, reminder_id, confirm_reminder)
    )
    run_send_reminders(container, mailer)
    assert (find(container, reminder_id).status, find(container, reminder_id).awaits_confirmation) == (
        "scheduled",
        False,
    )
    clock.now = find(container, reminder_id).due_at
    run_send_reminders(container, mailer)
    assert [email.is_confirmation_request for email in mailer.sent] == [True, False]
