"""Delivery of reminders: the record of each email, and what its result means for the reminder.

The record is written before an email is sent and completed with the mail server's reply. The reminder's own status
changes later, for a whole batch at once. Until then the record alone is authoritative, so it survives a crash.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, false, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, status_is
from service.domain.email.counters import increment_counters
from service.domain.email.delivery import (
    MAX_REPLY_LENGTH,
    DeliveryResult,
    NextStep,
    jittered_backoff,
    resolve_delivery,
)
from service.domain.errors import LeaseLost
from service.domain.reminders.queue import ReminderClaim
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition, schedule_next_occurrence, transition_reminder

BATCH_SIZE = 100
COUNTED = ("sent", "retried", "failed", "in_doubt")
TABLE: Any = EmailDelivery.__table__


@dataclass(frozen=True)
class DeliveryPolicy:
    """Settings of the deployment: whether staff decide on uncertain deliveries, and how long a month is."""

    hold_uncertain: bool = False
    month_seconds: int | None = None


def mark_sending(session: Session, claim: ReminderClaim, *, now: datetime.datetime) -> int:
    """Record that the email is about to be sent; return the number of the attempt, from 1.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since its claim, or its email was accepted.
    """
    connection = session.connection()
    attempt = connection.scalar(_mark_statement(connection.dialect.name), _mark_params(claim, now))
    if attempt is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    return int(attempt)


def record_result(session: Session, result: DeliveryResult[ReminderClaim], *, now: datetime.datetime) -> None:
    """Record the result of an attempt; idempotent.

    An attempt with the outcome NOT_ATTEMPTED does not count, because the server accepts no email from us at all.

    Raises:
        LeaseLost: another worker has marked this email as sending since.
    """
    statement = _result_statement(uncounted=result.outcome == DeliveryOutcome.NOT_ATTEMPTED)
    if session.connection().execute(statement, _result_params(result, now)).rowcount != 1:
        raise LeaseLost("Another worker has begun this mail since.")


def record_and_mark_next(
    session: Session, result: DeliveryResult[ReminderClaim], claim: ReminderClaim, *, now: datetime.datetime
) -> tuple[bool, bool]:
    """Record one email's result and mark the next as sending; return whether each lease was still held.

    This runs between any two emails, so on PostgreSQL it is one statement.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql" and result.outcome != DeliveryOutcome.NOT_ATTEMPTED:
        row = connection.execute(
            _combined_statement(), _result_params(result, now) | _mark_params(claim, now)
        ).one()
        return row.recorded == 1, row.attempts is not None
    recorded = _holds_lease(record_result, session, result, now=now)
    return recorded, _holds_lease(mark_sending, session, claim, now=now)


def complete_deliveries(
    session: Session, claims: Sequence[ReminderClaim], *, policy: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    """Complete a worker's own claims by their delivery records; return counts by outcome.

    Reminders that were cancelled, renewed or taken over since are not changed; they count as `lease_lost`.
    """
    leases = {claim.reminder_id: claim.lease_number for claim in claims}
    rows = session.execute(_deliveries_query().where(Reminder.id.in_(leases)).with_for_update(of=Reminder)).all()
    owned = [row for row in rows if row.lease_number == leases[row.id]]
    counts = _complete(session, owned, policy, now)
    if len(claims) > len(owned):
        counts["lease_lost"] = len(claims) - len(owned)
    return counts


def recover_expired_leases(
    session: Session,
    *,
    policy: DeliveryPolicy,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Complete reminders whose lease has expired, or only those that `worker` still leases after a failed run.

    Returns counts by outcome.
    """
    lost = Reminder.leased_until <= now if worker is None else Reminder.leased_by == worker
    query = _deliveries_query().where(lost).limit(limit)
    rows = session.execute(query.with_for_update(of=Reminder, skip_locked=True)).all()
    return _complete(session, rows, policy, now)


def fail_rendering(session: Session, claim: ReminderClaim, *, reason: str, now: datetime.datetime) -> None:
    """Fail a reminder whose email could not be rendered; staff can read the reason and retry it.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since it was claimed.
    """
    reminder = session.scalar(
        select(Reminder)
        .where(
            Reminder.id == claim.reminder_id,
            Reminder.lease_number == claim.lease_number,
            status_is(ReminderStatus.SENDING),
        )
        .with_for_update()
    )
    if reminder is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=reason)
    increment_counters(session, failed=1)


def _holds_lease(write: Callable[..., object], *args: object, now: datetime.datetime) -> bool:
    try:
        write(*args, now=now)
    except LeaseLost:
        return False
    return True


# Parameters are prefixed, because SQLAlchemy reserves the names of columns in an INSERT or UPDATE, and because
# `_combined_statement` takes the parameters of both statements.
_NOW: Any = bindparam("now", type_=TABLE.c.started_at.type)
_RESULT_OUTCOME: Any = bindparam("result_outcome", type_=TABLE.c.outcome.type)


def _mark_params(claim: ReminderClaim, now: datetime.datetime) -> dict[str, Any]:
    return {
        "next_reminder_id": claim.reminder_id,
        "next_occurrence": claim.occurrence,
        "next_lease_number": claim.lease_number,
        "now": now,
    }


def _result_params(result: DeliveryResult[ReminderClaim], now: datetime.datetime) -> dict[str, Any]:
    claim = result.claim
    return {
        "result_reminder_id": claim.reminder_id,
        "result_occurrence": claim.occurrence,
        "result_lease_number": claim.lease_number,
        "result_outcome": result.outcome,
        "result_reply": result.smtp_reply[:MAX_REPLY_LENGTH],
        "now": now,
    }


@cache
def _mark_statement(database: str) -> Any:
    # The statement that writes also reads the reminder, so that it always sees an earlier cancel.
    claimed = select(
        Reminder.id,
        Reminder.occurrence,
        Reminder.lease_number,
        literal(1),
        literal(DeliveryOutcome.SENDING, TABLE.c.outcome.type),
        _NOW,
    ).where(
        Reminder.id == bindparam("next_reminder_id"),
        Reminder.occurrence == bindparam("next_occurrence"),
        Reminder.lease_number == bindparam("next_lease_number"),
        status_is(ReminderStatus.SENDING),
    )
    columns = ("reminder_id", "occurrence", "lease_number", "attempts", "outcome", "started_at")
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[database]
    statement = insert(TABLE).from_select(columns, claimed)
    return statement.on_conflict_do_update(
        index_elements=[TABLE.c.reminder_id, TABLE.c.occurrence],
        set_={
            "lease_number": statement.excluded.lease_number,
            "attempts": TABLE.c.attempts + 1,
            "outcome": statement.excluded.outcome,
            "started_at": statement.excluded.started_at,
            "smtp_reply": None,
            "finished_at": None,
        },
        # An accepted email is not sent again, even if its worker recorded that after its lease expired.
        where=TABLE.c.outcome != DeliveryOutcome.ACCEPTED,
    ).returning(TABLE.c.attempts)


@cache
def _result_statement(uncounted: bool) -> Any:
    values: dict[str, Any] = {
        "outcome": _RESULT_OUTCOME,
        "smtp_reply": bindparam("result_reply"),
        "finished_at": _NOW,
    }
    if uncounted:
        values["attempts"] = TABLE.c.attempts - 1
    # Recording the same result again is harmless, except that an attempt must not be uncounted twice.
    same_result = false() if uncounted else TABLE.c.outcome == _RESULT_OUTCOME
    return (
        update(TABLE)
        .where(
            TABLE.c.reminder_id == bindparam("result_reminder_id"),
            TABLE.c.occurrence == bindparam("result_occurrence"),
            TABLE.c.lease_number == bindparam("result_lease_number"),
            or_(TABLE.c.outcome == DeliveryOutcome.SENDING, same_result),
        )
        .values(values)
    )


@cache
def _combined_statement() -> Any:
    recorded = _result_statement(uncounted=False).returning(TABLE.c.attempts).cte("recorded")
    marked = _mark_statement("postgresql").cte("marked")
    return select(
        select(func.count()).select_from(recorded).scalar_subquery().label("recorded"),
        select(marked.c.attempts).scalar_subquery().label("attempts"),
    )


def _deliveries_query() -> Select[*tuple[Any, ...]]:
    """Return the query for leased reminders, each with its delivery record if it has one."""
    # A record of an earlier lease does not count, unless its email was accepted after all.
    record = and_(
        EmailDelivery.reminder_id == Reminder.id,
        EmailDelivery.occurrence == Reminder.occurrence,
        or_(
            EmailDelivery.lease_number == Reminder.lease_number, EmailDelivery.outcome == DeliveryOutcome.ACCEPTED
        ),
    )
    return (
        select(
            Reminder.id,
            Reminder.occurrence,
            Reminder.lease_number,
            Reminder.every_months,
            Reminder.awaits_confirmation,
            EmailDelivery.outcome,
            EmailDelivery.attempts,
            EmailDelivery.smtp_reply,
            EmailDelivery.finished_at,
        )
        .outerjoin(EmailDelivery, record)
        .where(status_is(ReminderStatus.SENDING))
    )


def _complete(
    session: Session, rows: Sequence[Row[*tuple[Any, ...]]], policy: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    accepted_once = []
    for row in rows:
        is_accepted = row.outcome == DeliveryOutcome.ACCEPTED
        if is_accepted and row.every_months is None and not row.awaits_confirmation:
            accepted_once.append(row)
        else:
            _complete_one(session, row, policy, now, counts)
    if accepted_once:
        _bulk_mark_sent(session, accepted_once, now)
        counts["sent"] += len(accepted_once)
    counted = {name: counts[name] for name in COUNTED if counts[name]}
    if counted:
        increment_counters(session, **counted)
    return counts


def _bulk_mark_sent(session: Session, rows: Sequence[Row[*tuple[Any, ...]]], now: datetime.datetime) -> None:
    """Change many reminders to `sent` with a few statements, because nearly all end this way."""
    status = bulk_transition(
        session,
        ReminderEvent.DELIVER,
        [(row.id, row.occurrence) for row in rows],
        from_status=ReminderStatus.SENDING,
        now=now,
    )
    session.execute(
        update(Reminder)
        .where(
            Reminder.id.in_([row.id for row in rows]),
            EmailDelivery.reminder_id == Reminder.id,
            EmailDelivery.occurrence == Reminder.occurrence,
        )
        .values(
            status=status,
            attempts=EmailDelivery.attempts,
            sent_at=EmailDelivery.finished_at,
            leased_until=None,
            leased_by=None,
        )
        .execution_options(synchronize_session=False)
    )


def _complete_one(
    session: Session,
    row: Row[*tuple[Any, ...]],
    policy: DeliveryPolicy,
    now: datetime.datetime,
    counts: Counter[str],
) -> None:
    reminder = session.get_one(Reminder, row.id)
    resolution = resolve_delivery(
        row.outcome, attempts=row.attempts, reply=row.smtp_reply, hold_uncertain=policy.hold_uncertain
    )
    if row.outcome is not None:
        reminder.attempts = row.attempts
    match resolution.next_step:
        case NextStep.DELIVERED if reminder.awaits_confirmation:
            transition_reminder(session, reminder, ReminderEvent.REQUEST_CONFIRMATION, now=now)
        case NextStep.DELIVERED:
            transition_reminder(session, reminder, ReminderEvent.DELIVER, now=now)
            reminder.sent_at = row.finished_at
            schedule_next_occurrence(session, reminder, now=now, month_seconds=policy.month_seconds)
        case NextStep.REQUEUE:
            transition_reminder(session, reminder, ReminderEvent.RELEASE, now=now, reason=resolution.reason)
        case NextStep.RETRY_LATER:
            transition_reminder(session, reminder, ReminderEvent.RETRY, now=now, reason=resolution.reason)
            reminder.due_at = now + jittered_backoff(row.attempts)
        case NextStep.FAILED:
            transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=resolution.reason)
    counts.update(resolution.counters)
