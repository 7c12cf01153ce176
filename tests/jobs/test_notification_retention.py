"""Retention of notifications and sign-in requests."""

from sqlalchemy import select

from jobs.cleanup import purge_notifications
from schemas.enums import EmailKind
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.sign_in import SignIn
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, run
from tests.threads import RUNNING


def notification_ids(container: Container) -> set:
    with container.database.read_only() as session:
        return set(session.scalars(select(OutgoingEmail.id)))


def test_sent_notification_is_purged_after_400_days(container: Container, clock: FakeClock) -> None:
    sent = enqueue(container, EmailKind.RECEIPT)
    run(container, FakeMailer())
    clock.advance(days=399)
    assert purge_notifications(container, RUNNING) == {"notices": 0, "sign_ins": 0, "email_changes": 0}
    assert notification_ids(container) == {sent}
    clock.advance(days=1)
    scheduled = enqueue(container, EmailKind.RECEIPT)
    assert purge_notifications(container, RUNNING) == {"notices": 1, "sign_ins": 0, "email_changes": 0}
    assert notification_ids(container) == {scheduled}


def test_scheduled_notification_is_never_purged(container: Container, clock: FakeClock) -> None:
    scheduled = enqueue(container, EmailKind.RECEIPT)
    clock.advance(days=1000)
    assert purge_notifications(container, RUNNING) == {"notices": 0, "sign_ins": 0, "email_changes": 0}
    assert notification_ids(container) == {scheduled}


def test_sign_in_request_is_purged_after_a_day_with_its_notification(
    container: Container, clock: FakeClock
) -> None:
    enqueue(container, EmailKind.SIGN_IN)
    run(container, FakeMailer())
    clock.advance(hours=23)
    assert purge_notifications(container, RUNNING) == {"notices": 0, "sign_ins": 0, "email_changes": 0}
    clock.advance(hours=1)
    assert purge_notifications(container, RUNNING) == {"notices": 0, "sign_ins": 1, "email_changes": 0}
    assert notification_ids(container) == set()
    with container.database.read_only() as session:
        assert session.scalars(select(SignIn.id)).all() == []
