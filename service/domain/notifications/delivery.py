"""Delivery of notifications. Each row is its own delivery record.

The row is marked before its email is sent and completed with the mail server's reply, as for reminders.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationStatus
from service.db.models.email import Notification, status_is
from service.domain.email.counters import increment_counters
from service.domain.email.delivery import (
    MAX_REPLY_LENGTH,
    DeliveryResult,
    NextStep,
    jittered_backoff,
    resolve_delivery,
)
from service.domain.email.status import NotificationEvent, transition_notification
from service.domain.errors import LeaseLost
from service.domain.notifications.queue import NotificationClaim

BATCH_SIZE = 100
COUNTED = ("sent", "retried", "failed", "in_doubt")
EVENT_BY_STEP = {
    NextStep.DELIVERED: NotificationEvent.DELIVER,
    NextStep.REQUEUE: NotificationEvent.RELEASE,
    NextStep.RETRY_LATER: NotificationEvent.RETRY,
    NextStep.FAILED: NotificationEvent.FAIL,
}


def mark_notification_sending(session: Session, claim: NotificationClaim, *, now: datetime.datetime) -> None:
    """Record that the email is about to be sent, and count the attempt.

    Raises:
        LeaseLost: the notification was taken over or purged since it was claimed, or its email was accepted.
    """
    marked = session.execute(
        update(Notification)
        .where(
            Notification.id == claim.notification_id,
            Notification.lease_number == claim.lease_number,
            status_is(NotificationStatus.SENDING),
            # An accepted email is not sent again, even if its worker recorded that after its lease expired.
            func.coalesce(Notification.outcome, DeliveryOutcome.SENDING) != DeliveryOutcome.ACCEPTED,
        )
        .values(
            attempts=Notification.attempts + 1,
            outcome=DeliveryOutcome.SENDING,
            started_at=now,
            smtp_reply=None,
            finished_at=None,
        )
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    ).first()
    if marked is None:
        raise LeaseLost("This notification was taken over or purged since it was claimed.")


def record_notification_result(
    session: Session, result: DeliveryResult[NotificationClaim], *, now: datetime.datetime
) -> None:
    """Record the result of an attempt; idempotent.

    An attempt with the outcome NOT_ATTEMPTED does not count, because the server accepts no email from us at all.

    Raises:
        LeaseLost: another worker has taken over this notification since.
    """
    uncounted = result.outcome == DeliveryOutcome.NOT_ATTEMPTED
    is_sending = Notification.outcome == DeliveryOutcome.SENDING
    recorded = session.execute(
        update(Notification)
        .where(
            Notification.id == result.claim.notification_id,
            Notification.lease_number == result.claim.lease_number,
            # Recording the same result again is harmless, except that an attempt must not be uncounted twice.
            is_sending if uncounted else or_(is_sending, Notification.outcome == result.outcome),
        )
        .values(
            attempts=Notification.attempts - (1 if uncounted else 0),
            outcome=result.outcome,
            smtp_reply=result.smtp_reply[:MAX_REPLY_LENGTH],
            finished_at=now,
        )
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    ).first()
    if recorded is None:
        raise LeaseLost("Another worker has taken over this notification since.")


def complete_notifications(
    session: Session, claims: Sequence[NotificationClaim], *, hold_uncertain: bool, now: datetime.datetime
) -> Counter[str]:
    """Complete a worker's own claims by what was recorded; return counts by outcome.

    Notifications that were taken over or purged since are not changed; they count as `lease_lost`.
    """
    leases = {claim.notification_id: claim.lease_number for claim in claims}
    owned = [
        notification
        for notification in session.scalars(
            select(Notification)
            .where(Notification.id.in_(leases), status_is(NotificationStatus.SENDING))
            .order_by(Notification.id)
            .with_for_update()
        )
        if notification.lease_number == leases[notification.id]
    ]
    counts = _complete(session, owned, hold_uncertain=hold_uncertain, now=now)
    if len(claims) > len(owned):
        counts["lease_lost"] = len(claims) - len(owned)
    return counts


def recover_expired_notification_leases(
    session: Session,
    *,
    hold_uncertain: bool,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Complete notifications whose lease has expired, or only those that `worker` still leases after a failed run.

    Returns counts by outcome.
    """
    lost = Notification.leased_until <= now if worker is None else Notification.leased_by == worker
    recoverable = session.scalars(
        select(Notification)
        .where(status_is(NotificationStatus.SENDING), lost)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return _complete(session, recoverable, hold_uncertain=hold_uncertain, now=now)


def fail_notification_rendering(
    session: Session, claim: NotificationClaim, *, reason: str, now: datetime.datetime
) -> None:
    """Fail a notification whose email could not be rendered; staff can read the reason and retry it.

    Raises:
        LeaseLost: the notification was taken over or purged since it was claimed.
    """
    notification = session.scalar(
        select(Notification)
        .where(
            Notification.id == claim.notification_id,
            Notification.lease_number == claim.lease_number,
            status_is(NotificationStatus.SENDING),
        )
        .with_for_update()
    )
    if notification is None:
        raise LeaseLost("This notification was taken over or purged since it was claimed.")
    transition_notification(notification, NotificationEvent.FAIL, reason=reason)
    notification.finished_at = now
    increment_counters(session, failed=1)


def _complete(
    session: Session, notifications: Sequence[Notification], *, hold_uncertain: bool, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for notification in notifications:
        resolution = resolve_delivery(
            notification.outcome,
            attempts=notification.attempts,
            reply=notification.smtp_reply,
            hold_uncertain=hold_uncertain,
        )
        transition_notification(notification, EVENT_BY_STEP[resolution.next_step], reason=resolution.reason)
        if resolution.next_step == NextStep.RETRY_LATER:
            notification.due_at = now + jittered_backoff(notification.attempts)
        counts.update(resolution.counters)
    # Written before the counters are locked, because every worker waits for those.
    session.flush()
    counted = {name: counts[name] for name in COUNTED if counts[name]}
    if counted:
        increment_counters(session, **counted)
    return counts
