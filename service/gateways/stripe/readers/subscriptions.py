"""Subscriptions: where one stands, what it takes, and that it ended.

See https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses. The period stands on the items;
before Stripe's API of 2025-03-31 on the subscription itself.
"""

import datetime
from typing import Final

from service.domain.money import Money
from service.domain.ports.payment_events import PaymentEvent, SubscriptionUpdated
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import object_id
from service.gateways.stripe.orders import ENDED_STATUSES
from service.gateways.stripe.readers.told import (
    ParsedEvent,
    StripeJson,
    find_pledge_id,
    get_path,
    list_data,
    parse_timestamp,
    require_id,
    to_money,
)

PAST_DUE_STATUSES: Final = frozenset({"past_due", "unpaid"})
STARTED_STATUSES: Final = PAST_DUE_STATUSES | {"active", "trialing"}


def parse_subscription_updated(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell where a subscription stands now."""
    return _subscription_update(event, ended=event.object.get("status") in ENDED_STATUSES)


def parse_subscription_deleted(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that a subscription takes nothing any more."""
    return _subscription_update(event, ended=True)


def _subscription_update(event: ParsedEvent, *, ended: bool) -> list[PaymentEvent]:
    subscription = event.object
    pledge_id = find_pledge_id(subscription.get("metadata"))
    if pledge_id is None:
        return []
    status = subscription.get("status")
    return [
        SubscriptionUpdated(
            subscription=require_id(subscription),
            occurred_at=event.occurred_at,
            is_past_due=status in PAST_DUE_STATUSES and not ended,
            is_started=status in STARTED_STATUSES and not ended,
            ended=ended,
            money=_price(subscription),
            renews_at=None if ended else _period_end(subscription),
            pledge_id=pledge_id,
            customer=object_id(subscription.get("customer")),
        )
    ]


def _price(subscription: StripeJson) -> Money | None:
    """Return what it takes each time, if every item says so."""
    total, currency = 0, subscription.get("currency")
    for item in list_data(subscription, "items"):
        price = item.get("price") or item.get("plan") or {}
        amount = price.get("unit_amount", price.get("amount"))
        quantity = item.get("quantity", 1)
        if type(amount) is not int or type(quantity) is not int:
            return None
        total += amount * quantity
        currency = currency or price.get("currency")
    if total == 0:
        amount, currency = (
            get_path(subscription, "plan", "amount"),
            get_path(subscription, "plan", "currency") or currency,
        )
        total = amount if type(amount) is int else 0
    return to_money(total, currency) if total > 0 else None


def _period_end(subscription: StripeJson) -> datetime.datetime | None:
    ends = [item.get("current_period_end") for item in list_data(subscription, "items")]
    whole = [end for end in ends if type(end) is int]
    return parse_timestamp(min(whole)) if whole else parse_timestamp(subscription.get("current_period_end"))
