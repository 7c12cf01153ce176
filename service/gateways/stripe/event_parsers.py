"""Translate Stripe events into payment events of the domain: which parser handles which kind.

An event that does not belong to a pledge yields nothing: other products may share the Stripe account. The kinds
are described at https://docs.stripe.com/api/events/types.
"""

import datetime
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from service.domain.ports import InvalidEvent
from service.domain.ports.payment_events import PaymentEvent
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import ParsedEvent, StripeJson, get_path
from service.gateways.stripe.event_owners import EventOwner
from service.gateways.stripe.payment_event_parsers import (
    parse_charge_refunded,
    parse_dispute,
    parse_fraud_warning,
    parse_refund,
)
from service.gateways.stripe.pledge_event_parsers import (
    parse_async_payment_failed,
    parse_checkout_completed,
    parse_checkout_expired,
    parse_customer_updated,
    parse_invoice_action_required,
    parse_invoice_paid,
    parse_invoice_payment_failed,
    parse_invoice_upcoming,
    parse_payment_intent_failed,
    parse_subscription_deleted,
    parse_subscription_updated,
)

EventParser = Callable[[StripeApiClient, ParsedEvent], list[PaymentEvent]]


def parse_event(
    api: StripeApiClient, payload: str, find_owner: Callable[[str, StripeJson], EventOwner | None]
) -> list[PaymentEvent]:
    """Translate an event; the list is empty for a kind that is not in `EVENT_PARSERS` or for another product.

    Raises:
        OwnerUnknown: as `EventOwners.find`, which `find_owner` calls.
        GatewayUnavailable: something must be looked up and Stripe is unavailable.
        InvalidEvent: the event is malformed; the message names the field and not its value.
    """
    try:
        event = json.loads(payload)
        kind, created, data = event["type"], event["created"], event["data"]
        obj, previous_attributes = data["object"], data.get("previous_attributes")
        occurred_at = datetime.datetime.fromtimestamp(created, datetime.UTC)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidEvent("This is not a Stripe event.") from error
    if not isinstance(kind, str) or not isinstance(obj, dict):
        raise InvalidEvent("The event has no type or no object.")
    parser = EVENT_PARSERS.get(kind)
    if parser is None:
        return []
    owner = find_owner(kind, obj)
    if owner is None:
        return []
    return parser(
        api,
        ParsedEvent(
            kind=kind,
            occurred_at=occurred_at,
            object=obj,
            previous_attributes=previous_attributes if isinstance(previous_attributes, dict) else {},
            pledge_id=owner.pledge_id,
            idempotency_key=get_path(event, "request", "idempotency_key"),
        ),
    )


# Which parser handles which kind. The webhook endpoint subscribes to exactly these.
EVENT_PARSERS: Final[Mapping[str, EventParser]] = MappingProxyType(
    {
        "checkout.session.completed": parse_checkout_completed,
        "checkout.session.expired": parse_checkout_expired,
        "checkout.session.async_payment_succeeded": parse_checkout_completed,
        "checkout.session.async_payment_failed": parse_async_payment_failed,
        "payment_intent.payment_failed": parse_payment_intent_failed,
        "invoice.paid": parse_invoice_paid,
        "invoice.payment_failed": parse_invoice_payment_failed,
        "invoice.payment_action_required": parse_invoice_action_required,
        "invoice.upcoming": parse_invoice_upcoming,
        "customer.updated": parse_customer_updated,
        "customer.subscription.updated": parse_subscription_updated,
        "customer.subscription.deleted": parse_subscription_deleted,
        "charge.refunded": parse_charge_refunded,
        "charge.refund.updated": parse_refund,
        "refund.created": parse_refund,
        "refund.updated": parse_refund,
        "refund.failed": parse_refund,
        "charge.dispute.created": parse_dispute,
        "charge.dispute.updated": parse_dispute,
        "charge.dispute.funds_withdrawn": parse_dispute,
        "charge.dispute.funds_reinstated": parse_dispute,
        "charge.dispute.closed": parse_dispute,
        "radar.early_fraud_warning.created": parse_fraud_warning,
    }
)
