"""Events in the shapes of Stripe's older API versions; every lookup at Stripe is a 404."""

import datetime
import json
import uuid
from typing import Any

import pytest

from service.domain.money import Money
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    PaymentFailed,
    PaymentSucceeded,
    RefundUpdated,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.gateways.stripe import StripeEvents
from tests.gateways.stripe.factories import EMAIL, PLEDGE_ID, REFUND_ID
from tests.stripe_double.account import StripeJson

TIMESTAMP = 1795426200
OCCURRED_AT = datetime.datetime.fromtimestamp(TIMESTAMP, datetime.UTC)
MONTH = datetime.timedelta(days=30)
OWN_METADATA = {"pledge_id": str(PLEDGE_ID)}
PERIOD = {"start": TIMESTAMP, "end": TIMESTAMP + 30 * 86400}
OLD_INVOICE: StripeJson = {
    "id": "in_1Old",
    "object": "invoice",
    "subscription": "sub_1Old",
    "charge": "ch_1Old",
    "payment_intent": "pi_1Old",
    "customer": "cus_old",
    "currency": "usd",
    "amount_due": 500,
    "amount_paid": 500,
    "attempt_count": 1,
    "next_payment_attempt": TIMESTAMP + 3 * 86400,
    "status_transitions": {"paid_at": TIMESTAMP},
    "lines": {"data": [{"id": "il_1", "period": PERIOD, "metadata": {}, "proration": False}]},
    "metadata": {},
}
OLD_SUBSCRIPTION: StripeJson = {
    "id": "sub_1Old",
    "object": "subscription",
    "status": "active",
    "customer": "cus_old",
    "currency": "usd",
    "current_period_end": TIMESTAMP + 30 * 86400,
    "plan": {"amount": 500, "currency": "usd"},
    "items": {"data": []},
    "metadata": OWN_METADATA,
}


def parse(
    events: StripeEvents, kind: str, obj: StripeJson, previous_attributes: StripeJson | None = None
) -> list[Any]:
    """Parse an event of this kind with this object."""
    event = {
        "type": kind,
        "created": TIMESTAMP,
        "data": {"object": obj, "previous_attributes": previous_attributes or {}},
    }
    return list(events.parse_event(json.dumps(event)))


@pytest.mark.parametrize(
    "placement",
    [
        {"subscription_details": {"metadata": OWN_METADATA}},
        {"lines": {"data": [{"period": PERIOD, "metadata": OWN_METADATA}]}},
        {"metadata": OWN_METADATA},
        {"parent": {"subscription_details": {"subscription": "sub_1Old", "metadata": OWN_METADATA}}},
    ],
)
def test_pledge_id_is_found_in_every_place_of_an_invoice(events: StripeEvents, placement: StripeJson) -> None:
    (paid,) = parse(events, "invoice.paid", OLD_INVOICE | placement)
    assert paid == PaymentSucceeded(
        reference="in_1Old",
        money=Money(500, "USD"),
        occurred_at=OCCURRED_AT,
        pledge_id=PLEDGE_ID,
        subscription="sub_1Old",
        customer="cus_old",
        renews_at=OCCURRED_AT + MONTH,
    )


def test_invoice_without_pledge_id_is_identified_by_subscription(events: StripeEvents) -> None:
    (paid,) = parse(events, "invoice.paid", OLD_INVOICE)
    assert isinstance(paid, PaymentSucceeded)
    assert (paid.pledge_id, paid.subscription) == (None, "sub_1Old")
    (failed,) = parse(events, "invoice.payment_failed", OLD_INVOICE)
    assert isinstance(failed, PaymentFailed)
    assert (failed.invoice, failed.subscription, failed.pledge_id) == ("in_1Old", "sub_1Old", None)
    (upcoming,) = parse(events, "invoice.upcoming", OLD_INVOICE)
    assert upcoming == RenewalUpcoming(subscription="sub_1Old", renews_at=OCCURRED_AT, occurred_at=OCCURRED_AT)


def test_proration_line_does_not_move_renewal_date(events: StripeEvents) -> None:
    prorated = {"period": {"start": TIMESTAMP - 5, "end": TIMESTAMP + 99 * 86400}, "proration": True}
    lines = {"data": [prorated, {"period": PERIOD}]}
    (paid,) = parse(events, "invoice.paid", OLD_INVOICE | {"metadata": OWN_METADATA, "lines": lines})
    assert paid.renews_at == OCCURRED_AT + MONTH
    (upcoming,) = parse(events, "invoice.upcoming", OLD_INVOICE | {"metadata": OWN_METADATA, "lines": lines})
    assert upcoming.renews_at == OCCURRED_AT


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_period_spans_first_start_to_last_end_of_lines(events: StripeEvents, order: tuple[int, ...]) -> None:
    periods = [{"start": TIMESTAMP + day * 86400, "end": TIMESTAMP + (30 + day) * 86400} for day in order]
    lines = {"data": [{"period": period} for period in periods]}
    (paid,) = parse(events, "invoice.paid", OLD_INVOICE | {"metadata": OWN_METADATA, "lines": lines})
    assert paid.renews_at == OCCURRED_AT + datetime.timedelta(days=32)
    (upcoming,) = parse(events, "invoice.upcoming", OLD_INVOICE | {"metadata": OWN_METADATA, "lines": lines})
    assert upcoming.renews_at == OCCURRED_AT


@pytest.mark.parametrize(("attempt_count", "attempt"), [(0, 1), (1, 1), (4, 4), (None, 1), ("2", 1)])
def test_attempt_number_is_at_least_one(events: StripeEvents, attempt_count: object, attempt: int) -> None:
    (failed,) = parse(events, "invoice.payment_failed", OLD_INVOICE | {"attempt_count": attempt_count})
    assert (failed.attempt, failed.reference) == (attempt, f"in_1Old#{attempt}")


def test_payment_occurred_when_invoice_was_paid_not_when_event_was_sent(events: StripeEvents) -> None:
    invoice = OLD_INVOICE | {"metadata": OWN_METADATA, "status_transitions": {"paid_at": TIMESTAMP - 60}}
    (paid,) = parse(events, "invoice.paid", invoice)
    assert paid.occurred_at == OCCURRED_AT - datetime.timedelta(seconds=60)
    (paid,) = parse(events, "invoice.paid", invoice | {"status_transitions": {}})
    assert paid.occurred_at == OCCURRED_AT


def test_subscription_with_several_items_has_their_sum_and_earliest_renewal(events: StripeEvents) -> None:
    items = [
        {"price": {"unit_amount": 500}, "quantity": 2, "current_period_end": TIMESTAMP + 40 * 86400},
        {"plan": {"amount": 300}, "current_period_end": TIMESTAMP + 30 * 86400},
    ]
    several = OLD_SUBSCRIPTION | {"items": {"data": items}, "current_period_end": TIMESTAMP + 99 * 86400}
    (updated,) = parse(events, "customer.subscription.updated", several)
    assert (updated.money, updated.renews_at) == (Money(1300, "USD"), OCCURRED_AT + MONTH)
    unknown = several | {"items": {"data": [*items, {"price": {"unit_amount": None}}]}}
    (updated,) = parse(events, "customer.subscription.updated", unknown)
    assert updated.money is None


def test_upcoming_invoice_without_lines_is_due_at_next_payment_attempt(events: StripeEvents) -> None:
    (upcoming,) = parse(
        events, "invoice.upcoming", OLD_INVOICE | {"metadata": OWN_METADATA, "lines": {"data": []}}
    )
    assert upcoming.renews_at == OCCURRED_AT + datetime.timedelta(days=3)


def test_subscription_with_period_of_its_own(events: StripeEvents) -> None:
    (updated,) = parse(events, "customer.subscription.updated", OLD_SUBSCRIPTION)
    assert updated == SubscriptionUpdated(
        subscription="sub_1Old",
        occurred_at=OCCURRED_AT,
        is_started=True,
        money=Money(500, "USD"),
        renews_at=OCCURRED_AT + MONTH,
        pledge_id=PLEDGE_ID,
        customer="cus_old",
        state=updated.state,
        previous_state=updated.previous_state,
    )


@pytest.mark.parametrize(
    ("status", "past_due", "started", "ended"),
    [
        ("incomplete", False, False, False),
        ("trialing", False, True, False),
        ("active", False, True, False),
        ("past_due", True, True, False),
        ("unpaid", True, True, False),
        ("canceled", False, False, True),
        ("incomplete_expired", False, False, True),
        ("of_tomorrow", False, False, False),
    ],
)
def test_subscription_status_is_translated(
    events: StripeEvents, status: str, *, past_due: bool, started: bool, ended: bool
) -> None:
    (updated,) = parse(events, "customer.subscription.updated", OLD_SUBSCRIPTION | {"status": status})
    assert (updated.is_past_due, updated.is_started, updated.ended) == (past_due, started, ended)


def test_checkout_with_expanded_objects(events: StripeEvents) -> None:
    session = {
        "id": "cs_1",
        "mode": "subscription",
        "client_reference_id": str(PLEDGE_ID),
        "customer": {"id": "cus_old", "object": "customer"},
        "customer_email": EMAIL,
        "subscription": {"id": "sub_1Old"},
        "payment_status": "paid",
        "amount_total": 500,
        "currency": "usd",
    }
    (completed,) = parse(events, "checkout.session.completed", session)
    assert completed == CheckoutCompleted(
        pledge_id=PLEDGE_ID,
        occurred_at=OCCURRED_AT,
        completed_at=OCCURRED_AT,
        email=EMAIL,
        customer="cus_old",
        subscription="sub_1Old",
    )
    free = session | {"payment_status": "no_payment_required", "amount_total": 0, "invoice": "in_1"}
    assert [type(event) for event in parse(events, "checkout.session.completed", free)] == [CheckoutCompleted]
    assert parse(events, "checkout.session.expired", session) == [
        CheckoutExpired(pledge_id=PLEDGE_ID, occurred_at=OCCURRED_AT)
    ]


def test_charge_with_embedded_invoice_and_refunds(events: StripeEvents) -> None:
    refund = {"id": "re_1", "amount": 200, "currency": "usd", "created": TIMESTAMP - 5, "status": "succeeded"}
    charge = {
        "id": "ch_1Old",
        "invoice": "in_1Old",
        "payment_intent": "pi_1Old",
        "currency": "usd",
        "amount_refunded": 200,
        "metadata": {},
        "refunds": {"has_more": False, "data": [refund | {"metadata": {"refund_id": str(REFUND_ID)}}]},
    }
    assert parse(events, "charge.refunded", charge) == [
        RefundUpdated(
            references=("pi_1Old", "in_1Old", "ch_1Old"),
            refund="re_1",
            money=Money(200, "USD"),
            occurred_at=OCCURRED_AT - datetime.timedelta(seconds=5),
            refund_id=REFUND_ID,
        )
    ]


def test_events_of_another_product_yield_nothing(events: StripeEvents) -> None:
    other: StripeJson = {"pledge_id": "order-77", "order": "77"}
    foreign = [
        ("checkout.session.completed", {"id": "cs_2", "client_reference_id": "77", "metadata": other}),
        (
            "checkout.session.completed",
            {"id": "cs_2", "client_reference_id": str(uuid.uuid4()), "metadata": other},
        ),
        ("checkout.session.expired", {"id": "cs_2", "client_reference_id": None}),
        ("invoice.paid", OLD_INVOICE | {"subscription": None}),
        ("customer.subscription.deleted", OLD_SUBSCRIPTION | {"metadata": other}),
        ("payment_intent.payment_failed", {"id": "pi_2", "metadata": other}),
    ]
    for kind, obj in foreign:
        assert parse(events, kind, obj) == [], kind
