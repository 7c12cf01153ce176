"""How long notices and wishes to sign in are kept; what nobody needs any more is deleted, a batch at a time."""

import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from schemas.enums import NotificationStatus
from service.db.models.email import Notification
from service.db.models.sign_in import SignIn
from service.domain.keeping.retention import BATCH_SIZE, REMINDER_RETENTION

FINAL_NOTIFICATION_STATUSES = (NotificationStatus.SENT, NotificationStatus.SKIPPED, NotificationStatus.FAILED)
# Long after the last session that began with one has ended.
SIGN_IN_RETENTION = datetime.timedelta(days=1)


def purge_notifications(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete notices that ended as long ago as reminders that are deleted; return how many.

    Should one be asked for again after that, it is about something too old to be told (see `notice_mail.cases`).
    """
    long_ago = now - REMINDER_RETENTION
    over = (
        select(Notification.id)
        .where(
            Notification.status.in_(FINAL_NOTIFICATION_STATUSES),
            Notification.due_at <= long_ago,
            Notification.created_at <= long_ago,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    if ids:
        session.execute(
            delete(Notification).where(Notification.id.in_(ids)).execution_options(synchronize_session=False)
        )
    return len(ids)


def purge_sign_ins(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete wishes to sign in that are over, and with each the notice that brought its link; return how many."""
    over = (
        select(SignIn.id)
        .where(SignIn.asked_at <= now - SIGN_IN_RETENTION)
        .order_by(SignIn.asked_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    if ids:
        session.execute(delete(SignIn).where(SignIn.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)
