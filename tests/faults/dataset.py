"""Large data sets of due reminders, inserted with COPY, and their status."""

import datetime
import uuid

import psycopg
from sqlalchemy import and_, func, or_, select, update

from schemas.enums import EmailStatus, ReminderStatus
from service.container import Container
from service.db.base import new_id
from service.db.clock import utc_now
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import EMAIL_TYPE

SUPPORTERS = "COPY supporters (id, email, email_hash, created_at) FROM STDIN"
REMINDERS = (
    "COPY reminders (id, campaign_id, supporter_id, status, occurrence, months, due_on, due_at, timezone, "
    "currency, lang, asked_at, awaits_confirmation) FROM STDIN"
)
MONTH = datetime.timedelta(days=30)


def address(number: int) -> str:
    """Return the address of a reader by number."""
    return f"reader-{number}@news.example"


def addresses(count: int) -> set[str]:
    """Return the addresses of the first `count` readers."""
    return {address(number) for number in range(count)}


def fill(container: Container, count: int, *, slug: str = "default", first: int = 0) -> list[uuid.UUID]:
    """Insert due reminders of `count` readers, the first one the oldest; return their ids."""
    keyring, now = container.database.keyring, utc_now()
    with container.database.read_only() as session:
        campaign_id = session.scalars(select(Campaign.id).where(Campaign.slug == slug)).one()
    supporters = {new_id(): address(number) for number in range(first, first + count)}
    ids = [new_id() for _ in supporters]
    connection = container.database.engine.raw_connection()
    try:
        cursor: psycopg.Cursor = connection.cursor()
        with cursor.copy(SUPPORTERS) as copy:
            for supporter, email in supporters.items():
                encrypted = keyring.encrypt(email.encode(), context=EMAIL_TYPE.context.encode())
                copy.write_row((supporter, encrypted, keyring.lookup_hash(email), now - MONTH))
        with cursor.copy(REMINDERS) as copy:
            for late, (reminder_id, supporter) in enumerate(
                zip(reversed(ids), reversed(supporters), strict=True), start=1
            ):
                due_at = now - datetime.timedelta(milliseconds=late)
                row = (reminder_id, campaign_id, supporter, "scheduled", 1, 1, due_at.date(), due_at, "UTC", "USD")
                copy.write_row((*row, "en", now - MONTH, False))
        connection.commit()
        cursor.execute("ANALYZE supporters, reminders")
        connection.commit()
    finally:
        connection.close()
    return ids


def status_counts(container: Container) -> dict[str, int]:
    """Return the number of reminders by status."""
    with container.database.read_only() as session:
        rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status))
        return {status.value: count for status, count in rows}


def email_counts(container: Container) -> dict[str, int]:
    """Return the number of emails by status."""
    with container.database.read_only() as session:
        rows = session.execute(select(OutgoingEmail.status, func.count()).group_by(OutgoingEmail.status))
        return {status.value: count for status, count in rows}


def is_idle(container: Container) -> bool:
    """Whether no reminder is due, and no email is due or being sent."""
    now = utc_now()
    is_due = OutgoingEmail.status == EmailStatus.SCHEDULED, OutgoingEmail.due_at <= now
    due = select(Reminder.id).where(Reminder.status == ReminderStatus.SCHEDULED, Reminder.due_at <= now)
    open_emails = select(OutgoingEmail.id).where(or_(OutgoingEmail.status == EmailStatus.SENDING, and_(*is_due)))
    with container.database.read_only() as session:
        return all(session.scalar(query.limit(1)) is None for query in (due, open_emails))


def expire_backoffs(container: Container) -> None:
    """Make due what waits for its backoff."""
    with container.database.transaction() as session:
        waiting = OutgoingEmail.status == EmailStatus.SCHEDULED, OutgoingEmail.due_at > utc_now()
        session.execute(update(OutgoingEmail).where(*waiting).values(due_at=utc_now()))
