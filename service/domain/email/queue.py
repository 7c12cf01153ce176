"""The queue of due emails: workers claim them with a lease, most urgent first; monitoring reads its age.

Every query uses an index of what is due, so its cost does not grow with the table. When an email may be sent also
depends on the rate limit that all workers share, and on the hours in a reader's time zone.
"""

import datetime
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Row, case, func, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus
from service.db.arrays import is_one_of
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail, SendRateLimit, status_is
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.upsert import dialect_insert
from service.domain.calendar import at_local_hour
from service.domain.email.outbox import PRIORITIES
from service.domain.email.status import EmailEvent, next_status

SERVER_KEY = "mail"
BACKLOG_ALERT_AFTER = datetime.timedelta(hours=1)
# Counting this many takes about ten milliseconds, and an operator would not act differently on a larger number.
MAX_COUNTED = 100_000
# An email whose address this process cannot read waits, at first briefly for a worker that already has the key.
UNREADABLE = "waits for a key: no key of SECRET_KEYS opens its address"
# How many emails of each priority are looked at to find those that wait for one.
MAX_READ_FOR_KEY = 2000
FIRST_KEY_WAIT = datetime.timedelta(seconds=30)
NEXT_KEY_WAIT = datetime.timedelta(minutes=5)
# Emails of a closed campaign are looked at again after this time.
CLOSED_WAIT = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class EmailClaim:
    """A worker's lease on an email. `lease_number` is a fencing token."""

    email_id: uuid.UUID
    kind: EmailKind
    lease_number: int


@dataclass(frozen=True)
class ClaimResult:
    """The claimed emails, and how many were postponed to their sending hours."""

    claims: list[EmailClaim]
    postponed: int


def claim_due_emails(
    session: Session,
    *,
    worker: uuid.UUID,
    now: datetime.datetime,
    limit: int,
    lease: datetime.timedelta,
    respect_sending_hours: bool,
    priorities: Collection[int] = frozenset(PRIORITIES.values()),
) -> ClaimResult:
    """Claim up to `limit` due emails, most urgent first and then oldest, without those that are locked elsewhere.

    With `respect_sending_hours`, a reminder outside its campaign's sending hours in the reader's time zone is
    postponed to their start; so is the retry of one. The reminders of a closed campaign wait until it is reopened,
    and emails that a newer release enqueued wait for its workers.
    """
    due = (
        select(
            OutgoingEmail.id,
            OutgoingEmail.kind,
            OutgoingEmail.lease_number,
            Reminder.campaign_id,
            Reminder.timezone,
        )
        .outerjoin(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .where(*_may_be_sent(session), OutgoingEmail.kind.in_(EmailKind), OutgoingEmail.due_at <= now)
        .order_by(OutgoingEmail.due_at, OutgoingEmail.id)
        .with_for_update(of=OutgoingEmail, skip_locked=True)
    )
    rows: list[Row[uuid.UUID, EmailKind, int, uuid.UUID, str]] = []
    # One query for each priority, because an index that begins with it is then read in the order of `due_at`.
    for priority in sorted(priorities):
        if len(rows) < limit:
            rows += session.execute(due.where(OutgoingEmail.priority == priority).limit(limit - len(rows))).all()
    if not rows:
        return ClaimResult([], 0)
    hours = read_sending_hours(session) if respect_sending_hours else {}
    postponed, claims = [], []
    for row in rows:
        sending_hours = hours.get(row.campaign_id) if row.kind == EmailKind.REMINDER else None
        allowed_at = now if sending_hours is None else sending_hours.next_allowed(now, row.timezone)
        if allowed_at > now:
            postponed.append({"id": row.id, "due_at": allowed_at})
        else:
            claims.append(EmailClaim(row.id, row.kind, row.lease_number + 1))
    if postponed:
        session.execute(update(OutgoingEmail), postponed)
    if claims:
        session.execute(
            update(OutgoingEmail)
            .where(is_one_of(session, OutgoingEmail.id, [claim.email_id for claim in claims]))
            .values(
                status=next_status(EmailStatus.SCHEDULED, EmailEvent.CLAIM),
                lease_number=OutgoingEmail.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
                # The outcome of an earlier lease does not count, unless the email was accepted.
                outcome=case(
                    (OutgoingEmail.outcome == DeliveryOutcome.ACCEPTED, OutgoingEmail.outcome), else_=None
                ),
            )
            .execution_options(synchronize_session=False)
        )
    return ClaimResult(claims, len(postponed))


def shorten_leases(session: Session, *, now: datetime.datetime, lease: datetime.timedelta) -> None:
    """End every lease within `lease`, after the clock was set back. A live worker renews its own before."""
    session.execute(
        update(OutgoingEmail)
        .where(status_is(EmailStatus.SENDING), OutgoingEmail.leased_until > now + lease)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def renew_leases(
    session: Session, *, owners: Collection[uuid.UUID], now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Extend the leases that a live worker holds.

    One that is locked is being recorded or completed, and is left to the next heartbeat. The statement between two
    emails locks both in the order of sending, so a heartbeat that waited for one could deadlock with it.
    """
    held = select(OutgoingEmail.id).where(status_is(EmailStatus.SENDING), OutgoingEmail.leased_by.in_(owners))
    ids = session.scalars(held.with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(
            update(OutgoingEmail)
            .where(OutgoingEmail.id.in_(ids))
            .values(leased_until=now + lease)
            .execution_options(synchronize_session=False)
        )


def release_unsent(session: Session, supporter_ids: Collection[uuid.UUID]) -> None:
    """Take the emails to these supporters back from workers that have claimed and not begun them.

    The next claim checks again whether they may be sent.
    """
    pledges = select(Pledge.id).where(Pledge.supporter_id.in_(supporter_ids))
    reminders = select(Reminder.id).where(Reminder.supporter_id.in_(supporter_ids))
    claimed = (
        select(OutgoingEmail.id)
        .where(
            status_is(EmailStatus.SENDING),
            OutgoingEmail.outcome.is_(None),
            or_(
                OutgoingEmail.supporter_id.in_(supporter_ids),
                OutgoingEmail.pledge_id.in_(pledges),
                OutgoingEmail.reminder_id.in_(reminders),
            ),
        )
        # In the order in which workers complete them.
        .order_by(OutgoingEmail.id)
    )
    ids = session.scalars(claimed.with_for_update()).all()
    released = next_status(EmailStatus.SENDING, EmailEvent.RELEASE)
    session.execute(
        update(OutgoingEmail)
        .where(OutgoingEmail.id.in_(ids))
        .values(status=released, leased_by=None, leased_until=None)
        .execution_options(synchronize_session=False)
    )


def oldest_due_age(
    session: Session, *, now: datetime.datetime, kinds: Collection[EmailKind] = frozenset(EmailKind)
) -> datetime.timedelta | None:
    """Return how long the oldest due email of these kinds has been due; None if none is."""
    query = (
        select(OutgoingEmail.due_at)
        .outerjoin(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .where(*_may_be_sent(session), OutgoingEmail.kind.in_(kinds), OutgoingEmail.due_at <= now)
        .order_by(OutgoingEmail.due_at)
        .limit(1)
    )
    # One query for each priority, as in `claim_due_emails`.
    priorities = {PRIORITIES[kind] for kind in kinds}
    due = [session.scalar(query.where(OutgoingEmail.priority == priority)) for priority in sorted(priorities)]
    return max((now - due_at for due_at in due if due_at is not None), default=None)


def count_due(
    session: Session,
    *,
    now: datetime.datetime,
    most: int = MAX_COUNTED,
    kinds: Collection[EmailKind] = frozenset(EmailKind),
) -> int:
    """Return how many emails of these kinds are due, counting no further than `most`."""
    due = (
        select(OutgoingEmail.id)
        .where(
            status_is(EmailStatus.SCHEDULED),
            OutgoingEmail.held_at.is_(None),
            OutgoingEmail.due_at <= now,
            OutgoingEmail.kind.in_(kinds),
        )
        # The order makes the database use its index of what is due.
        .order_by(OutgoingEmail.priority, OutgoingEmail.due_at, OutgoingEmail.id)
        .limit(most)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(due)) or 0


def count_waiting_for_key(session: Session, *, now: datetime.datetime) -> int:
    """Return how many emails wait because no worker that claimed them could read their address."""
    count = 0
    for priority in sorted(set(PRIORITIES.values())):
        # They are due from now on or since a moment ago, so that this reads few of a morning's reminders.
        latest = (
            select(OutgoingEmail.reason)
            .where(
                status_is(EmailStatus.SCHEDULED),
                OutgoingEmail.held_at.is_(None),
                OutgoingEmail.priority == priority,
                OutgoingEmail.due_at <= now + NEXT_KEY_WAIT,
            )
            .order_by(OutgoingEmail.due_at.desc(), OutgoingEmail.id.desc())
            .limit(MAX_READ_FOR_KEY)
            .subquery()
        )
        count += session.scalar(select(func.count()).where(latest.c.reason == UNREADABLE)) or 0
    return count


def postpone_emails_of_closed_campaigns(session: Session, *, now: datetime.datetime, limit: int) -> int:
    """Postpone up to `limit` due emails of closed campaigns by `CLOSED_WAIT`; return how many.

    No claim sends them, and each would read past them, which may be all of a morning's reminders.
    """
    closed = session.scalars(select(Campaign.id).where(Campaign.closed_at.is_not(None))).all()
    if not closed:
        return 0
    due = (
        select(OutgoingEmail.id)
        .join(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .where(
            status_is(EmailStatus.SCHEDULED),
            OutgoingEmail.held_at.is_(None),
            OutgoingEmail.due_at <= now,
            Reminder.campaign_id.in_(closed),
        )
        .order_by(OutgoingEmail.priority, OutgoingEmail.due_at, OutgoingEmail.id)
        .limit(limit)
    )
    ids = session.scalars(due.with_for_update(of=OutgoingEmail, skip_locked=True)).all()
    _set_due(session, ids, now + CLOSED_WAIT)
    return len(ids)


def make_postponed_emails_due(session: Session, campaign: Campaign, *, now: datetime.datetime, limit: int) -> int:
    """Make up to `limit` emails due that were postponed while their campaign was closed; return how many.

    One that failed before may be tried again earlier than it would have been.
    """
    postponed = (
        select(OutgoingEmail.id)
        .join(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .where(
            status_is(EmailStatus.SCHEDULED),
            OutgoingEmail.held_at.is_(None),
            OutgoingEmail.due_at > now,
            OutgoingEmail.due_at <= now + CLOSED_WAIT,
            Reminder.campaign_id == campaign.id,
        )
        .order_by(OutgoingEmail.priority, OutgoingEmail.due_at, OutgoingEmail.id)
        .limit(limit)
    )
    ids = session.scalars(postponed.with_for_update(of=OutgoingEmail, skip_locked=True)).all()
    _set_due(session, ids, now)
    return len(ids)


def _set_due(session: Session, email_ids: Collection[uuid.UUID], due_at: datetime.datetime) -> None:
    session.execute(
        update(OutgoingEmail)
        .where(is_one_of(session, OutgoingEmail.id, email_ids))
        .values(due_at=due_at)
        .execution_options(synchronize_session=False)
    )


def _may_be_sent(session: Session) -> list[ColumnElement[bool]]:
    return [status_is(EmailStatus.SCHEDULED), OutgoingEmail.held_at.is_(None), *in_open_campaigns(session)]


def in_open_campaigns(session: Session) -> Sequence[ColumnElement[bool]]:
    """Return the condition that a joined reminder, if any, is of an open campaign; no condition if all are."""
    # A condition only where it is needed, so that the database goes on using its index of what is due.
    closed = session.scalars(select(Campaign.id).where(Campaign.closed_at.is_not(None))).all()
    return [or_(Reminder.id.is_(None), Reminder.campaign_id.not_in(closed))] if closed else []


def reserve_send_slots(
    session: Session, *, rate: float, count: int, now: datetime.datetime
) -> list[datetime.datetime]:
    """Reserve the next `count` instants at which an email may be sent, `rate` of them a second.

    Unused slots do not accumulate: after an idle hour emails are sent at the rate, and not in a burst.
    """
    interval = datetime.timedelta(seconds=1 / rate)
    session.execute(
        dialect_insert(session, SendRateLimit)
        .values(server=SERVER_KEY, next_slot_at=now)
        .on_conflict_do_nothing(index_elements=[SendRateLimit.server])
    )
    limit = session.scalars(
        select(SendRateLimit).where(SendRateLimit.server == SERVER_KEY).with_for_update()
    ).one()
    first = max(limit.next_slot_at, now)
    limit.next_slot_at = first + interval * count
    return [first + interval * number for number in range(count)]


def release_send_slots(session: Session, *, now: datetime.datetime) -> None:
    """Let the next slot be now, after the clock was set back: what was reserved would be far ahead."""
    session.execute(update(SendRateLimit).where(SendRateLimit.next_slot_at > now).values(next_slot_at=now))


@dataclass(frozen=True)
class SendingHours:
    """The hours of a day from `start_hour` (0 to 23) until before `end_hour` (1 to 24), in local time."""

    start_hour: int
    end_hour: int

    def next_allowed(self, now: datetime.datetime, zone: str) -> datetime.datetime:
        """Return `now` if it is within the hours in this time zone, else the instant when they start next."""
        try:
            local = now.astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            # An unknown zone has no hours. Rendering the email reports what is wrong with it.
            return now
        if self.start_hour <= local.hour < self.end_hour:
            return now
        day = local.date() if local.hour < self.start_hour else local.date() + datetime.timedelta(days=1)
        return at_local_hour(day, zone=zone, hour=self.start_hour).instant


def read_sending_hours(session: Session) -> Mapping[uuid.UUID, SendingHours]:
    """Return the sending hours of each campaign by its id."""
    rows = session.execute(select(Campaign.id, Campaign.send_hour, Campaign.send_until))
    return {campaign_id: SendingHours(start, end) for campaign_id, start, end in rows}
