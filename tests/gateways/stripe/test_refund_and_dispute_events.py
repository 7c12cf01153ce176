"""Refund and dispute events, and the references by which they identify their payment."""

from collections.abc import Callable

import pytest

from schemas.enums import DisputeStatus, RefundStatus
from service.domain.money import Money
from service.domain.ports import GatewayUnavailable, InvalidEvent
from service.domain.ports.payment_events import DisputeUpdated, FraudWarned, RefundUpdated
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.clock import FakeClock
from tests.gateways.stripe.factories import REFUND_ID, parsed_events, pay_once, refund_params, subscribe
from tests.stripe_double import FakeStripe, charges, payment_objects
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
        assert (refunded.occurred_at, refunded.status) == (clock(), RefundStatus.SUCCEEDED)
        assert refunded.refund_id is None


def test_requested_refund_has_our_refund_id(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    session = pay_once(gateway, double)
    gateway.create_refund(refund_params(session["payment_intent"], 400))
    (refunded,) = parsed_events(events, latest_event("charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert refunded.refund_id == REFUND_ID
    assert refunded.references[0] == session["payment_intent"]


def test_charge_lists_its_refunds_in_their_present_status(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    charge = double.charge_of(pay_once(gateway, double)["id"])
    double.fail_refund(double.refund(charge["id"], 300)["id"])
    double.refund(charge["id"], 200)
    parsed = parsed_events(events, latest_event("charge.refunded"))
    assert sorted(
        (refunded.money.amount_minor, refunded.status)
        for refunded in parsed
        if isinstance(refunded, RefundUpdated)
    ) == [(200, RefundStatus.SUCCEEDED), (300, RefundStatus.FAILED)]


STATUSES = [
    ("succeeded", RefundStatus.SUCCEEDED),
    ("pending", RefundStatus.PENDING),
    ("requires_action", RefundStatus.PENDING),
    ("failed", RefundStatus.FAILED),
    ("canceled", RefundStatus.CANCELLED),
    ("of_tomorrow", RefundStatus.PENDING),
    # API versions before 2016 have refunds without a status.
    (None, RefundStatus.SUCCEEDED),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
@pytest.mark.parametrize("kind", ["charge.refunded", "refund.created"])
def test_status_of_refund_is_translated(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    kind: str,
    status: str | None,
    expected: RefundStatus,
) -> None:
    charge = double.charge_of(pay_once(gateway, double)["id"])
    refund = double.refund(charge["id"], 300)
    event = latest_event(kind)
    for place in (double.account.objects[refund["id"]], event["data"]["object"]):
        if place["object"] == "refund":
            place["status"] = status
    (parsed,) = parsed_events(events, event)
    assert isinstance(parsed, RefundUpdated)
    assert (parsed.refund, parsed.money, parsed.status) == (refund["id"], Money(300, "USD"), expected)


@pytest.mark.parametrize("recurring", [True, False])
def test_refund_event_has_the_references_of_its_payment_and_the_reason_of_its_failure(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    clock: FakeClock,
    *,
    recurring: bool,
) -> None:
    session = subscribe(gateway, double) if recurring else pay_once(gateway, double)
    charge = double.charge_of(session["id"])
    refund = double.refund(charge["id"], 300)
    created_at = clock()
    double.advance(days=1)
    double.fail_refund(refund["id"])
    for kind in ("refund.updated", "refund.failed", "charge.refund.updated"):
        (parsed,) = parsed_events(events, latest_event(kind))
        assert isinstance(parsed, RefundUpdated)
        assert (session["invoice"] or session["payment_intent"]) in parsed.references
        assert (parsed.occurred_at, parsed.ended_at) == (created_at, clock())
        assert parsed.reason == "The reader's bank did not accept this refund (expired or canceled card)."


def test_refund_of_another_product_yields_nothing(double: FakeStripe, events: StripeEvents) -> None:
    with double.account.lock:
        method = payment_objects.new_payment_method(double.account, email=None, customer=None)
        intent = charges.create_intent(double.account, 900, "usd", customer=None, metadata={"order": "7"})
        charge = charges.charge(double.account, intent, method)
    double.fail_refund(double.refund(charge["id"])["id"])
    for event in double.events:
        if "refund" in event["type"]:
            assert parsed_events(events, event) == [], event["type"]


def test_refund_without_a_charge_yields_nothing(events: StripeEvents) -> None:
    refund = {
        "id": "re_1",
        "object": "refund",
        "charge": None,
        "amount": 5,
        "currency": "usd",
        "status": "pending",
    }
    event = {"type": "refund.created", "created": 1795426200, "data": {"object": refund}}
    assert parsed_events(events, event) == []


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
    ("status", "expected"),
    [
        ("warning_needs_response", DisputeStatus.INQUIRY),
        ("warning_under_review", DisputeStatus.INQUIRY),
        ("warning_of_tomorrow", DisputeStatus.INQUIRY),
        ("warning_closed", DisputeStatus.CLOSED),
        ("prevented", DisputeStatus.PREVENTED),
    ],
)
def test_inquiry_and_prevented_dispute_have_statuses_of_their_own(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    status: str,
    expected: DisputeStatus,
) -> None:
    inquiry = double.open_inquiry(double.charge_of(pay_once(gateway, double)["id"])["id"])
    event = latest_event("charge.dispute.created")
    event["data"]["object"]["status"] = status
    (parsed,) = parsed_events(events, event)
    assert isinstance(parsed, DisputeUpdated)
    assert (parsed.dispute, parsed.status, parsed.reason) == (inquiry["id"], expected, "general")
    assert parsed.balance_transactions == ()


def test_dispute_names_its_balance_transactions(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    charge = double.charge_of(pay_once(gateway, double)["id"])
    dispute = double.open_dispute(charge["id"], 400)
    double.close_dispute(dispute["id"], "won")
    (parsed,) = parsed_events(events, latest_event("charge.dispute.funds_reinstated"))
    assert isinstance(parsed, DisputeUpdated)
    assert [(item.gross_minor, item.net_minor) for item in parsed.balance_transactions] == [
        (-400, -1900),
        (400, 1900),
    ]
    assert {(item.dispute, item.charge) for item in parsed.balance_transactions} == {(dispute["id"], charge["id"])}


def test_malformed_balance_transaction_of_a_dispute_is_reported(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    double.open_dispute(double.charge_of(pay_once(gateway, double)["id"])["id"])
    event = latest_event("charge.dispute.funds_withdrawn")
    event["data"]["object"]["balance_transactions"] = [{"id": "txn_1"}]
    with pytest.raises(InvalidEvent):
        parsed_events(events, event)


@pytest.mark.parametrize("recurring", [True, False])
@pytest.mark.parametrize("names_intent", [True, False])
def test_early_fraud_warning_references_its_payment(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    *,
    recurring: bool,
    names_intent: bool,
) -> None:
    session = subscribe(gateway, double) if recurring else pay_once(gateway, double)
    warning = double.warn_of_fraud(double.charge_of(session["id"])["id"])
    event = latest_event("radar.early_fraud_warning.created")
    if not names_intent:
        del event["data"]["object"]["payment_intent"]
    (parsed,) = parsed_events(events, event)
    assert isinstance(parsed, FraudWarned)
    assert (parsed.warning, parsed.kind) == (warning["id"], "made_with_stolen_card")
    assert (session["invoice"] or session["payment_intent"]) in parsed.references


def test_lookup_during_outage_raises_unavailable(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    double.refund(double.charge_of(subscribe(gateway, double)["id"])["id"])
    event = latest_event("charge.refunded")
    double.faults.respond(503, times=2)
    with pytest.raises(GatewayUnavailable):
        parsed_events(events, event)
