"""Payments at localstripe, an independent Stripe-like server, with its own signed webhooks in old shapes.

It has no Checkout Sessions and sends no event for refunds. For a paid invoice it sends only
`invoice.payment_succeeded`; Stripe sends `invoice.paid` as well, with the same invoice.
"""

import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from stripe import CardError, StripeClient

from schemas.enums import DisputeStatus
from service.domain.money import Money
from service.domain.ports import InvalidSignature, RawEvent
from service.domain.ports.payment_events import (
    DisputeUpdated,
    PaymentEvent,
    PaymentFailed,
    PaymentSucceeded,
    RefundUpdated,
    SubscriptionUpdated,
)
from service.gateways.stripe import StripeApiClient, StripeEvents, StripeGateway
from service.settings import StripeSettings
from tests.clock import FakeClock
from tests.gateways.stripe.factories import REFUND_ID, refund_params
from tests.processes import wait_until
from tests.stripe_double.localstripe_server import KEY, LocalStripe
from tests.stripe_double.webhooks import WebhookReceiver

SECRET = "whsec_localstripe-of-the-gateway"
VALID_CARD, DECLINED_ON_CHARGE = "4242424242424242", "4000000000000341"
KINDS = [
    "invoice.payment_succeeded",
    "payment_intent.payment_failed",
    "customer.subscription.deleted",
]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalStripe]:
    """Start the server once for the module."""
    with LocalStripe() as running:
        yield running


@pytest.fixture
def stripe_client(running: LocalStripe) -> StripeClient:
    """Return the library's client of an emptied server."""
    running.reset()
    return running.client()


@pytest.fixture
def account(running: LocalStripe) -> StripeSettings:
    """Return the settings of our account at the server."""
    return StripeSettings(secret_key=KEY, webhook_secrets=(SECRET,), api_base=running.url)


@pytest.fixture
def api(account: StripeSettings, clock: FakeClock) -> StripeApiClient:
    return StripeApiClient(account, clock)


@pytest.fixture
def webhook(running: LocalStripe, stripe_client: StripeClient) -> Iterator[WebhookReceiver]:
    """Return the receiver of its webhooks."""
    receiver = WebhookReceiver()
    threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
    running.send_webhooks(receiver.url, SECRET, KINDS)
    yield receiver
    receiver.shutdown()
    receiver.server_close()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def wait_for_events(webhook: WebhookReceiver, events: StripeEvents, *kinds: str) -> dict[str, RawEvent]:
    """Wait for webhooks of these kinds; return the authenticated events by kind."""

    def received() -> dict[str, RawEvent]:
        raws = [events.authenticate(body, header, now=now()) for body, header in webhook.received]
        return {raw.kind: raw for raw in raws}

    wait_until(lambda: set(kinds) <= set(received()), what=f"{kinds}", seconds=10)
    return received()


def create_customer(stripe_client: StripeClient, number: str = VALID_CARD) -> tuple[str, str]:
    created = stripe_client.v1.customers.create(params={"email": "ada@news.example"})
    details: Any = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    card = stripe_client.v1.payment_methods.create(params={"type": "card", "card": details})
    stripe_client.v1.payment_methods.attach(card.id, params={"customer": created.id})
    return created.id, card.id


def subscribe(stripe_client: StripeClient, pledge_id: uuid.UUID, number: str = VALID_CARD) -> Any:
    customer_id, card = create_customer(stripe_client, number)
    stripe_client.v1.customers.update(customer_id, params={"invoice_settings": {"default_payment_method": card}})
    params: Any = {"amount": 500, "currency": "usd", "interval": "month", "product": {"name": "Support"}}
    plan = stripe_client.v1.plans.create(params=params)
    items: Any = [{"plan": plan.id}]
    metadata = {"pledge_id": str(pledge_id)}
    return stripe_client.v1.subscriptions.create(
        params={"customer": customer_id, "items": items, "metadata": metadata}
    )


def pay(stripe_client: StripeClient, pledge_id: uuid.UUID, number: str = VALID_CARD) -> Any:
    customer_id, card = create_customer(stripe_client, number)
    params: Any = {
        "amount": 1250,
        "currency": "usd",
        "customer": customer_id,
        "payment_method": card,
        "confirm": True,
    }
    return stripe_client.v1.payment_intents.create(params={**params, "metadata": {"pledge_id": str(pledge_id)}})


def parse_as_invoice_paid(events: StripeEvents, raw: RawEvent) -> list[PaymentEvent]:
    return events.parse_event(json.dumps(json.loads(raw.payload) | {"type": "invoice.paid"}))


def event_payload(obj: Any, kind: str) -> str:
    """Return the payload of an event with an object as the server returns it."""
    event = {"id": "evt_1", "object": "event", "type": kind, "created": int(now().timestamp())}
    return json.dumps(event | {"data": {"object": obj.to_dict()}})


def test_paid_invoice_is_identified_by_its_subscription(
    stripe_client: StripeClient, webhook: WebhookReceiver, events: StripeEvents
) -> None:
    pledge_id = uuid.uuid4()
    subscription = subscribe(stripe_client, pledge_id)
    raw = wait_for_events(webhook, events, "invoice.payment_succeeded")["invoice.payment_succeeded"]
    (paid,) = parse_as_invoice_paid(events, raw)
    assert isinstance(paid, PaymentSucceeded)
    assert (paid.pledge_id, paid.subscription, paid.reference) == (
        pledge_id,
        subscription.id,
        subscription.latest_invoice,
    )
    assert (paid.money, paid.customer) == (Money(500, "USD"), subscription.customer)


def test_cancelled_subscription_has_ended(
    stripe_client: StripeClient, webhook: WebhookReceiver, events: StripeEvents, gateway: StripeGateway
) -> None:
    pledge_id = uuid.uuid4()
    subscription = subscribe(stripe_client, pledge_id)
    gateway.cancel_subscription(subscription.id)
    raw = wait_for_events(webhook, events, "customer.subscription.deleted")["customer.subscription.deleted"]
    (updated,) = events.parse_event(raw.payload)
    assert isinstance(updated, SubscriptionUpdated)
    assert (updated.subscription, updated.pledge_id, updated.ended) == (subscription.id, pledge_id, True)


def test_declined_card_is_a_failed_attempt(
    stripe_client: StripeClient, webhook: WebhookReceiver, events: StripeEvents
) -> None:
    pledge_id = uuid.uuid4()
    with pytest.raises(CardError):
        pay(stripe_client, pledge_id, DECLINED_ON_CHARGE)
    raw = wait_for_events(webhook, events, "payment_intent.payment_failed")["payment_intent.payment_failed"]
    (failed,) = events.parse_event(raw.payload)
    assert isinstance(failed, PaymentFailed)
    assert (failed.pledge_id, failed.money) == (pledge_id, Money(1250, "USD"))
    assert failed.invoice.startswith("pi_")
    assert failed.reference.startswith("ch_")


def test_changed_payload_or_time_is_rejected(
    stripe_client: StripeClient, webhook: WebhookReceiver, events: StripeEvents
) -> None:
    subscribe(stripe_client, uuid.uuid4())
    wait_for_events(webhook, events, "invoice.payment_succeeded")
    body, header = webhook.received[0]
    for body_sent, received_at in ((body + b" ", now()), (body, now() + datetime.timedelta(minutes=6))):
        with pytest.raises(InvalidSignature):
            events.authenticate(body_sent, header, now=received_at)
    with pytest.raises(InvalidSignature):
        events.authenticate(body, header, now=now() - datetime.timedelta(minutes=6))


def test_refund_is_made_once_and_reported(
    stripe_client: StripeClient, events: StripeEvents, gateway: StripeGateway
) -> None:
    intent = pay(stripe_client, uuid.uuid4())
    # This server ignores idempotency keys; the existing refund is found by our id in its metadata.
    reference = gateway.create_refund(refund_params(intent.id, 400)).refund
    assert gateway.create_refund(refund_params(intent.id, 400)).refund == reference
    charge = stripe_client.v1.charges.retrieve(intent.latest_charge.id)
    assert charge.amount_refunded == 400
    (refunded,) = events.parse_event(event_payload(charge, "charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert (refunded.refund, refunded.money, refunded.refund_id) == (reference, Money(400, "USD"), REFUND_ID)
    assert intent.id in refunded.references
    assert charge.id in refunded.references


def test_refund_and_dispute_of_invoice_reference_it(stripe_client: StripeClient, events: StripeEvents) -> None:
    subscription = subscribe(stripe_client, uuid.uuid4())
    invoice = stripe_client.v1.invoices.retrieve(subscription.latest_invoice)
    charge = stripe_client.v1.charges.retrieve(invoice["charge"].id)
    stripe_client.v1.refunds.create(params={"charge": charge.id, "amount": 100})
    (refunded,) = events.parse_event(
        event_payload(stripe_client.v1.charges.retrieve(charge.id), "charge.refunded")
    )
    assert isinstance(refunded, RefundUpdated)
    assert invoice.id in refunded.references
    dispute = {"id": "du_1", "charge": charge.id, "amount": 500, "currency": "usd", "status": "lost"}
    event = {"type": "charge.dispute.closed", "created": 1795426200, "data": {"object": dispute}}
    (lost,) = events.parse_event(json.dumps(event))
    assert isinstance(lost, DisputeUpdated)
    assert lost.status is DisputeStatus.LOST
    assert invoice.id in lost.references
