"""Moving reminders by what is on record of their mails: after a batch, and after a worker that never came back.

Both ways are one, so that what a crash leaves behind is settled as if its worker had done it.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, and_, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, status_is
from service.domain.errors import LeaseLost
from service.domain.mail.backoff import jittered_backoff
from service.domain.mail.claims import ReminderClaim
from service.domain.mail.history import bulk_transition
from service.domain.mail.tallies import increment_counters
from service.domain.mail.verdicts import NextStep, resolve_delivery
from service.domain.reminders.moves import schedule_next_occurrence, transition_reminder
from service.domain.reminders.status import ReminderEvent

BATCH_SIZE = 100


@dataclass(frozen=True)
class DeliveryPolicy:
    """What the deployment decides: whether staff look at a doubtful mail first, and how long a month is."""

    hold_uncertain: bool = False
    month_seconds: int | None = None


def complete_deliveries(
    session: Session, claims: Sequence[ReminderClaim], *, rules: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    """Settle a worker's own claims; return how many reminders came to which end.

    One that was cancelled, renewed or taken over since is not touched.
    """
    leases = {claim.reminder_id: claim.lease_number for claim in claims}
    rows = session.execute(_deliveries_query().where(Reminder.id.in_(leases)).with_for_update(of=Reminder)).all()
    mine = [row for row in rows if row.lease_number == leases[row.id]]
    counts = _complete(session, mine, rules, now)
    if len(claims) > len(mine):
        counts["lease_lost"] = len(claims) - len(mine)
    return counts


def recover_expired_leases(
    session: Session,
    *,
    rules: DeliveryPolicy,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Settle reminders whose lease has ended, however long ago, or that `worker` still holds from a broken run."""
    lost = Reminder.leased_until <= now
    query = (
        _deliveries_query().where(lost if worker is None else or_(lost, Reminder.leased_by == worker)).limit(limit)
    )
    rows = session.execute(query.with_for_update(of=Reminder, skip_locked=True)).all()
    return _complete(session, rows, rules, now)


def fail_rendering(session: Session, claim: ReminderClaim, *, reason: str, now: datetime.datetime) -> None:
    """Record that this letter could not be made into a mail; staff can read why and send it back.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since it was claimed.
    """
    reminder = session.scalar(
        select(Reminder)
        .where(
            Reminder.id == claim.reminder_id,
            Reminder.lease_number == claim.lease_number,
            status_is(ReminderStatus.SENDING),
        )
        .with_for_update()
    )
    if reminder is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=reason)
    increment_counters(session, failed=1)


def _deliveries_query() -> Select[*tuple[Any, ...]]:
    """Return the query for reminders in some worker's hands, each with the record of its mail if it was begun."""
    # A record from an earlier lease says nothing of this one, unless the mail was accepted after all.
    record = and_(
        EmailDelivery.reminder_id == Reminder.id,
        EmailDelivery.occurrence == Reminder.occurrence,
        or_(
            EmailDelivery.lease_number == Reminder.lease_number, EmailDelivery.outcome == DeliveryOutcome.ACCEPTED
        ),
    )
    return (
        select(
            Reminder.id,
            Reminder.occurrence,
            Reminder.lease_number,
            Reminder.every_months,
            Reminder.awaits_confirmation,
            EmailDelivery.outcome,
            EmailDelivery.attempts,
            EmailDelivery.reply,
            EmailDelivery.ended_at,
        )
        .outerjoin(EmailDelivery, record)
        .where(status_is(ReminderStatus.SENDING))
    )


def _complete(
    session: Session, rows: Sequence[Row[*tuple[Any, ...]]], rules: DeliveryPolicy, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    simple = []
    for row in rows:
        accepted = row.outcome == DeliveryOutcome.ACCEPTED
        if accepted and row.every_months is None and not row.awaits_confirmation:
            simple.append(row)
        else:
            _complete_one(session, row, rules, now, counts)
    if simple:
        _mark_sent(session, simple, now)
        counts["sent"] += len(simple)
    kept = {name: counts[name] for name in ("sent", "retried", "failed", "in_doubt") if counts[name]}
    if kept:
        increment_counters(session, **kept)
    return counts


def _mark_sent(session: Session, rows: Sequence[Row[*tuple[Any, ...]]], now: datetime.datetime) -> None:
    """Move many reminders to `sent` at once: nothing else is to be said of nearly all of them."""
    after = bulk_transition(
        session,
        ReminderEvent.DELIVER,
        [(row.id, row.occurrence) for row in rows],
        before=ReminderStatus.SENDING,
        now=now,
    )
    session.execute(
        update(Reminder)
        .where(
            Reminder.id.in_([row.id for row in rows]),
            EmailDelivery.reminder_id == Reminder.id,
            EmailDelivery.occurrence == Reminder.occurrence,
        )
        .values(
            status=after,
            attempts=EmailDelivery.attempts,
            sent_at=EmailDelivery.ended_at,
            leased_until=None,
            leased_by=None,
        )
        .execution_options(synchronize_session=False)
    )


def _complete_one(
    session: Session,
    row: Row[*tuple[Any, ...]],
    rules: DeliveryPolicy,
    now: datetime.datetime,
    counts: Counter[str],
) -> None:
    reminder = session.get_one(Reminder, row.id)
    resolution = resolve_delivery(
        row.outcome, attempts=row.attempts, reply=row.reply, holds_doubtful=rules.hold_uncertain
    )
    if row.outcome is not None:
        reminder.attempts = row.attempts
    match resolution.next_step:
        case NextStep.DELIVERED if reminder.awaits_confirmation:
            transition_reminder(session, reminder, ReminderEvent.REQUEST_CONFIRMATION, now=now)
        case NextStep.DELIVERED:
            transition_reminder(session, reminder, ReminderEvent.DELIVER, now=now)
            reminder.sent_at = row.ended_at
            schedule_next_occurrence(session, reminder, now=now, month_seconds=rules.month_seconds)
        case NextStep.REQUEUE:
            transition_reminder(session, reminder, ReminderEvent.RELEASE, now=now, reason=resolution.reason)
        case NextStep.RETRY_LATER:
            transition_reminder(session, reminder, ReminderEvent.RETRY, now=now, reason=resolution.reason)
            reminder.due_at = now + jittered_backoff(row.attempts)
        case NextStep.FAILED:
            transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=resolution.reason)
    counts.update(resolution.counters)
