"""The queue of due reminders: workers claim them with a lease; monitoring reads its length and age.

Every query uses an index of what is due, so its cost does not grow with the table.
"""

import datetime
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, LargeBinary, func, select, type_coerce, update
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, status_is
from service.db.models.supporter import Supporter
from service.db.session import session_keyring
from service.domain.email.queue import SendingHours
from service.domain.email.rendering import NEXT_KEY_WAIT, UNREADABLE, retry_with_key_at
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition

BACKLOG_ALERT_AFTER = datetime.timedelta(hours=1)
# Counting this many takes about ten milliseconds, and an operator would not act differently on a larger number.
MAX_COUNTED = 100_000


@dataclass(frozen=True)
class ReminderClaim:
    """A worker's lease on one occurrence of a reminder. `lease_number` is a fencing token."""

    reminder_id: uuid.UUID
    occurrence: int
    lease_number: int


@dataclass(frozen=True)
class ClaimResult:
    """The claimed reminders, and how many were postponed to their sending hours or for lack of a key."""

    claims: list[ReminderClaim]
    postponed: int


def claim_due_reminders(
    session: Session,
    *,
    worker: uuid.UUID,
    now: datetime.datetime,
    limit: int,
    lease: datetime.timedelta,
    respect_sending_hours: bool,
) -> ClaimResult:
    """Claim up to `limit` due reminders, oldest first, without those that another transaction has locked.

    With `respect_sending_hours`, a reminder that is due outside its campaign's sending hours in the reader's time
    zone is postponed to their start. A confirmation request is not, because its reader has just signed up. The
    reminders of a closed campaign wait until it is reopened.

    A reminder whose address needs a key that this process lacks is postponed too. Its status does not change, so
    that this may repeat for as long as it takes.
    """
    due = session.execute(
        select(
            Reminder.id,
            Reminder.occurrence,
            Reminder.lease_number,
            Reminder.campaign_id,
            Reminder.timezone,
            Reminder.awaits_confirmation,
            Reminder.supporter_id,
            Reminder.reason,
        )
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now, *_may_be_sent(session))
        .order_by(Reminder.due_at, Reminder.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return ClaimResult([], 0)
    hours = _sending_hours(session) if respect_sending_hours else {}
    unreadable = _unreadable_supporters(session, {row.supporter_id for row in due})
    postponed = []
    claims = []
    for row in due:
        if row.supporter_id in unreadable:
            due_at = retry_with_key_at(row.reason, now)
            postponed.append({"id": row.id, "due_at": due_at, "reason": UNREADABLE})
            continue
        sending_hours = None if row.awaits_confirmation else hours.get(row.campaign_id)
        allowed_at = now if sending_hours is None else sending_hours.next_allowed(now, row.timezone)
        if allowed_at > now:
            postponed.append({"id": row.id, "due_at": allowed_at, "reason": row.reason})
        else:
            claims.append(ReminderClaim(row.id, row.occurrence, row.lease_number + 1))
    if postponed:
        session.execute(update(Reminder), postponed)
    if claims:
        status = bulk_transition(
            session,
            ReminderEvent.CLAIM,
            [(claim.reminder_id, claim.occurrence) for claim in claims],
            from_status=ReminderStatus.SCHEDULED,
            now=now,
        )
        session.execute(
            update(Reminder)
            .where(Reminder.id.in_([claim.reminder_id for claim in claims]))
            .values(
                status=status,
                reason=None,
                lease_number=Reminder.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
            )
            .execution_options(synchronize_session=False)
        )
    return ClaimResult(claims, len(postponed))


def shorten_leases(session: Session, *, now: datetime.datetime, lease: datetime.timedelta) -> None:
    """End every lease within `lease`, after the clock was set back. A live worker renews its own before."""
    session.execute(
        update(Reminder)
        .where(status_is(ReminderStatus.SENDING), Reminder.leased_until > now + lease)
        .values(leased_until=now + lease)
    )


def renew_leases(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Extend the leases that a live worker holds."""
    session.execute(
        update(Reminder)
        .where(status_is(ReminderStatus.SENDING), Reminder.leased_by == worker)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def oldest_due_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return how long the oldest due reminder has been due; None if none is."""
    query = select(func.min(Reminder.due_at)).where(status_is(ReminderStatus.SCHEDULED))
    due_at = session.scalar(query.where(*_may_be_sent(session)))
    return now - due_at if due_at is not None and due_at <= now else None


def count_due(session: Session, *, now: datetime.datetime, most: int = MAX_COUNTED) -> int:
    """Return how many reminders are due, counting no further than `most`."""
    # The order makes the database use its index of what is due; else it may scan the table for `most` rows.
    due = (
        select(Reminder.due_at)
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now, *_may_be_sent(session))
        .order_by(Reminder.due_at, Reminder.id)
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0


def count_waiting_for_key(session: Session, *, now: datetime.datetime) -> int:
    """Return how many reminders are postponed because no worker that saw them could read their address."""
    waiting = select(Reminder.id).where(
        status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now + NEXT_KEY_WAIT, Reminder.reason == UNREADABLE
    )
    return session.scalar(select(func.count()).select_from(waiting.limit(MAX_COUNTED).subquery())) or 0


def _unreadable_supporters(session: Session, supporter_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    keyring = session_keyring(session)
    addresses = select(Supporter.id, type_coerce(Supporter.email, LargeBinary)).where(
        Supporter.id.in_(supporter_ids)
    )
    return {supporter_id for supporter_id, email in session.execute(addresses) if keyring.is_foreign(email)}


def _may_be_sent(session: Session) -> Sequence[ColumnElement[bool]]:
    # A condition only where it is needed, so that the database goes on using its index of what is due.
    closed = session.scalars(select(Campaign.id).where(Campaign.closed_at.is_not(None))).all()
    is_not_held = Reminder.held_at.is_(None)
    return [is_not_held, Reminder.campaign_id.not_in(closed)] if closed else [is_not_held]


def _sending_hours(session: Session) -> Mapping[uuid.UUID, SendingHours]:
    rows = session.execute(select(Campaign.id, Campaign.send_hour, Campaign.send_until))
    return {campaign_id: SendingHours(start, end) for campaign_id, start, end in rows}
