"""What each kind of event says, in the domain's words: one table, which is also what we ask Stripe to send."""

import datetime
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from service.domain.ports import InvalidEvent
from service.domain.ports.payment_events import PaymentEvent
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.readers import checkouts, intents, invoices, returns, subscriptions
from service.gateways.stripe.readers.told import ParsedEvent

EventParser = Callable[[StripeApiClient, ParsedEvent], list[PaymentEvent]]

EVENT_PARSERS: Final[Mapping[str, EventParser]] = MappingProxyType(
    {
        "checkout.session.completed": checkouts.parse_checkout_completed,
        "checkout.session.expired": checkouts.parse_checkout_expired,
        "checkout.session.async_payment_succeeded": checkouts.parse_checkout_completed,
        "checkout.session.async_payment_failed": checkouts.parse_async_payment_failed,
        "invoice.paid": invoices.parse_invoice_paid,
        "invoice.payment_failed": invoices.parse_invoice_payment_failed,
        "invoice.upcoming": invoices.parse_invoice_upcoming,
        "customer.subscription.updated": subscriptions.parse_subscription_updated,
        "customer.subscription.deleted": subscriptions.parse_subscription_deleted,
        "charge.refunded": returns.parse_charge_refunded,
        "charge.dispute.created": returns.parse_dispute,
        "charge.dispute.closed": returns.parse_dispute,
        "payment_intent.payment_failed": intents.parse_payment_intent_failed,
    }
)


def parse_event(api: StripeApiClient, payload: str) -> list[PaymentEvent]:
    """Return what an event says; nothing if it is of a kind that we do not handle, or of another product.

    Raises:
        GatewayUnavailable: something must be looked up, and cannot be now.
        InvalidEvent: it is not in the form that its kind has; the message names the field and not its value.
    """
    try:
        event = json.loads(payload)
        kind, created, data = event["type"], event["created"], event["data"]
        obj, before = data["object"], data.get("previous_attributes")
        at = datetime.datetime.fromtimestamp(created, datetime.UTC)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidEvent("This is no event of Stripe's.") from error
    if not isinstance(kind, str) or not isinstance(obj, dict):
        raise InvalidEvent("The event has no kind or no object.")
    reader = EVENT_PARSERS.get(kind)
    if reader is None:
        return []
    return reader(
        api,
        ParsedEvent(
            kind=kind, occurred_at=at, object=obj, previous_attributes=before if isinstance(before, dict) else {}
        ),
    )
