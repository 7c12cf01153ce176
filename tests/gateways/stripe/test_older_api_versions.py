"""Events in the shapes of Stripe's older API versions, with nothing at Stripe to look up: each look is a 404."""

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

AT = 1795426200
MOMENT = datetime.datetime.fromtimestamp(AT, datetime.UTC)
MONTH = datetime.timedelta(days=30)
OURS = {"pledge_id": str(PLEDGE_ID)}
PERIOD = {"start": AT, "end": AT + 30 * 86400}
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
    "next_payment_attempt": AT + 3 * 86400,
    "status_transitions": {"paid_at": AT},
    "lines": {"data": [{"id": "il_1", "period": PERIOD, "metadata": {}, "proration": False}]},
    "metadata": {},
}
OLD_SUBSCRIPTION: StripeJson = {
    "id": "sub_1Old",
    "object": "subscription",
    "status": "active",
    "customer": "cus_old",
    "currency": "usd",
    "current_period_end": AT + 30 * 86400,
    "plan": {"amount": 500, "currency": "usd"},
    "items": {"data": []},
    "metadata": OURS,
}


def read(events: StripeEvents, kind: str, obj: StripeJson, before: StripeJson | None = None) -> list[Any]:
    """Read an event of this kind about this object."""
    event = {"type": kind, "created": AT, "data": {"object": obj, "previous_attributes": before or {}}}
    return list(events.parse_event(json.dumps(event)))


@pytest.mark.parametrize(
    "where",
    [
        {"subscription_details": {"metadata": OURS}},
        {"lines": {"data": [{"period": PERIOD, "metadata": OURS}]}},
        {"metadata": OURS},
        {"parent": {"subscription_details": {"subscription": "sub_1Old", "metadata": OURS}}},
    ],
)
def test_the_pledge_is_found_wherever_a_bill_bore_it(events: StripeEvents, where: StripeJson) -> None:
    (paid,) = read(events, "invoice.paid", OLD_INVOICE | where)
    assert paid == PaymentSucceeded(
        reference="in_1Old",
        money=Money(500, "USD"),
        occurred_at=MOMENT,
        pledge_id=PLEDGE_ID,
        subscription="sub_1Old",
        customer="cus_old",
        renews_at=MOMENT + MONTH,
    )


def test_a_bill_that_names_no_pledge_goes_on_with_its_subscription(events: StripeEvents) -> None:
    (paid,) = read(events, "invoice.paid", OLD_INVOICE)
    assert isinstance(paid, PaymentSucceeded)
    assert (paid.pledge_id, paid.subscription) == (None, "sub_1Old")
    (missed,) = read(events, "invoice.payment_failed", OLD_INVOICE)
    assert isinstance(missed, PaymentFailed)
    assert (missed.invoice, missed.subscription, missed.pledge_id) == ("in_1Old", "sub_1Old", None)
    (ahead,) = read(events, "invoice.upcoming", OLD_INVOICE)
    assert ahead == RenewalUpcoming(subscription="sub_1Old", renews_at=MOMENT)


def test_what_a_change_of_price_adds_does_not_move_the_renewal(events: StripeEvents) -> None:
    prorated = {"period": {"start": AT - 5, "end": AT + 99 * 86400}, "proration": True}
    lines = {"data": [prorated, {"period": PERIOD}]}
    (paid,) = read(events, "invoice.paid", OLD_INVOICE | {"metadata": OURS, "lines": lines})
    assert paid.renews_at == MOMENT + MONTH
    (ahead,) = read(events, "invoice.upcoming", OLD_INVOICE | {"metadata": OURS, "lines": lines})
    assert ahead.renews_at == MOMENT


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_renewal_follows_the_last_line_to_end_and_the_first_to_begin(
    events: StripeEvents, order: tuple[int, ...]
) -> None:
    periods = [{"start": AT + number * 86400, "end": AT + (30 + number) * 86400} for number in order]
    lines = {"data": [{"period": period} for period in periods]}
    (paid,) = read(events, "invoice.paid", OLD_INVOICE | {"metadata": OURS, "lines": lines})
    assert paid.renews_at == MOMENT + datetime.timedelta(days=32)
    (ahead,) = read(events, "invoice.upcoming", OLD_INVOICE | {"metadata": OURS, "lines": lines})
    assert ahead.renews_at == MOMENT


@pytest.mark.parametrize(("counted", "number"), [(0, 1), (1, 1), (4, 4), (None, 1), ("2", 1)])
def test_a_try_that_failed_is_counted_from_one(events: StripeEvents, counted: object, number: int) -> None:
    (missed,) = read(events, "invoice.payment_failed", OLD_INVOICE | {"attempt_count": counted})
    assert (missed.attempt, missed.reference) == (number, f"in_1Old#{number}")


def test_a_payment_came_when_the_bill_was_paid_and_not_when_that_was_told(events: StripeEvents) -> None:
    bill = OLD_INVOICE | {"metadata": OURS, "status_transitions": {"paid_at": AT - 60}}
    (paid,) = read(events, "invoice.paid", bill)
    assert paid.occurred_at == MOMENT - datetime.timedelta(seconds=60)
    (paid,) = read(events, "invoice.paid", bill | {"status_transitions": {}})
    assert paid.occurred_at == MOMENT


def test_a_subscription_of_several_items_costs_their_sum_and_renews_with_the_first(events: StripeEvents) -> None:
    items = [
        {"price": {"unit_amount": 500}, "quantity": 2, "current_period_end": AT + 40 * 86400},
        {"plan": {"amount": 300}, "current_period_end": AT + 30 * 86400},
    ]
    several = OLD_SUBSCRIPTION | {"items": {"data": items}, "current_period_end": AT + 99 * 86400}
    (standing,) = read(events, "customer.subscription.updated", several)
    assert (standing.money, standing.renews_at) == (Money(1300, "USD"), MOMENT + MONTH)
    unknown = several | {"items": {"data": [*items, {"price": {"unit_amount": None}}]}}
    (standing,) = read(events, "customer.subscription.updated", unknown)
    assert standing.money is None


def test_an_announced_bill_without_lines_says_when_it_is_tried(events: StripeEvents) -> None:
    (ahead,) = read(events, "invoice.upcoming", OLD_INVOICE | {"metadata": OURS, "lines": {"data": []}})
    assert ahead.renews_at == MOMENT + datetime.timedelta(days=3)


def test_a_subscription_that_keeps_its_period_itself(events: StripeEvents) -> None:
    (standing,) = read(events, "customer.subscription.updated", OLD_SUBSCRIPTION)
    assert standing == SubscriptionUpdated(
        subscription="sub_1Old",
        occurred_at=MOMENT,
        is_started=True,
        money=Money(500, "USD"),
        renews_at=MOMENT + MONTH,
        pledge_id=PLEDGE_ID,
        customer="cus_old",
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
def test_where_a_subscription_stands_by_stripes_words(
    events: StripeEvents, status: str, *, past_due: bool, started: bool, ended: bool
) -> None:
    (standing,) = read(events, "customer.subscription.updated", OLD_SUBSCRIPTION | {"status": status})
    assert (standing.is_past_due, standing.is_started, standing.ended) == (past_due, started, ended)


def test_a_checkout_that_names_everything_in_full(events: StripeEvents) -> None:
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
    (done,) = read(events, "checkout.session.completed", session)
    assert done == CheckoutCompleted(
        pledge_id=PLEDGE_ID, occurred_at=MOMENT, email=EMAIL, customer="cus_old", subscription="sub_1Old"
    )
    free = session | {"payment_status": "no_payment_required", "amount_total": 0, "invoice": "in_1"}
    assert [type(one) for one in read(events, "checkout.session.completed", free)] == [CheckoutCompleted]
    assert read(events, "checkout.session.expired", session) == [
        CheckoutExpired(pledge_id=PLEDGE_ID, occurred_at=MOMENT)
    ]


def test_a_charge_that_brings_its_bill_and_its_refunds(events: StripeEvents) -> None:
    refund = {"id": "re_1", "amount": 200, "currency": "usd", "created": AT - 5, "status": "succeeded"}
    charge = {
        "id": "ch_1Old",
        "invoice": "in_1Old",
        "payment_intent": "pi_1Old",
        "currency": "usd",
        "amount_refunded": 200,
        "metadata": {},
        "refunds": {"has_more": False, "data": [refund | {"metadata": {"refund_id": str(REFUND_ID)}}]},
    }
    assert read(events, "charge.refunded", charge) == [
        RefundUpdated(
            references=("pi_1Old", "in_1Old", "ch_1Old"),
            refund="re_1",
            money=Money(200, "USD"),
            occurred_at=MOMENT - datetime.timedelta(seconds=5),
            refund_id=REFUND_ID,
        )
    ]


def test_a_stranger_on_the_same_account_is_not_ours(events: StripeEvents) -> None:
    other: StripeJson = {"pledge_id": "order-77", "order": "77"}
    strange = [
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
    for kind, obj in strange:
        assert read(events, kind, obj) == [], kind
