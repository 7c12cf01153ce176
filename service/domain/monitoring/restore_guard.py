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

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import NotificationStatus, ReminderStatus
from service.db.identity import BACKUP_PREFIX, database_identity, is_same_database
from service.db.models import email as notification_model
from service.db.models import reminder as reminder_model
from service.db.models.email import Notification
from service.db.models.jobs import JobRun
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Installation, Pledge
from service.db.models.reminder import Reminder
from service.domain.email.status import NotificationEvent, transition_notification
from service.domain.monitoring.summary import last_heartbeat
from service.domain.notifications.queue import count_due_notifications
from service.domain.pledges.installation import get_or_create_installation_id
from service.domain.reminders.queue import count_due
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition, schedule_next_occurrence, transition_reminder

# A worker records its heartbeat every few seconds, so after this time nobody knows what happened meanwhile.
SILENCE = datetime.timedelta(hours=1)
BATCH_SIZE = 500
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

    kind: str
    count: int
    first_due_at: datetime.datetime
    last_due_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class HeldFilter:
    """A filter by id, due date and kind: `reminder` or a kind of notification. None matches everything."""

    ids: tuple[uuid.UUID, ...] = ()
    kind: str | None = None
    due_from: datetime.datetime | None = None
    due_before: datetime.datetime | None = None


REMINDER_KIND = "reminder"


def find_restore(session: Session, *, now: datetime.datetime) -> Restore | None:
    """Return the signs that this database was restored since a worker last used it; None if there are none.

    A database that no worker has used yet, and one in which the web process has worked since, was not restored.
    """
    heartbeat_at = last_heartbeat(session)
    checked_at = session.scalar(select(Installation.checked_at))
    last_trace_at = max(filter(None, (heartbeat_at, checked_at, newest_row_at(session))), default=None)
    due = count_due(session, now=now) + count_due_notifications(session, now=now)
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
        select(Notification.created_at).order_by(Notification.id.desc()).limit(1),
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
    _release_leases(session, sent_before, now)
    held = 0
    for model, is_scheduled in _QUEUES:
        result: Any = session.execute(
            update(model)
            .where(is_scheduled, model.due_at < sent_before, model.held_at.is_(None))
            .values(held_at=now)
            .execution_options(synchronize_session=False)
        )
        held += result.rowcount
    return held


def stop_guard(session: Session) -> None:
    """Hold nothing any more that the gateway reports late."""
    _update_installation(session, sent_before=None)


def list_held(session: Session) -> list[HeldEmails]:
    """Return what is held, by kind."""
    reminders = session.execute(_summary_of(Reminder)).one()
    held = [HeldEmails(REMINDER_KIND, *reminders)] if reminders[0] else []
    by_kind = _summary_of(Notification).add_columns(Notification.kind).group_by(Notification.kind)
    for count, first_due_at, last_due_at, kind in session.execute(by_kind.order_by(Notification.kind)):
        held.append(HeldEmails(kind.value, count, first_due_at, last_due_at))
    return held


def list_each_held(session: Session, filters: HeldFilter) -> list[tuple[uuid.UUID, str, datetime.datetime]]:
    """Return the id, kind and due instant of each held email, the longest due first."""
    rows: list[tuple[uuid.UUID, str, datetime.datetime]] = []
    for model, _ in _matching_queues(filters):
        query = select(model).where(*_conditions(model, filters)).order_by(model.due_at, model.id)
        rows += [(row.id, _kind(row), row.due_at) for row in session.scalars(query)]
    return sorted(rows, key=lambda row: row[2])


def count_held(session: Session, filters: HeldFilter | None = None) -> int:
    """Return how many emails are held."""
    filters = filters or HeldFilter()
    return sum(
        session.scalar(select(func.count()).select_from(model).where(*_conditions(model, filters))) or 0
        for model, _ in _matching_queues(filters)
    )


def release_held(session: Session, filters: HeldFilter, *, limit: int = BATCH_SIZE) -> int:
    """Let a batch of held emails be sent; return how many."""
    return sum(len(_release(rows)) for rows in _lock_held(session, filters, limit))


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
    cancelled = 0
    for rows in _lock_held(session, filters, limit):
        for row in rows:
            if isinstance(row, Notification):
                transition_notification(row, NotificationEvent.CLAIM)
                transition_notification(row, NotificationEvent.SKIP, reason=SENT_BEFORE_RESTORE)
                row.held_at = None
            elif row.awaits_confirmation:
                transition_reminder(session, row, ReminderEvent.CLAIM, now=now)
                transition_reminder(
                    session, row, ReminderEvent.REQUEST_CONFIRMATION, now=now, reason=SENT_BEFORE_RESTORE
                )
            else:
                transition_reminder(session, row, ReminderEvent.SKIP, now=now, reason=SENT_BEFORE_RESTORE)
                schedule_next_occurrence(session, row, now=now, month_seconds=month_seconds)
        cancelled += len(rows)
    return cancelled


def describe_held(session: Session, *, now: datetime.datetime) -> dict[str, str]:
    """Return what waits for staff after a restore, for /readyz; nothing if no email is held."""
    if session.scalar(select(Installation.sent_before)) is None:
        return {}
    # By the due date there is an index. What is held was due.
    count = count_held(session, HeldFilter(due_before=now))
    if not count:
        return {}
    held = "1 email is" if count == 1 else f"{count} emails are"
    return {"held": f"{held} held after a restore; see mainstay restore-guard list"}


_QUEUES: tuple[tuple[Any, ColumnElement[bool]], ...] = (
    (Reminder, reminder_model.status_is(ReminderStatus.SCHEDULED)),
    (Notification, notification_model.status_is(NotificationStatus.SCHEDULED)),
)


def _matching_queues(filters: HeldFilter) -> Sequence[tuple[Any, ColumnElement[bool]]]:
    if filters.kind is None:
        return _QUEUES
    return _QUEUES[:1] if filters.kind == REMINDER_KIND else _QUEUES[1:]


def _conditions(model: Any, filters: HeldFilter) -> list[ColumnElement[bool]]:
    is_scheduled = next(condition for queue, condition in _QUEUES if queue is model)
    conditions = [is_scheduled, model.held_at.is_not(None)]
    if filters.ids:
        conditions.append(model.id.in_(filters.ids))
    if filters.kind is not None and model is Notification:
        conditions.append(Notification.kind == filters.kind)
    if filters.due_from is not None:
        conditions.append(model.due_at >= filters.due_from)
    if filters.due_before is not None:
        conditions.append(model.due_at < filters.due_before)
    return conditions


def _summary_of(model: Any) -> Select[*tuple[Any, ...]]:
    columns = (func.count(), func.min(model.due_at), func.max(model.due_at))
    return select(*columns).where(*_conditions(model, HeldFilter()))


def _lock_held(session: Session, filters: HeldFilter, limit: int) -> list[Sequence[Any]]:
    return [
        session.scalars(
            select(model)
            .where(*_conditions(model, filters))
            .order_by(model.due_at, model.id)
            .limit(limit)
            .with_for_update(of=model)
        ).all()
        for model, _ in _matching_queues(filters)
    ]


def _release(rows: Sequence[Any]) -> Sequence[Any]:
    for row in rows:
        row.held_at = None
    return rows


def _kind(row: Reminder | Notification) -> str:
    return row.kind.value if isinstance(row, Notification) else REMINDER_KIND


def _release_leases(session: Session, sent_before: datetime.datetime, now: datetime.datetime) -> None:
    """Return to the queue what a worker was sending when the backup was made."""
    sending = reminder_model.status_is(ReminderStatus.SENDING), Reminder.due_at < sent_before
    reminders = session.execute(select(Reminder.id, Reminder.occurrence).where(*sending)).all()
    status = bulk_transition(
        session,
        ReminderEvent.RELEASE,
        [(row.id, row.occurrence) for row in reminders],
        from_status=ReminderStatus.SENDING,
        now=now,
    )
    session.execute(
        update(Reminder)
        .where(*sending)
        .values(status=status, leased_until=None, leased_by=None)
        .execution_options(synchronize_session=False)
    )
    leased = select(Notification).where(
        notification_model.status_is(NotificationStatus.SENDING), Notification.due_at < sent_before
    )
    for notification in session.scalars(leased):
        transition_notification(notification, NotificationEvent.RELEASE)
    # The status decides below what is held.
    session.flush()


def _update_installation(session: Session, **values: Any) -> None:
    get_or_create_installation_id(session)
    session.execute(update(Installation).values(**values).execution_options(synchronize_session=False))
