"""The names that one payment has at Stripe: its intent, its charge and, if it paid a bill, its invoice.

A one-time pledge's payment is known to us by its intent, a recurring one's by its invoice. In Stripe's present API
what connects an invoice with an intent is an object of its own, the invoice payment; before, each named the other.
"""

from typing import Any

from stripe import RequestOptions

from service.gateways.stripe.client import StripeApiClient


def is_invoice(reference: str) -> bool:
    """Whether this names an invoice."""
    return reference.startswith("in_")


def payment_for_invoice(
    api: StripeApiClient, invoice: str, *, options: RequestOptions | None = None
) -> dict[str, str] | None:
    """Return by what an invoice was paid, as `{"payment_intent": …}` or `{"charge": …}`.

    Raises:
        what `StripeApiClient.retrieve` raises.
    """
    found = api.retrieve(
        "look_at_payments_of_invoice",
        lambda v1: v1.invoice_payments.list({"invoice": invoice, "status": "paid", "limit": 1}, options),
    )
    for one in (found or {}).get("data", []):
        payment = one.get("payment") or {}
        for kind in ("payment_intent", "charge"):
            name = object_id(payment.get(kind))
            if name:
                return {kind: name}
    return None


def invoice_for_payment_intent(api: StripeApiClient, intent: str) -> str | None:
    """Return which invoice an intent paid, if any.

    Raises:
        what `StripeApiClient.retrieve` raises.
    """
    found = api.retrieve(
        "look_for_invoice_of_intent",
        lambda v1: v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1}
        ),
    )
    for one in (found or {}).get("data", []):
        return object_id(one.get("invoice"))
    return None


def object_id(value: Any) -> str | None:
    """Return the id of an object that is named or, if Stripe was asked for it, given in full."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
