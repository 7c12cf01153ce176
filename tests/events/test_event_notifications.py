"""What Stripe tells ends in mails: one for each thing that a reader should know, and none that is needless."""

import itertools
import re
import threading
from email import message_from_string
from email.policy import default as modern

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.payments import process_gateway_events
from schemas.enums import Frequency, NotificationKind, PaymentStatus
from service.container import Container
from service.db.models.email import DevOutboxEmail, Notification
from service.db.models.payment import Payment
from tests.conftest import PUBLIC_URL
from tests.events.stripe_fixture import StripeScenario
from tests.jobs.notifications import run as send
from tests.stripe_double.account import StripeJson

GO_ON = threading.Event()
READER = "ada@news.example"


def notices(container: Container, kind: NotificationKind) -> list[Notification]:
    """Return the notices of a kind, the oldest first."""
    with container.database.read_only() as session:
        return list(
            session.scalars(select(Notification).where(Notification.kind == kind).order_by(Notification.id))
        )


def mails(container: Container) -> list[str]:
    """Return what the mails that left say, the oldest first."""
    with container.database.read_only() as session:
        kept = session.scalars(select(DevOutboxEmail.message).order_by(DevOutboxEmail.id)).all()
    parsed = [message_from_string(mail, policy=modern) for mail in kept]
    assert {mail["To"].addresses[0].addr_spec for mail in parsed} <= {READER}
    return [f"{mail['Subject']}\n{mail.get_body(('plain',)).get_content()}" for mail in parsed]


def begin(scenario: StripeScenario, frequency: Frequency = Frequency.MONTHLY) -> str:
    """Let a reader begin to give, with the webhook connected; return what Stripe calls the subscription."""
    opened = scenario.create_checkout(frequency)
    scenario.stripe.deliver = scenario.deliver_webhooks
    scenario.stripe.pay(scenario.session_of(opened), email=READER)
    scenario.run_until_settled()
    return scenario.books(opened.id)["pledge"]["subscription_reference"]


def of_kind(events: list[StripeJson], kind: str) -> StripeJson:
    return next(event for event in events if event["type"] == kind)


@pytest.mark.parametrize("order", list(itertools.permutations(("checkout.session.completed", "invoice.paid"))))
def test_a_payment_has_one_receipt_whether_its_reader_is_known_before_or_after_it(
    scenario: StripeScenario, container: Container, order: tuple[str, str]
) -> None:
    opened = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(opened), email=READER)
    for kind in order:
        scenario.deliver_webhooks(of_kind(scenario.stripe.events, kind))
        scenario.run_event_job()
    [receipt] = notices(container, NotificationKind.RECEIPT)
    with container.database.read_only() as session:
        assert receipt.payment_id == session.scalars(select(Payment.id)).one()
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_settled()
    assert len(notices(container, NotificationKind.RECEIPT)) == 1


def test_every_payment_that_came_has_a_receipt_and_a_try_that_failed_has_none(
    scenario: StripeScenario, container: Container
) -> None:
    subscription = begin(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.stripe.retry_successfully(subscription)
    scenario.stripe.renew(subscription)
    scenario.run_until_settled()
    with container.database.read_only() as session:
        rows = session.execute(select(Payment.id, Payment.status)).all()
    assert sorted(status.value for _, status in rows) == ["failed", "succeeded", "succeeded", "succeeded"]
    came = {payment_id for payment_id, status in rows if status != PaymentStatus.FAILED}
    receipts = notices(container, NotificationKind.RECEIPT)
    assert len(receipts) == 3
    assert {receipt.payment_id for receipt in receipts} == came


def test_a_bill_that_is_not_paid_is_told_of_three_times_and_its_end_once(
    scenario: StripeScenario, container: Container
) -> None:
    subscription = begin(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.run_event_job()
    told = [len(notices(container, NotificationKind.PAYMENT_FAILED))]
    for _ in range(3):
        scenario.stripe.fail_retry(subscription)
        scenario.run_event_job()
        told.append(len(notices(container, NotificationKind.PAYMENT_FAILED)))
    assert told == [1, 2, 3, 3]
    assert all(
        notification.event_date is not None for notification in notices(container, NotificationKind.PAYMENT_FAILED)
    )
    assert notices(container, NotificationKind.CANCELLED) == []
    scenario.stripe.exhaust_retries(subscription)
    scenario.run_until_settled()
    scenario.stripe.resend(*scenario.stripe.events)
    scenario.run_until_settled()
    assert len(notices(container, NotificationKind.PAYMENT_FAILED)) == 3
    assert len(notices(container, NotificationKind.CANCELLED)) == 1


def test_the_next_bill_that_is_not_paid_is_told_of_anew(scenario: StripeScenario, container: Container) -> None:
    subscription = begin(scenario)
    for _ in range(2):
        scenario.stripe.fail_renewal(subscription)
        scenario.run_event_job()
        scenario.stripe.retry_successfully(subscription)
        scenario.run_event_job()
    first, second = notices(container, NotificationKind.PAYMENT_FAILED)
    assert first.dedup_key.endswith("#1")
    assert second.dedup_key.endswith("#1")
    assert first.dedup_key != second.dedup_key


@pytest.mark.parametrize(
    ("frequency", "told"), [(Frequency.ANNUAL, 1), (Frequency.MONTHLY, 0)], ids=["annual", "monthly"]
)
def test_a_renewal_is_told_of_ahead_for_a_year_and_not_for_a_month(
    scenario: StripeScenario, container: Container, frequency: Frequency, told: int
) -> None:
    subscription = begin(scenario, frequency)
    scenario.stripe.emit_upcoming(subscription)
    scenario.stripe.emit_upcoming(subscription)
    scenario.run_until_settled()
    assert of_kind(scenario.stripe.events, "invoice.upcoming")
    assert [
        notification.event_date.isoformat() for notification in notices(container, NotificationKind.RENEWAL)
    ] == ["2027-11-23"] * told


def test_a_renewal_that_failed_ends_in_a_mail_that_leads_to_the_pledge_s_own_page(
    scenario: StripeScenario, container: Container, client: FlaskClient
) -> None:
    subscription = begin(scenario)
    send(container)
    [receipt] = mails(container)
    scenario.stripe.fail_renewal(subscription)
    assert notices(container, NotificationKind.PAYMENT_FAILED) == []
    assert process_gateway_events(container, GO_ON)["applied"] > 0
    send(container)
    first, missed = mails(container)
    assert first == receipt
    assert "$5" in missed
    [link] = set(re.findall(rf"{PUBLIC_URL}(/p/\S+)", missed))
    page = client.get(link)
    assert page.status_code == 200
    assert "$5" in page.text
    assert READER not in page.text


def test_a_payment_that_came_meanwhile_is_not_asked_for(scenario: StripeScenario, container: Container) -> None:
    subscription = begin(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.run_event_job()
    [missed] = notices(container, NotificationKind.PAYMENT_FAILED)
    assert missed.status == "scheduled"
    scenario.stripe.retry_successfully(subscription)
    scenario.run_event_job()
    send(container)
    [missed] = notices(container, NotificationKind.PAYMENT_FAILED)
    assert (missed.status, missed.reason) == ("skipped", "not_past_due")
    assert [notification.status for notification in notices(container, NotificationKind.RECEIPT)] == ["sent"] * 2
    assert len(mails(container)) == 2
