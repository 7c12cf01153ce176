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

from service.domain.ports.payment_events import PaymentEvent, PaymentFailed, PaymentSucceeded, RenewalUpcoming
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import object_id
from service.gateways.stripe.readers.told import (
    ParsedEvent,
    StripeJson,
    find_pledge_id,
    get_path,
    list_data,
    money_field,
    parse_timestamp,
    require_id,
)


@dataclass(frozen=True)
class InvoiceOwner:
    """Whose bill it is: a subscription, and the pledge if that is told."""

    subscription: str
    pledge_id: uuid.UUID | None


def parse_invoice_paid(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of the payment; a bill of nothing moved no money."""
    owner = invoice_owner(api, event.object)
    if owner is None:
        return []
    money = money_field(event.object, "amount_paid")
    if money.amount_minor == 0:
        return []
    return [
        PaymentSucceeded(
            reference=require_id(event.object),
            money=money,
            occurred_at=parse_timestamp(get_path(event.object, "status_transitions", "paid_at"))
            or event.occurred_at,
            pledge_id=owner.pledge_id,
            subscription=owner.subscription,
            customer=object_id(event.object.get("customer")),
            renews_at=_period_boundary(event.object, "end", max),
        )
    ]


def parse_invoice_payment_failed(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of a try that failed, the how manieth it was, and when Stripe tries again."""
    owner = invoice_owner(api, event.object)
    if owner is None:
        return []
    money = money_field(event.object, "amount_due")
    if money.amount_minor == 0:
        return []
    counted = event.object.get("attempt_count")
    number = max(counted, 1) if type(counted) is int else 1
    bill = require_id(event.object)
    return [
        PaymentFailed(
            reference=f"{bill}#{number}",
            invoice=bill,
            money=money,
            occurred_at=event.occurred_at,
            attempt=number,
            next_attempt_at=parse_timestamp(event.object.get("next_payment_attempt")),
            pledge_id=owner.pledge_id,
            subscription=owner.subscription,
        )
    ]


def parse_invoice_upcoming(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell when a subscription will take money next: at the beginning of the period that it is for."""
    owner = invoice_owner(api, event.object)
    renews_at = (
        _period_boundary(event.object, "start", min)
        or parse_timestamp(event.object.get("next_payment_attempt"))
        or parse_timestamp(event.object.get("period_end"))
    )
    if owner is None or renews_at is None:
        return []
    return [RenewalUpcoming(subscription=owner.subscription, renews_at=renews_at, pledge_id=owner.pledge_id)]


def invoice_owner(api: StripeApiClient, invoice: StripeJson) -> InvoiceOwner | None:
    """Return whose bill this is, or None if it is not one of ours.

    Only a bill that does not say is looked up. If Stripe does not know its subscription any more either, ours may.
    """
    parent = get_path(invoice, "parent", "subscription_details")
    subscription = (
        object_id(get_path(parent, "subscription"))
        or object_id(invoice.get("subscription"))
        or _subscription_from_lines(invoice)
    )
    if subscription is None:
        return None
    lines = [line.get("metadata") for line in list_data(invoice, "lines")]
    details = get_path(invoice, "subscription_details", "metadata")
    pledge_id = find_pledge_id(get_path(parent, "metadata"), details, *lines, invoice.get("metadata"))
    if pledge_id is not None:
        return InvoiceOwner(subscription, pledge_id)
    found = api.retrieve("look_at_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
    if found is None:
        return InvoiceOwner(subscription, None)
    pledge_id = find_pledge_id(found.get("metadata"))
    return None if pledge_id is None else InvoiceOwner(subscription, pledge_id)


def _subscription_from_lines(invoice: StripeJson) -> str | None:
    for line in list_data(invoice, "lines"):
        named = object_id(get_path(line, "parent", "subscription_item_details", "subscription"))
        named = named or object_id(line.get("subscription"))
        if named is not None:
            return named
    return None


def _period_boundary(
    invoice: StripeJson, edge: str, which: Callable[[list[int]], int]
) -> datetime.datetime | None:
    """Return the beginning or the end of the period that is paid for; what a change of price adds has its own."""
    edges: list[int] = []
    for line in list_data(invoice, "lines"):
        moment: Any = get_path(line, "period", edge)
        prorated = get_path(line, "parent", "subscription_item_details", "proration") or line.get("proration")
        if type(moment) is int and not prorated:
            edges.append(moment)
    return parse_timestamp(which(edges)) if edges else None
