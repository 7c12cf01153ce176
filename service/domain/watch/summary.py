"""How the desk stands, in numbers."""

import datetime
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.vocabulary import PaymentStatus, ReminderStatus
from service.db.heartbeat import Heartbeat
from service.db.payment import Payment
from service.db.reminder import Reminder, stands
from service.db.upsert import insert_into
from service.domain.pledges.conversions import count_conversions
from service.domain.watch.standing import count_pledges, count_reminders


def summarise(session: Session, *, now: datetime.datetime) -> dict[str, Any]:
    """Return how many pledges and reminders stand where, what was paid in each currency, and what is due.

    Conversions are the gifts that came from a reminder's link.
    """
    paid = session.execute(
        select(Payment.currency, func.count().label("payments"), func.sum(Payment.amount_minor).label("amount"))
        .where(Payment.status == PaymentStatus.SUCCEEDED)
        .group_by(Payment.currency)
        .order_by(Payment.currency)
    )
    return {
        "pledges": {status.value: count for status, count in count_pledges(session).items()},
        "reminders": {status.value: count for status, count in count_reminders(session).items()},
        "paid": [row._asdict() for row in paid],
        "reminders_due": due_now(session, now=now),
        "conversions": {"pledges": count_conversions(session)},
    }


def due_now(session: Session, *, now: datetime.datetime) -> int:
    """Return how many reminders wait to be sent at this instant."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Reminder)
            .where(stands(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
        )
        or 0
    )


def beat(session: Session, *, worker: uuid.UUID, now: datetime.datetime) -> None:
    """Write down that a worker is alive."""
    statement = insert_into(session, Heartbeat).values(process=worker.hex, at=now)
    session.execute(
        statement.on_conflict_do_update(index_elements=[Heartbeat.process], set_={"at": statement.excluded.at})
    )


def last_beat(session: Session) -> datetime.datetime | None:
    """Return when any worker was last alive; None if none ever was."""
    return session.scalar(select(func.max(Heartbeat.at)))
