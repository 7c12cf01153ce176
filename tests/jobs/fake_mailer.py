"""A fake mailer, and helpers for the jobs that send and recover reminders."""

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
from service.domain.email.delivery import DeliveryResult
from service.domain.ports import ReminderEmail, RenderedEmail, SendCancelled
from service.domain.reminders import delivery
from service.domain.reminders.delivery import DeliveryPolicy, complete_deliveries, recover_expired_leases
from service.domain.reminders.queue import ReminderClaim, claim_due_reminders

READER = "reader@news.example"
DEFAULT_POLICY = DeliveryPolicy()


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
        self._rendered: ReminderEmail | None = None

    def render(self, email: ReminderEmail) -> RenderedEmail:
        self._rendered = email
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=b"")

    def connect(self) -> None:
        self.connects += 1
        self.on_connect()

    def prepare(self, message: RenderedEmail) -> None:
        """Ignore the hint."""

    def send(self, message: RenderedEmail, *, before_data: Callable[[], bool]) -> str:
        if not before_data():
            raise SendCancelled("cancelled before DATA")
        email = self._rendered
        assert email is not None
        assert email.message_id == message.message_id
        self.on_send(email)
        self.sent.append(email)
        return "250 OK"

    def close(self) -> None:
        self.closes += 1

    @property
    def addresses(self) -> list[str]:
        return [email.to for email in self.sent]


def with_mailer(container: Container, mailer: FakeMailer) -> Container:
    """Return a copy of the container with this mailer for reminders."""
    return dataclasses.replace(container, reminder_mailers=(mailer,), smtp_breaker=CircuitBreaker())


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
    """Run the job once, with this mailer if one is given; return its counts."""
    counts = send_reminders(container if mailer is None else with_mailer(container, mailer), threading.Event())
    assert counts is not None
    return counts


def status_counts(container: Container) -> dict[str, int]:
    """Return the number of reminders by status."""
    with container.database.read_only() as session:
        rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status))
        return {status.value: count for status, count in rows}


def claim(session: Session, container: Container, *, limit: int = 100) -> list[ReminderClaim]:
    """Claim due reminders, ignoring sending hours."""
    return claim_due_reminders(
        session,
        worker=container.worker_id,
        now=container.clock(),
        limit=limit,
        lease=container.lease_duration,
        respect_sending_hours=False,
    ).claims


def mark_sending(container: Container, claim: ReminderClaim) -> int:
    """Mark a reminder as sending; return the number of the attempt."""
    with container.database.transaction() as session:
        return delivery.mark_sending(session, claim, now=container.clock())


def record_result(
    container: Container, claim: ReminderClaim, outcome: DeliveryOutcome, smtp_reply: str = "250 OK"
) -> None:
    """Record the result of an attempt."""
    with container.database.transaction() as session:
        delivery.record_result(session, DeliveryResult(claim, outcome, smtp_reply), now=container.clock())


def complete_all(
    container: Container, *claims: ReminderClaim, policy: DeliveryPolicy = DEFAULT_POLICY
) -> dict[str, int]:
    """Complete claims by their delivery records."""
    with container.database.transaction() as session:
        return dict(complete_deliveries(session, claims, policy=policy, now=container.clock()))


def recover_leases(container: Container, *, policy: DeliveryPolicy = DEFAULT_POLICY) -> dict[str, int]:
    """Recover expired leases."""
    with container.database.transaction() as session:
        return dict(recover_expired_leases(session, policy=policy, now=container.clock()))
