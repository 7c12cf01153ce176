"""Events that do not say whose they are: a look at Stripe tells, and what is another product's is left alone."""

import json
from typing import Any

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.payment_events import DisputeUpdated, PaymentSucceeded, RefundUpdated
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.gateways.stripe.factories import PLEDGE_ID, give, parsed_events, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import payment_session_params, subscription_session_params

REFUNDS = "GET /v1/refunds"


@pytest.fixture(params=[Frequency.ONCE, Frequency.MONTHLY])
def stranger(request: pytest.FixtureRequest, double: FakeStripe) -> StripeJson:
    """Return a session of another product, paid on the same account."""
    params: dict[str, Any] = (
        payment_session_params() if request.param is Frequency.ONCE else subscription_session_params()
    )
    session = double.client().v1.checkout.sessions.create(params=params)
    double.pay(session.id)
    return double.get(session.id)


def test_nothing_that_happens_to_another_product_is_ours(
    double: FakeStripe, events: StripeEvents, stranger: StripeJson
) -> None:
    charge = double.charge_of(stranger["id"])
    double.refund(charge["id"], 100)
    dispute = double.open_dispute(charge["id"], 100)
    double.close_dispute(dispute["id"], "lost")
    if stranger["subscription"]:
        double.fail_renewal(stranger["subscription"])
        double.exhaust_retries(stranger["subscription"])
    assert [parsed_events(events, event) for event in double.events if parsed_events(events, event)] == []


def test_a_bill_that_lost_its_metadata_is_ours_by_its_subscription(
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


def test_refunds_that_cannot_be_listed_are_told_by_what_they_add_up_to(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    charge = double.charge_of(give(gateway, double, 1250)["id"])
    double.refund(charge["id"], 200)
    double.refund(charge["id"], 300)
    refunds: list[RefundUpdated] = []
    for event in [event for event in double.events if event["type"] == "charge.refunded"]:
        double.faults.respond(404, REFUNDS)
        refunds += [one for one in parsed_events(events, event) if isinstance(one, RefundUpdated)]
    assert [(one.refund, one.money) for one in refunds] == [
        (f"{charge['id']}@200", Money(200, "USD")),
        (f"{charge['id']}@500", Money(300, "USD")),
    ]


def test_more_refunds_than_a_page_holds_are_all_told(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    charge = double.charge_of(give(gateway, double, 1250)["id"])
    for _ in range(101):
        double.refund(charge["id"], 1)
    news = parsed_events(events, double.events[-1])
    assert len({one.refund for one in news if isinstance(one, RefundUpdated)}) == 101


def test_a_payment_that_stripe_has_forgotten_may_be_ours(events: StripeEvents) -> None:
    dispute = {"id": "du_1", "charge": "ch_1Gone", "amount": 500, "currency": "usd", "status": "needs_response"}
    event = {"type": "charge.dispute.created", "created": 1795426200, "data": {"object": dispute}}
    (found,) = events.parse_event(json.dumps(event))
    assert isinstance(found, DisputeUpdated)
    assert found.references == ("ch_1Gone",)
