"""What waits to be sent, told without looking at more than a little of the table, however long it is."""

import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.reminder import Reminder, status_is

BACKLOG_ALERT_AFTER = datetime.timedelta(hours=1)
# Counting so many takes some ten milliseconds. How many more wait then changes nothing that anybody would do.
MAX_COUNTED = 100_000


def oldest_due_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return for how long the oldest due reminder has waited; None if none is due."""
    due_at = session.scalar(select(func.min(Reminder.due_at)).where(status_is(ReminderStatus.SCHEDULED)))
    return now - due_at if due_at is not None and due_at <= now else None


def count_due(session: Session, *, now: datetime.datetime, most: int = MAX_COUNTED) -> int:
    """Return how many reminders wait to be sent at this instant, but count no further than `most`."""
    # The order makes the database walk its index of what is due; else it might look for so many rows anywhere.
    due = (
        select(Reminder.due_at)
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0
