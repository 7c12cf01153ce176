"""What each kind of event says, in the domain's words: one table, which is also what we ask Stripe to send."""

import datetime
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from service.domain.ports import InvalidEvent
from service.domain.ports.news import PaymentEvent
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.readers import checkouts, intents, invoices, returns, subscriptions
from service.gateways.stripe.readers.told import Told

Reader = Callable[[StripeApi, Told], list[PaymentEvent]]

HANDLED: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "checkout.session.completed": checkouts.completed,
        "checkout.session.expired": checkouts.expired,
        "checkout.session.async_payment_succeeded": checkouts.completed,
        "checkout.session.async_payment_failed": checkouts.bank_refused,
        "invoice.paid": invoices.paid,
        "invoice.payment_failed": invoices.payment_failed,
        "invoice.upcoming": invoices.upcoming,
        "customer.subscription.updated": subscriptions.updated,
        "customer.subscription.deleted": subscriptions.deleted,
        "charge.refunded": returns.refunded,
        "charge.dispute.created": returns.disputed,
        "charge.dispute.closed": returns.disputed,
        "payment_intent.payment_failed": intents.payment_failed,
    }
)


def read_event(api: StripeApi, payload: str) -> list[PaymentEvent]:
    """Return what an event says; nothing if it is of a kind that we do not handle, or of another product.

    Raises:
        GatewayUnavailable: something must be looked up, and cannot be now.
        InvalidEvent: it is not in the form that its kind has; the message names the field and not its value.
    """
    try:
        event = json.loads(payload)
        kind, created, data = event["type"], event["created"], event["data"]
        thing, before = data["object"], data.get("previous_attributes")
        at = datetime.datetime.fromtimestamp(created, datetime.UTC)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidEvent("This is no event of Stripe's.") from error
    if not isinstance(kind, str) or not isinstance(thing, dict):
        raise InvalidEvent("The event has no kind or no object.")
    reader = HANDLED.get(kind)
    if reader is None:
        return []
    return reader(api, Told(kind=kind, at=at, thing=thing, before=before if isinstance(before, dict) else {}))
