"""Money that goes back, as Stripe tells of it: refunds and disputes lead to the payment that they are of."""

from collections.abc import Callable

import pytest

from schemas.enums import DisputeStatus
from service.domain.money import Money
from service.domain.ports import GatewayUnavailable
from service.domain.ports.payment_events import DisputeUpdated, RefundUpdated
from service.gateways.stripe import StripeEvents, StripeGateway
from tests.clock import FakeClock
from tests.gateways.stripe.factories import REFUND_ID, give, parsed_events, refund_order, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

Lasts = Callable[[str], StripeJson]


def test_a_refund_of_a_bill_names_the_payment_in_all_its_ways(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    session = subscribe(gateway, double)
    charge = double.charge_of(session["id"])
    first, second = double.refund(charge["id"], 200), double.refund(charge["id"], 100)
    news = parsed_events(events, lasts("charge.refunded"))
    assert {one.refund: one.money for one in news if isinstance(one, RefundUpdated)} == {
        first["id"]: Money(200, "USD"),
        second["id"]: Money(100, "USD"),
    }
    for one in news:
        assert isinstance(one, RefundUpdated)
        assert one.references == (charge["payment_intent"], session["invoice"], charge["id"])
        assert (one.occurred_at, one.failed, one.refund_id) == (clock(), False, None)


def test_a_refund_that_we_asked_for_bears_our_name_for_it(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    session = give(gateway, double)
    gateway.create_refund(refund_order(session["payment_intent"], 400))
    (refunded,) = parsed_events(events, lasts("charge.refunded"))
    assert isinstance(refunded, RefundUpdated)
    assert refunded.refund_id == REFUND_ID
    assert refunded.references[0] == session["payment_intent"]


def test_a_refund_that_a_bank_sent_back_has_failed(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    charge = double.charge_of(give(gateway, double)["id"])
    double.fail_refund(double.refund(charge["id"], 300)["id"])
    double.refund(charge["id"], 200)
    news = parsed_events(events, lasts("charge.refunded"))
    assert sorted((one.money.amount_minor, one.failed) for one in news if isinstance(one, RefundUpdated)) == [
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
def test_a_failed_or_cancelled_refund_did_not_reach_the_reader(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, status: str, *, failed: bool
) -> None:
    charge = double.charge_of(give(gateway, double)["id"])
    refund = double.refund(charge["id"], 300)
    double.account.objects[refund["id"]]["status"] = status
    (news,) = parsed_events(events, lasts("charge.refunded"))
    assert isinstance(news, RefundUpdated)
    assert (news.refund, news.money, news.failed) == (refund["id"], Money(300, "USD"), failed)


@pytest.mark.parametrize("status", ["needs_response", "under_review", "of_tomorrow"])
def test_an_undecided_dispute_is_open(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, status: str
) -> None:
    double.open_dispute(double.charge_of(give(gateway, double)["id"])["id"])
    event = lasts("charge.dispute.created")
    event["data"]["object"]["status"] = status
    (news,) = parsed_events(events, event)
    assert isinstance(news, DisputeUpdated)
    assert news.status == DisputeStatus.OPEN


@pytest.mark.parametrize(("outcome", "status"), [("won", DisputeStatus.WON), ("lost", DisputeStatus.LOST)])
@pytest.mark.parametrize("recurring", [True, False])
def test_a_dispute_leads_to_its_payment_and_is_decided(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    lasts: Lasts,
    outcome: str,
    status: DisputeStatus,
    *,
    recurring: bool,
) -> None:
    session = subscribe(gateway, double) if recurring else give(gateway, double)
    charge = double.charge_of(session["id"])
    dispute = double.open_dispute(charge["id"])
    (opened,) = parsed_events(events, lasts("charge.dispute.created"))
    assert isinstance(opened, DisputeUpdated)
    assert (opened.dispute, opened.status) == (dispute["id"], DisputeStatus.OPEN)
    assert opened.money == Money(charge["amount"], "USD")
    assert (session["invoice"] or session["payment_intent"]) in opened.references
    double.close_dispute(dispute["id"], outcome)
    (closed,) = parsed_events(events, lasts("charge.dispute.closed"))
    assert isinstance(closed, DisputeUpdated)
    assert (closed.dispute, closed.status) == (dispute["id"], status)


@pytest.mark.parametrize(
    "status", ["warning_needs_response", "warning_under_review", "warning_closed", "prevented"]
)
def test_an_inquiry_moves_no_money_and_says_nothing(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, status: str
) -> None:
    double.open_dispute(double.charge_of(give(gateway, double)["id"])["id"])
    event = lasts("charge.dispute.created")
    event["data"]["object"]["status"] = status
    calls = double.faults.calls.total()
    assert parsed_events(events, event) == []
    assert double.faults.calls.total() == calls


def test_what_needs_a_look_up_waits_while_stripe_is_away(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    double.refund(double.charge_of(subscribe(gateway, double)["id"])["id"])
    event = lasts("charge.refunded")
    double.faults.respond(503, times=2)
    with pytest.raises(GatewayUnavailable):
        parsed_events(events, event)
