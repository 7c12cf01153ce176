"""How long notices and wishes to sign in are kept; what nobody needs any more is deleted, a batch at a time."""

import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from schemas.vocabulary import NotificationStatus
from service.db.notice import Notice
from service.db.sign_in import SignIn
from service.domain.keeping.retention import FINISHED_KEPT_FOR, ROWS_AT_ONCE

FINISHED = (NotificationStatus.SENT, NotificationStatus.SKIPPED, NotificationStatus.FAILED)
# Long after the last session that began with one has ended.
SIGN_INS_KEPT_FOR = datetime.timedelta(days=1)


def forget_finished_notices(session: Session, *, now: datetime.datetime, limit: int = ROWS_AT_ONCE) -> int:
    """Delete notices that ended as long ago as reminders that are deleted; return how many.

    Should one be asked for again after that, it is about something too old to be told (see `notice_mail.cases`).
    """
    long_ago = now - FINISHED_KEPT_FOR
    over = (
        select(Notice.id)
        .where(Notice.status.in_(FINISHED), Notice.due_at <= long_ago, Notice.created_at <= long_ago)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    if ids:
        session.execute(delete(Notice).where(Notice.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def forget_sign_ins(session: Session, *, now: datetime.datetime, limit: int = ROWS_AT_ONCE) -> int:
    """Delete wishes to sign in that are over, and with each the notice that brought its link; return how many."""
    over = (
        select(SignIn.id)
        .where(SignIn.asked_at <= now - SIGN_INS_KEPT_FOR)
        .order_by(SignIn.asked_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    if ids:
        session.execute(delete(SignIn).where(SignIn.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)
