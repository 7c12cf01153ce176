"""Retention of emails and sign-in requests."""

import pytest
from sqlalchemy import select, update

from jobs.cleanup import purge_notifications, purge_reader_data
from schemas.enums import EmailKind, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.sign_in import SignIn
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import READER, FakeMailer, email_of, run_send_reminders
from tests.jobs.notifications import enqueue, run
from tests.threads import RUNNING


def notification_ids(container: Container) -> set:
    with container.database.read_only() as session:
        return set(session.scalars(select(OutgoingEmail.id)))


def test_sent_notification_is_purged_after_400_days(container: Container, clock: FakeClock) -> None:
    sent = enqueue(container, EmailKind.RECEIPT)
    run(container, FakeMailer())
    clock.advance(days=399)
    assert purge_notifications(container, RUNNING) == {
        "notices": 0,
        "sign_ins": 0,
        "email_changes": 0,
        "erasure_requests": 0,
    }
    assert notification_ids(container) == {sent}
    clock.advance(days=1)
    scheduled = enqueue(container, EmailKind.RECEIPT)
    assert purge_notifications(container, RUNNING) == {
        "notices": 1,
        "sign_ins": 0,
        "email_changes": 0,
        "erasure_requests": 0,
    }
    assert notification_ids(container) == {scheduled}


@pytest.mark.parametrize("status", EmailStatus)
def test_only_a_finished_email_is_purged(container: Container, clock: FakeClock, status: EmailStatus) -> None:
    email_id = enqueue(container, EmailKind.RECEIPT)
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(status=status))
    clock.advance(days=1000)
    is_open = status in (EmailStatus.SCHEDULED, EmailStatus.SENDING)
    purged = purge_notifications(container, RUNNING)
    assert purged == {"notices": int(not is_open), "sign_ins": 0, "email_changes": 0, "erasure_requests": 0}
    assert notification_ids(container) == ({email_id} if is_open else set())


def test_email_of_a_reminder_is_purged_with_its_reminder(container: Container, clock: FakeClock) -> None:
    # It tells when the reminder was last sent, and that this occurrence was.
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    run_send_reminders(container, FakeMailer())
    clock.advance(days=500)
    purge_notifications(container, RUNNING)
    assert email_of(container, reminder_id).status == EmailStatus.SENT
    purge_reader_data(container, RUNNING)
    assert notification_ids(container) == set()


def test_sign_in_request_is_purged_after_a_day_with_its_notification(
    container: Container, clock: FakeClock
) -> None:
    enqueue(container, EmailKind.SIGN_IN)
    run(container, FakeMailer())
    clock.advance(hours=23)
    assert purge_notifications(container, RUNNING) == {
        "notices": 0,
        "sign_ins": 0,
        "email_changes": 0,
        "erasure_requests": 0,
    }
    clock.advance(hours=1)
    assert purge_notifications(container, RUNNING) == {
        "notices": 0,
        "sign_ins": 1,
        "email_changes": 0,
        "erasure_requests": 0,
    }
    assert notification_ids(container) == set()
    with container.database.read_only() as session:
        assert session.scalars(select(SignIn.id)).all() == []
