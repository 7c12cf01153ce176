"""Events without pledge metadata: a lookup at Stripe identifies ours, and events of other products are ignored."""

import json
from typing import Any

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.payment_events import (
    DisputeUpdated,
    PaymentSucceeded,
    RefundedTotalUpdated,
    RefundUpdated,
)
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.gateways.stripe.factories import PLEDGE_ID, parsed_events, pay_once, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import payment_session_params, subscription_session_params

REFUNDS = "GET /v1/refunds"


@pytest.fixture(params=[Frequency.ONCE, Frequency.MONTHLY])
def foreign_session(request: pytest.FixtureRequest, double: FakeStripe) -> StripeJson:
    """Return a paid session of another product on the same account."""
    params: dict[str, Any] = (
        payment_session_params() if request.param is Frequency.ONCE else subscription_session_params()
    )
    session = double.client().v1.checkout.sessions.create(params=params)
    double.pay(session.id)
    return double.get(session.id)


def test_events_of_another_product_yield_nothing(
    double: FakeStripe, events: StripeEvents, foreign_session: StripeJson
) -> None:
    charge = double.charge_of(foreign_session["id"])
    double.refund(charge["id"], 100)
    dispute = double.open_dispute(charge["id"], 100)
    double.close_dispute(dispute["id"], "lost")
    if foreign_session["subscription"]:
        double.fail_renewal(foreign_session["subscription"])
        double.exhaust_retries(foreign_session["subscription"])
    assert [parsed_events(events, event) for event in double.events if parsed_events(events, event)] == []


def test_invoice_without_metadata_is_identified_by_subscription_lookup(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    subscribe(gateway, double)
    event = next(event for event in double.events if event["type"] == "invoice.paid")
    invoice = event["data"]["object"]
    invoice["parent"]["subscription_details"]["metadata"] = None
    for line in invoice["lines"]["data"]:
        line["metadata"] = {}
    (paid,) = parsed_events(events, event)
    assert isinstance(paid, PaymentSucceeded)
    assert paid.pledge_id == PLEDGE_ID


def test_unlistable_refunds_yield_the_total_of_the_charge(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    charge = double.charge_of(pay_once(gateway, double, 1250)["id"])
    double.refund(charge["id"], 200)
    double.refund(charge["id"], 300)
    totals: list[RefundedTotalUpdated] = []
    for event in [event for event in double.events if event["type"] == "charge.refunded"]:
        double.faults.respond(404, REFUNDS)
        totals += [total for total in parsed_events(events, event) if isinstance(total, RefundedTotalUpdated)]
    assert [(total.charge, total.money) for total in totals] == [
        (charge["id"], Money(200, "USD")),
        (charge["id"], Money(500, "USD")),
    ]


def test_refunds_are_listed_across_pages(gateway: StripeGateway, double: FakeStripe, events: StripeEvents) -> None:
    charge = double.charge_of(pay_once(gateway, double, 1250)["id"])
    for _ in range(101):
        double.refund(charge["id"], 1)
    parsed = parsed_events(events, double.events[-1])
    assert len({refund.refund for refund in parsed if isinstance(refund, RefundUpdated)}) == 101


def test_dispute_of_unknown_charge_counts_as_ours(events: StripeEvents) -> None:
    dispute = {"id": "du_1", "charge": "ch_1Gone", "amount": 500, "currency": "usd", "status": "needs_response"}
    event = {"type": "charge.dispute.created", "created": 1795426200, "data": {"object": dispute}}
    (disputed,) = events.parse_event(json.dumps(event))
    assert isinstance(disputed, DisputeUpdated)
    assert disputed.references == ("ch_1Gone",)
