"""What staff can do for notices that failed: see why, and send them back once the cause is mended."""

import datetime
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from schemas.vocabulary import NotificationKind, NotificationStatus
from service.db.notice import Notice, stands
from service.domain.notices.status import NoticeEvent, move_notice

ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class NoticeFailure:
    """How many notices of a kind failed for one reason."""

    kind: NotificationKind
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class NoticeFailureFilter:
    """Which failed notices: of one kind, for reasons that begin so, due before; None filters nothing."""

    kind: NotificationKind | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the query must ask for."""
        asked = [stands(NotificationStatus.FAILED)]
        if self.kind is not None:
            asked.append(Notice.kind == self.kind)
        if self.reason is not None:
            asked.append(Notice.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            asked.append(Notice.due_at < self.due_before)
        return asked


def list_notice_failures(session: Session, wanted: NoticeFailureFilter) -> list[NoticeFailure]:
    """Return how many failed for which reason, the most first."""
    number, reason = func.count(), func.coalesce(Notice.reason, "")
    rows = session.execute(
        select(Notice.kind, reason, number)
        .where(*wanted.conditions())
        .group_by(Notice.kind, reason)
        .order_by(number.desc(), Notice.kind, reason)
    )
    return [NoticeFailure(kind, why, count) for kind, why, count in rows]


def retry_notice_failures(
    session: Session, wanted: NoticeFailureFilter, *, now: datetime.datetime, limit: int = ROWS_AT_ONCE
) -> int:
    """Send some failed notices back, due at once and with all their attempts before them; return how many.

    Each is the same mail, under the same Message-ID; one that is not to be told any more is then skipped.
    """
    failed = session.scalars(
        select(Notice)
        .where(*wanted.conditions())
        .order_by(Notice.due_at, Notice.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for notice in failed:
        move_notice(notice, NoticeEvent.SEND_BACK)
        notice.attempts, notice.due_at = 0, now
    return len(failed)
