"""Invoices of subscriptions: paid, not paid, and to come. See
https://docs.stripe.com/billing/subscriptions/webhooks.

An invoice names its subscription and repeats its metadata under `parent`; before Stripe's API of 2025-03-31 under
`subscription` and `subscription_details`. Its lines say which period they are for.
"""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.domain.ports.news import PaymentEvent, PaymentFailed, PaymentSucceeded, RenewalUpcoming
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of
from service.gateways.stripe.readers.told import (
    Thing,
    Told,
    all_in,
    inside,
    instant,
    money_in,
    name_of,
    pledge_in,
)


@dataclass(frozen=True)
class Owner:
    """Whose bill it is: a subscription, and the pledge if that is told."""

    subscription: str
    pledge_id: uuid.UUID | None


def paid(api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell of the payment; a bill of nothing moved no money."""
    owner = owner_of(api, told.thing)
    if owner is None:
        return []
    money = money_in(told.thing, "amount_paid")
    if money.amount_minor == 0:
        return []
    return [
        PaymentSucceeded(
            reference=name_of(told.thing),
            money=money,
            occurred_at=instant(inside(told.thing, "status_transitions", "paid_at")) or told.at,
            pledge_id=owner.pledge_id,
            subscription=owner.subscription,
            customer=id_of(told.thing.get("customer")),
            renews_at=_edge(told.thing, "end", max),
        )
    ]


def payment_failed(api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell of a try that failed, the how manieth it was, and when Stripe tries again."""
    owner = owner_of(api, told.thing)
    if owner is None:
        return []
    money = money_in(told.thing, "amount_due")
    if money.amount_minor == 0:
        return []
    counted = told.thing.get("attempt_count")
    number = max(counted, 1) if type(counted) is int else 1
    bill = name_of(told.thing)
    return [
        PaymentFailed(
            reference=f"{bill}#{number}",
            invoice=bill,
            money=money,
            occurred_at=told.at,
            attempt=number,
            next_attempt_at=instant(told.thing.get("next_payment_attempt")),
            pledge_id=owner.pledge_id,
            subscription=owner.subscription,
        )
    ]


def upcoming(api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell when a subscription will take money next: at the beginning of the period that it is for."""
    owner = owner_of(api, told.thing)
    renews_at = (
        _edge(told.thing, "start", min)
        or instant(told.thing.get("next_payment_attempt"))
        or instant(told.thing.get("period_end"))
    )
    if owner is None or renews_at is None:
        return []
    return [RenewalUpcoming(subscription=owner.subscription, renews_at=renews_at, pledge_id=owner.pledge_id)]


def owner_of(api: StripeApi, invoice: Thing) -> Owner | None:
    """Return whose bill this is, or None if it is not one of ours.

    Only a bill that does not say is looked up. If Stripe does not know its subscription any more either, ours may.
    """
    parent = inside(invoice, "parent", "subscription_details")
    subscription = (
        id_of(inside(parent, "subscription")) or id_of(invoice.get("subscription")) or _of_lines(invoice)
    )
    if subscription is None:
        return None
    lines = [line.get("metadata") for line in all_in(invoice, "lines")]
    details = inside(invoice, "subscription_details", "metadata")
    pledge_id = pledge_in(inside(parent, "metadata"), details, *lines, invoice.get("metadata"))
    if pledge_id is not None:
        return Owner(subscription, pledge_id)
    found = api.find("look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
    if found is None:
        return Owner(subscription, None)
    pledge_id = pledge_in(found.get("metadata"))
    return None if pledge_id is None else Owner(subscription, pledge_id)


def _of_lines(invoice: Thing) -> str | None:
    for line in all_in(invoice, "lines"):
        named = id_of(inside(line, "parent", "subscription_item_details", "subscription"))
        named = named or id_of(line.get("subscription"))
        if named is not None:
            return named
    return None


def _edge(invoice: Thing, edge: str, which: Callable[[list[int]], int]) -> datetime.datetime | None:
    """Return the beginning or the end of the period that is paid for; what a change of price adds has its own."""
    edges: list[int] = []
    for line in all_in(invoice, "lines"):
        moment: Any = inside(line, "period", edge)
        prorated = inside(line, "parent", "subscription_item_details", "proration") or line.get("proration")
        if type(moment) is int and not prorated:
            edges.append(moment)
    return instant(which(edges)) if edges else None
