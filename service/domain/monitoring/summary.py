"""The summary for staff, and worker heartbeats."""

import datetime
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.models.jobs import Heartbeat
from service.db.upsert import dialect_insert
from service.domain.ledger.totals import balance_totals, totals_by_currency
from service.domain.monitoring.status_counts import count_pledges, count_reminders
from service.domain.pledges.attribution import count_conversions
from service.domain.pledges.queries import count_supporters_giving_twice
from service.domain.reminders.queue import count_due_reminders


def build_summary(session: Session, *, now: datetime.datetime) -> dict[str, Any]:
    """Return counts by status, totals by currency in minor units, and the number of due reminders.

    `paid` is net of refunds and disputes, `ledger` lists its parts, and `balances` lists the gateway's fees.
    `supporters_giving_twice` have more than one running recurring pledge in one campaign.
    `conversions` counts the pledges that were made from a reminder's link.
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
        "supporters_giving_twice": count_supporters_giving_twice(session),
        "conversions": {"pledges": count_conversions(session)},
    }


def record_heartbeat(session: Session, *, worker: uuid.UUID, now: datetime.datetime) -> None:
    """Record that a worker is alive."""
    statement = dialect_insert(session, Heartbeat).values(worker_id=worker.hex, at=now)
    session.execute(
        statement.on_conflict_do_update(index_elements=[Heartbeat.worker_id], set_={"at": statement.excluded.at})
    )


def last_heartbeat(session: Session) -> datetime.datetime | None:
    """Return the time of the latest heartbeat of any worker, or None."""
    return session.scalar(select(func.max(Heartbeat.at)))
