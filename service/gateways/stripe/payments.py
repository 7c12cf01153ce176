"""What a payment did to the balance at Stripe: the whole, Stripe's share, and what stays."""

import uuid
from dataclasses import dataclass
from typing import Any

from stripe import RequestOptions

from service.domain.ports import GatewayBalanceTransaction
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.currencies import from_stripe_amount
from service.gateways.stripe.event_fields import StripeJson, find_pledge_id, get_path, list_data, object_id


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


def get_balance_transaction(api: StripeApiClient, payment_reference: str) -> GatewayBalanceTransaction | None:
    """Look up a payment's entry in the balance, in two calls at most; None if Stripe has not made it yet.

    Raises:
        GatewayUnavailable: try again later.
    """
    paid = {"payment_intent": payment_reference}
    if is_invoice(payment_reference):
        found = payment_for_invoice(api, payment_reference)
        if found is None:
            return None
        paid = found
    entry = _balance_transaction(_charge(api, paid))
    return None if entry is None else _to_domain(entry)


def _charge(api: StripeApiClient, paid: dict[str, str]) -> dict[str, Any] | None:
    if "charge" in paid:
        return api.retrieve(
            "look_at_charge",
            lambda v1: v1.charges.retrieve(paid["charge"], {"expand": ["balance_transaction"]}),
        )
    intent = api.retrieve(
        "look_at_intent",
        lambda v1: v1.payment_intents.retrieve(
            paid["payment_intent"], {"expand": ["latest_charge.balance_transaction"]}
        ),
    )
    charge = (intent or {}).get("latest_charge")
    return charge if isinstance(charge, dict) else None


def _balance_transaction(charge: dict[str, Any] | None) -> dict[str, Any] | None:
    entry = (charge or {}).get("balance_transaction")
    return entry if isinstance(entry, dict) else None


def _to_domain(entry: dict[str, Any]) -> GatewayBalanceTransaction:
    gross = from_stripe_amount(entry["amount"], entry["currency"])
    fee = from_stripe_amount(entry["fee"], entry["currency"])
    return GatewayBalanceTransaction(
        reference=entry["id"],
        gross_minor=gross.amount_minor,
        fee_minor=fee.amount_minor,
        # Not read but reckoned: the three agree in our units too.
        net_minor=gross.amount_minor - fee.amount_minor,
        currency=gross.currency,
    )


def payment_references(api: StripeApiClient, *, charge: str | None, known: StripeJson | None) -> tuple[str, ...]:
    """Return the names of a payment: intent, invoice and charge, as far as they are known; none if it is not ours.

    `known` is what is told of the charge: its intent and metadata and, in older versions, its invoice. What may be
    ours, because Stripe does not know it any more, counts as ours: the domain knows its own payments.

    Raises:
        GatewayUnavailable: try again later.
    """
    event: StripeJson | None = known
    if event is None and charge is not None:
        event = api.retrieve("look_at_charge", lambda v1: v1.charges.retrieve(charge))
    intent, invoice = object_id((event or {}).get("payment_intent")), object_id((event or {}).get("invoice"))
    is_ours = find_pledge_id((event or {}).get("metadata")) is not None
    if invoice is None and intent is not None and not is_ours:
        invoice = invoice_for_payment_intent(api, intent)
        if invoice is None:
            invoice, is_ours = _by_intent(api, intent)
    if invoice is not None and not is_ours:
        is_ours = _is_our_invoice(api, invoice)
    if not is_ours and (event is not None or intent is not None):
        return ()
    return tuple(name for name in (intent, invoice, charge) if name)


def _by_intent(api: StripeApiClient, intent: str) -> tuple[str | None, bool]:
    """Return the invoice that an intent names, as it did in older versions, and whether it bears our pledge."""
    found = api.retrieve("look_at_intent", lambda v1: v1.payment_intents.retrieve(intent))
    if found is None:
        return None, True
    return object_id(found.get("invoice")), find_pledge_id(found.get("metadata")) is not None


def _is_our_invoice(api: StripeApiClient, invoice: str) -> bool:
    found = api.retrieve("look_at_invoice", lambda v1: v1.invoices.retrieve(invoice))
    return found is None or invoice_owner(api, found) is not None


@dataclass(frozen=True)
class InvoiceOwner:
    """Whose bill it is: a subscription, and the pledge if that is told."""

    subscription: str
    pledge_id: uuid.UUID | None


def invoice_owner(api: StripeApiClient, invoice: StripeJson) -> InvoiceOwner | None:
    """Return whose bill this is, or None if it is not one of ours.

    Only a bill that does not say is looked up. If Stripe does not know its subscription any more either, ours may.
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
    found = api.retrieve("look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
    if found is None:
        return InvoiceOwner(subscription, None)
    pledge_id = find_pledge_id(found.get("metadata"))
    return None if pledge_id is None else InvoiceOwner(subscription, pledge_id)


def _subscription_from_lines(invoice: StripeJson) -> str | None:
    for line in list_data(invoice, "lines"):
        named = object_id(get_path(line, "parent", "subscription_item_details", "subscription"))
        named = named or object_id(line.get("subscription"))
        if named is not None:
            return named
    return None
