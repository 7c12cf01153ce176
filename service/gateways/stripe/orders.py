"""What Stripe is told to do with what it already takes: to stop, to take another amount, to give back.

Where it takes two calls, neither is made a second time by itself, so that both end within ten seconds.
"""

import uuid
from typing import Any, Final

from stripe import Refund, RequestOptions
from stripe.params import RefundListParams

from service.domain.money.amounts import Money
from service.domain.ports import GatewayRejected, RefundParams
from service.gateways.stripe.checkout import language
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import intent_of_invoice, is_invoice
from service.gateways.stripe.repeating import ask_under
from service.gateways.stripe.units import to_stripe

REFUND: Final = "refund_id"
ENDED: Final = frozenset({"canceled", "incomplete_expired"})
ONCE_ONLY: Final[RequestOptions] = {"max_network_retries": 0}


def end_recurring(api: StripeApi, subscription: str) -> None:
    """Cancel a subscription at once; one that is cancelled stays so.

    Raises:
        what `Gateway` raises.
    """
    try:
        api.ask("cancel_subscription", lambda v1: v1.subscriptions.cancel(subscription, options=ONCE_ONLY))
    except GatewayRejected:
        # Stripe finds nothing to cancel once it is cancelled; only a look tells that from one that is not ours.
        found = api.find(
            "look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=ONCE_ONLY)
        )
        if found is None or found.get("status") not in ENDED:
            raise


def change_amount(api: StripeApi, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
    """Put another price into a subscription, from its next payment on.

    Raises:
        what `Gateway` raises.
    """
    found = api.find("look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=ONCE_ONLY))
    if found is None or found.get("status") in ENDED:
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
    ask_under(
        api,
        "update_subscription_amount",
        f"amount/{pledge_id}/{price['id']}/{amount}",
        lambda v1, options: v1.subscriptions.update(subscription, params, options),  # type: ignore[arg-type]
        retries=0,
    )


def card_page(api: StripeApi, customer: str, subscription: str, *, back_url: str, lang: str) -> str:
    """Open Stripe's Billing Portal at the one page where a card is changed; return its address.

    It has no key of ours: a page that was opened once is good for some minutes, and asking again means another.
    That page changes the customer's card, and Checkout has given the subscription one of its own, which would be
    charged still: so the subscription leaves the choice to the customer first, and loses nothing by it.

    Raises:
        what `Gateway` raises.
    """
    found = api.find("look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=ONCE_ONLY))
    own_card = found.get("default_payment_method") if found is not None else None
    if own_card is not None:
        _charge_customers_card(api, customer, subscription, own_card)
    params: dict[str, Any] = {
        "customer": customer,
        "return_url": back_url,
        "locale": language(lang),
        "flow_data": {
            "type": "payment_method_update",
            "after_completion": {"type": "redirect", "redirect": {"return_url": back_url}},
        },
    }
    return api.ask(
        "create_payment_method_session",
        lambda v1: v1.billing_portal.sessions.create(params),  # type: ignore[arg-type]
    ).url


def _charge_customers_card(api: StripeApi, customer: str, subscription: str, own_card: str) -> None:
    """Make a subscription's own card the customer's, and let the subscription have none of its own."""
    card: dict[str, Any] = {"invoice_settings": {"default_payment_method": own_card}}
    none: dict[str, Any] = {"default_payment_method": ""}
    # In this order, so that there is a card to charge at every moment. What Stripe refuses is in the log, and
    # keeps no reader from the page.
    given = api.find("give_card_to_customer", lambda v1: v1.customers.update(customer, card, ONCE_ONLY))  # type: ignore[arg-type]
    if given is not None:
        api.find("free_subscription", lambda v1: v1.subscriptions.update(subscription, none, ONCE_ONLY))  # type: ignore[arg-type]


def refund(api: StripeApi, order: RefundParams) -> str:
    """Send money of a payment back; return Stripe's name of the refund.

    Stripe forgets a key after a day, and whoever asks again may come later than that: so a refund that was made
    under our name for it is looked for first.

    Raises:
        what `Gateway` raises.
    """
    paid = order.payment_reference
    of = intent_of_invoice(api, paid, options=ONCE_ONLY) if is_invoice(paid) else {"payment_intent": paid}
    if of is None:
        raise GatewayRejected("Stripe knows no payment of this bill.")
    made = _made_before(api, of, order.refund_id) or _make(api, of, order)
    if made.status in ("failed", "canceled"):
        raise GatewayRejected("The reader's bank does not take this money back.")
    return made.id


def _make(api: StripeApi, of: dict[str, str], order: RefundParams) -> Refund:
    params: dict[str, Any] = {
        **of,
        "amount": _amount(order.money),
        "metadata": {REFUND: str(order.refund_id)},
    }
    return ask_under(
        api,
        "refund",
        f"refund/{order.refund_id}",
        lambda v1, options: v1.refunds.create(params, options),  # type: ignore[arg-type]
        already=lambda: _made_before(api, of, order.refund_id),
        retries=0,
    )


def _made_before(api: StripeApi, of: dict[str, str], refund_id: uuid.UUID) -> Refund | None:
    asked: RefundListParams = {"limit": 100}
    if "charge" in of:
        asked["charge"] = of["charge"]
    else:
        asked["payment_intent"] = of["payment_intent"]
    page = api.ask("look_for_refund", lambda v1: v1.refunds.list(asked, ONCE_ONLY))
    for found in page.data:
        if found.metadata is not None and found.metadata.to_dict().get(REFUND) == str(refund_id):
            return found
    return None


def _amount(money: Money) -> int:
    try:
        return to_stripe(money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error
