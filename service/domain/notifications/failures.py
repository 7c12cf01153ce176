"""What staff can do for notices that failed: see why, and send them back once the cause is mended."""

import datetime
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from schemas.enums import NotificationKind, NotificationStatus
from service.db.models.email import Notification, status_is
from service.domain.email.status import NotificationEvent, transition_notification

BATCH_SIZE = 200


@dataclass(frozen=True)
class NotificationFailure:
    """How many notices of a kind failed for one reason."""

    kind: NotificationKind
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class NotificationFailureFilter:
    """Which failed notices: of one kind, for reasons that begin so, due before; None filters nothing."""

    kind: NotificationKind | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the query must ask for."""
        asked = [status_is(NotificationStatus.FAILED)]
        if self.kind is not None:
            asked.append(Notification.kind == self.kind)
        if self.reason is not None:
            asked.append(Notification.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            asked.append(Notification.due_at < self.due_before)
        return asked


def list_failures(session: Session, wanted: NotificationFailureFilter) -> list[NotificationFailure]:
    """Return how many failed for which reason, the most first."""
    number, reason = func.count(), func.coalesce(Notification.reason, "")
    rows = session.execute(
        select(Notification.kind, reason, number)
        .where(*wanted.conditions())
        .group_by(Notification.kind, reason)
        .order_by(number.desc(), Notification.kind, reason)
    )
    return [NotificationFailure(kind, why, count) for kind, why, count in rows]


def retry_failures(
    session: Session, wanted: NotificationFailureFilter, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> int:
    """Send some failed notices back, due at once and with all their attempts before them; return how many.

    Each is the same mail, under the same Message-ID; one that is not to be told any more is then skipped.
    """
    failed = session.scalars(
        select(Notification)
        .where(*wanted.conditions())
        .order_by(Notification.due_at, Notification.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for notification in failed:
        transition_notification(notification, NotificationEvent.REQUEUE)
        notification.attempts, notification.due_at = 0, now
    return len(failed)
