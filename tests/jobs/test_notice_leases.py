"""Notices whose worker vanished: what is on record of the mail decides, and nobody records over a successor."""

import dataclasses
import datetime
import uuid

import pytest
from sqlalchemy import text

from jobs.monitoring import send_heartbeat
from jobs.notifications import recover_expired_notification_leases
from schemas.enums import DeliveryOutcome, NotificationKind, NotificationStatus
from service.container import Container
from service.db.models.email import Notification
from service.domain.email.counters import read_counters
from service.domain.email.delivery import DeliveryResult
from service.domain.errors import LeaseLost
from service.domain.notifications.delivery import (
    complete_notifications,
    fail_notification_rendering,
    mark_notification_sending,
    record_notification_result,
)
from service.domain.notifications.delivery import recover_expired_notification_leases as settle_lost
from service.domain.notifications.emails import build_notification_emails
from service.domain.notifications.queue import NotificationClaim, claim_due_notifications
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, find, run
from tests.threads import RUNNING


def vanish_with_a_mail_in_hand(container: Container, worker: uuid.UUID) -> NotificationClaim:
    """Claim and begin as a worker that is then heard of no more; return its claim."""
    with container.database.transaction() as session:
        [claim] = claim_due_notifications(
            session, worker=worker, now=container.clock(), limit=1, lease=container.lease_duration
        )
    with container.database.transaction() as session:
        mark_notification_sending(session, claim, now=container.clock())
    return claim


@pytest.mark.parametrize(("holds", "after"), [(False, "scheduled"), (True, "failed")])
def test_a_lost_lease_is_taken_up_by_what_is_on_record(
    container: Container, clock: FakeClock, holds: bool, after: str
) -> None:
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=holds)
    container = dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    vanish_with_a_mail_in_hand(container, uuid.uuid4())
    assert recover_expired_notification_leases(container, RUNNING) == {}
    clock.advance(seconds=container.lease_duration.total_seconds() + 1)
    assert recover_expired_notification_leases(container, RUNNING)["in_doubt"] == 1
    assert find(container, notification_id).status == after
    assert (find(container, notification_id).reason or "").startswith("in doubt")


def test_a_worker_that_comes_back_late_cannot_say_anything_over_its_successor(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    late = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    vanish_with_a_mail_in_hand(container, uuid.uuid4())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        record_notification_result(session, DeliveryResult(late, DeliveryOutcome.REJECTED, "550"), now=clock())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, late, now=clock())
    assert find(container, notification_id).outcome == DeliveryOutcome.SENDING


def test_a_mail_that_turns_out_to_have_arrived_is_not_sent_again(container: Container, clock: FakeClock) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    late = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    with container.database.transaction() as session:
        record_notification_result(session, DeliveryResult(late, DeliveryOutcome.ACCEPTED, "250 OK"), now=clock())
    mailer = FakeMailer()
    assert run(container, mailer)["sent"] == 1
    assert mailer.sent == []
    assert find(container, notification_id).status == NotificationStatus.SENT


def lose_the_lease(container: Container, clock: FakeClock) -> tuple[NotificationClaim, NotificationClaim]:
    """Have a worker vanish with a mail in hand and another take the notice; return the claims of both."""
    late = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    return late, vanish_with_a_mail_in_hand(container, uuid.uuid4())


def test_a_worker_that_comes_back_late_neither_refuses_nor_settles_what_its_successor_holds(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    late, held = lose_the_lease(container, clock)
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        fail_notification_rendering(session, late, reason="could not be written", now=clock())
    with container.database.transaction() as session:
        assert complete_notifications(session, [late], hold_uncertain=False, now=clock()) == {"lease_lost": 1}
        assert build_notification_emails(session, [late], links=container.urls, now=clock()).emails == []
    notification = find(container, notification_id)
    assert (notification.status, notification.lease_number) == (NotificationStatus.SENDING, held.lease_number)
    with container.database.transaction() as session:
        fail_notification_rendering(session, held, reason="could not be written", now=clock())
    notification = find(container, notification_id)
    assert (notification.status, notification.reason, notification.finished_at) == (
        "failed",
        "could not be written",
        clock(),
    )
    with container.database.read_only() as session:
        assert read_counters(session)["failed"] == 1


def test_what_no_worker_holds_any_more_is_neither_begun_nor_refused_nor_settled(
    container: Container, clock: FakeClock
) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    over = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    clock.advance(minutes=10)
    recover_expired_notification_leases(container, RUNNING)
    assert find(container, notification_id).lease_number == over.lease_number
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, over, now=clock())
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        fail_notification_rendering(session, over, reason="could not be written", now=clock())
    with container.database.transaction() as session:
        assert complete_notifications(session, [over], hold_uncertain=False, now=clock()) == {"lease_lost": 1}
        assert build_notification_emails(session, [over], links=container.urls, now=clock()).emails == []
    assert find(container, notification_id).status == NotificationStatus.SCHEDULED


def say(container: Container, claim: NotificationClaim, outcome: DeliveryOutcome, words: str = "250 OK") -> None:
    with container.database.transaction() as session:
        record_notification_result(session, DeliveryResult(claim, outcome, words), now=container.clock())


def test_an_attempt_is_taken_back_once_however_often_it_is_said(container: Container) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    claim = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    say(container, claim, DeliveryOutcome.NOT_ATTEMPTED)
    with pytest.raises(LeaseLost):
        say(container, claim, DeliveryOutcome.NOT_ATTEMPTED)
    assert find(container, notification_id).attempts == 0


def test_saying_the_same_again_is_harmless_and_saying_something_else_is_not_heard(container: Container) -> None:
    notification_id = enqueue(container, NotificationKind.RECEIPT)
    claim = vanish_with_a_mail_in_hand(container, uuid.uuid4())
    for _ in range(2):
        say(container, claim, DeliveryOutcome.ACCEPTED, "2" * 400)
    for outcome in set(DeliveryOutcome) - {DeliveryOutcome.ACCEPTED}:
        with pytest.raises(LeaseLost):
            say(container, claim, outcome)
    with container.database.transaction() as session, pytest.raises(LeaseLost):
        mark_notification_sending(session, claim, now=container.clock())
    notification = find(container, notification_id)
    assert (notification.outcome, notification.attempts, notification.smtp_reply) == (
        DeliveryOutcome.ACCEPTED,
        1,
        "2" * 300,
    )


def test_a_notice_that_another_session_holds_is_passed_over_and_not_waited_for(
    container: Container, clock: FakeClock
) -> None:
    held, free = enqueue(container, NotificationKind.RECEIPT), enqueue(container, NotificationKind.SIGN_IN)

    def claim_at_once() -> list[uuid.UUID]:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            claims = claim_due_notifications(
                session, worker=uuid.uuid4(), now=clock(), limit=10, lease=container.lease_duration
            )
        return [claim.notification_id for claim in claims]

    def take_up_at_once() -> dict[str, int]:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            return dict(settle_lost(session, hold_uncertain=False, now=clock()))

    with container.database.transaction() as session:
        session.get_one(Notification, held, with_for_update=True)
        assert claim_at_once() == [free]
    with container.database.transaction() as session:
        session.get_one(Notification, free, with_for_update=True)
        assert claim_at_once() == [held]
        clock.advance(minutes=10)
        assert take_up_at_once() == {"handed_back": 1}
    assert take_up_at_once() == {"handed_back": 1}


def test_only_a_worker_s_own_sign_of_life_keeps_what_it_holds(container: Container, clock: FakeClock) -> None:
    enqueue(container, NotificationKind.RECEIPT)
    worker = uuid.uuid4()
    vanish_with_a_mail_in_hand(container, worker)
    for _ in range(3):
        clock.now += container.lease_duration - datetime.timedelta(seconds=1)
        send_heartbeat(dataclasses.replace(container, worker_id=worker), RUNNING)
        assert recover_expired_notification_leases(container, RUNNING) == {}
    clock.now += container.lease_duration - datetime.timedelta(seconds=1)
    send_heartbeat(dataclasses.replace(container, worker_id=uuid.uuid4()), RUNNING)
    clock.advance(seconds=1)
    assert recover_expired_notification_leases(container, RUNNING) == {"in_doubt": 1}
