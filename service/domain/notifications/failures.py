"""Failed notifications: staff list them by reason and retry them once the cause is fixed."""

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
    """The number of notifications of one kind that failed for one reason."""

    kind: NotificationKind
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class NotificationFailureFilter:
    """A filter by kind, prefix of the reason and due date (exclusive). None matches everything."""

    kind: NotificationKind | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the query."""
        conditions = [status_is(NotificationStatus.FAILED)]
        if self.kind is not None:
            conditions.append(Notification.kind == self.kind)
        if self.reason is not None:
            conditions.append(Notification.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            conditions.append(Notification.due_at < self.due_before)
        return conditions


def list_failures(session: Session, filters: NotificationFailureFilter) -> list[NotificationFailure]:
    """Return the counts by kind and reason, largest first."""
    count, reason = func.count(), func.coalesce(Notification.reason, "")
    rows = session.execute(
        select(Notification.kind, reason, count)
        .where(*filters.conditions())
        .group_by(Notification.kind, reason)
        .order_by(count.desc(), Notification.kind, reason)
    )
    return [NotificationFailure(*row) for row in rows]


def retry_failures(
    session: Session, filters: NotificationFailureFilter, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> int:
    """Requeue up to `limit` failed notifications, due now and with all their attempts left; return how many.

    Each keeps its Message-ID. One that is no longer relevant is skipped when it is claimed.
    """
    failed = session.scalars(
        select(Notification)
        .where(*filters.conditions())
        .order_by(Notification.due_at, Notification.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for notification in failed:
        transition_notification(notification, NotificationEvent.REQUEUE)
        notification.attempts, notification.due_at = 0, now
    return len(failed)
