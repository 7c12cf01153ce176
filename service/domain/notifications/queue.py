"""Claiming the notices that are due, each for one worker at a time, as reminders are (see `mail.claims`)."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationStatus
from service.db.models.email import Notification, status_is
from service.db.models.sign_in import SignIn
from service.domain.email.status import NotificationEvent, next_status
from service.domain.sign_in import LINK_TTL


@dataclass(frozen=True)
class NotificationClaim:
    """The right to send a notice, until its lease ends."""

    notification_id: uuid.UUID
    lease_number: int


def claim_due_notifications(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, limit: int, lease: datetime.timedelta
) -> list[NotificationClaim]:
    """Claim notices that are due, passing over those that another worker holds.

    Whoever waits for a link to sign in comes first, however many receipts are due; then the longest due.
    """
    due = select(Notification.id, Notification.lease_number).where(
        status_is(NotificationStatus.SCHEDULED), Notification.due_at <= now
    )
    # The wishes of the last quarter of an hour are few, and found by their own index.
    waiting = due.join(SignIn, SignIn.id == Notification.sign_in_id).where(SignIn.asked_at > now - LINK_TTL)
    found = _lock_due(session, waiting, limit)
    if len(found) < limit:
        rest = due.where(Notification.id.not_in([row.notification_id for row in found])) if found else due
        found += _lock_due(session, rest, limit - len(found))
    if found:
        session.execute(
            update(Notification)
            .where(Notification.id.in_([claim.notification_id for claim in found]))
            .values(
                status=next_status(NotificationStatus.SCHEDULED, NotificationEvent.CLAIM),
                reason=None,
                lease_number=Notification.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
                # What is on record of an earlier lease says nothing of this one, unless the mail has arrived.
                outcome=case((Notification.outcome == DeliveryOutcome.ACCEPTED, Notification.outcome), else_=None),
            )
            .execution_options(synchronize_session=False)
        )
    return found


def renew_notification_leases(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Show that a worker is still at what it holds."""
    session.execute(
        update(Notification)
        .where(status_is(NotificationStatus.SENDING), Notification.leased_by == worker)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def oldest_due_notification_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return for how long the oldest due notice has waited; None if none is due."""
    due_at = session.scalar(select(func.min(Notification.due_at)).where(status_is(NotificationStatus.SCHEDULED)))
    return now - due_at if due_at is not None and due_at <= now else None


def _lock_due(session: Session, due: Select[uuid.UUID, int], limit: int) -> list[NotificationClaim]:
    rows = session.execute(
        due.order_by(Notification.due_at, Notification.id)
        .limit(limit)
        .with_for_update(of=Notification, skip_locked=True)
    )
    return [NotificationClaim(notification_id, lease_number + 1) for notification_id, lease_number in rows]
