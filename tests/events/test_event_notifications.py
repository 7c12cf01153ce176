"""Notifications that payment events cause: each once, and none that is obsolete."""

import itertools
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.payments import process_gateway_events
from schemas.enums import EmailKind, Frequency, PaymentStatus
from service.container import Container
from service.db.models.payment import Payment
from tests.conftest import PUBLIC_URL
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import EMAIL, emails, notifications, start_subscription
from tests.jobs.notifications import run as send
from tests.stripe_double.account import StripeJson
from tests.threads import RUNNING


def first_of_kind(events: list[StripeJson], kind: str) -> StripeJson:
    return next(event for event in events if event["type"] == kind)


@pytest.mark.parametrize("order", list(itertools.permutations(("checkout.session.completed", "invoice.paid"))))
def test_payment_has_one_receipt_in_any_order_of_events(
    scenario: StripeScenario, container: Container, order: tuple[str, str]
) -> None:
    checkout = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    for kind in order:
        scenario.deliver_webhooks(first_of_kind(scenario.stripe.events, kind))
        scenario.run_event_job()
    [receipt] = notifications(container, EmailKind.RECEIPT)
    with container.database.read_only() as session:
        assert receipt.payment_id == session.scalars(select(Payment.id)).one()
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert len(notifications(container, EmailKind.RECEIPT)) == 1


def test_only_successful_payments_have_a_receipt(scenario: StripeScenario, container: Container) -> None:
    subscription = start_subscription(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.stripe.retry_successfully(subscription)
    scenario.stripe.renew(subscription)
    scenario.run_until_idle()
    with container.database.read_only() as session:
        rows = session.execute(select(Payment.id, Payment.status)).all()
    assert sorted(status.value for _, status in rows) == ["failed", "succeeded", "succeeded", "succeeded"]
    paid = {payment_id for payment_id, status in rows if status != PaymentStatus.FAILED}
    receipts = notifications(container, EmailKind.RECEIPT)
    assert len(receipts) == 3
    assert {receipt.payment_id for receipt in receipts} == paid


def test_unpaid_invoice_has_three_dunning_notifications_and_one_cancellation(
    scenario: StripeScenario, container: Container
) -> None:
    subscription = start_subscription(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.run_event_job()
    counts = [len(notifications(container, EmailKind.PAYMENT_FAILED))]
    for _ in range(3):
        scenario.stripe.fail_retry(subscription)
        scenario.run_event_job()
        counts.append(len(notifications(container, EmailKind.PAYMENT_FAILED)))
    assert counts == [1, 2, 3, 3]
    dunning = notifications(container, EmailKind.PAYMENT_FAILED)
    assert all(notification.event_date is not None for notification in dunning)
    assert notifications(container, EmailKind.CANCELLED) == []
    scenario.stripe.exhaust_retries(subscription)
    scenario.run_until_idle()
    scenario.stripe.resend(*scenario.stripe.events)
    scenario.run_until_idle()
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 3
    assert len(notifications(container, EmailKind.CANCELLED)) == 1


def test_dunning_restarts_with_the_next_invoice(scenario: StripeScenario, container: Container) -> None:
    subscription = start_subscription(scenario)
    for _ in range(2):
        scenario.stripe.fail_renewal(subscription)
        scenario.run_event_job()
        scenario.stripe.retry_successfully(subscription)
        scenario.run_event_job()
    first, second = notifications(container, EmailKind.PAYMENT_FAILED)
    assert first.dedup_key.endswith("#1")
    assert second.dedup_key.endswith("#1")
    assert first.dedup_key != second.dedup_key


@pytest.mark.parametrize(
    ("frequency", "count"), [(Frequency.ANNUAL, 1), (Frequency.MONTHLY, 0)], ids=["annual", "monthly"]
)
def test_renewal_notification_is_sent_for_annual_pledges_only(
    scenario: StripeScenario, container: Container, frequency: Frequency, count: int
) -> None:
    subscription = start_subscription(scenario, frequency)
    scenario.stripe.emit_upcoming(subscription)
    scenario.stripe.emit_upcoming(subscription)
    scenario.run_until_idle()
    assert first_of_kind(scenario.stripe.events, "invoice.upcoming")
    assert [
        notification.event_date.isoformat() for notification in notifications(container, EmailKind.RENEWAL)
    ] == ["2027-11-23"] * count


def test_failed_renewal_email_links_to_the_pledge_page(
    scenario: StripeScenario, container: Container, client: FlaskClient
) -> None:
    subscription = start_subscription(scenario)
    send(container)
    [receipt] = emails(container)
    scenario.stripe.fail_renewal(subscription)
    assert notifications(container, EmailKind.PAYMENT_FAILED) == []
    assert process_gateway_events(container, RUNNING)["applied"] > 0
    send(container)
    first, failed = emails(container)
    assert first == receipt
    assert "$5" in failed
    [link] = set(re.findall(rf"{PUBLIC_URL}(/p/\S+)", failed))
    page = client.get(link)
    assert page.status_code == 200
    assert "$5" in page.text
    assert EMAIL not in page.text


def test_dunning_notification_is_skipped_after_payment(scenario: StripeScenario, container: Container) -> None:
    subscription = start_subscription(scenario)
    scenario.stripe.fail_renewal(subscription)
    scenario.run_event_job()
    [failed] = notifications(container, EmailKind.PAYMENT_FAILED)
    assert failed.status == "scheduled"
    scenario.stripe.retry_successfully(subscription)
    scenario.run_event_job()
    send(container)
    [failed] = notifications(container, EmailKind.PAYMENT_FAILED)
    assert (failed.status, failed.reason) == ("skipped", "not_past_due")
    receipts = notifications(container, EmailKind.RECEIPT)
    assert [receipt.status for receipt in receipts] == ["sent"] * 2
    assert len(emails(container)) == 2
