"""Checkout Sessions: a reader went through one, or it closed unpaid. See
https://docs.stripe.com/checkout/fulfillment.
"""

import uuid
from typing import Final

from service.domain.ports import InvalidEvent
from service.domain.ports.payment_events import CheckoutCompleted, CheckoutExpired, PaymentEvent, PaymentSucceeded
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import object_id
from service.gateways.stripe.readers.told import ParsedEvent, find_pledge_id, get_path, money_field

SUBSCRIPTION: Final = "subscription"


def parse_checkout_completed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that a reader is through, and of the payment if the money is there and the session names it."""
    pledge_id = _pledge(event)
    if pledge_id is None:
        return []
    done = _checkout_completed(event, pledge_id)
    if event.object.get("payment_status") != "paid":
        return [done]
    payment = _payment(event)
    if payment is None:
        return [done]
    money = money_field(event.object, "amount_total")
    if money.amount_minor == 0:
        return [done]
    return [
        done,
        PaymentSucceeded(
            reference=payment,
            money=money,
            occurred_at=event.occurred_at,
            pledge_id=pledge_id,
            subscription=done.subscription,
            customer=done.customer,
        ),
    ]


def parse_async_payment_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that the money of a bank debit did not come.

    A one-time session takes no other try. A subscription's bill is tried again, and tells by itself how it goes.
    """
    pledge_id = _pledge(event)
    if pledge_id is None:
        return []
    done = _checkout_completed(event, pledge_id)
    if event.object.get("mode") == SUBSCRIPTION:
        return [done]
    return [done, CheckoutExpired(pledge_id=pledge_id, occurred_at=event.occurred_at)]


def parse_checkout_expired(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that a session closed unpaid."""
    pledge_id = _pledge(event)
    return [] if pledge_id is None else [CheckoutExpired(pledge_id=pledge_id, occurred_at=event.occurred_at)]


def _pledge(event: ParsedEvent) -> uuid.UUID | None:
    # The metadata first: a shop on the same account may put ids of its own in the other.
    if get_path(event.object, "metadata") is None:
        return find_pledge_id(event.object.get("client_reference_id"))
    return find_pledge_id(event.object["metadata"])


def _checkout_completed(event: ParsedEvent, pledge_id: uuid.UUID) -> CheckoutCompleted:
    email = get_path(event.object, "customer_details", "email") or event.object.get("customer_email")
    return CheckoutCompleted(
        pledge_id=pledge_id,
        occurred_at=event.occurred_at,
        email=email if isinstance(email, str) else None,
        customer=object_id(event.object.get("customer")),
        subscription=object_id(event.object.get("subscription")),
    )


def _payment(event: ParsedEvent) -> str | None:
    """Return the payment's name to us: the invoice of a subscription, which its own event tells of as well."""
    if event.object.get("mode") == SUBSCRIPTION:
        return object_id(event.object.get("invoice"))
    intent = object_id(event.object.get("payment_intent"))
    if intent is None:
        raise InvalidEvent("The session is paid and names no payment_intent.")
    return intent
