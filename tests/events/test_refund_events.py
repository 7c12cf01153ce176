"""Refunds followed by their id and status: pending, failed and cancelled ones, in any order of their events."""

import uuid

import pytest
from sqlalchemy import select

from schemas.enums import EventStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.payment import GatewayEvent, Payment, Refund
from service.domain.ledger.totals import totals_by_currency
from service.domain.payments.reconciliation import reconcile
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson


@pytest.fixture
def charge(scenario: StripeScenario) -> StripeJson:
    """Return the charge of a one-time pledge of $10 whose payment is booked."""
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    paid = scenario.stripe.pay(scenario.session_of(checkout), email="ada@news.example")
    deliver(scenario)
    return paid


def deliver(scenario: StripeScenario, *, order: int = 1) -> None:
    """Deliver all events so far, or in reverse with `order=-1`, and process them until none waits."""
    scenario.deliver_webhooks(*scenario.stripe.events[::order])
    scenario.run_until_idle()


def refunds(container: Container) -> dict[str | None, RefundStatus]:
    with container.database.read_only() as session:
        return {row.gateway_reference: row.status for row in session.scalars(select(Refund))}


def payment_status(container: Container) -> PaymentStatus:
    with container.database.read_only() as session:
        return session.scalars(select(Payment.status)).one()


def refunded_total(container: Container) -> int:
    with container.database.read_only() as session:
        [total] = totals_by_currency(session)
    return total.refunded


def parked(container: Container) -> list[str | None]:
    with container.database.read_only() as session:
        return list(session.scalars(select(GatewayEvent.reason).where(GatewayEvent.status == EventStatus.PARKED)))


def pledge_status(scenario: StripeScenario) -> PledgeStatus:
    with scenario.container.database.read_only() as session:
        pledge_id: uuid.UUID = session.scalars(select(Payment.pledge_id)).one()
    return scenario.snapshot(pledge_id)["pledge"]["status"]


def test_refund_after_a_failed_one_is_booked(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, charge: StripeJson
) -> None:
    first = stripe.refund(charge["id"])
    deliver(scenario)
    assert (payment_status(container), pledge_status(scenario)) == (PaymentStatus.REFUNDED, PledgeStatus.REFUNDED)
    stripe.fail_refund(first["id"])
    deliver(scenario)
    # The money is the newsroom's again.
    assert (payment_status(container), pledge_status(scenario)) == (
        PaymentStatus.SUCCEEDED,
        PledgeStatus.COMPLETED,
    )
    second = stripe.refund(charge["id"], 700)
    deliver(scenario)
    assert refunds(container) == {first["id"]: RefundStatus.FAILED, second["id"]: RefundStatus.SUCCEEDED}
    assert (payment_status(container), refunded_total(container)) == (PaymentStatus.PARTIALLY_REFUNDED, 700)
    assert parked(container) == []


@pytest.mark.parametrize("order", [1, -1])
def test_pending_refund_counts_once_it_succeeded(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, charge: StripeJson, order: int
) -> None:
    stripe.settings.pending_refunds = True
    refund = stripe.refund(charge["id"], 400)
    deliver(scenario, order=order)
    assert (refunds(container), refunded_total(container)) == ({refund["id"]: RefundStatus.PENDING}, 0)
    assert payment_status(container) == PaymentStatus.SUCCEEDED
    stripe.complete_refund(refund["id"])
    deliver(scenario, order=order)
    assert (refunds(container), refunded_total(container)) == ({refund["id"]: RefundStatus.SUCCEEDED}, 400)
    assert parked(container) == []


@pytest.mark.parametrize("status", [RefundStatus.FAILED, RefundStatus.CANCELLED])
def test_reconciliation_finds_a_refund_that_ended_without_a_webhook(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, charge: StripeJson, status: RefundStatus
) -> None:
    stripe.settings.pending_refunds = status == RefundStatus.CANCELLED
    refund = stripe.refund(charge["id"])
    deliver(scenario)
    end = stripe.fail_refund if status == RefundStatus.FAILED else stripe.cancel_refund
    end(refund["id"])
    run_reconciliation(container)
    assert (refunds(container), payment_status(container)) == ({refund["id"]: status}, PaymentStatus.SUCCEEDED)


def test_case_03_is_booked_where_stripe_lists_no_refunds(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, charge: StripeJson
) -> None:
    first = stripe.refund(charge["id"])
    stripe.fail_refund(first["id"])
    stripe.refund(charge["id"], 700)
    kinds = ("charge.refunded", "refund.failed", "charge.refund.updated")
    events = [event for event in stripe.events if event["type"] in kinds]
    for number, event in enumerate(events):
        event["created"] += number
    stripe.faults.respond(404, "GET /v1/refunds", times=20)
    for order in (1, -1):
        scenario.deliver_webhooks(*events[::order])
        scenario.run_until_idle()
        assert (payment_status(container), refunded_total(container)) == (PaymentStatus.PARTIALLY_REFUNDED, 700)
        assert parked(container) == []
        with container.database.transaction() as session:
            for table in ("refunds", "gateway_events"):
                session.connection().exec_driver_sql(f"DELETE FROM {table}")


def run_reconciliation(container: Container) -> None:
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
