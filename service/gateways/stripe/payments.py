"""Look up the invoices of payments at Stripe.

A payment reference is the id of an Invoice (`in_…`) for a recurring pledge and of a PaymentIntent (`pi_…`) for a
one-time pledge. See https://docs.stripe.com/api/invoice-payment for how Stripe links the two.
"""

from stripe import RequestOptions

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import StripeJson, find_pledge_id, get_path, list_data, object_id

# Invoices and what paid them


def is_invoice(reference: str) -> bool:
    """Return whether this is the id of an Invoice."""
    return reference.startswith("in_")


def payment_for_invoice(
    api: StripeApiClient, invoice: str, *, options: RequestOptions | None = None
) -> dict[str, str] | None:
    """Return what paid an invoice, as `{"payment_intent": …}` or `{"charge": …}`; None if it is unpaid or unknown.

    Raises:
        GatewayUnavailable: try again later.
    """
    page = api.retrieve(
        "list_invoice_payments",
        lambda v1: v1.invoice_payments.list({"invoice": invoice, "status": "paid", "limit": 1}, options),
    )
    for invoice_payment in (page or {}).get("data", []):
        payment = invoice_payment.get("payment") or {}
        for kind in ("payment_intent", "charge"):
            payment_id = object_id(payment.get(kind))
            if payment_id:
                return {kind: payment_id}
    return None


def invoice_for_payment_intent(api: StripeApiClient, intent: str) -> str | None:
    """Return the id of the invoice that a PaymentIntent paid, if any.

    Raises:
        GatewayUnavailable: try again later.
    """
    page = api.retrieve(
        "list_invoice_payments",
        lambda v1: v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1}
        ),
    )
    for invoice_payment in (page or {}).get("data", []):
        return object_id(invoice_payment.get("invoice"))
    return None


def invoice_subscription(invoice: StripeJson) -> str | None:
    """Return the subscription that an invoice is for, or None if it is for none."""
    return (
        object_id(get_path(invoice, "parent", "subscription_details", "subscription"))
        or object_id(invoice.get("subscription"))
        or _subscription_from_lines(invoice)
    )


def payment_references(
    api: StripeApiClient, *, charge_id: str | None, charge: StripeJson | None
) -> tuple[str, ...]:
    """Return the known ids of a payment, in the order intent, invoice, charge.

    `charge` holds the fields of the charge that the event contains: its intent and metadata and, in older API
    versions, its invoice. Only a one-time payment, which has no invoice, has a pledge's id in its metadata.

    Raises:
        GatewayUnavailable: try again later.
    """
    if charge is None and charge_id is not None:
        charge = api.retrieve("retrieve_charge", lambda v1: v1.charges.retrieve(charge_id))
    fields = charge or {}
    intent, invoice = object_id(fields.get("payment_intent")), object_id(fields.get("invoice"))
    if invoice is None and intent is not None and find_pledge_id(fields.get("metadata")) is None:
        invoice = invoice_for_payment_intent(api, intent) or _older_invoice(api, intent)
    return tuple(reference for reference in (intent, invoice, charge_id) if reference)


def _older_invoice(api: StripeApiClient, intent: str) -> str | None:
    """Return the invoice that an intent names in older API versions."""
    retrieved = api.retrieve("retrieve_payment_intent", lambda v1: v1.payment_intents.retrieve(intent))
    return object_id((retrieved or {}).get("invoice"))


def _subscription_from_lines(invoice: StripeJson) -> str | None:
    for line in list_data(invoice, "lines"):
        subscription = object_id(get_path(line, "parent", "subscription_item_details", "subscription"))
        subscription = subscription or object_id(line.get("subscription"))
        if subscription is not None:
            return subscription
    return None
