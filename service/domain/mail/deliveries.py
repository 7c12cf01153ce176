"""The record of each mail: written before it leaves, completed by what the mail server said.

What it says of a reminder moves that reminder later, many at once (`service.domain.mail.settling`). Until then
this record alone is the truth, and it survives a crash.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import bindparam, false, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, status_is
from service.domain.errors import LeaseLost
from service.domain.mail.claims import ReminderClaim

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

    An attempt that is `withdrawn` is not counted: the server would have taken no mail from us, whoever it is for.

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


NOW: Any = bindparam("now", type_=TABLE.c.began_at.type)


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
    names = ("reminder_id", "occurrence", "lease_number", "attempts", "outcome", "began_at")
    into: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[database]
    statement = into(TABLE).from_select(names, leaving)
    return statement.on_conflict_do_update(
        index_elements=[TABLE.c.reminder_id, TABLE.c.occurrence],
        set_={
            "lease_number": statement.excluded.lease_number,
            "attempts": TABLE.c.attempts + 1,
            "outcome": statement.excluded.outcome,
            "began_at": statement.excluded.began_at,
            "reply": None,
            "ended_at": None,
        },
        # A mail that was accepted is not sent again, even if its worker came back too late to say so.
        where=TABLE.c.outcome != DeliveryOutcome.ACCEPTED,
    ).returning(TABLE.c.attempts)


@cache
def _result_statement(uncounted: bool) -> Any:
    values: dict[str, Any] = {
        "outcome": bindparam("said", type_=TABLE.c.outcome.type),
        "reply": bindparam("words"),
        "ended_at": NOW,
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
