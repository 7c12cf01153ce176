"""Checkout Sessions: a reader went through one, or it closed unpaid. See
https://docs.stripe.com/checkout/fulfillment.
"""

import datetime
import json
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from schemas.enums import DisputeStatus
from service.domain.money import Money
from service.domain.ports import GatewayRejected, InvalidEvent
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    DisputeUpdated,
    PaymentEvent,
    PaymentFailed,
    PaymentSucceeded,
    RefundUpdated,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import (
    ParsedEvent,
    StripeJson,
    find_pledge_id,
    get_path,
    list_data,
    money_field,
    object_id,
    parse_timestamp,
    require_id,
    require_int,
    to_money,
)
from service.gateways.stripe.payments import invoice_owner, payment_references
from service.gateways.stripe.subscriptions import ENDED_STATUSES, REFUND_METADATA_KEY

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


def parse_payment_intent_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of the try, by the charge that failed or, if there was none, by its moment."""
    intent = event.object
    pledge_id = find_pledge_id(intent.get("metadata"))
    if pledge_id is None:
        return []
    bill = require_id(intent)
    charge = get_path(intent, "last_payment_error", "charge") or intent.get("latest_charge")
    return [
        PaymentFailed(
            reference=object_id(charge) or f"{bill}@{int(event.occurred_at.timestamp())}",
            invoice=bill,
            money=money_field(intent, "amount"),
            occurred_at=event.occurred_at,
            pledge_id=pledge_id,
        )
    ]


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


FAILED_REFUND_STATUSES: Final = frozenset({"failed", "canceled"})
# An inquiry asks before a dispute, and moves no money; one that was prevented was paid back as a refund.
IGNORED_DISPUTE_PREFIXES: Final = ("warning_", "prevented")
DISPUTE_OUTCOMES: Final = {"won": DisputeStatus.WON, "lost": DisputeStatus.LOST}


def parse_charge_refunded(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of every refund of a charge, each by its own name."""
    charge = event.object
    references = payment_references(api, charge=require_id(charge), known=charge)
    if not references:
        return []
    refunds = _refunds(api, charge)
    if refunds is None:
        return _refund_from_totals(event, references)
    return [
        RefundUpdated(
            references=references,
            refund=require_id(one),
            money=money_field(one, "amount"),
            occurred_at=parse_timestamp(one.get("created")) or event.occurred_at,
            refund_id=_refund_id(one),
            failed=one.get("status") in FAILED_REFUND_STATUSES,
        )
        for one in refunds
    ]


def parse_dispute(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that a reader's bank took the money back, or has decided about it."""
    dispute = event.object
    status = str(dispute.get("status"))
    if status.startswith(IGNORED_DISPUTE_PREFIXES):
        return []
    charge = object_id(dispute.get("charge"))
    intent = object_id(dispute.get("payment_intent"))
    references = payment_references(api, charge=charge, known={"payment_intent": intent} if intent else None)
    if not references:
        return []
    return [
        DisputeUpdated(
            references=references,
            dispute=require_id(dispute),
            status=DISPUTE_OUTCOMES.get(status, DisputeStatus.OPEN),
            money=money_field(dispute, "amount"),
            occurred_at=event.occurred_at,
        )
    ]


def _refunds(api: StripeApiClient, charge: StripeJson) -> list[StripeJson] | None:
    """Return the refunds of a charge, from the event if it names them all; None if Stripe does not list them."""
    listed = get_path(charge, "refunds", "data")
    if isinstance(listed, list) and listed and not get_path(charge, "refunds", "has_more"):
        return [one for one in listed if isinstance(one, dict)]
    found: list[StripeJson] = []
    after: str | None = None
    while True:
        try:
            page = api.call(
                "list_refunds",
                lambda v1, after=after: v1.refunds.list(  # type: ignore[misc]
                    {"charge": charge["id"], "limit": 100, **({"starting_after": after} if after else {})}
                ),
            )
        except GatewayRejected:
            return None
        found += [one.to_dict() for one in page.data]
        if not page.has_more or not found:
            return found
        after = found[-1]["id"]


def _refund_from_totals(event: ParsedEvent, references: tuple[str, ...]) -> list[PaymentEvent]:
    """Tell of what went back since the event before, under a name that the sum so far gives it."""
    charge = event.object
    so_far, before = require_int(charge, "amount_refunded"), event.previous_attributes.get("amount_refunded")
    amount = so_far - before if type(before) is int else so_far
    if amount <= 0:
        return []
    return [
        RefundUpdated(
            references=references,
            refund=f"{charge['id']}@{so_far}",
            money=to_money(amount, charge.get("currency")),
            occurred_at=event.occurred_at,
        )
    ]


def _refund_id(refund: StripeJson) -> uuid.UUID | None:
    return find_pledge_id(get_path(refund, "metadata", REFUND_METADATA_KEY))


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


EventParser = Callable[[StripeApiClient, ParsedEvent], list[PaymentEvent]]

EVENT_PARSERS: Final[Mapping[str, EventParser]] = MappingProxyType(
    {
        "checkout.session.completed": parse_checkout_completed,
        "checkout.session.expired": parse_checkout_expired,
        "checkout.session.async_payment_succeeded": parse_checkout_completed,
        "checkout.session.async_payment_failed": parse_async_payment_failed,
        "invoice.paid": parse_invoice_paid,
        "invoice.payment_failed": parse_invoice_payment_failed,
        "invoice.upcoming": parse_invoice_upcoming,
        "customer.subscription.updated": parse_subscription_updated,
        "customer.subscription.deleted": parse_subscription_deleted,
        "charge.refunded": parse_charge_refunded,
        "charge.dispute.created": parse_dispute,
        "charge.dispute.closed": parse_dispute,
        "payment_intent.payment_failed": parse_payment_intent_failed,
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
