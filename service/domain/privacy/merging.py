"""Merging two supporters who are one person."""

import datetime
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import LargeBinary, delete, func, select, true, type_coerce, update
from sqlalchemy.orm import Session

from service.db.models.customer import CustomerUpdate
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.calendar import at_local_hour
from service.domain.reminders.reminders import UPCOMING_STATUSES
from service.domain.reminders.self_service import can_cancel, can_confirm
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import cancel, confirm, reschedule
from service.domain.supporters import lock_with_pledges


def merge_supporters(
    session: Session,
    *,
    kept: uuid.UUID,
    duplicate: uuid.UUID,
    now: datetime.datetime,
    keeps_address: bool = False,
) -> None:
    """Move the pledges, notifications, sign-ins and reminders of a duplicate supporter to another, and delete it.

    If both have a reminder for the same campaign, one stays. If both are still to be sent, and nothing proves that
    the reader asked for the one created second, it is the first with the date asked for last, as after a repeated
    sign-up. Else it is the one asked for last. That is cancelled if the reader cancelled the older one after
    asking for the newer one, and confirmed if they had confirmed the older one. The kept supporter gets the
    earlier `created_at` and, unless it `keeps_address`, the address as it was typed last. It gets one
    receipt a year if either of the two did.
    """
    lock_with_pledges(session, (kept, duplicate))
    # A worker locks a reminder, and a sign-in, before its email.
    reminders = _lock_reminders(session, (kept, duplicate))
    # In the order in which workers lock several emails; an UPDATE has none.
    emails = select(OutgoingEmail.id).where(OutgoingEmail.supporter_id == duplicate).order_by(OutgoingEmail.id)
    session.execute(emails.with_for_update())
    for table in (Pledge, SignIn, EmailChange, OutgoingEmail, CustomerUpdate):
        session.execute(update(table).where(table.supporter_id == duplicate).values(supporter_id=kept))
    # Nor may a link in an older mailbox open what belonged to the other one.
    session.execute(update(EmailChange).where(EmailChange.supporter_id == kept).values(undo_until=None))
    # Who asked to be erased has not seen what now belongs to them, too.
    session.execute(delete(ErasureRequest).where(ErasureRequest.supporter_id.in_((kept, duplicate))))
    by_campaign = {reminder.campaign_id: reminder for reminder in reminders if reminder.supporter_id == kept}
    for reminder in [reminder for reminder in reminders if reminder.supporter_id == duplicate]:
        other = by_campaign.get(reminder.campaign_id)
        if other is None:
            reminder.supporter_id = kept
            continue
        newer, older = (reminder, other) if reminder.asked_at > other.asked_at else (other, reminder)
        left, gone = newer, older
        # An earlier merge may have given the first one the date of a later request.
        first, second = sorted((reminder, other), key=lambda each: each.id)
        are_upcoming = first.status in UPCOMING_STATUSES and second.status in UPCOMING_STATUSES
        if are_upcoming and second.confirmed_at is None:
            # Anyone can type in an address, so the second one may not come from the reader.
            left, gone = first, second
            if second is newer:
                _move_date(session, first, second, now=now)
        elif _cancelled_since(session, older, newer.asked_at) and can_cancel(newer):
            cancel(session, newer, now=now)
        elif older.confirmed_at is not None and can_confirm(newer):
            confirm(session, newer, now=now)
        # Pledges that came from the other reminder stay attributed to this reader's reminder.
        session.execute(update(Pledge).where(Pledge.reminder_id == gone.id).values(reminder_id=left.id))
        session.delete(gone)
        # The pair of campaign and supporter is unique, so the delete must come before the update.
        session.flush()
        left.supporter_id = kept
    first_seen, last_changed = session.execute(
        select(func.min(Supporter.created_at), func.max(Supporter.email_changed_at)).where(
            Supporter.id.in_((kept, duplicate))
        )
    ).one()
    values: dict[str, Any] = {"created_at": first_seen, "email_changed_at": last_changed}
    wants_yearly = select(Supporter.id).where(
        Supporter.id.in_((kept, duplicate)), Supporter.yearly_receipts == true()
    )
    values["yearly_receipts"] = session.scalar(wants_yearly.limit(1)) is not None
    # Ids sort by their time of creation, and keep it where an earlier merge has changed `created_at`.
    if duplicate > kept and not keeps_address:
        # The ciphertext is copied, because one that no key decrypts must not stop the merge.
        ciphertext = type_coerce(Supporter.email, LargeBinary)
        values["email"] = type_coerce(
            session.scalar(select(ciphertext).where(Supporter.id == duplicate)), LargeBinary
        )
    session.execute(update(Supporter).where(Supporter.id == kept).values(values))
    # The reminders must have moved before the delete, which cascades to them.
    session.flush()
    session.execute(delete(Supporter).where(Supporter.id == duplicate))


def _move_date(session: Session, older: Reminder, newer: Reminder, *, now: datetime.datetime) -> None:
    """Give a reminder the date of a repeated sign-up, which may end its repetition and changes nothing else."""
    older.months, older.due_on, older.asked_at = newer.months, newer.due_on, newer.asked_at
    older.every_months = older.every_months and newer.every_months
    if not older.awaits_confirmation:
        due = at_local_hour(newer.due_on, zone=older.timezone, hour=older.campaign.send_hour)
        reschedule(session, older, due, now=now)


def _lock_reminders(session: Session, supporter_ids: Collection[uuid.UUID]) -> Sequence[Reminder]:
    # In the order of ids, as workers do, who complete the emails of both in one transaction.
    query = select(Reminder).where(Reminder.supporter_id.in_(supporter_ids)).order_by(Reminder.id)
    return session.scalars(query.with_for_update()).all()


def _cancelled_since(session: Session, reminder: Reminder, since: datetime.datetime) -> bool:
    cancelled = select(ReminderStatusChange.id).where(
        ReminderStatusChange.reminder_id == reminder.id,
        ReminderStatusChange.event == ReminderEvent.CANCEL,
        ReminderStatusChange.at >= since,
    )
    return session.scalar(cancelled.limit(1)) is not None
