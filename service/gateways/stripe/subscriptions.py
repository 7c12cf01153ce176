"""What Stripe is told to do with what it already takes: to stop, to take another amount, to give back.

Where it takes two calls, neither is made a second time by itself, so that both end within ten seconds.
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
    """Cancel a subscription at once; one that is cancelled stays so.

    Raises:
        what `Gateway` raises.
    """
    try:
        api.call("cancel_subscription", lambda v1: v1.subscriptions.cancel(subscription, options=NO_RETRIES))
    except GatewayRejected:
        # Stripe finds nothing to cancel once it is cancelled; only a look tells that from one that is not ours.
        found = api.retrieve(
            "look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=NO_RETRIES)
        )
        if found is None or found.get("status") not in ENDED_STATUSES:
            raise


def update_subscription_amount(
    api: StripeApiClient, subscription: str, money: Money, *, pledge_id: uuid.UUID
) -> None:
    """Put another price into a subscription, from its next payment on.

    Raises:
        what `Gateway` raises.
    """
    found = api.retrieve(
        "look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=NO_RETRIES)
    )
    if found is None or found.get("status") in ENDED_STATUSES:
        raise GatewayRejected("This subscription has ended at Stripe.")
    item = found["items"]["data"][0]
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
    # Each change makes a new price, so that the key differs when a reader changes there and back again.
    call_idempotent(
        api,
        "update_subscription_amount",
        f"amount/{pledge_id}/{price['id']}/{amount}",
        lambda v1, options: v1.subscriptions.update(subscription, params, options),  # type: ignore[arg-type]
        retries=0,
    )


def create_portal_session(
    api: StripeApiClient, customer: str, subscription: str, *, back_url: str, lang: str
) -> str:
    """Open Stripe's Billing Portal at the one page where a card is changed; return its address.

    It has no key of ours: a page that was opened once is good for some minutes, and asking again means another.
    That page changes the customer's card, and Checkout has given the subscription one of its own, which would be
    charged still: so the subscription leaves the choice to the customer first, and loses nothing by it.

    Raises:
        what `Gateway` raises.
    """
    found = api.retrieve(
        "look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=NO_RETRIES)
    )
    own_card = found.get("default_payment_method") if found is not None else None
    if own_card is not None:
        _promote_card_to_customer(api, customer, subscription, own_card)
    params: dict[str, Any] = {
        "customer": customer,
        "return_url": back_url,
        "locale": stripe_locale(lang),
        "flow_data": {
            "type": "payment_method_update",
            "after_completion": {"type": "redirect", "redirect": {"return_url": back_url}},
        },
    }
    return api.call(
        "create_payment_method_session",
        lambda v1: v1.billing_portal.sessions.create(params),  # type: ignore[arg-type]
    ).url


def _promote_card_to_customer(api: StripeApiClient, customer: str, subscription: str, own_card: str) -> None:
    """Make a subscription's own card the customer's, and let the subscription have none of its own."""
    card: dict[str, Any] = {"invoice_settings": {"default_payment_method": own_card}}
    none: dict[str, Any] = {"default_payment_method": ""}
    # In this order, so that there is a card to charge at every moment. What Stripe refuses is in the log, and
    # keeps no reader from the page.
    given = api.retrieve("give_card_to_customer", lambda v1: v1.customers.update(customer, card, NO_RETRIES))  # type: ignore[arg-type]
    if given is not None:
        api.retrieve("free_subscription", lambda v1: v1.subscriptions.update(subscription, none, NO_RETRIES))  # type: ignore[arg-type]


def create_refund(api: StripeApiClient, order: RefundParams) -> str:
    """Send money of a payment back; return Stripe's name of the refund.

    Stripe forgets a key after a day, and whoever asks again may come later than that: so a refund that was made
    under our name for it is looked for first.

    Raises:
        what `Gateway` raises.
    """
    paid = order.payment_reference
    payment = payment_for_invoice(api, paid, options=NO_RETRIES) if is_invoice(paid) else {"payment_intent": paid}
    if payment is None:
        raise GatewayRejected("Stripe knows no payment of this bill.")
    made = _find_refund(api, payment, order.refund_id) or _create_refund(api, payment, order)
    if made.status in ("failed", "canceled"):
        raise GatewayRejected("The reader's bank does not take this money back.")
    return made.id


def _create_refund(api: StripeApiClient, payment: dict[str, str], order: RefundParams) -> Refund:
    params: dict[str, Any] = {
        **payment,
        "amount": _amount(order.money),
        "metadata": {REFUND_METADATA_KEY: str(order.refund_id)},
    }
    return call_idempotent(
        api,
        "refund",
        f"refund/{order.refund_id}",
        lambda v1, options: v1.refunds.create(params, options),  # type: ignore[arg-type]
        find_existing=lambda: _find_refund(api, payment, order.refund_id),
        retries=0,
    )


def _find_refund(api: StripeApiClient, payment: dict[str, str], refund_id: uuid.UUID) -> Refund | None:
    asked: RefundListParams = {"limit": 100}
    if "charge" in payment:
        asked["charge"] = payment["charge"]
    else:
        asked["payment_intent"] = payment["payment_intent"]
    page = api.call("look_for_refund", lambda v1: v1.refunds.list(asked, NO_RETRIES))
    for found in page.data:
        if found.metadata is not None and found.metadata.to_dict().get(REFUND_METADATA_KEY) == str(refund_id):
            return found
    return None


def _amount(money: Money) -> int:
    try:
        return to_stripe_amount(money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error
