"""Change a subscription at Stripe: cancel or pause it, change its amount or its card.

Where an operation makes more than one call, the library retries none, so that together they end within ten
seconds.
"""

import datetime
import uuid
from typing import Any, Final

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import GatewayAmountChanged, GatewayInvoice, GatewayRejected
from service.gateways.stripe.client import NO_RETRIES, StripeApiClient, call_idempotent
from service.gateways.stripe.currencies import from_stripe_amount, to_stripe_amount
from service.gateways.stripe.event_fields import get_path
from service.gateways.stripe.products import reactivate_product

ENDED_STATUSES: Final = frozenset({"canceled", "incomplete_expired"})
PAUSED_STATUS: Final = "paused"
# Of these, the time that is paid for is known.
PAID_UP_STATUSES: Final = frozenset({"active", "trialing"})
INTERVALS: Final = {Frequency.MONTHLY: "month", Frequency.ANNUAL: "year"}
PROMOTION_KEY_PREFIX: Final = "promote/"
OPEN_STATUS: Final = "open"
PAID_STATUS: Final = "paid"
AMOUNT_METADATA_KEY: Final = "mainstay_amount"


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
    api: StripeApiClient,
    subscription: str,
    money: Money,
    *,
    pledge_id: uuid.UUID,
    expected: Money | None = None,
    frequency: Frequency | None = None,
) -> None:
    """Replace the price of a subscription, from its next payment on; with a `frequency`, also its interval.

    Stripe starts a new period at once when the interval changes, and charges it. A trial until the end of the paid
    period (https://docs.stripe.com/billing/subscriptions/billing-cycle) puts that off to the next day of payment.

    Raises:
        GatewayAmountChanged: the price is neither the `expected` one nor one that an earlier call set.
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
    interval = price["recurring"]["interval"]
    wanted = interval if frequency is None else INTERVALS[frequency]
    if price["unit_amount"] == amount and item.get("quantity", 1) == 1 and wanted == interval:
        return
    if expected is not None:
        _require_own_amount(existing, expected)
    params: dict[str, Any] = {
        # The answer to this call may be lost; the next one then knows the price as ours.
        "metadata": {AMOUNT_METADATA_KEY: str(amount)},
        "items": [
            {
                "id": item["id"],
                "quantity": 1,
                "price_data": {
                    "currency": price["currency"],
                    "product": price["product"],
                    "recurring": {
                        "interval": wanted,
                        "interval_count": price["recurring"].get("interval_count", 1) if wanted == interval else 1,
                    },
                    "unit_amount": amount,
                },
            }
        ],
        "proration_behavior": "none",
    }
    # Each change creates a new price, so the key differs when a reader returns to an earlier amount.
    key = f"amount/{pledge_id}/{price['id']}/{amount}"
    if wanted != interval:
        params["trial_end"] = _paid_until(existing)
        key = f"{key}/{wanted}"
    try:
        _update_subscription(api, subscription, params, key)
    except GatewayRejected:
        # Staff may have archived the product. Stripe may replay the rejection for the first key.
        if not reactivate_product(api, price["product"]):
            raise
        _update_subscription(api, subscription, params, f"{key}/product")


def _paid_until(subscription: dict[str, Any]) -> int:
    """Return the end of the period that is paid for, in seconds since 1970."""
    if subscription.get("status") not in PAID_UP_STATUSES:
        raise GatewayRejected("The last payment at Stripe is not made yet.")
    if subscription.get("pause_collection") is not None:
        raise GatewayRejected("The payments are paused at Stripe.")
    end: int = subscription["items"]["data"][0]["current_period_end"]
    return end


def _require_own_amount(subscription: dict[str, Any], expected: Money) -> None:
    item = subscription["items"]["data"][0]
    current = item["price"]["unit_amount"] * item.get("quantity", 1)
    set_by_us = get_path(subscription, "metadata", AMOUNT_METADATA_KEY)
    if current != _amount(expected) and str(current) != set_by_us:
        raise GatewayAmountChanged(from_stripe_amount(current, item["price"]["currency"]))


def _update_subscription(api: StripeApiClient, subscription: str, params: dict[str, Any], key: str) -> None:
    call_idempotent(
        api,
        "update_subscription_amount",
        key,
        lambda v1, options: v1.subscriptions.update(subscription, params, options),  # type: ignore[arg-type]
        retries=0,
    )


def set_pause(api: StripeApiClient, subscription: str, *, resumes_at: datetime.datetime | None, key: str) -> None:
    """Pause the collection of payments until `resumes_at`: invoices are void meanwhile. None ends a pause.

    See https://docs.stripe.com/billing/subscriptions/pause-payment

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request, or staff paused the subscription itself.
    """
    existing = _retrieve_subscription(api, subscription)
    if existing is None or existing.get("status") in ENDED_STATUSES:
        raise GatewayRejected("This subscription has ended at Stripe.")
    if existing.get("status") == PAUSED_STATUS:
        raise GatewayRejected("The subscription itself is paused at Stripe; resume it in the dashboard.")
    wanted = None if resumes_at is None else {"behavior": "void", "resumes_at": int(resumes_at.timestamp())}
    if existing.get("pause_collection") == wanted:
        return
    params: dict[str, Any] = {"pause_collection": wanted or ""}
    call_idempotent(
        api,
        "set_pause",
        f"pause/{key}",
        lambda v1, options: v1.subscriptions.update(subscription, params, options),  # type: ignore[arg-type]
        retries=0,
    )


def pay_invoice(api: StripeApiClient, invoice: str, *, key: str) -> None:
    """Charge an open invoice now with the default payment method of its subscription, else of its customer.

    It is no error if it is paid already.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: the payment was declined or needs a confirmation, or the invoice is void.
    """
    try:
        call_idempotent(
            api, "pay_invoice", f"pay/{key}", lambda v1, options: v1.invoices.pay(invoice, {}, options), retries=0
        )
    except GatewayRejected:
        # Stripe rejects this for a paid invoice, too.
        existing = api.retrieve("retrieve_invoice", lambda v1: v1.invoices.retrieve(invoice, options=NO_RETRIES))
        if existing is None or existing.get("status") != PAID_STATUS:
            raise


def get_invoice(api: StripeApiClient, invoice: str) -> GatewayInvoice:
    """Return an invoice.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: there is no such invoice.
    """
    found = api.call("retrieve_invoice", lambda v1: v1.invoices.retrieve(invoice)).to_dict()
    url = found.get("hosted_invoice_url")
    return GatewayInvoice(is_open=found.get("status") == OPEN_STATUS, url=url if isinstance(url, str) else None)


def _retrieve_subscription(api: StripeApiClient, subscription: str) -> dict[str, Any] | None:
    return api.retrieve(
        "retrieve_subscription", lambda v1: v1.subscriptions.retrieve(subscription, options=NO_RETRIES)
    )


def _amount(money: Money) -> int:
    try:
        return to_stripe_amount(money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error
