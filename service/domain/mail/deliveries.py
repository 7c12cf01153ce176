"""The record of each mail: written before it leaves, completed by what the mail server said.

Both are one statement, because they stand between any two mails. What they say of a reminder moves it later, many
at once (`service.domain.mail.settling`); until then this record alone is the truth, and it survives a crash.
"""

import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, false, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, ReminderStatus
from service.db.delivery import Delivery
from service.db.reminder import Reminder, stands
from service.domain.errors import LeaseLost
from service.domain.mail.claims import Claim

REPLY_CHARACTERS = 300
TABLE: Any = Delivery.__table__


def begin_delivery(session: Session, claim: Claim, *, now: datetime.datetime) -> int:
    """Write down that this mail is about to leave; return which attempt it is, from 1.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since it was claimed, or its mail has left.
    """
    connection = session.connection()
    attempt = connection.scalar(_begin(connection.dialect.name), _keys(claim) | {"began": now})
    if attempt is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    return int(attempt)


def record_reply(
    session: Session, claim: Claim, outcome: DeliveryOutcome, *, reply: str, now: datetime.datetime
) -> None:
    """Write down what the mail server said, or what kept us from hearing it; writing it twice changes nothing.

    An attempt that is `withdrawn` is not counted: the server would have taken no mail from us, whoever it is for.

    Raises:
        LeaseLost: another worker has begun this mail since.
    """
    written = session.connection().execute(
        _record(outcome == DeliveryOutcome.WITHDRAWN),
        _keys(claim) | {"said": outcome, "words": reply[:REPLY_CHARACTERS], "ended": now},
    )
    if written.rowcount != 1:
        raise LeaseLost("Another worker has begun this mail since.")


def _keys(claim: Claim) -> dict[str, Any]:
    return {"reminder": claim.reminder_id, "which": claim.occurrence, "lease": claim.lease_number}


@cache
def _begin(database: str) -> Any:
    # The reminder is looked at by the statement that writes, so that a cancel from before it is always seen.
    leaving = select(
        Reminder.id,
        Reminder.occurrence,
        Reminder.lease_number,
        literal(1),
        literal(DeliveryOutcome.LEAVING, TABLE.c.outcome.type),
        bindparam("began", type_=TABLE.c.began_at.type),
    ).where(
        Reminder.id == bindparam("reminder"),
        Reminder.occurrence == bindparam("which"),
        Reminder.lease_number == bindparam("lease"),
        stands(ReminderStatus.SENDING),
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
def _record(uncounted: bool) -> Any:
    values: dict[str, Any] = {
        "outcome": bindparam("said", type_=TABLE.c.outcome.type),
        "reply": bindparam("words"),
        "ended_at": bindparam("ended", type_=TABLE.c.ended_at.type),
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
            or_(TABLE.c.outcome == DeliveryOutcome.LEAVING, said_before),
        )
        .values(values)
    )
