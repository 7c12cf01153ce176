"""The transactional outbox: a row of `emails` is written together with what it reports, and a worker sends it."""

import datetime
import uuid
from collections.abc import Collection
from functools import cache
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Installation
from service.db.upsert import insert_into
from service.domain.email.status import TRANSITIONS, EmailEvent

# Readers wait for these at their screens.
IMMEDIATE: Final = 1
# Readers expect these soon after they gave.
PROMPT: Final = 2
# Nobody waits for these, and there may be hundreds of thousands at once.
SCHEDULED: Final = 3
PRIORITIES: Final = {
    EmailKind.SIGN_IN: IMMEDIATE,
    EmailKind.EMAIL_CHANGE: IMMEDIATE,
    EmailKind.ERASURE: IMMEDIATE,
    EmailKind.REMINDER_CONFIRMATION: IMMEDIATE,
    EmailKind.RECEIPT: PROMPT,
    EmailKind.PAYMENT_FAILED: PROMPT,
    EmailKind.RENEWAL: PROMPT,
    EmailKind.CANCELLED: PROMPT,
    EmailKind.REFUND: PROMPT,
    EmailKind.MONTHLY_YEARLY: PROMPT,
    EmailKind.YEARLY_RECEIPT: PROMPT,
    EmailKind.PAUSED: PROMPT,
    EmailKind.RESUMING: PROMPT,
    EmailKind.PAUSE_MISSED: PROMPT,
    EmailKind.RESUMED: PROMPT,
    EmailKind.CHANGED: PROMPT,
    EmailKind.EMAIL_CHANGED: PROMPT,
    EmailKind.ALERT: PROMPT,
    EmailKind.REMINDER: SCHEDULED,
}
TABLE: Any = OutgoingEmail.__table__


def enqueue_email(
    session: Session,
    kind: EmailKind,
    dedup_key: str,
    *,
    lang: str,
    now: datetime.datetime,
    due_at: datetime.datetime | None = None,
    supporter_id: uuid.UUID | None = None,
    pledge_id: uuid.UUID | None = None,
    payment_id: uuid.UUID | None = None,
    sign_in_id: uuid.UUID | None = None,
    email_change_id: uuid.UUID | None = None,
    erasure_request_id: uuid.UUID | None = None,
    event_date: datetime.date | None = None,
    subject: str | None = None,
    body: str | None = None,
    happened_at: datetime.datetime | None = None,
) -> bool:
    """Enqueue an email that is due at `due_at`, or now; return False if it was enqueued before.

    `dedup_key` identifies the event, such as a payment's id, and is never reused. There is one email for each kind
    and key, so that handling an event twice sends one. It is held if what it reports `happened_at` an instant
    before which the emails were sent, as far as a restored backup is known to have missed them. Emails of
    reminders are enqueued by `service.domain.reminders.queue`.
    """
    row = {
        "id": new_id(),
        "kind": kind,
        "dedup_key": dedup_key,
        "priority": PRIORITIES[kind],
        "supporter_id": supporter_id,
        "pledge_id": pledge_id,
        "payment_id": payment_id,
        "sign_in_id": sign_in_id,
        "email_change_id": email_change_id,
        "erasure_request_id": erasure_request_id,
        "event_date": event_date,
        "subject": subject,
        "body": body,
        "lang": lang,
        "status": EmailStatus.SCHEDULED,
        "created_at": now,
        "lease_number": 0,
        "attempts": 0,
        "held_at": now if happened_at is not None and _was_reported(session, happened_at) else None,
    }
    connection = session.connection()
    row |= {"due_now": now} if due_at is None else {"due_at": due_at}
    statement = _insert_statement(connection.dialect.name, due_now=due_at is None)
    return connection.execute(statement, row).first() is not None


def _was_reported(session: Session, happened_at: datetime.datetime) -> bool:
    sent_before = session.scalar(select(Installation.sent_before))
    return sent_before is not None and happened_at < sent_before


def enqueue_alert(session: Session, topic: str, *, subject: str, body: str, now: datetime.datetime) -> bool:
    """Enqueue an email to staff, at most one for each `topic` and day in UTC; return False if there is one.

    It goes to the addresses in ALERT_EMAIL, or is skipped if there is none. `subject` and `body` are plain English
    without personal data. The body says what happened and what to do, in paragraphs between blank lines.
    """
    return enqueue_email(
        session, EmailKind.ALERT, f"{topic}@{now.date()}", lang="en", now=now, subject=subject, body=body
    )


def cancel_reminder_emails(session: Session, reminder_ids: Collection[uuid.UUID]) -> None:
    """Cancel what is in the outbox for these reminders, whose rows the caller has locked.

    A worker that has begun to send such an email records its result all the same.
    """
    cancellable = [status for status, event in TRANSITIONS if event == EmailEvent.CANCEL]
    session.execute(
        update(OutgoingEmail)
        .where(OutgoingEmail.reminder_id.in_(reminder_ids), OutgoingEmail.status.in_(cancellable))
        .values(status=EmailStatus.CANCELLED, leased_by=None, leased_until=None)
        .execution_options(synchronize_session=False)
    )


@cache
def _insert_statement(database: str, *, due_now: bool) -> Any:
    statement = insert_into(database, OutgoingEmail)
    if due_now:
        # A web server whose clock is ahead does not delay the email: workers go by the database's clock.
        now = bindparam("due_now", type_=TABLE.c.due_at.type)
        statement = statement.values(
            due_at=func.least(now, func.clock_timestamp()) if database == "postgresql" else now
        )
    return statement.on_conflict_do_nothing(index_elements=["kind", "dedup_key"]).returning(TABLE.c.id)
