"""The delivery of emails: the record of each attempt, and what its result means.

A row says that its email is being sent before any content is, and it holds the mail server's reply before the
next email is begun. Its status changes later, for a whole batch at once. Until then `outcome` alone is
authoritative, so that it survives a crash.

Where a transaction locks both, it locks a reminder before its email.
"""

import datetime
import random
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, case, false, func, literal_column, null, or_, select, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus
from service.db.arrays import is_one_of
from service.db.models.email import OutgoingEmail, status_is
from service.db.models.reminder import Reminder
from service.db.time_limits import DeadlineConnection
from service.domain.email.counters import increment_counters
from service.domain.email.queue import EmailClaim
from service.domain.email.rendering import UnsentEmail
from service.domain.email.status import EmailEvent, next_status, transition_email
from service.domain.errors import LeaseLost

MAX_ATTEMPTS = 8
INITIAL_BACKOFF = datetime.timedelta(minutes=10)
MAX_BACKOFF = datetime.timedelta(hours=36)
MAX_REPLY_LENGTH = 300
NOT_ATTEMPTED = "not_begun"
UNCERTAIN = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"
BATCH_SIZE = 100
COUNTED = ("sent", "retried", "failed", "skipped", "suppressed", "in_doubt")
TABLE: Any = OutgoingEmail.__table__


@dataclass(frozen=True)
class DeliveryResult:
    """The result of one attempt: the mail server's reply, or the error that prevented one, without an address."""

    claim: EmailClaim
    outcome: DeliveryOutcome
    smtp_reply: str


@dataclass(frozen=True, kw_only=True)
class FinishedEmail:
    """A reminder's email that was sent, skipped or has failed. With `is_suppressed` its reader gets no email."""

    kind: EmailKind
    reminder_id: uuid.UUID
    occurrence: int
    event: EmailEvent
    reason: str | None = None
    finished_at: datetime.datetime | None = None
    is_suppressed: bool = False


# Completes what emails were about, in the same transaction; today only reminders have a status of their own.
OnFinished = Callable[[Session, Sequence[FinishedEmail]], None]


class NextStep(StrEnum):
    """What follows from an outcome."""

    DELIVERED = "delivered"  # The mail server accepted the email.
    REQUEUE = "handed_back"  # It is due as before: not attempted, or uncertain and sent again.
    RETRY_LATER = "retried"  # It is retried after a backoff.
    FAILED = "failed"  # It is not retried.


EVENT_BY_STEP: Final = {
    NextStep.DELIVERED: EmailEvent.DELIVER,
    NextStep.REQUEUE: EmailEvent.RELEASE,
    NextStep.RETRY_LATER: EmailEvent.RETRY,
    NextStep.FAILED: EmailEvent.FAIL,
}


@dataclass(frozen=True)
class Resolution:
    """What follows, why, and which counters it increments."""

    next_step: NextStep
    reason: str | None
    counters: tuple[str, ...]


def mark_sending(session: Session, claim: EmailClaim, *, now: datetime.datetime) -> int:
    """Record that the email is about to be sent; return the number of the attempt, from 1.

    One statement locks the row and checks it again, so that an email that was cancelled or taken over, in whatever
    order the two transactions run, is not sent. Idempotent: an attempt counts once.

    Raises:
        LeaseLost: it was cancelled, taken over or purged since its claim, or was accepted.
    """
    attempt = session.connection().scalar(_mark_statement(), _mark_params(claim, now))
    if attempt is None:
        raise LeaseLost("This email was cancelled, taken over or purged since it was claimed.")
    return int(attempt)


def record_result(session: Session, result: DeliveryResult, *, now: datetime.datetime) -> None:
    """Record the result of an attempt; idempotent.

    An attempt with the outcome NOT_ATTEMPTED does not count, because the server accepts no email from us at all.

    Raises:
        LeaseLost: another worker has taken over this email since.
    """
    statement = _result_statement(uncounted=result.outcome == DeliveryOutcome.NOT_ATTEMPTED)
    if session.connection().execute(statement, _result_params(result, now)).rowcount != 1:
        raise LeaseLost("Another worker has taken over this email since.")


def record_and_mark_next(
    connection: DeadlineConnection,
    result: DeliveryResult,
    claim: EmailClaim,
    *,
    now: datetime.datetime,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[bool, bool]:
    """Record one email's result and mark the next as sending; return whether each lease was still held.

    This runs between any two emails, so it is one statement, and PostgreSQL's driver runs it without SQLAlchemy.
    The result must not be that of an attempt that does not count. `meanwhile` is called while PostgreSQL is busy
    with it; it needs a connection on which `prepare_record_and_mark_next` was called.
    """
    parameters = _result_params(result, now) | _mark_params(claim, now)
    parameters["result_outcome"] = result.outcome.value
    with nullcontext() if meanwhile is None else connection.work_meanwhile(meanwhile):
        found = connection.execute(_combined_sql(), parameters, prepare=True).fetchone()
    recorded, attempts = found or (0, None)
    return recorded == 1, attempts is not None


def prepare_record_and_mark_next(connection: DeadlineConnection, *, now: datetime.datetime) -> None:
    """Let the driver prepare the statement of `record_and_mark_next`, by running it for no email."""
    claim = EmailClaim(uuid.UUID(int=0), EmailKind.REMINDER, 0)
    record_and_mark_next(connection, DeliveryResult(claim, DeliveryOutcome.ACCEPTED, ""), claim, now=now)


def complete_emails(
    session: Session,
    claims: Sequence[EmailClaim],
    *,
    hold_uncertain: bool,
    now: datetime.datetime,
    on_finished: OnFinished,
) -> Counter[str]:
    """Complete a worker's own claims by their recorded outcomes; return counts by outcome.

    Emails that were cancelled or taken over since are not changed; they count as `lease_lost`.
    """
    leases = {claim.email_id: claim.lease_number for claim in claims}
    emails = [email for email in _lock_rows(session, leases) if email.lease_number == leases[email.id]]
    counts = _complete(session, emails, hold_uncertain=hold_uncertain, now=now, on_finished=on_finished)
    if len(claims) > len(emails):
        counts["lease_lost"] = len(claims) - len(emails)
    return counts


def recover_expired_leases(
    session: Session,
    *,
    hold_uncertain: bool,
    now: datetime.datetime,
    on_finished: OnFinished,
    worker: uuid.UUID | None = None,
    limit: int = BATCH_SIZE,
) -> Counter[str]:
    """Complete emails whose lease has expired, or only those that `worker` still leases after a failed run.

    Returns counts by outcome.
    """
    lost = OutgoingEmail.leased_until <= now if worker is None else OutgoingEmail.leased_by == worker
    # What another worker completes is skipped, so that it does not hide what lies behind it. Because no lock is
    # waited for, these emails may be locked before their reminders.
    query = select(OutgoingEmail.id).where(status_is(EmailStatus.SENDING), lost).order_by(OutgoingEmail.id)
    ids = session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()
    emails = _lock_rows(session, ids, lost, skip_locked=True)
    return _complete(session, emails, hold_uncertain=hold_uncertain, now=now, on_finished=on_finished)


def finish_unsent(
    session: Session, unsent: Sequence[UnsentEmail], *, now: datetime.datetime, on_finished: OnFinished
) -> Counter[str]:
    """Skip, fail or postpone claimed emails that are not sent; return counts by outcome.

    Emails that were cancelled or taken over since are not changed and not counted.
    """
    by_id = {each.claim.email_id: each for each in unsent}
    counts: Counter[str] = Counter()
    finished = []
    for email in _load(session, [row.id for row in _lock_rows(session, by_id)]):
        each = by_id[email.id]
        if email.lease_number != each.claim.lease_number:
            continue
        transition_email(email, each.event, reason=each.reason)
        counts[each.counter] += 1
        if each.retry_at is not None:
            email.due_at = each.retry_at
        else:
            email.finished_at = email.finished_at or now
            is_suppressed = each.counter == "suppressed"
            finished.append(_finished(email, each.event, reason=each.reason, is_suppressed=is_suppressed))
    _report_finished(session, finished, on_finished)
    _count(session, counts)
    return counts


def resolve_delivery(
    outcome: DeliveryOutcome | None, *, attempts: int | None, reply: str | None, hold_uncertain: bool
) -> Resolution:
    """Decide what follows for an email whose worker is done or dead. No outcome means that it was not attempted.

    With `hold_uncertain`, an email that may have arrived fails, so that staff decide; else it is sent again.
    """
    used_up = (attempts or 0) >= MAX_ATTEMPTS
    match outcome:
        case None:
            return Resolution(NextStep.REQUEUE, NOT_ATTEMPTED, ("handed_back",))
        case DeliveryOutcome.ACCEPTED:
            return Resolution(NextStep.DELIVERED, None, ("sent",))
        case DeliveryOutcome.NOT_ATTEMPTED:
            return Resolution(NextStep.REQUEUE, reply, ("handed_back",))
        case DeliveryOutcome.SENDING if not hold_uncertain and not used_up:
            return Resolution(NextStep.REQUEUE, UNCERTAIN, ("in_doubt",))
        case DeliveryOutcome.SENDING:
            return Resolution(NextStep.FAILED, UNCERTAIN, ("in_doubt", "failed"))
        case DeliveryOutcome.DEFERRED if not used_up:
            return Resolution(NextStep.RETRY_LATER, reply, ("retried",))
        case _:
            return Resolution(NextStep.FAILED, reply, ("failed",))


def jittered_backoff(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: between zero and `max_backoff` ("full jitter").

    The seven waits between eight attempts add up to 46 hours on average, and to 92 at most.
    """
    return max_backoff(attempts) * random.random()  # noqa: S311 - it spreads load; a test can seed it


def max_backoff(attempts: int) -> datetime.timedelta:
    """Return the longest wait after so many attempts: 10, 30, 90 minutes and so on, at most 36 hours."""
    factor: int = 3 ** (attempts - 1)
    return min(INITIAL_BACKOFF * factor, MAX_BACKOFF)


# Parameters are prefixed, because SQLAlchemy reserves the names of columns in an UPDATE, and because
# `_combined_statement` takes the parameters of both statements.
_NOW: Any = bindparam("now", type_=TABLE.c.started_at.type)
_RESULT_OUTCOME: Any = bindparam("result_outcome", type_=TABLE.c.outcome.type)


def _mark_params(claim: EmailClaim, now: datetime.datetime) -> dict[str, Any]:
    return {"next_id": claim.email_id, "next_lease_number": claim.lease_number, "now": now}


def _result_params(result: DeliveryResult, now: datetime.datetime) -> dict[str, Any]:
    return {
        "result_id": result.claim.email_id,
        "result_lease_number": result.claim.lease_number,
        "result_outcome": result.outcome,
        "result_reply": result.smtp_reply[:MAX_REPLY_LENGTH],
        "now": now,
    }


def _literal(value: StrEnum) -> Any:
    """Return a value as part of the SQL text: SQLAlchemy would spend more time on a parameter than on the rest."""
    return literal_column(f"'{value}'")


@cache
def _mark_statement() -> Any:
    return (
        update(TABLE)
        .where(
            TABLE.c.id == bindparam("next_id"),
            TABLE.c.lease_number == bindparam("next_lease_number"),
            TABLE.c.status == _literal(EmailStatus.SENDING),
            # An accepted email is not sent again, even if its worker recorded that after its lease expired.
            or_(TABLE.c.outcome.is_(None), TABLE.c.outcome != _literal(DeliveryOutcome.ACCEPTED)),
        )
        .values(
            # An email is sent once in a lease, so this is a repeat of a statement whose confirmation was lost.
            attempts=case(
                (TABLE.c.outcome == _literal(DeliveryOutcome.SENDING), TABLE.c.attempts),
                else_=TABLE.c.attempts + literal_column("1"),
            ),
            outcome=_literal(DeliveryOutcome.SENDING),
            started_at=_NOW,
            smtp_reply=null(),
            finished_at=null(),
        )
        .returning(TABLE.c.attempts)
    )


@cache
def _result_statement(uncounted: bool) -> Any:
    values: dict[str, Any] = {
        "outcome": _RESULT_OUTCOME,
        "smtp_reply": bindparam("result_reply"),
        "finished_at": _NOW,
    }
    if uncounted:
        values["attempts"] = TABLE.c.attempts - 1
    # Recording the same result again is harmless, except that an attempt must not be uncounted twice.
    same_result = false() if uncounted else TABLE.c.outcome == _RESULT_OUTCOME
    return (
        update(TABLE)
        .where(
            TABLE.c.id == bindparam("result_id"),
            TABLE.c.lease_number == bindparam("result_lease_number"),
            or_(TABLE.c.outcome == _literal(DeliveryOutcome.SENDING), same_result),
        )
        .values(values)
    )


@cache
def _combined_sql() -> Any:
    recorded = _result_statement(uncounted=False).returning(TABLE.c.attempts).cte("recorded")
    marked = _mark_statement().cte("marked")
    statement = select(
        select(func.count()).select_from(recorded).scalar_subquery().label("recorded"),
        select(marked.c.attempts).scalar_subquery().label("attempts"),
    )
    return str(statement.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]


def lock_reminders(
    session: Session, email_ids: Collection[uuid.UUID], *, skip_locked: bool = False
) -> Sequence[uuid.UUID]:
    """Lock the reminders that these emails are of, which comes before locking the emails; return their ids."""
    reminder_ids = select(OutgoingEmail.reminder_id).where(is_one_of(session, OutgoingEmail.id, email_ids))
    return session.scalars(
        select(Reminder.id)
        .where(Reminder.id.in_(reminder_ids))
        .order_by(Reminder.id)
        .with_for_update(skip_locked=skip_locked)
    ).all()


def _lock_rows(
    session: Session, email_ids: Collection[uuid.UUID], *conditions: ColumnElement[bool], skip_locked: bool = False
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Lock the reminders of these emails, and then the emails that are `sending` still; return what they hold."""
    if not email_ids:
        return []
    locked = lock_reminders(session, email_ids, skip_locked=skip_locked)
    has_locked_reminder = or_(
        OutgoingEmail.reminder_id.is_(None), is_one_of(session, OutgoingEmail.reminder_id, locked)
    )
    # Rows and not entities, because nearly all emails are completed by one statement for a whole batch.
    return session.execute(
        select(
            OutgoingEmail.id,
            OutgoingEmail.kind,
            OutgoingEmail.reminder_id,
            OutgoingEmail.occurrence,
            OutgoingEmail.lease_number,
            OutgoingEmail.outcome,
            OutgoingEmail.attempts,
            OutgoingEmail.smtp_reply,
            OutgoingEmail.finished_at,
        )
        .where(
            is_one_of(session, OutgoingEmail.id, email_ids),
            status_is(EmailStatus.SENDING),
            has_locked_reminder,
            *conditions,
        )
        .order_by(OutgoingEmail.id)
        .with_for_update(skip_locked=skip_locked)
    ).all()


def _load(session: Session, email_ids: Collection[uuid.UUID]) -> Sequence[OutgoingEmail]:
    """Return emails that are locked, as stored."""
    query = select(OutgoingEmail).where(is_one_of(session, OutgoingEmail.id, email_ids))
    return session.scalars(query.execution_options(populate_existing=True)).all() if email_ids else []


def _complete(
    session: Session,
    rows: Sequence[Row[*tuple[Any, ...]]],
    *,
    hold_uncertain: bool,
    now: datetime.datetime,
    on_finished: OnFinished,
) -> Counter[str]:
    counts: Counter[str] = Counter()
    accepted = [row for row in rows if row.outcome == DeliveryOutcome.ACCEPTED]
    if accepted:
        _mark_sent(session, accepted)
        counts["sent"] = len(accepted)
    finished = [_finished(row, EmailEvent.DELIVER) for row in accepted]
    for email in _load(session, [row.id for row in rows if row.outcome != DeliveryOutcome.ACCEPTED]):
        resolution = resolve_delivery(
            email.outcome, attempts=email.attempts, reply=email.smtp_reply, hold_uncertain=hold_uncertain
        )
        counts.update(resolution.counters)
        event = EVENT_BY_STEP[resolution.next_step]
        transition_email(email, event, reason=resolution.reason)
        if resolution.next_step == NextStep.RETRY_LATER:
            email.due_at = now + jittered_backoff(email.attempts)
        if resolution.next_step == NextStep.FAILED:
            finished.append(_finished(email, event, reason=email.reason))
    _report_finished(session, finished, on_finished)
    _count(session, counts)
    return counts


def _mark_sent(session: Session, accepted: Sequence[Row[*tuple[Any, ...]]]) -> None:
    """Complete locked emails that the server accepted, with one statement."""
    session.execute(
        update(OutgoingEmail)
        .where(is_one_of(session, OutgoingEmail.id, [row.id for row in accepted]))
        .values(
            status=next_status(EmailStatus.SENDING, EmailEvent.DELIVER),
            reason=None,
            leased_until=None,
            leased_by=None,
        )
        .execution_options(synchronize_session=False)
    )


def _finished(
    email: Any, event: EmailEvent, *, reason: str | None = None, is_suppressed: bool = False
) -> FinishedEmail | None:
    if email.reminder_id is None or email.occurrence is None:
        return None
    return FinishedEmail(
        kind=email.kind,
        reminder_id=email.reminder_id,
        occurrence=email.occurrence,
        event=event,
        reason=reason,
        finished_at=email.finished_at,
        is_suppressed=is_suppressed,
    )


def _report_finished(session: Session, finished: Sequence[FinishedEmail | None], on_finished: OnFinished) -> None:
    of_reminders = [each for each in finished if each is not None]
    if of_reminders:
        on_finished(session, of_reminders)


def _count(session: Session, counts: Counter[str]) -> None:
    # Written before the counters are locked, because every worker waits for those.
    session.flush()
    increment_counters(session, **{name: counts[name] for name in COUNTED if counts[name]})
