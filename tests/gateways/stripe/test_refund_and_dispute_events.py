"""Refund and dispute events, and the references by which they identify their payment."""

from collections.abc import Callable

import pytest

from schemas.enums import DisputeStatus
from service.domain.money import Money
from service.domain.ports import GatewayUnavailable
from service.domain.ports.payment_events import DisputeUpdated, RefundUpdated
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.clock import FakeClock
from tests.gateways.stripe.factories import REFUND_ID, parsed_events, pay_once, refund_params, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

LatestEvent = Callable[[str], StripeJson]


def test_refund_of_invoice_has_all_references_of_the_payment(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    session = subscribe(gateway, double)
    charge = double.charge_of(session["id"])
    first, second = double.refund(charge["id"], 200), double.refund(charge["id"], 100)
    parsed = parsed_events(events, latest_event("charge.refunded"))
    assert {refunded.refund: refunded.money for refunded in parsed if isinstance(refunded, RefundUpdated)} == {
        first["id"]: Money(200, "USD"),
        second["id"]: Money(100, "USD"),
    }
    for refunded in parsed:
        assert isinstance(refunded, RefundUpdated)
        assert refunded.references == (charge["payment_intent"], session["invoice"], charge["id"])
        assert (refunded.occurred_at, refunded.failed, refunded.refund_id) == (clock(), False, None)


def test_requested_refund_has_our_refund_id(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    session = pay_once(gateway, double)
    gateway.create_refund(refund_params(session["payment_intent"], 400))
    (refunded,) = parsed_events(events, latest_event("charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert refunded.refund_id == REFUND_ID
    assert refunded.references[0] == session["payment_intent"]


def test_refund_returned_by_bank_has_failed(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    charge = double.charge_of(pay_once(gateway, double)["id"])
    double.fail_refund(double.refund(charge["id"], 300)["id"])
    double.refund(charge["id"], 200)
    parsed = parsed_events(events, latest_event("charge.refunded"))
    assert sorted(
        (refunded.money.amount_minor, refunded.failed)
        for refunded in parsed
        if isinstance(refunded, RefundUpdated)
    ) == [
        (200, False),
        (300, True),
    ]


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        ("succeeded", False),
        ("pending", False),
        ("requires_action", False),
        ("failed", True),
        ("canceled", True),
        ("of_tomorrow", False),
    ],
)
def test_failed_or_canceled_refund_status_is_failed(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    status: str,
    *,
    failed: bool,
) -> None:
    charge = double.charge_of(pay_once(gateway, double)["id"])
    refund = double.refund(charge["id"], 300)
    double.account.objects[refund["id"]]["status"] = status
    (parsed,) = parsed_events(events, latest_event("charge.refunded"))
    assert isinstance(parsed, RefundUpdated)
    assert (parsed.refund, parsed.money, parsed.failed) == (refund["id"], Money(300, "USD"), failed)


@pytest.mark.parametrize("status", ["needs_response", "under_review", "of_tomorrow"])
def test_undecided_dispute_is_open(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, status: str
) -> None:
    double.open_dispute(double.charge_of(pay_once(gateway, double)["id"])["id"])
    event = latest_event("charge.dispute.created")
    event["data"]["object"]["status"] = status
    (parsed,) = parsed_events(events, event)
    assert isinstance(parsed, DisputeUpdated)
    assert parsed.status == DisputeStatus.OPEN


@pytest.mark.parametrize(("outcome", "status"), [("won", DisputeStatus.WON), ("lost", DisputeStatus.LOST)])
@pytest.mark.parametrize("recurring", [True, False])
def test_dispute_references_its_payment_and_is_decided(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    outcome: str,
    status: DisputeStatus,
    *,
    recurring: bool,
) -> None:
    session = subscribe(gateway, double) if recurring else pay_once(gateway, double)
    charge = double.charge_of(session["id"])
    dispute = double.open_dispute(charge["id"])
    (opened,) = parsed_events(events, latest_event("charge.dispute.created"))
    assert isinstance(opened, DisputeUpdated)
    assert (opened.dispute, opened.status) == (dispute["id"], DisputeStatus.OPEN)
    assert opened.money == Money(charge["amount"], "USD")
    assert (session["invoice"] or session["payment_intent"]) in opened.references
    double.close_dispute(dispute["id"], outcome)
    (closed,) = parsed_events(events, latest_event("charge.dispute.closed"))
    assert isinstance(closed, DisputeUpdated)
    assert (closed.dispute, closed.status) == (dispute["id"], status)


@pytest.mark.parametrize(
    "status", ["warning_needs_response", "warning_under_review", "warning_closed", "prevented"]
)
def test_inquiry_yields_nothing(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, status: str
) -> None:
    double.open_dispute(double.charge_of(pay_once(gateway, double)["id"])["id"])
    event = latest_event("charge.dispute.created")
    event["data"]["object"]["status"] = status
    calls = double.faults.calls.total()
    assert parsed_events(events, event) == []
    assert double.faults.calls.total() == calls


def test_lookup_during_outage_raises_unavailable(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    double.refund(double.charge_of(subscribe(gateway, double)["id"])["id"])
    event = latest_event("charge.refunded")
    double.faults.respond(503, times=2)
    with pytest.raises(GatewayUnavailable):
        parsed_events(events, event)
