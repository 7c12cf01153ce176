"""Mailers that do as a test says, and what happens around a run of the job."""

import dataclasses
import threading
from collections.abc import Callable, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.reminders import send_reminders
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import ReminderEmail, RenderedEmail, SendCancelled
from service.domain.reminders import delivery as delivery
from service.domain.reminders.delivery import (
    DeliveryPolicy,
    DeliveryResult,
    complete_deliveries,
    recover_expired_leases,
)
from service.domain.reminders.queue import ReminderClaim, claim_due_reminders

READER = "reader@news.example"
DEFAULT_RULES = DeliveryPolicy()


class FakeMailer:
    """A mailer that keeps the letters and calls `on_send` before it takes each; `on_open` before each as well."""

    def __init__(
        self,
        on_send: Callable[[ReminderEmail], None] = lambda _: None,
        *,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self.sent: list[ReminderEmail] = []
        self.on_send = on_send
        self.on_open = on_open
        self.opened = 0
        self.closed = 0
        self._written: ReminderEmail | None = None

    def render(self, email: ReminderEmail) -> RenderedEmail:
        self._written = email
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=b"")

    def connect(self) -> None:
        self.opened += 1
        self.on_open()

    def send(self, mail: RenderedEmail, *, before_data: Callable[[], bool]) -> str:
        if not before_data():
            raise SendCancelled("it was not to leave after all")
        email = self._written
        assert email is not None
        assert email.message_id == mail.message_id
        self.on_send(email)
        self.sent.append(email)
        return "250 OK"

    def close(self) -> None:
        self.closed += 1

    @property
    def addresses(self) -> list[str]:
        return [email.to for email in self.sent]


def with_mailer(container: Container, post: FakeMailer) -> Container:
    """Return the desk with another mailer."""
    return dataclasses.replace(container, reminder_mailers=(post,), smtp_breaker=CircuitBreaker())


def without_sending_hours(container: Container) -> Container:
    """Return the desk with late mails that do not wait for the morning."""
    mail = dataclasses.replace(container.settings.mail, respect_sending_hours=False)
    return dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))


def stopped_event() -> threading.Event:
    """Return what a worker looks at that is told to stop."""
    stop = threading.Event()
    stop.set()
    return stop


def find(container: Container, reminder_id: object) -> Reminder:
    """Return a reminder as it stands."""
    with container.database.read_only() as session:
        return session.get_one(Reminder, reminder_id)


def status_changes(container: Container, reminder_id: object) -> list[tuple[str, str]]:
    """Return every move of a reminder as (event, where it stood then)."""
    with container.database.read_only() as session:
        moves = session.scalars(
            select(ReminderStatusChange)
            .where(ReminderStatusChange.reminder_id == reminder_id)
            .order_by(ReminderStatusChange.id)
        )
        return [(move.event, move.to_status.value) for move in moves]


def run_send_reminders(container: Container, post: FakeMailer | None = None) -> Mapping[str, int]:
    """Run the job once, with another mailer if one is given; return what it counts."""
    counts = send_reminders(container if post is None else with_mailer(container, post), threading.Event())
    assert counts is not None
    return counts


def status_counts(container: Container) -> dict[str, int]:
    """Return how many reminders stand where."""
    with container.database.read_only() as session:
        rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status))
        return {status.value: count for status, count in rows}


def claim(session: Session, container: Container, *, limit: int = 100) -> list[ReminderClaim]:
    """Claim what is due, whatever the hour."""
    return claim_due_reminders(
        session,
        worker=container.worker_id,
        now=container.clock(),
        limit=limit,
        lease=container.lease_duration,
        respect_sending_hours=False,
    ).claims


def mark_sending(container: Container, claim: ReminderClaim) -> int:
    """Write down that a mail is about to leave; return which attempt it is."""
    with container.database.transaction() as session:
        return delivery.mark_sending(session, claim, now=container.clock())


def record_result(
    container: Container, claim: ReminderClaim, outcome: DeliveryOutcome, words: str = "250 OK"
) -> None:
    """Write down what became of a mail."""
    with container.database.transaction() as session:
        delivery.record_result(session, DeliveryResult(claim, outcome, words), now=container.clock())


def complete_all(
    container: Container, *claims: ReminderClaim, rules: DeliveryPolicy = DEFAULT_RULES
) -> dict[str, int]:
    """Settle claims by what is on record of them."""
    with container.database.transaction() as session:
        return dict(complete_deliveries(session, claims, rules=rules, now=container.clock()))


def recover_leases(container: Container, *, rules: DeliveryPolicy = DEFAULT_RULES) -> dict[str, int]:
    """Sweep up what was lost."""
    with container.database.transaction() as session:
        return dict(recover_expired_leases(session, rules=rules, now=container.clock()))
