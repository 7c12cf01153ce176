"""The record of a notice's mail, in its own row: written before it leaves, completed by what the server said."""

import datetime
import uuid
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationStatus
from service.db.models.email import Notification, status_is
from service.domain.email.counters import increment_counters
from service.domain.email.delivery import NextStep, jittered_backoff, resolve_delivery
from service.domain.email.status import NotificationEvent, transition_notification
from service.domain.errors import LeaseLost
from service.domain.notifications.queue import NotificationClaim
from service.domain.reminders.delivery import MAX_REPLY_LENGTH, DeliveryResult


def mark_notification_sending(session: Session, claim: NotificationClaim, *, now: datetime.datetime) -> None:
    """Write down that this mail is about to leave: one more attempt.

    Raises:
        LeaseLost: the notice was taken over or forgotten since it was claimed, or its mail has left.
    """
    begun = session.execute(
        update(Notification)
        .where(
            Notification.id == claim.notification_id,
            Notification.lease_number == claim.lease_number,
            status_is(NotificationStatus.SENDING),
            # A mail that was accepted is not sent again, even if its worker came back too late to say so.
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
    if begun is None:
        raise LeaseLost("This notice was taken over or forgotten since it was claimed.")


def record_notification_result(
    session: Session, reply: DeliveryResult[NotificationClaim], *, now: datetime.datetime
) -> None:
    """Write down what became of a mail; writing it twice changes nothing.

    An attempt that is `not_attempted` is not counted: the server would have taken no mail from us, whoever it is
    for.

    Raises:
        LeaseLost: another worker has taken this notice since.
    """
    withdrawn = reply.outcome == DeliveryOutcome.NOT_ATTEMPTED
    leaving = Notification.outcome == DeliveryOutcome.SENDING
    recorded = session.execute(
        update(Notification)
        .where(
            Notification.id == reply.claim.notification_id,
            Notification.lease_number == reply.claim.lease_number,
            # Saying the same again is no contradiction; but an attempt must not be taken back twice.
            leaving if withdrawn else or_(leaving, Notification.outcome == reply.outcome),
        )
        .values(
            attempts=Notification.attempts - (1 if withdrawn else 0),
            outcome=reply.outcome,
            smtp_reply=reply.smtp_reply[:MAX_REPLY_LENGTH],
            finished_at=now,
        )
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    ).first()
    if recorded is None:
        raise LeaseLost("Another worker has taken this notice since.")


BATCH_SIZE = 100
COUNTED = ("sent", "retried", "failed", "in_doubt")

EVENT_BY_STEP = {
    NextStep.DELIVERED: NotificationEvent.DELIVER,
    NextStep.REQUEUE: NotificationEvent.RELEASE,
    NextStep.RETRY_LATER: NotificationEvent.RETRY,
    NextStep.FAILED: NotificationEvent.FAIL,
}


def complete_notifications(
    session: Session, claims: Sequence[NotificationClaim], *, holds_doubtful: bool, now: datetime.datetime
) -> Counter[str]:
    """Settle a worker's own claims; return how many notices came to which end.

    One that was taken over or forgotten since is not touched.
    """
    leases = {claim.notification_id: claim.lease_number for claim in claims}
    mine = [
        notification
        for notification in session.scalars(
            select(Notification)
            .where(Notification.id.in_(leases), status_is(NotificationStatus.SENDING))
            .order_by(Notification.id)
            .with_for_update()
        )
        if notification.lease_number == leases[notification.id]
    ]
    counts = _complete(session, mine, holds_doubtful=holds_doubtful, now=now)
    if len(claims) > len(mine):
        counts["lease_lost"] = len(claims) - len(mine)
    return counts


def recover_expired_notification_leases(
    session: Session,
    *,
    holds_doubtful: bool,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Settle notices whose lease has ended, however long ago, or that `worker` still holds from a broken run."""
    lost = Notification.leased_until <= now
    held = session.scalars(
        select(Notification)
        .where(
            status_is(NotificationStatus.SENDING),
            lost if worker is None else or_(lost, Notification.leased_by == worker),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return _complete(session, held, holds_doubtful=holds_doubtful, now=now)


def fail_notification_rendering(
    session: Session, claim: NotificationClaim, *, reason: str, now: datetime.datetime
) -> None:
    """Record that this letter could not be made into a mail; staff can read why and send it back.

    Raises:
        LeaseLost: the notice was taken over or forgotten since it was claimed.
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
        raise LeaseLost("This notice was taken over or forgotten since it was claimed.")
    transition_notification(notification, NotificationEvent.FAIL, reason=reason)
    notification.finished_at = now
    increment_counters(session, failed=1)


def _complete(
    session: Session, notifications: Sequence[Notification], *, holds_doubtful: bool, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for notification in notifications:
        resolution = resolve_delivery(
            notification.outcome,
            attempts=notification.attempts,
            reply=notification.smtp_reply,
            holds_doubtful=holds_doubtful,
        )
        transition_notification(notification, EVENT_BY_STEP[resolution.next_step], reason=resolution.reason)
        if resolution.next_step == NextStep.RETRY_LATER:
            notification.due_at = now + jittered_backoff(notification.attempts)
        counts.update(resolution.counters)
    # Written before the tallies are held, which every worker waits for.
    session.flush()
    kept = {name: counts[name] for name in COUNTED if counts[name]}
    if kept:
        increment_counters(session, **kept)
    return counts
