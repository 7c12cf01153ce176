"""OutgoingEmail leases: recovery by the recorded outcome, and no writes by an expired lease."""

import dataclasses
import datetime
import uuid

import pytest
from service.domain.notifications.delivery import (
    complete_notifications,
    fail_notification_rendering,
    mark_notification_sending,
    record_notification_result,
)
from service.domain.notifications.delivery import recover_expired_notification_leases as recover_expired
from service.domain.notifications.queue import EmailClaim, claim_due_notifications
from sqlalchemy import text

from jobs.monitoring import send_heartbeat
from jobs.notifications import recover_expired_notification_leases
from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.domain.email.counters import read_counters
from service.domain.email.delivery import DeliveryResult
from service.domain.errors import LeaseLost
from service.domain.notifications.emails import build_notification_emails
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, find, run
from tests.threads import RUNNING


def claim_and_mark_sending(container: Container, worker: uuid.UUID) -> EmailClaim:
    """Claim a notification and mark it as sending, as a worker that then dies; return its claim."""
    with container.database.transaction() as session:
        [claim] = claim_due_notifications(
            session, worker=worker, now=container.clock(), limit=1, lease=container.lease_duration
        )
    with container.database.transaction() as session:
        mark_notification_sending(session, claim, now=container.clock())
    return claim


@pytest.mark.parametrize(("hold", "expected_status"), [(False, "scheduled"), (True, "failed")])
def test_expired_notification_lease_is_recovered_by_its_record(
    container: Container, clock: FakeClock, hold: bool, expected_status: str
) -> None:
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=hold)
    container = dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))
    notification_id = enqueue(container, EmailKind.RECEIPT)
    claim_and_mark_sending(container, uuid.uuid4())
    assert recover_expired_notification_leases(container, RUNNING) == {}
    clock.advance(seconds=container.lease_duration.total_seconds() + 1)
    assert recover_expired_notification_leases(container, RUNNING)["in_doubt"] == 1
    assert find(container, notification_id).status == expected_status
    assert (find(container, notification_id).reason or "").startswith("in doubt")


def test_expired_notification_lease_cannot_record_over_new_owner(container: Container, clock: FakeClock) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    expired = claim_and_mark_sending(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    claim_and_mark_sending(container, uuid.uuid4())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        record_notification_result(session, DeliveryResult(expired, DeliveryOutcome.REJECTED, "550"), now=clock())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, expired, now=clock())
    assert find(container, notification_id).outcome == DeliveryOutcome.SENDING


def test_notification_accepted_after_lease_expiry_is_not_sent_again(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    expired = claim_and_mark_sending(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    with container.database.transaction() as session:
        record_notification_result(
            session, DeliveryResult(expired, DeliveryOutcome.ACCEPTED, "250 OK"), now=clock()
        )
    mailer = FakeMailer()
    assert run(container, mailer)["sent"] == 1
    assert mailer.sent == []
    assert find(container, notification_id).status == EmailStatus.SENT


def expire_lease(container: Container, clock: FakeClock) -> tuple[EmailClaim, EmailClaim]:
    """Let a lease expire while sending and another worker take over; return the claims of both."""
    expired = claim_and_mark_sending(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    return expired, claim_and_mark_sending(container, uuid.uuid4())


def test_expired_notification_lease_cannot_fail_or_complete_over_new_owner(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    expired, current = expire_lease(container, clock)
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        fail_notification_rendering(session, expired, reason="could not be written", now=clock())
    with container.database.transaction() as session:
        assert complete_notifications(session, [expired], hold_uncertain=False, now=clock()) == {"lease_lost": 1}
        assert build_notification_emails(session, [expired], urls=container.urls, now=clock()).emails == []
    notification = find(container, notification_id)
    assert (notification.status, notification.lease_number) == (EmailStatus.SENDING, current.lease_number)
    with container.database.transaction() as session:
        fail_notification_rendering(session, current, reason="could not be written", now=clock())
    notification = find(container, notification_id)
    assert (notification.status, notification.reason, notification.finished_at) == (
        "failed",
        "could not be written",
        clock(),
    )
    with container.database.read_only() as session:
        assert read_counters(session)["failed"] == 1


def test_recovered_notification_cannot_be_marked_failed_or_completed_by_old_lease(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    expired = claim_and_mark_sending(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    assert find(container, notification_id).lease_number == expired.lease_number
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, expired, now=clock())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        fail_notification_rendering(session, expired, reason="could not be written", now=clock())
    with container.database.transaction() as session:
        assert complete_notifications(session, [expired], hold_uncertain=False, now=clock()) == {"lease_lost": 1}
        assert build_notification_emails(session, [expired], urls=container.urls, now=clock()).emails == []
    assert find(container, notification_id).status == EmailStatus.SCHEDULED


def record(container: Container, claim: EmailClaim, outcome: DeliveryOutcome, smtp_reply: str = "250 OK") -> None:
    with container.database.transaction() as session:
        record_notification_result(session, DeliveryResult(claim, outcome, smtp_reply), now=container.clock())


def test_attempt_is_uncounted_once(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    claim = claim_and_mark_sending(container, uuid.uuid4())
    record(container, claim, DeliveryOutcome.NOT_ATTEMPTED)
    with pytest.raises(LeaseLost):
        record(container, claim, DeliveryOutcome.NOT_ATTEMPTED)
    assert find(container, notification_id).attempts == 0


def test_recording_a_result_is_idempotent_and_final(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    claim = claim_and_mark_sending(container, uuid.uuid4())
    for _ in range(2):
        record(container, claim, DeliveryOutcome.ACCEPTED, "2" * 400)
    for outcome in set(DeliveryOutcome) - {DeliveryOutcome.ACCEPTED}:
        with pytest.raises(LeaseLost):
            record(container, claim, outcome)
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, claim, now=container.clock())
    notification = find(container, notification_id)
    assert (notification.outcome, notification.attempts, notification.smtp_reply) == (
        DeliveryOutcome.ACCEPTED,
        1,
        "2" * 300,
    )


def test_claim_and_recovery_skip_a_locked_notification(container: Container, clock: FakeClock) -> None:
    locked, free = enqueue(container, EmailKind.RECEIPT), enqueue(container, EmailKind.SIGN_IN)

    def claim_unlocked() -> list[uuid.UUID]:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            claims = claim_due_notifications(
                session, worker=uuid.uuid4(), now=clock(), limit=10, lease=container.lease_duration
            )
        return [claim.notification_id for claim in claims]

    def recover_unlocked() -> dict[str, int]:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            return dict(recover_expired(session, hold_uncertain=False, now=clock()))

    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, locked, with_for_update=True)
        assert claim_unlocked() == [free]
    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, free, with_for_update=True)
        assert claim_unlocked() == [locked]
        clock.advance(minutes=10)
        assert recover_unlocked() == {"handed_back": 1}
    assert recover_unlocked() == {"handed_back": 1}


def test_heartbeat_renews_only_the_workers_own_notification_leases(container: Container, clock: FakeClock) -> None:
    enqueue(container, EmailKind.RECEIPT)
    worker = uuid.uuid4()
    claim_and_mark_sending(container, worker)
    for _ in range(3):
        clock.now += container.lease_duration - datetime.timedelta(seconds=1)
        send_heartbeat(dataclasses.replace(container, worker_id=worker), RUNNING)
        assert recover_expired_notification_leases(container, RUNNING) == {}
    clock.now += container.lease_duration - datetime.timedelta(seconds=1)
    send_heartbeat(dataclasses.replace(container, worker_id=uuid.uuid4()), RUNNING)
    clock.advance(seconds=1)
    assert recover_expired_notification_leases(container, RUNNING) == {"in_doubt": 1}
