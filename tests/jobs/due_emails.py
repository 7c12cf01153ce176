"""Due emails of the kinds that differ in how they are enqueued and completed, for what every email is promised."""

import datetime
import uuid
from collections.abc import Callable, Mapping

from sqlalchemy import select

from schemas.enums import EmailKind
from service.container import Container
from service.db.models.email import OutgoingEmail
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import fake_mailer, notifications
from tests.jobs.fake_mailer import READER, FakeMailer

# Reminders have a status of their own, and are enqueued when they fall due.
KINDS = (EmailKind.REMINDER, EmailKind.RECEIPT)
MONTH = datetime.timedelta(days=32)


def create_due_emails(container: Container, clock: FakeClock, kind: EmailKind, *, count: int) -> None:
    """Create `count` due emails of one kind; those of reminders are not enqueued yet."""
    for number in range(count):
        to = READER if count == 1 else f"reader-{number}@news.example"
        if kind == EmailKind.REMINDER:
            create_reminder(container, to)
        else:
            notifications.enqueue(container, kind, to=to)
    clock.now += MONTH


def enqueue_due_emails(container: Container, clock: FakeClock, kind: EmailKind, *, count: int) -> list[uuid.UUID]:
    """Put `count` due emails of one kind into the outbox; return their ids in the order in which they are due."""
    create_due_emails(container, clock, kind, count=count)
    with container.database.transaction() as session:
        fake_mailer.enqueue_due(session, container)
        query = select(OutgoingEmail.id).where(OutgoingEmail.kind == kind)
        return list(session.scalars(query.order_by(OutgoingEmail.due_at, OutgoingEmail.id)))


def enqueue_due_email(container: Container, clock: FakeClock, kind: EmailKind) -> uuid.UUID:
    """Put one due email into the outbox; return its id."""
    [email_id] = enqueue_due_emails(container, clock, kind, count=1)
    return email_id


def run_job(kind: EmailKind) -> Callable[[Container, FakeMailer], Mapping[str, int]]:
    """Return what sends emails of this kind: those of reminders are enqueued first."""
    return fake_mailer.run_send_reminders if kind == EmailKind.REMINDER else notifications.run


def find(container: Container, email_id: uuid.UUID) -> OutgoingEmail:
    """Return an email as stored."""
    with container.database.read_only() as session:
        return session.get_one(OutgoingEmail, email_id)
