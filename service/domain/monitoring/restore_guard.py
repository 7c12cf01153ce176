"""After a restore: recognise the restored database, and hold the emails that may have been sent already.

A backup does not know what was sent after it was made. What was due before an instant is held in the queue until
staff release it, or cancel it as sent. Later, payments from before that instant are reported again by the gateway;
the emails about them are held as well (see `service.domain.email.outbox`).
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus
from service.db.identity import BACKUP_PREFIX, database_identity, is_same_database
from service.db.models.email import OutgoingEmail, status_is
from service.db.models.jobs import JobRun
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Installation, Pledge
from service.db.models.reminder import Reminder
from service.domain.email.delivery import FinishedEmail, lock_reminders
from service.domain.email.queue import count_due
from service.domain.email.status import EmailEvent, transition_email
from service.domain.monitoring.summary import last_heartbeat
from service.domain.pledges.installation import get_or_create_installation_id
from service.domain.reminders.delivery import finish_reminders
from service.domain.reminders.queue import KINDS as REMINDER_KINDS
from service.domain.reminders.queue import count_due_reminders, enqueue_due_reminders

OTHER_KINDS = frozenset(EmailKind) - frozenset(REMINDER_KINDS)
# A worker records its heartbeat every few seconds, so after this time nobody knows what happened meanwhile.
SILENCE = datetime.timedelta(hours=1)
BATCH_SIZE = 500
# More, because in one transaction each batch goes over those before it. PostgreSQL takes 65,535 parameters.
ENQUEUE_BATCH_SIZE = 10_000
SENT_BEFORE_RESTORE = "it was sent before the backup was restored"


@dataclass(frozen=True)
class Restore:
    """Signs that a database was restored: it has the identity of another, or nothing happened in it for long."""

    due: int
    found_at: datetime.datetime
    last_trace_at: datetime.datetime | None
    other_identity: str | None = None

    def __str__(self) -> str:
        """Return the refusal to start a worker, in one sentence that says what to do."""
        if self.other_identity is None:
            sign = (
                f"Nothing has happened in this database since {self.last_trace_at:%Y-%m-%d %H:%M} UTC (it is now "
                f"{self.found_at:%Y-%m-%d %H:%M} UTC)"
            )
        elif self.other_identity.startswith(BACKUP_PREFIX):
            sign = f"This database is a {self.other_identity}"
        else:
            sign = "This database is not the one that workers used until now"
        due = {0: "no email is due", 1: "1 email is due"}.get(self.due, f"{self.due} emails are due")
        return (
            f"{sign}, and {due}: if it was restored from a backup, run mainstay restore-guard --sent-before "
            "INSTANT with the time until which emails were sent, or now; if nothing was restored, run mainstay "
            "restore-guard --nothing-restored; then start the worker again."
        )


@dataclass(frozen=True)
class HeldEmails:
    """How many emails of one kind are held, and when the first and the last of them were due."""

    kind: EmailKind
    count: int
    first_due_at: datetime.datetime
    last_due_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class HeldFilter:
    """A filter by id, due date and kind. None matches everything."""

    ids: tuple[uuid.UUID, ...] = ()
    kind: EmailKind | None = None
    due_from: datetime.datetime | None = None
    due_before: datetime.datetime | None = None


def find_restore(session: Session, *, now: datetime.datetime) -> Restore | None:
    """Return the signs that this database was restored since a worker last used it; None if there are none.

    A database that no worker has used yet, and one in which the web process has worked since, was not restored.
    """
    heartbeat_at = last_heartbeat(session)
    checked_at = session.scalar(select(Installation.checked_at))
    last_trace_at = max(filter(None, (heartbeat_at, checked_at, newest_row_at(session))), default=None)
    due = count_due_reminders(session, now=now) + count_due(session, now=now, kinds=OTHER_KINDS)
    identity = session.scalar(select(Installation.database_identity))
    if identity is not None and not has_own_identity(session):
        return Restore(due, now, last_trace_at, identity)
    is_silent = last_trace_at is not None and now - last_trace_at > SILENCE
    if heartbeat_at is not None and is_silent and due:
        return Restore(due, now, last_trace_at)
    return None


def newest_row_at(session: Session) -> datetime.datetime | None:
    """Return when a process last wrote a new row. Commands of staff are no sign that the others were running."""
    # By an index, or by the ids, which are ordered by time.
    queries: tuple[Select[Any], ...] = (
        select(func.max(JobRun.started_at)),
        select(func.max(GatewayEvent.received_at)),
        select(Pledge.created_at).order_by(Pledge.id.desc()).limit(1),
        select(Reminder.asked_at).order_by(Reminder.id.desc()).limit(1),
        select(OutgoingEmail.created_at).order_by(OutgoingEmail.id.desc()).limit(1),
    )
    return max(filter(None, map(session.scalar, queries)), default=None)


def has_own_identity(session: Session) -> bool:
    """Whether workers have used this very database."""
    stored = session.scalar(select(Installation.database_identity))
    return stored is not None and is_same_database(stored, database_identity(session))


def confirm_database(session: Session, *, now: datetime.datetime) -> None:
    """Take this database as the one in use, and what is due in it as not sent yet."""
    take_identity(session)
    _update_installation(session, checked_at=now)


def take_identity(session: Session) -> None:
    """Store the identity of this database, when the first worker uses it or its contents were moved here."""
    identity = database_identity(session)
    if session.scalar(select(Installation.database_identity)) != identity:
        _update_installation(session, database_identity=identity)


def start_guard(session: Session, *, sent_before: datetime.datetime, now: datetime.datetime) -> int:
    """Hold what was due before an instant, also what a worker was sending; return how many emails are held."""
    _update_installation(session, sent_before=sent_before)
    confirm_database(session, now=now)
    leased = select(OutgoingEmail).where(status_is(EmailStatus.SENDING), OutgoingEmail.due_at < sent_before)
    for email in session.scalars(leased.with_for_update()):
        transition_email(email, EmailEvent.RELEASE)
    session.flush()
    while enqueue_due_reminders(
        session, now=sent_before, respect_sending_hours=False, limit=ENQUEUE_BATCH_SIZE, leaves_none=True
    ).enqueued:
        pass
    result: Any = session.execute(
        update(OutgoingEmail)
        .where(
            status_is(EmailStatus.SCHEDULED), OutgoingEmail.due_at < sent_before, OutgoingEmail.held_at.is_(None)
        )
        .values(held_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)


def stop_guard(session: Session) -> None:
    """Hold nothing any more that the gateway reports late."""
    _update_installation(session, sent_before=None)


def list_held(session: Session) -> list[HeldEmails]:
    """Return what is held, by kind."""
    rows = session.execute(
        select(OutgoingEmail.kind, func.count(), func.min(OutgoingEmail.due_at), func.max(OutgoingEmail.due_at))
        .where(*_conditions(HeldFilter()))
        .group_by(OutgoingEmail.kind)
        .order_by(OutgoingEmail.kind)
    )
    return [HeldEmails(*row) for row in rows]


def list_each_held(
    session: Session, filters: HeldFilter
) -> Sequence[Row[uuid.UUID, EmailKind, datetime.datetime]]:
    """Return the id, kind and due instant of each held email, the longest due first."""
    query = select(OutgoingEmail.id, OutgoingEmail.kind, OutgoingEmail.due_at).where(*_conditions(filters))
    return session.execute(query.order_by(OutgoingEmail.due_at, OutgoingEmail.id)).all()


def count_held(session: Session, filters: HeldFilter | None = None) -> int:
    """Return how many emails are held."""
    query = select(func.count()).select_from(OutgoingEmail).where(*_conditions(filters or HeldFilter()))
    return session.scalar(query) or 0


def release_held(session: Session, filters: HeldFilter, *, limit: int = BATCH_SIZE) -> int:
    """Let a batch of held emails be sent; return how many."""
    emails = _lock_held(session, filters, limit)
    for email in emails:
        email.held_at = None
    return len(emails)


def cancel_held(
    session: Session,
    filters: HeldFilter,
    *,
    now: datetime.datetime,
    month_seconds: int | None,
    limit: int = BATCH_SIZE,
) -> int:
    """Take a batch of held emails as sent; return how many.

    A reminder that repeats is scheduled for its next date. One that asked for a confirmation waits for it.
    """
    emails, finished = _lock_held(session, filters, limit), []
    for email in emails:
        transition_email(email, EmailEvent.SKIP, reason=SENT_BEFORE_RESTORE)
        email.held_at = None
        if email.reminder_id is not None and email.occurrence is not None:
            is_confirmation = email.kind == EmailKind.REMINDER_CONFIRMATION
            finished.append(
                FinishedEmail(
                    kind=email.kind,
                    reminder_id=email.reminder_id,
                    occurrence=email.occurrence,
                    event=EmailEvent.DELIVER if is_confirmation else EmailEvent.SKIP,
                    reason=SENT_BEFORE_RESTORE,
                )
            )
    session.flush()
    if finished:
        finish_reminders(session, finished, now=now, month_seconds=month_seconds)
    return len(emails)


def describe_held(session: Session) -> dict[str, str]:
    """Return what waits for staff after a restore, for /readyz; nothing if no email is held."""
    if session.scalar(select(Installation.sent_before)) is None:
        return {}
    count = count_held(session)
    if not count:
        return {}
    held = "1 email is" if count == 1 else f"{count} emails are"
    return {"held": f"{held} held after a restore; see mainstay restore-guard list"}


def _conditions(filters: HeldFilter) -> list[ColumnElement[bool]]:
    conditions = [status_is(EmailStatus.SCHEDULED), OutgoingEmail.held_at.is_not(None)]
    if filters.ids:
        conditions.append(OutgoingEmail.id.in_(filters.ids))
    if filters.kind is not None:
        conditions.append(OutgoingEmail.kind == filters.kind)
    if filters.due_from is not None:
        conditions.append(OutgoingEmail.due_at >= filters.due_from)
    if filters.due_before is not None:
        conditions.append(OutgoingEmail.due_at < filters.due_before)
    return conditions


def _lock_held(session: Session, filters: HeldFilter, limit: int) -> Sequence[OutgoingEmail]:
    query = select(OutgoingEmail.id).where(*_conditions(filters))
    ids = session.scalars(query.order_by(OutgoingEmail.due_at, OutgoingEmail.id).limit(limit)).all()
    lock_reminders(session, ids)
    held = select(OutgoingEmail).where(OutgoingEmail.id.in_(ids), *_conditions(filters))
    return session.scalars(
        held.order_by(OutgoingEmail.id).with_for_update().execution_options(populate_existing=True)
    ).all()


def _update_installation(session: Session, **values: Any) -> None:
    get_or_create_installation_id(session)
    session.execute(update(Installation).values(**values).execution_options(synchronize_session=False))
