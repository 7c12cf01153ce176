"""By which names we may know the payment that a charge took, and whether it is one of ours at all."""

from typing import Any

from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of, invoice_of_intent
from service.gateways.stripe.readers.invoices import owner_of
from service.gateways.stripe.readers.told import Thing, pledge_in


def names_of(api: StripeApi, *, charge: str | None, known: Thing | None) -> tuple[str, ...]:
    """Return the names of a payment: intent, invoice and charge, as far as they are known; none if it is not ours.

    `known` is what is told of the charge: its intent and metadata and, in older versions, its invoice. What may be
    ours, because Stripe does not know it any more, counts as ours: the domain knows its own payments.

    Raises:
        GatewayUnavailable: try again later.
    """
    told: Thing | None = known
    if told is None and charge is not None:
        told = api.find("look_at_charge", lambda v1: v1.charges.retrieve(charge))
    intent = id_of((told or {}).get("payment_intent"))
    invoice = id_of((told or {}).get("invoice"))
    if pledge_in((told or {}).get("metadata")) is None:
        if invoice is None and intent is not None:
            invoice = invoice_of_intent(api, intent)
        is_ours = _is_ours(api, invoice, intent) if invoice or intent else told is None
        if not is_ours:
            return ()
    return tuple(name for name in (intent, invoice, charge) if name)


def _is_ours(api: StripeApi, invoice: str | None, intent: str | None) -> bool:
    found: dict[str, Any] | None
    if invoice is not None:
        found = api.find("look_at_invoice", lambda v1: v1.invoices.retrieve(invoice))
        return found is None or owner_of(api, found) is not None
    found = None if intent is None else api.find("look_at_intent", lambda v1: v1.payment_intents.retrieve(intent))
    return found is None or pledge_in(found.get("metadata")) is not None
