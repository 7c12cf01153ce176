"""Look up payments at Stripe: their invoices, and the pledges they belong to.

A payment reference is the id of an Invoice (`in_…`) for a recurring pledge and of a PaymentIntent (`pi_…`) for a
one-time pledge. See https://docs.stripe.com/api/invoice-payment for how Stripe links the two.
"""

import uuid
from dataclasses import dataclass

from stripe import RequestOptions

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import StripeJson, find_pledge_id, get_path, list_data, object_id


@dataclass(frozen=True)
class InvoiceOwner:
    """The subscription that an invoice belongs to, and its pledge if Stripe still knows it."""

    subscription: str
    pledge_id: uuid.UUID | None


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


# Which pledge a payment belongs to


def invoice_owner(api: StripeApiClient, invoice: StripeJson) -> InvoiceOwner | None:
    """Return the subscription and pledge of an invoice, or None if it is not ours.

    The subscription is retrieved only if the invoice names no pledge. A subscription that Stripe no longer knows
    counts as ours: the domain knows its own subscriptions.

    Raises:
        GatewayUnavailable: try again later.
    """
    parent = get_path(invoice, "parent", "subscription_details")
    subscription = (
        object_id(get_path(parent, "subscription"))
        or object_id(invoice.get("subscription"))
        or _subscription_from_lines(invoice)
    )
    if subscription is None:
        return None
    lines = [line.get("metadata") for line in list_data(invoice, "lines")]
    details = get_path(invoice, "subscription_details", "metadata")
    pledge_id = find_pledge_id(get_path(parent, "metadata"), details, *lines, invoice.get("metadata"))
    if pledge_id is not None:
        return InvoiceOwner(subscription, pledge_id)
    retrieved = api.retrieve("retrieve_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
    if retrieved is None:
        return InvoiceOwner(subscription, None)
    pledge_id = find_pledge_id(retrieved.get("metadata"))
    return None if pledge_id is None else InvoiceOwner(subscription, pledge_id)


def payment_references(
    api: StripeApiClient, *, charge_id: str | None, charge: StripeJson | None
) -> tuple[str, ...]:
    """Return the known ids of a payment, in the order intent, invoice, charge; empty if the payment is not ours.

    `charge` holds the fields of the charge that the event contains: its intent and metadata and, in older API
    versions, its invoice. A payment that Stripe no longer knows counts as ours: the domain knows its own payments.

    Raises:
        GatewayUnavailable: try again later.
    """
    if charge is None and charge_id is not None:
        charge = api.retrieve("retrieve_charge", lambda v1: v1.charges.retrieve(charge_id))
    fields = charge or {}
    intent, invoice = object_id(fields.get("payment_intent")), object_id(fields.get("invoice"))
    is_ours = find_pledge_id(fields.get("metadata")) is not None
    if invoice is None and intent is not None and not is_ours:
        invoice = invoice_for_payment_intent(api, intent)
        if invoice is None:
            invoice, is_ours = _read_payment_intent(api, intent)
    if invoice is not None and not is_ours:
        is_ours = _is_our_invoice(api, invoice)
    if not is_ours and (charge is not None or intent is not None):
        return ()
    return tuple(reference for reference in (intent, invoice, charge_id) if reference)


def _read_payment_intent(api: StripeApiClient, intent: str) -> tuple[str | None, bool]:
    """Return the invoice that an intent names in older API versions, and whether its metadata names a pledge."""
    retrieved = api.retrieve("retrieve_payment_intent", lambda v1: v1.payment_intents.retrieve(intent))
    if retrieved is None:
        return None, True
    return object_id(retrieved.get("invoice")), find_pledge_id(retrieved.get("metadata")) is not None


def _is_our_invoice(api: StripeApiClient, invoice: str) -> bool:
    retrieved = api.retrieve("retrieve_invoice", lambda v1: v1.invoices.retrieve(invoice))
    return retrieved is None or invoice_owner(api, retrieved) is not None


def _subscription_from_lines(invoice: StripeJson) -> str | None:
    for line in list_data(invoice, "lines"):
        subscription = object_id(get_path(line, "parent", "subscription_item_details", "subscription"))
        subscription = subscription or object_id(line.get("subscription"))
        if subscription is not None:
            return subscription
    return None
