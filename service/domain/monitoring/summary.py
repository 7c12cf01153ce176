"""The summary for staff, and worker heartbeats."""

import datetime
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.clock import TOLERANCE as CLOCK_TOLERANCE
from service.db.models.jobs import Heartbeat
from service.db.upsert import dialect_insert
from service.domain.ledger.totals import balance_totals, totals_by_currency
from service.domain.monitoring.job_runs import HEARTBEAT_TIMEOUT
from service.domain.monitoring.status_counts import count_pledges, count_reminders
from service.domain.pledges.attribution import count_conversions
from service.domain.pledges.queries import count_supporters_giving_twice
from service.domain.reminders.queue import count_due_reminders


def build_summary(session: Session, *, now: datetime.datetime) -> dict[str, Any]:
    """Return counts by status, totals by currency in minor units, and the number of due reminders.

    `paid` is net of refunds and disputes, `ledger` lists its parts, and `balances` lists the gateway's fees.
    `supporters_giving_twice` have more than one active recurring pledge in one campaign.
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


def record_heartbeat(
    session: Session,
    *,
    worker: uuid.UUID,
    now: datetime.datetime,
    clock_skew: datetime.timedelta = datetime.timedelta(0),
) -> None:
    """Record that a worker is alive, and by how much its machine's clock is ahead of the database's."""
    seconds = round(clock_skew.total_seconds())
    statement = dialect_insert(session, Heartbeat).values(worker_id=worker.hex, at=now, clock_skew_seconds=seconds)
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Heartbeat.worker_id],
            set_={"at": new.at, "clock_skew_seconds": new.clock_skew_seconds},
        )
    )


def describe_wrong_clocks(session: Session, *, now: datetime.datetime) -> dict[str, str]:
    """Return what to say about live workers whose clock is wrong, by topic; empty if none is."""
    skews = session.scalars(
        select(Heartbeat.clock_skew_seconds).where(
            Heartbeat.at > now - HEARTBEAT_TIMEOUT,
            func.abs(Heartbeat.clock_skew_seconds) > CLOCK_TOLERANCE.total_seconds(),
        )
    ).all()
    if not skews:
        return {}
    worst = max(skews, key=abs)
    whose = "the clock of a worker is" if len(skews) == 1 else f"the clocks of {len(skews)} workers are"
    side, most = ("ahead of" if worst > 0 else "behind"), "" if len(skews) == 1 else "up to "
    return {
        "clock": (
            f"{whose} {most}{abs(worst)} seconds {side} the database's; emails go by the database's, but set the "
            "time of that machine, for example with NTP"
        )
    }


def last_heartbeat(session: Session) -> datetime.datetime | None:
    """Return the time of the latest heartbeat of any worker, or None."""
    return session.scalar(select(func.max(Heartbeat.at)))
