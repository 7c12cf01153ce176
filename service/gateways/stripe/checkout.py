"""What Stripe is asked for when a reader goes to pay: one Checkout Session, which bears the pledge's id.

See https://docs.stripe.com/api/checkout/sessions/create. Stripe asks the reader for the card and an e-mail address
and, by itself, for what a card check needs; nothing else is asked for.
"""

import hashlib
import json
from typing import Any, Final

from schemas.enums import Frequency
from service.domain.ports import Checkout, CheckoutParams, GatewayRejected
from service.gateways.stripe.client import StripeApiClient, call_idempotent
from service.gateways.stripe.currencies import to_stripe_amount

PLEDGE_METADATA_KEY: Final = "pledge_id"
INTERVALS: Final = {Frequency.MONTHLY: "month", Frequency.ANNUAL: "year"}
MAX_NAME_LENGTH: Final = 250
# The languages of Checkout and of the portal; in any other Stripe follows the reader's browser.
_LANGUAGES: Final = frozenset(
    tag
    for tags in (
        "bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR ro",
        "ru sk sl sv th tr vi zh zh-HK zh-TW",
    )
    for tag in tags.split()
)


def create_checkout(api: StripeApiClient, order: CheckoutParams) -> Checkout:
    """Open a Checkout Session; the same order again yields the same one.

    Raises:
        what `Gateway` raises.
    """
    params = session_params(order)
    opened = call_idempotent(
        api,
        "create_checkout",
        _idempotency_key(order, params),
        lambda v1, options: v1.checkout.sessions.create(params, options),  # type: ignore[arg-type]
    )
    if opened.url is None:
        raise GatewayRejected("Stripe's checkout is closed already.")
    return Checkout(reference=opened.id, url=opened.url)


def session_params(order: CheckoutParams) -> dict[str, Any]:
    """Return what is asked for; the same order always asks for the same.

    Raises:
        GatewayRejected: Stripe charges no such amount.
    """
    metadata = {PLEDGE_METADATA_KEY: str(order.pledge_id)}
    name = order.campaign_name[:MAX_NAME_LENGTH]
    price: dict[str, Any] = {
        "currency": order.money.currency.lower(),
        "unit_amount": _amount(order),
        "product_data": {"name": name},
    }
    params: dict[str, Any] = {
        "client_reference_id": str(order.pledge_id),
        "metadata": metadata,
        "line_items": [{"price_data": price, "quantity": 1}],
        "locale": stripe_locale(order.lang),
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        # The reader pays what the button said, in the currency that it said.
        "adaptive_pricing": {"enabled": False},
    }
    if order.frequency is Frequency.ONCE:
        once = {"mode": "payment", "submit_type": "donate"}
        return params | once | {"payment_intent_data": {"metadata": metadata, "description": name}}
    price["recurring"] = {"interval": INTERVALS[order.frequency]}
    return params | {"mode": "subscription", "subscription_data": {"metadata": metadata, "description": name}}


def stripe_locale(tag: str) -> str:
    """Return the nearest language that Stripe's pages speak to a BCP 47 tag, or `auto`."""
    known = {one.lower(): one for one in _LANGUAGES}
    lowered = tag.replace("_", "-").lower()
    return known.get(lowered) or known.get(lowered.partition("-")[0]) or "auto"


def _amount(order: CheckoutParams) -> int:
    try:
        return to_stripe_amount(order.money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error


def _idempotency_key(order: CheckoutParams, params: dict[str, Any]) -> str:
    # What is asked is part of it: a campaign may change its name or its addresses between two tries, and Stripe
    # refuses other words under the same key.
    asked = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]
    return f"checkout/{order.pledge_id}/{asked}"
