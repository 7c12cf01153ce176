"""localstripe through our SDK, and its differences from today's Stripe."""

from pathlib import Path

import pytest
from stripe import CardError, InvalidRequestError, StripeClient, Webhook

from tests.processes import wait_until
from tests.stripe_double.localstripe_server import LocalStripe
from tests.stripe_double.webhooks import WebhookReceiver

SECRET = "whsec_localstripe-of-the-tests"
GOOD, DECLINED_ON_CHARGE = "4242424242424242", "4000000000000341"


@pytest.fixture
def old_stripe(localstripe: LocalStripe) -> StripeClient:
    return localstripe.client()


def customer_with_card(stripe: StripeClient, number: str) -> tuple[str, str]:
    customer_id = stripe.v1.customers.create(params={"email": "ada@news.example"})
    details = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    card = stripe.v1.payment_methods.create(params={"type": "card", "card": details})
    stripe.v1.payment_methods.attach(card.id, params={"customer": customer_id.id})
    return customer_id.id, card.id


def pay(stripe: StripeClient, customer_id: str, card: str, amount: int = 500):
    params = {
        "amount": amount,
        "currency": "usd",
        "customer": customer_id,
        "payment_method": card,
        "confirm": True,
    }
    return stripe.v1.payment_intents.create(params={**params, "metadata": {"pledge": "pledge-1"}})


def subscribe(stripe: StripeClient, customer_id: str, card: str):
    plan = stripe.v1.plans.create(
        params={"amount": 500, "currency": "usd", "interval": "month", "product": {"name": "Support"}}
    )
    stripe.v1.customers.update(customer_id, params={"invoice_settings": {"default_payment_method": card}})
    return stripe.v1.subscriptions.create(
        params={"customer": customer_id, "items": [{"plan": plan.id}], "metadata": {"pledge": "pledge-1"}}
    )


def test_card_payment_and_partial_refund(old_stripe: StripeClient) -> None:
    intent = pay(old_stripe, *customer_with_card(old_stripe, GOOD), amount=1000)
    assert (intent.status, intent.metadata["pledge"]) == ("succeeded", "pledge-1")
    # Today's Stripe gives an id here, which is expanded on demand.
    assert intent.latest_charge.paid is True
    refund = old_stripe.v1.refunds.create(params={"charge": intent.latest_charge.id, "amount": 300})
    assert (refund.status, refund.amount) == ("succeeded", 300)
    charge = old_stripe.v1.charges.retrieve(intent.latest_charge.id)
    assert (charge.amount_refunded, charge.refunded) == (300, False)


def test_card_is_declined_on_charge(old_stripe: StripeClient) -> None:
    with pytest.raises(CardError) as declined:
        pay(old_stripe, *customer_with_card(old_stripe, DECLINED_ON_CHARGE))
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")


def test_card_is_declined_on_attach(old_stripe: StripeClient) -> None:
    with pytest.raises(CardError):
        customer_with_card(old_stripe, "4000000000000002")


def test_plan_subscription_is_paid_and_canceled(old_stripe: StripeClient) -> None:
    subscription = subscribe(old_stripe, *customer_with_card(old_stripe, GOOD))
    assert (subscription.status, subscription.metadata["pledge"]) == ("active", "pledge-1")
    invoice = old_stripe.v1.invoices.retrieve(subscription.latest_invoice)
    assert (invoice.status, invoice.amount_paid, invoice["subscription"]) == ("paid", 500, subscription.id)
    assert old_stripe.v1.subscriptions.cancel(subscription.id).status == "canceled"


def test_failed_first_payment_makes_subscription_incomplete(old_stripe: StripeClient) -> None:
    subscription = subscribe(old_stripe, *customer_with_card(old_stripe, DECLINED_ON_CHARGE))
    assert subscription.status == "incomplete"


def test_webhook_signatures_verify_with_sdk(
    localstripe: LocalStripe, old_stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    localstripe.send_webhooks(
        webhook_receiver.url, SECRET, ["payment_intent.succeeded", "payment_intent.payment_failed"]
    )
    intent = pay(old_stripe, *customer_with_card(old_stripe, GOOD))
    customer_id, declined_card = customer_with_card(old_stripe, DECLINED_ON_CHARGE)
    with pytest.raises(CardError):
        pay(old_stripe, customer_id, declined_card)
    wait_until(lambda: len(webhook_receiver.received) == 2, what="the webhooks", seconds=10)
    events = [Webhook.construct_event(body, header, SECRET) for body, header in webhook_receiver.received]
    by_type = {event.type: event.data.object for event in events}
    assert by_type["payment_intent.succeeded"].id == intent.id
    assert by_type["payment_intent.payment_failed"].last_payment_error.code == "card_declined"


def test_idempotency_key_is_ignored(old_stripe: StripeClient) -> None:
    same = {"params": {"email": "ada@news.example"}, "options": {"idempotency_key": "reader-1"}}
    assert old_stripe.v1.customers.create(**same).id != old_stripe.v1.customers.create(**same).id


def test_checkout_is_missing_and_reset_clears_state(old_stripe: StripeClient) -> None:
    assert old_stripe.v1.customers.list().data == []
    with pytest.raises(Exception, match=r"404|Not Found"):
        old_stripe.v1.checkout.sessions.list()
    with pytest.raises(InvalidRequestError):
        old_stripe.v1.customers.retrieve("cus_nobody")


def test_server_listens_on_loopback_and_writes_no_file(old_stripe: StripeClient, localstripe) -> None:
    saved = Path("/tmp/localstripe.pickle")
    before = saved.stat().st_mtime_ns if saved.exists() else None
    old_stripe.v1.customers.create(params={"email": "ada@news.example"})
    assert (saved.stat().st_mtime_ns if saved.exists() else None) == before
    assert localstripe.url.startswith("http://127.0.0.1:")
