"""Parameters for the gateway, and checkouts that are paid."""

import json
import uuid
from typing import Any

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import CheckoutParams, RefundParams
from service.domain.ports.payment_events import PaymentEvent
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

SECRET = "whsec_only_the_tests_know"
PLEDGE_ID = uuid.UUID("01936f00-0000-7000-8000-000000000001")
CAMPAIGN_ID = uuid.UUID("01936f00-0000-7000-8000-0000000000cc")
INSTALLATION_ID = uuid.UUID("5f0c8a52-6a0e-4c0b-9a2b-0d4c5c1f7e11")
REFUND_ID = uuid.UUID("01936f00-0000-7000-8000-0000000000aa")
EMAIL = "ada@news.example"
PAGE = "https://support.news.example"


def checkout_params(
    frequency: Frequency = Frequency.ONCE, amount: int = 1250, currency: str = "USD", **changes: Any
) -> CheckoutParams:
    """Return parameters of a checkout; `changes` replace fields of it."""
    fields: dict[str, Any] = {
        "pledge_id": PLEDGE_ID,
        "campaign_id": CAMPAIGN_ID,
        "installation_id": INSTALLATION_ID,
        "campaign_name": "The Meadow Gazette",
        "frequency": frequency,
        "money": Money(amount, currency),
        "lang": "en",
        "success_url": f"{PAGE}/support/default/thank-you?pledge={PLEDGE_ID}&checkout=done",
        "cancel_url": f"{PAGE}/support/default",
    }
    return CheckoutParams(**fields | changes)


def subscribe(gateway: StripeGateway, double: FakeStripe, amount: int = 500, currency: str = "USD") -> StripeJson:
    """Create a monthly checkout and pay it; return the session."""
    checkout = gateway.create_checkout(checkout_params(Frequency.MONTHLY, amount, currency))
    double.pay(checkout.reference, email=EMAIL)
    return double.get(checkout.reference)


def pay_once(gateway: StripeGateway, double: FakeStripe, amount: int = 1250, currency: str = "USD") -> StripeJson:
    """Create a one-time checkout and pay it; return the session."""
    checkout = gateway.create_checkout(checkout_params(Frequency.ONCE, amount, currency))
    double.pay(checkout.reference, email=EMAIL)
    return double.get(checkout.reference)


def refund_params(reference: str, amount: int, refund_id: uuid.UUID = REFUND_ID) -> RefundParams:
    """Return parameters of a refund in US dollars."""
    return RefundParams(refund_id=refund_id, payment_reference=reference, money=Money(amount, "USD"))


def parsed_events(events: StripeEvents, event: StripeJson) -> list[PaymentEvent]:
    """Return the payment events that a Stripe event is translated to."""
    return events.parse_event(json.dumps(event))
