"""By which names we may know the payment that a charge took, and whether it is one of ours at all."""

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import invoice_for_payment_intent, object_id
from service.gateways.stripe.readers.invoices import invoice_owner
from service.gateways.stripe.readers.told import StripeJson, find_pledge_id


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
