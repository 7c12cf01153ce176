"""Making one person of two rows that turn out to hold the same address."""

import datetime
import uuid

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.db.models.email import Notification
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.reminders.self_service import can_cancel, can_confirm
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import cancel, confirm


def merge_supporters(session: Session, *, kept: uuid.UUID, duplicate: uuid.UUID, now: datetime.datetime) -> None:
    """Give everything of one row to another and delete it: pledges, reminders, mails, sessions, first meeting.

    Where both have a reminder for one campaign, the one that was asked for last stays, as if the reader had been
    known all along. If they cancelled the other one after that, this one is cancelled too: a no is never lost; and
    if they had confirmed the other one, this one needs no word from them.
    """
    for table in (Pledge, Notification, SignIn):
        session.execute(update(table).where(table.supporter_id == duplicate).values(supporter_id=kept))
    standing = {reminder.campaign_id: reminder for reminder in _lock_reminders(session, kept)}
    for reminder in _lock_reminders(session, duplicate):
        other = standing.get(reminder.campaign_id)
        if other is None:
            reminder.supporter_id = kept
            continue
        last, first = (reminder, other) if reminder.asked_at > other.asked_at else (other, reminder)
        if _cancelled_since(session, first, last.asked_at) and can_cancel(last):
            cancel(session, last, now=now)
        elif first.confirmed_at is not None and can_confirm(last):
            confirm(session, last, now=now)
        # What a mail about the one that goes has brought was brought by this reader's reminder all the same.
        session.execute(update(Pledge).where(Pledge.reminder_id == first.id).values(reminder_id=last.id))
        session.delete(first)
        # The one that stays may take the other's place only after that has left it: their pair is unique.
        session.flush()
        last.supporter_id = kept
    met = session.scalar(select(func.min(Supporter.created_at)).where(Supporter.id.in_((kept, duplicate))))
    session.execute(update(Supporter).where(Supporter.id == kept).values(created_at=met))
    # The reminders must have moved before the row goes, because it would take them along.
    session.flush()
    session.execute(delete(Supporter).where(Supporter.id == duplicate))


def _lock_reminders(session: Session, supporter_id: uuid.UUID) -> list[Reminder]:
    query = select(Reminder).where(Reminder.supporter_id == supporter_id).order_by(Reminder.id).with_for_update()
    return list(session.scalars(query))


def _cancelled_since(session: Session, reminder: Reminder, since: datetime.datetime) -> bool:
    cancelled = select(ReminderStatusChange.id).where(
        ReminderStatusChange.reminder_id == reminder.id,
        ReminderStatusChange.event == ReminderEvent.CANCEL,
        ReminderStatusChange.at >= since,
    )
    return session.scalar(cancelled.limit(1)) is not None
