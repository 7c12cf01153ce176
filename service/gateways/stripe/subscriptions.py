"""Change what Stripe already charges: cancel a subscription, change its amount or card, refund a payment.

Where an operation makes more than one call, the library retries none, so that together they end within ten
seconds.
"""

import uuid
from typing import Any, Final

from stripe import Refund, RequestOptions
from stripe.params import RefundListParams

from service.domain.money import Money
from service.domain.ports import GatewayRejected, RefundParams
from service.gateways.stripe.checkout import stripe_locale
from service.gateways.stripe.client import StripeApiClient, call_idempotent
from service.gateways.stripe.currencies import to_stripe_amount
from service.gateways.stripe.payments import is_invoice, payment_for_invoice

REFUND_METADATA_KEY: Final = "refund_id"
ENDED_STATUSES: Final = frozenset({"canceled", "incomplete_expired"})
NO_RETRIES: Final[RequestOptions] = {"max_network_retries": 0}


def cancel_subscription(api: StripeApiClient, subscription: str) -> None:
    """Cancel a subscription immediately; it is no error if it has ended already.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    try:
        api.call("cancel_subscription", lambda v1: v1.subscriptions.cancel(subscription, options=NO_RETRIES))
    except GatewayRejected:
        # Stripe rejects this for a cancelled subscription as for an unknown one; its status tells them apart.
        existing = _retrieve_subscription(api, subscription)
        if existing is None or existing.get("status") not in ENDED_STATUSES:
            raise


def update_subscription_amount(
    api: StripeApiClient, subscription: str, money: Money, *, pledge_id: uuid.UUID
) -> None:
    """Replace the price of a subscription, from its next payment on.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    existing = _retrieve_subscription(api, subscription)
    if existing is None or existing.get("status") in ENDED_STATUSES:
        raise GatewayRejected("This subscription has ended at Stripe.")
    item = existing["items"]["data"][0]
    price, amount = item["price"], _amount(money)
    if price["currency"] != money.currency.lower():
        raise GatewayRejected("A subscription cannot change its currency.")
    if price["unit_amount"] == amount and item.get("quantity", 1) == 1:
        return
    params: dict[str, Any] = {
        "items": [
            {
                "id": item["id"],
                "quantity": 1,
                "price_data": {
                    "currency": price["currency"],
                    "product": price["product"],
                    "recurring": {
                        "interval": price["recurring"]["interval"],
                        "interval_count": price["recurring"].get("interval_count", 1),
                    },
                    "unit_amount": amount,
                },
            }
        ],
        "proration_behavior": "none",
    }
    # Each change creates a new price, so the key differs when a reader returns to an earlier amount.
    call_idempotent(
        api,
        "update_subscription_amount",
        f"amount/{pledge_id}/{price['id']}/{amount}",
        lambda v1, options: v1.subscriptions.update(subscription, params, options),  # type: ignore[arg-type]
        retries=0,
    )


def create_portal_session(
    api: StripeApiClient, customer: str, subscription: str, *, return_url: str, lang: str
) -> str:
    """Create a Billing Portal session for changing the card; return its URL.

    The call has no idempotency key: a session expires after some minutes, so each request needs a new one. The
    portal changes the customer's card. Checkout sets a card on the subscription, which takes precedence, so that
    card becomes the customer's first. See https://docs.stripe.com/customer-management/portal-deep-links.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    existing = _retrieve_subscription(api, subscription)
    card = existing.get("default_payment_method") if existing is not None else None
    if card is not None:
        _promote_card_to_customer(api, customer, subscription, card)
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


def _promote_card_to_customer(api: StripeApiClient, customer: str, subscription: str, card: str) -> None:
    """Move the default card from a subscription to its customer.

    The order of the calls leaves a card to charge at every moment. A rejection is logged and does not keep the
    reader from the portal.
    """
    set_card: dict[str, Any] = {"invoice_settings": {"default_payment_method": card}}
    clear_card: dict[str, Any] = {"default_payment_method": ""}
    updated = api.retrieve(
        "set_customer_payment_method",
        lambda v1: v1.customers.update(customer, set_card, NO_RETRIES),  # type: ignore[arg-type]
    )
    if updated is not None:
        api.retrieve(
            "clear_subscription_payment_method",
            lambda v1: v1.subscriptions.update(subscription, clear_card, NO_RETRIES),  # type: ignore[arg-type]
        )


def _retrieve_subscription(api: StripeApiClient, subscription: str) -> dict[str, Any] | None:
    return api.retrieve(
        "retrieve_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=NO_RETRIES)
    )


def create_refund(api: StripeApiClient, params: RefundParams) -> str:
    """Refund money of a payment; return Stripe's id of the refund.

    Stripe keeps an idempotency key for a day, and a retry may come later. So a refund with our id in its metadata
    is looked up first.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    reference = params.payment_reference
    payment: dict[str, str] | None = {"payment_intent": reference}
    if is_invoice(reference):
        payment = payment_for_invoice(api, reference, options=NO_RETRIES)
    if payment is None:
        raise GatewayRejected("Stripe knows no payment of this invoice.")
    refund = _find_refund(api, payment, params.refund_id) or _create_refund(api, payment, params)
    if refund.status in ("failed", "canceled"):
        raise GatewayRejected("The reader's bank does not accept this refund.")
    return refund.id


def _create_refund(api: StripeApiClient, payment: dict[str, str], params: RefundParams) -> Refund:
    request: dict[str, Any] = {
        **payment,
        "amount": _amount(params.money),
        "metadata": {REFUND_METADATA_KEY: str(params.refund_id)},
    }
    return call_idempotent(
        api,
        "create_refund",
        f"refund/{params.refund_id}",
        lambda v1, options: v1.refunds.create(request, options),  # type: ignore[arg-type]
        find_existing=lambda: _find_refund(api, payment, params.refund_id),
        retries=0,
    )


def _find_refund(api: StripeApiClient, payment: dict[str, str], refund_id: uuid.UUID) -> Refund | None:
    params: RefundListParams = {"limit": 100}
    if "charge" in payment:
        params["charge"] = payment["charge"]
    else:
        params["payment_intent"] = payment["payment_intent"]
    page = api.call("list_refunds", lambda v1: v1.refunds.list(params, NO_RETRIES))
    for refund in page.data:
        if refund.metadata is not None and refund.metadata.to_dict().get(REFUND_METADATA_KEY) == str(refund_id):
            return refund
    return None


def _amount(money: Money) -> int:
    try:
        return to_stripe_amount(money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error
