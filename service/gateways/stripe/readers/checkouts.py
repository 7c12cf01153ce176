"""Checkout Sessions: a reader went through one, or it closed unpaid. See
https://docs.stripe.com/checkout/fulfillment.
"""

import uuid
from typing import Final

from service.domain.ports import InvalidEvent
from service.domain.ports.news import CheckoutCompleted, CheckoutExpired, PaymentEvent, PaymentSucceeded
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of
from service.gateways.stripe.readers.told import Told, inside, money_in, pledge_in

SUBSCRIPTION: Final = "subscription"


def completed(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell that a reader is through, and of the payment if the money is there and the session names it."""
    pledge_id = _pledge(told)
    if pledge_id is None:
        return []
    done = _done(told, pledge_id)
    if told.thing.get("payment_status") != "paid":
        return [done]
    payment = _payment(told)
    if payment is None:
        return [done]
    money = money_in(told.thing, "amount_total")
    if money.amount_minor == 0:
        return [done]
    return [
        done,
        PaymentSucceeded(
            reference=payment,
            money=money,
            occurred_at=told.at,
            pledge_id=pledge_id,
            subscription=done.subscription,
            customer=done.customer,
        ),
    ]


def bank_refused(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell that the money of a bank debit did not come.

    A one-time session takes no other try. A subscription's bill is tried again, and tells by itself how it goes.
    """
    pledge_id = _pledge(told)
    if pledge_id is None:
        return []
    done = _done(told, pledge_id)
    if told.thing.get("mode") == SUBSCRIPTION:
        return [done]
    return [done, CheckoutExpired(pledge_id=pledge_id, occurred_at=told.at)]


def expired(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell that a session closed unpaid."""
    pledge_id = _pledge(told)
    return [] if pledge_id is None else [CheckoutExpired(pledge_id=pledge_id, occurred_at=told.at)]


def _pledge(told: Told) -> uuid.UUID | None:
    # The metadata first: a shop on the same account may put ids of its own in the other.
    if inside(told.thing, "metadata") is None:
        return pledge_in(told.thing.get("client_reference_id"))
    return pledge_in(told.thing["metadata"])


def _done(told: Told, pledge_id: uuid.UUID) -> CheckoutCompleted:
    email = inside(told.thing, "customer_details", "email") or told.thing.get("customer_email")
    return CheckoutCompleted(
        pledge_id=pledge_id,
        occurred_at=told.at,
        email=email if isinstance(email, str) else None,
        customer=id_of(told.thing.get("customer")),
        subscription=id_of(told.thing.get("subscription")),
    )


def _payment(told: Told) -> str | None:
    """Return the payment's name to us: the invoice of a subscription, which its own event tells of as well."""
    if told.thing.get("mode") == SUBSCRIPTION:
        return id_of(told.thing.get("invoice"))
    intent = id_of(told.thing.get("payment_intent"))
    if intent is None:
        raise InvalidEvent("The session is paid and names no payment_intent.")
    return intent
