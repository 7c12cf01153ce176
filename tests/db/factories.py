"""Creates reminders, deliveries and pledges, and reads rows, for tests of what is stored."""

import uuid

from sqlalchemy import LargeBinary, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus, Frequency
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.addresses import normalise_address
from service.domain.email.outbox import PRIORITIES
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_payment
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import transition_reminder
from service.domain.supporters import get_or_create_supporter


def create_reminder(container: Container, address: str, **payload) -> uuid.UUID:
    """Create a reminder for this address, or update the one it has; return its id."""
    with container.database.transaction() as session:
        campaign = get_campaign(session, "default")
        create_or_update_reminder(
            session, campaign, CreateReminder(campaign="default", email=address, **payload), now=container.clock()
        )
        supporter_id = get_or_create_supporter(session, normalise_address(address), now=container.clock())
        reminder_id = session.scalar(select(Reminder.id).where(Reminder.supporter_id == supporter_id))
        assert reminder_id is not None
        return reminder_id


# What becomes of an email when its reminder ends in this way.
STATUS_BY_EVENT = {
    None: EmailStatus.SENDING,
    ReminderEvent.DELIVER: EmailStatus.SENT,
    ReminderEvent.REQUEST_CONFIRMATION: EmailStatus.SENT,
    ReminderEvent.SKIP: EmailStatus.SKIPPED,
    ReminderEvent.FAIL: EmailStatus.FAILED,
}


def record_delivery(
    container: Container,
    reminder_id: uuid.UUID,
    event: ReminderEvent | None = None,
    *,
    outcome: DeliveryOutcome = DeliveryOutcome.ACCEPTED,
    status: EmailStatus | None = None,
) -> None:
    """Put a reminder's email with one attempt into the outbox, and apply `event` as the worker would.

    Without `event` it is being sent, unless another `status` is given.
    """
    now = container.clock()
    with container.database.transaction() as session:
        reminder = session.get_one(Reminder, reminder_id)
        kind = EmailKind.REMINDER_CONFIRMATION if reminder.awaits_confirmation else EmailKind.REMINDER
        email = OutgoingEmail(
            kind=kind,
            dedup_key=f"{reminder.id}:{reminder.occurrence}",
            priority=PRIORITIES[kind],
            reminder_id=reminder.id,
            occurrence=reminder.occurrence,
            lang=reminder.lang,
            status=status or STATUS_BY_EVENT[event],
            due_at=reminder.due_at,
            created_at=now,
            lease_number=1,
            attempts=1,
            outcome=outcome,
            started_at=now,
            finished_at=None if outcome == DeliveryOutcome.SENDING else now,
        )
        if email.status == EmailStatus.SENDING:
            email.leased_by, email.leased_until = container.worker_id, now + container.lease_duration
        session.add(email)
        transition_reminder(session, reminder, ReminderEvent.ENQUEUE, now=now)
        if event is not None:
            transition_reminder(session, reminder, event, now=now)


def create_paid_pledge(container: Container, address: str | None, *, amount: int = 500) -> uuid.UUID:
    """Create a pledge, record its payment under this address, and return its id."""
    with container.database.transaction() as session:
        payload = CreatePledge(campaign="default", frequency=Frequency.ONCE, amount=amount, currency="USD")
        pledge = create_pledge(
            session, get_campaign(session, "default"), payload, gateway="sandbox", now=container.clock()
        )
        charge = SandboxCharge(reference=f"paid-{pledge.id}", money=Money(amount, "USD"))
        record_sandbox_payment(session, pledge.id, charge, email=address, now=container.clock())
        return pledge.id


def encrypted_emails(session: Session) -> dict[uuid.UUID, bytes]:
    """Return every stored address as ciphertext, by supporter."""
    rows = session.execute(select(Supporter.id, type_coerce(Supporter.email, LargeBinary)))
    return {row_id: bytes(value) for row_id, value in rows}


def count_rows(session: Session, table: type) -> int:
    """Return how many rows a table holds."""
    return session.scalar(select(func.count()).select_from(table)) or 0


def supporter_of(session: Session, pledge_id: uuid.UUID) -> uuid.UUID | None:
    """Return the supporter of a pledge."""
    return session.scalar(select(Pledge.supporter_id).where(Pledge.id == pledge_id))
