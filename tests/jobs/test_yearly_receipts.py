"""One receipt a year: the reader's choice, the receipts that it replaces, and the email in January."""

import datetime
import threading
import uuid

import pytest
from sqlalchemy import select, update

from jobs.notifications import queue_renewal_notifications
from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.money import Money
from service.domain.notifications.context import NOT_WANTED
from service.domain.notifications.yearly_receipts import choose_receipts, enqueue_yearly_receipts
from service.domain.payments.event_handlers import handle_event
from service.domain.ports.payment_events import PaymentSucceeded
from tests.jobs.fake_mailer import READER, FakeMailer
from tests.jobs.notifications import put_pledge, run

RUNNING = threading.Event()
JANUARY = datetime.datetime(2027, 1, 2, 9, 0, tzinfo=datetime.UTC)


def pay(container: Container, pledge_id: uuid.UUID, reference: str) -> None:
    event = PaymentSucceeded(
        reference=reference, money=Money(500, "USD"), occurred_at=container.clock(), pledge_id=pledge_id
    )
    with container.database.transaction() as session:
        handle_event(session, "stripe", event, now=container.clock())


def wish(container: Container, *, yearly: bool = True) -> None:
    with container.database.transaction() as session:
        supporter_id = session.scalars(select(Supporter.id)).one()
        choose_receipts(session, supporter_id, yearly=yearly)


def emails_of(container: Container, kind: EmailKind) -> list[OutgoingEmail]:
    with container.database.read_only() as session:
        query = select(OutgoingEmail).where(OutgoingEmail.kind == kind).order_by(OutgoingEmail.id)
        return list(session.scalars(query))


@pytest.fixture
def pledge_id(container: Container) -> uuid.UUID:
    """Return a monthly pledge that was paid once, whose reader then chose one receipt a year."""
    pledge_id = put_pledge(container)
    pay(container, pledge_id, "in_1")
    wish(container)
    return pledge_id


@pytest.mark.parametrize("yearly", [True, False])
def test_renewals_have_a_receipt_only_without_that_choice(
    container: Container, pledge_id: uuid.UUID, yearly: bool
) -> None:
    wish(container, yearly=yearly)
    container.clock.advance(days=30)
    pay(container, pledge_id, "in_2")
    assert len(emails_of(container, EmailKind.RECEIPT)) == (1 if yearly else 2)


def test_first_payment_and_one_time_donations_always_have_a_receipt(
    container: Container, pledge_id: uuid.UUID
) -> None:
    for number, frequency in enumerate(Frequency):
        pay(container, put_pledge(container, frequency=frequency, status=PledgeStatus.PENDING), f"first_{number}")
    assert len(emails_of(container, EmailKind.RECEIPT)) == 4


def test_email_in_january_says_once_that_the_receipt_is_ready(container: Container, pledge_id: uuid.UUID) -> None:
    container.clock.now = JANUARY
    for _ in range(2):
        counts = queue_renewal_notifications(container, RUNNING)
    assert counts == {"announced": 0}
    mailer = FakeMailer()
    run(container, mailer)
    [email] = [sent for sent in mailer.sent if sent.kind == EmailKind.YEARLY_RECEIPT]
    assert email.to == READER
    assert email.page_url == "http://desk.test/me/statements"
    assert email.event_date == datetime.date(2026, 12, 31)
    container.clock.advance(days=20)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 0}


def test_email_is_due_at_the_sending_hour(container: Container, pledge_id: uuid.UUID) -> None:
    with container.database.transaction() as session:
        campaign = session.get_one(Pledge, pledge_id).campaign
        campaign.timezone, campaign.send_hour = "America/New_York", 9
    container.clock.now = JANUARY
    queue_renewal_notifications(container, RUNNING)
    [email] = emails_of(container, EmailKind.YEARLY_RECEIPT)
    assert email.due_at == datetime.datetime(2027, 1, 2, 14, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "now",
    [
        datetime.datetime(2026, 12, 31, 23, 0, tzinfo=datetime.UTC),
        datetime.datetime(2027, 1, 1, 12, 0, tzinfo=datetime.UTC),
        datetime.datetime(2027, 4, 1, tzinfo=datetime.UTC),
        datetime.datetime(2028, 1, 5, tzinfo=datetime.UTC),
    ],
)
def test_there_is_none_at_other_times_or_for_a_year_without_payments(
    container: Container, pledge_id: uuid.UUID, now: datetime.datetime
) -> None:
    with container.database.transaction() as session:
        assert enqueue_yearly_receipts(session, now=now) == 0


def test_one_time_givers_and_readers_without_the_choice_get_none(
    container: Container, pledge_id: uuid.UUID
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(frequency=Frequency.ONCE))
        assert enqueue_yearly_receipts(session, now=JANUARY) == 0
        session.execute(update(Pledge).values(frequency=Frequency.MONTHLY))
    wish(container, yearly=False)
    with container.database.transaction() as session:
        assert enqueue_yearly_receipts(session, now=JANUARY) == 0


def test_choice_that_was_taken_back_withholds_the_email(container: Container, pledge_id: uuid.UUID) -> None:
    container.clock.now = JANUARY
    queue_renewal_notifications(container, RUNNING)
    wish(container, yearly=False)
    run(container)
    [email] = emails_of(container, EmailKind.YEARLY_RECEIPT)
    assert (email.status, email.reason) == (EmailStatus.SKIPPED, NOT_WANTED)
