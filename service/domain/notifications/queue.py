"""The queue of due notifications: workers claim them with a lease, as they do reminders."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationStatus
from service.db.models.email import Notification, status_is
from service.db.models.sign_in import SignIn
from service.domain.email.rendering import NEXT_KEY_WAIT, UNREADABLE
from service.domain.email.status import NotificationEvent, next_status
from service.domain.sign_in import LINK_TTL


@dataclass(frozen=True)
class NotificationClaim:
    """A worker's lease on a notification. `lease_number` is a fencing token."""

    notification_id: uuid.UUID
    lease_number: int


def claim_due_notifications(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, limit: int, lease: datetime.timedelta
) -> list[NotificationClaim]:
    """Claim up to `limit` due notifications, without those that another transaction has locked.

    Sign-in links come first, because their readers are waiting for them; then the oldest.
    """
    due = select(Notification.id, Notification.lease_number).where(
        status_is(NotificationStatus.SCHEDULED), Notification.due_at <= now, Notification.held_at.is_(None)
    )
    # The sign-in requests of the last 15 minutes are few, and have their own index.
    sign_in_links = due.join(SignIn, SignIn.id == Notification.sign_in_id).where(SignIn.asked_at > now - LINK_TTL)
    claims = _lock_due(session, sign_in_links, limit)
    if len(claims) < limit:
        rest = due.where(Notification.id.not_in([claim.notification_id for claim in claims])) if claims else due
        claims += _lock_due(session, rest, limit - len(claims))
    if claims:
        session.execute(
            update(Notification)
            .where(Notification.id.in_([claim.notification_id for claim in claims]))
            .values(
                status=next_status(NotificationStatus.SCHEDULED, NotificationEvent.CLAIM),
                reason=None,
                lease_number=Notification.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
                # The outcome of an earlier lease does not count, unless its email was accepted.
                outcome=case((Notification.outcome == DeliveryOutcome.ACCEPTED, Notification.outcome), else_=None),
            )
            .execution_options(synchronize_session=False)
        )
    return claims


def shorten_notification_leases(session: Session, *, now: datetime.datetime, lease: datetime.timedelta) -> None:
    """End every lease within `lease`, after the clock was set back. A live worker renews its own before."""
    session.execute(
        update(Notification)
        .where(status_is(NotificationStatus.SENDING), Notification.leased_until > now + lease)
        .values(leased_until=now + lease)
    )


def renew_notification_leases(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Extend the leases that a live worker holds."""
    session.execute(
        update(Notification)
        .where(status_is(NotificationStatus.SENDING), Notification.leased_by == worker)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def oldest_due_notification_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return how long the oldest due notification has been due; None if none is."""
    waiting = select(func.min(Notification.due_at)).where(
        status_is(NotificationStatus.SCHEDULED), Notification.held_at.is_(None)
    )
    due_at = session.scalar(waiting)
    return now - due_at if due_at is not None and due_at <= now else None


def count_due_notifications(session: Session, *, now: datetime.datetime) -> int:
    """Return how many notifications are due."""
    due = select(func.count()).where(
        status_is(NotificationStatus.SCHEDULED), Notification.due_at <= now, Notification.held_at.is_(None)
    )
    return session.scalar(due) or 0


def count_notifications_waiting_for_key(session: Session, *, now: datetime.datetime) -> int:
    """Return how many notifications wait because no worker that claimed them could read their address."""
    waiting = select(func.count()).where(
        status_is(NotificationStatus.SCHEDULED),
        Notification.due_at <= now + NEXT_KEY_WAIT,
        Notification.reason == UNREADABLE,
    )
    return session.scalar(waiting) or 0


def _lock_due(session: Session, due: Select[uuid.UUID, int], limit: int) -> list[NotificationClaim]:
    rows = session.execute(
        due.order_by(Notification.due_at, Notification.id)
        .limit(limit)
        .with_for_update(of=Notification, skip_locked=True)
    )
    return [NotificationClaim(notification_id, lease_number + 1) for notification_id, lease_number in rows]
