"""The record of each mail: written before it leaves, completed by what the mail server said.

What it says of a reminder moves that reminder later, many at once (`service.domain.reminders.delivery`). Until
then
this record alone is the truth, and it survives a crash.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, Select, and_, bindparam, false, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, status_is
from service.domain.email.counters import increment_counters
from service.domain.email.delivery import NextStep, jittered_backoff, resolve_delivery
from service.domain.errors import LeaseLost
from service.domain.reminders.queue import ReminderClaim
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition, schedule_next_occurrence, transition_reminder

MAX_REPLY_LENGTH = 300
TABLE: Any = EmailDelivery.__table__
C = TypeVar("C")


@dataclass(frozen=True)
class DeliveryResult(Generic[C]):
    """What became of one mail: what the server said, or what kept us from hearing it; without an address."""

    claim: C
    outcome: DeliveryOutcome
    smtp_reply: str


def mark_sending(session: Session, claim: ReminderClaim, *, now: datetime.datetime) -> int:
    """Write down that this mail is about to leave; return which attempt it is, from 1.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since it was claimed, or its mail has left.
    """
    connection = session.connection()
    attempt = connection.scalar(_start_statement(connection.dialect.name), _start_params(claim, now))
    if attempt is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    return int(attempt)


def record_result(session: Session, reply: DeliveryResult[ReminderClaim], *, now: datetime.datetime) -> None:
    """Write down what became of a mail; writing it twice changes nothing.

    An attempt that is `not_attempted` is not counted: the server would have taken no mail from us, whoever it is
    for.

    Raises:
        LeaseLost: another worker has begun this mail since.
    """
    statement = _result_statement(uncounted=reply.outcome == DeliveryOutcome.NOT_ATTEMPTED)
    if session.connection().execute(statement, _result_params(reply, now)).rowcount != 1:
        raise LeaseLost("Another worker has begun this mail since.")


def record_and_mark_next(
    session: Session, reply: DeliveryResult[ReminderClaim], claim: ReminderClaim, *, now: datetime.datetime
) -> tuple[bool, bool]:
    """Record one mail's reply and begin the next; return whether each was still ours.

    It stands between any two mails, so that it is one statement where the database knows such.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql" and reply.outcome != DeliveryOutcome.NOT_ATTEMPTED:
        row = connection.execute(
            _combined_statement(), _result_params(reply, now) | _start_params(claim, now)
        ).one()
        return row.recorded == 1, row.attempts is not None
    return _holds_lease(record_result, session, reply, now=now), _holds_lease(
        mark_sending, session, claim, now=now
    )


def _holds_lease(write: Callable[..., object], *what: object, now: datetime.datetime) -> bool:
    try:
        write(*what, now=now)
    except LeaseLost:
        return False
    return True


def _start_params(claim: ReminderClaim, now: datetime.datetime) -> dict[str, Any]:
    keys = {"next_id": claim.reminder_id, "next_occurrence": claim.occurrence, "next_lease": claim.lease_number}
    return keys | {"now": now}


def _result_params(reply: DeliveryResult[ReminderClaim], now: datetime.datetime) -> dict[str, Any]:
    claim = reply.claim
    keys = {"reminder": claim.reminder_id, "which": claim.occurrence, "lease": claim.lease_number}
    return keys | {"said": reply.outcome, "words": reply.smtp_reply[:MAX_REPLY_LENGTH], "now": now}


NOW: Any = bindparam("now", type_=TABLE.c.started_at.type)


@cache
def _start_statement(database: str) -> Any:
    # The reminder is looked at by the statement that writes, so that a cancel from before it is always seen.
    leaving = select(
        Reminder.id,
        Reminder.occurrence,
        Reminder.lease_number,
        literal(1),
        literal(DeliveryOutcome.SENDING, TABLE.c.outcome.type),
        NOW,
    ).where(
        Reminder.id == bindparam("next_id"),
        Reminder.occurrence == bindparam("next_occurrence"),
        Reminder.lease_number == bindparam("next_lease"),
        status_is(ReminderStatus.SENDING),
    )
    names = ("reminder_id", "occurrence", "lease_number", "attempts", "outcome", "started_at")
    into: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[database]
    statement = into(TABLE).from_select(names, leaving)
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
        # A mail that was accepted is not sent again, even if its worker came back too late to say so.
        where=TABLE.c.outcome != DeliveryOutcome.ACCEPTED,
    ).returning(TABLE.c.attempts)


@cache
def _result_statement(uncounted: bool) -> Any:
    values: dict[str, Any] = {
        "outcome": bindparam("said", type_=TABLE.c.outcome.type),
        "smtp_reply": bindparam("words"),
        "finished_at": NOW,
    }
    if uncounted:
        values["attempts"] = TABLE.c.attempts - 1
    # Saying the same again is no contradiction; but an attempt must not be taken back twice.
    said_before = false() if uncounted else TABLE.c.outcome == bindparam("said", type_=TABLE.c.outcome.type)
    return (
        update(TABLE)
        .where(
            TABLE.c.reminder_id == bindparam("reminder"),
            TABLE.c.occurrence == bindparam("which"),
            TABLE.c.lease_number == bindparam("lease"),
            or_(TABLE.c.outcome == DeliveryOutcome.SENDING, said_before),
        )
        .values(values)
    )


@cache
def _combined_statement() -> Any:
    recorded = _result_statement(uncounted=False).returning(TABLE.c.attempts).cte("recorded")
    begun = _start_statement("postgresql").cte("begun")
    return select(
        select(func.count()).select_from(recorded).scalar_subquery().label("recorded"),
        select(begun.c.attempts).scalar_subquery().label("attempts"),
    )


BATCH_SIZE = 100


@dataclass(frozen=True)
class DeliveryPolicy:
    """What the deployment decides: whether staff look at a doubtful mail first, and how long a month is."""

    hold_uncertain: bool = False
    month_seconds: int | None = None


def complete_deliveries(
    session: Session, claims: Sequence[ReminderClaim], *, rules: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    """Settle a worker's own claims; return how many reminders came to which end.

    One that was cancelled, renewed or taken over since is not touched.
    """
    leases = {claim.reminder_id: claim.lease_number for claim in claims}
    rows = session.execute(_deliveries_query().where(Reminder.id.in_(leases)).with_for_update(of=Reminder)).all()
    mine = [row for row in rows if row.lease_number == leases[row.id]]
    counts = _complete(session, mine, rules, now)
    if len(claims) > len(mine):
        counts["lease_lost"] = len(claims) - len(mine)
    return counts


def recover_expired_leases(
    session: Session,
    *,
    rules: DeliveryPolicy,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Settle reminders whose lease has ended, however long ago, or that `worker` still holds from a broken run."""
    lost = Reminder.leased_until <= now
    query = (
        _deliveries_query().where(lost if worker is None else or_(lost, Reminder.leased_by == worker)).limit(limit)
    )
    rows = session.execute(query.with_for_update(of=Reminder, skip_locked=True)).all()
    return _complete(session, rows, rules, now)


def fail_rendering(session: Session, claim: ReminderClaim, *, reason: str, now: datetime.datetime) -> None:
    """Record that this letter could not be made into a mail; staff can read why and send it back.

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


def _deliveries_query() -> Select[*tuple[Any, ...]]:
    """Return the query for reminders in some worker's hands, each with the record of its mail if it was begun."""
    # A record from an earlier lease says nothing of this one, unless the mail was accepted after all.
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
    session: Session, rows: Sequence[Row[*tuple[Any, ...]]], rules: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    simple = []
    for row in rows:
        accepted = row.outcome == DeliveryOutcome.ACCEPTED
        if accepted and row.every_months is None and not row.awaits_confirmation:
            simple.append(row)
        else:
            _complete_one(session, row, rules, now, counts)
    if simple:
        _mark_sent(session, simple, now)
        counts["sent"] += len(simple)
    kept = {name: counts[name] for name in ("sent", "retried", "failed", "in_doubt") if counts[name]}
    if kept:
        increment_counters(session, **kept)
    return counts


def _mark_sent(session: Session, rows: Sequence[Row[*tuple[Any, ...]]], now: datetime.datetime) -> None:
    """Move many reminders to `sent` at once: nothing else is to be said of nearly all of them."""
    after = bulk_transition(
        session,
        ReminderEvent.DELIVER,
        [(row.id, row.occurrence) for row in rows],
        before=ReminderStatus.SENDING,
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
            status=after,
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
    rules: DeliveryPolicy,
    now: datetime.datetime,
    counts: Counter[str],
) -> None:
    reminder = session.get_one(Reminder, row.id)
    resolution = resolve_delivery(
        row.outcome, attempts=row.attempts, reply=row.smtp_reply, holds_doubtful=rules.hold_uncertain
    )
    if row.outcome is not None:
        reminder.attempts = row.attempts
    match resolution.next_step:
        case NextStep.DELIVERED if reminder.awaits_confirmation:
            transition_reminder(session, reminder, ReminderEvent.REQUEST_CONFIRMATION, now=now)
        case NextStep.DELIVERED:
            transition_reminder(session, reminder, ReminderEvent.DELIVER, now=now)
            reminder.sent_at = row.finished_at
            schedule_next_occurrence(session, reminder, now=now, month_seconds=rules.month_seconds)
        case NextStep.REQUEUE:
            transition_reminder(session, reminder, ReminderEvent.RELEASE, now=now, reason=resolution.reason)
        case NextStep.RETRY_LATER:
            transition_reminder(session, reminder, ReminderEvent.RETRY, now=now, reason=resolution.reason)
            reminder.due_at = now + jittered_backoff(row.attempts)
        case NextStep.FAILED:
            transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=resolution.reason)
    counts.update(resolution.counters)
