"""Let a reader change the card of all their subscriptions, on Stripe's Billing Portal.

The library retries none of the calls, so that together they end soon: a reader waits for them.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from stripe import RequestOptions

from service.gateways.stripe.checkout import stripe_locale
from service.gateways.stripe.client import NO_RETRIES, StripeApiClient
from service.gateways.stripe.subscriptions import PROMOTION_KEY_PREFIX


def create_portal_session(
    api: StripeApiClient, customer: str, subscriptions: Sequence[str], *, return_url: str, lang: str
) -> str:
    """Create a Billing Portal session for changing the card; return its URL.

    The call has no idempotency key: a session expires after some minutes, so each request needs a new one. The
    portal changes the customer's card. Checkout sets a card on the subscription, which takes precedence, so the
    customer's card takes its place first. See https://docs.stripe.com/customer-management/portal-deep-links.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    _share_latest_card(api, customer, subscriptions)
    params: dict[str, Any] = {
        "customer": customer,
        "return_url": return_url,
        "locale": stripe_locale(lang),
        "flow_data": {
            "type": "payment_method_update",
            "after_completion": {"type": "redirect", "redirect": {"return_url": return_url}},
        },
    }
    return api.call(
        "create_portal_session",
        lambda v1: v1.billing_portal.sessions.create(params),  # type: ignore[arg-type]
    ).url


def _share_latest_card(api: StripeApiClient, customer: str, subscriptions: Sequence[str]) -> None:
    """Make the card of the newest subscription the customer's, and let all of them use the customer's.

    A subscription has a card of its own only since its checkout, because this clears it. So the card of the newest
    is the one that the reader gave last. The order of the calls leaves a card to charge at every moment. A
    rejection is logged and does not keep the reader from the portal.
    """
    page = api.retrieve(
        "list_subscriptions", lambda v1: v1.subscriptions.list({"customer": customer, "limit": 100}, NO_RETRIES)
    )
    # The customer may have subscriptions that are not ours.
    with_card = [
        subscription
        for subscription in (page or {}).get("data", [])
        if subscription["id"] in subscriptions and subscription.get("default_payment_method")
    ]
    if not with_card:
        return
    newest = max(with_card, key=lambda subscription: subscription["created"])
    set_card: dict[str, Any] = {"invoice_settings": {"default_payment_method": newest["default_payment_method"]}}
    clear_card: dict[str, Any] = {"default_payment_method": ""}
    # The event of this change repeats the key, which tells it from a card that the reader saved.
    options: RequestOptions = {**NO_RETRIES, "idempotency_key": f"{PROMOTION_KEY_PREFIX}{uuid.uuid4()}"}
    updated = api.retrieve(
        "set_customer_payment_method",
        lambda v1: v1.customers.update(customer, set_card, options),  # type: ignore[arg-type]
    )
    if updated is None:
        return
    for subscription in with_card:
        api.retrieve(
            "clear_subscription_payment_method",
            lambda v1, subscription=subscription: v1.subscriptions.update(  # type: ignore[misc]
                subscription["id"], clear_card, NO_RETRIES
            ),
        )
