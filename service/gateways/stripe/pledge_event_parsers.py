"""Translate Stripe's events about a pledge's checkout, its first payment, invoices, subscription and customer.

One section for each Stripe object. An event that does not belong to a pledge yields nothing.
"""

import datetime
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import InvalidEvent
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    CustomerUpdated,
    InvoiceSettled,
    PaymentActionRequired,
    PaymentBounced,
    PaymentEvent,
    PaymentFailed,
    PaymentMethodChanged,
    PaymentSucceeded,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.customers import UPDATE_KEY_PREFIX
from service.gateways.stripe.event_fields import (
    ParsedEvent,
    StripeJson,
    get_path,
    list_data,
    merge_previous_attributes,
    money_field,
    object_id,
    parse_timestamp,
    require_id,
    to_money,
)
from service.gateways.stripe.payments import invoice_subscription
from service.gateways.stripe.subscriptions import (
    ENDED_STATUSES,
    INTERVALS,
    PAUSED_STATUS,
    PROMOTION_KEY_PREFIX,
)

CHECKOUT_COMPLETED: Final = "checkout.session.completed"
SUBSCRIPTION_MODE: Final = "subscription"
PAST_DUE_STATUSES: Final = frozenset({"past_due", "unpaid"})
FREQUENCIES: Final = {interval: frequency for frequency, interval in INTERVALS.items()}
STARTED_STATUSES: Final = PAST_DUE_STATUSES | {"active", "trialing", PAUSED_STATUS}

# Checkout Session, see https://docs.stripe.com/checkout/fulfillment


def parse_checkout_completed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the completed checkout, and the payment if the session is paid and names it."""
    pledge_id = event.pledge_id
    if pledge_id is None:
        return []
    completed = _checkout_completed(event, pledge_id)
    if event.object.get("payment_status") != "paid":
        return [completed]
    reference = _checkout_payment_reference(event)
    if reference is None:
        return [completed]
    money = money_field(event.object, "amount_total")
    if money.amount_minor == 0:
        return [completed]
    # The payment comes first: a paid checkout is never on its way.
    return [
        PaymentSucceeded(
            reference=reference,
            money=money,
            occurred_at=event.occurred_at,
            pledge_id=pledge_id,
            subscription=completed.subscription,
            customer=completed.customer,
            # The invoice says what is left to pay after the customer's credit balance.
            is_provisional=event.object.get("mode") == SUBSCRIPTION_MODE,
        ),
        completed,
    ]


def parse_async_payment_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the completed checkout of a bank debit, and that it failed.

    A one-time session accepts no second attempt. Stripe retries the invoice of a subscription and sends the events
    of that invoice.
    """
    pledge_id = event.pledge_id
    if pledge_id is None:
        return []
    return [
        _checkout_completed(event, pledge_id),
        PaymentBounced(pledge_id=pledge_id, occurred_at=event.occurred_at),
    ]


def parse_checkout_expired(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the expired checkout."""
    pledge_id = event.pledge_id
    return [] if pledge_id is None else [CheckoutExpired(pledge_id=pledge_id, occurred_at=event.occurred_at)]


def _checkout_completed(event: ParsedEvent, pledge_id: uuid.UUID) -> CheckoutCompleted:
    email = get_path(event.object, "customer_details", "email") or event.object.get("customer_email")
    return CheckoutCompleted(
        pledge_id=pledge_id,
        occurred_at=event.occurred_at,
        completed_at=event.occurred_at if event.kind == CHECKOUT_COMPLETED else None,
        email=email if isinstance(email, str) else None,
        customer=object_id(event.object.get("customer")),
        subscription=object_id(event.object.get("subscription")),
    )


def _checkout_payment_reference(event: ParsedEvent) -> str | None:
    """Return the payment reference: the invoice of a subscription, as `invoice.paid` uses it, or the intent."""
    if event.object.get("mode") == SUBSCRIPTION_MODE:
        return object_id(event.object.get("invoice"))
    intent = object_id(event.object.get("payment_intent"))
    if intent is None:
        raise InvalidEvent("The session is paid and names no payment_intent.")
    return intent


# PaymentIntent


def parse_payment_intent_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the failed attempt of a one-time pledge, identified by its charge or else by its timestamp."""
    intent = event.object
    pledge_id = event.pledge_id
    if pledge_id is None:
        return []
    intent_id = require_id(intent)
    charge = get_path(intent, "last_payment_error", "charge") or intent.get("latest_charge")
    return [
        PaymentFailed(
            reference=object_id(charge) or f"{intent_id}@{int(event.occurred_at.timestamp())}",
            invoice=intent_id,
            money=money_field(intent, "amount"),
            occurred_at=event.occurred_at,
            pledge_id=pledge_id,
        )
    ]


# Invoice


def parse_invoice_paid(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the payment, or that the invoice is settled without one: marked as paid by staff, or of zero."""
    subscription = invoice_subscription(event.object)
    if subscription is None:
        return []
    money = _paid_at_stripe(event.object)
    paid_at = parse_timestamp(get_path(event.object, "status_transitions", "paid_at"))
    if money.amount_minor == 0:
        return [
            InvoiceSettled(
                invoice=require_id(event.object),
                occurred_at=paid_at or event.occurred_at,
                subscription=subscription,
                pledge_id=event.pledge_id,
                customer=object_id(event.object.get("customer")),
                renews_at=_period_boundary(event.object, "end", max),
            )
        ]
    return [
        PaymentSucceeded(
            reference=require_id(event.object),
            money=money,
            occurred_at=paid_at or event.occurred_at,
            pledge_id=event.pledge_id,
            subscription=subscription,
            customer=object_id(event.object.get("customer")),
            renews_at=_period_boundary(event.object, "end", max),
        )
    ]


def _paid_at_stripe(invoice: StripeJson) -> Money:
    """Return what was paid through Stripe; money that staff received otherwise never reached the account there."""
    paid = money_field(invoice, "amount_paid")
    outside = invoice.get("amount_paid_off_stripe")
    if type(outside) is int and outside > 0:
        received = to_money(outside, invoice.get("currency"))
        return Money(max(paid.amount_minor - received.amount_minor, 0), paid.currency)
    # Older API versions say only that the invoice was marked as paid.
    return Money(0, paid.currency) if invoice.get("paid_out_of_band") is True else paid


def parse_invoice_payment_failed(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the failed attempt, its number and the time of the next one."""
    subscription = invoice_subscription(event.object)
    if subscription is None:
        return []
    money = money_field(event.object, "amount_due")
    if money.amount_minor == 0:
        return []
    attempt = _attempt(event.object)
    invoice_id = require_id(event.object)
    return [
        PaymentFailed(
            reference=f"{invoice_id}#{attempt}",
            invoice=invoice_id,
            money=money,
            occurred_at=event.occurred_at,
            attempt=attempt,
            next_attempt_at=parse_timestamp(event.object.get("next_payment_attempt")),
            pledge_id=event.pledge_id,
            subscription=subscription,
            invoice_url=_hosted_url(event.object),
        )
    ]


def parse_invoice_action_required(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return that the bank wants the payment confirmed; for a first payment, the reader is at the checkout."""
    subscription = invoice_subscription(event.object)
    if subscription is None or event.object.get("billing_reason") == "subscription_create":
        return []
    return [
        PaymentActionRequired(
            invoice=require_id(event.object),
            occurred_at=event.occurred_at,
            subscription=subscription,
            attempt=_attempt(event.object),
            pledge_id=event.pledge_id,
            invoice_url=_hosted_url(event.object),
        )
    ]


def _attempt(invoice: StripeJson) -> int:
    count = invoice.get("attempt_count")
    return max(count, 1) if type(count) is int else 1


def _hosted_url(invoice: StripeJson) -> str | None:
    url = invoice.get("hosted_invoice_url")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def parse_invoice_upcoming(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the upcoming renewal, due at the start of the period that the invoice is for."""
    subscription = invoice_subscription(event.object)
    renews_at = (
        _period_boundary(event.object, "start", min)
        or parse_timestamp(event.object.get("next_payment_attempt"))
        or parse_timestamp(event.object.get("period_end"))
    )
    if subscription is None or renews_at is None:
        return []
    return [
        RenewalUpcoming(
            subscription=subscription,
            renews_at=renews_at,
            occurred_at=event.occurred_at,
            pledge_id=event.pledge_id,
        )
    ]


def _period_boundary(
    invoice: StripeJson, boundary: str, choose: Callable[[list[int]], int]
) -> datetime.datetime | None:
    """Return the `start` or `end` of the invoiced period; proration lines, which have their own, are skipped."""
    timestamps: list[int] = []
    for line in list_data(invoice, "lines"):
        timestamp: Any = get_path(line, "period", boundary)
        is_proration = get_path(line, "parent", "subscription_item_details", "proration") or line.get("proration")
        if type(timestamp) is int and not is_proration:
            timestamps.append(timestamp)
    return parse_timestamp(choose(timestamps)) if timestamps else None


# Subscription


def parse_subscription_updated(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the subscription's current status, amount and renewal date."""
    return _subscription_update(event, ended=event.object.get("status") in ENDED_STATUSES)


def parse_subscription_deleted(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the subscription as ended, whatever its status says."""
    return _subscription_update(event, ended=True)


def _subscription_update(event: ParsedEvent, *, ended: bool) -> list[PaymentEvent]:
    update = subscription_update(event.object, occurred_at=event.occurred_at, ended=ended)
    before = merge_previous_attributes(event.object, event.previous_attributes)
    return [replace(update, pledge_id=event.pledge_id, previous_state=_subscription_state(before))]


def subscription_update(
    subscription: StripeJson, *, occurred_at: datetime.datetime, ended: bool
) -> SubscriptionUpdated:
    """Return the state of a subscription."""
    status = subscription.get("status")
    pause = subscription.get("pause_collection")
    return SubscriptionUpdated(
        subscription=require_id(subscription),
        occurred_at=occurred_at,
        is_past_due=status in PAST_DUE_STATUSES and not ended,
        is_started=status in STARTED_STATUSES and not ended,
        ended=ended,
        money=_subscription_price(subscription),
        renews_at=None if ended else _period_end(subscription),
        cancel_at=_cancel_at(subscription),
        frequency=_frequency(subscription),
        is_paused=pause is not None or status == PAUSED_STATUS,
        resumes_at=parse_timestamp(get_path(pause, "resumes_at")),
        state=_subscription_state(subscription),
        customer=object_id(subscription.get("customer")),
    )


def _cancel_at(subscription: StripeJson) -> datetime.datetime | None:
    """Return when the subscription will end: Stripe gives the instant, or says that the period ends it."""
    cancel_at = parse_timestamp(subscription.get("cancel_at"))
    if cancel_at is None and subscription.get("cancel_at_period_end") is True:
        return _period_end(subscription)
    return cancel_at


def _subscription_state(subscription: StripeJson) -> str:
    """Return a digest of what staff may change in the dashboard: amount, frequency, end and pause."""
    pause = subscription.get("pause_collection")
    facts = (
        _subscription_price(subscription),
        _frequency(subscription),
        _cancel_at(subscription),
        pause is not None or subscription.get("status") == PAUSED_STATUS,
        get_path(pause, "resumes_at"),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _subscription_price(subscription: StripeJson) -> Money | None:
    """Return the sum of the items' prices, or None if an item names no price."""
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
        # Older API versions give the plan of a subscription with one item in the subscription itself.
        amount = get_path(subscription, "plan", "amount")
        total = amount if type(amount) is int else 0
        currency = get_path(subscription, "plan", "currency") or currency
    return to_money(total, currency) if total > 0 else None


def _frequency(subscription: StripeJson) -> Frequency | None:
    """Return how often the first item is paid; None if it is neither each month nor each year."""
    for item in list_data(subscription, "items"):
        recurring = get_path(item, "price", "recurring")
        if isinstance(recurring, dict) and recurring.get("interval_count", 1) == 1:
            return FREQUENCIES.get(str(recurring.get("interval")))
        break
    return None


def _period_end(subscription: StripeJson) -> datetime.datetime | None:
    ends = [item.get("current_period_end") for item in list_data(subscription, "items")]
    timestamps = [end for end in ends if type(end) is int]
    # Older API versions keep the period in the subscription itself.
    return parse_timestamp(min(timestamps) if timestamps else subscription.get("current_period_end"))


# Customer


def parse_customer_updated(_api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return that the customer got another default card or address; what we set ourselves is no news."""
    found: list[PaymentEvent] = []
    if _changes_card(event):
        found.append(PaymentMethodChanged(customer=require_id(event.object), occurred_at=event.occurred_at))
    email, previous = event.object.get("email"), event.previous_attributes.get("email")
    # An address that was removed at Stripe stays here.
    if _changes_address(event) and isinstance(email, str) and email:
        found.append(
            CustomerUpdated(
                customer=require_id(event.object),
                email=email,
                occurred_at=event.occurred_at,
                previous_email=previous if isinstance(previous, str) else None,
            )
        )
    return found


def _changes_card(event: ParsedEvent) -> bool:
    before = get_path(event.previous_attributes, "invoice_settings")
    card = object_id(get_path(event.object, "invoice_settings", "default_payment_method"))
    is_changed = isinstance(before, dict) and "default_payment_method" in before
    return card is not None and is_changed and not (event.idempotency_key or "").startswith(PROMOTION_KEY_PREFIX)


def _changes_address(event: ParsedEvent) -> bool:
    is_changed = not event.previous_attributes or "email" in event.previous_attributes
    return is_changed and not (event.idempotency_key or "").startswith(UPDATE_KEY_PREFIX)
