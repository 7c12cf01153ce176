"""Retention periods and purges: reminders, dev outbox emails, notifications and sign-ins, in batches."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from schemas.enums import EmailStatus, ReminderStatus
from service.db.base import UUIDPrimaryKey
from service.db.models.email import DevOutboxEmail, OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.pledge import Pledge
from service.db.models.reminder import FINAL_STATUSES, Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter

# The links in an email must work for a year; the margin is for readers who return a little late.
REMINDER_RETENTION = datetime.timedelta(days=400)
UNCONFIRMED_RETENTION = datetime.timedelta(days=7)
OUTBOX_RETENTION = datetime.timedelta(days=30)
# Longer than any session that a sign-in link started.
SIGN_IN_RETENTION = datetime.timedelta(days=1)
# Longer than the link works, so that the notice to the old address can leave after an outage.
EMAIL_CHANGE_RETENTION = datetime.timedelta(days=7)
# Much longer than the link works.
ERASURE_REQUEST_RETENTION = datetime.timedelta(days=1)
FINAL_EMAIL_STATUSES = (EmailStatus.SENT, EmailStatus.SKIPPED, EmailStatus.FAILED, EmailStatus.CANCELLED)
BATCH_SIZE = 200


@dataclass(frozen=True)
class PurgeResult:
    """How many reminders were deleted, and how many supporters who then had neither reminder nor pledge."""

    reminders: int
    supporters: int


def purge_finished_reminders(
    session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> PurgeResult | None:
    """Delete reminders that ended before the retention period, and supporters left without reminder and pledge.

    A supporter row is created together with a reminder or a pledge, and pledges are never deleted. So a supporter
    loses their last row only when their last reminder is deleted, and no other supporters need a check.

    Returns None if there was nothing to delete.
    """
    cutoff = now - REMINDER_RETENTION
    # The statuses are literals in the SQL, because neither database uses the partial index with parameters.
    final_statuses: BindParameter[ReminderStatus] = bindparam(
        "finished", FINAL_STATUSES, expanding=True, literal_execute=True
    )
    expired = (
        Reminder.status.in_(final_statuses),
        Reminder.due_at <= cutoff,
        Reminder.asked_at <= cutoff,
        # The links of an email that was sent late, such as after an outage, are valid from its own date.
        or_(Reminder.sent_at.is_(None), Reminder.sent_at <= cutoff),
    )
    return _purge_reminders(session, expired, oldest_by=Reminder.due_at, limit=limit)


def purge_unconfirmed_reminders(
    session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> PurgeResult | None:
    """Delete reminders that were not confirmed within a week, and supporters left without reminder and pledge.

    The week starts with the last confirmation email, or with the request if that is later. A reminder whose
    confirmation email is still queued is never deleted, because its reader could not confirm it yet.

    Returns None if there was nothing to delete.
    """
    cutoff = now - UNCONFIRMED_RETENTION
    recent_delivery = select(OutgoingEmail.occurrence).where(
        OutgoingEmail.reminder_id == Reminder.id, OutgoingEmail.started_at > cutoff
    )
    expired: tuple[ColumnElement[bool], ...] = (
        # An untyped column, because SQLite does not match "awaits_confirmation = 1" with its partial index.
        literal_column("reminders.awaits_confirmation"),
        Reminder.status.not_in((ReminderStatus.SCHEDULED, ReminderStatus.SENDING)),
        Reminder.asked_at <= cutoff,
        ~recent_delivery.exists(),
    )
    return _purge_reminders(session, expired, oldest_by=Reminder.asked_at, limit=limit)


def purge_outbox(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of expired emails of the dev outbox; return how many."""
    return _purge(session, DevOutboxEmail, DevOutboxEmail.sent_at <= now - OUTBOX_RETENTION, limit=limit)


def purge_notifications(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of finished emails, but those of reminders, older than `REMINDER_RETENTION`; return how many.

    A deleted email could be enqueued again, but it would be about an event too old to be sent.
    """
    cutoff = now - REMINDER_RETENTION
    final_statuses: BindParameter[EmailStatus] = bindparam(
        "finished", FINAL_EMAIL_STATUSES, expanding=True, literal_execute=True
    )
    return _purge(
        session,
        OutgoingEmail,
        OutgoingEmail.reminder_id.is_(None),
        OutgoingEmail.status.in_(final_statuses),
        OutgoingEmail.due_at <= cutoff,
        OutgoingEmail.created_at <= cutoff,
        limit=limit,
    )


def purge_sign_ins(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of expired sign-ins together with their notifications; return how many."""
    return _purge(session, SignIn, SignIn.asked_at <= now - SIGN_IN_RETENTION, limit=limit)


def purge_email_changes(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of old requests for another address together with their notifications; return how many."""
    return _purge(session, EmailChange, EmailChange.requested_at <= now - EMAIL_CHANGE_RETENTION, limit=limit)


def purge_erasure_requests(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of requests for an erasure that nobody confirmed, with their emails; return how many."""
    return _purge(
        session, ErasureRequest, ErasureRequest.requested_at <= now - ERASURE_REQUEST_RETENTION, limit=limit
    )


def _purge(session: Session, model: type[UUIDPrimaryKey], *expired: ColumnElement[bool], limit: int) -> int:
    """Delete a batch of expired rows, without those that are locked elsewhere; return how many."""
    ids = session.scalars(select(model.id).where(*expired).limit(limit).with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def _purge_reminders(
    session: Session,
    expired: Sequence[ColumnElement[bool]],
    *,
    oldest_by: InstrumentedAttribute[datetime.datetime],
    limit: int,
) -> PurgeResult | None:
    # A sign-up locks its supporter before it looks for a reminder. The lock on the supporter therefore also
    # protects the reminders, and the two transactions cannot deadlock.
    locked = session.execute(
        select(Reminder.id, Reminder.supporter_id)
        .join(Supporter, Supporter.id == Reminder.supporter_id)
        .where(*expired)
        .order_by(oldest_by)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not locked:
        return None
    # A sign-up may have committed between the read and the lock. A new statement sees its changes, and no other
    # change can follow: a row that references a supporter needs FOR KEY SHARE, which our FOR UPDATE blocks.
    reminders = session.scalars(
        delete(Reminder)
        .where(Reminder.id.in_([reminder_id for reminder_id, _ in locked]), *expired)
        .returning(Reminder.id)
        .execution_options(synchronize_session=False)
    ).all()
    supporters = session.scalars(
        delete(Supporter)
        .where(
            Supporter.id.in_({supporter_id for _, supporter_id in locked}),
            ~select(Reminder.id).where(Reminder.supporter_id == Supporter.id).exists(),
            ~select(Pledge.id).where(Pledge.supporter_id == Supporter.id).exists(),
        )
        .returning(Supporter.id)
        .execution_options(synchronize_session=False)
    ).all()
    return PurgeResult(reminders=len(reminders), supporters=len(supporters))
