"""Readers get one email for each refund that succeeds, with what is left of the payment."""

from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus, Frequency, SuppressionReason
from service.container import Container
from service.db.models.payment import Payment
from service.domain.email.suppression import suppress
from service.domain.notifications.receipts import receipt_number
from tests.api.client import auth_headers, new_idempotency_key
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import EMAIL, emails, notifications
from tests.jobs.notifications import run as send


def paid_charge(scenario: StripeScenario, frequency: Frequency = Frequency.ONCE) -> str:
    """Pay 10 dollars with webhooks connected; return Stripe's id of the charge."""
    checkout = scenario.create_checkout(frequency, amount=1000)
    scenario.stripe.deliver = scenario.deliver_webhooks
    charge: str = scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)["id"]
    scenario.run_until_idle()
    return charge


def sent_refunds(container: Container) -> list[str]:
    send(container)
    return [" ".join(email.split()) for email in emails(container) if email.startswith("Your refund")]


def refund_by_staff(client: FlaskClient, container: Container, amount: int | None = None) -> None:
    with container.database.read_only() as session:
        payment_id = session.scalars(select(Payment.id)).one()
    headers = auth_headers(container, "manage") | {"Idempotency-Key": new_idempotency_key()}
    body = {} if amount is None else {"amount": amount}
    assert client.post(f"/v1/admin/payments/{payment_id}/refund", headers=headers, json=body).status_code == 200


def test_refund_in_the_dashboard_is_told_once_however_often_it_is_reported(
    scenario: StripeScenario, container: Container
) -> None:
    scenario.stripe.refund(paid_charge(scenario), 250)
    scenario.run_until_idle()
    [email] = sent_refunds(container)
    with container.database.read_only() as session:
        payment = session.scalars(select(Payment)).one()
    for fact in (
        "We’ve refunded $2.50 of your payment to",
        "Refunded: $2.50 USD",
        "Original amount: $10.00 USD",
        "Net amount: $7.50 USD",
        f"Receipt number: {receipt_number(payment.id, payment.paid_at.year)}",
        "Date of payment: November 23, 2026",
        "5 to 10 days",
    ):
        assert fact in email
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert len(sent_refunds(container)) == 1


def test_refund_by_staff_is_told_once_although_its_event_follows(
    scenario: StripeScenario, container: Container, client: FlaskClient
) -> None:
    paid_charge(scenario)
    refund_by_staff(client, container)
    scenario.run_until_idle()
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    [email] = sent_refunds(container)
    assert "Refunded: $10.00 USD Original amount: $10.00 USD Net amount: $0.00 USD" in email


def test_each_partial_refund_is_told(scenario: StripeScenario, container: Container, client: FlaskClient) -> None:
    charge = paid_charge(scenario)
    refund_by_staff(client, container, 100)
    scenario.run_until_idle()
    sent_refunds(container)
    scenario.stripe.refund(charge, 400)
    scenario.run_until_idle()
    first, second = sent_refunds(container)
    assert "Refunded: $1.00 USD Original amount: $10.00 USD Net amount: $9.00 USD" in first
    assert "Refunded: $4.00 USD Original amount: $10.00 USD Net amount: $5.00 USD" in second


def test_refund_that_fails_before_its_email_is_sent_is_not_told(
    scenario: StripeScenario, container: Container
) -> None:
    refund = scenario.stripe.refund(paid_charge(scenario), 400)["id"]
    scenario.run_until_idle()
    scenario.stripe.fail_refund(refund)
    scenario.run_until_idle()
    assert sent_refunds(container) == []
    [email] = notifications(container, EmailKind.REFUND)
    assert (email.status, email.reason) == (EmailStatus.SKIPPED, "refund_failed")


def test_pending_refund_is_told_when_it_has_succeeded(scenario: StripeScenario, container: Container) -> None:
    charge = paid_charge(scenario)
    scenario.stripe.settings.pending_refunds = True
    completed, cancelled = (scenario.stripe.refund(charge, amount)["id"] for amount in (300, 200))
    scenario.run_until_idle()
    assert sent_refunds(container) == []
    scenario.stripe.complete_refund(completed)
    scenario.stripe.cancel_refund(cancelled)
    scenario.run_until_idle()
    [email] = sent_refunds(container)
    assert "Refunded: $3.00 USD Original amount: $10.00 USD Net amount: $7.00 USD" in email


def test_reader_who_goes_on_giving_is_led_to_their_support(scenario: StripeScenario, container: Container) -> None:
    scenario.stripe.refund(paid_charge(scenario, Frequency.MONTHLY))
    scenario.run_until_idle()
    [email] = sent_refunds(container)
    assert "Your support continues, and you can change or cancel it at any time: Manage your support:" in email
    assert "/p/" in email


def test_reader_who_unsubscribed_is_told_and_one_whose_address_bounced_is_not(
    scenario: StripeScenario, container: Container
) -> None:
    charge = paid_charge(scenario)
    for reason, count in ((SuppressionReason.UNSUBSCRIBE, 1), (SuppressionReason.HARD_BOUNCE, 1)):
        with container.database.transaction() as session:
            suppress(session, EMAIL, reason=reason, now=container.clock())
        scenario.stripe.refund(charge, 100)
        scenario.run_until_idle()
        assert len(sent_refunds(container)) == count
