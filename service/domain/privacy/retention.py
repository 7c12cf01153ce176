"""How long notices and wishes to sign in are kept; what nobody needs any more is deleted, a batch at a time."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from schemas.enums import NotificationStatus, ReminderStatus
from service.db.models.email import DevOutboxEmail, EmailDelivery, Notification
from service.db.models.pledge import Pledge
from service.db.models.reminder import FINAL_STATUSES, Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter

# The links in a mail must work for a year, and a reader who comes back a little late must find them working too.
REMINDER_RETENTION = datetime.timedelta(days=400)
UNCONFIRMED_RETENTION = datetime.timedelta(days=7)
OUTBOX_RETENTION = datetime.timedelta(days=30)
BATCH_SIZE = 200


@dataclass(frozen=True)
class PurgeResult:
    """How many reminders were deleted, and how many people who then had nothing left with us."""

    reminders: int
    supporters: int


def purge_finished_reminders(
    session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> PurgeResult | None:
    """Delete reminders that ended long ago, and the people who then have neither a reminder nor a pledge.

    Everyone is known by a reminder or a pledge from the transaction that met them, and pledges are never deleted,
    so that losing the last reminder is the only way to be left with nothing. Hence nobody else is looked at.

    Returns None when there was nothing to delete.
    """
    long_ago = now - REMINDER_RETENTION
    # The states stand in the statement as words, because neither database can prove from parameters that the
    # partial index covers them.
    states: BindParameter[ReminderStatus] = bindparam(
        "finished", FINAL_STATUSES, expanding=True, literal_execute=True
    )
    expired = (
        Reminder.status.in_(states),
        Reminder.due_at <= long_ago,
        Reminder.asked_at <= long_ago,
        # A mail that left late, as after a long stop of the worker, has links of its own age.
        or_(Reminder.sent_at.is_(None), Reminder.sent_at <= long_ago),
    )
    return _purge_reminders(session, expired, oldest_by=Reminder.due_at, limit=limit)


def purge_unconfirmed_reminders(
    session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> PurgeResult | None:
    """Delete reminders that nobody confirmed within a week, and the people of whom we then know nothing else.

    The week begins with our last question, or when the reminder was asked for if that is later. One whose question
    is still to leave is kept however long that takes: its reader has not been asked yet.

    Returns None when there was nothing to delete.
    """
    long_ago = now - UNCONFIRMED_RETENTION
    asked_since = select(EmailDelivery.occurrence).where(
        EmailDelivery.reminder_id == Reminder.id, EmailDelivery.started_at > long_ago
    )
    expired: tuple[ColumnElement[bool], ...] = (
        # Without a type, because SQLite does not see that "= 1" would say the same as its partial index.
        literal_column("reminders.awaits_confirmation"),
        Reminder.status.not_in((ReminderStatus.SCHEDULED, ReminderStatus.SENDING)),
        Reminder.asked_at <= long_ago,
        ~asked_since.exists(),
    )
    return _purge_reminders(session, expired, oldest_by=Reminder.asked_at, limit=limit)


def _purge_reminders(
    session: Session,
    expired: Sequence[ColumnElement[bool]],
    *,
    oldest_by: InstrumentedAttribute[datetime.datetime],
    limit: int,
) -> PurgeResult | None:
    # A sign-up holds its supporter before it looks for a reminder. Whoever holds the supporter, then, is alone
    # with the reminders as well: one of the two passes or waits before it has touched anything.
    held = session.execute(
        select(Reminder.id, Reminder.supporter_id)
        .join(Supporter, Supporter.id == Reminder.supporter_id)
        .where(*expired)
        .order_by(oldest_by)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not held:
        return None
    # A sign-up may have ended between the look and the hold. A new statement sees what it left, and nothing can
    # follow it: a row that points at a supporter needs a FOR KEY SHARE on it, which our FOR UPDATE keeps away.
    reminders = session.scalars(
        delete(Reminder)
        .where(Reminder.id.in_([reminder_id for reminder_id, _ in held]), *expired)
        .returning(Reminder.id)
        .execution_options(synchronize_session=False)
    ).all()
    supporters = session.scalars(
        delete(Supporter)
        .where(
            Supporter.id.in_({supporter_id for _, supporter_id in held}),
            ~select(Reminder.id).where(Reminder.supporter_id == Supporter.id).exists(),
            ~select(Pledge.id).where(Pledge.supporter_id == Supporter.id).exists(),
        )
        .returning(Supporter.id)
        .execution_options(synchronize_session=False)
    ).all()
    return PurgeResult(reminders=len(reminders), supporters=len(supporters))


def purge_outbox(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete mails that the outbox has kept for long enough; return how many."""
    old = (
        select(DevOutboxEmail.id)
        .where(DevOutboxEmail.sent_at <= now - OUTBOX_RETENTION)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(old).all()
    if ids:
        session.execute(
            delete(DevOutboxEmail).where(DevOutboxEmail.id.in_(ids)).execution_options(synchronize_session=False)
        )
    return len(ids)


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
