"""Pledges' payments at a Stripe-like server that none of us wrote: its own webhooks, signed by it, in old shapes.

It knows no Checkout Sessions and tells neither of refunds nor, under today's name, of paid invoices; Stripe sends
`invoice.paid` beside the `invoice.payment_succeeded` that it does send, with the same invoice.
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
from tests.gateways.stripe.factories import REFUND_ID, refund_order
from tests.processes import wait_until
from tests.stripe_double.localstripe_server import KEY, LocalStripe
from tests.stripe_double.webhooks import WebhookReceiver

SECRET = "whsec_localstripe-of-the-gateway"
GOOD, DECLINED_ON_CHARGE = "4242424242424242", "4000000000000341"
KINDS = [
    "invoice.payment_succeeded",
    "payment_intent.payment_failed",
    "customer.subscription.deleted",
]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalStripe]:
    """Return the server, which is started once."""
    with LocalStripe() as running:
        yield running


@pytest.fixture
def there(running: LocalStripe) -> StripeClient:
    """Return the library's client at its door, and nothing there from before."""
    running.reset()
    return running.client()


@pytest.fixture
def account(running: LocalStripe) -> StripeSettings:
    """Return our account there."""
    return StripeSettings(secret_key=KEY, webhook_secrets=(SECRET,), api_base=running.url)


@pytest.fixture
def api(account: StripeSettings, clock: FakeClock) -> StripeApiClient:
    """Return the line to it."""
    return StripeApiClient(account, clock)


@pytest.fixture
def hook(running: LocalStripe, there: StripeClient) -> Iterator[WebhookReceiver]:
    """Return where it posts its webhooks."""
    receiver = WebhookReceiver()
    threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
    running.send_webhooks(receiver.url, SECRET, KINDS)
    yield receiver
    receiver.shutdown()
    receiver.server_close()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def came(hook: WebhookReceiver, events: StripeEvents, *kinds: str) -> dict[str, RawEvent]:
    """Wait for webhooks of these kinds; return them as they were believed."""

    def seen() -> dict[str, RawEvent]:
        raws = [events.authenticate(body, header, now=now()) for body, header in hook.received]
        return {raw.kind: raw for raw in raws}

    wait_until(lambda: set(kinds) <= set(seen()), what=f"{kinds}", seconds=10)
    return seen()


def customer(there: StripeClient, number: str = GOOD) -> tuple[str, str]:
    who = there.v1.customers.create(params={"email": "ada@news.example"})
    details: Any = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    card = there.v1.payment_methods.create(params={"type": "card", "card": details})
    there.v1.payment_methods.attach(card.id, params={"customer": who.id})
    return who.id, card.id


def subscribe(there: StripeClient, pledge_id: uuid.UUID, number: str = GOOD) -> Any:
    who, card = customer(there, number)
    there.v1.customers.update(who, params={"invoice_settings": {"default_payment_method": card}})
    asked: Any = {"amount": 500, "currency": "usd", "interval": "month", "product": {"name": "Support"}}
    plan = there.v1.plans.create(params=asked)
    items: Any = [{"plan": plan.id}]
    metadata = {"pledge_id": str(pledge_id)}
    return there.v1.subscriptions.create(params={"customer": who, "items": items, "metadata": metadata})


def pay(there: StripeClient, pledge_id: uuid.UUID, number: str = GOOD) -> Any:
    who, card = customer(there, number)
    asked: Any = {"amount": 1250, "currency": "usd", "customer": who, "payment_method": card, "confirm": True}
    return there.v1.payment_intents.create(params={**asked, "metadata": {"pledge_id": str(pledge_id)}})


def as_paid(events: StripeEvents, raw: RawEvent) -> list[PaymentEvent]:
    return events.parse_event(json.dumps(json.loads(raw.payload) | {"type": "invoice.paid"}))


def about(there_is: Any, kind: str) -> str:
    """Return an event about an object as the server shows it."""
    event = {"id": "evt_1", "object": "event", "type": kind, "created": int(now().timestamp())}
    return json.dumps(event | {"data": {"object": there_is.to_dict()}})


def test_a_paid_bill_leads_to_its_pledge_by_its_subscription(
    there: StripeClient, hook: WebhookReceiver, events: StripeEvents
) -> None:
    pledge_id = uuid.uuid4()
    of = subscribe(there, pledge_id)
    raw = came(hook, events, "invoice.payment_succeeded")["invoice.payment_succeeded"]
    (paid,) = as_paid(events, raw)
    assert isinstance(paid, PaymentSucceeded)
    assert (paid.pledge_id, paid.subscription, paid.reference) == (pledge_id, of.id, of.latest_invoice)
    assert (paid.money, paid.customer) == (Money(500, "USD"), of.customer)


def test_a_cancelled_subscription_has_ended(
    there: StripeClient, hook: WebhookReceiver, events: StripeEvents, gateway: StripeGateway
) -> None:
    pledge_id = uuid.uuid4()
    of = subscribe(there, pledge_id)
    gateway.cancel_subscription(of.id)
    raw = came(hook, events, "customer.subscription.deleted")["customer.subscription.deleted"]
    (standing,) = events.parse_event(raw.payload)
    assert isinstance(standing, SubscriptionUpdated)
    assert (standing.subscription, standing.pledge_id, standing.ended) == (of.id, pledge_id, True)


def test_a_declined_card_is_a_try_that_failed(
    there: StripeClient, hook: WebhookReceiver, events: StripeEvents
) -> None:
    pledge_id = uuid.uuid4()
    with pytest.raises(CardError):
        pay(there, pledge_id, DECLINED_ON_CHARGE)
    raw = came(hook, events, "payment_intent.payment_failed")["payment_intent.payment_failed"]
    (missed,) = events.parse_event(raw.payload)
    assert isinstance(missed, PaymentFailed)
    assert (missed.pledge_id, missed.money) == (pledge_id, Money(1250, "USD"))
    assert missed.invoice.startswith("pi_")
    assert missed.reference.startswith("ch_")


def test_its_signature_is_not_that_of_another_secret_or_another_day(
    there: StripeClient, hook: WebhookReceiver, events: StripeEvents
) -> None:
    subscribe(there, uuid.uuid4())
    came(hook, events, "invoice.payment_succeeded")
    body, header = hook.received[0]
    for changed, moment in ((body + b" ", now()), (body, now() + datetime.timedelta(minutes=6))):
        with pytest.raises(InvalidSignature):
            events.authenticate(changed, header, now=moment)
    with pytest.raises(InvalidSignature):
        events.authenticate(body, header, now=now() - datetime.timedelta(minutes=6))


def test_a_refund_goes_through_once_and_is_told(
    there: StripeClient, events: StripeEvents, gateway: StripeGateway
) -> None:
    intent = pay(there, uuid.uuid4())
    # This server ignores idempotency keys: what it knows already is found by our name for it.
    name = gateway.create_refund(refund_order(intent.id, 400))
    assert gateway.create_refund(refund_order(intent.id, 400)) == name
    charge = there.v1.charges.retrieve(intent.latest_charge.id)
    assert charge.amount_refunded == 400
    (refunded,) = events.parse_event(about(charge, "charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert (refunded.refund, refunded.money, refunded.refund_id) == (name, Money(400, "USD"), REFUND_ID)
    assert intent.id in refunded.references
    assert charge.id in refunded.references


def test_money_of_a_bill_that_goes_back_leads_to_the_bill(there: StripeClient, events: StripeEvents) -> None:
    of = subscribe(there, uuid.uuid4())
    invoice = there.v1.invoices.retrieve(of.latest_invoice)
    charge = there.v1.charges.retrieve(invoice["charge"].id)
    there.v1.refunds.create(params={"charge": charge.id, "amount": 100})
    (refunded,) = events.parse_event(about(there.v1.charges.retrieve(charge.id), "charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert invoice.id in refunded.references
    dispute = {"id": "du_1", "charge": charge.id, "amount": 500, "currency": "usd", "status": "lost"}
    event = {"type": "charge.dispute.closed", "created": 1795426200, "data": {"object": dispute}}
    (lost,) = events.parse_event(json.dumps(event))
    assert isinstance(lost, DisputeUpdated)
    assert lost.status is DisputeStatus.LOST
    assert invoice.id in lost.references
