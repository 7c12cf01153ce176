"""A fake mailer, and helpers for the jobs that send and recover reminders."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.emails import send_emails
from jobs.reminders import enqueue_reminders
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.email import delivery
from service.domain.email.delivery import DeliveryResult, OnFinished
from service.domain.email.queue import EmailClaim, claim_due_emails
from service.domain.ports import ReminderEmail, RenderedEmail
from service.domain.reminders.delivery import finish_reminders
from service.domain.reminders.queue import EnqueueResult, email_of_occurrence, enqueue_due_reminders

READER = "reader@news.example"


class FakeMailer:
    """Records the emails that it sends. `on_send` is called before each is accepted, `on_connect` on connect."""

    def __init__(
        self,
        on_send: Callable[[ReminderEmail], None] = lambda _: None,
        *,
        on_connect: Callable[[], None] = lambda: None,
    ) -> None:
        self.sent: list[ReminderEmail] = []
        self.on_send = on_send
        self.on_connect = on_connect
        self.connects = 0
        self.closes = 0
        # Emails are rendered ahead.
        self._rendered: dict[str, ReminderEmail] = {}

    def render(self, email: ReminderEmail) -> RenderedEmail:
        self._rendered[email.message_id] = email
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=b"")

    def connect(self) -> None:
        self.connects += 1
        self.on_connect()

    def prepare(self, message: RenderedEmail) -> None:
        """Ignore the hint."""

    def send_ahead(self) -> None:
        """Do nothing."""

    def send(self, message: RenderedEmail) -> str:
        email = self._rendered.pop(message.message_id)
        self.on_send(email)
        self.sent.append(email)
        return "250 OK"

    def close(self) -> None:
        self.closes += 1

    @property
    def addresses(self) -> list[str]:
        return [email.to for email in self.sent]


def with_mailer(container: Container, mailer: FakeMailer) -> Container:
    """Return a copy of the container with this mailer."""
    return dataclasses.replace(container, mailers=(mailer,), urgent_mailer=mailer, smtp_breaker=CircuitBreaker())


def without_sending_hours(container: Container) -> Container:
    """Return a copy of the container that ignores sending hours."""
    mail = dataclasses.replace(container.settings.mail, respect_sending_hours=False)
    return dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))


def stopped_event() -> threading.Event:
    """Return the event of a worker that is stopping."""
    stop = threading.Event()
    stop.set()
    return stop


def find(container: Container, reminder_id: object) -> Reminder:
    """Return a reminder as stored."""
    with container.database.read_only() as session:
        return session.get_one(Reminder, reminder_id)


def status_changes(container: Container, reminder_id: object) -> list[tuple[str, str]]:
    """Return a reminder's history as (event, new status)."""
    with container.database.read_only() as session:
        changes = session.scalars(
            select(ReminderStatusChange)
            .where(ReminderStatusChange.reminder_id == reminder_id)
            .order_by(ReminderStatusChange.id)
        )
        return [(change.event, change.to_status.value) for change in changes]


def run_send_reminders(container: Container, mailer: FakeMailer | None = None) -> Mapping[str, int]:
    """Enqueue what is due and send it, with this mailer if one is given; return the counts of both jobs."""
    if mailer is not None:
        container = with_mailer(container, mailer)
    counts = send_reminders(container)
    assert counts is not None
    return counts


def send_reminders(container: Container, stop: threading.Event | None = None) -> Mapping[str, int] | None:
    """Enqueue and send what is due; return the counts of both jobs, or None while the circuit breaker is open."""
    stop = stop or threading.Event()
    enqueued = enqueue_reminders(container, stop)
    counts = send_emails(container, stop)
    if counts is None or not enqueued["postponed"]:
        return counts
    return {**counts, "postponed": enqueued["postponed"] + counts.get("postponed", 0)}


def status_counts(container: Container) -> dict[str, int]:
    """Return the number of reminders by status."""
    with container.database.read_only() as session:
        rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status))
        return {status.value: count for status, count in rows}


def enqueue_due(session: Session, container: Container) -> EnqueueResult:
    """Put the emails of due reminders into the outbox, ignoring sending hours."""
    return enqueue_due_reminders(session, now=container.clock(), respect_sending_hours=False)


def claim(session: Session, container: Container, *, limit: int = 100) -> list[EmailClaim]:
    """Claim due emails, those of due reminders too, ignoring sending hours."""
    enqueue_due(session, container)
    return claim_due_emails(
        session,
        worker=container.worker_id,
        now=container.clock(),
        limit=limit,
        lease=container.lease_duration,
        respect_sending_hours=False,
    ).claims


def email_of(container: Container, reminder_id: object) -> OutgoingEmail:
    """Return the email of a reminder's current occurrence as stored."""
    with container.database.read_only() as session:
        return session.scalars(
            select(OutgoingEmail).join(Reminder, email_of_occurrence()).where(Reminder.id == reminder_id)
        ).one()


def reminder_of(container: Container, claim: EmailClaim) -> Reminder:
    """Return the reminder of a claimed email as stored."""
    with container.database.read_only() as session:
        query = select(Reminder).join(OutgoingEmail, OutgoingEmail.reminder_id == Reminder.id)
        return session.scalars(query.where(OutgoingEmail.id == claim.email_id)).one()


def mark_sending(container: Container, claim: EmailClaim) -> int:
    """Mark an email as sending; return the number of the attempt."""
    with container.database.transaction() as session:
        return delivery.mark_sending(session, claim, now=container.clock())


def record_result(
    container: Container, claim: EmailClaim, outcome: DeliveryOutcome, smtp_reply: str = "250 OK"
) -> None:
    """Record the result of an attempt."""
    with container.database.transaction() as session:
        delivery.record_result(session, DeliveryResult(claim, outcome, smtp_reply), now=container.clock())


def finisher(container: Container, *, month_seconds: int | None = None) -> OnFinished:
    """Return what completes the reminders of finished emails."""
    return partial(finish_reminders, now=container.clock(), month_seconds=month_seconds)


def complete_all(container: Container, *claims: EmailClaim, hold_uncertain: bool = False) -> dict[str, int]:
    """Complete claims by their recorded outcomes."""
    with container.database.transaction() as session:
        counts = delivery.complete_emails(
            session,
            claims,
            hold_uncertain=hold_uncertain,
            now=container.clock(),
            on_finished=finisher(container),
        )
        return dict(counts)


def recover_leases(container: Container, *, hold_uncertain: bool = False) -> dict[str, int]:
    """Recover expired leases."""
    with container.database.transaction() as session:
        counts = delivery.recover_expired_leases(
            session, hold_uncertain=hold_uncertain, now=container.clock(), on_finished=finisher(container)
        )
        return dict(counts)
