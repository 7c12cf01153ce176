"""How the desk stands, in numbers."""

import datetime
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.jobs import Heartbeat
from service.db.models.reminder import Reminder, status_is
from service.db.upsert import dialect_insert
from service.domain.ledger.totals import balance_totals, totals_by_currency
from service.domain.monitoring.status_counts import count_pledges, count_reminders
from service.domain.pledges.attribution import count_conversions


def build_summary(session: Session, *, now: datetime.datetime) -> dict[str, Any]:
    """Return how many pledges and reminders stand where, what was paid in each currency, and what is due.

    Of `paid`, what went back or is with a bank is taken off; `ledger` says how it comes about, and `balances` what
    the gateway kept.

    Conversions are the gifts that came from a reminder's link.
    """
    totals = totals_by_currency(session)
    return {
        "pledges": {status.value: count for status, count in count_pledges(session).items()},
        "reminders": {status.value: count for status, count in count_reminders(session).items()},
        "paid": [
            {"currency": total.currency, "payments": total.payments, "amount": total.net} for total in totals
        ],
        "ledger": totals,
        "balances": balance_totals(session),
        "reminders_due": count_due_reminders(session, now=now),
        "conversions": {"pledges": count_conversions(session)},
    }


def count_due_reminders(session: Session, *, now: datetime.datetime) -> int:
    """Return how many reminders wait to be sent at this instant."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Reminder)
            .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
        )
        or 0
    )


def record_heartbeat(session: Session, *, worker: uuid.UUID, now: datetime.datetime) -> None:
    """Write down that a worker is alive."""
    statement = dialect_insert(session, Heartbeat).values(worker_id=worker.hex, at=now)
    session.execute(
        statement.on_conflict_do_update(index_elements=[Heartbeat.worker_id], set_={"at": statement.excluded.at})
    )


def last_heartbeat(session: Session) -> datetime.datetime | None:
    """Return when any worker was last alive; None if none ever was."""
    return session.scalar(select(func.max(Heartbeat.at)))
