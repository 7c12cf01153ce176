"""Payment intents: a card that was declined at a one-time checkout. An invoice tells of its own failed tries."""

from service.domain.ports.payment_events import PaymentEvent, PaymentFailed
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import object_id
from service.gateways.stripe.readers.told import ParsedEvent, find_pledge_id, get_path, money_field, require_id


def parse_payment_intent_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of the try, by the charge that failed or, if there was none, by its moment."""
    intent = event.object
    pledge_id = find_pledge_id(intent.get("metadata"))
    if pledge_id is None:
        return []
    bill = require_id(intent)
    charge = get_path(intent, "last_payment_error", "charge") or intent.get("latest_charge")
    return [
        PaymentFailed(
            reference=object_id(charge) or f"{bill}@{int(event.occurred_at.timestamp())}",
            invoice=bill,
            money=money_field(intent, "amount"),
            occurred_at=event.occurred_at,
            pledge_id=pledge_id,
        )
    ]
