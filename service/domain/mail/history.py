"""Moving many reminders at once, as one table says, with the history of each."""

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy import insert
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.base import new_id
from service.db.models.reminder import ReminderStatusChange
from service.domain.reminders.status import ReminderEvent, next_status


def bulk_transition(
    session: Session,
    event: ReminderEvent,
    moved: Iterable[tuple[uuid.UUID, int]],
    *,
    before: ReminderStatus,
    now: datetime.datetime,
) -> ReminderStatus:
    """Write the same move into the history of reminders, given as (id, occurrence); return where they stand now.

    Raises:
        InvalidTransition: the event cannot happen to a reminder that stands there.
    """
    after = next_status(before, event)
    shared = {"event": event.value, "from_status": before, "to_status": after, "reason": None, "at": now}
    rows = [
        {"id": new_id(), "reminder_id": row_id, "occurrence": occurrence} | shared for row_id, occurrence in moved
    ]
    if rows:
        session.execute(insert(ReminderStatusChange), rows)
    return after
