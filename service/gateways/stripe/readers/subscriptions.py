"""Subscriptions: where one stands, what it takes, and that it ended.

See https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses. The period stands on the items;
before Stripe's API of 2025-03-31 on the subscription itself.
"""

import datetime
from typing import Final

from service.domain.money.amounts import Money
from service.domain.ports.news import PaymentEvent, SubscriptionUpdated
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of
from service.gateways.stripe.orders import ENDED
from service.gateways.stripe.readers.told import (
    Thing,
    Told,
    all_in,
    inside,
    instant,
    money_of,
    name_of,
    pledge_in,
)

PAST_DUE: Final = frozenset({"past_due", "unpaid"})
STARTED: Final = PAST_DUE | {"active", "trialing"}


def updated(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell where a subscription stands now."""
    return _standing(told, ended=told.thing.get("status") in ENDED)


def deleted(_api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell that a subscription takes nothing any more."""
    return _standing(told, ended=True)


def _standing(told: Told, *, ended: bool) -> list[PaymentEvent]:
    of = told.thing
    pledge_id = pledge_in(of.get("metadata"))
    if pledge_id is None:
        return []
    status = of.get("status")
    return [
        SubscriptionUpdated(
            subscription=name_of(of),
            occurred_at=told.at,
            is_past_due=status in PAST_DUE and not ended,
            is_started=status in STARTED and not ended,
            ended=ended,
            money=_price(of),
            renews_at=None if ended else _period_end(of),
            pledge_id=pledge_id,
            customer=id_of(of.get("customer")),
        )
    ]


def _price(of: Thing) -> Money | None:
    """Return what it takes each time, if every item says so."""
    total, currency = 0, of.get("currency")
    for item in all_in(of, "items"):
        price = item.get("price") or item.get("plan") or {}
        amount = price.get("unit_amount", price.get("amount"))
        quantity = item.get("quantity", 1)
        if type(amount) is not int or type(quantity) is not int:
            return None
        total += amount * quantity
        currency = currency or price.get("currency")
    if total == 0:
        amount, currency = inside(of, "plan", "amount"), inside(of, "plan", "currency") or currency
        total = amount if type(amount) is int else 0
    return money_of(total, currency) if total > 0 else None


def _period_end(of: Thing) -> datetime.datetime | None:
    ends = [item.get("current_period_end") for item in all_in(of, "items")]
    whole = [end for end in ends if type(end) is int]
    return instant(min(whole)) if whole else instant(of.get("current_period_end"))
