"""By which names we may know the payment that a charge took, and whether it is one of ours at all."""

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
    intent, invoice = id_of((told or {}).get("payment_intent")), id_of((told or {}).get("invoice"))
    is_ours = pledge_in((told or {}).get("metadata")) is not None
    if invoice is None and intent is not None and not is_ours:
        invoice = invoice_of_intent(api, intent)
        if invoice is None:
            invoice, is_ours = _by_intent(api, intent)
    if invoice is not None and not is_ours:
        is_ours = _is_our_invoice(api, invoice)
    if not is_ours and (told is not None or intent is not None):
        return ()
    return tuple(name for name in (intent, invoice, charge) if name)


def _by_intent(api: StripeApi, intent: str) -> tuple[str | None, bool]:
    """Return the invoice that an intent names, as it did in older versions, and whether it bears our pledge."""
    found = api.find("look_at_intent", lambda v1: v1.payment_intents.retrieve(intent))
    if found is None:
        return None, True
    return id_of(found.get("invoice")), pledge_in(found.get("metadata")) is not None


def _is_our_invoice(api: StripeApi, invoice: str) -> bool:
    found = api.find("look_at_invoice", lambda v1: v1.invoices.retrieve(invoice))
    return found is None or owner_of(api, found) is not None
