"""Failed emails: staff list them by reason and retry them once the cause is fixed."""

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail, status_is
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.email.delivery import lock_reminders
from service.domain.email.status import EmailEvent, transition_email
from service.domain.errors import EmailNotFound

BATCH_SIZE = 200
Columns = TypeVarTuple("Columns")

# Reports the reminders whose emails are retried, in the same transaction.
OnRetried = Callable[[Session, Sequence[uuid.UUID]], None]


@dataclass(frozen=True)
class EmailFailure:
    """The number of emails of one kind that failed for one reason; `campaign` is None if there is none."""

    kind: EmailKind
    campaign: str | None
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class EmailFilter:
    """A filter by status, kind, campaign slug, prefix of the reason and due date (exclusive).

    None matches everything.
    """

    status: EmailStatus | None = None
    kind: EmailKind | None = None
    campaign: str | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of a query that joins what an email is about."""
        conditions: list[ColumnElement[bool]] = []
        if self.status is not None:
            conditions.append(status_is(self.status))
        if self.kind is not None:
            conditions.append(OutgoingEmail.kind == self.kind)
        if self.campaign is not None:
            conditions.append(Campaign.slug == self.campaign)
        if self.reason is not None:
            conditions.append(OutgoingEmail.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            conditions.append(OutgoingEmail.due_at < self.due_before)
        return conditions


def list_emails(session: Session, filters: EmailFilter, *, limit: int) -> list[tuple[OutgoingEmail, str | None]]:
    """Return up to `limit` emails, newest first, each with the slug of its campaign."""
    query = _with_campaign(select(OutgoingEmail, Campaign.slug)).where(*filters.conditions())
    # The ids are ordered by time, and have an index.
    rows = session.execute(query.order_by(OutgoingEmail.id.desc()).limit(limit))
    return [(email, slug) for email, slug in rows]


def get_email(session: Session, email_id: uuid.UUID) -> tuple[OutgoingEmail, str | None]:
    """Return an email and the slug of its campaign, if it has one.

    Raises:
        EmailNotFound: no email has this id, or it was purged.
    """
    query = _with_campaign(select(OutgoingEmail, Campaign.slug)).where(OutgoingEmail.id == email_id)
    row = session.execute(query).first()
    if row is None:
        raise EmailNotFound("There is no email with this id.")
    return row[0], row[1]


def list_failures(session: Session, filters: EmailFilter) -> list[EmailFailure]:
    """Return the counts of failed emails by kind, campaign and reason, largest first."""
    count, reason = func.count(), func.coalesce(OutgoingEmail.reason, "")
    query = _with_campaign(select(OutgoingEmail.kind, Campaign.slug, reason, count))
    rows = session.execute(
        query.where(status_is(EmailStatus.FAILED), *filters.conditions())
        .group_by(OutgoingEmail.kind, Campaign.slug, reason)
        .order_by(count.desc(), OutgoingEmail.kind, Campaign.slug, reason)
    )
    return [EmailFailure(*row) for row in rows]


def retry_failures(
    session: Session,
    filters: EmailFilter,
    *,
    now: datetime.datetime,
    on_retried: OnRetried,
    limit: int = BATCH_SIZE,
) -> int:
    """Requeue up to `limit` failed emails, due now and with all their attempts left; return how many.

    Each keeps its Message-ID. One that is no longer relevant is skipped when it is claimed.
    """
    query = _with_campaign(select(OutgoingEmail.id)).where(status_is(EmailStatus.FAILED), *filters.conditions())
    ids = session.scalars(query.order_by(OutgoingEmail.due_at, OutgoingEmail.id).limit(limit)).all()
    return len(_requeue(session, ids, now=now, on_retried=on_retried, skip_locked=True))


def retry_email(session: Session, email_id: uuid.UUID, *, now: datetime.datetime, on_retried: OnRetried) -> None:
    """Requeue a failed email, due now and with all its attempts left.

    Raises:
        EmailNotFound: no email has this id.
        InvalidTransition: it has not failed.
    """
    if not _requeue(session, [email_id], now=now, on_retried=on_retried):
        email, _ = get_email(session, email_id)
        transition_email(email, EmailEvent.REQUEUE)


def _requeue(
    session: Session,
    email_ids: Sequence[uuid.UUID],
    *,
    now: datetime.datetime,
    on_retried: OnRetried,
    skip_locked: bool = False,
) -> Sequence[OutgoingEmail]:
    lock_reminders(session, email_ids)
    emails = session.scalars(
        select(OutgoingEmail)
        .where(OutgoingEmail.id.in_(email_ids), status_is(EmailStatus.FAILED))
        .order_by(OutgoingEmail.id)
        .with_for_update(skip_locked=skip_locked)
        .execution_options(populate_existing=True)
    ).all()
    for email in emails:
        transition_email(email, EmailEvent.REQUEUE)
        email.attempts, email.due_at = 0, now
    reminder_ids = [email.reminder_id for email in emails if email.reminder_id is not None]
    if reminder_ids:
        on_retried(session, reminder_ids)
    return emails


def _with_campaign(query: Select[*Columns]) -> Select[*Columns]:
    # Outer joins, because an email may have neither a reminder nor a pledge, and a campaign may have been deleted.
    return (
        query.select_from(OutgoingEmail)
        .outerjoin(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .outerjoin(Pledge, Pledge.id == OutgoingEmail.pledge_id)
        .outerjoin(Campaign, Campaign.id == func.coalesce(Reminder.campaign_id, Pledge.campaign_id))
    )
