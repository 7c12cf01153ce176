"""Payment intents: a card that was declined at a one-time checkout. An invoice tells of its own failed tries."""

from service.domain.ports.news import PaymentEvent, PaymentFailed
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of
from service.gateways.stripe.readers.told import Told, inside, money_in, name_of, pledge_in


def payment_failed(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell of the try, by the charge that failed or, if there was none, by its moment."""
    intent = told.thing
    pledge_id = pledge_in(intent.get("metadata"))
    if pledge_id is None:
        return []
    bill = name_of(intent)
    charge = inside(intent, "last_payment_error", "charge") or intent.get("latest_charge")
    return [
        PaymentFailed(
            reference=id_of(charge) or f"{bill}@{int(told.at.timestamp())}",
            invoice=bill,
            money=money_in(intent, "amount"),
            occurred_at=told.at,
            pledge_id=pledge_id,
        )
    ]
