"""Create the Checkout Session on which a reader pays for a pledge.

See https://docs.stripe.com/api/checkout/sessions/create. Stripe asks the reader for a card, an email address and,
where the card needs it, for authentication. We ask for nothing else.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any, Final

from stripe.checkout import Session

from schemas.enums import Frequency
from service.domain.ports import Checkout, CheckoutParams, GatewayRejected
from service.gateways.stripe.client import NO_RETRIES, StripeApiClient, call_idempotent
from service.gateways.stripe.currencies import to_stripe_amount
from service.gateways.stripe.errors import MISSING, StripeRejected
from service.gateways.stripe.products import product_id, product_name, save_product

PLEDGE_METADATA_KEY: Final = "mainstay_pledge_id"
INSTALLATION_METADATA_KEY: Final = "mainstay_installation_id"
OPEN: Final = "open"
INTERVALS: Final = {Frequency.MONTHLY: "month", Frequency.ANNUAL: "year"}
# The languages of Checkout and of the Billing Portal. For any other, Stripe follows the browser.
_LANGUAGES: Final = frozenset(
    tag
    for tags in (
        "bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR ro",
        "ru sk sl sv th tr vi zh zh-HK zh-TW",
    )
    for tag in tags.split()
)


def create_checkout(api: StripeApiClient, params: CheckoutParams) -> Checkout:
    """Create a Checkout Session; the same parameters yield the same session.

    If Stripe does not accept the customer, for example because it was deleted or has subscriptions in another
    currency, the session creates a new one.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe cannot charge this amount, or rejected the request.
    """
    try:
        return _create_checkout(api, params)
    except StripeRejected:
        if params.customer is None:
            raise
    return _create_checkout(api, replace(params, customer=None))


def expire_session(api: StripeApiClient, session: str) -> None:
    """Expire a Checkout Session, unless it is complete or expired already.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe refuses although the session is open.
    """
    try:
        api.call("expire_checkout_session", lambda v1: v1.checkout.sessions.expire(session, options=NO_RETRIES))
    except GatewayRejected:
        found = api.retrieve(
            "retrieve_checkout_session", lambda v1: v1.checkout.sessions.retrieve(session, options=NO_RETRIES)
        )
        if found is not None and found.get("status") == OPEN:
            raise


def _create_checkout(api: StripeApiClient, params: CheckoutParams) -> Checkout:
    request = session_params(params)
    key = _idempotency_key(params, request)
    try:
        session = _create_session(api, request, key)
    except StripeRejected as error:
        if error.param == "customer":
            raise
        # Staff may have deleted or archived the product.
        if not (save_product(api, params.campaign_id, params.campaign_name) or error.code == MISSING):
            raise
        session = _create_session_again(api, request, key)
    if session.url is None:
        raise GatewayRejected("The Checkout Session is no longer open.")
    return Checkout(reference=session.id, url=session.url, customer=params.customer)


def _create_session(api: StripeApiClient, request: dict[str, Any], key: str) -> Session:
    return call_idempotent(
        api,
        "create_checkout_session",
        key,
        lambda v1, options: v1.checkout.sessions.create(request, options),  # type: ignore[arg-type]
    )


def _create_session_again(api: StripeApiClient, request: dict[str, Any], key: str) -> Session:
    # The first key comes first, so that a repeated call yields the same session. Stripe may replay its rejection.
    try:
        return _create_session(api, request, key)
    except GatewayRejected:
        return _create_session(api, request, f"{key}/product")


def session_params(params: CheckoutParams) -> dict[str, Any]:
    """Return the parameters of the Stripe request, with the pledge id in the metadata of every object it creates.

    Raises:
        GatewayRejected: Stripe cannot charge this amount.
    """
    metadata = {
        PLEDGE_METADATA_KEY: str(params.pledge_id),
        INSTALLATION_METADATA_KEY: str(params.installation_id),
    }
    name = product_name(params.campaign_name)
    price: dict[str, Any] = {
        "currency": params.money.currency.lower(),
        "unit_amount": _amount(params),
        "product": product_id(params.campaign_id),
    }
    request: dict[str, Any] = {
        "client_reference_id": str(params.pledge_id),
        "metadata": metadata,
        "line_items": [{"price_data": price, "quantity": 1}],
        "locale": stripe_locale(params.lang),
        "success_url": params.success_url,
        "cancel_url": params.cancel_url,
        # The reader pays the amount and currency that the button showed.
        "adaptive_pricing": {"enabled": False},
    }
    if params.customer is not None:
        request["customer"] = params.customer
    if params.frequency is Frequency.ONCE:
        if params.customer is None:
            # A one-time payment creates no customer otherwise.
            request["customer_creation"] = "always"
        payment = {"mode": "payment", "submit_type": "donate"}
        return request | payment | {"payment_intent_data": {"metadata": metadata, "description": name}}
    price["recurring"] = {"interval": INTERVALS[params.frequency]}
    return request | {"mode": "subscription", "subscription_data": {"metadata": metadata, "description": name}}


def stripe_locale(tag: str) -> str:
    """Return the closest language of Stripe's pages to a BCP 47 tag, or `auto`."""
    tags = {language.lower(): language for language in _LANGUAGES}
    lowered = tag.replace("_", "-").lower()
    return tags.get(lowered) or tags.get(lowered.partition("-")[0]) or "auto"


def _amount(params: CheckoutParams) -> int:
    try:
        return to_stripe_amount(params.money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error


def _idempotency_key(params: CheckoutParams, request: dict[str, Any]) -> str:
    # The key contains a digest of the request: a campaign may change its name or URLs between two attempts, and
    # Stripe rejects another request with the same key.
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    return f"checkout/{params.pledge_id}/{digest}"
